//! Clients and their metadata (RFC 7591 §2).

use serde::{Deserialize, Serialize};

use crate::{
    config::Config,
    host::{DAY, Digest},
    jose::ClientKeys,
    types::{ClientId, ConfiguredId, RedirectUri, is_invisible},
};

/// A client that registered (RFC 7591), whose metadata document was fetched, or that the operator configured. A client
/// that is not configured chose everything in it except a registered id, and nothing of it is verified.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Client {
    /// `client_id`, without sealed metadata.
    pub id: ClientId,
    /// `client_name`, as pages can show it: without control characters and direction overrides, at most 100 characters.
    pub name: Option<String>,
    /// `redirect_uris`.
    pub redirect_uris: Vec<RedirectUri>,
    /// `token_endpoint_auth_method`.
    pub auth_method: AuthMethod,
    /// The digest of the `client_secret`, for a configured client its SHA-256. Only a confidential client has one.
    pub secret: Option<Digest>,
    /// The keys of a client that signs assertions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub keys: Option<ClientKeys>,
}

/// How a client authenticates at the token endpoint (RFC 7591 §2).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum AuthMethod {
    /// The secret is in the `Authorization` header, with HTTP Basic.
    #[serde(rename = "client_secret_basic")]
    ClientSecretBasic,
    /// The secret is in the form.
    #[serde(rename = "client_secret_post")]
    ClientSecretPost,
    /// A public client does not authenticate.
    #[serde(rename = "none")]
    None,
    /// The client signs an assertion with one of its keys (RFC 7523 §2.2).
    #[serde(rename = "private_key_jwt")]
    PrivateKeyJwt,
    /// Either of the last two. A login that began with a key goes on with it.
    #[serde(rename = "private_key_jwt none")]
    PrivateKeyJwtOrNone,
}

impl Client {
    /// Seconds for which a stored registration is kept after an authorization request: 30 days.
    pub const UNUSED_LIFETIME: u64 = 30 * DAY;

    /// Seconds for which a stored registration is kept after the client got tokens: 90 days, or longer if the refresh
    /// tokens live longer. The record is written once a day at most, so one day is added.
    pub fn lifetime(config: &Config) -> u64 {
        (90 * DAY).max(config.refresh_token_lifetime.as_secs() + DAY)
    }

    /// The client in the configuration with this identifier.
    pub fn configured(id: &ConfiguredId, config: &Config) -> Option<Self> {
        let client = config.admission.clients.iter().find(|client| client.id == *id)?;
        Some(Self {
            id: ClientId::Configured(client.id.clone()),
            name: displayable(&client.name),
            redirect_uris: client.redirect_uris.clone(),
            auth_method: match (&client.keys, client.secret_sha256) {
                (Some(_), _) => AuthMethod::PrivateKeyJwt,
                (None, Some(_)) => AuthMethod::ClientSecretBasic,
                (None, None) => AuthMethod::None,
            },
            secret: client.secret_sha256,
            keys: client.keys.clone(),
        })
    }

    /// The name to show on pages and to pass to `PingOne`.
    pub fn display_name(&self) -> &str {
        self.name.as_deref().unwrap_or("A client without a name")
    }
}

/// The part of a name that pages can show: at most 100 characters, with single spaces, without control characters and
/// without characters that reverse, hide or overprint text. `None` if nothing is left.
pub(crate) fn displayable(name: &str) -> Option<String> {
    let visible = |c: &char| !c.is_control() && !is_invisible(*c);
    let spaced: String =
        name.chars().map(|c| if c.is_whitespace() { ' ' } else { c }).filter(visible).collect();
    let name: String = spaced.split(' ').filter(|word| !word.is_empty()).collect::<Vec<_>>().join(" ");
    let mut marks = 0;
    let mut few_marks = |c: &char| {
        marks = if is_combining_mark(*c) { marks + 1 } else { 0 };
        marks <= MAX_MARKS
    };
    let name: String = name.chars().filter(|c| few_marks(c)).take(100).collect();
    (!name.is_empty()).then_some(name)
}

/// Whether a character is a combining mark, from the Unicode blocks for such marks. Fonts stack them, out of the line.
const fn is_combining_mark(c: char) -> bool {
    matches!(c, '\u{300}'..='\u{36f}' | '\u{483}'..='\u{489}' | '\u{1ab0}'..='\u{1aff}' | '\u{1dc0}'..='\u{1dff}'
        | '\u{20d0}'..='\u{20ff}' | '\u{302e}'..='\u{302f}' | '\u{3099}'..='\u{309a}' | '\u{fe20}'..='\u{fe2f}')
}

/// Combining marks on one character. Names of applications need no more, in any language.
const MAX_MARKS: usize = 2;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stacked_marks_are_removed_from_client_name() {
        assert_eq!(displayable("Cafe\u{301}"), Some("Cafe\u{301}".into()));
        let piled = format!("a{}b\u{301}\u{302}\u{303}", "\u{316}".repeat(50));
        assert_eq!(displayable(&piled), Some("a\u{316}\u{316}b\u{301}\u{302}".into()));
    }

    #[test]
    fn direction_overrides_and_controls_are_removed_from_name() {
        assert_eq!(displayable("Cl\u{202e}au\u{200b}de\n\t Code\0"), Some("Claude Code".into()));
        assert_eq!(displayable("\u{202e}\u{feff} "), None);
        assert_eq!(displayable(&"x".repeat(500)).map(|name| name.len()), Some(100));
    }
}
