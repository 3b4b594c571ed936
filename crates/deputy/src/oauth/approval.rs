//! Cookies that bind an approval page and a login to one browser, and the cookie that remembers approvals.

use super::AuthorizationRequest;
use crate::{
    config::Keys,
    encoding::{base64url_decode_all, base64url_encode, hex},
    host::Timestamp,
    seal,
    types::{ClientId, Scopes},
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
    /// The scopes that the user declined, by their places in [`sorted_scopes`]. A request has 64 scopes at most.
    declined: u64,
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
            let (client, rest) = rest.split_first_chunk::<8>()?;
            let (until, declined) = rest.split_first_chunk::<8>()?;
            let until = Timestamp(u64::from_be_bytes(*until));
            let declined = u64::from_be_bytes(declined.try_into().ok()?);
            Some(Approved { fingerprint: *fingerprint, client: *client, until, declined })
        });
        Some(Self(entries.filter(|approved| approved.until > now).collect()))
    }

    /// The value of the cookie.
    pub fn render(&self, keys: &Keys) -> String {
        let payload: Vec<u8> = self
            .0
            .iter()
            .flat_map(|Approved { fingerprint, client, until, declined }| {
                let numbers = until.0.to_be_bytes().into_iter().chain(declined.to_be_bytes());
                fingerprint.iter().chain(client).copied().chain(numbers)
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

    /// The scopes that the user chose, if they approved exactly this client, name, redirect URI and set of scopes.
    pub fn chosen_scopes(&self, request: &AuthorizationRequest, client_name: Option<&str>) -> Option<Scopes> {
        let fingerprint = fingerprint(request, client_name);
        let approved = self.0.iter().find(|approved| approved.fingerprint == fingerprint)?;
        let scopes = sorted_scopes(request).into_iter().enumerate();
        let kept = scopes.filter(|(place, _)| approved.declined & bit(*place) == 0);
        Some(Scopes::of(kept.map(|(_, scope)| scope)))
    }

    /// Remembers an approval for [`Self::LIFETIME`], with the scopes that the user declined. Only the newest 16 are kept.
    pub fn add(&mut self, request: &AuthorizationRequest, client_name: Option<&str>, now: Timestamp) {
        let fingerprint = fingerprint(request, client_name);
        self.0.retain(|approved| approved.fingerprint != fingerprint);
        let client = client_digest(request.target.client_id());
        let scopes = sorted_scopes(request).into_iter().enumerate();
        let declined = scopes.filter(|(_, scope)| request.access.declined.contains(scope));
        let declined = declined.fold(0, |bits, (place, _)| bits | bit(place));
        self.0.insert(0, Approved { fingerprint, client, until: now.plus(Self::LIFETIME), declined });
        self.0.truncate(Self::CAPACITY);
    }

    /// Forgets every approval of a client.
    pub fn forget(&mut self, client_id: &ClientId) {
        let client = client_digest(client_id);
        self.0.retain(|approved| approved.client != client);
    }

    fn tag(payload: &str, key: &seal::SealingKey) -> String {
        base64url_encode(&key.mac(&[b"approved clients and scopes", payload.as_bytes()])[..16])
    }
}

/// A digest of the client, name, redirect URI and scopes that the approval page shows. It includes the port of a
/// loopback redirect URI, since another program can listen on another port.
fn fingerprint(request: &AuthorizationRequest, client_name: Option<&str>) -> [u8; 16] {
    let (target, scopes) = (&request.target, sorted_scopes(request));
    let parts = serde_json::json!([target.client_id(), client_name, target.redirect_uri(), scopes]);
    let digest = seal::digest("approved client", parts.to_string().as_bytes());
    let mut fingerprint = [0; 16];
    fingerprint.copy_from_slice(&digest.0[..16]);
    fingerprint
}

/// The scopes that the client asked for, also those that the user declined.
fn sorted_scopes(request: &AuthorizationRequest) -> Vec<&str> {
    let mut scopes: Vec<&str> = request.access.scopes.iter().chain(request.access.declined.iter()).collect();
    scopes.sort_unstable();
    scopes
}

/// No bit for a place beyond the 64th, which no request has.
fn bit(place: usize) -> u64 {
    u32::try_from(place).ok().and_then(|place| 1_u64.checked_shl(place)).unwrap_or(0)
}

fn client_digest(client_id: &ClientId) -> [u8; 8] {
    let digest = seal::digest("approved client_id", client_id.as_str().as_bytes());
    let mut client = [0; 8];
    client.copy_from_slice(&digest.0[..8]);
    client
}

/// Bytes of one approval in the cookie.
const ENTRY: usize = 40;
