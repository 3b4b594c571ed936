//! RS256 and ES256 for `jsonwebtoken`: PingOne signs with the first, clients with both. The code for the others would be a
//! tenth of the Worker.

use jsonwebtoken::{
    Algorithm, DecodingKey, DecodingKeyKind, EncodingKey,
    crypto::{CryptoProvider, JwtSigner, JwtVerifier, KeyUtils},
    errors::{ErrorKind, Result},
    signature::{Error, Verifier},
};
use p256::ecdsa::{Signature, VerifyingKey};
use rsa::{
    BigUint, Pkcs1v15Sign, RsaPublicKey,
    sha2::{Digest as _, Sha256},
};

/// Makes `jsonwebtoken` verify RS256 and ES256 and reject every other algorithm.
pub(crate) fn install_verifier() {
    // Fails if a provider is installed already, which is this one.
    let _ = PROVIDER.install_default();
}

static PROVIDER: CryptoProvider = CryptoProvider {
    signer_factory: no_signer,
    verifier_factory: verifier,
    // No key is created or exported here.
    key_utils: KeyUtils::new_unimplemented(),
};

#[expect(clippy::trivially_copy_pass_by_ref, reason = "the signature is that of the library")]
fn no_signer(_: &Algorithm, _: &EncodingKey) -> Result<Box<dyn JwtSigner>> {
    Err(ErrorKind::InvalidAlgorithm.into())
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
