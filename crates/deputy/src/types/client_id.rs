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
/// // From dynamic client registration: 16 random bytes.
/// let id = RegisteredId::new(&[7; 16]);
/// assert_eq!(ClientId::parse("BwcHBwcHBwcHBwcHBwcHBw"), Ok(ClientId::Registered(id)));
/// // The URL of a client ID metadata document.
/// assert!(matches!(ClientId::parse("https://client.example/client.json"), Ok(ClientId::Document(_))));
///
/// let not_https = ClientId::parse("http://client.example/client.json");
/// assert_eq!(not_https, Err(ClientIdError::Url(ClientIdUrlError::Scheme)));
/// assert_eq!(ClientId::parse("my-client"), Err(ClientIdError::Unknown));
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ClientId {
    /// The URL of the client's metadata document (draft-ietf-oauth-client-id-metadata-document-00 §3).
    Document(ClientIdUrl),
    /// An identifier that this server issued at registration (RFC 7591 §3.2.1).
    Registered(RegisteredId),
}

/// A `client_id` that this server issued at registration: 16 random bytes as base64url.
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
    /// Parses a `client_id` without looking the client up.
    pub fn parse(text: &str) -> Result<Self, ClientIdError> {
        if ClientIdUrl::looks_like_url(text) {
            return ClientIdUrl::parse(text).map(Self::Document).map_err(ClientIdError::Url);
        }
        RegisteredId::parse(text).map(Self::Registered).ok_or(ClientIdError::Unknown)
    }

    /// Whether `text` looks like a `client_id` of either kind, acceptable or not. Such a text can be shown in an error:
    /// it is not a secret that was sent in the wrong parameter.
    pub fn is_well_formed(text: &str) -> bool {
        ClientIdUrl::looks_like_url(text) || RegisteredId::parse(text).is_some()
    }

    /// The identifier as the client sends it.
    pub fn as_str(&self) -> &str {
        match self {
            Self::Document(url) => url.as_str(),
            Self::Registered(RegisteredId(text)) => text,
        }
    }
}

impl RegisteredId {
    /// Makes an identifier of 16 random bytes.
    pub fn new(random: &[u8; 16]) -> Self {
        Self(base64url_encode(random))
    }

    /// Parses an identifier. `None` if this server issues no identifiers of this form.
    pub fn parse(text: &str) -> Option<Self> {
        base64url_decode::<16>(text).map(|_| Self(text.to_owned()))
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
        for text in ["", "client", "AAAAAAAAAAAAAAAAAAAAAAA", "document-AAAAAAAAAAAAAAAAAAAAAA"] {
            assert_eq!(ClientId::parse(text), Err(ClientIdError::Unknown), "{text}");
        }
    }
}
