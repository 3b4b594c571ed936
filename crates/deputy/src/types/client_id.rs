//! Client identifiers (OAuth 2.1 §2.2), and with them the kinds of clients.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};

use super::{ClientIdUrl, ClientIdUrlError};
use crate::encoding::{base64url_decode, base64url_encode};

/// The identifier of a client, which says what kind of client it is. A new kind is a variant here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ClientId {
    /// A client that its metadata document describes, at this URL.
    Document(ClientIdUrl),
    /// A client that registered (RFC 7591).
    Registered(RegisteredId),
}

/// The `client_id` that this server gave to a client at its registration: 16 random bytes as base64url.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RegisteredId(String);

/// Why a text does not identify a client.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ClientIdError {
    /// Neither a URL nor an identifier that this server gives.
    #[error("the client_id is not one of this server's")]
    Unknown,
    /// A URL that cannot identify a client here.
    #[error("{0}")]
    Url(ClientIdUrlError),
}

impl ClientId {
    /// Reads a `client_id`.
    pub fn parse(text: &str) -> Result<Self, ClientIdError> {
        if ClientIdUrl::looks_like_url(text) {
            return ClientIdUrl::parse(text).map(Self::Document).map_err(ClientIdError::Url);
        }
        RegisteredId::parse(text).map(Self::Registered).ok_or(ClientIdError::Unknown)
    }

    /// Whether a text has the form of either kind, be it good or not: it is then no secret that was sent in the wrong place.
    pub fn is_well_formed(text: &str) -> bool {
        ClientIdUrl::looks_like_url(text) || RegisteredId::parse(text).is_some()
    }

    /// The `client_id`.
    pub fn as_str(&self) -> &str {
        match self {
            Self::Document(url) => url.as_str(),
            Self::Registered(RegisteredId(text)) => text,
        }
    }
}

impl RegisteredId {
    /// The identifier made of these random bytes.
    pub fn new(random: &[u8; 16]) -> Self {
        Self(base64url_encode(random))
    }

    /// Reads one. `None`: this server gives no such identifiers.
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
