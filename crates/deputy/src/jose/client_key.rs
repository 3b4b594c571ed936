//! The key with which Deputy authenticates at PingOne.

use std::fmt;

use jsonwebtoken::{Algorithm, EncodingKey};
use p256::{elliptic_curve::sec1::ToEncodedPoint as _, pkcs8::EncodePrivateKey as _};
use rsa::{BigUint, RsaPrivateKey, pkcs1::EncodeRsaPrivateKey as _};
use serde_json::{Value, json};
use zeroize::Zeroizing;

use crate::{
    encoding::{base64url_decode, base64url_decode_all},
    secret::Secret,
};

/// A private key, for RS256 or for ES256.
#[derive(Clone)]
pub struct ClientKey {
    /// `kid`, if the key has one.
    pub kid: Option<String>,
    /// The key as the library of signatures takes it.
    der: Secret<Vec<u8>>,
    public: Public,
}

/// The members of a public key.
#[derive(Clone, PartialEq, Eq)]
enum Public {
    /// For RS256 (RFC 7518 §6.3.1). The private key is `RSAPrivateKey` of PKCS #1 (RFC 8017 §A.1.2), in DER.
    Rsa { n: String, e: String },
    /// For ES256 (RFC 7518 §6.2.1). The private key is `PrivateKeyInfo` of PKCS #8 (RFC 5208 §5), in DER.
    P256 { x: String, y: String },
}

impl ClientKey {
    /// Parses a private JSON Web Key (RFC 7517 §4). The error is for the operator, and has no part of the key.
    pub fn parse(text: &str) -> Result<Self, &'static str> {
        let jwk: Value =
            serde_json::from_str(text).map_err(|_| "is not a JSON Web Key; make one with: deputy keys")?;
        if jwk.get("keys").is_some() {
            return Err(
                "is a set of keys; it must be the new private key alone, and PingOne gets the public keys of both",
            );
        }
        let text = |name: &str| jwk.get(name).and_then(Value::as_str);
        let is_for = |algorithm: &str| text("alg").is_none_or(|alg| alg == algorithm);
        let (der, public) = match (text("kty"), text("crv")) {
            (Some("RSA"), _) if is_for("RS256") => rsa(text)?,
            (Some("EC"), Some("P-256")) if is_for("ES256") => p256(text)?,
            (Some("RSA" | "EC"), _) => {
                return Err("must be a key for RS256 or ES256; make one with: deputy keys");
            }
            _ => return Err("must be an RSA key or a key on P-256; make one with: deputy keys"),
        };
        Ok(Self { kid: text("kid").map(str::to_owned), der: Secret::new(der), public })
    }

    /// The algorithm of its signatures.
    pub(crate) const fn algorithm(&self) -> Algorithm {
        match self.public {
            Public::Rsa { .. } => Algorithm::RS256,
            Public::P256 { .. } => Algorithm::ES256,
        }
    }

    pub(crate) fn encoding_key(&self) -> EncodingKey {
        match self.public {
            Public::Rsa { .. } => EncodingKey::from_rsa_der(self.der.expose()),
            Public::P256 { .. } => EncodingKey::from_ec_der(self.der.expose()),
        }
    }

    /// Whether `jwk` is the public key, with the `kid` of the private key if that has one: `PingOne` chooses the key by it.
    pub fn is(&self, jwk: &Value) -> bool {
        let ours = self.public_jwk();
        let is_same = |member: &str| jwk.get(member) == ours.get(member);
        ["kty", "crv", "n", "e", "x", "y"].into_iter().all(is_same) && (self.kid.is_none() || is_same("kid"))
    }

    /// The public key as a JSON Web Key (RFC 7517 §4).
    pub fn public_jwk(&self) -> Value {
        let mut jwk = match &self.public {
            Public::Rsa { n, e } => json!({ "kty": "RSA", "use": "sig", "alg": "RS256", "n": n, "e": e }),
            Public::P256 { x, y } => {
                json!({ "kty": "EC", "use": "sig", "alg": "ES256", "crv": "P-256", "x": x, "y": y })
            }
        };
        if let Some(kid) = &self.kid {
            jwk["kid"] = json!(kid);
        }
        jwk
    }
}

impl fmt::Debug for ClientKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClientKey").field("kid", &self.kid).finish_non_exhaustive()
    }
}

/// Reads a private RSA key (RFC 7518 §6.3.2). `dp`, `dq` and `qi` follow from the other members.
fn rsa<'a>(text: impl Fn(&str) -> Option<&'a str>) -> Result<(Vec<u8>, Public), &'static str> {
    const MISSING: &str = "is not a private key with n, e, d, p and q";
    const WRONG: &str = "has n, e, d, p and q that do not fit together";
    let (n, e) = (text("n").unwrap_or_default().to_owned(), text("e").unwrap_or_default().to_owned());
    // RFC 7518 §3.3: 2048 bits or more. Signing with more than 4096 bits takes too long.
    if !(342..=683).contains(&n.len()) {
        return Err("must have 2048 to 4096 bits; make one with: deputy keys");
    }
    let number = |name: &str| {
        // A private number has at most the length of the modulus.
        let bytes = text(name).filter(|text| text.len() <= n.len()).and_then(base64url_decode_all);
        let bytes = Zeroizing::new(bytes.ok_or(MISSING)?);
        Ok::<_, &str>(BigUint::from_bytes_be(&bytes))
    };
    let primes = vec![number("p")?, number("q")?];
    let key = RsaPrivateKey::from_components(number("n")?, number("e")?, number("d")?, primes);
    let der = key.map_err(|_| WRONG)?.to_pkcs1_der().map_err(|_| WRONG)?;
    Ok((der.as_bytes().to_vec(), Public::Rsa { n, e }))
}

/// Reads a private key on P-256 (RFC 7518 §6.2.2).
fn p256<'a>(text: impl Fn(&str) -> Option<&'a str>) -> Result<(Vec<u8>, Public), &'static str> {
    const MISSING: &str = "is not a private key with x, y and d of 32 bytes each";
    const WRONG: &str = "has a point x, y that is not the one of d";
    let number = |name| text(name).and_then(base64url_decode::<32>).map(Zeroizing::new).ok_or(MISSING);
    let (x, y, d) = (number("x")?, number("y")?, number("d")?);
    let key = p256::SecretKey::from_slice(&*d).map_err(|_| WRONG)?;
    let point = key.public_key().to_encoded_point(false);
    // An uncompressed point (SEC 1 §2.3.3).
    if point.as_bytes() != [&[4][..], &*x, &*y].concat() {
        return Err(WRONG);
    }
    let der = key.to_pkcs8_der().map_err(|_| WRONG)?;
    let member = |name| text(name).unwrap_or_default().to_owned();
    Ok((der.as_bytes().to_vec(), Public::P256 { x: member("x"), y: member("y") }))
}

#[cfg(test)]
mod tests {
    use super::*;

    const RSA_KEY: &str = include_str!("../../../../tests/requests/pingone_client_key.json");
    const P256_KEY: &str = include_str!("../../../../tests/requests/pingone_p256_key.json");

    /// The key with another member.
    fn changed(key: &str, member: &str, value: Value) -> Result<ClientKey, &'static str> {
        let mut jwk: Value = serde_json::from_str(key).unwrap();
        jwk[member] = value;
        ClientKey::parse(&jwk.to_string())
    }

    #[test]
    fn public_key_under_another_kid_is_another_key() {
        let key = |kid: Value| changed(P256_KEY, "kid", kid).unwrap();
        let (with_kid, without) = (key(json!("1")), key(Value::Null));
        assert!(with_kid.is(&with_kid.public_jwk()));
        assert!(!with_kid.is(&key(json!("2")).public_jwk()) && !with_kid.is(&without.public_jwk()));
        assert!(without.is(&with_kid.public_jwk()));
    }

    #[test]
    fn private_key_of_another_public_key_is_refused() {
        // 32 bytes.
        let other = json!(format!("{}AQE", "AQEB".repeat(10)));
        for member in ["x", "y", "d"] {
            assert!(changed(P256_KEY, member, other.clone()).is_err(), "{member}");
        }
        let twice = serde_json::from_str::<Value>(RSA_KEY).unwrap()["p"].clone();
        for (member, value) in [("d", json!("AQAB")), ("e", json!("Aw")), ("p", json!("")), ("q", twice)] {
            assert!(changed(RSA_KEY, member, value).is_err(), "{member}");
        }
        let long = json!("A".repeat(100_000));
        assert!(changed(RSA_KEY, "d", long).is_err());
    }

    #[test]
    fn value_that_is_no_private_key_is_refused_without_its_text() {
        for value in [
            "canary",
            "{}",
            r#"{"kty":"EC","crv":"P-256","d":"canary"}"#,
            r#"{"kty":"EC","crv":"P-384","d":"canary"}"#,
            r#"{"kty":"oct","k":"canary"}"#,
            r#"{"keys":["canary"]}"#,
            r#"{"kty":"RSA","alg":"PS256","n":"canary"}"#,
            r#"{"kty":"RSA","n":"AQAB","e":"AQAB"}"#,
            r#"{"kty":"RSA","n":"AQAB","e":"AQAB","d":"AQAB","p":"AQAB","q":"AQAB","dp":"AQAB","dq":"AQAB","qi":"AQAB"}"#,
        ] {
            let error = ClientKey::parse(value).map(|_| ()).unwrap_err();
            assert!(!error.contains("canary"), "{error}");
        }
    }
}
