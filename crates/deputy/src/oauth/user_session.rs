//! The session of a user who manages their agents, in a cookie of one browser.

use serde::{Deserialize, Serialize};

use crate::{
    config::Keys,
    encoding::{base64url_decode_all, base64url_encode},
    host::Timestamp,
    seal::{self, Random, Sealed, random_bytes},
    types::User,
};

/// A session of *Your agents*. It gives no access to the API, and contains no token.
///
/// The cookie is sealed, so that it does not reveal the user. The page checks with [`UserSession::id`] that the user
/// has not signed out.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct UserSession {
    /// The random identifier of the session.
    #[serde(with = "crate::encoding::base64url")]
    pub id: [u8; 16],
    /// The user who signed in.
    pub user: User,
    began_at: Timestamp,
}

impl UserSession {
    /// The name of the cookie.
    pub const COOKIE: &str = "__Host-mcp-agents";
    /// Seconds from the sign-in to the end of the session, which use does not extend.
    pub const LIFETIME: u64 = 15 * 60;

    /// Begins a session.
    pub fn begin(user: User, now: Timestamp, random: Random<'_>) -> Self {
        Self { id: random_bytes(random), user, began_at: now }
    }

    /// The session of the first cookie that this server sealed and that has not expired.
    pub fn among(cookies: &[(String, String)], keys: &Keys, now: Timestamp) -> Option<Self> {
        let mut values = cookies.iter().filter(|(name, _)| name == Self::COOKIE);
        values.find_map(|(_, value)| Self::read(value, keys, now))
    }

    fn read(value: &str, keys: &Keys, now: Timestamp) -> Option<Self> {
        let sealed = Sealed(base64url_decode_all(Some(value).filter(|value| value.len() < LONGEST)?)?);
        let plain = keys.iter().find_map(|keys| keys.cookies.subkey(PURPOSE).open(b"", &sealed))?;
        let session: Self = serde_json::from_slice(&plain).ok()?;
        session.expires_at().is_awaited(now, Self::LIFETIME).then_some(session)
    }

    /// The value of the cookie.
    pub fn render(&self, keys: &Keys, random: Random<'_>) -> String {
        // Serializing strings and numbers cannot fail.
        let plain = serde_json::to_vec(self).unwrap_or_default();
        base64url_encode(&keys.newest().cookies.subkey(PURPOSE).seal(b"", &plain, random).0)
    }

    /// The time at which the session ends.
    pub const fn expires_at(&self) -> Timestamp {
        self.began_at.plus(Self::LIFETIME)
    }

    /// The hidden value of the forms on pages of this session, which protects against cross-site request forgery.
    pub fn form_token(&self, keys: &Keys) -> String {
        self.form_token_of(&keys.newest().cookies)
    }

    /// Whether `token` is the hidden value of a form of this session.
    pub fn made_form(&self, token: &str, keys: &Keys) -> bool {
        let mut tokens = keys.iter().map(|keys| self.form_token_of(&keys.cookies));
        tokens.any(|expected| seal::constant_time_eq(expected.as_bytes(), token.as_bytes()))
    }

    fn form_token_of(&self, key: &seal::SealingKey) -> String {
        base64url_encode(&key.mac::<16>(&[b"agents form", &self.id, self.user.sub.as_bytes()]))
    }
}

const PURPOSE: &str = "agents session";
/// Bytes of the cookie's value. Browsers store cookies of up to 4096 bytes.
const LONGEST: usize = 4096;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::test_keys;

    const NOW: Timestamp = Timestamp(1_800_000_000);

    fn session(id: u8) -> UserSession {
        let user = User { sub: "alice".to_owned(), ..User::default() };
        UserSession::begin(user, NOW, &|bytes| bytes.fill(id))
    }

    fn read(value: &str, age: u64) -> Option<UserSession> {
        let cookies = [(UserSession::COOKIE.to_owned(), value.to_owned())];
        UserSession::among(&cookies, &test_keys(), NOW.plus(age))
    }

    #[test]
    fn session_ends_a_quarter_of_an_hour_after_sign_in() {
        let value = session(1).render(&test_keys(), &|bytes| bytes.fill(2));
        assert_eq!(read(&value, 899), Some(session(1)));
        assert_eq!(read(&value, 900), None);
    }

    #[test]
    fn altered_session_cookie_is_no_session() {
        let value = session(1).render(&test_keys(), &|bytes| bytes.fill(2));
        assert!(!value.contains("alice"));
        for altered in [value.replacen('A', "B", 1), format!("{value}A"), "x".repeat(5000), String::new()] {
            assert!(altered == value || read(&altered, 0).is_none(), "{altered}");
        }
    }

    #[test]
    fn form_of_another_session_is_refused() {
        let token = session(1).form_token(&test_keys());
        assert!(session(1).made_form(&token, &test_keys()));
        assert!(!session(2).made_form(&token, &test_keys()));
        assert!(!session(1).made_form("", &test_keys()));
    }
}
