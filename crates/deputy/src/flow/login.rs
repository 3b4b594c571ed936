//! The way to `PingOne`, once a client is approved. Nothing of a login exists before that.

use crate::{
    host::{StoreError, Timestamp},
    http::{Answer, redirect, set_cookie},
    oauth::{AuthorizationRequest, ErrorCode, Handle, Target, login_cookie},
    oidc::{Authentication, IdTokenError, authentication_url, clocks_differ},
    records::{self, Login},
    server::Server,
};

use super::provider::ProviderError;

/// Begins a login and sends the browser to `PingOne`.
pub(super) async fn begin(
    server: &Server,
    request: AuthorizationRequest,
    client_name: Option<String>,
    now: Timestamp,
) -> Result<Answer, StoreError> {
    let discovery = match server.provider.discovery(server.host(), &server.config).await {
        Ok(discovery) => discovery,
        Err(error) => return Ok(failed(server, &request.target, &error)),
    };
    let state = records::new_handle::<Login>(server.host(), &server.config.keys, now);
    let authentication = Authentication::generate(&server.random());
    let shown = (client_name.as_deref().unwrap_or_default(), request.target.redirect_uri().host());
    let url = authentication_url(
        &discovery,
        &server.config,
        &authentication,
        state.as_str(),
        &request.terms.scopes.to_string(),
        (shown.0, &shown.1),
        request.terms.log_in_again,
    );
    let mut response = redirect(url.as_str());
    let (name, value) = login_cookie(state.as_str(), &server.config.keys);
    set_cookie(&mut response, &name, &value, Handle::LIFETIME);
    let login = Login { request, client_name, authentication };
    records::put_ticket(server.host(), &state, &login, now).await?;
    Ok(response)
}

/// Tells the client that `PingOne` failed us. The cause goes to the log.
pub(super) fn failed(server: &Server, target: &Target, error: &ProviderError) -> Answer {
    tracing::error!(client = target.client_id(), %error, "login failed");
    let not_accepted = "the identity provider's answer could not be accepted; the server's log says why";
    let text = match error {
        ProviderError::IdToken(IdTokenError::Clock(ahead)) => clocks_differ(*ahead),
        ProviderError::AccessToken(_) | ProviderError::IdToken(_) if error.is_transient() => {
            "the identity provider's tokens cannot be verified just now; try again in a minute".to_owned()
        }
        _ if error.is_transient() => {
            "the identity provider is not available just now; try again later".to_owned()
        }
        _ => not_accepted.to_owned(),
    };
    let code = if error.is_transient() { ErrorCode::TemporarilyUnavailable } else { ErrorCode::ServerError };
    refused(server, target, code, &text)
}

/// Tells the client that there is no authorization, and why.
pub(super) fn refused(server: &Server, target: &Target, code: ErrorCode, text: &str) -> Answer {
    let answer = [("error", code.as_str()), ("error_description", text)];
    redirect(&target.answer(server.config.public_url.issuer(), &answer))
}
