//! Pages. Each of them says that it belongs to a simulator.

mod operator;

use askama::Template;
use axum::{
    body::Body,
    http::{HeaderValue, StatusCode, header},
    response::Response,
};

use crate::{
    application::OidcApplication,
    config::User,
    simulator::Simulator,
    state::{Flow, Step},
};

pub(crate) use operator::{switches, users};

#[derive(Template)]
#[template(path = "step.html")]
struct StepPage<'a> {
    style: &'a str,
    action: String,
    flow: &'a str,
    message: &'a str,
    view: View<'a>,
}

/// The content of a flow's page.
enum View<'a> {
    Consent {
        application: &'a str,
        user: String,
        scopes: Vec<(&'a str, &'a str)>,
        client: &'a str,
        host: &'a str,
    },
    Recover,
    Register,
    Reset {
        code: &'a str,
    },
    SignOn {
        users: Vec<User>,
        hint: &'a str,
    },
    Verify {
        email: &'a str,
        code: &'a str,
    },
}

#[derive(Template)]
#[template(path = "note.html")]
struct NotePage<'a> {
    style: &'a str,
    title: &'a str,
    text: &'a str,
    reference: &'a str,
}

#[derive(Template)]
#[template(path = "index.html")]
struct IndexPage<'a> {
    style: &'a str,
    issuer: String,
    users: Vec<User>,
}

/// The page of a flow's step.
pub(crate) fn step(sim: &Simulator, id: &str, flow: &Flow, message: &str) -> Response {
    let config = sim.config();
    let request = &flow.request;
    let application = sim.application_or_configured(&request.client_id);
    let view = match &flow.step {
        Step::Consent { session } => {
            let state = sim.state();
            let user = state
                .sessions
                .iter()
                .find(|held| held.id == *session)
                .and_then(|held| state.user(&held.user));
            View::Consent {
                application: &application.name,
                user: user.map(|user| user.username.clone()).unwrap_or_default(),
                scopes: request
                    .scopes
                    .iter()
                    .filter_map(|scope| scope_description(&application, scope))
                    .collect(),
                client: request.mcp_client_name.as_deref().unwrap_or_default(),
                host: request.mcp_redirect_host.as_deref().unwrap_or_default(),
            }
        }
        Step::Recover => View::Recover,
        Step::Register => View::Register,
        Step::Reset { code, .. } => View::Reset { code },
        Step::SignOn => {
            View::SignOn { users: examples(sim), hint: request.login_hint.as_deref().unwrap_or_default() }
        }
        Step::Verify { registration, code } => View::Verify { email: &registration.email, code },
    };
    let action = format!("/{}/davinci/flow", config.environment_id);
    render(StatusCode::OK, &StepPage { style: STYLE, action, flow: id, message, view })
}

/// A page with an error.
pub(crate) fn error(status: StatusCode, text: &str, reference: &str) -> Response {
    render(status, &NotePage { style: STYLE, title: "Something went wrong", text, reference })
}

pub(crate) fn signed_off() -> Response {
    let text = "The session at the simulated PingOne has ended.";
    render(StatusCode::OK, &NotePage { style: STYLE, title: "Signed off", text, reference: "" })
}

/// The start page: what the simulator is, and which users can log in.
pub(crate) fn index(sim: &Simulator) -> Response {
    render(StatusCode::OK, &IndexPage { style: STYLE, issuer: sim.config().issuer(), users: examples(sim) })
}

/// Users whose credentials the pages show.
fn examples(sim: &Simulator) -> Vec<User> {
    let state = sim.state();
    state.users.iter().filter(|user| !user.locked && user.headless.is_none()).take(5).cloned().collect()
}

/// A scope and its description; `None` if the consent page does not list it.
fn scope_description<'a>(application: &'a OidcApplication, scope: &'a str) -> Option<(&'a str, &'a str)> {
    let description = match scope {
        "openid" | "offline_access" => return None,
        "profile" => "Know your name",
        "email" => "Know your email address",
        "address" => "Know your address",
        "phone" => "Know your phone number",
        custom => application.resource.scope(custom)?.description.as_str(),
    };
    Some((scope, description))
}

fn render(status: StatusCode, page: &impl Template) -> Response {
    let mut response = Response::new(Body::from(page.render().unwrap_or_default()));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/html; charset=utf-8"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(header::X_FRAME_OPTIONS, HeaderValue::from_static("DENY"));
    headers.insert(
        header::CONTENT_SECURITY_POLICY,
        HeaderValue::from_static(
            "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'; base-uri 'none'",
        ),
    );
    response
}

const STYLE: &str = include_str!("../../templates/style.css");
