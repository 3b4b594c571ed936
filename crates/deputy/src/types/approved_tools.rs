//! The tools that a user has approved.

use std::fmt;

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use crate::encoding::base64url_encode;

/// The tools, prompts and resources that the approved scopes opened when the user approved them.
///
/// The value is text with a [`ToolDigest`] for each. A later deployment may have a tool more under the same scopes; its
/// digest is not in the text.
///
/// ```
/// use deputy::types::{ApprovedTools, ToolDigest};
///
/// let (list, delete) = (ToolDigest::of("list", true), ToolDigest::of("delete", false));
/// let approved: ApprovedTools = [list].into_iter().collect();
/// assert!(approved.contains(list));
/// assert!(!approved.contains(delete));
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ApprovedTools(String);

/// A digest of the name of a tool, and of whether the tool declares that it changes nothing.
///
/// It is the first 36 bits of SHA-256, in base64url. A new tool has the digest of one of `n` approved tools with a
/// probability of `n / 2^36`: one in 687 million with 100 tools. The operator names the tools, and no client does.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct ToolDigest([u8; LENGTH]);

impl ToolDigest {
    /// The digest of the tool with this name.
    pub fn of(name: &str, is_read_only: bool) -> Self {
        let kind: &[u8] = if is_read_only { b"read-only tool " } else { b"tool " };
        let text = base64url_encode(&Sha256::new().chain_update(kind).chain_update(name).finalize());
        let mut digest = [0; LENGTH];
        digest.copy_from_slice(&text.as_bytes()[..LENGTH]);
        Self(digest)
    }
}

impl fmt::Debug for ToolDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&String::from_utf8_lossy(&self.0))
    }
}

impl ApprovedTools {
    /// Parses the text. `None` if it is not a sequence of digests.
    pub fn parse(text: &str) -> Option<Self> {
        let is_digest = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
        (text.len().is_multiple_of(LENGTH) && text.bytes().all(is_digest)).then(|| Self(text.to_owned()))
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether the user has approved the tool with this digest.
    pub fn contains(&self, tool: ToolDigest) -> bool {
        self.digests().any(|digest| digest == tool)
    }

    /// Keeps only the tools that are also in `other`.
    #[must_use]
    pub fn intersection(&self, other: &Self) -> Self {
        self.digests().filter(|digest| other.contains(*digest)).collect()
    }

    fn digests(&self) -> impl Iterator<Item = ToolDigest> {
        self.0.as_bytes().as_chunks().0.iter().map(|digest| ToolDigest(*digest))
    }
}

impl FromIterator<ToolDigest> for ApprovedTools {
    fn from_iter<I: IntoIterator<Item = ToolDigest>>(tools: I) -> Self {
        // Digests are ASCII.
        Self(tools.into_iter().flat_map(|ToolDigest(digest)| digest).map(char::from).collect())
    }
}

/// Characters of a digest.
const LENGTH: usize = 6;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tool_has_another_digest_when_it_changes_something() {
        let tools: ApprovedTools =
            [ToolDigest::of("a", true), ToolDigest::of("b", false)].into_iter().collect();
        for (name, is_read_only, approved) in [
            ("a", true, true),
            ("a", false, false),
            ("b", true, false),
            ("b", false, true),
            ("c", true, false),
        ] {
            assert_eq!(tools.contains(ToolDigest::of(name, is_read_only)), approved, "{name} {is_read_only}");
        }
    }

    #[test]
    fn approved_tools_are_read_as_they_are_written() {
        let digests = ["a", "b"].map(|name| ToolDigest::of(name, true));
        let (both, first): (ApprovedTools, ApprovedTools) =
            (digests.into_iter().collect(), digests.into_iter().take(1).collect());
        assert_eq!(ApprovedTools::parse(both.as_str()), Some(both.clone()));
        assert_eq!(both.as_str().len(), 12);
        assert_eq!(both.intersection(&first), first);
        for text in ["abcde", "abcde.", "abcdeä", "abcdefg"] {
            assert_eq!(ApprovedTools::parse(text), None, "{text}");
        }
    }
}
