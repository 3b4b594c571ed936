//! Listing, narrowing and ending grants without a token of the client, for their user, and ending them for other reasons.

use std::sync::Arc;

use futures_util::future::try_join_all;

use super::revoke::revoke_at_pingone;
use crate::{
    app::{App, access_of},
    host::{AuditedAccess, Decision, Digest, EndedBy, GrantId, Timestamp},
    oauth::{Grant, LoginsEnd, ReferenceToken},
    records::{self, Activity, EndsLogins, RecordError, UserGrant, UserGrants},
    seal::SealingKey,
    types::{ClientId, Scopes},
};

/// A grant as its user sees it: a client that has access to the API on their behalf.
#[derive(Clone, Debug)]
pub(crate) struct ConnectedAgent {
    pub(crate) id: GrantId,
    pub(crate) client_id: ClientId,
    /// The name that the client chose.
    pub(crate) client_name: Option<String>,
    pub(crate) redirect_host: Option<String>,
    pub(crate) scopes: Scopes,
    pub(crate) connected_at: Timestamp,
    /// The use of its tools.
    pub(crate) activity: Activity,
}

/// Why a grant is not narrowed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum NarrowError {
    #[error("no scope would be left")]
    NothingLeft,
    #[error(transparent)]
    Record(#[from] RecordError),
}

/// The connected clients of a user, the most recently used first. `index` is the index of the user's grants; entries
/// whose grant has ended are left out.
pub(crate) async fn list_of_user(
    app: &App,
    sub: &str,
    index: &UserGrants,
    now: Timestamp,
) -> Result<Vec<ConnectedAgent>, RecordError> {
    let mut agents = Vec::new();
    for entries in index.grants.chunks(AT_A_TIME) {
        let grants = entries.iter().map(|entry| records::grant(app.host(), entry.id, now));
        let grants = try_join_all(grants).await?;
        let found = entries.iter().zip(grants).filter_map(|(entry, grant)| Some((entry, grant?.0)));
        let own = found.filter(|(_, grant)| grant.user.sub == sub);
        agents.extend(own.map(|(entry, grant)| agent(app, entry, grant, now)));
    }
    agents.sort_by_key(|agent| std::cmp::Reverse(last_sign(agent)));
    Ok(agents)
}

fn agent(app: &App, entry: &UserGrant, grant: Grant, now: Timestamp) -> ConnectedAgent {
    let mut activity = entry.activity.clone();
    activity.merge(&app.activity.of(grant.id), now);
    let Grant { id, client_id, client_name, redirect_host, scopes, created_at, .. } = grant;
    ConnectedAgent { id, client_id, client_name, redirect_host, scopes, connected_at: created_at, activity }
}

/// The time of the last tool call, or of the login if there was no call.
fn last_sign(agent: &ConnectedAgent) -> Timestamp {
    agent.activity.last().map_or(agent.connected_at, |(at, _)| at)
}

/// Ends a grant, if it is one of the user `sub`; `None` stands for any user. Returns the grant before the change, or `None` if
/// there is no such grant.
pub(crate) async fn end(
    app: &App,
    id: GrantId,
    sub: Option<&str>,
    by: EndedBy,
    now: Timestamp,
) -> Result<Option<Grant>, RecordError> {
    let Some(grant) = end_without_unindexing(app, id, sub, by, now).await? else { return Ok(None) };
    unindex(app, &grant.user.sub, &[id], now).await;
    Ok(Some(grant))
}

/// Ends every grant of a user, also those of logins under way that `PingOne` has finished.
pub(crate) async fn end_all(app: &App, sub: &str, now: Timestamp) -> Result<(), RecordError> {
    records::end_logins(app.host(), &app.config, sub, (LoginsEnd::before(now), EndsLogins::User), now)
        .await?;
    let index = records::user_grants(app.host(), &app.config, sub, now).await?;
    let ids: Vec<_> = index.grants.iter().map(|entry| entry.id).collect();
    for ids in ids.chunks(AT_A_TIME) {
        try_join_all(ids.iter().map(|id| end_without_unindexing(app, *id, Some(sub), EndedBy::User, now)))
            .await?;
    }
    unindex(app, sub, &ids, now).await;
    Ok(())
}

/// Cancels a call of a grant, in whichever process it is under way.
pub(super) async fn cancel(app: &App, id: GrantId, call: Digest, now: Timestamp) -> Result<(), RecordError> {
    for _ in 0..records::MOST_RACES {
        let Some((grant, version)) = records::grant(app.host(), id, now).await? else { return Ok(()) };
        if records::replace_grant(app.host(), &grant.cancel(call, now), Some(version), now).await? {
            app.changes.note();
            return Ok(());
        }
    }
    Err(RecordError::Contended("grant"))
}

/// Keeps only the scopes in `kept` in a grant of the user `sub`. Returns the new grant, or `None` if there is no such
/// grant.
pub(crate) async fn narrow(
    app: &App,
    id: GrantId,
    sub: &str,
    kept: &Scopes,
    now: Timestamp,
) -> Result<Option<Grant>, NarrowError> {
    for _ in 0..records::MOST_RACES {
        let found = records::grant(app.host(), id, now).await?;
        let Some((grant, version)) = found.filter(|(grant, _)| owned(grant, sub)) else {
            return Ok(None);
        };
        let grant =
            grant.narrow(kept, |scopes| app.catalog.opened_by(scopes)).ok_or(NarrowError::NothingLeft)?;
        if records::replace_grant(app.host(), &grant, Some(version), now).await? {
            app.changes.note();
            app.audit(access_of(&grant), Decision::GrantNarrowed { scopes: grant.scopes.to_string() });
            tracing::info!(client = %grant.client_id, grant = ?id, scopes = %grant.scopes, "grant narrowed");
            return Ok(Some(grant));
        }
    }
    Err(RecordError::Contended("grant").into())
}

/// Removes an ended grant, and revokes its refresh token at `PingOne`, which `token` of the client opens.
pub(crate) fn revoke_ended_grant(app: &Arc<App>, grant: Grant, token: &ReferenceToken, now: Timestamp) {
    if let Some(key) = grant.key_for(token, now) {
        revoke_ended_grant_with(app, grant, key);
    }
}

/// Does the same with the key of the grant. The work is done after the response.
pub(crate) fn revoke_ended_grant_with(app: &Arc<App>, grant: Grant, key: SealingKey) {
    let owner = Arc::clone(app);
    app.host().detach(Box::pin(async move {
        let app = owner;
        let removed = records::remove_grant(app.host(), grant.id, app.now()).await;
        if let Err(error) = &removed {
            tracing::warn!(grant = ?grant.id, %error, "an ended grant could not be removed yet");
        }
        // After a failure it may have been removed, and the key with it. A second revocation does no harm.
        let is_removed_by_another = removed == Ok(false);
        if !is_removed_by_another {
            let tokens = grant.open_pingone_tokens(&key);
            revoke_at_pingone(&app, tokens.and_then(|mut tokens| tokens.refresh_token.take()));
        }
    }));
}

/// Removes a grant whose tokens at `PingOne` are revoked or of no use. `false`: it was removed before.
pub(crate) async fn remove_and_record(
    app: &App,
    access: AuditedAccess,
    id: GrantId,
    by: EndedBy,
    now: Timestamp,
) -> Result<bool, RecordError> {
    let was_there = records::remove_grant(app.host(), id, now).await?;
    if was_there {
        record_end(app, id, access, by).await;
    }
    Ok(was_there)
}

/// Lets running calls notice the end of a grant, records it, and removes the grant from the index of all grants.
async fn record_end(app: &App, id: GrantId, access: AuditedAccess, by: EndedBy) {
    app.changes.note();
    app.audit(access, Decision::GrantEnded { by });
    // The entry expires.
    if let Err(error) = app.host().grant_index.remove(id).await {
        tracing::warn!(grant = ?id, %error, "an ended grant could not be removed from the index of all grants");
    }
}

/// Ends a grant as [`end`] does, and leaves it in its user's index.
pub(crate) async fn end_without_unindexing(
    app: &App,
    id: GrantId,
    sub: Option<&str>,
    by: EndedBy,
    now: Timestamp,
) -> Result<Option<Grant>, RecordError> {
    end_if(app, id, |grant| sub.is_none_or(|sub| owned(grant, sub)), by, now).await
}

/// Ends a grant if `selects` selects it.
pub(super) async fn end_if(
    app: &App,
    id: GrantId,
    mut selects: impl FnMut(&Grant) -> bool,
    by: EndedBy,
    now: Timestamp,
) -> Result<Option<Grant>, RecordError> {
    for _ in 0..records::MOST_RACES {
        let found = records::grant(app.host(), id, now).await?;
        let Some((grant, version)) = found.filter(|(grant, _)| selects(grant)) else { return Ok(None) };
        let has_ended = if grant.was_redeemed() {
            records::replace_grant(app.host(), &grant.clone().end(), Some(version), now).await?
        } else {
            // The client never got a token that opens PingOne's tokens.
            records::remove_grant(app.host(), id, now).await?
        };
        if has_ended {
            record_end(app, id, access_of(&grant), by).await;
            tracing::info!(client = %grant.client_id, grant = ?id, ?by, "grant ended");
            return Ok(Some(grant));
        }
    }
    Err(RecordError::Contended("grant"))
}

/// Whether the grant is one of the user `sub`.
pub(super) fn owned(grant: &Grant, sub: &str) -> bool {
    grant.user.sub == sub
}

/// Removes ended grants from the index of their user. After a failure, the entries stay until they expire.
pub(crate) async fn unindex(app: &App, sub: &str, ids: &[GrantId], now: Timestamp) {
    if let Err(error) = records::unindex_grants(app.host(), &app.config, sub, ids, now).await {
        tracing::error!(%error, "ended grants could not be taken out of their user's index");
    }
}

/// Number of grants that are read or ended concurrently.
const AT_A_TIME: usize = 8;
