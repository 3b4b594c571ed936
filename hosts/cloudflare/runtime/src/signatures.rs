//! RS256 and ES256 for `jsonwebtoken`: PingOne signs with the first, clients and Deputy with either. The code for the others
//! would be a tenth of the Worker.

use jsonwebtoken::{
    Algorithm, DecodingKey, DecodingKeyKind, EncodingKey,
    crypto::{CryptoProvider, JwtSigner, JwtVerifier, KeyUtils},
    errors::{ErrorKind, Result},
    signature::{Error, Signer, Verifier},
};
use p256::{
    ecdsa::{Signature, SigningKey, VerifyingKey},
    pkcs8::DecodePrivateKey as _,
};
use rsa::{
    BigUint, Pkcs1v15Sign, RsaPrivateKey, RsaPublicKey,
    pkcs1::DecodeRsaPrivateKey as _,
    rand_core::{
        CryptoRng, RngCore,
        impls::{next_u32_via_fill, next_u64_via_fill},
    },
    sha2::{Digest as _, Sha256},
};

/// Makes `jsonwebtoken` verify and sign RS256 and ES256, and reject every other algorithm.
pub(crate) fn install_verifier() {
    // Fails if a provider is installed already, which is this one.
    let _ = PROVIDER.install_default();
}

static PROVIDER: CryptoProvider = CryptoProvider {
    signer_factory: signer,
    verifier_factory: verifier,
    // No key is created or exported here.
    key_utils: KeyUtils::new_unimplemented(),
};

#[expect(clippy::trivially_copy_pass_by_ref, reason = "the signature is that of the library")]
fn signer(algorithm: &Algorithm, key: &EncodingKey) -> Result<Box<dyn JwtSigner>> {
    match algorithm {
        Algorithm::RS256 => {
            let key = RsaPrivateKey::from_pkcs1_der(key.as_bytes());
            Ok(Box::new(Rs256Signer(key.map_err(|_| ErrorKind::InvalidKeyFormat)?)))
        }
        Algorithm::ES256 => {
            let key = SigningKey::from_pkcs8_der(key.as_bytes());
            Ok(Box::new(Es256Signer(key.map_err(|_| ErrorKind::InvalidKeyFormat)?)))
        }
        _ => Err(ErrorKind::InvalidAlgorithm.into()),
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "the signature is that of the library")]
fn verifier(algorithm: &Algorithm, key: &DecodingKey) -> Result<Box<dyn JwtVerifier>> {
    match (algorithm, key.kind()) {
        (Algorithm::RS256, DecodingKeyKind::RsaModulusExponent { n, e }) => {
            let key = RsaPublicKey::new(BigUint::from_bytes_be(n), BigUint::from_bytes_be(e))
                .map_err(|_| ErrorKind::InvalidKeyFormat)?;
            Ok(Box::new(Rs256(key)))
        }
        (Algorithm::ES256, DecodingKeyKind::SecretOrDer(point)) => {
            let key = VerifyingKey::from_sec1_bytes(point).map_err(|_| ErrorKind::InvalidKeyFormat)?;
            Ok(Box::new(Es256(key)))
        }
        _ => Err(ErrorKind::InvalidAlgorithm.into()),
    }
}

/// ECDSA on P-256 with SHA-256 (RFC 7518 §3.4).
struct Es256(VerifyingKey);

impl Verifier<Vec<u8>> for Es256 {
    fn verify(&self, message: &[u8], signature: &Vec<u8>) -> std::result::Result<(), Error> {
        let signature = Signature::from_slice(signature).map_err(|_| Error::new())?;
        p256::ecdsa::signature::Verifier::verify(&self.0, message, &signature).map_err(|_| Error::new())
    }
}

impl JwtVerifier for Es256 {
    fn algorithm(&self) -> Algorithm {
        Algorithm::ES256
    }
}

/// ECDSA on P-256 with SHA-256 (RFC 7518 §3.4), with a private key. The nonce is derived from it (RFC 6979).
struct Es256Signer(SigningKey);

impl Signer<Vec<u8>> for Es256Signer {
    fn try_sign(&self, message: &[u8]) -> std::result::Result<Vec<u8>, Error> {
        let signature: Signature =
            p256::ecdsa::signature::Signer::try_sign(&self.0, message).map_err(|_| Error::new())?;
        Ok(signature.to_bytes().to_vec())
    }
}

impl JwtSigner for Es256Signer {
    fn algorithm(&self) -> Algorithm {
        Algorithm::ES256
    }
}

/// RSASSA-PKCS1-v1_5 with SHA-256 (RFC 7518 §3.3), with a private key.
struct Rs256Signer(RsaPrivateKey);

impl Signer<Vec<u8>> for Rs256Signer {
    fn try_sign(&self, message: &[u8]) -> std::result::Result<Vec<u8>, Error> {
        let digest = Sha256::digest(message);
        // Blinded: the time tells nothing about the key.
        let signature = self.0.sign_with_rng(&mut SystemRandom, Pkcs1v15Sign::new::<Sha256>(), &digest);
        signature.map_err(|_| Error::new())
    }
}

impl JwtSigner for Rs256Signer {
    fn algorithm(&self) -> Algorithm {
        Algorithm::RS256
    }
}

/// The randomness of the runtime, for `rsa`.
struct SystemRandom;

impl RngCore for SystemRandom {
    fn next_u32(&mut self) -> u32 {
        next_u32_via_fill(self)
    }

    fn next_u64(&mut self) -> u64 {
        next_u64_via_fill(self)
    }

    fn fill_bytes(&mut self, buffer: &mut [u8]) {
        crate::fill_random(buffer);
    }

    fn try_fill_bytes(&mut self, buffer: &mut [u8]) -> std::result::Result<(), rsa::rand_core::Error> {
        self.fill_bytes(buffer);
        Ok(())
    }
}

impl CryptoRng for SystemRandom {}

/// RSASSA-PKCS1-v1_5 with SHA-256 (RFC 7518 §3.3).
struct Rs256(RsaPublicKey);

impl Verifier<Vec<u8>> for Rs256 {
    fn verify(&self, message: &[u8], signature: &Vec<u8>) -> std::result::Result<(), Error> {
        let digest = Sha256::digest(message);
        self.0.verify(Pkcs1v15Sign::new::<Sha256>(), &digest, signature).map_err(|_| Error::new())
    }
}

impl JwtVerifier for Rs256 {
    fn algorithm(&self) -> Algorithm {
        Algorithm::RS256
    }
}
