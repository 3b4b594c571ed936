//! Registered clients.

use serde::{Deserialize, Serialize};

use crate::{
    config::Config,
    host::{DAY, Digest, Timestamp},
    types::{ClientId, RedirectUri},
};

/// A client that registered (RFC 7591 §2), or that its metadata document describes. Everything in it but the id is text
/// that a stranger chose.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Client {
    /// `client_id`.
    pub id: ClientId,
    /// `client_name`, fit to be shown: no control characters, no direction overrides, at most 100 characters.
    pub name: Option<String>,
    /// `redirect_uris`.
    pub redirect_uris: Vec<RedirectUri>,
    /// `token_endpoint_auth_method`.
    pub auth_method: AuthMethod,
    /// The digest of the secret of a confidential client.
    pub secret: Option<Digest>,
    /// `client_id_issued_at`.
    pub issued_at: Timestamp,
}

/// How a client authenticates at the token endpoint (RFC 7591 §2).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum AuthMethod {
    /// With HTTP Basic.
    #[serde(rename = "client_secret_basic")]
    ClientSecretBasic,
    /// With its secret in the form.
    #[serde(rename = "client_secret_post")]
    ClientSecretPost,
    /// Not at all: a public client.
    #[serde(rename = "none")]
    None,
}

impl Client {
    /// How long a registration lives until a person has logged in with it, in seconds: 30 days. The registration response
    /// promises it, and each authorization request begins it anew.
    pub const UNUSED_LIFETIME: u64 = 30 * DAY;

    /// How long a registration lives after a client used it to get tokens, in seconds: 90 days, and no less than the refresh
    /// tokens that it got. Lifetimes are prolonged once a day at most, so that a day of it may have passed.
    pub fn lifetime(config: &Config) -> u64 {
        (90 * DAY).max(config.refresh_token_lifetime.as_secs() + DAY)
    }

    /// What to call it, in front of a person.
    pub fn display_name(&self) -> &str {
        self.name.as_deref().unwrap_or("A client without a name")
    }
}

/// What of a name can be shown to a person: no control characters, no characters that turn, hide or paint over text, single
/// spaces, at most 100 characters.
pub(crate) fn presentable(name: &str) -> Option<String> {
    let visible = |c: &char| {
        !c.is_control()
            && !matches!(c, '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}' | '\u{1160}' | '\u{180e}' | '\u{200b}'..='\u{200f}'
                | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{17b4}'..='\u{17b5}' | '\u{180b}'..='\u{180f}' | '\u{2800}' | '\u{3164}' | '\u{fe00}'..='\u{fe0f}' | '\u{feff}'
                | '\u{ffa0}' | '\u{fff0}'..='\u{fffb}' | '\u{e0000}'..='\u{e0fff}')
    };
    let spaced: String =
        name.chars().map(|c| if c.is_whitespace() { ' ' } else { c }).filter(visible).collect();
    let name: String = spaced.split(' ').filter(|word| !word.is_empty()).collect::<Vec<_>>().join(" ");
    let mut marks = 0;
    let mut few_marks = |c: &char| {
        marks = if is_combining_mark(*c) { marks + 1 } else { 0 };
        marks <= MOST_MARKS
    };
    let name: String = name.chars().filter(|c| few_marks(c)).take(100).collect();
    (!name.is_empty()).then_some(name)
}

/// Whether a character is drawn over the one before it, without a width of its own: those of the blocks that are made for
/// that. Fonts stack them, out of their line.
const fn is_combining_mark(c: char) -> bool {
    matches!(c, '\u{300}'..='\u{36f}' | '\u{483}'..='\u{489}' | '\u{1ab0}'..='\u{1aff}' | '\u{1dc0}'..='\u{1dff}'
        | '\u{20d0}'..='\u{20ff}' | '\u{302e}'..='\u{302f}' | '\u{3099}'..='\u{309a}' | '\u{fe20}'..='\u{fe2f}')
}

/// Marks on one character. No language needs more in the names of applications.
const MOST_MARKS: usize = 2;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marks_that_would_be_piled_up_over_other_text_are_taken_out_of_a_name() {
        assert_eq!(presentable("Cafe\u{301}"), Some("Cafe\u{301}".into()));
        let piled = format!("a{}b\u{301}\u{302}\u{303}", "\u{316}".repeat(50));
        assert_eq!(presentable(&piled), Some("a\u{316}\u{316}b\u{301}\u{302}".into()));
    }

    #[test]
    fn direction_overrides_and_controls_are_taken_out_of_a_name() {
        assert_eq!(presentable("Cl\u{202e}au\u{200b}de\n\t Code\0"), Some("Claude Code".into()));
        assert_eq!(presentable("\u{202e}\u{feff} "), None);
        assert_eq!(presentable(&"x".repeat(500)).map(|name| name.len()), Some(100));
    }
}
