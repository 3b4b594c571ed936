//! Audit events of this server.

use std::{sync::Arc, time::Duration};

use super::App;
use crate::{
    host::{AuditEvent, AuditedAccess, AuditedClient, CallOutcome, Decision},
    oauth::Grant,
    types::ClientId,
};

impl App {
    /// Records an audit event with the current time.
    pub(crate) fn audit(&self, access: AuditedAccess, decision: Decision) {
        self.host.audit.record(&AuditEvent { time: self.now(), decision, access });
    }
}

/// The access that a grant gives, for an audit event.
pub(crate) fn access_of(grant: &Grant) -> AuditedAccess {
    AuditedAccess {
        user: Some(grant.user.sub.clone()),
        client: AuditedClient { id: grant.client_id.to_string(), name: grant.client_name.clone() },
        grant: Some(grant.id),
    }
}

/// The access that a client requests before there is a grant, for an audit event.
pub(crate) fn login_of(client: &ClientId, name: Option<&str>) -> AuditedAccess {
    AuditedAccess {
        user: None,
        client: AuditedClient { id: client.to_string(), name: name.map(str::to_owned) },
        grant: None,
    }
}

/// A tool call under way. Records one event: at its end, or when it is dropped.
pub(crate) struct CallAudit {
    app: Arc<App>,
    call: Option<(AuditedAccess, String, String)>,
    begun: Duration,
}

impl CallAudit {
    pub(crate) fn begin(
        app: &Arc<App>,
        access: AuditedAccess,
        tool: String,
        arguments_sha256: String,
    ) -> Self {
        let begun = app.host.clock.monotonic();
        Self { app: Arc::clone(app), call: Some((access, tool, arguments_sha256)), begun }
    }

    /// Records the event of the call, the first time.
    pub(crate) fn end(&mut self, outcome: CallOutcome) {
        let Some((access, tool, arguments_sha256)) = self.call.take() else { return };
        let duration = self.app.host.clock.monotonic().saturating_sub(self.begun);
        let ms = u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
        self.app.audit(access, Decision::ToolCalled { tool, arguments_sha256, outcome, ms });
    }
}

impl Drop for CallAudit {
    fn drop(&mut self) {
        self.end(CallOutcome::Cancelled);
    }
}
