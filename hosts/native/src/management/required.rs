//! Values that Deputy needs in PingOne: `deputy doctor` compares them, and `deputy provision` sets them.

use deputy::{config::Webhook, host::PingOneEvent};

/// Seconds of `refreshTokenRollingGracePeriodDuration`, in which a refresh whose response was lost can be repeated.
pub(crate) const GRACE: u64 = 120;

/// Deputy repeats a refresh after a few seconds, and after a minute if a process was killed.
pub(crate) const SHORTEST_GRACE: u64 = 70;

/// The remedy for a shorter grace period.
pub(crate) fn grace_remedy() -> String {
    format!("set it to {GRACE} seconds: otherwise a lost response of PingOne costs the user the login")
}

/// Whether PingOne must send this event to the webhook. An operator may leave out those of locked users and of sessions.
pub(crate) const fn is_needed(event: PingOneEvent, webhook: &Webhook) -> bool {
    match event {
        PingOneEvent::ConsentRevoked | PingOneEvent::UserDeleted | PingOneEvent::UserDisabled => true,
        PingOneEvent::PasswordForceChange
        | PingOneEvent::PasswordRecovery
        | PingOneEvent::PasswordReset
        | PingOneEvent::PasswordSet => webhook.password_events_end,
        PingOneEvent::SessionDeleted | PingOneEvent::UserLocked => false,
    }
}
