//! The index of one user's grants.

use serde::{Deserialize, Serialize};

use super::{Activity, MOST_RACES, RecordError, decode, encode, read};
use crate::{
    config::Config,
    host::{Digest, EndedBy, GrantId, Host, RecordKey, Timestamp},
    oauth::{Grant, LoginsEnd, PingOneLogin},
    seal,
};

/// The index of one user's grants, so that they can be listed and revoked.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct UserGrants {
    pub(crate) grants: Vec<UserGrant>,
    /// Sessions of *Your agents* that the user signed out of, until they would have expired.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    signed_out: Vec<SignedOut>,
    /// Ends of logins, for grants that enter the index later.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    ended: Vec<Ended>,
}

/// An end of the user's logins.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Ended {
    #[serde(flatten)]
    logins: LoginsEnd,
    #[serde(default)]
    by: EndsLogins,
    until: Timestamp,
}

/// The party that ended logins of a user.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum EndsLogins {
    /// The operator, for this user.
    Operator,
    /// `PingOne`, with an event.
    #[default]
    Pingone,
    /// The user, for all applications.
    User,
}

impl From<EndsLogins> for EndedBy {
    fn from(by: EndsLogins) -> Self {
        match by {
            EndsLogins::Operator => Self::Operator,
            EndsLogins::Pingone => Self::Pingone { cause: None },
            EndsLogins::User => Self::User,
        }
    }
}

/// A session of *Your agents* that the user signed out of.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct SignedOut {
    #[serde(with = "crate::encoding::base64url")]
    session: [u8; 16],
    until: Timestamp,
}

impl UserGrants {
    fn forget_expired(&mut self, now: Timestamp) {
        self.grants.retain(|entry| entry.until > now);
        self.signed_out.retain(|entry| entry.until > now);
        self.ended.retain(|entry| entry.until > now);
    }

    /// The grants whose login may have ended.
    fn ended_by(&self, logins: &LoginsEnd) -> Vec<GrantId> {
        let ended = |entry: &&UserGrant| entry.login.is_none_or(|login| logins.ends_login(login));
        self.grants.iter().filter(ended).map(|entry| entry.id).collect()
    }

    /// Whether the user signed out of this session.
    pub(crate) fn has_signed_out(&self, session: &[u8; 16]) -> bool {
        self.signed_out.iter().any(|entry| entry.session == *session)
    }
}

/// One entry of the index, with the use of the grant: it is written more often than the grant. Everything else about a
/// grant is in the grant.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct UserGrant {
    pub(crate) id: GrantId,
    pub(crate) until: Timestamp,
    /// The login of the grant. `None` in an entry of an earlier version, until an event is processed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    login: Option<PingOneLogin>,
    #[serde(default, skip_serializing_if = "Activity::is_empty")]
    pub(crate) activity: Activity,
}

/// Grants of one user at a time. One more ends the oldest.
const GRANTS_OF_ONE_USER: usize = 100;

/// Sessions that one user signed out of, at a time. One more forgets the oldest.
const SIGNED_OUT: usize = 16;

/// Ends of one user's logins that are kept. One more forgets the oldest.
const ENDED: usize = 32;

/// The key of a user's index.
pub(crate) fn user_key(config: &Config, sub: &str) -> RecordKey {
    RecordKey::User(user_digest(config, sub))
}

/// The digest that names a user.
pub(super) fn user_digest(config: &Config, sub: &str) -> Digest {
    seal::digest("user", format!("{}\n{sub}", config.pingone.issuer).as_bytes())
}

/// The result of [`index_grant`].
#[derive(Debug, Default)]
pub(crate) struct Indexed {
    /// The oldest grants beyond the bound. The caller ends them, and then takes them out of the index.
    pub(crate) surplus: Vec<GrantId>,
    /// The party that has ended its login, if one did, so that the caller ends the grant.
    pub(crate) login_ended: Option<EndsLogins>,
}

/// Enters a grant into its user's index until `until`, or prolongs its entry.
pub(crate) async fn index_grant(
    host: &Host,
    config: &Config,
    grant: &Grant,
    until: Timestamp,
    now: Timestamp,
) -> Result<Indexed, RecordError> {
    let mut indexed = Indexed::default();
    update_index(host, config, &grant.user.sub, now, |index| {
        let known = index.grants.iter().position(|entry| entry.id == grant.id);
        let activity = known.map(|at| index.grants.remove(at).activity).unwrap_or_default();
        index.grants.push(UserGrant { id: grant.id, until, login: Some(PingOneLogin::of(grant)), activity });
        let count = index.grants.len().saturating_sub(GRANTS_OF_ONE_USER);
        indexed.surplus = index.grants[..count].iter().map(|entry| entry.id).collect();
        indexed.login_ended = index.ended.iter().find(|ended| ended.logins.ends(grant)).map(|ended| ended.by);
    })
    .await?;
    Ok(indexed)
}

/// The result of [`end_logins`].
#[derive(Debug, Default)]
pub(crate) struct EndedLogins {
    /// The grants in the index whose login may have ended.
    pub(crate) grants: Vec<GrantId>,
    /// Whether the end was not in the index before.
    pub(crate) is_new: bool,
}

/// Notes the end of a user's logins in the index. A grant that enters the index later finds the end there ([`Indexed`]): at
/// its redemption, or at a refresh if that failed, so the end is kept for the lifetime of a refresh token.
pub(crate) async fn end_logins(
    host: &Host,
    config: &Config,
    sub: &str,
    (logins, by): (LoginsEnd, EndsLogins),
    now: Timestamp,
) -> Result<EndedLogins, RecordError> {
    let mut result = EndedLogins::default();
    update_index_if(host, config, sub, now, |index| {
        // PingOne delivers an event again after a failure.
        let is_new = index.ended.iter().all(|ended| ended.logins != logins);
        result = EndedLogins { grants: index.ended_by(&logins), is_new };
        if is_new {
            let until = now.plus(config.refresh_token_lifetime.as_secs());
            index.ended.push(Ended { logins, by, until });
            let surplus = index.ended.len().saturating_sub(ENDED);
            index.ended.drain(..surplus);
        }
        is_new
    })
    .await?;
    Ok(result)
}

/// Removes the `gone` grants from their user's index after the end of logins, and enters the logins of others, which have not
/// ended.
pub(crate) async fn settle_grants(
    host: &Host,
    config: &Config,
    sub: &str,
    (gone, lasting): (&[GrantId], &[(GrantId, PingOneLogin)]),
    now: Timestamp,
) -> Result<(), RecordError> {
    update_index(host, config, sub, now, |index| {
        index.grants.retain(|entry| !gone.contains(&entry.id));
        for entry in &mut index.grants {
            let login = lasting.iter().find(|(id, _)| *id == entry.id).map(|(_, login)| *login);
            // A later login may have been entered meanwhile.
            let is_later = |login: &PingOneLogin| entry.login.is_none_or(|known| known.at <= login.at);
            entry.login = login.filter(is_later).or(entry.login);
        }
    })
    .await
}

/// The index of a user's grants. A grant in it may have ended since.
pub(crate) async fn user_grants(
    host: &Host,
    config: &Config,
    sub: &str,
    now: Timestamp,
) -> Result<UserGrants, RecordError> {
    let mut index: UserGrants = read(host, &user_key(config, sub), now).await?.unwrap_or_default();
    index.forget_expired(now);
    Ok(index)
}

/// Removes several grants from their user's index.
pub(crate) async fn unindex_grants(
    host: &Host,
    config: &Config,
    sub: &str,
    ids: &[GrantId],
    now: Timestamp,
) -> Result<(), RecordError> {
    update_index(host, config, sub, now, |index| index.grants.retain(|entry| !ids.contains(&entry.id))).await
}

/// Adds to the use of a grant. A grant that is not in the index stays out of it.
pub(crate) async fn add_activity(
    host: &Host,
    config: &Config,
    sub: &str,
    (id, more): (GrantId, &Activity),
    now: Timestamp,
) -> Result<(), RecordError> {
    update_index(host, config, sub, now, |index| {
        if let Some(entry) = index.grants.iter_mut().find(|entry| entry.id == id) {
            entry.activity.merge(more, now);
        }
    })
    .await
}

/// Ends a session of *Your agents* before its time, which is `until`.
pub(crate) async fn sign_out(
    host: &Host,
    config: &Config,
    sub: &str,
    (session, until): ([u8; 16], Timestamp),
    now: Timestamp,
) -> Result<(), RecordError> {
    update_index(host, config, sub, now, |index| {
        index.signed_out.retain(|entry| entry.session != session);
        index.signed_out.push(SignedOut { session, until });
        let surplus = index.signed_out.len().saturating_sub(SIGNED_OUT);
        index.signed_out.drain(..surplus);
    })
    .await
}

async fn update_index(
    host: &Host,
    config: &Config,
    sub: &str,
    now: Timestamp,
    mut change: impl FnMut(&mut UserGrants) + Send,
) -> Result<(), RecordError> {
    let change = |index: &mut UserGrants| {
        change(index);
        true
    };
    update_index_if(host, config, sub, now, change).await
}

/// Writes the index if `change` returns `true`.
async fn update_index_if(
    host: &Host,
    config: &Config,
    sub: &str,
    now: Timestamp,
    mut change: impl FnMut(&mut UserGrants) -> bool + Send,
) -> Result<(), RecordError> {
    let key = user_key(config, sub);
    // The loser of a race was beaten by a writer that made progress.
    for _ in 0..MOST_RACES {
        let record = host.store.get(&key, now).await?;
        let version = record.as_ref().map(|record| record.version);
        let mut index: UserGrants =
            record.map(|record| decode(&record.value)).transpose()?.unwrap_or_default();
        index.forget_expired(now);
        if !change(&mut index) {
            return Ok(());
        }
        // An empty index expires at once. Taking it could take an entry that was written meanwhile.
        let ends = index.grants.iter().map(|entry| entry.until);
        let ends = ends.chain(index.signed_out.iter().map(|entry| entry.until));
        let ends = ends.chain(index.ended.iter().map(|entry| entry.until));
        let until = ends.max().unwrap_or(now.plus(1));
        if host.store.replace(&key, version, encode(&index)?, until, now).await? {
            return Ok(());
        }
    }
    Err(RecordError::Contended("index of a user's grants"))
}
