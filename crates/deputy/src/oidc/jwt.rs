//! JSON Web Tokens of `PingOne`: signatures and keys. RS256 and nothing else (RFC 8725 §3.1).

use jsonwebtoken::{Algorithm, DecodingKey, Validation};
use serde_json::{Map, Value};

use super::{Response, object};

/// The signing keys of `PingOne` (RFC 7517 §5).
#[derive(Clone, Debug, Default)]
pub struct KeySet(Vec<Key>);

#[derive(Clone, Debug)]
struct Key {
    kid: String,
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
    /// No key with this `kid`. The caller fetches the keys again, once.
    #[error("the token is signed with an unknown key")]
    UnknownKey,
}

impl KeySet {
    /// Reads a JWK set. Keys for other uses or of other types are passed over; `PingOne` does not say `alg`.
    pub fn read(response: &Response) -> Option<Self> {
        let members = object(response)?;
        let keys = members.get("keys")?.as_array()?.iter().filter_map(|key| {
            let text = |name| key.get(name).and_then(Value::as_str);
            let signing = text("kty") == Some("RSA") && text("use").is_none_or(|r#use| r#use == "sig");
            let (kid, modulus, exponent) = (text("kid")?, text("n")?, text("e")?);
            // RFC 7518 §3.3: 2048 bits or more.
            (signing && (342..=1400).contains(&modulus.len()) && exponent.len() <= 8).then(|| Key {
                kid: kid.into(),
                modulus: modulus.into(),
                exponent: exponent.into(),
            })
        });
        let keys: Vec<_> = keys.take(50).collect();
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
        // The header chooses among our keys; it cannot bring one (`jwk`, `jku`, `x5c` are not looked at).
        let kid = header.get("kid").and_then(Value::as_str).ok_or(JwtError::UnknownKey)?;
        let key = self.0.iter().find(|key| key.kid == kid).ok_or(JwtError::UnknownKey)?;
        let key = DecodingKey::from_rsa_components(&key.modulus, &key.exponent)
            .map_err(|_| JwtError::UnknownKey)?;
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

fn header(token: &str) -> Option<Map<String, Value>> {
    use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};

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

/// Whether `aud` names `audience` (RFC 7519 §4.1.3: one string or a list).
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
    use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
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
        assert_eq!(
            keys().verify(&with_header(&json!({ "alg": "RS256", "jwk": jwk }))),
            Err(JwtError::UnknownKey)
        );
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

    #[test]
    fn what_has_not_three_parts_with_json_is_malformed() {
        let long = format!("{}.{}", TOKEN.trim(), "x".repeat(40_000));
        for text in ["", ".", "..", "a.b", "a.b.c", "a.b.c.d", "e30", "é.é.é", long.as_str()] {
            assert_eq!(keys().verify(text), Err(JwtError::Malformed), "{}", text.len());
        }
    }
}
