//! The authorization endpoint.

use axum::{
    Extension,
    body::Bytes,
    extract::{RawQuery, State},
    http::{HeaderMap, StatusCode, header},
    response::Response,
};

use crate::{
    accounts,
    application::OidcApplication,
    flow, form, outcome, pages,
    response::{Correlation, error_to_application, platform_error},
    session_cookie,
    settings::ResourceMode,
    simulator::Simulator,
    state::AuthenticationRequest,
};

pub(crate) async fn get(
    State(sim): State<Simulator>,
    Extension(correlation): Extension<Correlation>,
    headers: HeaderMap,
    RawQuery(query): RawQuery,
) -> Response {
    let parameters = form::parse(query.unwrap_or_default().as_bytes());
    authorize(&sim, &headers, &parameters, &correlation)
}

pub(crate) async fn post(
    State(sim): State<Simulator>,
    Extension(correlation): Extension<Correlation>,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    authorize(&sim, &headers, &form::parse(&body), &correlation)
}

fn authorize(
    sim: &Simulator,
    headers: &HeaderMap,
    parameters: &[(String, String)],
    correlation: &Correlation,
) -> Response {
    sim.count("authorize");
    let pushed = form::field(parameters, "request_uri").map(|uri| pushed_request(sim, &uri));
    let parameters = match &pushed {
        Some(Some(pushed)) => pushed.as_slice(),
        Some(None) => {
            return show_error(headers, "request_uri", "The request URI is invalid or expired", correlation);
        }
        None => parameters,
    };
    let prompt = form::field(parameters, "prompt").unwrap_or_default();
    let is_required = |request: &AuthenticationRequest| {
        let application = sim.application_or_configured(&request.client_id);
        application.settings.par_requirement == "REQUIRED"
    };
    let max_age = form::field(parameters, "max_age").and_then(|seconds| seconds.parse().ok());
    match validate(sim, parameters) {
        Ok(request) if pushed.is_none() && is_required(&request) => {
            let detail = "A pushed authorization request is required";
            error_to_application(&request, "invalid_request", detail, correlation)
        }
        Ok(request) => log_in(sim, headers, request, (&prompt, max_age), correlation),
        Err(Refusal::Shown { target, message }) => show_error(headers, target, message, correlation),
        Err(Refusal::Redirected { request, error, detail }) => {
            error_to_application(&request, error, detail, correlation)
        }
    }
}

/// Why an authentication request is refused.
pub(crate) enum Refusal {
    /// The redirect URI may not be the application's, so nothing is sent there.
    Shown { target: &'static str, message: &'static str },
    /// The application is told.
    Redirected { request: Box<AuthenticationRequest>, error: &'static str, detail: &'static str },
}

/// Checks the parameters of an authentication request.
pub(crate) fn validate(
    sim: &Simulator,
    parameters: &[(String, String)],
) -> Result<AuthenticationRequest, Refusal> {
    let parameter = |name: &str| form::field(parameters, name).filter(|value| !value.is_empty());
    let application = parameter("client_id").and_then(|id| sim.application(&id));
    let application = application
        .ok_or(Refusal::Shown { target: "client_id", message: "The application does not exist" })?;
    let redirect_uri = parameter("redirect_uri").unwrap_or_default();
    if !application.redirect_uris.iter().any(|registered| is_registered(&redirect_uri, registered)) {
        return Err(Refusal::Shown { target: "redirect_uri", message: "Redirect URI mismatch" });
    }
    let scopes = parameter("scope").unwrap_or_default();
    let request = AuthenticationRequest {
        client_id: application.client_id.clone(),
        redirect_uri,
        state: parameter("state"),
        nonce: parameter("nonce"),
        scopes: scopes.split(' ').filter(|scope| !scope.is_empty()).map(str::to_owned).collect(),
        code_challenge: parameter("code_challenge").unwrap_or_default(),
        login_hint: parameter("login_hint"),
        mcp_client_name: parameter("mcp_client_name"),
        mcp_redirect_host: parameter("mcp_redirect_host"),
    };
    match check(sim, &application, &request, &parameter) {
        Ok(()) => Ok(request),
        Err((error, detail)) => Err(Refusal::Redirected { request: Box::new(request), error, detail }),
    }
}

/// Takes the parameters of a pushed request, unless they have expired.
fn pushed_request(sim: &Simulator, request_uri: &str) -> Option<Vec<(String, String)>> {
    let pushed = sim.change(|state| state.pushed.remove(request_uri))?;
    (pushed.expires_at > sim.now()).then_some(pushed.parameters)
}

/// Responds with a code if the user needs no page, otherwise with the next page.
fn log_in(
    sim: &Simulator,
    headers: &HeaderMap,
    request: AuthenticationRequest,
    (prompt, max_age): (&str, Option<u64>),
    correlation: &Correlation,
) -> Response {
    let is_recent =
        |auth_time: u64| max_age.is_none_or(|max_age| auth_time.saturating_add(max_age) >= sim.now());
    let session = session_cookie::session(sim, headers)
        .filter(|session| prompt != "login" && is_recent(session.auth_time));
    let headless =
        request.login_hint.as_deref().and_then(|username| accounts::sign_on_headless(sim, username));
    match (session, headless) {
        (None, Some((session, true))) => outcome::issue_code(sim, &request, &session, correlation),
        (None, Some((_, false))) => outcome::decline(sim, &request, correlation),
        // `prompt=consent` has no effect for this grant type; the flow alone decides.
        (Some(session), _) if accounts::has_consented(sim, &session, &request) => {
            outcome::issue_code(sim, &request, &session, correlation)
        }
        _ if prompt == "none" => {
            error_to_application(&request, "login_required", "User authentication is required", correlation)
        }
        (Some(session), _) => flow::ask_consent(sim, request, &session),
        (None, None) => flow::start(sim, request),
    }
}

/// Checks the parameters whose errors are sent to the application.
fn check(
    sim: &Simulator,
    held: &OidcApplication,
    request: &AuthenticationRequest,
    parameter: &impl Fn(&str) -> Option<String>,
) -> Result<(), (&'static str, &'static str)> {
    let OidcApplication { settings: application, resource, .. } = held;
    let flow = sim.state().settings.tenant.flow.clone();
    if !application.enabled || !application.grant_types.iter().any(|held| held == "AUTHORIZATION_CODE") {
        return Err(("unauthorized_client", "client is missing required grant type: AUTHORIZATION_CODE"));
    }
    if parameter("response_type").as_deref() != Some("code") {
        return Err(("unsupported_response_type", "Unsupported response type"));
    }
    let is_s256 =
        !request.code_challenge.is_empty() && parameter("code_challenge_method").as_deref() == Some("S256");
    if application.pkce_enforcement == "S256_REQUIRED" && !is_s256 {
        return Err(("invalid_request", "PKCE with code_challenge_method S256 is required"));
    }
    if application.require_signed_request && parameter("request").is_none() {
        return Err(("invalid_request", "A signed request object is required"));
    }
    if parameter("acr_values").is_some_and(|acr| acr != sim.config().policy_id || !held.has_policy) {
        return Err(("invalid_request", "Invalid sign-on policy provided in acr_values parameter"));
    }
    // PingOne reports a flow that dies like a user who is not logged in.
    if !flow.starts() {
        return Err(("login_required", "User authentication is required"));
    }
    let of_pingone = |scope: &String| scope.starts_with("p1:");
    if request.scopes.iter().any(|scope| resource.has_scope(scope)) && request.scopes.iter().any(of_pingone) {
        return Err(("invalid_scope", "May not request scopes for multiple resources"));
    }
    let granted = |scope: &String| match &application.api_scopes {
        _ if scope == "openid" => true,
        Some(scopes) if resource.has_scope(scope) => scopes.contains(scope),
        _ => resource.has_scope(scope) || application.openid_scopes.contains(scope),
    };
    if !request.scopes.iter().all(granted) {
        return Err(("invalid_scope", "At least one scope must be granted"));
    }
    let mode = sim.state().settings.resource_mode;
    match (parameter("resource"), mode) {
        (Some(_), ResourceMode::Rejected) => {
            Err(("invalid_scope", "May not request scopes for multiple resources"))
        }
        (Some(requested), ResourceMode::Honored) if requested != resource.audience => {
            Err(("invalid_target", "The requested resource is invalid"))
        }
        (_, ResourceMode::Honored | ResourceMode::Ignored) | (None, ResourceMode::Rejected) => Ok(()),
    }
}

/// Whether the URIs are equal as text, or are loopback URIs that differ only in the port.
fn is_registered(requested: &str, registered: &str) -> bool {
    let without_port = |uri: &str| {
        let url = url::Url::parse(uri).ok()?;
        let loopback = matches!(url.host_str(), Some("localhost" | "127.0.0.1"));
        (url.scheme() == "http" && loopback)
            .then(|| format!("{}{}", url.host_str().unwrap_or_default(), &url[url::Position::BeforePath..]))
    };
    requested == registered
        || without_port(requested).is_some_and(|requested| Some(requested) == without_port(registered))
}

/// Shows an error instead of redirecting, since the redirect URI may not be the application's.
fn show_error(headers: &HeaderMap, target: &str, message: &str, correlation: &Correlation) -> Response {
    let wants_json = headers
        .get(header::ACCEPT)
        .and_then(|accept| accept.to_str().ok())
        .is_some_and(|accept| accept.contains("application/json"));
    if wants_json {
        platform_error(target, message, correlation)
    } else {
        pages::error(StatusCode::BAD_REQUEST, message, &correlation.0)
    }
}
