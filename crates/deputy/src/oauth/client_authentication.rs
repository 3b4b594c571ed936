//! Client authentication (OAuth 2.1 §2.4).

use base64::{Engine as _, engine::general_purpose::STANDARD};
use url::form_urlencoded;
use zeroize::Zeroizing;

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
    /// The `Authorization` header is Basic, and not readable.
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
    /// Reads the credentials of a token or revocation request from each value of `Authorization` and from the form.
    ///
    /// Only Basic authenticates a client (RFC 6749 §2.3.1). A value of another scheme is meant for somebody else, such as
    /// a gateway, and says nothing about the client. An empty id or secret is as if omitted, in the header as in the form.
    pub fn parse<'a>(
        authorization: impl IntoIterator<Item = &'a [u8]>,
        params: &Params,
    ) -> Result<Self, ClientAuthError> {
        let form = |name| params.one(name).map_err(|_| ClientAuthError::Several);
        let form_id = form("client_id")?.map(str::to_owned);
        let form_secret = form("client_secret")?.map(|secret| Secret::new(secret.to_owned()));
        let mut headers = authorization.into_iter().filter_map(basic_credentials);
        let (basic_id, basic_secret) = match (headers.next(), headers.next()) {
            (None, _) => (None, None),
            (Some(credentials), None) => basic(credentials).ok_or(ClientAuthError::Header)?,
            (Some(_), Some(_)) => return Err(ClientAuthError::Several),
        };
        // RFC 6749 §2.3: one method a request.
        if basic_secret.is_some() && form_secret.is_some()
            || basic_id.is_some() && form_id.is_some() && basic_id != form_id
        {
            return Err(ClientAuthError::Several);
        }
        let client_id = basic_id.or(form_id).ok_or(ClientAuthError::Missing)?;
        Ok(Self { client_id, secret: basic_secret.or(form_secret) })
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
                seal::constant_time_eq(&secret_digest(secret.expose()).0, &digest.0)
            }
            _ => false,
        };
        if good && client.id.as_str() == self.client_id { Ok(()) } else { Err(ClientAuthError::Wrong) }
    }
}

/// What follows the scheme, if that is Basic and anything follows it.
fn basic_credentials(header: &[u8]) -> Option<&[u8]> {
    let header = header.trim_ascii();
    let end = header.iter().position(u8::is_ascii_whitespace).unwrap_or(header.len());
    let (scheme, credentials) = header.split_at(end);
    let credentials = credentials.trim_ascii();
    (scheme.eq_ignore_ascii_case(b"basic") && !credentials.is_empty()).then_some(credentials)
}

/// The client and its secret, each if it is not empty. Both are form-encoded before they are joined (OAuth 2.1 §2.4.1).
fn basic(credentials: &[u8]) -> Option<(Option<String>, Option<Secret<String>>)> {
    if credentials.len() > 4096 {
        return None;
    }
    let decoded = Zeroizing::new(STANDARD.decode(credentials).ok()?);
    let (id, secret) = str::from_utf8(&decoded).ok()?.split_once(':')?;
    let decode = |text: &str| {
        let pair = form_urlencoded::parse(text.as_bytes()).next();
        pair.map(|(name, _)| name.into_owned()).filter(|text| !text.is_empty())
    };
    Some((decode(id), decode(secret).map(Secret::new)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(headers: &[&str], form: &str) -> Result<(String, Option<String>), ClientAuthError> {
        let headers = headers.iter().map(|header| header.as_bytes());
        let parsed = ClientCredentials::parse(headers, &Params::decode(form.as_bytes()))?;
        Ok((parsed.client_id, parsed.secret.map(|secret| secret.expose().clone())))
    }

    fn basic(credentials: &str) -> String {
        format!("Basic {}", STANDARD.encode(credentials))
    }

    #[test]
    fn basic_credentials_are_form_decoded() {
        // "a b:c%3Ad" as `a+b:c%253Ad`
        let header = format!("basic {}", STANDARD.encode("a+b:c%253Ad"));
        assert_eq!(parse(&[&header], ""), Ok(("a b".into(), Some("c%3Ad".into()))));
    }

    #[test]
    fn two_ways_at_once_are_refused() {
        let header = basic("a:b");
        assert_eq!(parse(&[&header], "client_id=a&client_secret=b"), Err(ClientAuthError::Several));
        assert_eq!(parse(&[&header], "client_id=other"), Err(ClientAuthError::Several));
        assert_eq!(parse(&[&header, &header], "client_id=a"), Err(ClientAuthError::Several));
        assert_eq!(parse(&[], "client_id=a&client_id=a"), Err(ClientAuthError::Several));
    }

    #[test]
    fn header_of_another_scheme_is_ignored() {
        for header in ["", "Bearer", "Bearer stale", "Negotiate YQ==", "DPoP x", "\u{e9}"] {
            assert_eq!(parse(&[header], "client_id=a"), Ok(("a".into(), None)), "{header}");
            let proved = Ok(("a".into(), Some("b".into())));
            assert_eq!(parse(&[header, "Bearer y"], "client_id=a&client_secret=b"), proved, "{header}");
            assert_eq!(parse(&[header, &basic("a:b")], ""), proved, "{header}");
            assert_eq!(parse(&[header], ""), Err(ClientAuthError::Missing), "{header}");
        }
    }

    #[test]
    fn empty_half_of_basic_credentials_is_as_if_omitted() {
        let public = Ok(("a".into(), None));
        assert_eq!(parse(&[&basic("a:")], ""), public);
        assert_eq!(parse(&[&basic("a:")], "client_id=a&client_secret="), public);
        for header in ["Basic", "Basic ", &basic(":")] {
            assert_eq!(parse(&[header], "client_id=a"), public, "{header}");
            assert_eq!(parse(&[header], ""), Err(ClientAuthError::Missing), "{header}");
        }
        let confidential = Ok(("a".into(), Some("b".into())));
        assert_eq!(parse(&[&basic("a:")], "client_secret=b"), confidential);
    }

    #[test]
    fn basic_header_that_cannot_be_read_is_refused() {
        for header in ["Basic !", "Basic YQ==", "Basic /w==", &basic(&"x".repeat(4096))] {
            assert_eq!(parse(&[header], "client_id=a"), Err(ClientAuthError::Header), "{header}");
        }
        assert_eq!(parse(&[], ""), Err(ClientAuthError::Missing));
    }
}
