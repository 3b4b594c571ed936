//! Binding a login to the browser of the person who approved it, and remembering what they approved.

use super::AuthorizationRequest;
use crate::{
    config::Keys,
    encoding::{base64url_encode, hex},
    host::Timestamp,
    seal,
    types::ClientId,
};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};

/// The cookie that binds an approval page to the browser it was shown in: name and value.
pub fn approval_cookie(handle: &str, keys: &Keys) -> (String, String) {
    browser_cookie("approve", handle, &keys.newest().cookies)
}

/// The cookie that binds a login to the browser in which it was approved: name and value.
pub fn login_cookie(state: &str, keys: &Keys) -> (String, String) {
    browser_cookie("login", state, &keys.newest().cookies)
}

/// Whether `cookies` hold the cookie that binds `secret` (of an approval or a login) to this browser.
pub fn browser_is_bound(purpose: &str, secret: &str, cookies: &[(String, String)], keys: &Keys) -> bool {
    keys.iter().any(|keys| {
        let (name, value) = browser_cookie(purpose, secret, &keys.cookies);
        cookies.iter().any(|(n, v)| *n == name && seal::constant_time_eq(v.as_bytes(), value.as_bytes()))
    })
}

// The value is a MAC of what the cookie is bound to, so checking it costs no look-up, and one cookie for each page lets
// several tabs go on beside each other.
fn browser_cookie(purpose: &str, secret: &str, key: &seal::Key) -> (String, String) {
    let digest = seal::digest(purpose, secret.as_bytes());
    let mac = key.mac(&[purpose.as_bytes(), secret.as_bytes()]);
    (format!("__Host-mcp-{purpose}-{}", hex(&digest.0[..4])), base64url_encode(&mac[..16]))
}

/// What one browser has approved: kept in that browser, readable and writable by us only.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ApprovedClients(Vec<Approved>);

#[derive(Clone, Debug, PartialEq, Eq)]
struct Approved {
    what: [u8; 16],
    client: [u8; 8],
    until: Timestamp,
}

impl ApprovedClients {
    /// The name of the cookie.
    pub const COOKIE: &str = "__Host-mcp-approved";
    /// How long an approval is remembered, in seconds: 30 days.
    pub const LIFETIME: u64 = 30 * 24 * 3600;
    const MOST: usize = 16;

    /// Reads the first of these cookies that is ours. One that is altered or expired counts as nothing.
    pub fn among(cookies: &[(String, String)], keys: &Keys, now: Timestamp) -> Self {
        let mut values = cookies.iter().filter(|(name, _)| name == Self::COOKIE);
        values.find_map(|(_, value)| Self::read(value, keys, now)).unwrap_or_default()
    }

    fn read(value: &str, keys: &Keys, now: Timestamp) -> Option<Self> {
        let (payload, tag) = Some(value).filter(|value| value.len() < 1024)?.split_once('.')?;
        let genuine = keys
            .iter()
            .any(|keys| seal::constant_time_eq(tag.as_bytes(), Self::tag(payload, &keys.cookies).as_bytes()));
        let payload = genuine.then(|| URL_SAFE_NO_PAD.decode(payload).ok())??;
        let (entries, []) = payload.as_chunks::<ENTRY>() else { return None };
        let entries = entries.iter().filter_map(|entry| {
            let (what, rest) = entry.split_first_chunk::<16>()?;
            let (client, until) = rest.split_first_chunk::<8>()?;
            let until = Timestamp(u64::from_be_bytes(until.try_into().ok()?));
            Some(Approved { what: *what, client: *client, until })
        });
        Some(Self(entries.filter(|approved| approved.until > now).collect()))
    }

    /// The cookie's value.
    pub fn render(&self, keys: &Keys) -> String {
        let payload: Vec<u8> = self
            .0
            .iter()
            .flat_map(|Approved { what, client, until }| {
                what.iter().chain(client).copied().chain(until.0.to_be_bytes())
            })
            .collect();
        let payload = base64url_encode(&payload);
        let tag = Self::tag(&payload, &keys.newest().cookies);
        format!("{payload}.{tag}")
    }

    /// Whether nothing is remembered.
    pub const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether exactly this was approved.
    pub fn contains(&self, request: &AuthorizationRequest, client_name: Option<&str>) -> bool {
        let what = fingerprint(request, client_name);
        self.0.iter().any(|approved| approved.what == what)
    }

    /// Remembers an approval, forgetting the oldest beyond 16.
    pub fn add(&mut self, request: &AuthorizationRequest, client_name: Option<&str>, now: Timestamp) {
        let what = fingerprint(request, client_name);
        self.0.retain(|approved| approved.what != what);
        let client = client_digest(request.target.client_id());
        self.0.insert(0, Approved { what, client, until: now.plus(Self::LIFETIME) });
        self.0.truncate(Self::MOST);
    }

    /// Forgets whatever was approved for a client.
    pub fn forget(&mut self, client_id: &ClientId) {
        let client = client_digest(client_id);
        self.0.retain(|approved| approved.client != client);
    }

    fn tag(payload: &str, key: &seal::Key) -> String {
        base64url_encode(&key.mac(&[b"approved clients", payload.as_bytes()])[..16])
    }
}

/// The client at exactly this redirect URI with these scopes, as it was shown. On a loopback address that means this port
/// too: any program of this computer may listen at another (RFC 8252 §8.6).
fn fingerprint(request: &AuthorizationRequest, client_name: Option<&str>) -> [u8; 16] {
    let target = &request.target;
    let mut scopes: Vec<&str> = request.access.scopes.iter().collect();
    scopes.sort_unstable();
    let parts = serde_json::json!([target.client_id(), client_name, target.redirect_uri(), scopes]);
    let digest = seal::digest("approved client", parts.to_string().as_bytes());
    let mut what = [0; 16];
    what.copy_from_slice(&digest.0[..16]);
    what
}

fn client_digest(client_id: &ClientId) -> [u8; 8] {
    let digest = seal::digest("approved client_id", client_id.as_str().as_bytes());
    let mut client = [0; 8];
    client.copy_from_slice(&digest.0[..8]);
    client
}

const ENTRY: usize = 32;
