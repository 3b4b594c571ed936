//! Ending the grants of logins that have ended at `PingOne`, as an event reports it.

use std::sync::atomic::{AtomicUsize, Ordering};

use futures_util::future::join_all;

use super::manage::{end_if, owned, unindex};
use crate::{
    app::App,
    host::{EndedBy, PingOneEvent, Timestamp},
    oauth::{Grant, LoginsEnd},
    records::{self, RecordError},
};

/// Operations on records that are left for a request.
#[derive(Debug)]
pub(crate) struct Allowance(AtomicUsize);

impl Allowance {
    pub(crate) const fn new(operations: usize) -> Self {
        Self(AtomicUsize::new(operations))
    }

    /// Takes this many. `false`: fewer are left.
    pub(crate) fn take(&self, operations: usize) -> bool {
        let taken =
            self.0.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(operations));
        taken.is_ok()
    }
}

/// The result of [`end`].
#[derive(Debug, Default)]
pub(crate) struct Ended {
    pub(crate) grants: usize,
    /// Whether some of the user's grants are left, because the allowance was used up.
    pub(crate) is_unfinished: bool,
}

impl Ended {
    pub(crate) const fn add(&mut self, other: &Self) {
        self.grants += other.grants;
        self.is_unfinished |= other.is_unfinished;
    }
}

/// Ends the grants of the user `sub` whose login has ended, as far as the allowance goes.
pub(crate) async fn end(
    app: &App,
    sub: &str,
    logins: LoginsEnd,
    event: PingOneEvent,
    allowance: &Allowance,
    now: Timestamp,
) -> Result<Ended, RecordError> {
    if !allowance.take(PER_EVENT) {
        return Ok(Ended { grants: 0, is_unfinished: true });
    }
    let indexed = records::end_logins(app.host(), &app.config, sub, logins, now).await?;
    let affordable = indexed.iter().take_while(|_| allowance.take(PER_GRANT)).count();
    let by = EndedBy::Pingone { cause: Some(event) };
    let selects = |grant: &Grant| owned(grant, sub) && logins.ends(grant);
    let (mut ended, mut gone, mut failure) = (0, Vec::new(), None);
    for some in indexed[..affordable].chunks(AT_A_TIME) {
        let ends = some.iter().map(|entry| end_if(app, entry.id, selects, by, now));
        // A grant that cannot be read does not keep the others.
        for (entry, grant) in some.iter().zip(join_all(ends).await) {
            match grant {
                Ok(Some(_)) => ended += 1,
                // It ended before. Of a grant whose login is not in the index, the login may be a later one.
                Ok(None) if entry.is_certain => {}
                Ok(None) => continue,
                Err(error) => {
                    error.add_to(&mut failure);
                    continue;
                }
            }
            gone.push(entry.id);
        }
    }
    if !gone.is_empty() {
        unindex(app, sub, &gone, now).await;
    }
    let ended = Ended { grants: ended, is_unfinished: affordable < indexed.len() };
    failure.map_or(Ok(ended), Err)
}

/// Number of grants that are ended concurrently.
const AT_A_TIME: usize = 8;

/// Operations for an event of a user: the index is read and written, before grants end and after.
pub(crate) const PER_EVENT: usize = 4;
/// Operations for a grant: it is read and written, and leaves the index of all grants.
pub(crate) const PER_GRANT: usize = 3;
