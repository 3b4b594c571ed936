//! The key with which Deputy authenticates at PingOne.

use std::fmt;

use serde_json::{Value, json};
use zeroize::Zeroizing;

use crate::{encoding::base64url_decode_all, secret::Secret};

/// A private RSA key (RFC 7518 §6.3.2). It signs with RS256, the algorithm of which PingOne's documentation is sure.
#[derive(Clone)]
pub struct ClientKey {
    /// `kid`, if the key has one.
    pub kid: Option<String>,
    /// The key as `RSAPrivateKey` of PKCS #1 (RFC 8017 §A.1.2), in DER.
    pub(crate) der: Secret<Vec<u8>>,
    modulus: String,
    exponent: String,
}

impl ClientKey {
    /// Parses a private JSON Web Key. The error is for the operator, and has no part of the key.
    pub fn parse(text: &str) -> Result<Self, &'static str> {
        let jwk: Value =
            serde_json::from_str(text).map_err(|_| "is not a JSON Web Key; make one with: deputy keys")?;
        let text = |name: &str| jwk.get(name).and_then(Value::as_str);
        if text("kty") != Some("RSA") {
            return Err("must be an RSA key; make one with: deputy keys");
        }
        if text("alg").is_some_and(|alg| alg != "RS256") {
            return Err("must be a key for RS256; make one with: deputy keys");
        }
        let mut numbers = Zeroizing::new(Vec::new());
        // Version 0: two primes.
        integer(&mut numbers, &[0]);
        for name in MEMBERS {
            let number = text(name).and_then(base64url_decode_all).map(Zeroizing::new);
            let number = number.filter(|number| !number.is_empty());
            integer(&mut numbers, &number.ok_or("is not a private key with n, e, d, p, q, dp, dq and qi")?);
        }
        let (modulus, exponent) = (text("n").unwrap_or_default(), text("e").unwrap_or_default());
        // RFC 7518 §3.3: 2048 bits or more. Signing with more than 4096 bits takes too long.
        if !(342..=683).contains(&modulus.len()) {
            return Err("must have 2048 to 4096 bits; make one with: deputy keys");
        }
        let mut der = Vec::new();
        element(&mut der, SEQUENCE, &numbers);
        Ok(Self {
            kid: text("kid").map(str::to_owned),
            der: Secret::new(der),
            modulus: modulus.to_owned(),
            exponent: exponent.to_owned(),
        })
    }

    /// The public key as a JSON Web Key, which the application in PingOne needs.
    pub fn public_jwk(&self) -> Value {
        let mut jwk =
            json!({ "kty": "RSA", "use": "sig", "alg": "RS256", "n": self.modulus, "e": self.exponent });
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

const INTEGER: u8 = 2;
const SEQUENCE: u8 = 0x30;

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
    fn value_that_is_no_private_key_is_refused_without_its_text() {
        for value in [
            "canary",
            "{}",
            r#"{"kty":"EC","crv":"P-256","d":"canary"}"#,
            r#"{"kty":"RSA","alg":"PS256","n":"canary"}"#,
            r#"{"kty":"RSA","n":"AQAB","e":"AQAB"}"#,
            r#"{"kty":"RSA","n":"AQAB","e":"AQAB","d":"AQAB","p":"AQAB","q":"AQAB","dp":"AQAB","dq":"AQAB","qi":"AQAB"}"#,
        ] {
            let error = ClientKey::parse(value).map(|_| ()).unwrap_err();
            assert!(!error.contains("canary"), "{error}");
        }
    }
}
