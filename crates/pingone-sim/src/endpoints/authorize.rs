//! The authorization endpoint.

use axum::{
    Extension,
    body::Bytes,
    extract::{RawQuery, State},
    http::{HeaderMap, StatusCode, header},
    response::Response,
};

use crate::{
    accounts, flow, form, outcome, pages,
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
    let parameter = |name: &str| form::field(parameters, name).filter(|value| !value.is_empty());
    let application = &sim.config().application;
    if parameter("client_id").as_ref() != Some(&application.client_id) {
        return show_error(headers, "client_id", "The application does not exist", correlation);
    }
    let redirect_uri = parameter("redirect_uri").unwrap_or_default();
    if !application.redirect_uris.iter().any(|registered| is_registered(&redirect_uri, registered)) {
        return show_error(headers, "redirect_uri", "Redirect URI mismatch", correlation);
    }
    let scopes = parameter("scope").unwrap_or_default();
    let request = AuthenticationRequest {
        redirect_uri,
        state: parameter("state"),
        nonce: parameter("nonce"),
        scopes: scopes.split(' ').filter(|scope| !scope.is_empty()).map(str::to_owned).collect(),
        code_challenge: parameter("code_challenge").unwrap_or_default(),
        login_hint: parameter("login_hint"),
        mcp_client_name: parameter("mcp_client_name"),
        mcp_redirect_host: parameter("mcp_redirect_host"),
    };
    if let Err((error, detail)) = check(sim, &request, &parameter) {
        return error_to_application(&request, error, detail, correlation);
    }
    log_in(sim, headers, request, &parameter("prompt").unwrap_or_default(), correlation)
}

/// Responds with a code if the user needs no page, otherwise with the next page.
fn log_in(
    sim: &Simulator,
    headers: &HeaderMap,
    request: AuthenticationRequest,
    prompt: &str,
    correlation: &Correlation,
) -> Response {
    let session = session_cookie::session(sim, headers).filter(|_| prompt != "login");
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
    request: &AuthenticationRequest,
    parameter: &impl Fn(&str) -> Option<String>,
) -> Result<(), (&'static str, &'static str)> {
    if parameter("response_type").as_deref() != Some("code") {
        return Err(("unsupported_response_type", "Unsupported response type"));
    }
    // The application is configured with S256_REQUIRED.
    if request.code_challenge.is_empty() || parameter("code_challenge_method").as_deref() != Some("S256") {
        return Err(("invalid_request", "PKCE with code_challenge_method S256 is required"));
    }
    if parameter("acr_values").is_some_and(|acr| acr != sim.config().policy_id) {
        return Err(("invalid_request", "Invalid sign-on policy provided in acr_values parameter"));
    }
    let resource = &sim.config().resource;
    let of_pingone = |scope: &String| scope.starts_with("p1:");
    if request.scopes.iter().any(|scope| resource.has_scope(scope)) && request.scopes.iter().any(of_pingone) {
        return Err(("invalid_scope", "May not request scopes for multiple resources"));
    }
    let granted = |scope: &String| resource.has_scope(scope) || OIDC_SCOPES.contains(&scope.as_str());
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

const OIDC_SCOPES: [&str; 6] = ["address", "email", "offline_access", "openid", "phone", "profile"];
