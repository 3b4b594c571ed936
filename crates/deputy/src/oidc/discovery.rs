//! The discovery document of `PingOne` (OpenID Connect Discovery 1.0 §4).

use url::Url;

use super::{Request, Response, get, json_response};
use crate::config::{Config, PingOne};

/// The endpoints of `PingOne` that this server uses.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Discovery {
    /// `authorization_endpoint`
    pub authorization_endpoint: Url,
    /// `end_session_endpoint`, if the document has it (OpenID Connect RP-Initiated Logout 1.0 §2.1).
    pub end_session_endpoint: Option<Url>,
    /// `jwks_uri`
    pub jwks_uri: Url,
    /// `pushed_authorization_request_endpoint`, if the document has it (RFC 9126 §5).
    pub pushed_authorization_request_endpoint: Option<Url>,
    /// `require_pushed_authorization_requests` (RFC 9126 §5).
    pub require_pushed_authorization_requests: bool,
    /// `revocation_endpoint`, if the document has it.
    pub revocation_endpoint: Option<Url>,
    /// `token_endpoint`
    pub token_endpoint: Url,
    /// `userinfo_endpoint`
    pub userinfo_endpoint: Url,
}

/// Why a discovery document is rejected.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DiscoveryError {
    /// The response is not a JSON object with status 200. Holds the status.
    #[error("discovery returned status {0} and no document{hint}", hint = if *.0 == 404 { ": PINGONE_ISSUER has a wrong region or environment id" } else { "" })]
    Document(u16),
    /// An endpoint is missing, or its origin is not that of the issuer. Holds the name of the endpoint.
    #[error("{0} is missing from discovery, or is not on the issuer's host")]
    Endpoint(&'static str),
    /// `issuer` is not `PINGONE_ISSUER` (OpenID Connect Discovery 1.0 §4.3: it must be identical to the requested
    /// issuer).
    #[error("discovery names another issuer than PINGONE_ISSUER")]
    Issuer,
}

impl Discovery {
    /// The request for the discovery document of `issuer`.
    pub fn request(issuer: &str) -> Option<Request> {
        Url::parse(&format!("{issuer}/.well-known/openid-configuration")).ok().as_ref().map(get)
    }

    /// Verifies the discovery document of `issuer`.
    pub fn read(response: &Response, issuer: &str) -> Result<Self, DiscoveryError> {
        let members = json_response(response).ok_or(DiscoveryError::Document(response.status().as_u16()))?;
        if members.get("issuer").and_then(|value| value.as_str()) != Some(issuer) {
            return Err(DiscoveryError::Issuer);
        }
        let origin = Url::parse(issuer).map_err(|_| DiscoveryError::Issuer)?.origin();
        let endpoint = |name: &'static str| {
            let url = members.get(name).and_then(|value| Url::parse(value.as_str()?).ok());
            url.filter(|url| url.origin() == origin).ok_or(DiscoveryError::Endpoint(name))
        };
        Ok(Self {
            authorization_endpoint: endpoint("authorization_endpoint")?,
            end_session_endpoint: endpoint("end_session_endpoint").ok(),
            jwks_uri: endpoint("jwks_uri")?,
            pushed_authorization_request_endpoint: endpoint("pushed_authorization_request_endpoint").ok(),
            require_pushed_authorization_requests: members
                .get("require_pushed_authorization_requests")
                .is_some_and(|required| *required == true),
            revocation_endpoint: endpoint("revocation_endpoint").ok(),
            token_endpoint: endpoint("token_endpoint")?,
            userinfo_endpoint: endpoint("userinfo_endpoint")?,
        })
    }

    /// The endpoint to which authorization requests are pushed, if they are: if that is configured, or if `PingOne` requires it.
    pub fn push_endpoint(&self, pingone: &PingOne) -> Result<Option<&Url>, DiscoveryError> {
        if !pingone.push_requests && !self.require_pushed_authorization_requests {
            return Ok(None);
        }
        let endpoint = self.pushed_authorization_request_endpoint.as_ref();
        endpoint.map(Some).ok_or(DiscoveryError::Endpoint("pushed_authorization_request_endpoint"))
    }

    /// The URL that signs the user of a browser off at `PingOne` (OpenID Connect RP-Initiated Logout 1.0 §2). No ID token is kept
    /// as a hint; the cookie of the browser names the session.
    pub fn end_session_url(&self, config: &Config) -> Option<Url> {
        let mut url = self.end_session_endpoint.clone()?;
        url.query_pairs_mut()
            .append_pair("client_id", &config.pingone.client_id)
            .append_pair("post_logout_redirect_uri", &config.public_url.agents());
        Some(url)
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use serde_json::{Value, json};

    use super::*;

    const ISSUER: &str = "https://auth.pingone.eu/x/as";

    fn read(change: impl FnOnce(&mut Value)) -> Result<Discovery, DiscoveryError> {
        let mut document = json!({"issuer": ISSUER});
        for name in ["authorization_endpoint", "jwks_uri", "token_endpoint", "userinfo_endpoint"] {
            document[name] = json!(format!("{ISSUER}/{name}"));
        }
        change(&mut document);
        Discovery::read(&http::Response::new(Bytes::from(document.to_string())), ISSUER)
    }

    #[test]
    fn discovery_document_of_another_issuer_is_refused() {
        assert!(read(|_| ()).is_ok());
        for issuer in ["https://auth.pingone.eu/x/as/", "https://evil.example/as"] {
            assert_eq!(read(|document| document["issuer"] = json!(issuer)), Err(DiscoveryError::Issuer));
        }
    }

    #[test]
    fn discovered_endpoint_on_another_host_is_refused() {
        let error = read(|document| document["token_endpoint"] = json!("https://evil.example/token"));
        assert_eq!(error, Err(DiscoveryError::Endpoint("token_endpoint")));
    }
}
