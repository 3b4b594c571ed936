//! A login by a user, in a browser that the user opens.

mod browser;
mod tokens;

use deputy::{
    config::Config,
    host::FetchError,
    oidc::{
        Authentication, CallbackParams, Discovery, KeySet, TokenResponse, UserInfo, code_request,
        refresh_request, revocation_request,
    },
    secret::Secret,
};

use super::{
    api::Api,
    check::{Finding, Group, Seen, judge},
    client::{authentication_request, url_for_browser},
    network::Documents,
};
use crate::management::Probe;
use browser::Browser;
use tokens::Login;

/// Logs a user in, and looks at everything that PingOne issues. `say` shows a text to the user.
pub(super) async fn findings(
    probe: &Probe,
    api: &Api<'_>,
    documents: &Documents,
    say: &(dyn Fn(&str) + Sync),
) -> Vec<Finding> {
    let config = api.config;
    let Ok(discovery) = &documents.discovery else {
        return vec![Finding::skipped(Group::Login, "PingOne's discovery document cannot be used")];
    };
    match log_in(probe, config, discovery, say).await {
        Err(seen) => {
            let check = ("login", "an authorization request in a browser", "Applications → Deputy");
            vec![Finding::new(Group::Login, check, Ok(seen))]
        }
        Ok(login) => {
            // The token is checked at the API before it is revoked.
            let at_api = api.findings_with(
                login.tokens.access_token.expose(),
                login.tokens.id_token.as_ref().map(|token| token.expose().as_str()),
            );
            let at_api = at_api.await;
            let login = login.end(probe, config, discovery).await;
            let mut findings = judge(Group::Login, tokens::CHECKS, &login);
            findings.extend(at_api);
            findings
        }
    }
}

/// Lets a user log in, and redeems the code.
async fn log_in(
    probe: &Probe,
    config: &Config,
    discovery: &Discovery,
    say: &(dyn Fn(&str) + Sync),
) -> Result<Login, Seen> {
    let browser = Browser::choose(probe, config, discovery).await?;
    let authentication = Authentication::generate(&|buffer: &mut [u8]| probe.host().fill(buffer));
    let mut random = [0; 16];
    probe.host().fill(&mut random);
    let state = format!("{:032x}", u128::from_be_bytes(random));
    let redirect_uri = browser.redirect_uri.clone();
    let requested_at = probe.host().now();
    // auth_time then shows whether the flow follows it.
    let parameters = (&*state, "login");
    let url = authentication_request(&authentication, config, discovery, &redirect_uri, parameters);
    let url = url_for_browser(probe, config, discovery, url).await?;
    let response = browser.response(&url, &state, say).await?;
    let callback = CallbackParams::read(
        response.code.as_deref(),
        response.error.as_deref(),
        response.iss.as_deref(),
        &config.pingone.issuer,
    );
    let code = match callback {
        Some(CallbackParams::Code(code)) => code,
        Some(CallbackParams::Error(error)) => {
            return Err(Seen::failure(
                error.to_string(),
                "look at the other groups, and at DaVinci's flow log",
            ));
        }
        None => return Err(Seen::failure("PingOne's response has neither a code nor an error", TRY_AGAIN)),
    };
    let request = code_request(
        &discovery.token_endpoint,
        &config.pingone,
        &code,
        &authentication.code_verifier,
        &redirect_uri,
        probe.proof(),
    );
    // The requests before the login have used the time of the first probe.
    let probe = Probe::within(probe.host().clone(), super::AFTER_LOGIN);
    let tokens = request_tokens(&probe, request)
        .await
        .map_err(|seen| Seen::failure(seen, "look at the group client"))?;
    let keys = probe.get(discovery.jwks_uri.as_str(), None).await.ok();
    let userinfo = probe.fetch(UserInfo::request(&discovery.userinfo_endpoint, &tokens.access_token)).await;
    Ok(Login {
        config: config.clone(),
        requested_at,
        now: probe.host().now(),
        authentication,
        keys: keys.and_then(|response| KeySet::read(&response)).unwrap_or_default(),
        tokens,
        userinfo,
        refreshed: None,
        repeated: None,
        revoked: None,
    })
}

impl Login {
    /// Refreshes with the refresh token, then with the same one again, and revokes the login.
    async fn end(mut self, probe: &Probe, config: &Config, discovery: &Discovery) -> Self {
        let probe = Probe::within(probe.host().clone(), super::AFTER_LOGIN);
        let Some(first) = self.tokens.refresh_token.clone() else { return self };
        let (endpoint, pingone) = (&discovery.token_endpoint, &config.pingone);
        let refresh = async |token: &Secret<String>| {
            request_tokens(&probe, refresh_request(endpoint, pingone, token.expose(), probe.proof())).await
        };
        let refreshed = refresh(&first).await;
        let mut last = first.clone();
        if let Ok(TokenResponse { refresh_token: Some(second), .. }) = &refreshed {
            last = second.clone();
            let repeated = refresh(&first).await;
            if let Ok(TokenResponse { refresh_token: Some(third), .. }) = &repeated {
                last = third.clone();
            }
            self.repeated = Some(repeated.map(|_| ()));
        }
        self.refreshed = Some(refreshed);
        if let Some(revocation) = &discovery.revocation_endpoint {
            let response =
                probe.fetch(revocation_request(revocation, pingone, last.expose(), probe.proof())).await;
            let accepted = response.is_ok_and(|response| response.status().is_success());
            self.revoked = Some(accepted && refresh(&last).await.is_err());
        }
        self
    }
}

/// The tokens in the response, or the reason why there are none.
async fn request_tokens(
    probe: &Probe,
    request: http::Request<bytes::Bytes>,
) -> Result<TokenResponse, String> {
    let response = probe.fetch(request).await.map_err(|error: FetchError| error.to_string())?;
    TokenResponse::read(&response).map_err(|error| error.to_string())
}

const TRY_AGAIN: &str = "run the command again";
