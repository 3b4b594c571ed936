//! Signing keys.

use std::{
    collections::HashMap,
    sync::{Mutex, OnceLock, PoisonError},
};

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use rand_chacha::{ChaCha20Rng, rand_core::SeedableRng as _};
use rsa::{
    RsaPrivateKey,
    pkcs1::EncodeRsaPrivateKey as _,
    pkcs8::{EncodePublicKey as _, LineEnding},
    traits::PublicKeyParts as _,
};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use crate::failure::Signature;

/// An RSA key of 2048 bits that follows from its seed.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct SigningKey {
    pub(crate) kid: String,
    seed: [u8; 32],
}

struct Material {
    der: Vec<u8>,
    pem: String,
    modulus: String,
    exponent: String,
}

impl SigningKey {
    pub(crate) fn new(kid: String, seed: [u8; 32]) -> Self {
        Self { kid, seed }
    }

    /// As PingOne publishes it: without `alg`.
    pub(crate) fn jwk(&self) -> Value {
        self.with(
            |key| json!({"kty": "RSA", "use": "sig", "kid": self.kid, "n": key.modulus, "e": key.exponent}),
        )
    }

    pub(crate) fn sign(&self, claims: &Map<String, Value>) -> String {
        let mut header = Header::new(Algorithm::RS256);
        header.kid = Some(self.kid.clone());
        header.typ = None;
        self.with(|key| jsonwebtoken::encode(&header, claims, &EncodingKey::from_rsa_der(&key.der)))
            .expect("an RSA key signs")
    }

    /// A token that is signed wrongly.
    pub(crate) fn missign(
        &self,
        claims: &Map<String, Value>,
        signature: Signature,
        other: &Self,
        secret: &str,
    ) -> String {
        let renamed = |key: &Self, kid: &str| Self { kid: kid.to_owned(), seed: key.seed }.sign(claims);
        let hmac = |secret: &[u8]| {
            let mut header = Header::new(Algorithm::HS256);
            header.kid = Some(self.kid.clone());
            jsonwebtoken::encode(&header, claims, &EncodingKey::from_secret(secret))
                .expect("any secret signs")
        };
        let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
        let unsigned = |alg: &str| {
            let header = json!({"alg": alg, "kid": self.kid});
            format!("{}.{}.", part(&header), part(&Value::Object(claims.clone())))
        };
        let with_signature = |change: &dyn Fn(&str) -> String| {
            let token = self.sign(claims);
            let (signed, signature) = token.rsplit_once('.').unwrap_or_default();
            format!("{signed}.{}", change(signature))
        };
        match signature {
            Signature::AlgNone => unsigned("none"),
            Signature::AlgNoneInOtherCase => unsigned("nOnE"),
            Signature::ClientSecret => hmac(secret.as_bytes()),
            Signature::Critical => {
                let token = self.sign(claims);
                let header = json!({"alg": "RS256", "kid": self.kid, "crit": ["b64"], "b64": false});
                let (_, rest) = token.split_once('.').unwrap_or_default();
                format!("{}.{rest}", part(&header))
            }
            Signature::EmbeddedKey => {
                let mut header = Header::new(Algorithm::RS256);
                header.kid = Some(self.kid.clone());
                header.jwk = serde_json::from_value(other.jwk()).ok();
                other
                    .with(|key| jsonwebtoken::encode(&header, claims, &EncodingKey::from_rsa_der(&key.der)))
                    .expect("an RSA key signs")
            }
            Signature::Empty => with_signature(&|_| String::new()),
            Signature::Flipped => with_signature(&|signature| {
                let mut bytes = URL_SAFE_NO_PAD.decode(signature).unwrap_or_default();
                bytes.iter_mut().take(1).for_each(|byte| *byte ^= 1);
                URL_SAFE_NO_PAD.encode(bytes)
            }),
            Signature::Garbage => with_signature(&|_| "!!!!".to_owned()),
            Signature::OtherKey => renamed(other, &self.kid),
            Signature::PublicKey => hmac(self.with(|key| key.modulus.clone()).as_bytes()),
            Signature::PublicKeyPem => hmac(self.with(|key| key.pem.clone()).as_bytes()),
            Signature::UnknownKid => renamed(self, "00000000-0000-4000-8000-000000000000"),
        }
    }

    /// Making a key takes a second, so each is made once in a process.
    fn with<T>(&self, act: impl FnOnce(&Material) -> T) -> T {
        static MADE: OnceLock<Mutex<HashMap<[u8; 32], Material>>> = OnceLock::new();
        let mut made = MADE.get_or_init(Mutex::default).lock().unwrap_or_else(PoisonError::into_inner);
        act(made.entry(self.seed).or_insert_with(|| {
            let key = RsaPrivateKey::new(&mut ChaCha20Rng::from_seed(self.seed), 2048)
                .expect("2048 bits are enough");
            Material {
                der: key.to_pkcs1_der().expect("a key that was just made").as_bytes().to_vec(),
                pem: key.to_public_key().to_public_key_pem(LineEnding::LF).expect("a key that was just made"),
                modulus: URL_SAFE_NO_PAD.encode(key.n().to_bytes_be()),
                exponent: URL_SAFE_NO_PAD.encode(key.e().to_bytes_be()),
            }
        }))
    }
}
