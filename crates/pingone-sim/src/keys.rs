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

use crate::{environment::SimEnvironment, random};

/// An RSA key of 2048 bits, which is derived from its seed.
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

    pub(crate) fn random(environment: &dyn SimEnvironment) -> Self {
        Self::new(random::uuid(environment), random::bytes(environment))
    }

    /// This key under another `kid`.
    pub(crate) fn renamed(&self, kid: &str) -> Self {
        Self::new(kid.to_owned(), self.seed)
    }

    /// The public key in the form that PingOne publishes: without `alg`.
    pub(crate) fn jwk(&self) -> Value {
        self.with(
            |key| json!({"kty": "RSA", "use": "sig", "kid": self.kid, "n": key.modulus, "e": key.exponent}),
        )
    }

    /// A JWT, signed with RS256.
    pub(crate) fn sign(&self, claims: &Map<String, Value>) -> String {
        let mut header = Header::new(Algorithm::RS256);
        header.kid = Some(self.kid.clone());
        header.typ = None;
        self.sign_with(&header, claims)
    }

    /// A JWT with this header, whose `alg` must be RS256.
    pub(crate) fn sign_with(&self, header: &Header, claims: &Map<String, Value>) -> String {
        self.with(|key| jsonwebtoken::encode(header, claims, &EncodingKey::from_rsa_der(&key.der)))
            .expect("an RSA key signs")
    }

    /// The modulus in base64url.
    pub(crate) fn modulus(&self) -> String {
        self.with(|key| key.modulus.clone())
    }

    /// The public key as the text of a PEM file.
    pub(crate) fn public_pem(&self) -> String {
        self.with(|key| key.pem.clone())
    }

    /// Calls `act` with the key pair. Generating one takes a second, so a process generates each once.
    fn with<T>(&self, act: impl FnOnce(&Material) -> T) -> T {
        static GENERATED: OnceLock<Mutex<HashMap<[u8; 32], Material>>> = OnceLock::new();
        let generated = GENERATED.get_or_init(Mutex::default);
        let mut generated = generated.lock().unwrap_or_else(PoisonError::into_inner);
        act(generated.entry(self.seed).or_insert_with(|| Material::generate(self.seed)))
    }
}

impl Material {
    fn generate(seed: [u8; 32]) -> Self {
        let key = RsaPrivateKey::new(&mut ChaCha20Rng::from_seed(seed), 2048).expect("2048 bits are enough");
        Self {
            der: key.to_pkcs1_der().expect("a valid key").as_bytes().to_vec(),
            pem: key.to_public_key().to_public_key_pem(LineEnding::LF).expect("a valid key"),
            modulus: URL_SAFE_NO_PAD.encode(key.n().to_bytes_be()),
            exponent: URL_SAFE_NO_PAD.encode(key.e().to_bytes_be()),
        }
    }
}
