//! The limit of open files, and the number of connections that it allows.

use crate::error::StartError;

/// Raises the limit of open files for `connections`, and returns how many of them it allows. Warns if it allows fewer, and
/// fails if it allows none.
#[cfg(unix)]
pub(crate) fn connections_within_limit(connections: usize) -> Result<usize, StartError> {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

    let needed = needed(connections);
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    // `None`: there is no limit.
    if current.is_none_or(|current| current >= needed) {
        return Ok(connections);
    }
    let highest = maximum.map_or(needed, |maximum| maximum.min(needed));
    let raised = setrlimit(Resource::Nofile, Rlimit { current: Some(highest), maximum });
    let limit = if raised.is_ok() { Some(highest) } else { current };
    let Some(limit) = limit.filter(|limit| *limit < needed) else { return Ok(connections) };
    let allowed = usize::try_from(limit.saturating_sub(RESERVE) / 2).unwrap_or(usize::MAX);
    if allowed == 0 {
        return Err(StartError::OpenFiles { limit, needed: RESERVE + 2 });
    }
    tracing::warn!(
        connections = allowed,
        "MAX_CONNECTIONS={connections} needs {needed} open files, and this process may open {limit}: fewer connections are \
         served. Raise the limit (LimitNOFILE= in a unit of systemd, ulimit -n in a shell), or lower --max-connections \
         (MAX_CONNECTIONS)"
    );
    Ok(allowed)
}

#[cfg(not(unix))]
#[expect(clippy::unnecessary_wraps, reason = "as on Unix")]
pub(crate) fn connections_within_limit(connections: usize) -> Result<usize, StartError> {
    Ok(connections)
}

/// Open files for `connections`. A request may need a connection to the API or to PingOne beside its own.
#[cfg(unix)]
fn needed(connections: usize) -> u64 {
    2 * connections as u64 + RESERVE
}

/// Open files for the database, its readers, the log, listeners, DNS and connections without a slot.
#[cfg(unix)]
const RESERVE: u64 = 100;
