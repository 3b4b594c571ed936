//! Audit events of this server.

use std::{
    fmt::Display,
    sync::{Arc, OnceLock},
    time::Duration,
};

use serde_json::Value;
use sha2::{Digest as _, Sha256};

use super::App;
use crate::{
    encoding::hex,
    host::{AuditEvent, AuditedAccess, AuditedClient, CallOutcome, Decision, GrantId, LoginStep},
    log_context,
    oauth::Grant,
    types::{Reference, User},
};

impl App {
    /// Adds the user to the lines of the current request.
    pub(crate) fn note_user(&self, user: &User) {
        log_context::note("user", user.sub.as_str());
        if let Some(username) = user.username.as_deref().filter(|_| self.config.log_usernames) {
            log_context::note("username", username);
        }
    }

    /// Records an audit event with the current time.
    pub(crate) fn audit(&self, access: AuditedAccess, decision: Decision) {
        self.host.audit.record(&AuditEvent { time: self.now(), decision, access });
    }
}

/// The access that a grant gives, for an audit event.
pub(crate) fn access_of(grant: &Grant) -> AuditedAccess {
    AuditedAccess {
        user: Some(grant.user.sub.clone()),
        client: Some(AuditedClient { id: grant.client_id.to_string(), name: grant.client_name.clone() }),
        grant: Some(grant.id),
    }
}

/// The login that a request belongs to, as far as it is known yet.
#[derive(Debug, Default)]
pub(crate) struct Trail {
    login: OnceLock<(GrantId, LoginStep)>,
    client: OnceLock<AuditedClient>,
    user: OnceLock<String>,
}

impl Trail {
    /// The request is a step of this login.
    pub(crate) fn is_of(&self, login: GrantId, step: LoginStep) {
        // A request belongs to one login.
        let _ = self.login.set((login, step));
        log_context::note("reference", login.reference().to_string());
    }

    /// The login is one of this client.
    pub(crate) fn has_client(&self, id: impl ToString, name: Option<&str>) {
        let (id, name) = (id.to_string(), name.map(str::to_owned));
        log_context::note_client(id.as_str(), name.as_deref());
        // The first one counts.
        let _ = self.client.set(AuditedClient { id, name });
    }

    /// The login is one of this user.
    pub(crate) fn has_user(&self, app: &App, user: &User) {
        app.note_user(user);
        let _ = self.user.set(user.sub.clone());
    }

    /// A text with the reference of the login, for `error_description`.
    pub(crate) fn with_reference(&self, text: impl Display) -> String {
        match self.reference() {
            Some(reference) => format!("{text} (reference {reference})"),
            None => text.to_string(),
        }
    }

    /// The reference of the login.
    pub(crate) fn reference(&self) -> Option<Reference> {
        self.login.get().map(|(login, _)| login.reference())
    }
}

impl App {
    /// Records a step of a login: an audit event, and a line of the log. Nothing while the login is unknown.
    pub(crate) fn login_step(&self, trail: &Trail, decision: Decision) {
        let Some(&(grant, _)) = trail.login.get() else { return };
        let access = AuditedAccess {
            user: trail.user.get().cloned(),
            client: trail.client.get().cloned(),
            grant: Some(grant),
        };
        log_step(&decision);
        self.audit(access, decision);
    }

    /// Records that a step of a login was refused. `code` is the kind of the reason.
    pub(crate) fn login_refused(&self, trail: &Trail, at: LoginStep, code: &'static str, reason: String) {
        self.login_step(trail, Decision::LoginRefused { at, code, reason });
    }

    /// Records that the request of this trail was refused.
    pub(crate) fn step_refused(&self, trail: &Trail, code: &'static str, reason: String) {
        match trail.login.get() {
            Some((_, LoginStep::Refresh)) => {
                self.login_step(trail, Decision::RefreshRefused { code, reason });
            }
            Some(&(_, at)) => self.login_refused(trail, at, code, reason),
            None => {}
        }
    }
}

/// The line of the log for a step of a login. A refused step has its line where it was refused.
fn log_step(decision: &Decision) {
    let step = match decision {
        Decision::LoginBegun { .. } => "login begun",
        Decision::LoginApproved { .. } => "login approved",
        Decision::LoginDenied => "login denied by the user",
        Decision::LoginSent => "login sent to PingOne",
        Decision::LoginReturned => "login back from PingOne",
        Decision::SignedIn => "signed in to Your agents",
        _ => return,
    };
    tracing::info!("{step}");
}

/// The audit event of a tool call under way.
pub(crate) struct CallAudit {
    app: Arc<App>,
    access: AuditedAccess,
    tool: String,
    arguments_sha256: String,
    arguments: Option<String>,
    arguments_cut: bool,
    begun: Duration,
}

impl CallAudit {
    pub(crate) fn begin(app: &Arc<App>, access: AuditedAccess, tool: &str, arguments: &Value) -> Self {
        let begun = app.host.clock.monotonic();
        // Writing a `Value` cannot fail.
        let json = serde_json::to_string(arguments).unwrap_or_default();
        let arguments_sha256 = hex(&Sha256::digest(&json));
        let arguments_cut = app.config.audit_arguments && json.len() > LONGEST_ARGUMENTS;
        let arguments = app.config.audit_arguments.then(|| beginning(json));
        let (app, tool) = (Arc::clone(app), tool.to_owned());
        Self { app, access, tool, arguments_sha256, arguments, arguments_cut, begun }
    }

    /// Records the event.
    pub(crate) fn end(self, outcome: CallOutcome) {
        let Self { app, access, tool, arguments_sha256, arguments, arguments_cut, begun } = self;
        let duration = app.host.clock.monotonic().saturating_sub(begun);
        let ms = u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
        let decision = Decision::ToolCalled { tool, arguments_sha256, arguments, arguments_cut, outcome, ms };
        app.audit(access, decision);
    }
}

/// The beginning of `text`, at most [`LONGEST_ARGUMENTS`] bytes of whole characters.
fn beginning(mut text: String) -> String {
    text.truncate(text.floor_char_boundary(LONGEST_ARGUMENTS));
    text
}

/// Bytes of arguments in an event.
const LONGEST_ARGUMENTS: usize = 4096;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_arguments_are_cut_between_characters() {
        let text = format!("x{}", "é".repeat(LONGEST_ARGUMENTS));
        let cut = beginning(text.clone());
        assert_eq!(cut.len(), LONGEST_ARGUMENTS - 1);
        assert!(text.starts_with(&cut));
        assert_eq!(beginning("{}".to_owned()), "{}");
    }
}
