//! Sealing: what is at rest can be read only with a key that is not at rest.
//!
//! One construction for everything: `XChaCha20-Poly1305` under a key that HKDF-SHA256 (RFC 5869) derives from a secret
//! for one purpose, with associated data that says where the ciphertext belongs.

use chacha20poly1305::{
    KeyInit, XChaCha20Poly1305, XNonce,
    aead::{Aead, Payload},
};
use hkdf::Hkdf;
use hmac::{Hmac, Mac};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use zeroize::Zeroizing;

use crate::{host::Digest, secret::Secret};

/// Randomness, passed to the pure parts as a value.
///
/// ```
/// use deputy::seal::{Random, random_bytes};
///
/// // For a test. A server takes it from its host.
/// let sevens: Random<'_> = &|buffer: &mut [u8]| buffer.fill(7);
/// assert_eq!(random_bytes::<4>(sevens), [7; 4]);
/// ```
pub type Random<'a> = &'a (dyn Fn(&mut [u8]) + Sync);

/// `N` random bytes.
pub fn random_bytes<const N: usize>(random: Random<'_>) -> [u8; N] {
    let mut bytes = [0; N];
    random(&mut bytes);
    bytes
}

/// A key for one purpose.
///
/// ```
/// use deputy::seal::{Key, Random};
///
/// # let random: Random<'_> = &|buffer| buffer.fill(7);
/// let server_key = Key::derive(b"a secret of the server", "example v1");
/// let grant_key = Key::generate(random);
/// let sealed = grant_key.seal(b"grant 1", b"a token", random);
/// let wrapped = grant_key.wrap(&server_key, b"grant 1", random);
///
/// let unwrapped = server_key.unwrap(b"grant 1", &wrapped).expect("same key, same place");
/// assert_eq!(unwrapped.open(b"grant 1", &sealed).expect("same key, same place").as_slice(), b"a token");
/// // In the record of another grant it cannot be opened.
/// assert!(unwrapped.open(b"grant 2", &sealed).is_none());
/// ```
#[derive(Clone, Debug)]
pub struct Key(Secret<[u8; 32]>);

impl Key {
    /// A new key.
    pub fn generate(random: Random<'_>) -> Self {
        Self(Secret::new(random_bytes(random)))
    }

    /// The key that `secret` gives for `purpose`. Different purposes give independent keys.
    pub fn derive(secret: &[u8], purpose: &str) -> Self {
        let mut key = Zeroizing::new([0; 32]);
        // 32 bytes are within HKDF's bound of 255 blocks.
        let expanded = Hkdf::<Sha256>::new(None, secret).expand(purpose.as_bytes(), &mut *key);
        debug_assert!(expanded.is_ok());
        Self(Secret::new(*key))
    }

    /// The key that this one gives for `purpose`.
    #[must_use]
    pub fn subkey(&self, purpose: &str) -> Self {
        Self::derive(self.0.expose(), purpose)
    }

    /// Seals `plaintext` for the place named by `place`.
    pub fn seal(&self, place: &[u8], plaintext: &[u8], random: Random<'_>) -> Sealed {
        let nonce: [u8; NONCE] = random_bytes(random);
        let cipher = XChaCha20Poly1305::new(self.0.expose().into());
        let mut sealed = nonce.to_vec();
        let payload = Payload { msg: plaintext, aad: place };
        // Encryption refuses messages above 256 GiB and nothing else; an empty result opens nowhere.
        sealed.extend(cipher.encrypt(&XNonce::from(nonce), payload).unwrap_or_default());
        Sealed(sealed)
    }

    /// Opens what [`Key::seal`] sealed for the same place. `None`: another key, another place, or altered.
    pub fn open(&self, place: &[u8], sealed: &Sealed) -> Option<Zeroizing<Vec<u8>>> {
        let (nonce, ciphertext) = sealed.0.split_first_chunk::<NONCE>()?;
        let cipher = XChaCha20Poly1305::new(self.0.expose().into());
        let payload = Payload { msg: ciphertext, aad: place };
        cipher.decrypt(&XNonce::from(*nonce), payload).ok().map(Zeroizing::new)
    }

    /// Wraps this key under `other`.
    pub fn wrap(&self, other: &Self, place: &[u8], random: Random<'_>) -> Sealed {
        other.seal(place, self.0.expose(), random)
    }

    /// The key that [`Key::wrap`] wrapped under this one.
    pub fn unwrap(&self, place: &[u8], wrapped: &Sealed) -> Option<Self> {
        let bytes = self.open(place, wrapped)?;
        Some(Self(Secret::new(<[u8; 32]>::try_from(bytes.as_slice()).ok()?)))
    }

    /// HMAC-SHA256 of the parts, each preceded by its length.
    ///
    /// ```
    /// # let key = deputy::seal::Key::derive(b"a secret of the server", "example v1");
    /// assert_ne!(key.mac(&[b"ab", b"c"]), key.mac(&[b"a", b"bc"]));
    /// ```
    pub fn mac(&self, parts: &[&[u8]]) -> [u8; 32] {
        // HMAC takes keys of any length.
        let Ok(mut mac) = <Hmac<Sha256> as hmac::KeyInit>::new_from_slice(self.0.expose()) else {
            return [0; 32];
        };
        for part in parts {
            mac.update(&(part.len() as u64).to_be_bytes());
            mac.update(part);
        }
        mac.finalize().into_bytes().into()
    }
}

/// Nonce and ciphertext.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sealed(#[serde(with = "crate::encoding::base64url")] pub Vec<u8>);

/// SHA-256 of `bytes` for one purpose. For secrets of at least 128 random bits this reveals nothing.
///
/// ```
/// use deputy::seal::digest;
///
/// assert_ne!(digest("login", b"a handle"), digest("approval", b"a handle"));
/// ```
pub fn digest(purpose: &str, bytes: &[u8]) -> Digest {
    let mut hasher = Sha256::new();
    hasher.update((purpose.len() as u64).to_be_bytes());
    hasher.update(purpose.as_bytes());
    hasher.update(bytes);
    Digest(hasher.finalize().into())
}

/// Compares without telling by its duration where the first difference is.
pub fn constant_time_eq(one: &[u8], other: &[u8]) -> bool {
    subtle::ConstantTimeEq::ct_eq(one, other).into()
}

const NONCE: usize = 24;

#[cfg(test)]
mod tests {
    use super::*;

    fn count(buffer: &mut [u8]) {
        (1..).zip(buffer).for_each(|(n, byte)| *byte = n);
    }

    #[test]
    fn what_is_sealed_opens_only_with_its_key_in_its_place() {
        let key = Key::derive(b"secret", "test");
        let sealed = key.seal(b"here", b"text", &count);
        assert_eq!(key.open(b"here", &sealed).as_deref(), Some(&b"text".to_vec()));
        assert_eq!(key.open(b"there", &sealed), None);
        assert_eq!(Key::derive(b"secret", "other").open(b"here", &sealed), None);
        let mut altered = sealed.clone();
        altered.0[30] ^= 1;
        assert_eq!(key.open(b"here", &altered), None);
        assert_eq!(key.open(b"here", &Sealed(vec![1, 2, 3])), None);
    }

    #[test]
    fn a_wrapped_key_opens_what_it_sealed() {
        let (inner, outer) = (Key::derive(b"inner", "test"), Key::derive(b"outer", "test"));
        let wrapped = inner.wrap(&outer, b"", &count);
        let sealed = inner.seal(b"", b"text", &count);
        let unwrapped = outer.unwrap(b"", &wrapped).expect("the key opens");
        assert_eq!(unwrapped.open(b"", &sealed).as_deref(), Some(&b"text".to_vec()));
        assert!(inner.unwrap(b"", &wrapped).is_none());
    }
}
