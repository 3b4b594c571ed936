//! The pages for the operator of the simulator: users with everything that they hold, and switches.

use askama::Template;
use axum::{http::StatusCode, response::Response};
use chrono::DateTime;
use url::form_urlencoded::byte_serialize;

use super::{STYLE, render};
use crate::{
    config::User,
    failure::examples,
    outbox::Sent,
    simulator::Simulator,
    state::{Consent, Family, Session, State},
};

#[derive(Template)]
#[template(path = "users.html")]
struct UsersPage<'a> {
    style: &'a str,
    users: Vec<UserRow>,
    /// The paths and labels of the buttons.
    actions: &'a [(&'a str, &'a str)],
    url: String,
    /// The types of the events that wait for their delivery.
    waiting: Vec<String>,
    sent: Vec<Sent>,
}

struct UserRow {
    username: String,
    /// The username in a URL.
    path: String,
    status: &'static str,
    sessions: usize,
    consents: usize,
    /// Sessions, consents and refresh tokens.
    held: Vec<String>,
}

#[derive(Template)]
#[template(path = "switches.html")]
struct SwitchesPage<'a> {
    style: &'a str,
    /// The failures as JSON; `true` for those that stay.
    forced: Vec<(String, bool)>,
    settings: String,
    examples: Vec<String>,
}

/// The page of users, with what an administrator can do to them, and of the webhook.
pub(crate) fn users(sim: &Simulator) -> Response {
    let state = sim.state();
    let waiting = state.outbox.batch.iter().chain(&state.outbox.waiting);
    let kind =
        |event: &crate::outbox::Event| event.json["action"]["type"].as_str().unwrap_or_default().to_owned();
    let page = UsersPage {
        style: STYLE,
        users: state.users.iter().take(50).map(|user| row(&state, user)).collect(),
        actions: ACTIONS,
        url: state.settings.webhook.url.clone().unwrap_or_default(),
        waiting: waiting.map(kind).collect(),
        sent: state.outbox.sent.iter().rev().cloned().collect(),
    };
    render(StatusCode::OK, &page)
}

fn row(state: &State, user: &User) -> UserRow {
    let sessions: Vec<_> = state.sessions.iter().filter(|session| session.user == user.id).collect();
    let consents: Vec<_> = state.consents.iter().filter(|consent| consent.user == user.id).collect();
    let families = state.families.iter().filter(|family| family.session.user == user.id);
    let held = sessions.iter().map(|held| session(held));
    UserRow {
        username: user.username.clone(),
        path: byte_serialize(user.username.as_bytes()).collect(),
        status: match user {
            User { disabled: true, .. } => "disabled",
            User { locked: true, .. } => "locked",
            _ => "active",
        },
        held: held.chain(consents.iter().map(|held| consent(held))).chain(families.map(family)).collect(),
        sessions: sessions.len(),
        consents: consents.len(),
    }
}

fn session(Session { id, auth_time, .. }: &Session) -> String {
    format!("session {id}, login at {}", time(*auth_time))
}

fn consent(Consent { client_id, scopes, .. }: &Consent) -> String {
    let application = if client_id.is_empty() { "the application" } else { client_id };
    format!("consent to {application}: {}", scopes.join(" "))
}

fn family(Family { session, scopes, started_at, rotated, revoked, .. }: &Family) -> String {
    let state = if *revoked { "revoked" } else { "valid" };
    format!(
        "refresh token of session {}, from {}: {state}, rotated {} times, for {}",
        session.id,
        time(*started_at),
        rotated.len(),
        scopes.join(" ")
    )
}

fn time(seconds: u64) -> String {
    let time = i64::try_from(seconds).ok().and_then(|seconds| DateTime::from_timestamp(seconds, 0));
    time.unwrap_or_default().format("%Y-%m-%d %H:%M:%S UTC").to_string()
}

const ACTIONS: &[(&str, &str)] = &[
    ("lock", "Lock"),
    ("unlock", "Unlock"),
    ("disable", "Disable"),
    ("enable", "Enable"),
    ("revoke-consent", "Revoke consent"),
    ("end-sessions", "End sessions"),
    ("force-password-change", "Force password change"),
    ("delete", "Delete"),
];

/// The page with a switch for every failure, and with the settings.
pub(crate) fn switches(sim: &Simulator) -> Response {
    let json = |value: &crate::failure::Failure| serde_json::to_string(value).unwrap_or_default();
    let page = SwitchesPage {
        style: STYLE,
        forced: sim.pending_failures().iter().map(|(failure, always)| (json(failure), *always)).collect(),
        settings: serde_json::to_string_pretty(&sim.state().settings).unwrap_or_default(),
        examples: examples().iter().map(json).collect(),
    };
    render(StatusCode::OK, &page)
}
