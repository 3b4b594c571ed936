//! RS256 and ES256 for `jsonwebtoken`, by ring. A verification takes a fifth of the time that the crate `rsa` needs, and every login
//! verifies two signatures of PingOne.

use jsonwebtoken::{
    Algorithm, DecodingKey, DecodingKeyKind,
    crypto::{CryptoProvider, JwtVerifier, KeyUtils, rust_crypto},
    errors::{ErrorKind, Result},
    signature::{Error, Verifier},
};
use ring::signature::{
    ECDSA_P256_SHA256_FIXED, RSA_PKCS1_2048_8192_SHA256, RsaPublicKeyComponents, UnparsedPublicKey,
};

/// Makes `jsonwebtoken` verify RS256 and ES256 and reject every other algorithm.
pub(crate) fn install_verifier() {
    // Fails if a provider is installed already, as in a test.
    let _ = PROVIDER.install_default();
}

static PROVIDER: CryptoProvider = CryptoProvider {
    // The simulated PingOne of the demo signs.
    signer_factory: |algorithm, key| (rust_crypto::DEFAULT_PROVIDER.signer_factory)(algorithm, key),
    verifier_factory: verifier,
    // No key is created or exported here.
    key_utils: KeyUtils::new_unimplemented(),
};

#[expect(clippy::trivially_copy_pass_by_ref, reason = "the signature is that of the library")]
fn verifier(algorithm: &Algorithm, key: &DecodingKey) -> Result<Box<dyn JwtVerifier>> {
    match (algorithm, key.kind()) {
        (Algorithm::RS256, DecodingKeyKind::RsaModulusExponent { n, e }) => {
            Ok(Box::new(Rs256(RsaPublicKeyComponents { n: without_zeros(n), e: without_zeros(e) })))
        }
        (Algorithm::ES256, DecodingKeyKind::SecretOrDer(point)) => {
            Ok(Box::new(Es256(UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, point.clone()))))
        }
        _ => Err(ErrorKind::InvalidAlgorithm.into()),
    }
}

/// ECDSA on P-256 with SHA-256 (RFC 7518 §3.4).
struct Es256(UnparsedPublicKey<Vec<u8>>);

impl Verifier<Vec<u8>> for Es256 {
    fn verify(&self, message: &[u8], signature: &Vec<u8>) -> std::result::Result<(), Error> {
        self.0.verify(message, signature).map_err(|_| Error::new())
    }
}

impl JwtVerifier for Es256 {
    fn algorithm(&self) -> Algorithm {
        Algorithm::ES256
    }
}

/// RSASSA-PKCS1-v1_5 with SHA-256 (RFC 7518 §3.3). A key of less than 2048 bits verifies nothing.
struct Rs256(RsaPublicKeyComponents<Vec<u8>>);

impl Verifier<Vec<u8>> for Rs256 {
    fn verify(&self, message: &[u8], signature: &Vec<u8>) -> std::result::Result<(), Error> {
        self.0.verify(&RSA_PKCS1_2048_8192_SHA256, message, signature).map_err(|_| Error::new())
    }
}

impl JwtVerifier for Rs256 {
    fn algorithm(&self) -> Algorithm {
        Algorithm::RS256
    }
}

/// RFC 7518 §6.3.1.1: some implementations put a zero in front of the modulus. ring refuses it.
fn without_zeros(number: &[u8]) -> Vec<u8> {
    number.iter().copied().skip_while(|byte| *byte == 0).collect()
}

#[cfg(test)]
mod tests {
    use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
    use serde_json::Value;

    use super::*;

    const KEYS: &str = include_str!("../../../fuzz/fixtures/keys.json");
    const TOKEN: &str = include_str!("../../../fuzz/fixtures/token.txt");

    /// Whether the valid key, in which `change` changes the bytes of the modulus, verifies the signature of the valid token
    /// with `algorithm`.
    fn verifies(
        algorithm: Algorithm,
        message: &str,
        signature: &str,
        change: impl Fn(Vec<u8>) -> Vec<u8>,
    ) -> bool {
        let keys: Value = serde_json::from_str(KEYS).unwrap();
        let text = |name: &str| keys["keys"][0][name].as_str().unwrap();
        let modulus = change(URL_SAFE_NO_PAD.decode(text("n")).unwrap());
        let key = DecodingKey::from_rsa_components(&URL_SAFE_NO_PAD.encode(modulus), text("e")).unwrap();
        verifier(&algorithm, &key).is_ok_and(|verifier| {
            let signature = URL_SAFE_NO_PAD.decode(signature).unwrap();
            verifier.verify(message.as_bytes(), &signature).is_ok()
        })
    }

    fn parts() -> (&'static str, &'static str) {
        TOKEN.trim().rsplit_once('.').unwrap()
    }

    #[test]
    fn signature_by_the_key_is_verified_with_rs256_alone() {
        let (message, signature) = parts();
        assert!(verifies(Algorithm::RS256, message, signature, |modulus| modulus));
        for other in [Algorithm::HS256, Algorithm::RS384, Algorithm::PS256, Algorithm::ES256] {
            assert!(!verifies(other, message, signature, |modulus| modulus), "{other:?}");
        }
    }

    #[test]
    fn altered_message_signature_or_key_is_refused() {
        let (message, signature) = parts();
        assert!(!verifies(Algorithm::RS256, &format!("{message}x"), signature, |modulus| modulus));
        for wrong in ["", "AAAA", &"A".repeat(signature.len()), &format!("{signature}AAAA")] {
            assert!(!verifies(Algorithm::RS256, message, wrong, |modulus| modulus), "{wrong}");
        }
        assert!(!verifies(Algorithm::RS256, message, signature, |mut modulus| {
            modulus[9] ^= 1;
            modulus
        }));
        assert!(!verifies(Algorithm::RS256, message, signature, |_| Vec::new()));
        assert!(!verifies(Algorithm::RS256, message, signature, |_| vec![0; 256]));
    }

    #[test]
    fn zeros_in_front_of_the_modulus_are_ignored() {
        let (message, signature) = parts();
        assert!(verifies(Algorithm::RS256, message, signature, |modulus| [vec![0, 0], modulus].concat()));
    }
}
