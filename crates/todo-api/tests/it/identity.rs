//! Access tokens like PingOne's. The tests of `todo` use this module, too.

use std::sync::LazyLock;

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use jsonwebtoken::{Algorithm, EncodingKey, Header, encode};
use rsa::{RsaPrivateKey, pkcs1::EncodeRsaPrivateKey as _, rand_core::OsRng, traits::PublicKeyParts as _};
use serde_json::{Value, json};

pub const ISSUER: &str = "https://auth.pingone.eu/5b7ab0a0-2f4c-4b0c-9a4e-3d6f6a1f0e11/as";
pub const AUDIENCE: &str = "https://todo.example";
pub const NOW: u64 = 1_790_000_000;

/// The key that the issuer publishes.
pub static CURRENT: LazyLock<Key> = LazyLock::new(|| Key::generate("current", 2048));

pub struct Key {
    pub kid: &'static str,
    private: RsaPrivateKey,
    encoding: EncodingKey,
}

impl Key {
    pub fn generate(kid: &'static str, bits: usize) -> Self {
        let private = RsaPrivateKey::new(&mut OsRng, bits).unwrap();
        let encoding = EncodingKey::from_rsa_der(private.to_pkcs1_der().unwrap().as_bytes());
        Self { kid, private, encoding }
    }

    /// The public key, with the members that PingOne publishes.
    pub fn jwk(&self) -> Value {
        let part = |number: &rsa::BigUint| URL_SAFE_NO_PAD.encode(number.to_bytes_be());
        json!({
            "kty": "RSA", "use": "sig", "kid": self.kid, "n": part(self.private.n()), "e": part(self.private.e()),
        })
    }

    pub fn header(&self) -> Header {
        Header { typ: None, kid: Some(self.kid.to_owned()), ..Header::new(Algorithm::RS256) }
    }

    pub fn sign(&self, header: &Header, claims: &Value) -> String {
        encode(header, claims, &self.encoding).unwrap()
    }
}

/// The claims of an access token of `subject` with both scopes.
pub fn claims(subject: &str) -> Value {
    json!({
        "iss": ISSUER, "sub": subject, "aud": [AUDIENCE], "scope": "openid todo:read todo:write",
        "iat": NOW, "exp": NOW + 3600, "client_id": "deputy", "jti": "1", "acr": "policy",
    })
}

/// A valid access token of `subject` with both scopes.
pub fn token(subject: &str) -> String {
    CURRENT.sign(&CURRENT.header(), &claims(subject))
}

/// A valid access token of `subject` with `scope` only.
pub fn token_for(subject: &str, scope: &str) -> String {
    let mut claims = claims(subject);
    claims["scope"] = json!(scope);
    CURRENT.sign(&CURRENT.header(), &claims)
}
