//! The authorization endpoint.

use axum::{
    http::{HeaderMap, StatusCode, header},
    response::Response,
};

use crate::{
    failure::Failure,
    flow, pages,
    reply::{Correlation, error_to_application, platform_error, to_application},
    simulator::Simulator,
    state::{Code, Request, ResourceMode, Session},
};

/// `GET` or `POST /as/authorize`, whose parameters are the same.
pub(crate) fn authorize(
    sim: &Simulator,
    headers: &HeaderMap,
    parameters: &[(String, String)],
    correlation: &Correlation,
) -> Response {
    sim.count("authorize");
    let one = |name: &str| {
        let value = parameters.iter().find(|(held, _)| held == name).map(|(_, value)| value.clone());
        value.filter(|value| !value.is_empty())
    };
    let application = &sim.config().application;
    if one("client_id").as_ref() != Some(&application.client_id) {
        return not_redirected(headers, "client_id", "The application does not exist", correlation);
    }
    let redirect_uri = one("redirect_uri").unwrap_or_default();
    if !application.redirect_uris.iter().any(|registered| same(&redirect_uri, registered)) {
        return not_redirected(headers, "redirect_uri", "Redirect URI mismatch", correlation);
    }
    let scopes = one("scope").unwrap_or_default();
    let request = Request {
        redirect_uri,
        state: one("state"),
        nonce: one("nonce"),
        scopes: scopes.split(' ').filter(|scope| !scope.is_empty()).map(str::to_owned).collect(),
        code_challenge: one("code_challenge").unwrap_or_default(),
        login_hint: one("login_hint"),
        mcp_client_name: one("mcp_client_name"),
        mcp_redirect_host: one("mcp_redirect_host"),
    };
    if let Err((error, detail)) = check(sim, &request, &one) {
        return error_to_application(&request, error, detail, correlation);
    }
    let prompt = one("prompt").unwrap_or_default();
    let session = flow::session_of(sim, headers).filter(|_| prompt != "login");
    let headless = request.login_hint.as_deref().and_then(|hint| flow::headless(sim, hint));
    match (session, headless) {
        (None, None) if prompt == "none" => {
            error_to_application(&request, "login_required", "User authentication is required", correlation)
        }
        (None, Some((session, true))) => finish(sim, &request, &session, correlation),
        (None, Some((_, false))) => flow::declined(sim, &request, correlation),
        (None, None) => flow::begin(sim, request),
        // `prompt=consent` means nothing with this grant type; the flow alone decides.
        (Some(session), _) if flow::has_consented(sim, &session, &request) => {
            finish(sim, &request, &session, correlation)
        }
        (Some(_), _) if prompt == "none" => {
            error_to_application(&request, "login_required", "User authentication is required", correlation)
        }
        (Some(session), _) => flow::ask_consent(sim, request, &session),
    }
}

/// Everything that is told to the application.
fn check(
    sim: &Simulator,
    request: &Request,
    one: &impl Fn(&str) -> Option<String>,
) -> Result<(), (&'static str, &'static str)> {
    if one("response_type").as_deref() != Some("code") {
        return Err(("unsupported_response_type", "Unsupported response type"));
    }
    // S256_REQUIRED.
    if request.code_challenge.is_empty() || one("code_challenge_method").as_deref() != Some("S256") {
        return Err(("invalid_request", "PKCE with code_challenge_method S256 is required"));
    }
    if one("acr_values").is_some_and(|acr| acr != sim.config().policy_id) {
        return Err(("invalid_request", "Invalid sign-on policy provided in acr_values parameter"));
    }
    let custom = |scope: &String| sim.config().resource.scopes.iter().any(|held| held.name == *scope);
    let of_pingone = |scope: &String| scope.starts_with("p1:");
    if request.scopes.iter().any(custom) && request.scopes.iter().any(of_pingone) {
        return Err(("invalid_scope", "May not request scopes for multiple resources"));
    }
    if !request.scopes.iter().all(|scope| custom(scope) || OIDC_SCOPES.contains(&scope.as_str())) {
        return Err(("invalid_scope", "At least one scope must be granted"));
    }
    let mode = sim.state().knobs.resource_mode;
    match (one("resource"), mode) {
        (Some(_), ResourceMode::Rejected) => {
            Err(("invalid_scope", "May not request scopes for multiple resources"))
        }
        (Some(resource), ResourceMode::Honoured) if resource != sim.config().resource.audience => {
            Err(("invalid_target", "The requested resource is invalid"))
        }
        (_, ResourceMode::Honoured | ResourceMode::Ignored) | (None, ResourceMode::Rejected) => Ok(()),
    }
}

/// The end of a flow: a code for the application, or whatever goes wrong instead.
pub(crate) fn finish(
    sim: &Simulator,
    request: &Request,
    session: &Session,
    correlation: &Correlation,
) -> Response {
    let errors = sim.failures(|failure| match failure {
        Failure::CallbackError(error) => Some(error.clone()),
        _ => None,
    });
    if let Some(error) = errors.first() {
        return error_to_application(request, error, "Forced by the simulator's control", correlation);
    }
    let (code, expires_at) = (sim.secret(), sim.now() + sim.state().knobs.code_seconds);
    let issued = Code { request: request.clone(), session: session.clone(), expires_at };
    sim.change(|state| state.codes.insert(code.clone(), issued));
    let mut request = request.clone();
    let mut parameters = vec![("code".to_owned(), code)];
    if !sim.failures(|failure| matches!(failure, Failure::CallbackWithCodeAndError).then_some(())).is_empty()
    {
        parameters.push(("error".to_owned(), "server_error".to_owned()));
    }
    let changed = sim.failures(|failure| match failure {
        Failure::CallbackParameter(name, value) => Some((name.clone(), value.clone())),
        _ => None,
    });
    for (name, value) in changed {
        if name == "state" {
            request.state = value;
        } else {
            parameters.retain(|(held, _)| *held != name);
            parameters.extend(value.map(|value| (name, value)));
        }
    }
    let parameters: Vec<_> = parameters.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    to_application(&request, &parameters)
}

/// The same text, or a loopback address that differs in its port only.
fn same(asked: &str, registered: &str) -> bool {
    let without_port = |uri: &str| {
        let url = url::Url::parse(uri).ok()?;
        let local = matches!(url.host_str(), Some("localhost" | "127.0.0.1"));
        (url.scheme() == "http" && local)
            .then(|| format!("{}{}", url.host_str().unwrap_or_default(), &url[url::Position::BeforePath..]))
    };
    asked == registered || without_port(asked).is_some_and(|asked| Some(asked) == without_port(registered))
}

/// Errors of the application or its address are shown, not redirected.
fn not_redirected(headers: &HeaderMap, target: &str, message: &str, correlation: &Correlation) -> Response {
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
