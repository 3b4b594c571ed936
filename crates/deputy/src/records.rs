//! What is stored, and how: typed records over the four verbs of the store.

use serde::{Deserialize, Serialize, de::DeserializeOwned};

use crate::{
    config::{Config, Keys},
    encoding::{base64url_decode, base64url_encode},
    host::{Digest, GrantId, Host, Key, Record, StoreError, Timestamp, Version},
    oauth::{AuthorizationRequest, Client, ClientIdUrl, DAY, Grant, Handle, HandleKind},
    oidc::Authentication,
    seal::{self, Random, Sealed},
};

/// A request that waits for the person's approval. Stored sealed under the handle that only the page has.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Approval {
    pub(crate) request: AuthorizationRequest,
    pub(crate) client_name: Option<String>,
}

/// A login under way. Stored sealed under `state`, which only the browser and `PingOne` have.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Login {
    pub(crate) request: AuthorizationRequest,
    pub(crate) client_name: Option<String>,
    pub(crate) authentication: Authentication,
}

/// A record that is named by the digest of a handle and sealed under that handle, to be taken once.
pub(crate) trait Ticket: Serialize + DeserializeOwned {
    const KIND: HandleKind;
    const PURPOSE: &'static str;
    fn key(digest: Digest) -> Key;
}

impl Ticket for Approval {
    const KIND: HandleKind = HandleKind::Approval;
    const PURPOSE: &'static str = "approval";
    fn key(digest: Digest) -> Key {
        Key::Approval(digest)
    }
}

impl Ticket for Login {
    const KIND: HandleKind = HandleKind::Login;
    const PURPOSE: &'static str = "login";
    fn key(digest: Digest) -> Key {
        Key::Login(digest)
    }
}

/// A handle for a ticket that is made `now`.
pub(crate) fn new_handle<T: Ticket>(host: &dyn Host, keys: &Keys, now: Timestamp) -> Handle {
    Handle::generate(T::KIND, now, keys, &|buffer: &mut [u8]| host.fill_random(buffer))
}

/// Stores a ticket under its handle.
pub(crate) async fn put_ticket<T: Ticket>(
    host: &dyn Host,
    handle: &Handle,
    ticket: &T,
    now: Timestamp,
) -> Result<(), StoreError> {
    let sealed = {
        let plain = zeroize::Zeroizing::new(encode(ticket)?);
        let random: Random<'_> = &|buffer: &mut [u8]| host.fill_random(buffer);
        ticket_seal::<T>(handle).seal(T::PURPOSE.as_bytes(), &plain, random)
    };
    host.store().put(&ticket_key::<T>(handle), sealed.0, now.plus(Handle::LIFETIME)).await
}

/// Why there is no ticket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NoTicket {
    /// Its time is over.
    Expired,
    /// This browser is not the one that it was given to. It is still there.
    OtherBrowser,
    /// The handle is none of ours.
    Unknown,
    /// It was taken before.
    Used,
}

/// Takes the ticket of a handle, if `is_bound` says that the browser holds the handle's cookie. Of two callers one gets it.
pub(crate) async fn take_ticket<T: Ticket>(
    host: &dyn Host,
    keys: &Keys,
    handle: &str,
    is_bound: impl FnOnce(&Handle) -> bool,
    now: Timestamp,
) -> Result<Result<T, NoTicket>, StoreError> {
    let Some(handle) = Handle::parse(T::KIND, handle, keys) else { return Ok(Err(NoTicket::Unknown)) };
    if handle.has_expired(now) {
        return Ok(Err(NoTicket::Expired));
    }
    let key = ticket_key::<T>(&handle);
    if !is_bound(&handle) {
        // A browser that has used it has lost its cookie.
        let is_there = host.store().get(&key, now).await?.is_some();
        return Ok(Err(if is_there { NoTicket::OtherBrowser } else { NoTicket::Used }));
    }
    let Some(record) = host.store().take(&key, now).await? else { return Ok(Err(NoTicket::Used)) };
    match ticket_seal::<T>(&handle).open(T::PURPOSE.as_bytes(), &Sealed(record.value)) {
        Some(plain) => decode(&plain).map(Ok),
        None => Ok(Err(NoTicket::Unknown)),
    }
}

fn ticket_key<T: Ticket>(handle: &Handle) -> Key {
    T::key(seal::digest(T::PURPOSE, handle.as_str().as_bytes()))
}

fn ticket_seal<T: Ticket>(handle: &Handle) -> seal::Key {
    seal::Key::derive(handle.as_str().as_bytes(), T::PURPOSE)
}

/// How long a client's reply waits for whoever asked, in seconds; and how long a question waits for its reply.
pub(crate) const REPLY_LIFETIME: u64 = 600;

/// Bytes of a reply. Cloudflare keeps no more than 2 MB in one record.
const LONGEST_REPLY: usize = 256 * 1024;

/// Seconds after which a reply that nobody has taken gives its place to another.
const UNCLAIMED: u64 = 5;

/// Replies of one grant that wait at a time. A client that answers what nobody waits for any more fills these and no more.
const REPLIES: u8 = 16;

/// One of the places for replies to the questions of the grant whose key this is.
fn reply_key(key: &seal::Key, question: &str) -> Key {
    let place = seal::digest(REPLY, question.as_bytes()).0[0] % REPLIES;
    Key::Reply(Digest(key.subkey("reply place").mac(&[&[place]])))
}

/// Stores the reply to `question`, sealed under the key of its grant. The first one counts. `false`: its place is taken by
/// another reply that nobody has looked at yet.
pub(crate) async fn put_reply(
    host: &dyn Host,
    key: &seal::Key,
    question: &str,
    reply: &serde_json::Value,
    now: Timestamp,
) -> Result<bool, StoreError> {
    let mut plain = zeroize::Zeroizing::new(encode(reply)?);
    if plain.len() > LONGEST_REPLY {
        // So that whoever waits learns of it.
        let text = "the client's reply is too long";
        *plain = encode(&serde_json::json!({ "error": { "code": -32603, "message": text } }))?;
    }
    let sealed = {
        let random: Random<'_> = &|buffer: &mut [u8]| host.fill_random(buffer);
        key.subkey(REPLY).seal(question.as_bytes(), &plain, random)
    };
    let (place, until) = (reply_key(key, question), now.plus(REPLY_LIFETIME));
    if host.store().replace(&place, None, sealed.0.clone(), until, now).await? {
        return Ok(true);
    }
    let Some(there) = host.store().get(&place, now).await? else { return Ok(false) };
    let (version, waits_since) = (there.version, REPLY_LIFETIME.saturating_sub(there.expires_at.since(now)));
    if open_reply(key, question, there).is_some() {
        return Ok(true);
    }
    // Who waits looks every second, so nobody waits for that one.
    Ok(waits_since > UNCLAIMED && host.store().replace(&place, Some(version), sealed.0, until, now).await?)
}

/// Takes the reply to `question`, if it has come.
pub(crate) async fn take_reply(
    host: &dyn Host,
    key: &seal::Key,
    question: &str,
    now: Timestamp,
) -> Result<Option<serde_json::Value>, StoreError> {
    let place = reply_key(key, question);
    let Some(record) = host.store().get(&place, now).await? else { return Ok(None) };
    // A reply to another question stays for whoever asked that.
    let Some(plain) = open_reply(key, question, record) else { return Ok(None) };
    // What is not removed now expires.
    let _ = host.store().take(&place, now).await;
    decode(&plain).map(Some)
}

fn open_reply(key: &seal::Key, question: &str, record: Record) -> Option<zeroize::Zeroizing<Vec<u8>>> {
    key.subkey(REPLY).open(question.as_bytes(), &Sealed(record.value))
}

const REPLY: &str = "reply";

/// Loads a client.
pub(crate) async fn client(host: &dyn Host, id: &str, now: Timestamp) -> Result<Option<Client>, StoreError> {
    Ok(client_record(host, id, now).await?.map(|(client, _)| client))
}

/// Loads the client of an authorization request, and prolongs its life: a client that keeps its `client_id` and finishes a
/// login only now and then must not lose it meanwhile.
pub(crate) async fn authorizing_client(
    host: &dyn Host,
    id: &str,
    now: Timestamp,
) -> Result<Option<Client>, StoreError> {
    let Some((client, expires_at)) = client_record(host, id, now).await? else { return Ok(None) };
    if let Err(error) = prolong_client(host, &client, expires_at, Client::UNUSED_LIFETIME, now).await {
        tracing::error!(client = client.id, %error, "a registration could not be prolonged");
    }
    Ok(Some(client))
}

/// A client, and when it ceases to exist.
async fn client_record(
    host: &dyn Host,
    id: &str,
    now: Timestamp,
) -> Result<Option<(Client, Timestamp)>, StoreError> {
    // What is not made as ours are is not looked up: it may be the name of a document, which are kept beside.
    if !is_client_id(id) {
        return Ok(None);
    }
    let record = host.store().get(&Key::Client(id.to_owned()), now).await?;
    record.map(|record| Ok((decode(&record.value)?, record.expires_at))).transpose()
}

/// Whether it is written as the `client_id` of a registration.
pub(crate) fn is_client_id(id: &str) -> bool {
    base64url_decode::<16>(id).is_some()
}

/// What a metadata document described.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Document {
    pub(crate) client: Client,
    /// Until when it need not be fetched again.
    pub(crate) fresh_until: Timestamp,
    /// Until when it may be used if it cannot be.
    pub(crate) stale_until: Timestamp,
}

/// What the metadata document at `url` described, also if it is no longer fresh.
pub(crate) async fn document(
    host: &dyn Host,
    url: &ClientIdUrl,
    now: Timestamp,
) -> Result<Option<Document>, StoreError> {
    let record = host.store().get(&document_key(url), now).await?;
    record.map(|record| decode(&record.value)).transpose()
}

/// Keeps what a metadata document describes.
pub(crate) async fn put_document(
    host: &dyn Host,
    url: &ClientIdUrl,
    document: &Document,
    until: Timestamp,
) -> Result<(), StoreError> {
    host.store().put(&document_key(url), encode(document)?, until).await
}

/// Keeps what a metadata document described for as long as it may be used, since a person uses it. Writes once.
async fn keep_document(host: &dyn Host, url: &ClientIdUrl, now: Timestamp) -> Result<(), StoreError> {
    let Some(record) = host.store().get(&document_key(url), now).await? else { return Ok(()) };
    let document: Document = decode(&record.value)?;
    if record.expires_at >= document.stale_until {
        return Ok(());
    }
    put_document(host, url, &document, document.stale_until).await
}

/// Forgets what a metadata document described.
pub(crate) async fn forget_document(
    host: &dyn Host,
    url: &ClientIdUrl,
    now: Timestamp,
) -> Result<(), StoreError> {
    host.store().take(&document_key(url), now).await.map(|_| ())
}

fn document_key(url: &ClientIdUrl) -> Key {
    let digest = seal::digest("described client", url.as_str().as_bytes());
    Key::Client(format!("document-{}", base64url_encode(&digest.0)))
}

/// Stores a client that has just registered. Any client may register and fill the store, so until a person has logged in
/// with it, it lives for a shorter time.
pub(crate) async fn put_new_client(
    host: &dyn Host,
    client: &Client,
    now: Timestamp,
) -> Result<(), StoreError> {
    put_client(host, client, now.plus(Client::UNUSED_LIFETIME)).await
}

/// Keeps a client that has got tokens for its whole lifetime from now.
pub(crate) async fn keep_client(
    host: &dyn Host,
    config: &Config,
    client: &Client,
    now: Timestamp,
) -> Result<(), StoreError> {
    if let Ok(url) = ClientIdUrl::parse(&client.id) {
        return keep_document(host, &url, now).await;
    }
    let record = host.store().get(&Key::Client(client.id.clone()), now).await?;
    let expires_at = record.map_or(now, |record| record.expires_at);
    prolong_client(host, client, expires_at, Client::lifetime(config), now).await
}

/// Has a client live for `lifetime` seconds from now, unless it does so but for less than a day.
async fn prolong_client(
    host: &dyn Host,
    client: &Client,
    expires_at: Timestamp,
    lifetime: u64,
    now: Timestamp,
) -> Result<(), StoreError> {
    if expires_at.plus(DAY) > now.plus(lifetime) {
        return Ok(());
    }
    put_client(host, client, now.plus(lifetime)).await
}

async fn put_client(host: &dyn Host, client: &Client, until: Timestamp) -> Result<(), StoreError> {
    host.store().put(&Key::Client(client.id.clone()), encode(client)?, until).await
}

/// Loads a grant, with the version to replace it by.
pub(crate) async fn grant(
    host: &dyn Host,
    id: GrantId,
    now: Timestamp,
) -> Result<Option<(Grant, Version)>, StoreError> {
    let record = host.store().get(&Key::Grant(id), now).await?;
    record.map(|Record { value, version, .. }| Ok((decode(&value)?, version))).transpose()
}

/// Writes a grant over the version that was loaded, or for the first time. `false`: somebody came first.
pub(crate) async fn replace_grant(
    host: &dyn Host,
    grant: &Grant,
    version: Option<Version>,
    now: Timestamp,
) -> Result<bool, StoreError> {
    host.store().replace(&Key::Grant(grant.id), version, encode(grant)?, grant.expires_at, now).await
}

/// Ends a grant: from now on no token of it is good.
pub(crate) async fn end_grant(host: &dyn Host, id: GrantId, now: Timestamp) -> Result<(), StoreError> {
    host.store().take(&Key::Grant(id), now).await.map(|_| ())
}

/// The index of one person's grants, so that they can be listed and ended.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct UserGrants {
    pub(crate) grants: Vec<UserGrant>,
}

/// One entry of the index. What is shown of a grant is read from the grant.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct UserGrant {
    pub(crate) id: GrantId,
    pub(crate) until: Timestamp,
}

/// Grants of one person at a time. Beyond this, the oldest ends.
const GRANTS_OF_ONE_PERSON: usize = 100;

/// The key of a person's index.
pub(crate) fn user_key(config: &Config, sub: &str) -> Key {
    let name = format!("{}\n{sub}", config.upstream.issuer);
    Key::User(seal::digest("user", name.as_bytes()))
}

/// Enters a grant into its person's index, or prolongs its entry, until `until`.
pub(crate) async fn index_grant(
    host: &dyn Host,
    config: &Config,
    grant: &Grant,
    until: Timestamp,
    now: Timestamp,
) -> Result<(), StoreError> {
    let mut ended = Vec::new();
    update_index(host, config, &grant.user.sub, now, |index| {
        index.grants.retain(|entry| entry.id != grant.id);
        index.grants.push(UserGrant { id: grant.id, until });
        let surplus = index.grants.len().saturating_sub(GRANTS_OF_ONE_PERSON);
        ended = index.grants.drain(..surplus).map(|entry| entry.id).collect();
    })
    .await?;
    for id in ended {
        end_grant(host, id, now).await?;
    }
    Ok(())
}

/// Takes a grant out of its person's index.
pub(crate) async fn unindex_grant(
    host: &dyn Host,
    config: &Config,
    sub: &str,
    id: GrantId,
    now: Timestamp,
) -> Result<(), StoreError> {
    update_index(host, config, sub, now, |index| index.grants.retain(|entry| entry.id != id)).await
}

async fn update_index(
    host: &dyn Host,
    config: &Config,
    sub: &str,
    now: Timestamp,
    mut change: impl FnMut(&mut UserGrants) + Send,
) -> Result<(), StoreError> {
    let key = user_key(config, sub);
    // Every loser of a race was beaten by a writer who made progress.
    for _ in 0..MOST_RACES {
        let record = host.store().get(&key, now).await?;
        let version = record.as_ref().map(|record| record.version);
        let mut index: UserGrants =
            record.map(|record| decode(&record.value)).transpose()?.unwrap_or_default();
        index.grants.retain(|entry| entry.until > now);
        change(&mut index);
        // An empty index expires at once. To take it away instead could take what somebody else has entered meanwhile.
        let until = index.grants.iter().map(|entry| entry.until).max().unwrap_or(now.plus(1));
        if host.store().replace(&key, version, encode(&index)?, until, now).await? {
            return Ok(());
        }
    }
    Err(StoreError("the index of a person's grants is contended".to_owned()))
}

/// How often a compare-and-swap is tried.
pub(crate) const MOST_RACES: usize = 64;

fn encode(value: &impl Serialize) -> Result<Vec<u8>, StoreError> {
    serde_json::to_vec(value).map_err(|_| StoreError("a record cannot be written".to_owned()))
}

fn decode<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, StoreError> {
    // The error's text may quote the record.
    serde_json::from_slice(bytes).map_err(|_| StoreError("a record cannot be read".to_owned()))
}
