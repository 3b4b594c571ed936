//! Sealing: stored data can be read only with a key that is not stored.
//!
//! Everything is sealed in the same way: with `XChaCha20-Poly1305`, under a random key or a key that HKDF-SHA256 (RFC
//! 5869) derives from a secret for one purpose. The associated data names the record that the ciphertext belongs to.

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

/// A source of randomness: fills the buffer with random bytes. Pure functions get it as an argument.
///
/// ```
/// use deputy::seal::{Random, random_bytes};
///
/// // A test fills in constants. A server takes random bytes from its host.
/// let sevens: Random<'_> = &|buffer: &mut [u8]| buffer.fill(7);
/// assert_eq!(random_bytes::<4>(sevens), [7; 4]);
/// ```
pub type Random<'a> = &'a (dyn Fn(&mut [u8]) + Sync);

/// Draws `N` random bytes.
pub fn random_bytes<const N: usize>(random: Random<'_>) -> [u8; N] {
    let mut bytes = [0; N];
    random(&mut bytes);
    bytes
}

/// A key of 256 bits for one purpose.
///
/// ```
/// use deputy::seal::{SealingKey, Random};
///
/// # let random: Random<'_> = &|buffer| buffer.fill(7);
/// let server_key = SealingKey::derive(b"a secret of the server", "example v1");
/// let grant_key = SealingKey::generate(random);
/// let sealed = grant_key.seal(b"grant 1", b"a token", random);
/// let wrapped = grant_key.wrap(&server_key, b"grant 1", random);
///
/// // The key that was wrapped opens what it sealed.
/// let unwrapped = server_key.unwrap(b"grant 1", &wrapped).expect("same key, same associated data");
/// assert_eq!(unwrapped.open(b"grant 1", &sealed).expect("same key, same associated data").as_slice(), b"a token");
/// // A ciphertext that was copied to the record of another grant does not open.
/// assert!(unwrapped.open(b"grant 2", &sealed).is_none());
/// // Nor does it with another key.
/// assert!(server_key.open(b"grant 1", &sealed).is_none());
/// ```
#[derive(Clone, Debug)]
pub struct SealingKey(Secret<[u8; 32]>);

impl SealingKey {
    /// Draws a new key.
    pub fn generate(random: Random<'_>) -> Self {
        Self(Secret::new(random_bytes(random)))
    }

    /// Derives a key from `secret` for `purpose`, with HKDF-SHA256 (RFC 5869). Different purposes give independent
    /// keys.
    pub fn derive(secret: &[u8], purpose: &str) -> Self {
        let mut key = Zeroizing::new([0; 32]);
        // 32 bytes are within HKDF's bound of 255 blocks.
        let expanded = Hkdf::<Sha256>::new(None, secret).expand(purpose.as_bytes(), &mut *key);
        debug_assert!(expanded.is_ok());
        Self(Secret::new(*key))
    }

    /// Derives a key from this key for `purpose`.
    #[must_use]
    pub fn subkey(&self, purpose: &str) -> Self {
        Self::derive(self.0.expose(), purpose)
    }

    /// Encrypts and authenticates `plaintext`, together with `associated_data`, which is not stored.
    pub fn seal(&self, associated_data: &[u8], plaintext: &[u8], random: Random<'_>) -> Sealed {
        let nonce: [u8; NONCE] = random_bytes(random);
        let mut sealed = nonce.to_vec();
        sealed.extend(self.encrypt(nonce, associated_data, plaintext));
        Sealed(sealed)
    }

    /// Decrypts the result of [`SealingKey::seal`]. `None` if the key or the associated data differ, or the ciphertext was
    /// altered.
    pub fn open(&self, associated_data: &[u8], sealed: &Sealed) -> Option<Zeroizing<Vec<u8>>> {
        let (nonce, ciphertext) = sealed.0.split_first_chunk::<NONCE>()?;
        self.decrypt(*nonce, associated_data, ciphertext)
    }

    /// Encrypts and authenticates `plaintext` as the content of `name`, which is the nonce and not in the result. The
    /// caller draws a new name for each plaintext.
    pub fn seal_as(&self, name: &[u8; NAME], associated_data: &[u8], plaintext: &[u8]) -> Vec<u8> {
        self.encrypt(nonce_of(name), associated_data, plaintext)
    }

    /// Decrypts the result of [`SealingKey::seal_as`]. `None` as for [`SealingKey::open`], and for another name.
    pub fn open_as(
        &self,
        name: &[u8; NAME],
        associated_data: &[u8],
        ciphertext: &[u8],
    ) -> Option<Zeroizing<Vec<u8>>> {
        self.decrypt(nonce_of(name), associated_data, ciphertext)
    }

    fn encrypt(&self, nonce: [u8; NONCE], associated_data: &[u8], plaintext: &[u8]) -> Vec<u8> {
        let cipher = XChaCha20Poly1305::new(self.0.expose().into());
        let payload = Payload { msg: plaintext, aad: associated_data };
        // Encryption fails only for messages above 256 GiB. An empty ciphertext can never be opened.
        cipher.encrypt(&XNonce::from(nonce), payload).unwrap_or_default()
    }

    fn decrypt(
        &self,
        nonce: [u8; NONCE],
        associated_data: &[u8],
        ciphertext: &[u8],
    ) -> Option<Zeroizing<Vec<u8>>> {
        let cipher = XChaCha20Poly1305::new(self.0.expose().into());
        let payload = Payload { msg: ciphertext, aad: associated_data };
        cipher.decrypt(&XNonce::from(nonce), payload).ok().map(Zeroizing::new)
    }

    /// Seals this key under `other`.
    pub fn wrap(&self, other: &Self, associated_data: &[u8], random: Random<'_>) -> Sealed {
        other.seal(associated_data, self.0.expose(), random)
    }

    /// Opens a key that [`SealingKey::wrap`] sealed under this one. `None` as for [`SealingKey::open`].
    pub fn unwrap(&self, associated_data: &[u8], wrapped: &Sealed) -> Option<Self> {
        let bytes = self.open(associated_data, wrapped)?;
        Some(Self(Secret::new(<[u8; 32]>::try_from(bytes.as_slice()).ok()?)))
    }

    /// Computes HMAC-SHA256 (RFC 2104) over the parts, each preceded by its length, so that every list of parts has its
    /// own encoding. Returns the first `N` bytes, at most 32.
    ///
    /// ```
    /// # let key = deputy::seal::SealingKey::derive(b"a secret of the server", "example v1");
    /// let mac: [u8; 32] = key.mac(&[b"ab", b"c"]);
    /// assert_ne!(mac, key.mac(&[b"a", b"bc"]));
    /// assert_eq!(mac[..16], key.mac::<16>(&[b"ab", b"c"]));
    /// ```
    pub fn mac<const N: usize>(&self, parts: &[&[u8]]) -> [u8; N] {
        const { assert!(N <= 32, "an HMAC-SHA256 has 32 bytes") };
        // HMAC takes keys of any length.
        let Ok(mut mac) = <Hmac<Sha256> as hmac::KeyInit>::new_from_slice(self.0.expose()) else {
            return [0; N];
        };
        for part in parts {
            mac.update(&(part.len() as u64).to_be_bytes());
            mac.update(part);
        }
        let whole: [u8; 32] = mac.finalize().into_bytes().into();
        std::array::from_fn(|place| whole[place])
    }
}

/// A ciphertext behind its nonce of 24 bytes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sealed(#[serde(with = "crate::encoding::base64url")] pub Vec<u8>);

/// Computes SHA-256 over `purpose` and `bytes`. The digest of a secret with at least 128 random bits can be stored,
/// since the secret cannot be guessed.
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

/// Compares in constant time for a given length, so that the duration does not reveal where the first difference is.
pub fn constant_time_eq(one: &[u8], other: &[u8]) -> bool {
    subtle::ConstantTimeEq::ct_eq(one, other).into()
}

/// The nonce of a name: zeros follow it. `XChaCha20` derives a key of its own from the first 16 bytes of a nonce.
fn nonce_of(name: &[u8; NAME]) -> [u8; NONCE] {
    let mut nonce = [0; NONCE];
    nonce[..NAME].copy_from_slice(name);
    nonce
}

const NONCE: usize = 24;
/// Bytes of the name in [`SealingKey::seal_as`].
const NAME: usize = 16;

#[cfg(test)]
mod tests {
    use super::*;

    fn count(buffer: &mut [u8]) {
        (1..).zip(buffer).for_each(|(n, byte)| *byte = n);
    }

    #[test]
    fn ciphertext_opens_only_with_its_key_and_associated_data() {
        let key = SealingKey::derive(b"secret", "test");
        let sealed = key.seal(b"here", b"text", &count);
        assert_eq!(key.open(b"here", &sealed).as_deref(), Some(&b"text".to_vec()));
        assert_eq!(key.open(b"there", &sealed), None);
        assert_eq!(SealingKey::derive(b"secret", "other").open(b"here", &sealed), None);
        let mut altered = sealed.clone();
        altered.0[30] ^= 1;
        assert_eq!(key.open(b"here", &altered), None);
        assert_eq!(key.open(b"here", &Sealed(vec![1, 2, 3])), None);
    }

    #[test]
    fn content_opens_only_under_its_own_name() {
        let key = SealingKey::derive(b"secret", "test");
        let sealed = key.seal_as(&[1; 16], b"here", b"text");
        assert_eq!(key.open_as(&[1; 16], b"here", &sealed).as_deref(), Some(&b"text".to_vec()));
        assert_eq!(key.open_as(&[2; 16], b"here", &sealed), None);
        assert_eq!(key.open_as(&[1; 16], b"there", &sealed), None);
        assert_eq!(key.open_as(&[1; 16], b"here", &[]), None);
    }

    #[test]
    fn unwrapped_key_opens_its_own_ciphertexts() {
        let (inner, outer) = (SealingKey::derive(b"inner", "test"), SealingKey::derive(b"outer", "test"));
        let wrapped = inner.wrap(&outer, b"", &count);
        let sealed = inner.seal(b"", b"text", &count);
        let unwrapped = outer.unwrap(b"", &wrapped).expect("the key opens");
        assert_eq!(unwrapped.open(b"", &sealed).as_deref(), Some(&b"text".to_vec()));
        assert!(inner.unwrap(b"", &wrapped).is_none());
    }
}
