//! The URL of an environment in the management API.

use deputy::{config::environment, types::is_uuid};
use url::{Host, Url};

use super::SignInError;

/// An `https` URL with the path `/v1/environments/<environment id>`, or such an `http` URL of this computer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ManagementUrl(Url);

impl ManagementUrl {
    /// Reads the value of `--management-url`.
    ///
    /// # Errors
    ///
    /// The worker's token goes to this URL, so that any other one is refused.
    pub(crate) fn parse(text: &str) -> Result<Self, &'static str> {
        let mut url = Url::parse(text.trim_end_matches('/')).map_err(|_| EXPECTED)?;
        let is_loopback = url.host().is_some_and(|host| deputy::types::is_loopback(&host));
        let is_safe = url.scheme() == "https" || (url.scheme() == "http" && is_loopback);
        let is_bare = url.query().is_none() && url.fragment().is_none();
        let has_user = !url.username().is_empty() || url.password().is_some();
        let environment = url.path().strip_prefix(PATH).unwrap_or_default().to_ascii_lowercase();
        if !is_safe || !is_bare || has_user || !is_uuid(&environment) {
            return Err(EXPECTED);
        }
        url.set_path(&format!("{PATH}{environment}"));
        Ok(Self(url))
    }

    /// The URL that was given, or that of the issuer. If the issuer names an environment, both must agree.
    pub(super) fn choose(given: Option<Self>, issuer: &str) -> Result<Self, SignInError> {
        match (given, environment(issuer)) {
            (Some(given), Some(id)) if !given.environment().eq_ignore_ascii_case(id) => {
                Err(SignInError::Environment(id.to_owned()))
            }
            (Some(given), _) => Ok(given),
            (None, _) => Self::of_issuer(issuer).ok_or(SignInError::Address),
        }
    }

    fn of_issuer(issuer: &str) -> Option<Self> {
        let environment = environment(issuer)?;
        let mut url = Url::parse(issuer).ok()?;
        let host = match url.host()? {
            Host::Domain(domain) => domain.to_owned(),
            Host::Ipv4(_) | Host::Ipv6(_) => String::new(),
        };
        if let Some(region) = host.strip_prefix("auth.pingone.") {
            url.set_host(Some(&format!("api.pingone.{region}"))).ok()?;
        } else if !url.host().is_some_and(|host| deputy::types::is_loopback(&host)) {
            return None;
        }
        url.set_path(&format!("{PATH}{environment}"));
        Some(Self(url))
    }

    pub(super) fn as_str(&self) -> &str {
        self.0.as_str()
    }

    fn environment(&self) -> &str {
        self.0.path().strip_prefix(PATH).unwrap_or_default()
    }
}

const PATH: &str = "/v1/environments/";

const EXPECTED: &str = "must be https://api.pingone.<region>/v1/environments/<environment id>; http is accepted for this computer only";

#[cfg(test)]
mod tests {
    use super::*;

    const ID: &str = "5e1f0000-0000-4000-8000-00000000de90";

    #[test]
    fn management_url_is_that_of_the_region() {
        let url = |issuer: &str| {
            let url = ManagementUrl::choose(None, &issuer.replace("ID", ID));
            url.ok().map(|url| url.as_str().to_owned())
        };
        let expected = |base: &str| Some(format!("{base}/v1/environments/{ID}"));
        assert_eq!(url("https://auth.pingone.com.au/ID/as"), expected("https://api.pingone.com.au"));
        assert_eq!(url("http://localhost:8789/ID/as"), expected("http://localhost:8789"));
        assert_eq!(url("https://login.example.com/as"), None);
        assert_eq!(url("https://login.example.com/ID/as"), None);
    }

    #[test]
    fn management_url_without_tls_or_an_environment_is_refused() {
        let parse = |text: &str| ManagementUrl::parse(&text.replace("ID", ID));
        for right in [
            "https://api.pingone.eu/v1/environments/ID",
            "https://api.pingone.eu/v1/environments/ID/",
            "http://localhost:8789/v1/environments/ID",
        ] {
            assert_eq!(parse(right).unwrap().environment(), ID, "{right}");
        }
        for wrong in [
            "http://api.pingone.eu/v1/environments/ID",
            "ftp://localhost/v1/environments/ID",
            "https://api.pingone.eu/",
            "https://api.pingone.eu/v1/environments/",
            "https://api.pingone.eu/v1/environments/ID/applications",
            "https://api.pingone.eu/v1/environments/other",
            "https://user@api.pingone.eu/v1/environments/ID",
            "https://api.pingone.eu/v1/environments/ID?x",
            "nonsense",
        ] {
            assert_eq!(parse(wrong), Err(EXPECTED), "{wrong}");
        }
    }

    #[test]
    fn management_url_of_another_environment_is_refused() {
        let url = ManagementUrl::parse(&format!("https://api.pingone.eu/v1/environments/{ID}")).unwrap();
        let choose = |issuer: &str| ManagementUrl::choose(Some(url.clone()), issuer).ok();
        let other = ID.replace('9', "8");
        assert_eq!(choose(&format!("https://auth.pingone.eu/{other}/as")), None);
        assert_eq!(choose(&format!("https://auth.pingone.eu/{ID}/as")), Some(url.clone()));
        assert_eq!(choose("https://login.example.com/as"), Some(url.clone()));
    }
}
