//! Cookies that bind an approval page and a login to one browser, and the cookie that remembers approvals.

use super::AuthorizationRequest;
use crate::{
    config::Keys,
    encoding::{base64url_decode_all, base64url_encode, hex},
    host::Timestamp,
    seal,
    types::ClientId,
};

/// Name and value of the cookie that binds an approval page to the browser that shows it.
pub fn approval_cookie(handle: &str, keys: &Keys) -> (String, String) {
    browser_cookie("approve", handle, &keys.newest().cookies)
}

/// Name and value of the cookie that binds a login to the browser in which the user approved it.
pub fn login_cookie(state: &str, keys: &Keys) -> (String, String) {
    browser_cookie("login", state, &keys.newest().cookies)
}

/// Whether the browser that sent `cookies` is the one that `secret` is bound to. `purpose` is `approve` for the handle
/// of an approval page, and `login` for the `state` of a login.
pub fn browser_is_bound(purpose: &str, secret: &str, cookies: &[(String, String)], keys: &Keys) -> bool {
    keys.iter().any(|keys| {
        let (name, value) = browser_cookie(purpose, secret, &keys.cookies);
        cookies.iter().any(|(n, v)| *n == name && seal::constant_time_eq(v.as_bytes(), value.as_bytes()))
    })
}

// The value is a MAC of the secret, so that verifying it needs no storage. Each page has a cookie of its own, so that
// several tabs can go on at the same time.
fn browser_cookie(purpose: &str, secret: &str, key: &seal::SealingKey) -> (String, String) {
    let digest = seal::digest(purpose, secret.as_bytes());
    let mac = key.mac(&[purpose.as_bytes(), secret.as_bytes()]);
    (format!("__Host-mcp-{purpose}-{}", hex(&digest.0[..4])), base64url_encode(&mac[..16]))
}

/// The approvals that one browser remembers, in a cookie that is authenticated with a key of the server.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ApprovedClients(Vec<Approved>);

#[derive(Clone, Debug, PartialEq, Eq)]
struct Approved {
    fingerprint: [u8; 16],
    client: [u8; 8],
    until: Timestamp,
}

impl ApprovedClients {
    /// The name of the cookie.
    pub const COOKIE: &str = "__Host-mcp-approved";
    /// Seconds for which an approval is remembered: 30 days.
    pub const LIFETIME: u64 = 30 * 24 * 3600;
    const CAPACITY: usize = 16;

    /// Parses the first authentic approval cookie. Expired approvals are dropped. Without such a cookie nothing is
    /// approved.
    pub fn among(cookies: &[(String, String)], keys: &Keys, now: Timestamp) -> Self {
        let mut values = cookies.iter().filter(|(name, _)| name == Self::COOKIE);
        values.find_map(|(_, value)| Self::read(value, keys, now)).unwrap_or_default()
    }

    fn read(value: &str, keys: &Keys, now: Timestamp) -> Option<Self> {
        let (payload, tag) = Some(value).filter(|value| value.len() < 1024)?.split_once('.')?;
        let is_authentic = keys
            .iter()
            .any(|keys| seal::constant_time_eq(tag.as_bytes(), Self::tag(payload, &keys.cookies).as_bytes()));
        let payload = is_authentic.then(|| base64url_decode_all(payload))??;
        let (entries, []) = payload.as_chunks::<ENTRY>() else { return None };
        let entries = entries.iter().filter_map(|entry| {
            let (fingerprint, rest) = entry.split_first_chunk::<16>()?;
            let (client, until) = rest.split_first_chunk::<8>()?;
            let until = Timestamp(u64::from_be_bytes(until.try_into().ok()?));
            Some(Approved { fingerprint: *fingerprint, client: *client, until })
        });
        Some(Self(entries.filter(|approved| approved.until > now).collect()))
    }

    /// The value of the cookie.
    pub fn render(&self, keys: &Keys) -> String {
        let payload: Vec<u8> = self
            .0
            .iter()
            .flat_map(|Approved { fingerprint, client, until }| {
                fingerprint.iter().chain(client).copied().chain(until.0.to_be_bytes())
            })
            .collect();
        let payload = base64url_encode(&payload);
        let tag = Self::tag(&payload, &keys.newest().cookies);
        format!("{payload}.{tag}")
    }

    /// Whether no approval is remembered.
    pub const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether the user approved exactly this client, name, redirect URI and set of scopes.
    pub fn contains(&self, request: &AuthorizationRequest, client_name: Option<&str>) -> bool {
        let fingerprint = fingerprint(request, client_name);
        self.0.iter().any(|approved| approved.fingerprint == fingerprint)
    }

    /// Remembers an approval for [`Self::LIFETIME`]. Only the newest 16 are kept.
    pub fn add(&mut self, request: &AuthorizationRequest, client_name: Option<&str>, now: Timestamp) {
        let fingerprint = fingerprint(request, client_name);
        self.0.retain(|approved| approved.fingerprint != fingerprint);
        let client = client_digest(request.target.client_id());
        self.0.insert(0, Approved { fingerprint, client, until: now.plus(Self::LIFETIME) });
        self.0.truncate(Self::CAPACITY);
    }

    /// Forgets every approval of a client.
    pub fn forget(&mut self, client_id: &ClientId) {
        let client = client_digest(client_id);
        self.0.retain(|approved| approved.client != client);
    }

    fn tag(payload: &str, key: &seal::SealingKey) -> String {
        base64url_encode(&key.mac(&[b"approved clients", payload.as_bytes()])[..16])
    }
}

/// A digest of the client, name, redirect URI and scopes that the approval page shows. It includes the port of a
/// loopback redirect URI, since another program can listen on another port.
fn fingerprint(request: &AuthorizationRequest, client_name: Option<&str>) -> [u8; 16] {
    let target = &request.target;
    let mut scopes: Vec<&str> = request.access.scopes.iter().collect();
    scopes.sort_unstable();
    let parts = serde_json::json!([target.client_id(), client_name, target.redirect_uri(), scopes]);
    let digest = seal::digest("approved client", parts.to_string().as_bytes());
    let mut fingerprint = [0; 16];
    fingerprint.copy_from_slice(&digest.0[..16]);
    fingerprint
}

fn client_digest(client_id: &ClientId) -> [u8; 8] {
    let digest = seal::digest("approved client_id", client_id.as_str().as_bytes());
    let mut client = [0; 8];
    client.copy_from_slice(&digest.0[..8]);
    client
}

/// Bytes of one approval in the cookie.
const ENTRY: usize = 32;
