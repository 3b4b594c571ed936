//! Scopes (OAuth 2.1 §3.2.2.1).

use std::fmt;

use serde::{Deserialize, Serialize};

/// A set of scope tokens, in the order in which they were first named.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Scopes(Vec<String>);

/// The text is not a list of scope tokens.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a list of scopes")]
pub struct ScopeError;

impl Scopes {
    /// Reads a `scope` parameter.
    ///
    /// ```text
    /// scope       = scope-token *( SP scope-token )
    /// scope-token = 1*( %x21 / %x23-5B / %x5D-7E )
    /// ```
    ///
    /// (RFC 6749 appendix A.4.) Surplus spaces are forgiven; at most 64 tokens.
    pub fn parse(text: &str) -> Result<Self, ScopeError> {
        let mut scopes = Self::default();
        for token in text.split(' ').filter(|token| !token.is_empty()) {
            if !token.bytes().all(|b| matches!(b, 0x21 | 0x23..=0x5b | 0x5d..=0x7e)) || scopes.0.len() == 64 {
                return Err(ScopeError);
            }
            if !scopes.contains(token) {
                scopes.0.push(token.to_owned());
            }
        }
        Ok(scopes)
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
    pub fn and(&self, other: &Self) -> Self {
        Self(self.iter().filter(|scope| other.contains(scope)).map(str::to_owned).collect())
    }

    /// Whether everything in it is also in `other`.
    pub fn within(&self, other: &Self) -> bool {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_boundary_characters_of_the_grammar_hold() {
        for good in ["!", "#", "[", "]", "~", "a:b", "a b", " a  b ", ""] {
            assert!(Scopes::parse(good).is_ok(), "{good:?}");
        }
        for bad in ["\"", "\\", "\u{7f}", "a\tb", "a\nb", "ä", "\0"] {
            assert_eq!(Scopes::parse(bad), Err(ScopeError), "{bad:?}");
        }
    }

    #[test]
    fn a_scope_named_twice_is_held_once() {
        assert_eq!(Scopes::parse("b a b").unwrap().to_string(), "b a");
    }

    #[test]
    fn too_many_scopes_are_refused() {
        let many = (0..65).map(|n| n.to_string()).collect::<Vec<_>>().join(" ");
        assert_eq!(Scopes::parse(&many), Err(ScopeError));
    }
}
