//! Tickets: records of pending approvals and logins, which are taken once.

use serde::{Deserialize, Serialize, de::DeserializeOwned};

use super::{RecordError, decode, encode};
use crate::{
    config::Keys,
    host::{GrantId, Host, RecordKey, StoreError, Timestamp},
    oauth::{AuthorizationRequest, Handle, HandleKind},
    oidc::Authentication,
    seal::{self, Random, Sealed},
};

/// An authorization request that waits for the user's approval. Stored sealed under the handle that only the page has.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Approval {
    pub(crate) request: AuthorizationRequest,
    pub(crate) client_name: Option<String>,
}

/// A pending login. Stored sealed under `state`, which only the browser and `PingOne` have.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Login {
    pub(crate) purpose: LoginPurpose,
    pub(crate) authentication: Authentication,
}

/// The purpose of a login. It decides how the login ends.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum LoginPurpose {
    /// A client asked for access: the login ends with a code at its redirect URI.
    Authorize { request: Box<AuthorizationRequest>, client_name: Option<String> },
    /// The user wants to see and end their grants: the login ends with a session on a page of this server.
    Manage,
}

/// A record that a handle names, that is sealed under that handle, and that is taken once.
pub(crate) trait Ticket: Serialize + DeserializeOwned {
    const KIND: HandleKind;
    const PURPOSE: &'static str;
    fn key(id: GrantId) -> RecordKey;
}

impl Ticket for Approval {
    const KIND: HandleKind = HandleKind::Approval;
    const PURPOSE: &'static str = "approval";
    fn key(id: GrantId) -> RecordKey {
        RecordKey::Approval(id)
    }
}

impl Ticket for Login {
    const KIND: HandleKind = HandleKind::Login;
    const PURPOSE: &'static str = "login";
    fn key(id: GrantId) -> RecordKey {
        RecordKey::Login(id)
    }
}

/// A new handle for the record `id`.
pub(crate) fn new_handle<T: Ticket>(host: &Host, id: GrantId, keys: &Keys, now: Timestamp) -> Handle {
    Handle::generate(T::KIND, id, now, keys, &|buffer: &mut [u8]| host.random.fill(buffer))
}

/// Stores a ticket under its handle.
pub(crate) async fn put_ticket<T: Ticket>(
    host: &Host,
    handle: &Handle,
    ticket: &T,
    now: Timestamp,
) -> Result<(), RecordError> {
    let sealed = {
        let plain = zeroize::Zeroizing::new(encode(ticket)?);
        let random: Random<'_> = &|buffer: &mut [u8]| host.random.fill(buffer);
        ticket_seal::<T>(handle).seal(T::PURPOSE.as_bytes(), &plain, random)
    };
    Ok(host.store.put(&T::key(handle.id()), sealed.0, now.plus(Handle::LIFETIME)).await?)
}

/// Why a ticket is not taken.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error, strum::IntoStaticStr)]
#[strum(serialize_all = "snake_case")]
pub(crate) enum TicketError {
    /// The lifetime of the handle is over.
    #[error("the handle has expired")]
    Expired,
    /// The browser lacks the handle's cookie. The ticket is still stored.
    #[error("the handle belongs to another browser")]
    OtherBrowser,
    /// Reading the record failed.
    #[error(transparent)]
    Record(#[from] RecordError),
    /// This server did not make the handle, or its key has changed.
    #[error("the handle is unknown")]
    Unknown,
    /// The ticket was taken before.
    #[error("the handle was used before")]
    Used,
}

impl From<StoreError> for TicketError {
    fn from(error: StoreError) -> Self {
        Self::Record(error.into())
    }
}

/// Takes the ticket of a handle, if `is_bound` says that the browser has the handle's cookie. Only one caller gets it.
pub(crate) async fn take_ticket<T: Ticket>(
    host: &Host,
    handle: &Handle,
    is_bound: bool,
    now: Timestamp,
) -> Result<T, TicketError> {
    if handle.has_expired(now) {
        return Err(TicketError::Expired);
    }
    let key = T::key(handle.id());
    if !is_bound {
        // A browser loses the cookie when it uses the handle.
        let is_stored = host.store.get(&key, now).await?.is_some();
        return Err(if is_stored { TicketError::OtherBrowser } else { TicketError::Used });
    }
    let record = host.store.take(&key, now).await?.ok_or(TicketError::Used)?;
    let plain = ticket_seal::<T>(handle).open(T::PURPOSE.as_bytes(), &Sealed(record.value));
    Ok(decode(&plain.ok_or(TicketError::Unknown)?)?)
}

fn ticket_seal<T: Ticket>(handle: &Handle) -> seal::SealingKey {
    seal::SealingKey::derive(handle.as_str().as_bytes(), T::PURPOSE)
}
