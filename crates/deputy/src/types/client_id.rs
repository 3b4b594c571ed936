//! Client identifiers (OAuth 2.1 §2.2). An identifier tells the kind of client.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};

use super::{ClientIdUrl, ClientIdUrlError};
use crate::encoding::{base64url_decode, base64url_encode};

/// A `client_id` (OAuth 2.1 §2.2), whose form tells the kind of client.
///
/// ```
/// use deputy::types::{ClientId, ClientIdError, ClientIdUrlError, RegisteredId};
///
/// // From dynamic client registration: a name of 16 random bytes, which sealed metadata may follow.
/// let id = RegisteredId::new(&[7; 16]);
/// assert_eq!(ClientId::parse("BwcHBwcHBwcHBwcHBwcHBw"), Ok(ClientId::Registered(id.clone())));
/// assert_eq!(ClientId::parse("BwcHBwcHBwcHBwcHBwcHBw.1.AAAA"), Ok(ClientId::Registered(id)));
/// // The URL of a client ID metadata document.
/// assert!(matches!(ClientId::parse("https://client.example/client.json"), Ok(ClientId::Document(_))));
///
/// // From the configuration.
/// assert!(matches!(ClientId::parse("client-mastra"), Ok(ClientId::Configured(_))));
///
/// let not_https = ClientId::parse("http://client.example/client.json");
/// assert_eq!(not_https, Err(ClientIdError::Url(ClientIdUrlError::Scheme)));
/// assert_eq!(ClientId::parse("my-client"), Err(ClientIdError::Unknown));
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ClientId {
    /// An identifier that the operator chose.
    Configured(ConfiguredId),
    /// The URL of the client's metadata document (draft-ietf-oauth-client-id-metadata-document-00 §3).
    Document(ClientIdUrl),
    /// The name in an identifier that this server issued at registration (RFC 7591 §3.2.1).
    Registered(RegisteredId),
}

/// The identifier of a client in the configuration: `client-` and 1 to 57 letters, digits, `-`, `_` or `.`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfiguredId(String);

/// The name of a client that registered: 16 random bytes as base64url. It stands for the client in records and logs.
///
/// The `client_id` that the client sends is the name, a dot, and its sealed metadata (`oauth::SealedClient`). Earlier
/// versions stored the metadata and issued the name alone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RegisteredId(String);

/// Why a `client_id` is rejected.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ClientIdError {
    /// It has neither the form of a URL nor that of an identifier from this server.
    #[error("the client_id was not issued by this server")]
    Unknown,
    /// It is a URL that this server rejects.
    #[error("{0}")]
    Url(ClientIdUrlError),
}

impl ClientId {
    /// The length of an identifier of this server, in bytes. The longest registration needs 3,400.
    pub const LONGEST: usize = 4096;

    /// Parses a `client_id` without looking the client up. Sealed metadata is not opened, and is not in the result.
    pub fn parse(text: &str) -> Result<Self, ClientIdError> {
        if ClientIdUrl::looks_like_url(text) {
            return ClientIdUrl::parse(text).map(Self::Document).map_err(ClientIdError::Url);
        }
        let configured = || ConfiguredId::parse(text).map(Self::Configured);
        configured().or_else(|| RegisteredId::parse(text).map(Self::Registered)).ok_or(ClientIdError::Unknown)
    }

    /// The part of `text` that a log can have, if it looks like a `client_id` of any kind, acceptable or not. Other
    /// text may be a secret that was sent in the wrong parameter.
    pub fn loggable(text: &str) -> Option<&str> {
        if ClientIdUrl::looks_like_url(text) || ConfiguredId::parse(text).is_some() {
            return Some(text);
        }
        RegisteredId::parse(text).and_then(|RegisteredId(name)| text.get(..name.len()))
    }

    /// The URL of the document, the configured identifier, or the name of a client that registered.
    pub fn as_str(&self) -> &str {
        match self {
            Self::Document(url) => url.as_str(),
            Self::Configured(ConfiguredId(text)) | Self::Registered(RegisteredId(text)) => text,
        }
    }
}

impl ConfiguredId {
    /// Parses an identifier. `None` if it does not have the form.
    pub fn parse(text: &str) -> Option<Self> {
        let rest = text.strip_prefix("client-").filter(|rest| (1..=57).contains(&rest.len()))?;
        let is_valid = rest.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte));
        is_valid.then(|| Self(text.to_owned()))
    }
}

impl RegisteredId {
    /// The name of 16 random bytes.
    pub fn new(random: &[u8; 16]) -> Self {
        Self(base64url_encode(random))
    }

    /// Parses the name in a `client_id`. `None` if this server issues no identifiers of this form.
    pub fn parse(client_id: &str) -> Option<Self> {
        if client_id.len() > ClientId::LONGEST {
            return None;
        }
        let name = client_id.split('.').next().unwrap_or_default();
        base64url_decode::<16>(name).map(|_| Self(name.to_owned()))
    }
}

impl fmt::Display for ClientId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Display for RegisteredId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Serialize for ClientId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

impl<'de> Deserialize<'de> for ClientId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::parse(&String::deserialize(deserializer)?).map_err(D::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn client_id_tells_the_kind_of_client() {
        let id = RegisteredId::new(&[7; 16]);
        assert_eq!(ClientId::parse(&id.0), Ok(ClientId::Registered(id)));
        let url = "https://client.example/metadata.json";
        assert!(matches!(ClientId::parse(url), Ok(ClientId::Document(parsed)) if parsed.as_str() == url));
        assert_eq!(
            ClientId::parse("http://client.example/x"),
            Err(ClientIdError::Url(ClientIdUrlError::Scheme))
        );
        for text in ["client-a", "client-Mastra_2.0", &format!("client-{}", "x".repeat(57))] {
            assert_eq!(ClientId::parse(text).map(|id| id.to_string()).as_deref(), Ok(text));
        }
        let longer = format!("client-{}", "x".repeat(58));
        for text in ["client-", "client-a b", "Client-a", "client-é", &longer] {
            assert_eq!(ClientId::parse(text), Err(ClientIdError::Unknown), "{text}");
        }
        let long = format!("{}.1.{}", "A".repeat(22), "A".repeat(ClientId::LONGEST));
        for text in
            ["", "client", "AAAAAAAAAAAAAAAAAAAAAAA", "document-AAAAAAAAAAAAAAAAAAAAAA", ".1.AAAA", &long]
        {
            assert_eq!(ClientId::parse(text), Err(ClientIdError::Unknown), "{text}");
        }
    }
}
