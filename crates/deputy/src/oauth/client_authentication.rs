//! Client authentication (OAuth 2.1 §2.4).

use base64::{Engine as _, engine::general_purpose::STANDARD};
use url::form_urlencoded;

use super::{AuthMethod, Client, ErrorCode, Params, registration::secret_digest};
use crate::{seal, secret::Secret};

/// What a client says it is, and its proof, if it gave one.
#[derive(Debug)]
pub struct ClientCredentials {
    client_id: String,
    secret: Option<Secret<String>>,
}

/// Why a client is not authenticated.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ClientAuthError {
    /// The `Authorization` header is not Basic, or not readable.
    #[error("the Authorization header is not readable HTTP Basic")]
    Header,
    /// No `client_id` anywhere.
    #[error("client_id is missing")]
    Missing,
    /// OAuth 2.1 §2.4: one method per request.
    #[error("the client authenticates in more than one way")]
    Several,
    /// Unknown client, or no, wrong or surplus secret. Deliberately one answer for all.
    #[error("the client is unknown or its secret is wrong")]
    Wrong,
}

impl ClientAuthError {
    /// The code on the wire.
    pub const fn code(self) -> ErrorCode {
        match self {
            Self::Header | Self::Wrong => ErrorCode::InvalidClient,
            Self::Missing | Self::Several => ErrorCode::InvalidRequest,
        }
    }
}

impl ClientCredentials {
    /// Reads the credentials of a token or revocation request.
    pub fn parse(authorization: Option<&[u8]>, params: &Params) -> Result<Self, ClientAuthError> {
        let one = |name| params.one(name).map_err(|_| ClientAuthError::Several);
        let (form_id, form_secret) = (one("client_id")?, one("client_secret")?);
        let Some(header) = authorization else {
            let client_id = form_id.ok_or(ClientAuthError::Missing)?.to_owned();
            return Ok(Self { client_id, secret: form_secret.map(|secret| Secret::new(secret.to_owned())) });
        };
        let (client_id, secret) = basic(header).ok_or(ClientAuthError::Header)?;
        if form_secret.is_some() || form_id.is_some_and(|id| id != client_id) {
            return Err(ClientAuthError::Several);
        }
        Ok(Self { client_id, secret: (!secret.expose().is_empty()).then_some(secret) })
    }

    /// The client to load.
    pub fn client_id(&self) -> &str {
        &self.client_id
    }

    /// Whether they are those of `client`. Basic and form are accepted for either of the two secret methods: clients
    /// mix them up, and it is the same secret.
    pub fn authenticate(&self, client: &Client) -> Result<(), ClientAuthError> {
        let good = match (client.auth_method, &client.secret, &self.secret) {
            (AuthMethod::None, _, None) => true,
            (AuthMethod::ClientSecretBasic | AuthMethod::ClientSecretPost, Some(digest), Some(secret)) => {
                seal::equal(&secret_digest(secret.expose()).0, &digest.0)
            }
            _ => false,
        };
        if good && client.id == self.client_id { Ok(()) } else { Err(ClientAuthError::Wrong) }
    }
}

/// OAuth 2.1 §2.4.1: both halves are form-encoded before they are joined.
fn basic(header: &[u8]) -> Option<(String, Secret<String>)> {
    let header = std::str::from_utf8(header).ok()?;
    let (scheme, value) = header.split_once(' ')?;
    if !scheme.eq_ignore_ascii_case("basic") || value.len() > 4096 {
        return None;
    }
    let decoded = zeroize::Zeroizing::new(STANDARD.decode(value.trim()).ok()?);
    let (id, secret) = std::str::from_utf8(&decoded).ok()?.split_once(':')?;
    let decode = |text: &str| {
        let pair = form_urlencoded::parse(text.as_bytes()).next();
        pair.map(|(name, _)| name.into_owned()).unwrap_or_default()
    };
    Some((decode(id), Secret::new(decode(secret))))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(header: Option<&str>, form: &str) -> Result<(String, Option<String>), ClientAuthError> {
        let parsed = ClientCredentials::parse(header.map(str::as_bytes), &Params::decode(form.as_bytes()))?;
        Ok((parsed.client_id, parsed.secret.map(|secret| secret.expose().clone())))
    }

    #[test]
    fn basic_credentials_are_form_decoded() {
        // "a b:c%3Ad" as `a+b:c%253Ad`
        let header = format!("basic {}", STANDARD.encode("a+b:c%253Ad"));
        assert_eq!(parse(Some(&header), ""), Ok(("a b".into(), Some("c%3Ad".into()))));
    }

    #[test]
    fn two_ways_at_once_are_refused() {
        let header = format!("Basic {}", STANDARD.encode("a:b"));
        assert_eq!(parse(Some(&header), "client_id=a&client_secret=b"), Err(ClientAuthError::Several));
        assert_eq!(parse(Some(&header), "client_id=other"), Err(ClientAuthError::Several));
        assert_eq!(parse(None, "client_id=a&client_id=a"), Err(ClientAuthError::Several));
    }

    #[test]
    fn an_unreadable_header_is_refused() {
        for header in ["Basic", "Basic !", "Bearer abc", "Basic YQ==", ""] {
            assert_eq!(parse(Some(header), "client_id=a"), Err(ClientAuthError::Header), "{header}");
        }
        assert_eq!(parse(None, ""), Err(ClientAuthError::Missing));
    }
}
