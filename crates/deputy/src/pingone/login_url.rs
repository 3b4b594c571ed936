//! The URL that begins a login at `PingOne`.

use url::Url;

use super::{
    PingOneClient, PingOneError,
    client::{LIMITS, Purpose, random},
};
use crate::{
    config::Config,
    host::Host,
    oidc::{AuthenticationRequest, Proof, RequestUri},
};

/// The URL that begins a login.
pub(crate) struct LoginUrl {
    pub(crate) url: Url,
    /// Whether `PingOne` has the parameters from this server, so that the browser cannot change them.
    pub(crate) is_pushed: bool,
}

impl PingOneClient {
    /// The URL that begins a login. The request is pushed before, where requests are (RFC 9126).
    pub(crate) async fn login_url(
        &self,
        host: &Host,
        config: &Config,
        request: &AuthenticationRequest<'_>,
    ) -> Result<LoginUrl, PingOneError> {
        let discovery = self.discovery(host, config).await?;
        let endpoint = discovery.push_endpoint(&config.pingone).map_err(PingOneError::Discovery)?;
        let Some(endpoint) = endpoint else {
            return Ok(LoginUrl { url: request.url(&discovery, config), is_pushed: false });
        };
        let random = random(host);
        let proof = Proof { now: host.clock.now(), random: &random };
        let pushed = RequestUri::request(endpoint, request, config, proof);
        let response = self.fetch(host, Purpose::PushedRequest, pushed, LIMITS).await?;
        let uri = RequestUri::read(&response).map_err(PingOneError::PushedRequest)?;
        Ok(LoginUrl { url: uri.url(&discovery, config), is_pushed: true })
    }
}
