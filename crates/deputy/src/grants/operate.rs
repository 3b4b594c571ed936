//! Finding and ending grants, and blocking clients, for the operator.

use std::collections::BTreeMap;

use futures_util::future::try_join_all;

use super::manage;
use crate::{
    app::App,
    host::{
        AuditedAccess, AuditedClient, Decision, EndedBy, GrantFilter, GrantId, Page, Record, RecordKey,
        Timestamp,
    },
    oauth::{Grant, LoginsEnd},
    records::{self, Activity, Blocked, Blocklist, EndsLogins, RecordError, Subject},
    types::ClientId,
};

/// The grants that an operator selects. Each member that is present narrows the selection.
#[derive(Clone, Debug, Default)]
pub(crate) struct Selection {
    pub(crate) client: Option<ClientId>,
    /// `sub` of the user.
    pub(crate) user: Option<String>,
    /// The host of the client's redirect URI, or of the URL of its metadata document.
    pub(crate) host: Option<String>,
    /// The login was before this time.
    pub(crate) before: Option<Timestamp>,
}

impl Selection {
    /// The `sub` of the user, if the selection is all grants of one user.
    fn all_of_user(&self) -> Option<&str> {
        let Self { client: None, user: Some(user), host: None, before: None } = self else { return None };
        Some(user)
    }

    fn selects(&self, grant: &Grant) -> bool {
        let host =
            |host: &String| Subject::Host(host.clone()).is(&grant.client_id, grant.redirect_host.as_deref());
        self.client.as_ref().is_none_or(|client| *client == grant.client_id)
            && self.user.as_ref().is_none_or(|user| *user == grant.user.sub)
            && self.host.as_ref().is_none_or(host)
            && self.before.is_none_or(|before| grant.created_at < before)
    }
}

/// A part of a list of grants, and the grant after which the next part begins, if there is one.
pub(crate) struct Part<T> {
    pub(crate) grants: Vec<T>,
    pub(crate) next: Option<GrantId>,
}

/// The selected grants that have not ended. Reads a bounded number of grants, so a part may have few or none of them.
pub(crate) async fn list(
    app: &App,
    selection: &Selection,
    page: Page,
    now: Timestamp,
) -> Result<Part<Grant>, RecordError> {
    let filter = records::grant_filter(&app.config, selection.client.as_ref(), selection.user.as_deref());
    let (mut grants, mut next, mut read) = (Vec::new(), page.after, 0);
    while grants.len() < page.limit && read < MOST_READ {
        let page = Page { after: next, limit: page.limit - grants.len() };
        let ids = app.host().grant_index.list(filter, page, now).await?;
        for ids in ids.chunks(AT_A_TIME) {
            let read = ids.iter().map(|id| records::grant(app.host(), *id, now));
            let found = try_join_all(read).await?.into_iter().flatten().map(|(grant, _)| grant);
            grants.extend(found.filter(|grant| selection.selects(grant)));
        }
        next = ids.last().copied().filter(|_| ids.len() >= page.limit);
        if next.is_none() {
            break;
        }
        read += ids.len();
    }
    Ok(Part { grants, next })
}

/// A record as it is stored.
pub(crate) struct StoredRecord {
    pub(crate) key: RecordKey,
    pub(crate) record: Record,
}

/// Stored records, for another store: grants in the order of their ids with the records of their users, and with the first part
/// the list of blocked clients and its copy. Further parts can have the record of a user again. Logins under way, replies and uses of
/// assertions, which live for minutes, are not among them.
pub(crate) async fn export(
    app: &App,
    page: Page,
    now: Timestamp,
) -> Result<(Vec<StoredRecord>, Option<GrantId>), RecordError> {
    let ids = app.host().grant_index.list(GrantFilter::default(), page, now).await?;
    let (mut records, mut others) = (Vec::new(), Vec::new());
    for some in ids.chunks(AT_A_TIME) {
        let read = some.iter().map(|id| records::grant_record(app.host(), &app.config, *id, now));
        for (id, found) in some.iter().zip(try_join_all(read).await?) {
            let Some((record, user)) = found else { continue };
            records.push(StoredRecord { key: RecordKey::Grant(*id), record });
            others.extend(user.filter(|user| !others.contains(user)));
        }
    }
    app.audit(
        AuditedAccess { user: None, client: None, grant: None },
        Decision::RecordsExported { grants: records.len() },
    );
    if page.after.is_none() {
        let blocked = records::blocklist_records(app.host(), now).await?.into_iter();
        records.extend(blocked.map(|(key, record)| StoredRecord { key, record }));
    }
    for some in others.chunks(AT_A_TIME) {
        let read = some.iter().map(|key| app.host().store.get(key, now));
        let found = some.iter().zip(try_join_all(read).await?);
        records.extend(
            found.filter_map(|(key, record)| Some(StoredRecord { key: key.clone(), record: record? })),
        );
    }
    Ok((records, ids.last().copied().filter(|_| ids.len() >= page.limit)))
}

/// A grant, with the use of its tools.
pub(crate) async fn show(
    app: &App,
    id: GrantId,
    now: Timestamp,
) -> Result<Option<(Grant, Activity)>, RecordError> {
    let Some((grant, _)) = records::grant(app.host(), id, now).await? else { return Ok(None) };
    let index = records::user_grants(app.host(), &app.config, &grant.user.sub, now).await?;
    let entry = index.grants.into_iter().find(|entry| entry.id == id);
    let mut activity = entry.map(|entry| entry.activity).unwrap_or_default();
    activity.merge(&app.activity.of(id), now);
    Ok(Some((grant, activity)))
}

/// Ends the selected grants. They stay as those do that their user ended: the next request of the client has its token at
/// `PingOne` revoked.
pub(crate) async fn end(
    app: &App,
    selection: &Selection,
    page: Page,
    now: Timestamp,
) -> Result<Part<GrantId>, RecordError> {
    // Those of logins under way are in no index yet. The first part ends them.
    if let Some(sub) = selection.all_of_user().filter(|_| page.after.is_none()) {
        let logins = (LoginsEnd::before(now), EndsLogins::Operator);
        records::end_logins(app.host(), &app.config, sub, logins, now).await?;
    }
    let Part { grants: selected, next } = list(app, selection, page, now).await?;
    let (mut grants, mut of_users) = (Vec::new(), BTreeMap::<_, Vec<_>>::new());
    for selected in selected.chunks(AT_A_TIME) {
        let end = |grant: &Grant| manage::end_without_unindexing(app, grant.id, None, EndedBy::Operator, now);
        for grant in try_join_all(selected.iter().map(end)).await?.into_iter().flatten() {
            grants.push(grant.id);
            of_users.entry(grant.user.sub).or_default().push(grant.id);
        }
    }
    for (sub, ids) in of_users {
        manage::unindex(app, &sub, &ids, now).await;
    }
    Ok(Part { grants, next })
}

/// Blocks a client, or every client of a host, from logging in. `false`: the list is full.
pub(crate) async fn block(app: &App, subject: &Subject, now: Timestamp) -> Result<bool, RecordError> {
    let changed = records::change_blocklist(app.host(), now, |list| {
        let is_new = list.entries.iter().all(|entry| entry.subject != *subject);
        if is_new {
            list.entries.push(Blocked { subject: subject.clone(), since: now });
        }
        list.entries.len() <= Blocklist::MOST
    });
    let changed = changed.await?;
    if changed {
        app.audit(access(subject), Decision::ClientBlocked);
        tracing::info!(?subject, "client blocked");
    }
    Ok(changed)
}

/// Unblocks it. `false`: it was not blocked.
pub(crate) async fn unblock(app: &App, subject: &Subject, now: Timestamp) -> Result<bool, RecordError> {
    let changed = records::change_blocklist(app.host(), now, |list| {
        let before = list.entries.len();
        list.entries.retain(|entry| entry.subject != *subject);
        list.entries.len() < before
    });
    let changed = changed.await?;
    if changed {
        app.audit(access(subject), Decision::ClientUnblocked);
        tracing::info!(?subject, "client unblocked");
    }
    Ok(changed)
}

fn access(subject: &Subject) -> AuditedAccess {
    let id = match subject {
        Subject::Client(id) => id.to_string(),
        Subject::Host(host) => host.clone(),
    };
    AuditedAccess { user: None, client: Some(AuditedClient { id, name: None }), grant: None }
}

/// Grants that one list reads, selected or not. Each is a subrequest on Workers.
const MOST_READ: usize = 200;

/// Number of grants that are read or ended concurrently.
const AT_A_TIME: usize = 8;
