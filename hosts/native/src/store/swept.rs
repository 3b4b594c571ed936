//! Records that a sweep removed.

use deputy::host::GrantId;

/// Logs the record if it is a login that was given up.
pub(super) fn log(kind: &str, name: &str) {
    let given_up = match kind {
        "approval" => "no decision on the approval page after ten minutes",
        "login" => "login not back from PingOne after ten minutes",
        _ => return,
    };
    if let Some(login) = GrantId::from_hex(name) {
        tracing::info!(reference = %login.reference(), "{given_up}");
    }
}
