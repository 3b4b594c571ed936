//! Values that Deputy needs in PingOne: `deputy doctor` compares them, and `deputy provision` sets them.

/// Seconds of `refreshTokenRollingGracePeriodDuration`, in which a refresh whose response was lost can be repeated.
pub(crate) const GRACE: u64 = 120;

/// Deputy repeats a refresh after a few seconds, and after a minute if a process was killed.
pub(crate) const SHORTEST_GRACE: u64 = 70;

/// The events that a webhook must send. An operator may leave out those of locked users and of sessions.
pub(crate) const NEEDED_EVENTS: [&str; 3] = ["OAUTH_CONSENT.REVOKED", "USER.DELETED", "USER.DISABLED"];
