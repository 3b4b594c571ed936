//! The keys with which Deputy authenticates at PingOne.

use std::fmt;

use jsonwebtoken::{Algorithm, EncodingKey};
use serde_json::{Value, json};
use zeroize::Zeroizing;

use crate::{
    encoding::{base64url_decode, base64url_decode_all},
    secret::Secret,
};

/// The private keys of one or more key pairs. The first one signs. Of the others, `deputy keys --replacing` prints the public keys;
/// a server does not use them.
#[derive(Clone, Debug)]
pub struct ClientKeyRing {
    signs: ClientKey,
    others: Vec<ClientKey>,
}

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

impl ClientKeyRing {
    /// Parses a private JSON Web Key, or a set of up to four of them (RFC 7517 §5). The error is for the operator, and has no
    /// part of a key.
    pub fn parse(text: &str) -> Result<Self, &'static str> {
        let json: Value =
            serde_json::from_str(text).map_err(|_| "is not a JSON Web Key; make one with: deputy keys")?;
        let Some(keys) = json.get("keys").and_then(Value::as_array) else {
            return Ok(Self { signs: ClientKey::read(&json)?, others: Vec::new() });
        };
        if !(1..=MOST_KEYS).contains(&keys.len()) {
            return Err("must have one to four keys");
        }
        let mut keys = keys.iter().map(ClientKey::read).collect::<Result<Vec<_>, _>>()?;
        // PingOne chooses the key by its `kid`.
        let has_own_kid = |(at, key): (usize, &ClientKey)| {
            key.kid.is_some() && keys[..at].iter().all(|other| other.kid != key.kid)
        };
        if keys.len() > 1 && !keys.iter().enumerate().all(has_own_kid) {
            return Err("has several keys, each of which needs a kid of its own");
        }
        Ok(Self { signs: keys.remove(0), others: keys })
    }

    /// The key that signs.
    pub const fn first(&self) -> &ClientKey {
        &self.signs
    }

    /// The set of the public keys (RFC 7517 §5), which the application in PingOne needs.
    pub fn public_jwks(&self) -> Value {
        let keys: Vec<_> = [&self.signs].into_iter().chain(&self.others).map(ClientKey::public_jwk).collect();
        json!({ "keys": keys })
    }
}

impl ClientKey {
    fn read(jwk: &Value) -> Result<Self, &'static str> {
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

/// Reads a private RSA key (RFC 7518 §6.3.2).
fn rsa<'a>(text: impl Fn(&str) -> Option<&'a str>) -> Result<(Vec<u8>, Public), &'static str> {
    let mut numbers = Zeroizing::new(Vec::new());
    // Version 0: two primes.
    integer(&mut numbers, &[0]);
    for name in MEMBERS {
        let number = text(name).and_then(base64url_decode_all).map(Zeroizing::new);
        let number = number.filter(|number| !number.is_empty());
        integer(&mut numbers, &number.ok_or("is not a private key with n, e, d, p, q, dp, dq and qi")?);
    }
    let (n, e) = (text("n").unwrap_or_default().to_owned(), text("e").unwrap_or_default().to_owned());
    // RFC 7518 §3.3: 2048 bits or more. Signing with more than 4096 bits takes too long.
    if !(342..=683).contains(&n.len()) {
        return Err("must have 2048 to 4096 bits; make one with: deputy keys");
    }
    let mut der = Vec::new();
    element(&mut der, SEQUENCE, &numbers);
    Ok((der, Public::Rsa { n, e }))
}

/// Reads a private key on P-256 (RFC 7518 §6.2.2).
fn p256<'a>(text: impl Fn(&str) -> Option<&'a str>) -> Result<(Vec<u8>, Public), &'static str> {
    const MISSING: &str = "is not a private key with x, y and d of 32 bytes each";
    let number = |name| text(name).and_then(base64url_decode::<32>).map(Zeroizing::new).ok_or(MISSING);
    let (x, y, d) = (number("x")?, number("y")?, number("d")?);
    // `ECPrivateKey` (RFC 5915 §3) with the public key, which must be the one of the private key.
    let mut key = Zeroizing::new(Vec::new());
    integer(&mut key, &[1]);
    element(&mut key, OCTET_STRING, &*d);
    // No unused bits, and an uncompressed point (SEC 1 §2.3.3).
    let point = [&[0, 4][..], &*x, &*y].concat();
    let mut bits = Vec::new();
    element(&mut bits, BIT_STRING, &point);
    element(&mut key, PUBLIC_KEY, &bits);
    let mut sequence = Zeroizing::new(Vec::new());
    element(&mut sequence, SEQUENCE, &key);
    let mut info = Zeroizing::new(Vec::new());
    integer(&mut info, &[0]);
    let mut algorithm = Vec::new();
    element(&mut algorithm, OBJECT_IDENTIFIER, &EC_PUBLIC_KEY);
    element(&mut algorithm, OBJECT_IDENTIFIER, &PRIME256V1);
    element(&mut info, SEQUENCE, &algorithm);
    element(&mut info, OCTET_STRING, &sequence);
    let mut der = Vec::new();
    element(&mut der, SEQUENCE, &info);
    let member = |name| text(name).unwrap_or_default().to_owned();
    Ok((der, Public::P256 { x: member("x"), y: member("y") }))
}

/// Appends an INTEGER of DER that is not negative.
fn integer(der: &mut Vec<u8>, big_endian: &[u8]) {
    let first = big_endian.iter().position(|byte| *byte != 0).unwrap_or(big_endian.len() - 1);
    let digits = &big_endian[first..];
    // A leading one would be the sign.
    let padded = Zeroizing::new(if digits[0] < 0x80 { digits.to_vec() } else { [&[0], digits].concat() });
    element(der, INTEGER, &padded);
}

/// Appends an element of DER, with its length in the shortest form.
fn element(der: &mut Vec<u8>, tag: u8, content: &[u8]) {
    der.push(tag);
    let length = content.len().to_be_bytes();
    let digits = &length[length.iter().position(|byte| *byte != 0).unwrap_or(length.len() - 1)..];
    if content.len() >= 0x80 {
        // A length has at most eight bytes.
        der.push(0x80 | u8::try_from(digits.len()).unwrap_or_default());
    }
    der.extend_from_slice(digits);
    der.extend_from_slice(content);
}

/// The members of the key, in the order of `RSAPrivateKey`.
const MEMBERS: [&str; 8] = ["n", "e", "d", "p", "q", "dp", "dq", "qi"];

/// Private keys in one value: an old and a new one, and room for a rotation that was not finished.
const MOST_KEYS: usize = 4;

/// 1.2.840.10045.2.1 (RFC 5480 §2.1.1).
const EC_PUBLIC_KEY: [u8; 7] = [0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01];
/// 1.2.840.10045.3.1.7 (RFC 5480 §2.1.1.1).
const PRIME256V1: [u8; 8] = [0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07];

const INTEGER: u8 = 2;
const BIT_STRING: u8 = 3;
const OCTET_STRING: u8 = 4;
const OBJECT_IDENTIFIER: u8 = 6;
const SEQUENCE: u8 = 0x30;
/// `publicKey` of `ECPrivateKey`: context-specific, constructed, number 1.
const PUBLIC_KEY: u8 = 0xa1;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn element_of_der_has_the_shortest_length() {
        let der = |content: &[u8]| {
            let mut der = Vec::new();
            element(&mut der, SEQUENCE, content);
            der
        };
        assert_eq!(der(&[]), [0x30, 0]);
        assert_eq!(der(&[7; 127])[..2], [0x30, 127]);
        assert_eq!(der(&[7; 128])[..3], [0x30, 0x81, 128]);
        assert_eq!(der(&[7; 256])[..4], [0x30, 0x82, 1, 0]);
    }

    #[test]
    fn integer_of_der_is_positive_and_without_padding() {
        let der = |number: &[u8]| {
            let mut der = Vec::new();
            integer(&mut der, number);
            der
        };
        assert_eq!(der(&[0]), [2, 1, 0]);
        assert_eq!(der(&[0, 0, 5]), [2, 1, 5]);
        assert_eq!(der(&[0x80]), [2, 2, 0, 0x80]);
    }

    #[test]
    fn public_key_under_another_kid_is_another_key() {
        let number = format!("{}AQE", "AQEB".repeat(10));
        let key = |kid: Value| {
            let jwk =
                json!({ "kty": "EC", "crv": "P-256", "x": number, "y": number, "d": number, "kid": kid });
            ClientKeyRing::parse(&jwk.to_string()).unwrap().first().clone()
        };
        let (with_kid, without) = (key(json!("1")), key(Value::Null));
        assert!(with_kid.is(&with_kid.public_jwk()));
        assert!(!with_kid.is(&key(json!("2")).public_jwk()) && !with_kid.is(&without.public_jwk()));
        assert!(without.is(&with_kid.public_jwk()));
    }

    #[test]
    fn value_that_is_no_private_key_is_refused_without_its_text() {
        for value in [
            "canary",
            "{}",
            r#"{"kty":"EC","crv":"P-256","d":"canary"}"#,
            r#"{"kty":"EC","crv":"P-384","d":"canary"}"#,
            r#"{"kty":"oct","k":"canary"}"#,
            r#"{"keys":[]}"#,
            r#"{"keys":["canary"]}"#,
            r#"{"kty":"RSA","alg":"PS256","n":"canary"}"#,
            r#"{"kty":"RSA","n":"AQAB","e":"AQAB"}"#,
            r#"{"kty":"RSA","n":"AQAB","e":"AQAB","d":"AQAB","p":"AQAB","q":"AQAB","dp":"AQAB","dq":"AQAB","qi":"AQAB"}"#,
        ] {
            let error = ClientKeyRing::parse(value).map(|_| ()).unwrap_err();
            assert!(!error.contains("canary"), "{error}");
        }
    }
}
