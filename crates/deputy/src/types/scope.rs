//! Scopes (OAuth 2.1 §3.2.2.1).

use std::fmt;

use serde::{Deserialize, Serialize};

/// A set of scope tokens, in the order in which they were first named.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Scopes(Vec<String>);

/// Why no scope can be granted (`invalid_scope`, OAuth 2.1 §3.2.4, §4.1.2.1).
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ScopeError {
    /// A character that no scope has. It is named by its code point: an error response must not repeat it.
    #[error("scope is malformed: it contains U+{:04X}; scopes are separated by single spaces", u32::from(*.0))]
    Character(char),
    /// Scopes with commas between them, which read as one scope that does not exist.
    #[error("scope is malformed: scopes are separated by single spaces, and not by commas (U+002C)")]
    Commas,
    /// None of the scopes is one that can be granted.
    #[error("none of these scopes can be granted; the scopes that can be are: {0}")]
    NotOffered(Scopes),
    /// More than 64.
    #[error("scope is malformed: it has more than 64 scopes")]
    TooMany,
}

impl Scopes {
    /// Reads a `scope` parameter.
    ///
    /// ```text
    /// scope       = scope-token *( SP scope-token )
    /// scope-token = 1*( %x21 / %x23-5B / %x5D-7E )
    /// ```
    ///
    /// (RFC 6749 appendix A.4.) Surplus spaces are forgiven; at most 64 different tokens.
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
            if scopes.0.len() > MOST {
                return Err(ScopeError::TooMany);
            }
        }
        Ok(scopes)
    }

    /// What is granted to a client that asks for these scopes where `offered` can be granted: at the authorization
    /// endpoint, in a refresh, and in the answer to a registration alike.
    ///
    /// Scopes that are not offered are dropped (RFC 6749 §3.3). A request that names no scope, or only scopes of `OpenID`
    /// Connect, gets the default, which is all that is offered: clients made for `OpenID` Connect ask for nothing else.
    /// A request that names only unknown scopes is refused, with the scopes on offer.
    pub fn granted(&self, offered: &Self) -> Result<Self, ScopeError> {
        let granted = offered.intersection(self);
        if !granted.is_empty() {
            return Ok(granted);
        }
        if self.iter().all(|scope| ABOUT_THE_LOGIN.contains(&scope)) {
            return Ok(offered.clone());
        }
        // A comma may stand in a scope, but not in one that can be offered here.
        let commas = self.iter().any(|scope| scope.contains(','));
        Err(if commas { ScopeError::Commas } else { ScopeError::NotOffered(offered.clone()) })
    }

    /// Those of this set that a `scope` of `PingOne` names too. Scopes of other resources in it may be of any form.
    #[must_use]
    pub fn named_in(&self, text: &str) -> Self {
        let named = |scope: &&str| text.split_ascii_whitespace().any(|token| token == *scope);
        Self(self.iter().filter(named).map(str::to_owned).collect())
    }

    /// The set of `tokens`, which are known to be scope tokens.
    pub fn of<'a>(tokens: impl IntoIterator<Item = &'a str>) -> Self {
        Self(tokens.into_iter().map(str::to_owned).collect())
    }

    /// Whether it holds `scope`.
    pub fn contains(&self, scope: &str) -> bool {
        self.0.iter().any(|held| held == scope)
    }

    /// What both hold, in this set's order.
    #[must_use]
    pub fn intersection(&self, other: &Self) -> Self {
        Self(self.iter().filter(|scope| other.contains(scope)).map(str::to_owned).collect())
    }

    /// Whether everything in it is also in `other`.
    pub fn is_subset(&self, other: &Self) -> bool {
        self.iter().all(|scope| other.contains(scope))
    }

    /// Whether it is empty.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Each scope.
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

/// Scopes that clients ask for out of habit. They change nothing: a refresh token is issued by policy, and this server
/// issues no ID tokens.
const ABOUT_THE_LOGIN: [&str; 6] = ["address", "email", "offline_access", "openid", "phone", "profile"];

/// Scopes of one request.
const MOST: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_boundary_characters_of_the_grammar_hold() {
        for good in ["!", "#", "[", "]", "~", "a:b", "a b", " a  b ", ""] {
            assert!(Scopes::parse(good).is_ok(), "{good:?}");
        }
        for bad in ["\"", "\\", "\u{7f}", "a\tb", "a\nb", "\u{e4}", "\0"] {
            assert!(matches!(Scopes::parse(bad), Err(ScopeError::Character(_))), "{bad:?}");
        }
    }

    #[test]
    fn a_scope_named_twice_is_held_once() {
        assert_eq!(Scopes::parse("b a b").unwrap().to_string(), "b a");
        assert!(Scopes::parse(&"a ".repeat(100)).is_ok());
    }

    #[test]
    fn malformed_scope_is_refused_with_the_cause() {
        let many = (0..65).map(|n| n.to_string()).collect::<Vec<_>>().join(" ");
        let offered = Scopes::of(["a", "b"]);
        let refused = |asked: &str| {
            Scopes::parse(asked).and_then(|asked| asked.granted(&offered)).unwrap_err().to_string()
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
    fn scopes_of_openid_connect_alone_get_the_default() {
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
    fn scope_beside_a_foreign_one_of_pingone_is_found() {
        let ours = Scopes::of(["a", "b"]);
        assert_eq!(ours.named_in("openid p1:read:user \"\u{e9}\" b").to_string(), "b");
        assert!(ours.named_in("").is_empty());
    }
}
