//! The limit of open files, and the connections that fit it.

use crate::StartError;

/// The number of connections that fit, after raising the limit of open files as far as the system allows. Warns if that is
/// fewer than `connections`, and fails if it is none.
#[cfg(unix)]
pub(crate) fn connections_that_fit(connections: usize) -> Result<usize, StartError> {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

    let needed = needed(connections);
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    // `None` is "no limit".
    if current.is_none_or(|current| current >= needed) {
        return Ok(connections);
    }
    let allowed = maximum.map_or(needed, |maximum| maximum.min(needed));
    let raised = setrlimit(Resource::Nofile, Rlimit { current: Some(allowed), maximum });
    let limit = if raised.is_ok() { Some(allowed) } else { current };
    let Some(limit) = limit.filter(|limit| *limit < needed) else { return Ok(connections) };
    let fit = fitting(limit);
    if fit == 0 {
        return Err(StartError::Other(format!(
            "this process may open {limit} files, and Deputy needs {} at least. Raise the limit (LimitNOFILE= in a unit of \
             systemd, ulimit -n in a shell)",
            RESERVE + 2
        )));
    }
    tracing::warn!(
        connections = fit,
        "MAX_CONNECTIONS={connections} needs {needed} open files, and this process may open {limit}: fewer connections are \
         served. Raise the limit (LimitNOFILE= in a unit of systemd, ulimit -n in a shell), or lower --max-connections \
         (MAX_CONNECTIONS)"
    );
    Ok(fit)
}

/// Systems without the limit.
#[cfg(not(unix))]
#[expect(clippy::unnecessary_wraps, reason = "as on Unix")]
pub(crate) fn connections_that_fit(connections: usize) -> Result<usize, StartError> {
    Ok(connections)
}

/// A request may need a connection to the API or to `PingOne` beside its own.
#[cfg(unix)]
fn needed(connections: usize) -> u64 {
    2 * connections as u64 + RESERVE
}

#[cfg(unix)]
fn fitting(limit: u64) -> usize {
    usize::try_from(limit.saturating_sub(RESERVE) / 2).unwrap_or(usize::MAX)
}

/// The database, its readers, the log, listeners, names being resolved, and connections that wait for a place.
#[cfg(unix)]
const RESERVE: u64 = 100;
