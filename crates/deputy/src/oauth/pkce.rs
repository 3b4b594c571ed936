//! Proof Key for Code Exchange (RFC 7636).

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use crate::{encoding::base64url_decode, seal};

/// A code challenge with the method `S256`, the only one that this server accepts (RFC 7636 §4.2: base64url of the
/// SHA-256 digest of the verifier).
///
/// ```
/// use deputy::oauth::{CodeChallenge, PkceError};
///
/// // RFC 7636 appendix B.
/// let code_verifier = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
/// let code_challenge = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";
///
/// let challenge = CodeChallenge::parse(Some(code_challenge), Some("S256"))?;
/// assert!(challenge.verify(code_verifier));
/// assert!(!challenge.verify(code_challenge));
/// // Without a method, `plain` is meant, which is not accepted.
/// assert_eq!(CodeChallenge::parse(Some(code_challenge), None), Err(PkceError::Method));
/// # Ok::<(), PkceError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CodeChallenge(#[serde(with = "crate::encoding::base64url")] [u8; 32]);

/// Why a code challenge is rejected.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PkceError {
    /// `code_challenge` is not base64url of 32 bytes.
    #[error("code_challenge must be 43 characters of base64url")]
    Malformed,
    /// `code_challenge_method` is not `S256`.
    #[error("code_challenge_method must be S256")]
    Method,
    /// `code_challenge` is missing (OAuth 2.1 §4.1.1).
    #[error("code_challenge is required")]
    Missing,
}

impl CodeChallenge {
    /// Parses `code_challenge` and `code_challenge_method` (RFC 7636 §4.3).
    pub fn parse(challenge: Option<&str>, method: Option<&str>) -> Result<Self, PkceError> {
        let challenge = challenge.ok_or(PkceError::Missing)?;
        // RFC 7636 §4.3: an absent method means `plain`.
        if method.unwrap_or("plain") != "S256" {
            return Err(PkceError::Method);
        }
        base64url_decode(challenge).map(Self).ok_or(PkceError::Malformed)
    }

    /// Whether the challenge was made of `code_verifier` (RFC 7636 §4.6: compare the digests).
    pub fn verify(&self, code_verifier: &str) -> bool {
        let unreserved = |b: u8| b.is_ascii_alphanumeric() || b"-._~".contains(&b);
        // RFC 7636 §4.1: 43 to 128 unreserved characters.
        if !(43..=128).contains(&code_verifier.len()) || !code_verifier.bytes().all(unreserved) {
            return false;
        }
        seal::constant_time_eq(&Sha256::digest(code_verifier.as_bytes()), &self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 7636 appendix B.
    const VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
    const CHALLENGE: &str = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";

    #[test]
    fn example_of_rfc_7636_verifies() {
        let challenge = CodeChallenge::parse(Some(CHALLENGE), Some("S256")).unwrap();
        assert!(challenge.verify(VERIFIER));
        assert!(!challenge.verify(CHALLENGE));
        assert!(!challenge.verify(""));
    }

    #[test]
    fn challenge_without_method_is_refused() {
        assert_eq!(CodeChallenge::parse(Some(CHALLENGE), None), Err(PkceError::Method));
    }

    #[test]
    fn challenge_method_other_than_s256_is_refused() {
        for method in ["plain", "s256", "S512", "S256 ", ""] {
            assert_eq!(
                CodeChallenge::parse(Some(CHALLENGE), Some(method)),
                Err(PkceError::Method),
                "{method:?}"
            );
        }
    }

    #[test]
    fn challenge_that_is_not_43_base64url_characters_is_refused() {
        for challenge in ["short", &format!("{CHALLENGE}="), &"<".repeat(43), &"A".repeat(10_000)] {
            assert_eq!(CodeChallenge::parse(Some(challenge), Some("S256")), Err(PkceError::Malformed));
        }
        assert_eq!(CodeChallenge::parse(None, Some("S256")), Err(PkceError::Missing));
    }
}
