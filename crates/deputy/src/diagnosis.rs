//! Whether Deputy can reach what its configuration names, for `deputy check`.

use std::time::Duration;

use http::{Method, StatusCode, header};
use url::Url;

use crate::{
    app::App,
    config::Config,
    host::{FetchError, FetchLimits, Reach},
    oidc::{
        Authentication, Discovery, KeySet, Response, TokenError, TokenResponse, clocks_differ, code_request,
        get,
    },
    retry,
    secret::Secret,
};

/// The result of looking at one thing. It contains no secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// The thing that was looked at, such as "discovery".
    pub subject: &'static str,
    /// Whether it is as it should be.
    pub verdict: Verdict,
    /// The observation, as a sentence without its period.
    pub seen: String,
    /// The remedy, as a sentence without its period.
    pub fix: Option<String>,
}

/// Whether a thing is as it should be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It is.
    Ok,
    /// It may be.
    Warning,
    /// It is not.
    Problem,
}

impl Finding {
    /// A thing that is as it should be.
    pub fn ok(subject: &'static str, seen: impl Into<String>) -> Self {
        Self { subject, verdict: Verdict::Ok, seen: seen.into(), fix: None }
    }

    /// A thing that may be wrong.
    pub fn warning(subject: &'static str, seen: impl Into<String>, fix: impl Into<String>) -> Self {
        Self { subject, verdict: Verdict::Warning, seen: seen.into(), fix: Some(fix.into()) }
    }

    /// A thing that is wrong.
    pub fn problem(subject: &'static str, seen: impl Into<String>, fix: impl Into<String>) -> Self {
        Self { subject, verdict: Verdict::Problem, seen: seen.into(), fix: Some(fix.into()) }
    }
}

/// Looks at `PingOne` and the API. `api_path` is a path below `API_URL` that needs a token.
pub(crate) async fn examine(app: &App, api_path: Option<&str>) -> Vec<Finding> {
    let mut findings = Vec::new();
    let config = &app.config;
    let issuer = config.pingone.issuer.as_str();
    let response = match Discovery::request(issuer) {
        Some(request) => app.host().fetch(request, LIMITS).await,
        None => Err(FetchError::Connection("the issuer is not a URL".to_owned())),
    };
    match response {
        Err(error) => findings.push(unreachable("discovery", issuer, "PINGONE_ISSUER", &error)),
        Ok(response) => match Discovery::read(&response, issuer) {
            Err(error) => findings.push(Finding::problem(
                "discovery",
                error.to_string(),
                "copy PINGONE_ISSUER from the application in PingOne, with its region and environment",
            )),
            Ok(discovery) => {
                findings.push(Finding::ok("discovery", format!("{issuer} names its endpoints")));
                findings.push(clocks(app, &response));
                findings.push(keys(app, &discovery).await);
                findings.push(client_secret(app, &discovery).await);
            }
        },
    }
    findings.push(api(app, api_path).await);
    findings.push(clients(config));
    findings.push(Finding::ok(
        "callback",
        format!(
            "the application {} in PingOne needs the redirect URI {}",
            config.pingone.client_id,
            config.public_url.callback()
        ),
    ));
    findings
}

/// The clients that can connect.
fn clients(config: &Config) -> Finding {
    let configured = config.admission.clients.len();
    let ways = [
        (config.admission.metadata_documents, "clients with a metadata document"),
        (config.admission.registration, "clients that register"),
    ];
    let ways: Vec<_> = ways.iter().filter(|(is_on, _)| *is_on).map(|(_, clients)| *clients).collect();
    match (configured, ways.is_empty()) {
        (0, true) => Finding::problem(
            "clients",
            "no client can connect",
            "set CLIENTS, DYNAMIC_CLIENT_REGISTRATION=on or CLIENT_ID_METADATA_DOCUMENTS=on",
        ),
        (_, true) => Finding::ok("clients", format!("only the {configured} in CLIENTS can connect")),
        (_, false) => Finding::ok("clients", format!("{configured} in CLIENTS, {}", ways.join(", "))),
    }
}

/// The difference of the clocks, from the `Date` of a response that was just made.
fn clocks(app: &App, response: &Response) -> Finding {
    let date = response.headers().get(header::DATE).filter(|_| !response.headers().contains_key(header::AGE));
    match date.and_then(retry::http_date).map(|date| app.now().ahead_of(date)) {
        None => Finding::warning(
            "clock",
            "PingOne's response does not tell its time",
            "compare the clock of this computer with another source, such as NTP",
        ),
        Some(ahead) if ahead.unsigned_abs() > TOLERATED => Finding::problem(
            "clock",
            clocks_differ(ahead),
            "set the clock of this computer, or let NTP do so: logins fail otherwise",
        ),
        Some(ahead) => {
            Finding::ok("clock", format!("it differs from PingOne's by {} s", ahead.unsigned_abs()))
        }
    }
}

async fn keys(app: &App, discovery: &Discovery) -> Finding {
    let url = discovery.jwks_uri.as_str();
    match app.host().fetch(get(&discovery.jwks_uri), LIMITS).await {
        Err(error) => unreachable("keys", url, "PINGONE_ISSUER", &error),
        Ok(response) if KeySet::read(&response).is_some() => {
            Finding::ok("keys", format!("{url} has keys that Deputy can use"))
        }
        Ok(response) => Finding::problem(
            "keys",
            format!("{url} has no keys that Deputy can use (status {})", response.status().as_u16()),
            "let the application in PingOne sign with RS256, and look at PingOne's status page",
        ),
    }
}

/// Redeems a code that does not exist. `PingOne` authenticates the client first (OAuth 2.1 §3.2.2), and then refuses the code.
async fn client_secret(app: &App, discovery: &Discovery) -> Finding {
    const SUBJECT: &str = "client secret";
    let (pingone, random) = (&app.config.pingone, app.random());
    let verifier = Authentication::generate(&random).code_verifier;
    let code = Secret::new("made-up-by-deputy-check".to_owned());
    let callback = app.config.public_url.callback();
    let request = code_request(&discovery.token_endpoint, pingone, &code, &verifier, &callback);
    let response = match app.host().fetch(request, LIMITS).await {
        Err(error) => {
            return unreachable(SUBJECT, discovery.token_endpoint.as_str(), "PINGONE_ISSUER", &error);
        }
        Ok(response) => response,
    };
    match TokenResponse::read(&response) {
        Err(TokenError::Grant) => {
            Finding::ok(SUBJECT, "PingOne accepts Deputy's client authentication, and refuses a made-up code")
        }
        Err(error @ TokenError::Client) => Finding::problem(
            SUBJECT,
            error.to_string(),
            "copy PINGONE_CLIENT_ID and PINGONE_CLIENT_SECRET from the application again, and set PINGONE_CLIENT_AUTH to its \
             token endpoint authentication method",
        ),
        Err(error @ TokenError::GrantType) => Finding::problem(
            SUBJECT,
            error.to_string(),
            "enable Authorization Code and Refresh Token in the application",
        ),
        Err(error @ TokenError::Unavailable) => {
            Finding::problem(SUBJECT, error.to_string(), "look at PingOne's status page, and try again")
        }
        Err(error @ (TokenError::Refused(_) | TokenError::Malformed)) => Finding::warning(
            SUBJECT,
            error.to_string(),
            "look into the audit of PingOne: it may be right or wrong",
        ),
        Ok(_) => Finding::problem(
            SUBJECT,
            "PingOne issues tokens for a made-up code",
            "set PINGONE_ISSUER to the issuer of a PingOne environment: this server is another product",
        ),
    }
}

async fn api(app: &App, path: Option<&str>) -> Finding {
    const SUBJECT: &str = "API";
    let base = app.config.api.url.as_str().trim_end_matches('/');
    let url = match path {
        Some(path) => format!("{base}/{}", path.trim_start_matches('/')),
        None => app.config.api.url.to_string(),
    };
    let Some(request) = Url::parse(&url).ok().and_then(|url| {
        http::Request::builder().method(Method::GET).uri(url.as_str()).body(bytes::Bytes::new()).ok()
    }) else {
        return Finding::problem(
            SUBJECT,
            format!("{url} is not a URL"),
            "correct the path that the check names",
        );
    };
    let response = match app.host().fetch(request, LIMITS).await {
        Err(error) => return unreachable(SUBJECT, &url, "API_URL", &error),
        Ok(response) => response,
    };
    let status = response.status();
    let seen = format!("{url} responds with {} to a request without a token", status.as_u16());
    match status {
        StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => Finding::ok(SUBJECT, seen),
        status if status.is_server_error() => Finding::problem(SUBJECT, seen, "look at the log of the API"),
        _ if path.is_none() => Finding::warning(
            SUBJECT,
            seen,
            "name a path that needs a token with --api-path (CHECK_API_PATH), such as /api/todos, and check again",
        ),
        status if status.is_success() => {
            Finding::problem(SUBJECT, seen, "protect this path: the API must require a token of PingOne")
        }
        _ => Finding::problem(SUBJECT, seen, "correct API_URL, or the path that the check names"),
    }
}

fn unreachable(subject: &'static str, url: &str, variable: &str, error: &FetchError) -> Finding {
    let fix = format!("check {variable}, and the network, DNS and certificates of this computer");
    Finding::problem(subject, format!("{url}: {error}"), fix)
}

const LIMITS: FetchLimits =
    FetchLimits { deadline: Duration::from_secs(10), max_bytes: 256 * 1024, reach: Reach::Anywhere };
/// Seconds by which the clocks may differ.
const TOLERATED: u64 = 30;
