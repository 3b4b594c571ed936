//! JSON Web Tokens of `PingOne`: signatures and keys. RS256 and nothing else (RFC 8725 §3.1).

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use jsonwebtoken::{Algorithm, DecodingKey, Validation};
use serde_json::{Map, Value};

use super::{Response, object};

/// The signing keys of `PingOne` (RFC 7517 §5).
#[derive(Clone, Debug, Default)]
pub struct KeySet(Vec<Key>);

#[derive(Clone, Debug)]
struct Key {
    kid: Option<String>,
    modulus: String,
    exponent: String,
}

/// Why a token is not believed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum JwtError {
    /// RFC 8725 §3.1: the algorithm is not RS256.
    #[error("the token is not signed with RS256")]
    Algorithm,
    /// RFC 7515 §4.1.11: an extension that must be understood, and is not.
    #[error("the token has a critical extension")]
    Critical,
    /// Not three parts of base64url with JSON in them.
    #[error("the token is malformed")]
    Malformed,
    /// The signature is wrong.
    #[error("the signature of the token is wrong")]
    Signature,
    /// No key with this `kid`.
    #[error("the token is signed with an unknown key")]
    UnknownKey,
}

impl JwtError {
    /// Whether the verdict may be another one with keys that `PingOne` publishes later: it says that the token cannot be
    /// verified now, and nothing of the token.
    pub const fn may_pass_with_other_keys(self) -> bool {
        match self {
            Self::Signature | Self::UnknownKey => true,
            Self::Algorithm | Self::Critical | Self::Malformed => false,
        }
    }
}

impl KeySet {
    /// Reads a JWK set. Keys for other uses or of other types are passed over; `PingOne` does not say `alg`. `None`: there
    /// is no key in it that could verify anything.
    pub fn read(response: &Response) -> Option<Self> {
        let members = object(response)?;
        let keys: Vec<_> = members.get("keys")?.as_array()?.iter().filter_map(Key::read).collect();
        (!keys.is_empty()).then_some(Self(keys))
    }

    /// The claims of a token that one of these keys signed. Nothing is said of what they claim.
    pub fn verify(&self, token: &str) -> Result<Map<String, Value>, JwtError> {
        let header = header(token).ok_or(JwtError::Malformed)?;
        if header.get("alg").and_then(Value::as_str) != Some("RS256") {
            return Err(JwtError::Algorithm);
        }
        if header.contains_key("crit") {
            return Err(JwtError::Critical);
        }
        // The header chooses among our keys; it cannot bring one (`jwk`, `jku`, `x5c` are not looked at). A `kid` need not
        // be there, on either side, nor name one key alone (RFC 7517 §4.5).
        let kid = header.get("kid").and_then(Value::as_str);
        let fits = |key: &&Key| kid.is_none() || key.kid.is_none() || key.kid.as_deref() == kid;
        let mut verdict = Err(JwtError::UnknownKey);
        for key in self.0.iter().filter(fits) {
            verdict = key.verify(token);
            if verdict != Err(JwtError::Signature) {
                break;
            }
        }
        verdict
    }
}

impl Key {
    fn read(key: &Value) -> Option<Self> {
        let text = |name| key.get(name).and_then(Value::as_str);
        let signs = text("kty") == Some("RSA")
            && text("use").is_none_or(|r#use| r#use == "sig")
            && text("alg").is_none_or(|alg| alg == "RS256");
        let (modulus, exponent) = (text("n")?, text("e")?);
        // RFC 7518 §3.3: 2048 bits or more. What is no number is no key.
        let is_number = |text| URL_SAFE_NO_PAD.decode(text).is_ok();
        let usable = (342..=1400).contains(&modulus.len()) && exponent.len() <= 8;
        (signs && usable && is_number(modulus) && is_number(exponent)).then(|| Self {
            kid: text("kid").map(str::to_owned),
            modulus: modulus.into(),
            exponent: exponent.into(),
        })
    }

    fn verify(&self, token: &str) -> Result<Map<String, Value>, JwtError> {
        // A key that is none signed nothing.
        let key = DecodingKey::from_rsa_components(&self.modulus, &self.exponent)
            .map_err(|_| JwtError::Signature)?;
        // The library reads the system's clock; claims are judged by our callers, with a time that they are given.
        let mut signature_only = Validation::new(Algorithm::RS256);
        signature_only.required_spec_claims.clear();
        signature_only.validate_exp = false;
        signature_only.validate_aud = false;
        match jsonwebtoken::decode(token, &key, &signature_only) {
            Ok(token) => Ok(token.claims),
            Err(error) if matches!(error.kind(), jsonwebtoken::errors::ErrorKind::Json(_)) => {
                Err(JwtError::Malformed)
            }
            Err(_) => Err(JwtError::Signature),
        }
    }
}

/// The claims of a token that was verified when it came.
pub(super) fn claims_of_verified(token: &str) -> Option<Map<String, Value>> {
    let claims = token.split('.').nth(1)?;
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(claims).ok()?).ok()
}

fn header(token: &str) -> Option<Map<String, Value>> {
    if token.len() > 32 * 1024 {
        return None;
    }
    let (header, rest) = token.split_once('.')?;
    let (_, signature) = rest.split_once('.')?;
    if signature.contains('.') {
        return None;
    }
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(header).ok()?).ok()
}

/// The audiences in `aud` (RFC 7519 §4.1.3: one string or a list). Empty if the claim has another type.
pub(super) fn audiences(claims: &Map<String, Value>) -> Vec<&str> {
    match claims.get("aud") {
        Some(Value::String(audience)) => vec![audience],
        Some(Value::Array(audiences)) => audiences.iter().filter_map(Value::as_str).collect(),
        _ => Vec::new(),
    }
}

/// A claim that is a `NumericDate` (RFC 7519 §2), in whole seconds.
pub(super) fn date(claims: &Map<String, Value>, name: &str) -> Option<u64> {
    let value = claims.get(name)?;
    // A fraction of a second is allowed, and means nothing here.
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "checked to be in range")]
    value.as_u64().or_else(|| value.as_f64().filter(|v| (0.0..1e12).contains(v)).map(|v| v as u64))
}

/// Seconds by which the clocks of `PingOne` and this host may differ.
pub(super) const LEEWAY: u64 = 60;

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use serde_json::json;

    use super::*;

    const KEYS: &str = include_str!("../../../../fuzz/fixtures/keys.json");
    const TOKEN: &str = include_str!("../../../../fuzz/fixtures/token.txt");

    fn keys() -> KeySet {
        KeySet::read(&http::Response::new(Bytes::from(KEYS))).expect("keys")
    }

    /// The good token with another header.
    fn with_header(header: &Value) -> String {
        let (_, rest) = TOKEN.trim().split_once('.').expect("parts");
        format!("{}.{rest}", URL_SAFE_NO_PAD.encode(header.to_string()))
    }

    #[test]
    fn a_signed_token_is_believed() {
        assert_eq!(keys().verify(TOKEN.trim()).expect("good")["sub"], "alice");
    }

    #[test]
    fn every_algorithm_but_rs256_is_refused_however_it_is_spelled() {
        for alg in ["none", "nOnE", "NONE", "", "HS256", "RS384", "PS256", "ES256", "rs256", "RS256 "] {
            let token = with_header(&json!({ "alg": alg, "kid": "one" }));
            assert_eq!(keys().verify(&token), Err(JwtError::Algorithm), "{alg:?}");
        }
        assert_eq!(keys().verify(&with_header(&json!({ "kid": "one" }))), Err(JwtError::Algorithm));
        assert_eq!(
            keys().verify(&with_header(&json!({ "alg": ["RS256"], "kid": "one" }))),
            Err(JwtError::Algorithm)
        );
    }

    #[test]
    fn a_key_that_the_token_brings_along_is_not_used() {
        let jwk = serde_json::from_str::<Value>(KEYS).expect("JSON")["keys"][0].clone();
        let bringing =
            json!({ "alg": "RS256", "kid": "mine", "jwk": jwk, "jku": "https://evil.example/keys" });
        assert_eq!(keys().verify(&with_header(&bringing)), Err(JwtError::UnknownKey));
        let unnamed = with_header(&json!({ "alg": "RS256", "jwk": jwk }));
        assert_eq!(keys().verify(&unnamed), Err(JwtError::Signature), "our key did not sign this header");
    }

    #[test]
    fn a_signature_that_is_empty_flipped_garbage_or_of_something_else_is_wrong() {
        let token = TOKEN.trim();
        let (message, signature) = token.rsplit_once('.').expect("parts");
        let flipped = if signature.starts_with('A') { "B" } else { "A" };
        let flipped = format!("{flipped}{}", &signature[1..]);
        for wrong in ["", "AAAA", "!!!!", flipped.as_str(), &signature[..signature.len() - 4]] {
            assert_eq!(keys().verify(&format!("{message}.{wrong}")), Err(JwtError::Signature), "{wrong}");
        }
        let (header, _) = message.split_once('.').expect("parts");
        let claims = URL_SAFE_NO_PAD.encode(r#"{"sub":"mallory"}"#);
        assert_eq!(keys().verify(&format!("{header}.{claims}.{signature}")), Err(JwtError::Signature));
        // The header is signed too.
        let added = json!({ "alg": "RS256", "kid": "one", "x": 1 });
        assert_eq!(keys().verify(&with_header(&added)), Err(JwtError::Signature));
    }

    /// The key set with these keys around the good one.
    fn among(before: &[Value], good: &[(&str, Value)]) -> Option<KeySet> {
        let mut key = serde_json::from_str::<Value>(KEYS).expect("JSON")["keys"][0].clone();
        for (name, value) in good {
            key[*name] = value.clone();
        }
        let keys = [before, &[key]].concat();
        KeySet::read(&http::Response::new(Bytes::from(json!({ "keys": keys }).to_string())))
    }

    fn foreign(kid: &str) -> Value {
        json!({ "kty": "RSA", "kid": kid, "n": "q".repeat(342), "e": "AQAB" })
    }

    #[test]
    fn key_behind_a_thousand_others_is_found() {
        let others: Vec<_> = (0..1000).map(|number| foreign(&number.to_string())).collect();
        assert!(among(&others, &[]).expect("keys").verify(TOKEN.trim()).is_ok());
    }

    #[test]
    fn every_key_with_the_kid_or_without_one_is_tried() {
        let broken = json!({ "kty": "RSA", "kid": "one", "n": "A".repeat(342), "e": "AQAB" });
        let twins = among(&[foreign("one"), broken], &[]).expect("keys");
        assert!(twins.verify(TOKEN.trim()).is_ok());
        let unnamed = among(&[foreign("other")], &[("kid", Value::Null)]).expect("keys");
        assert!(unnamed.verify(TOKEN.trim()).is_ok());
    }

    #[test]
    fn key_set_without_a_usable_key_is_none() {
        for (name, value) in [
            ("n", json!("!".repeat(342))),
            ("alg", json!("RS512")),
            ("use", json!("enc")),
            ("kty", json!("EC")),
        ] {
            assert!(among(&[], &[(name, value)]).is_none(), "{name}");
        }
        assert!(KeySet::read(&http::Response::new(Bytes::from("{\"keys\":[]}"))).is_none());
    }

    #[test]
    fn what_has_not_three_parts_with_json_is_malformed() {
        let long = format!("{}.{}", TOKEN.trim(), "x".repeat(40_000));
        for text in ["", ".", "..", "a.b", "a.b.c", "a.b.c.d", "e30", "é.é.é", long.as_str()] {
            assert_eq!(keys().verify(text), Err(JwtError::Malformed), "{}", text.len());
        }
    }
}
