//! Secrets that name an approval page or a login, and contain the time at which they were made.

use std::fmt;

use crate::{
    config::Keys,
    encoding::{base64url_decode, base64url_encode},
    host::Timestamp,
    seal::{self, Random, random_bytes},
};

/// The `handle` of an approval page, or the `state` of a login at `PingOne`.
///
/// The record behind a handle is deleted when the handle is used, and when it expires. The time in the handle tells
/// which of the two happened. A tag authenticates the handle, so that forged text causes no look-up.
#[derive(Clone, PartialEq, Eq)]
pub struct Handle {
    text: String,
    made_at: Timestamp,
}

/// The kind of record that a [`Handle`] names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HandleKind {
    /// An approval page.
    Approval,
    /// A login at `PingOne`.
    Login,
}

impl Handle {
    /// Seconds for which a handle can be used. The user has 10 minutes for the approval page, and 10 more for the
    /// login.
    pub const LIFETIME: u64 = 600;

    /// Draws a new handle.
    pub fn generate(kind: HandleKind, now: Timestamp, keys: &Keys, random: Random<'_>) -> Self {
        let secret = random_bytes::<SECRET>(random);
        // 32 bits are enough until 2106.
        let made_at = u32::try_from(now.0).unwrap_or(u32::MAX).to_be_bytes();
        let tag = kind.tag(&secret, made_at, &keys.newest().cookies);
        let mut bytes = [0; LENGTH];
        bytes[..SECRET].copy_from_slice(&secret);
        bytes[SECRET..SECRET + TIME].copy_from_slice(&made_at);
        bytes[SECRET + TIME..].copy_from_slice(&tag);
        Self { text: base64url_encode(&bytes), made_at: Timestamp(u32::from_be_bytes(made_at).into()) }
    }

    /// Parses a handle of `kind`. `None` if this server did not make it for this kind.
    pub fn parse(kind: HandleKind, text: &str, keys: &Keys) -> Option<Self> {
        let bytes = base64url_decode::<LENGTH>(text)?;
        let (secret, rest) = bytes.split_first_chunk::<SECRET>()?;
        let (made_at, tag) = rest.split_first_chunk::<TIME>()?;
        let is_authentic =
            keys.iter().any(|keys| seal::constant_time_eq(tag, &kind.tag(secret, *made_at, &keys.cookies)));
        let made_at = Timestamp(u32::from_be_bytes(*made_at).into());
        is_authentic.then(|| Self { text: text.to_owned(), made_at })
    }

    /// The handle as it is sent.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Whether the handle is older than [`Self::LIFETIME`].
    pub fn has_expired(&self, now: Timestamp) -> bool {
        self.made_at.plus(Self::LIFETIME) <= now
    }
}

impl HandleKind {
    fn tag(self, secret: &[u8; SECRET], made_at: [u8; TIME], key: &seal::SealingKey) -> [u8; TAG] {
        let purpose: &[u8] = match self {
            Self::Approval => b"approval handle",
            Self::Login => b"login handle",
        };
        let mac = key.mac(&[purpose, secret, &made_at]);
        let mut tag = [0; TAG];
        tag.copy_from_slice(&mac[..TAG]);
        tag
    }
}

impl fmt::Debug for Handle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Handle([redacted])")
    }
}

/// Random bytes.
const SECRET: usize = 20;
/// Bytes of the time, in seconds.
const TIME: usize = 4;
/// Bytes of the tag. 64 bits are enough: a forged handle names no record.
const TAG: usize = 8;
const LENGTH: usize = SECRET + TIME + TAG;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::test_keys;

    const NOW: Timestamp = Timestamp(1_800_000_000);

    fn handle() -> Handle {
        Handle::generate(HandleKind::Login, NOW, &test_keys(), &|bytes| bytes.fill(7))
    }

    #[test]
    fn handle_expires_after_ten_minutes() {
        let read = Handle::parse(HandleKind::Login, handle().as_str(), &test_keys()).unwrap();
        assert_eq!(read, handle());
        assert_eq!(read.as_str().len(), 43);
        assert_eq!([599, 600].map(|age| read.has_expired(NOW.plus(age))), [false, true]);
    }

    #[test]
    fn handle_of_another_kind_or_altered_is_refused() {
        let text = handle().as_str().to_owned();
        assert_eq!(Handle::parse(HandleKind::Approval, &text, &test_keys()), None);
        for altered in [text.replacen('B', "C", 1), format!("{text}A"), String::new(), "x".repeat(43)] {
            assert_eq!(Handle::parse(HandleKind::Login, &altered, &test_keys()), None, "{altered}");
        }
    }

    #[test]
    fn debug_output_shows_no_secret() {
        assert_eq!(format!("{:?}", handle()), "Handle([redacted])");
    }
}
