//! Discovery (OpenID Connect Discovery 1.0 §4).

use url::Url;

use super::{Request, Response, get, object};

/// The endpoints of `PingOne`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Discovery {
    /// `authorization_endpoint`
    pub authorization_endpoint: Url,
    /// `jwks_uri`
    pub jwks_uri: Url,
    /// `revocation_endpoint`, if it has one.
    pub revocation_endpoint: Option<Url>,
    /// `token_endpoint`
    pub token_endpoint: Url,
    /// `userinfo_endpoint`
    pub userinfo_endpoint: Url,
}

/// Why a discovery document is not used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DiscoveryError {
    /// Not a JSON object with status 200, but this status.
    #[error("discovery answered {0} and no document{hint}", hint = if *.0 == 404 { ": PINGONE_ISSUER has a wrong region or environment id" } else { "" })]
    Document(u16),
    /// An endpoint is missing, or not on the issuer's origin.
    #[error("{0} is missing from discovery, or is not on the issuer's host")]
    Endpoint(&'static str),
    /// OpenID Connect Discovery §4.3: `issuer` must be the one that was asked.
    #[error("discovery names another issuer than PINGONE_ISSUER")]
    Issuer,
}

impl Discovery {
    /// The request for the document of `issuer`.
    pub fn request(issuer: &str) -> Option<Request> {
        Url::parse(&format!("{issuer}/.well-known/openid-configuration")).ok().as_ref().map(get)
    }

    /// Judges the answer.
    pub fn read(response: &Response, issuer: &str) -> Result<Self, DiscoveryError> {
        let members = object(response).ok_or(DiscoveryError::Document(response.status().as_u16()))?;
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
            jwks_uri: endpoint("jwks_uri")?,
            revocation_endpoint: endpoint("revocation_endpoint").ok(),
            token_endpoint: endpoint("token_endpoint")?,
            userinfo_endpoint: endpoint("userinfo_endpoint")?,
        })
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
    fn a_document_of_another_issuer_is_not_used() {
        assert!(read(|_| ()).is_ok());
        for issuer in ["https://auth.pingone.eu/x/as/", "https://evil.example/as"] {
            assert_eq!(read(|document| document["issuer"] = json!(issuer)), Err(DiscoveryError::Issuer));
        }
    }

    #[test]
    fn an_endpoint_on_another_host_is_not_used() {
        let error = read(|document| document["token_endpoint"] = json!("https://evil.example/token"));
        assert_eq!(error, Err(DiscoveryError::Endpoint("token_endpoint")));
    }
}
