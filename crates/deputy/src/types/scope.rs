//! Scopes (OAuth 2.1 §3.2.2.1).

use std::fmt;

use serde::{Deserialize, Serialize};

/// A set of scope tokens, in the order of the `scope` parameter (OAuth 2.1 §3.2.2.1).
///
/// ```
/// use deputy::types::{ScopeError, Scopes};
///
/// let offered = Scopes::parse("todo:read todo:write")?;
/// // Scopes that the server does not offer are dropped.
/// assert_eq!(Scopes::parse("todo:write admin")?.granted(&offered)?.to_string(), "todo:write");
/// // A client that asks for no scope gets the default.
/// assert_eq!(Scopes::parse("")?.granted(&offered)?, offered);
/// assert_eq!(Scopes::parse("admin")?.granted(&offered), Err(ScopeError::NotOffered(offered)));
/// # Ok::<(), ScopeError>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Scopes(Vec<String>);

/// Why no scope can be granted (`invalid_scope`, OAuth 2.1 §3.2.4, §4.1.2.1).
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ScopeError {
    /// A character is not allowed in a scope. The text names its code point, since an error response must not repeat
    /// it.
    #[error("scope is malformed: it contains U+{:04X}; scopes are separated by single spaces", u32::from(*.0))]
    Character(char),
    /// The scopes are separated by commas, so that they read as one unknown scope.
    #[error("scope is malformed: scopes are separated by single spaces, and not by commas (U+002C)")]
    Commas,
    /// The server offers none of the scopes. Holds the scopes on offer.
    #[error("none of these scopes can be granted; the scopes that can be are: {0}")]
    NotOffered(Scopes),
    /// There are more than 64 scopes.
    #[error("scope is malformed: it has more than 64 scopes")]
    TooMany,
}

impl Scopes {
    /// Scopes in one list, at most.
    pub const MOST: usize = 64;

    /// Parses a `scope` parameter (RFC 6749 appendix A.4).
    ///
    /// ```text
    /// scope       = scope-token *( SP scope-token )
    /// scope-token = 1*( %x21 / %x23-5B / %x5D-7E )
    /// ```
    ///
    /// Additional spaces are ignored. At most 64 different scopes are accepted.
    pub fn parse(text: &str) -> Result<Self, ScopeError> {
        let mut scopes = Self::default();
        for token in text.split(' ').filter(|token| !token.is_empty()) {
            let foreign = |c: &char| !matches!(c, '\x21' | '\x23'..='\x5b' | '\x5d'..='\x7e');
            if let Some(character) = token.chars().find(foreign) {
                return Err(ScopeError::Character(character));
            }
            if !scopes.contains(token) {
                scopes.0.push(token.to_owned());
            }
            if scopes.0.len() > Self::MOST {
                return Err(ScopeError::TooMany);
            }
        }
        Ok(scopes)
    }

    /// The scopes that a client gets if it requests these and `offered` can be granted. The same rule holds at the
    /// authorization endpoint, in a refresh and in a registration response.
    ///
    /// Scopes that are not offered are dropped (RFC 6749 §3.3: the server may ignore a part of the scope). A request
    /// without scopes gets the default, which is everything offered. A request with only scopes of `OpenID` Connect
    /// gets it too, since clients made for `OpenID` Connect request nothing else. A request with only unknown scopes is
    /// refused.
    pub fn granted(&self, offered: &Self) -> Result<Self, ScopeError> {
        let granted = offered.intersection(self);
        if !granted.is_empty() {
            return Ok(granted);
        }
        if self.iter().all(|scope| OPENID_SCOPES.contains(&scope)) {
            return Ok(offered.clone());
        }
        // The grammar allows commas in a scope, but no scope on offer has one.
        let commas = self.iter().any(|scope| scope.contains(','));
        Err(if commas { ScopeError::Commas } else { ScopeError::NotOffered(offered.clone()) })
    }

    /// The scopes of this set that the `scope` of a token response from `PingOne` names. That text may also have scopes
    /// of other resources, in any form.
    #[must_use]
    pub fn named_in(&self, text: &str) -> Self {
        let named = |scope: &&str| text.split_ascii_whitespace().any(|token| token == *scope);
        Self(self.iter().filter(named).map(str::to_owned).collect())
    }

    /// Makes a set of tokens that are known to be valid scope tokens.
    pub fn of<'a>(tokens: impl IntoIterator<Item = &'a str>) -> Self {
        Self(tokens.into_iter().map(str::to_owned).collect())
    }

    /// Whether `scope` is in the set.
    pub fn contains(&self, scope: &str) -> bool {
        self.0.iter().any(|held| held == scope)
    }

    /// The scopes that are in both sets, in the order of this one.
    #[must_use]
    pub fn intersection(&self, other: &Self) -> Self {
        Self(self.iter().filter(|scope| other.contains(scope)).map(str::to_owned).collect())
    }

    /// Whether every scope is also in `other`.
    pub fn is_subset(&self, other: &Self) -> bool {
        self.iter().all(|scope| other.contains(scope))
    }

    /// Whether the set is empty.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The scopes in their order.
    pub fn iter(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(String::as_str)
    }

    /// The scopes as strings.
    pub fn to_vec(&self) -> Vec<String> {
        self.0.clone()
    }
}

impl fmt::Display for Scopes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.join(" "))
    }
}

/// The scopes of `OpenID` Connect Core §5.4 and §11. They change nothing here: this server issues no ID tokens, and it
/// issues refresh tokens to every client.
const OPENID_SCOPES: [&str; 6] = ["address", "email", "offline_access", "openid", "phone", "profile"];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scope_accepts_exactly_the_characters_of_the_grammar() {
        for good in ["!", "#", "[", "]", "~", "a:b", "a b", " a  b ", ""] {
            assert!(Scopes::parse(good).is_ok(), "{good:?}");
        }
        for bad in ["\"", "\\", "\u{7f}", "a\tb", "a\nb", "\u{e4}", "\0"] {
            assert!(matches!(Scopes::parse(bad), Err(ScopeError::Character(_))), "{bad:?}");
        }
    }

    #[test]
    fn repeated_scope_is_kept_once() {
        assert_eq!(Scopes::parse("b a b").unwrap().to_string(), "b a");
        assert!(Scopes::parse(&"a ".repeat(100)).is_ok());
    }

    #[test]
    fn malformed_scope_is_refused_with_the_cause() {
        let many = (0..65).map(|n| n.to_string()).collect::<Vec<_>>().join(" ");
        let offered = Scopes::of(["a", "b"]);
        let refused = |requested: &str| {
            Scopes::parse(requested)
                .and_then(|requested| requested.granted(&offered))
                .unwrap_err()
                .to_string()
        };
        let spaces = "scopes are separated by single spaces";
        assert_eq!(refused("a\tb"), format!("scope is malformed: it contains U+0009; {spaces}"));
        assert_eq!(refused("a \u{e9}"), format!("scope is malformed: it contains U+00E9; {spaces}"));
        assert_eq!(refused("a,b"), format!("scope is malformed: {spaces}, and not by commas (U+002C)"));
        assert_eq!(refused(&many), "scope is malformed: it has more than 64 scopes");
        let unknown = "none of these scopes can be granted; the scopes that can be are: a b";
        assert_eq!(refused("c openid"), unknown);
    }

    #[test]
    fn request_with_only_openid_scopes_gets_the_default() {
        let offered = Scopes::of(["a", "b"]);
        let granted = |asked: &str| Scopes::parse(asked).unwrap().granted(&offered).unwrap().to_string();
        for asked in ["", "openid", "openid email profile", "offline_access", "openid address phone"] {
            assert_eq!(granted(asked), "a b", "{asked}");
        }
        for asked in ["b", "openid b", "b c", "b x,y"] {
            assert_eq!(granted(asked), "b", "{asked}");
        }
    }

    #[test]
    fn scope_is_found_beside_scopes_of_other_resources() {
        let ours = Scopes::of(["a", "b"]);
        assert_eq!(ours.named_in("openid p1:read:user \"\u{e9}\" b").to_string(), "b");
        assert!(ours.named_in("").is_empty());
    }
}
