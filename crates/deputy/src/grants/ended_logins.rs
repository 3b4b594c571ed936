//! Ending the grants of logins that have ended at `PingOne`, as an event reports it.

use std::sync::atomic::{AtomicUsize, Ordering};

use futures_util::future::join_all;

use super::manage::{end_if, owned};
use crate::{
    app::App,
    host::{EndedBy, GrantId, PingOneEvent, Timestamp},
    oauth::{Grant, LoginsEnd, PingOneLogin},
    records::{self, EndedLogins, EndsLogins, RecordError},
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

    /// Returns operations that were taken and not done.
    fn put_back(&self, operations: usize) {
        self.0.fetch_add(operations, Ordering::Relaxed);
    }
}

/// The result of [`end`].
#[derive(Debug, Default)]
pub(crate) struct Ended {
    pub(crate) grants: usize,
    /// Whether some of the user's grants are left, because the allowance was used up.
    pub(crate) is_unfinished: bool,
    /// Why some of the grants did not end.
    pub(crate) failure: Option<RecordError>,
}

impl Ended {
    pub(crate) fn add(&mut self, other: Self) {
        self.grants += other.grants;
        self.is_unfinished |= other.is_unfinished;
        if let Some(failure) = other.failure {
            failure.add_to(&mut self.failure);
        }
    }
}

impl From<RecordError> for Ended {
    fn from(failure: RecordError) -> Self {
        Self { failure: Some(failure), ..Self::default() }
    }
}

/// Ends the grants of the user `sub` whose login has ended, as far as the allowance goes. A grant that cannot be read does not
/// keep the others.
pub(crate) async fn end(
    app: &App,
    sub: &str,
    logins: LoginsEnd,
    event: PingOneEvent,
    allowance: &Allowance,
    now: Timestamp,
) -> Ended {
    if !allowance.take(PER_EVENT) {
        return Ended { is_unfinished: true, ..Ended::default() };
    }
    let EndedLogins { grants: indexed, is_new } =
        match records::end_logins(app.host(), &app.config, sub, (logins, EndsLogins::Pingone), now).await {
            Ok(ended) => ended,
            Err(failure) => return failure.into(),
        };
    if indexed.is_empty() {
        // So a delivery that is repeated in another form gets beyond the ends that had their effect before.
        allowance.put_back(PER_EVENT - if is_new { 2 } else { 1 });
        return Ended::default();
    }
    let affordable = indexed.iter().take_while(|_| allowance.take(PER_GRANT)).count();
    let mut ended = Ended { is_unfinished: affordable < indexed.len(), ..Ended::default() };
    let (mut gone, mut lasting) = (Vec::new(), Vec::new());
    for some in indexed[..affordable].chunks(AT_A_TIME) {
        let ends = some.iter().map(|id| end_login(app, sub, *id, logins, event, now));
        for (id, result) in some.iter().zip(join_all(ends).await) {
            match result {
                Ok(Outcome::Ended) => {
                    ended.grants += 1;
                    gone.push(*id);
                }
                Ok(Outcome::Gone) => gone.push(*id),
                Ok(Outcome::Lasts(login)) => lasting.push((*id, login)),
                Err(error) => error.add_to(&mut ended.failure),
            }
        }
    }
    if !(gone.is_empty() && lasting.is_empty()) {
        let settled = records::settle_grants(app.host(), &app.config, sub, (&gone, &lasting), now).await;
        if let Err(error) = settled {
            tracing::error!(%error, "the index of a user's grants was not updated after an event of PingOne");
        }
    }
    ended
}

/// The effect on a grant in the index.
enum Outcome {
    Ended,
    /// It ended before.
    Gone,
    /// Its login has not ended.
    Lasts(PingOneLogin),
}

async fn end_login(
    app: &App,
    sub: &str,
    id: GrantId,
    logins: LoginsEnd,
    event: PingOneEvent,
    now: Timestamp,
) -> Result<Outcome, RecordError> {
    let mut login = None;
    let by = EndedBy::Pingone { cause: Some(event) };
    let selects = |grant: &Grant| {
        login = owned(grant, sub).then(|| PingOneLogin::of(grant));
        login.is_some_and(|login| logins.ends_login(login))
    };
    let ended = end_if(app, id, selects, by, now).await?;
    Ok(match (ended, login.filter(|login| !logins.ends_login(*login))) {
        (Some(_), _) => Outcome::Ended,
        (None, Some(login)) => Outcome::Lasts(login),
        (None, None) => Outcome::Gone,
    })
}

/// Number of grants that are ended concurrently.
const AT_A_TIME: usize = 8;

/// Operations for an event of a user, at most: the index is read and written, before grants end and after.
pub(crate) const PER_EVENT: usize = 4;
/// Operations for a grant: it is read and written, and leaves the index of all grants.
pub(crate) const PER_GRANT: usize = 3;
