//! The configuration: the issuer and the audience of accepted tokens.

use url::{Host, Url};

/// The issuer and the audience of accepted tokens.
#[derive(Clone, Debug)]
pub struct Config {
    pub(crate) issuer: String,
    pub(crate) audience: String,
}

impl Config {
    /// Parses the values of `PINGONE_ISSUER` and `API_IDENTIFIER`. Returns all errors at once.
    pub fn new(issuer: &str, api_identifier: &str) -> Result<Self, Vec<ConfigError>> {
        let mut errors = Vec::new();
        if let Err(error) = parse_issuer(issuer) {
            errors.push(error);
        }
        if api_identifier.is_empty() || api_identifier.chars().any(char::is_whitespace) {
            errors.push(ConfigError::ApiIdentifier);
        }
        if errors.is_empty() {
            Ok(Self { issuer: issuer.to_owned(), audience: api_identifier.to_owned() })
        } else {
            Err(errors)
        }
    }
}

/// The problem of a variable. The text does not contain its value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ConfigError {
    /// Empty, or with white space, which PingOne allows in no `aud`.
    #[error("API_IDENTIFIER must be the audience of this API's resource at PingOne, without blanks")]
    ApiIdentifier,
    /// Not an absolute URL without query and fragment (OpenID Connect Discovery §3).
    #[error(
        "PINGONE_ISSUER must be a URL like https://auth.pingone.eu/<environment id>/as, without query and fragment"
    )]
    Issuer,
    /// Not `https`: an attacker on the network could replace the keys.
    #[error("PINGONE_ISSUER must begin with https://; http:// is for issuers on this machine")]
    IssuerInsecure,
}

/// Whether keys may be fetched from the URL: `https`, or `http` on a loopback address.
pub(crate) fn is_secure(url: &Url) -> bool {
    match url.scheme() {
        "https" => url.has_host(),
        "http" => match url.host() {
            Some(Host::Domain(name)) => name == "localhost",
            Some(Host::Ipv4(address)) => address.is_loopback(),
            Some(Host::Ipv6(address)) => address.is_loopback(),
            None => false,
        },
        _ => false,
    }
}

fn parse_issuer(issuer: &str) -> Result<(), ConfigError> {
    let url = Url::parse(issuer).map_err(|_| ConfigError::Issuer)?;
    if !matches!(url.scheme(), "http" | "https")
        || url.query().is_some()
        || url.fragment().is_some()
        || !url.username().is_empty()
        || url.password().is_some()
    {
        return Err(ConfigError::Issuer);
    }
    if is_secure(&url) { Ok(()) } else { Err(ConfigError::IssuerInsecure) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn errors(issuer: &str, api_identifier: &str) -> Vec<ConfigError> {
        Config::new(issuer, api_identifier).err().unwrap_or_default()
    }

    #[test]
    fn all_errors_are_returned_at_once() {
        assert_eq!(errors("", ""), [ConfigError::Issuer, ConfigError::ApiIdentifier]);
    }

    #[test]
    fn issuer_with_query_fragment_or_user_is_refused() {
        for issuer in
            ["auth.pingone.eu/x/as", "https://a/as?x", "https://a/as#x", "https://u:p@a/as", "ftp://a/as"]
        {
            assert_eq!(errors(issuer, "todo"), [ConfigError::Issuer], "{issuer}");
        }
        assert_eq!(errors("https://auth.pingone.eu/0000/as", "todo"), []);
    }

    #[test]
    fn http_issuer_is_accepted_only_on_loopback() {
        for issuer in ["http://127.0.0.1:8789/e/as", "http://[::1]:8789/as", "http://localhost:8789/as"] {
            assert_eq!(errors(issuer, "todo"), [], "{issuer}");
        }
        for issuer in ["http://auth.pingone.eu/e/as", "http://127.0.0.1.example/as", "http://10.0.0.1/as"] {
            assert_eq!(errors(issuer, "todo"), [ConfigError::IssuerInsecure], "{issuer}");
        }
    }
}
