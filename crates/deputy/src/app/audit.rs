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

/// The audit event of a tool call under way.
pub(crate) struct CallAudit {
    app: Arc<App>,
    access: AuditedAccess,
    tool: String,
    arguments_sha256: String,
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
        Self { app: Arc::clone(app), access, tool, arguments_sha256, begun }
    }

    /// Records the event.
    pub(crate) fn end(self, outcome: CallOutcome) {
        let Self { app, access, tool, arguments_sha256, begun } = self;
        let duration = app.host.clock.monotonic().saturating_sub(begun);
        let ms = u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
        app.audit(access, Decision::ToolCalled { tool, arguments_sha256, outcome, ms });
    }
}
