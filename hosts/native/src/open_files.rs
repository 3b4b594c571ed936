//! How many files this process may open, against the connections that it is to serve.

/// The number of connections that fit, after raising the limit of open files as far as the system allows. Warns where it is
/// fewer than `connections`.
#[cfg(unix)]
pub(crate) fn connections_that_fit(connections: usize) -> usize {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

    let needed = needed(connections);
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    // `None` is "no limit".
    if current.is_none_or(|current| current >= needed) {
        return connections;
    }
    let allowed = maximum.map_or(needed, |maximum| maximum.min(needed));
    let raised = setrlimit(Resource::Nofile, Rlimit { current: Some(allowed), maximum });
    let limit = if raised.is_ok() { Some(allowed) } else { current };
    let Some(limit) = limit.filter(|limit| *limit < needed) else { return connections };
    let fit = fitting(limit);
    tracing::warn!(
        connections = fit,
        "MAX_CONNECTIONS={connections} needs {needed} open files, and this process may open {limit}: fewer connections are \
         served. Raise the limit (LimitNOFILE= in a unit of systemd, ulimit -n in a shell), or lower --max-connections \
         (MAX_CONNECTIONS)"
    );
    fit
}

/// Systems without the limit.
#[cfg(not(unix))]
pub(crate) fn connections_that_fit(connections: usize) -> usize {
    connections
}

/// A request may need a connection to the API or to `PingOne` beside its own.
#[cfg(unix)]
fn needed(connections: usize) -> u64 {
    2 * connections as u64 + RESERVE
}

#[cfg(unix)]
fn fitting(limit: u64) -> usize {
    usize::try_from(limit.saturating_sub(RESERVE) / 2).unwrap_or(usize::MAX).max(1)
}

/// The database, its readers, the log, listeners, names being resolved, and connections that wait for a place.
#[cfg(unix)]
const RESERVE: u64 = 100;
