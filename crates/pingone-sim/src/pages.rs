//! Pages. Each says that it is a simulator's.

use askama::Template;
use axum::{
    body::Body,
    http::{HeaderValue, StatusCode, header},
    response::Response,
};

use crate::{
    config::Person,
    simulator::Simulator,
    state::{Flow, Step},
};

#[derive(Template)]
#[template(path = "step.html")]
struct StepPage<'a> {
    style: &'a str,
    action: String,
    flow: &'a str,
    message: &'a str,
    view: View<'a>,
}

/// What a page of a flow shows.
enum View<'a> {
    Consent {
        application: &'a str,
        person: String,
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
        people: Vec<Person>,
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
    people: Vec<Person>,
}

/// The page of a flow's step.
pub(crate) fn step(sim: &Simulator, id: &str, flow: &Flow, message: &str) -> Response {
    let config = sim.config();
    let request = &flow.request;
    let view = match &flow.step {
        Step::Consent { session } => {
            let state = sim.state();
            let person =
                state.sessions.iter().find(|held| held.id == *session).and_then(|s| state.person(&s.person));
            View::Consent {
                application: &config.application.name,
                person: person.map(|person| person.username.clone()).unwrap_or_default(),
                scopes: request.scopes.iter().filter_map(|scope| described(sim, scope)).collect(),
                client: request.mcp_client_name.as_deref().unwrap_or_default(),
                host: request.mcp_redirect_host.as_deref().unwrap_or_default(),
            }
        }
        Step::Recover => View::Recover,
        Step::Register => View::Register,
        Step::Reset { code, .. } => View::Reset { code },
        Step::SignOn => {
            View::SignOn { people: seeded(sim), hint: request.login_hint.as_deref().unwrap_or_default() }
        }
        Step::Verify { person, code } => View::Verify { email: &person.email, code },
    };
    let action = format!("/{}/davinci/flow", config.environment_id);
    render(StatusCode::OK, &StepPage { style: STYLE, action, flow: id, message, view })
}

/// A page that ends a flow.
pub(crate) fn error(status: StatusCode, text: &str, reference: &str) -> Response {
    render(status, &NotePage { style: STYLE, title: "Something went wrong", text, reference })
}

pub(crate) fn signed_off() -> Response {
    let text = "The session at the simulated PingOne has ended.";
    render(StatusCode::OK, &NotePage { style: STYLE, title: "Signed off", text, reference: "" })
}

/// What this is, and who can log in.
pub(crate) fn index(sim: &Simulator) -> Response {
    render(StatusCode::OK, &IndexPage { style: STYLE, issuer: sim.config().issuer(), people: seeded(sim) })
}

fn seeded(sim: &Simulator) -> Vec<Person> {
    let state = sim.state();
    state
        .people
        .iter()
        .filter(|person| !person.locked && person.headless.is_none())
        .take(5)
        .cloned()
        .collect()
}

fn described<'a>(sim: &'a Simulator, scope: &'a str) -> Option<(&'a str, &'a str)> {
    let words = match scope {
        "openid" | "offline_access" => return None,
        "profile" => "Know your name",
        "email" => "Know your email address",
        "address" => "Know your address",
        "phone" => "Know your phone number",
        custom => sim.config().resource.scopes.iter().find(|held| held.name == custom)?.description.as_str(),
    };
    Some((scope, words))
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

const STYLE: &str = include_str!("../templates/style.css");
