//! Secrets that name an approval page or a login, and contain the time at which they were made.

use std::fmt;

use crate::{
    config::Keys,
    encoding::{base64url_decode, base64url_encode},
    host::{GrantId, Timestamp},
    seal::{self, Random, random_bytes},
};

/// The `handle` of an approval page, or the `state` of a login at `PingOne`.
///
/// A handle contains the name of its record and a secret. The record is deleted when the handle is used, and when it
/// expires. The time in the handle tells which of the two happened. A tag authenticates the handle, so that forged text causes no look-up.
#[derive(Clone, PartialEq, Eq)]
pub struct Handle {
    text: String,
    id: GrantId,
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

    /// Draws a new handle for the record `id`.
    pub fn generate(kind: HandleKind, id: GrantId, now: Timestamp, keys: &Keys, random: Random<'_>) -> Self {
        // 32 bits are enough until 2106.
        let made_at = u32::try_from(now.0).unwrap_or(u32::MAX);
        let mut bytes = [0; LENGTH];
        bytes[..ID].copy_from_slice(&id.0);
        bytes[ID..ID + SECRET].copy_from_slice(&random_bytes::<SECRET>(random));
        bytes[ID + SECRET..TAGGED].copy_from_slice(&made_at.to_be_bytes());
        let tag = kind.tag(&bytes[..TAGGED], &keys.newest().cookies);
        bytes[TAGGED..].copy_from_slice(&tag);
        Self { text: base64url_encode(&bytes), id, made_at: Timestamp(made_at.into()) }
    }

    /// Parses a handle of `kind`. `None` if this server did not make it for this kind.
    pub fn parse(kind: HandleKind, text: &str, keys: &Keys) -> Option<Self> {
        let bytes = base64url_decode::<LENGTH>(text)?;
        let (tagged, tag) = bytes.split_at_checked(TAGGED)?;
        let id = GrantId(*tagged.first_chunk()?);
        let made_at = Timestamp(u32::from_be_bytes(*tagged.last_chunk()?).into());
        let is_authentic =
            keys.iter().any(|keys| seal::constant_time_eq(tag, &kind.tag(tagged, &keys.cookies)));
        is_authentic.then(|| Self { text: text.to_owned(), id, made_at })
    }

    /// The handle as it is sent.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The name of the record.
    pub const fn id(&self) -> GrantId {
        self.id
    }

    /// Whether the handle is older than [`Self::LIFETIME`].
    pub fn has_expired(&self, now: Timestamp) -> bool {
        self.made_at.plus(Self::LIFETIME) <= now
    }
}

impl HandleKind {
    fn tag(self, tagged: &[u8], key: &seal::SealingKey) -> [u8; TAG] {
        let purpose: &[u8] = match self {
            Self::Approval => b"approval handle",
            Self::Login => b"login handle",
        };
        key.mac(&[purpose, tagged])
    }
}

impl fmt::Debug for Handle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Handle([redacted])")
    }
}

/// Bytes of the record's name.
const ID: usize = 16;
/// Random bytes.
const SECRET: usize = 20;
/// Bytes of the time, in seconds.
const TIME: usize = 4;
/// Bytes of the tag. 64 bits are enough: a forged handle names no record.
const TAG: usize = 8;
/// Bytes that the tag authenticates.
const TAGGED: usize = ID + SECRET + TIME;
const LENGTH: usize = TAGGED + TAG;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::test_keys;

    const NOW: Timestamp = Timestamp(1_800_000_000);

    fn handle() -> Handle {
        Handle::generate(HandleKind::Login, GrantId([3; 16]), NOW, &test_keys(), &|bytes| bytes.fill(7))
    }

    #[test]
    fn handle_expires_after_ten_minutes() {
        let read = Handle::parse(HandleKind::Login, handle().as_str(), &test_keys()).unwrap();
        assert_eq!(read, handle());
        assert_eq!((read.as_str().len(), read.id()), (64, GrantId([3; 16])));
        assert_eq!([599, 600].map(|age| read.has_expired(NOW.plus(age))), [false, true]);
    }

    #[test]
    fn handle_of_another_kind_or_altered_is_refused() {
        let text = handle().as_str().to_owned();
        assert_eq!(Handle::parse(HandleKind::Approval, &text, &test_keys()), None);
        let other_name = text.replacen('D', "E", 1);
        let other_secret = text.replacen('B', "C", 1);
        for altered in [other_name, other_secret, format!("{text}A"), String::new(), "x".repeat(64)] {
            assert_ne!(altered, text);
            assert_eq!(Handle::parse(HandleKind::Login, &altered, &test_keys()), None, "{altered}");
        }
    }

    #[test]
    fn debug_output_shows_no_secret() {
        assert_eq!(format!("{:?}", handle()), "Handle([redacted])");
    }
}
