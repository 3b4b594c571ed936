//! Client authentication (OAuth 2.1 §2.4).

use sha2::{Digest as _, Sha256};
use url::form_urlencoded;

use super::{
    AuthMethod, Client, ErrorCode, Params,
    client_assertion::{AssertionError, ClientAssertion},
    sealed_client::secret_digest,
};
use crate::{
    encoding::{credentials, decode_basic},
    seal,
    secret::Secret,
    types::ClientId,
};

/// The `client_id` of a request, and the secret that the client authenticates with, if it sent one.
#[derive(Debug)]
pub struct ClientCredentials {
    client_id: String,
    secret: Option<Secret<String>>,
    assertion: Option<ClientAssertion>,
}

/// Why a client is not authenticated.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ClientAuthError {
    /// The assertion is malformed, or does not authenticate the client.
    #[error("the client assertion is refused: {0}")]
    Assertion(AssertionError),
    /// The login began with a key of the client, or the client has no other method.
    #[error("the client must authenticate with private_key_jwt")]
    KeyNeeded,
    /// The operator does not admit clients with this redirect URI, or no longer.
    #[error("the operator of this server does not admit the client")]
    NotAdmitted,
    /// The assertion was used before (RFC 7523 §3, 7).
    #[error("the client assertion was used before")]
    Replayed,
    /// The `Authorization` header has the scheme Basic, and malformed credentials.
    #[error("the Authorization header is not readable HTTP Basic")]
    Header,
    /// `client_id` is neither in the form nor in the header.
    #[error("client_id is missing")]
    Missing,
    /// The client uses two methods, or sends a parameter twice (OAuth 2.1 §2.4: one authentication method in a
    /// request).
    #[error("the client authenticates in more than one way")]
    Several,
    /// The client is unknown, or its secret is missing, wrong, or sent by a public client. The response does not tell
    /// which.
    #[error("the client is unknown or its secret is wrong")]
    Wrong,
}

impl ClientAuthError {
    /// The `error` code of the response (OAuth 2.1 §3.2.4).
    pub const fn code(self) -> ErrorCode {
        match self {
            Self::Assertion(_)
            | Self::Header
            | Self::KeyNeeded
            | Self::NotAdmitted
            | Self::Replayed
            | Self::Wrong => ErrorCode::InvalidClient,
            Self::Missing | Self::Several => ErrorCode::InvalidRequest,
        }
    }
}

impl ClientCredentials {
    /// Parses the client credentials of a token or revocation request, from the `Authorization` headers and the form.
    ///
    /// Only the Basic scheme authenticates a client (RFC 6749 §2.3.1). A header with another scheme is ignored, since
    /// it is meant for a gateway or proxy. An empty id or secret counts as omitted, in the header and in the form.
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
            (Some(credentials), None) => parse_basic(credentials).ok_or(ClientAuthError::Header)?,
            (Some(_), Some(_)) => return Err(ClientAuthError::Several),
        };
        let assertion = (form("client_assertion_type")?, form("client_assertion")?);
        let assertion =
            ClientAssertion::parse(assertion.0, assertion.1).map_err(ClientAuthError::Assertion)?;
        let has_secret = basic_secret.is_some() || form_secret.is_some();
        // RFC 6749 §2.3: a client must not use more than one method in a request.
        if basic_secret.is_some() && form_secret.is_some()
            || has_secret && assertion.is_some()
            || basic_id.is_some() && form_id.is_some() && basic_id != form_id
        {
            return Err(ClientAuthError::Several);
        }
        // RFC 7521 §4.2: client_id is not needed beside an assertion, and must be that of its subject.
        let subject = || assertion.as_ref().map(|assertion| assertion.client_id().to_owned());
        let client_id = basic_id.or(form_id).or_else(subject).ok_or(ClientAuthError::Missing)?;
        if subject().is_some_and(|subject| subject != client_id) {
            return Err(ClientAuthError::Wrong);
        }
        Ok(Self { client_id, secret: basic_secret.or(form_secret), assertion })
    }

    /// The `client_id`, to look the client up.
    pub fn client_id(&self) -> &str {
        &self.client_id
    }

    /// The assertion with which the client authenticates, if it sent one.
    pub const fn assertion(&self) -> Option<&ClientAssertion> {
        self.assertion.as_ref()
    }

    /// Checks that these are the credentials of `client`. A client with a secret may use either method, whichever it
    /// registered: clients confuse the two, and the secret is the same. An assertion is verified elsewhere.
    pub fn authenticate(&self, client: &Client) -> Result<(), ClientAuthError> {
        if self.assertion.is_some() {
            return Err(ClientAuthError::Wrong);
        }
        let is_valid = match (client.auth_method, &client.secret, &self.secret) {
            (AuthMethod::None | AuthMethod::PrivateKeyJwtOrNone, _, None) => true,
            (AuthMethod::ClientSecretBasic | AuthMethod::ClientSecretPost, Some(digest), Some(secret)) => {
                let presented = match client.id {
                    ClientId::Configured(_) => Sha256::digest(secret.expose()).into(),
                    ClientId::Document(_) | ClientId::Registered(_) => secret_digest(secret.expose()).0,
                };
                seal::constant_time_eq(&presented, &digest.0)
            }
            _ => false,
        };
        let is_same = ClientId::parse(&self.client_id).is_ok_and(|id| id == client.id);
        if is_valid && is_same { Ok(()) } else { Err(ClientAuthError::Wrong) }
    }
}

/// The credentials in an `Authorization` header with the scheme Basic (RFC 7617 §2). `None` for another scheme, or
/// without credentials.
fn basic_credentials(header: &[u8]) -> Option<&[u8]> {
    credentials(header, "basic").filter(|credentials| !credentials.is_empty())
}

/// Decodes `client_id` and `client_secret`, each `None` if it is empty. Clients form-encode both before they join them
/// with a colon (OAuth 2.1 §2.4.1).
fn parse_basic(credentials: &[u8]) -> Option<(Option<String>, Option<Secret<String>>)> {
    let (id, secret) = decode_basic(credentials)?;
    let decode = |text: &[u8]| {
        let pair = form_urlencoded::parse(text).next();
        pair.map(|(name, _)| name.into_owned()).filter(|text| !text.is_empty())
    };
    let is_text = str::from_utf8(&id).is_ok() && str::from_utf8(&secret).is_ok();
    is_text.then(|| (decode(&id), decode(&secret).map(Secret::new)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::encoding::base64_encode;

    fn parse(headers: &[&str], form: &str) -> Result<(String, Option<String>), ClientAuthError> {
        let headers = headers.iter().map(|header| header.as_bytes());
        let parsed = ClientCredentials::parse(headers, &Params::decode(form.as_bytes()))?;
        Ok((parsed.client_id, parsed.secret.map(|secret| secret.expose().clone())))
    }

    fn basic(credentials: &str) -> String {
        format!("Basic {}", base64_encode(credentials.as_bytes()))
    }

    #[test]
    fn basic_credentials_are_form_decoded() {
        // "a b:c%3Ad" as `a+b:c%253Ad`
        let header = format!("basic {}", base64_encode(b"a+b:c%253Ad"));
        assert_eq!(parse(&[&header], ""), Ok(("a b".into(), Some("c%3Ad".into()))));
    }

    #[test]
    fn two_authentication_methods_at_once_are_refused() {
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
    fn empty_id_or_secret_in_basic_header_counts_as_omitted() {
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
    fn malformed_basic_header_is_refused() {
        for header in ["Basic !", "Basic YQ==", "Basic /w==", &basic(&"x".repeat(8192))] {
            assert_eq!(parse(&[header], "client_id=a"), Err(ClientAuthError::Header), "{header}");
        }
        assert_eq!(parse(&[], ""), Err(ClientAuthError::Missing));
    }
}
