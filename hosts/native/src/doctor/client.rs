//! Deputy's client at PingOne, without a user.

use bytes::Bytes;
use deputy::{
    config::Config,
    host::FetchError,
    oidc::{
        Authentication, AuthenticationRequest, ClientAccess, Discovery, RequestUri, TokenError,
        TokenResponse, form_request, refresh_request,
    },
};
use http::{Response, StatusCode, header};
use serde_json::Value;
use tokio::join;
use url::{Url, form_urlencoded};

use super::{
    check::{Check, Finding, Group, Seen, Unknown, judge},
    network::{Documents, unreachable},
};
use crate::management::Probe;

/// PingOne's responses to requests that cannot succeed.
struct Responses {
    /// To a refresh with a made-up token.
    refresh: Result<Response<Bytes>, FetchError>,
    /// To an authentication request with `prompt=none`, and no cookie.
    authorization: Result<Response<Bytes>, FetchError>,
    /// To the same request, pushed. `None` if PingOne does not offer that.
    pushed: Option<Result<Response<Bytes>, FetchError>>,
    /// Whether Deputy pushes its requests.
    pushes: bool,
    callback: String,
    token_endpoint: String,
    authorization_endpoint: String,
}

pub(super) async fn findings(probe: &Probe, config: &Config, documents: &Documents) -> Vec<Finding> {
    let Ok(discovery) = &documents.discovery else {
        return vec![Finding::skipped(Group::Client, "PingOne's discovery document cannot be used")];
    };
    let url = silent_request(probe, config, discovery, &config.public_url.callback());
    let is_used = !matches!(discovery.push_endpoint(&config.pingone), Ok(None));
    let request = async {
        let pushed = match &discovery.pushed_authorization_request_endpoint {
            Some(endpoint) => Some(push(probe, config, endpoint, &url).await),
            None => None,
        };
        let response = pushed.as_ref().and_then(|pushed| pushed.as_ref().ok()).filter(|_| is_used);
        let uri = response.and_then(|response| RequestUri::read(response).ok());
        let url = uri.map_or_else(|| url.clone(), |uri| uri.url(discovery, config));
        (probe.get(url.as_str(), None).await, pushed)
    };
    let (refresh, (authorization, pushed)) = join!(
        probe.fetch(refresh_request(
            &discovery.token_endpoint,
            &config.pingone,
            "made-up-by-deputy-doctor",
            probe.proof(),
        )),
        request,
    );
    let responses = Responses {
        refresh,
        authorization,
        pushed,
        pushes: is_used,
        callback: config.public_url.callback(),
        token_endpoint: discovery.token_endpoint.to_string(),
        authorization_endpoint: discovery.authorization_endpoint.to_string(),
    };
    judge(Group::Client, CHECKS, &responses)
}

/// Pushes the parameters of an authentication request.
async fn push(
    probe: &Probe,
    config: &Config,
    endpoint: &Url,
    url: &Url,
) -> Result<Response<Bytes>, FetchError> {
    let form: Vec<_> = url.query_pairs().into_owned().collect();
    let form: Vec<_> = form.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    probe.fetch(form_request(endpoint, &config.pingone, &form, probe.proof())).await
}

/// The URL for a browser: that of the authentication request, or of the pushed one where Deputy pushes its requests.
pub(super) async fn url_for_browser(
    probe: &Probe,
    config: &Config,
    discovery: &Discovery,
    url: Url,
) -> Result<Url, Seen> {
    let failed = |error: String| Seen::failure(error, "look at the group client");
    let endpoint = discovery.push_endpoint(&config.pingone).map_err(|error| failed(error.to_string()))?;
    let Some(endpoint) = endpoint else { return Ok(url) };
    let response = push(probe, config, endpoint, &url).await.map_err(|error| failed(error.to_string()))?;
    let uri = RequestUri::read(&response).map_err(|error| failed(error.to_string()))?;
    Ok(uri.url(discovery, config))
}

/// An authentication request that PingOne must not show a page for.
pub(super) fn silent_request(
    probe: &Probe,
    config: &Config,
    discovery: &Discovery,
    redirect_uri: &str,
) -> Url {
    let authentication = Authentication::generate(&|buffer: &mut [u8]| probe.host().fill(buffer));
    authentication_request(&authentication, config, discovery, redirect_uri, (STATE, "none"))
}

/// The authentication request of a login, with another redirect URI, and with this `state` and `prompt`.
pub(super) fn authentication_request(
    authentication: &Authentication,
    config: &Config,
    discovery: &Discovery,
    redirect_uri: &str,
    (state, prompt): (&str, &str),
) -> Url {
    let access = ClientAccess {
        scopes: &config.api.scopes,
        client_name: Some("deputy doctor"),
        redirect_host: "localhost",
    };
    let request = AuthenticationRequest {
        authentication,
        state,
        access: Some(access),
        log_in_again: false,
        login_hint: None,
    };
    let mut url = request.url(discovery, config);
    let pairs: Vec<_> = url.query_pairs().into_owned().collect();
    let redirected = pairs.iter().map(|(name, value)| {
        (name.as_str(), if name == "redirect_uri" { redirect_uri } else { value.as_str() })
    });
    let query = form_urlencoded::Serializer::new(String::new()).extend_pairs(redirected).finish();
    url.set_query(Some(&query));
    url.query_pairs_mut().append_pair("prompt", prompt);
    url
}

/// Whether PingOne accepts a silent request with this redirect URI as far as it can be judged without a user.
pub(super) async fn accepts_redirect_uri(
    probe: &Probe,
    config: &Config,
    discovery: &Discovery,
    redirect_uri: &str,
) -> bool {
    let url = silent_request(probe, config, discovery, redirect_uri);
    let response = probe.get(url.as_str(), None).await;
    response.is_ok_and(|response| response.status().is_redirection() || response.status().is_success())
}

const CHECKS: &[Check<Responses>] = &[
    Check {
        name: "client secret",
        looked_at: "token endpoint: a refresh with a made-up token",
        place: "Applications → Deputy → Overview, Configuration → Token Endpoint Authentication Method",
        look: |responses| Ok(client_secret(responses)),
    },
    Check {
        name: "refresh grant",
        looked_at: "token endpoint: a refresh with a made-up token",
        place: "Applications → Deputy → Configuration → Grant Type",
        look: |responses| match refresh_error(responses) {
            Some(TokenError::Grant) => Ok(Seen::ok("PingOne lets the application refresh tokens")),
            Some(error @ TokenError::GrantType) => {
                Ok(Seen::failure(error.to_string(), "enable Refresh Token in the application"))
            }
            _ => Err(Unknown("the client secret could not be checked".to_owned())),
        },
    },
    Check {
        name: "authorization request",
        looked_at: "authorization endpoint: prompt=none, without a session",
        place: "Applications → Deputy",
        look: |responses| Ok(authorization(responses)),
    },
    Check {
        name: "pushed request",
        looked_at: "pushed_authorization_request_endpoint",
        place: "Applications → Deputy → Configuration → Pushed Authorization Request",
        look: pushed,
    },
];

fn refresh_error(responses: &Responses) -> Option<TokenError> {
    TokenResponse::read(responses.refresh.as_ref().ok()?).err()
}

/// Refreshes with a token that does not exist. PingOne authenticates the client first (OAuth 2.1 §3.2.2), and then refuses the
/// token.
fn client_secret(responses: &Responses) -> Seen {
    let response = match &responses.refresh {
        Err(error) => return unreachable(&responses.token_endpoint, "PINGONE_ISSUER", error),
        Ok(response) => response,
    };
    match TokenResponse::read(response) {
        Err(TokenError::Grant | TokenError::GrantType) => {
            Seen::ok("PingOne accepts Deputy's client authentication, and refuses a made-up token")
        }
        Err(error @ TokenError::Client) => Seen::failure(
            error.to_string(),
            "copy PINGONE_CLIENT_ID and PINGONE_CLIENT_SECRET from the application again, and set PINGONE_CLIENT_AUTH to its \
             token endpoint authentication method. With private_key_jwt, the application needs the public key of \
             PINGONE_CLIENT_KEY",
        ),
        Err(error @ TokenError::Unavailable) => {
            Seen::failure(error.to_string(), "look at PingOne's status page, and try again")
        }
        Err(error @ (TokenError::Refused(_) | TokenError::Malformed)) => Seen::warning(
            error.to_string(),
            "look into the audit of PingOne: the secret may be right or wrong",
        ),
        Ok(_) => Seen::failure(
            "PingOne issues tokens for a made-up token",
            "set PINGONE_ISSUER to the issuer of a PingOne environment: this server is another product",
        ),
    }
}

fn authorization(responses: &Responses) -> Seen {
    let response = match &responses.authorization {
        Err(error) => {
            return unreachable(&responses.authorization_endpoint, "PINGONE_ISSUER", error);
        }
        Ok(response) => response,
    };
    let status = response.status();
    if status == StatusCode::OK {
        return Seen::ok("PingOne accepts client, redirect URI, scopes and policy, and starts the flow");
    }
    let Some(location) = response.headers().get(header::LOCATION).and_then(|value| value.to_str().ok())
    else {
        return shown_error(response, &responses.callback);
    };
    let is_callback = location.strip_prefix(&responses.callback).is_some_and(|rest| rest.starts_with('?'));
    let Some(parameters) = Url::parse(location).ok().filter(|_| is_callback) else {
        let seen = "PingOne redirects to a page of its own";
        return Seen::warning(seen, "assign a DaVinci flow policy to the application, and no PingOne policy");
    };
    let parameter = |name: &str| {
        parameters.query_pairs().find(|(held, _)| held == name).map(|(_, value)| value.into_owned())
    };
    if parameter("state").as_deref() != Some(STATE) {
        let fix = "set PINGONE_ISSUER to the issuer of a PingOne environment";
        return Seen::failure("PingOne does not return the state", fix);
    }
    let (error, description) = (parameter("error"), parameter("error_description"));
    redirected_error(error.as_deref(), &description.unwrap_or_default(), &responses.callback)
}

/// The judgment of an error that PingOne redirects with.
fn redirected_error(error: Option<&str>, description: &str, callback: &str) -> Seen {
    let seen = format!("PingOne refuses it with {}: {}", error.unwrap_or("nothing"), shortened(description));
    let fix = match error {
        // A flow that fails before its first page ends with the same error.
        None | Some("access_denied" | "consent_required" | "interaction_required" | "login_required") => {
            return Seen::ok("PingOne accepts client, redirect URI, scopes and policy, and wants a user");
        }
        Some("invalid_scope") => "grant the application every scope of API_SCOPES, all of one resource",
        Some("invalid_target") => {
            "set API_IDENTIFIER to the audience of the resource, or PINGONE_SEND_RESOURCE=off"
        }
        Some("unauthorized_client") => "enable the application, and its grant type Authorization Code",
        Some("unsupported_response_type") => "enable the response type Code in the application",
        Some("invalid_request") if description.contains("acr_values") => {
            "assign the DaVinci flow policy PINGONE_DV_POLICY_ID to the application, and remove PingOne policies"
        }
        Some("invalid_request") if description.contains("edirect") => return redirect_uri(seen, callback),
        Some("invalid_request") => {
            "set PINGONE_PAR=on if the application requires pushed authorization requests; let it require no signed ones, which \
             Deputy does not send"
        }
        Some(_) => "look into the audit of PingOne",
    };
    Seen::failure(seen, fix)
}

/// The judgment of an error that PingOne shows instead of redirecting.
fn shown_error(response: &Response<Bytes>, callback: &str) -> Seen {
    let body: Value = serde_json::from_slice(response.body()).unwrap_or_default();
    let status = response.status().as_u16();
    let detail = &body["details"][0];
    let message = detail["message"].as_str().or(body["message"].as_str()).unwrap_or_default();
    let seen =
        format!("PingOne shows an error (status {status}) instead of redirecting: {}", shortened(message));
    match detail["target"].as_str() {
        Some("client_id") => Seen::failure(seen, "copy PINGONE_CLIENT_ID from the application"),
        Some("redirect_uri") => redirect_uri(seen, callback),
        _ => Seen::failure(
            seen,
            format!(
                "add the redirect URI {callback} to the application, and compare PINGONE_CLIENT_ID with it"
            ),
        ),
    }
}

fn redirect_uri(seen: String, callback: &str) -> Seen {
    Seen::failure(seen, format!("add the redirect URI {callback} to the application"))
}

fn pushed(responses: &Responses) -> Result<Seen, Unknown> {
    let unknown = |reason: &str| Err(Unknown(reason.to_owned()));
    let response = match &responses.pushed {
        None if responses.pushes => {
            let fix = "set PINGONE_PAR=auto";
            return Ok(Seen::failure("PingOne does not offer pushed authorization requests", fix));
        }
        None => return unknown("PingOne does not offer pushed authorization requests"),
        Some(Err(error)) => return unknown(&error.to_string()),
        Some(Ok(response)) => response,
    };
    match RequestUri::read(response) {
        Ok(_) if responses.pushes => return Ok(Seen::ok("PingOne accepts it")),
        Ok(_) => return Ok(Seen::ok("PingOne accepts it too; PINGONE_PAR=on makes Deputy send it")),
        Err(error) if responses.pushes => {
            return Ok(Seen::failure(
                error.to_string(),
                "correct the named parameter, or set PINGONE_PAR=auto",
            ));
        }
        Err(_) => {}
    }
    if !matches!(authorization(responses), Seen::Ok(_)) || !matches!(client_secret(responses), Seen::Ok(_)) {
        return unknown("another line of this group says why PingOne refuses it");
    }
    let body: Value = serde_json::from_slice(response.body()).unwrap_or_default();
    let error = body["error"].as_str().unwrap_or_default();
    unknown(&format!(
        "PingOne refuses it ({} {}); Deputy does not send it",
        response.status().as_u16(),
        shortened(error)
    ))
}

/// The beginning of a text of PingOne.
fn shortened(text: &str) -> String {
    text.chars().take(200).collect()
}

const STATE: &str = "deputy-doctor";
