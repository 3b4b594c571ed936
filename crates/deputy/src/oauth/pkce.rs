//! Proof Key for Code Exchange (RFC 7636).

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use crate::{encoding::base64url_decode, seal};

/// A code challenge made with `S256`, the one method this server accepts (OAuth 2.1 §4.1.1, MCP authorization).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CodeChallenge(#[serde(with = "crate::encoding::base64url")] [u8; 32]);

/// Why there is no code challenge.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PkceError {
    /// Not the 43 characters that SHA-256 gives.
    #[error("code_challenge must be 43 characters of base64url")]
    Malformed,
    /// Any method but `S256`.
    #[error("code_challenge_method must be S256")]
    Method,
    /// No challenge.
    #[error("code_challenge is required")]
    Missing,
}

impl CodeChallenge {
    /// Reads the parameters of an authorization request.
    pub fn parse(challenge: Option<&str>, method: Option<&str>) -> Result<Self, PkceError> {
        let challenge = challenge.ok_or(PkceError::Missing)?;
        // RFC 7636 §4.3: an absent method means `plain`.
        if method.unwrap_or("plain") != "S256" {
            return Err(PkceError::Method);
        }
        base64url_decode(challenge).map(Self).ok_or(PkceError::Malformed)
    }

    /// Whether `code_verifier` is the one this challenge was made from (RFC 7636 §4.6).
    pub fn verify(&self, code_verifier: &str) -> bool {
        let unreserved = |b: u8| b.is_ascii_alphanumeric() || b"-._~".contains(&b);
        // RFC 7636 §4.1.
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
    fn the_example_of_the_rfc_verifies() {
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
    fn any_method_but_s256_is_refused() {
        for method in ["plain", "s256", "S512", "S256 ", ""] {
            assert_eq!(
                CodeChallenge::parse(Some(CHALLENGE), Some(method)),
                Err(PkceError::Method),
                "{method:?}"
            );
        }
    }

    #[test]
    fn a_challenge_that_is_not_43_base64url_characters_is_refused() {
        for challenge in ["short", &format!("{CHALLENGE}="), &"<".repeat(43), &"A".repeat(10_000)] {
            assert_eq!(CodeChallenge::parse(Some(challenge), Some("S256")), Err(PkceError::Malformed));
        }
        assert_eq!(CodeChallenge::parse(None, Some("S256")), Err(PkceError::Missing));
    }
}
