//! Signatures and keys of JSON Web Tokens. A key is for one algorithm, and a key set has those that its application
//! supports (RFC 8725 §3.1): RS256 for `PingOne`, RS256 and ES256 for clients. Deputy itself signs with one of the two.

mod client_key;

use bytes::Bytes;
use jsonwebtoken::{Algorithm, DecodingKey, Header, Validation};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::{
    encoding::{base64url_decode, base64url_decode_all},
    secret::Secret,
    types::ClientIdUrl,
};

pub use client_key::ClientKey;

/// Signing keys, from a JWK set (RFC 7517 §5).
#[derive(Clone, Debug, Default)]
pub struct KeySet {
    keys: Vec<Jwk>,
    algorithms: &'static [Algorithm],
}

#[derive(Clone, Debug)]
struct Jwk {
    kid: Option<String>,
    key: Key,
}

/// A public key. Its type determines the algorithm, which the header of a token cannot change.
#[derive(Clone, Debug)]
enum Key {
    /// For RS256.
    Rsa { modulus: String, exponent: String },
    /// For ES256.
    P256 { x: String, y: String },
}

/// The public keys of a client (RFC 7591 §2).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ClientKeys {
    /// `jwks`.
    #[serde(rename = "jwks")]
    Inline(Value),
    /// `jwks_uri`.
    #[serde(rename = "jwks_uri")]
    AtUrl(ClientIdUrl),
}

impl ClientKeys {
    /// Reads `jwks`, or else `jwks_uri`, whose URL follows the rules for a `client_id`. `None` if no key can be used.
    pub fn read(jwks: Option<&Value>, jwks_uri: Option<&str>) -> Option<Self> {
        match jwks {
            Some(jwks) => KeySet::of_client(jwks).map(|_| Self::Inline(jwks.clone())),
            None => ClientIdUrl::parse(jwks_uri?).ok().map(Self::AtUrl),
        }
    }
}

/// Whether `jwks` has a private or symmetric key: one with a member `d`, `k`, `p` or `q` (RFC 7518 §6).
pub(crate) fn has_private_key(jwks: &Value) -> bool {
    let keys = jwks.get("keys").and_then(Value::as_array);
    keys.into_iter().flatten().any(|key| ["d", "k", "p", "q"].iter().any(|member| key.get(member).is_some()))
}

/// Why a JSON Web Token is rejected.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum JwtError {
    /// `alg` is not one of the algorithms of the key set.
    #[error("the token is not signed with an algorithm that is accepted")]
    Algorithm,
    /// The header has `crit`: extensions that must be understood (RFC 7515 §4.1.11). This server supports no extension.
    #[error("the token has a critical extension")]
    Critical,
    /// The token does not consist of three parts in base64url, with JSON in the first two.
    #[error("the token is malformed")]
    Malformed,
    /// The signature is wrong.
    #[error("the signature of the token is wrong")]
    Signature,
    /// The key set has no key with the `kid` of the token.
    #[error("the token is signed with an unknown key")]
    UnknownKey,
}

impl JwtError {
    /// Whether the token could be valid with keys that the signer published since the key set was fetched.
    pub const fn may_pass_with_other_keys(self) -> bool {
        match self {
            Self::Signature | Self::UnknownKey => true,
            Self::Algorithm | Self::Critical | Self::Malformed => false,
        }
    }
}

impl KeySet {
    /// Reads the JWK set of `PingOne` from its response. Keys of other types, or for other uses, are skipped; `alg` may be
    /// missing, as in the keys of `PingOne`. `None` if no usable key is left.
    pub fn read(response: &http::Response<Bytes>) -> Option<Self> {
        if response.status() != http::StatusCode::OK {
            return None;
        }
        Self::parse(&serde_json::from_slice(response.body()).ok()?, &[Algorithm::RS256], usize::MAX)
    }

    /// Reads the JWK set of a client. Only the first 16 usable keys are used, since each may be tried.
    pub fn of_client(jwks: &Value) -> Option<Self> {
        Self::parse(jwks, &[Algorithm::RS256, Algorithm::ES256], 16)
    }

    fn parse(jwks: &Value, algorithms: &'static [Algorithm], most: usize) -> Option<Self> {
        let keys = jwks.get("keys")?.as_array()?.iter().filter_map(Jwk::read);
        let keys: Vec<_> = keys.filter(|key| algorithms.contains(&key.algorithm())).take(most).collect();
        (!keys.is_empty()).then_some(Self { keys, algorithms })
    }

    /// Verifies the signature of a token, and returns its claims. The caller has to verify the claims.
    pub fn verify(&self, token: &str) -> Result<Map<String, Value>, JwtError> {
        let header = header(token).ok_or(JwtError::Malformed)?;
        let algorithm = match header.get("alg").and_then(Value::as_str) {
            Some("RS256") => Algorithm::RS256,
            Some("ES256") => Algorithm::ES256,
            _ => return Err(JwtError::Algorithm),
        };
        if !self.algorithms.contains(&algorithm) {
            return Err(JwtError::Algorithm);
        }
        if header.contains_key("crit") {
            return Err(JwtError::Critical);
        }
        // The header selects one of the fetched keys. A key in the header (`jwk`, `jku`, `x5c`) is ignored. RFC 7517
        // §4.5: `kid` is optional in the token and in the key, and several keys may have the same.
        let kid = header.get("kid").and_then(Value::as_str);
        let matches = |key: &&Jwk| {
            key.algorithm() == algorithm && (kid.is_none() || key.kid.is_none() || key.kid.as_deref() == kid)
        };
        let mut result = Err(JwtError::UnknownKey);
        for key in self.keys.iter().filter(matches) {
            result = key.verify(token);
            if result != Err(JwtError::Signature) {
                break;
            }
        }
        result
    }
}

impl Jwk {
    fn read(key: &Value) -> Option<Self> {
        let text = |name| key.get(name).and_then(Value::as_str);
        let signs_with = |algorithm: &str| {
            text("use").is_none_or(|r#use| r#use == "sig") && text("alg").is_none_or(|alg| alg == algorithm)
        };
        let key = match text("kty")? {
            "RSA" if signs_with("RS256") => {
                let (modulus, exponent) = (text("n")?, text("e")?);
                // RFC 7518 §3.3: the modulus must have 2048 bits or more. Both numbers must be base64url (§6.3.1).
                let is_number = |text| base64url_decode_all(text).is_some();
                let usable = (342..=1400).contains(&modulus.len()) && exponent.len() <= 8;
                let (modulus, exponent) = (usable && is_number(modulus) && is_number(exponent))
                    .then(|| (modulus.to_owned(), exponent.to_owned()))?;
                Key::Rsa { modulus, exponent }
            }
            // RFC 7518 §6.2.1: both coordinates have 32 bytes.
            "EC" if text("crv") == Some("P-256") && signs_with("ES256") => {
                let coordinate = |name| text(name).filter(|text| base64url_decode::<32>(text).is_some());
                Key::P256 { x: coordinate("x")?.to_owned(), y: coordinate("y")?.to_owned() }
            }
            _ => return None,
        };
        Some(Self { kid: text("kid").map(str::to_owned), key })
    }

    const fn algorithm(&self) -> Algorithm {
        match self.key {
            Key::Rsa { .. } => Algorithm::RS256,
            Key::P256 { .. } => Algorithm::ES256,
        }
    }

    fn verify(&self, token: &str) -> Result<Map<String, Value>, JwtError> {
        // A token cannot be signed with a key that is not valid.
        let key = match &self.key {
            Key::Rsa { modulus, exponent } => DecodingKey::from_rsa_components(modulus, exponent),
            Key::P256 { x, y } => DecodingKey::from_ec_components(x, y),
        };
        let key = key.map_err(|_| JwtError::Signature)?;
        // The library would read the system's clock. Callers verify the claims with the time that they get.
        let mut signature_only = Validation::new(self.algorithm());
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

/// Signs a token. `None` if the numbers of the key do not belong together.
pub(crate) fn sign(claims: &Value, key: &ClientKey) -> Option<Secret<String>> {
    let mut header = Header::new(key.algorithm());
    header.kid.clone_from(&key.kid);
    jsonwebtoken::encode(&header, claims, &key.encoding_key()).ok().map(Secret::new)
}

/// Decodes the claims of a token without verifying it: of a token that was verified before it was stored, or to find the
/// keys of a client.
pub(crate) fn decode_claims(token: &str) -> Option<Map<String, Value>> {
    let claims = token.split('.').nth(1)?;
    serde_json::from_slice(&base64url_decode_all(claims)?).ok()
}

/// Decodes the header of a token of at most 32 KiB with three parts.
fn header(token: &str) -> Option<Map<String, Value>> {
    if token.len() > 32 * 1024 {
        return None;
    }
    let (header, rest) = token.split_once('.')?;
    let (_, signature) = rest.split_once('.')?;
    if signature.contains('.') {
        return None;
    }
    serde_json::from_slice(&base64url_decode_all(header)?).ok()
}

/// The audiences in `aud`, which is a string or a list of strings (RFC 7519 §4.1.3). Empty if the claim is missing or
/// has another type.
pub(crate) fn audiences(claims: &Map<String, Value>) -> Vec<&str> {
    match claims.get("aud") {
        Some(Value::String(audience)) => vec![audience],
        Some(Value::Array(audiences)) => audiences.iter().filter_map(Value::as_str).collect(),
        _ => Vec::new(),
    }
}

/// A claim of the type `NumericDate` (RFC 7519 §2: seconds since 1970, maybe with a fraction), in whole seconds.
pub(crate) fn numeric_date(claims: &Map<String, Value>, name: &str) -> Option<u64> {
    let value = claims.get(name)?;
    // The fraction is dropped.
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "checked to be in range")]
    value.as_u64().or_else(|| value.as_f64().filter(|v| (0.0..1e12).contains(v)).map(|v| v as u64))
}

/// Seconds by which the clocks of the signer and of this server may differ.
pub(crate) const LEEWAY: u64 = 60;

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::encoding::base64url_encode;

    const KEYS: &str = include_str!("../../../../fuzz/fixtures/keys.json");
    const TOKEN: &str = include_str!("../../../../fuzz/fixtures/token.txt");

    fn keys() -> KeySet {
        KeySet::read(&http::Response::new(Bytes::from(KEYS))).expect("keys")
    }

    /// The valid token with another header.
    fn with_header(header: &Value) -> String {
        let (_, rest) = TOKEN.trim().split_once('.').expect("parts");
        format!("{}.{rest}", base64url_encode(header.to_string().as_bytes()))
    }

    #[test]
    fn signed_token_is_accepted() {
        assert_eq!(keys().verify(TOKEN.trim()).expect("good")["sub"], "alice");
    }

    #[test]
    fn algorithm_other_than_rs256_is_refused() {
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
    fn key_in_the_token_header_is_not_used() {
        let jwk = serde_json::from_str::<Value>(KEYS).expect("JSON")["keys"][0].clone();
        let bringing =
            json!({ "alg": "RS256", "kid": "mine", "jwk": jwk, "jku": "https://evil.example/keys" });
        assert_eq!(keys().verify(&with_header(&bringing)), Err(JwtError::UnknownKey));
        let unnamed = with_header(&json!({ "alg": "RS256", "jwk": jwk }));
        assert_eq!(
            keys().verify(&unnamed),
            Err(JwtError::Signature),
            "the key in the set did not sign this header"
        );
    }

    #[test]
    fn empty_altered_or_foreign_signature_is_refused() {
        let token = TOKEN.trim();
        let (message, signature) = token.rsplit_once('.').expect("parts");
        let flipped = if signature.starts_with('A') { "B" } else { "A" };
        let flipped = format!("{flipped}{}", &signature[1..]);
        for wrong in ["", "AAAA", "!!!!", flipped.as_str(), &signature[..signature.len() - 4]] {
            assert_eq!(keys().verify(&format!("{message}.{wrong}")), Err(JwtError::Signature), "{wrong}");
        }
        let (header, _) = message.split_once('.').expect("parts");
        let claims = base64url_encode(br#"{"sub":"mallory"}"#);
        assert_eq!(keys().verify(&format!("{header}.{claims}.{signature}")), Err(JwtError::Signature));
        // The header is signed too.
        let added = json!({ "alg": "RS256", "kid": "one", "x": 1 });
        assert_eq!(keys().verify(&with_header(&added)), Err(JwtError::Signature));
    }

    /// The key set with the keys `before` and the valid key, in which the members `changed` are replaced.
    fn key_set(before: &[Value], changed: &[(&str, Value)]) -> Option<KeySet> {
        let mut key = serde_json::from_str::<Value>(KEYS).expect("JSON")["keys"][0].clone();
        for (name, value) in changed {
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
        assert!(key_set(&others, &[]).expect("keys").verify(TOKEN.trim()).is_ok());
    }

    #[test]
    fn every_key_with_the_kid_or_without_a_kid_is_tried() {
        let broken = json!({ "kty": "RSA", "kid": "one", "n": "A".repeat(342), "e": "AQAB" });
        let twins = key_set(&[foreign("one"), broken], &[]).expect("keys");
        assert!(twins.verify(TOKEN.trim()).is_ok());
        let unnamed = key_set(&[foreign("other")], &[("kid", Value::Null)]).expect("keys");
        assert!(unnamed.verify(TOKEN.trim()).is_ok());
    }

    #[test]
    fn key_set_without_a_usable_key_is_refused() {
        for (name, value) in [
            ("n", json!("!".repeat(342))),
            ("alg", json!("RS512")),
            ("use", json!("enc")),
            ("kty", json!("EC")),
        ] {
            assert!(key_set(&[], &[(name, value)]).is_none(), "{name}");
        }
        assert!(KeySet::read(&http::Response::new(Bytes::from("{\"keys\":[]}"))).is_none());
    }

    #[test]
    fn token_without_three_parts_and_json_is_malformed() {
        let long = format!("{}.{}", TOKEN.trim(), "x".repeat(40_000));
        for text in ["", ".", "..", "a.b", "a.b.c", "a.b.c.d", "e30", "é.é.é", long.as_str()] {
            assert_eq!(keys().verify(text), Err(JwtError::Malformed), "{}", text.len());
        }
    }
}
