//! Cookies that bind an approval page and a login to one browser, and the cookie that remembers approvals.

use super::AuthorizationRequest;
use crate::{
    config::Keys,
    encoding::{base64url_decode, base64url_encode, hex},
    host::Timestamp,
    seal,
    types::{ApprovedTools, ClientId, Scopes},
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
    let mac: [u8; 16] = key.mac(&[purpose.as_bytes(), secret.as_bytes()]);
    (format!("__Host-mcp-{purpose}-{}", hex(&digest.0[..4])), base64url_encode(&mac))
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
    /// The tools that the other scopes opened.
    tools: ApprovedTools,
}

/// The choice of a user who approved a client.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Choice {
    /// The scopes that the user did not decline.
    pub scopes: Scopes,
    /// The tools that these scopes opened.
    pub tools: ApprovedTools,
}

impl ApprovedClients {
    /// The name of the cookie.
    pub const COOKIE: &str = "__Host-mcp-approved";
    /// Seconds for which an approval is remembered: 30 days.
    pub const LIFETIME: u64 = 30 * 24 * 3600;
    const CAPACITY: usize = 16;
    /// Characters of the cookie. Browsers keep 4096 with the name.
    const LONGEST: usize = 3500;

    /// Parses the first authentic approval cookie. Expired approvals are dropped. Without such a cookie nothing is
    /// approved.
    pub fn among(cookies: &[(String, String)], keys: &Keys, now: Timestamp) -> Self {
        let mut values = cookies.iter().filter(|(name, _)| name == Self::COOKIE);
        values.find_map(|(_, value)| Self::read(value, keys, now)).unwrap_or_default()
    }

    fn read(value: &str, keys: &Keys, now: Timestamp) -> Option<Self> {
        let (payload, tag) = Some(value).filter(|value| value.len() <= Self::LONGEST)?.rsplit_once('.')?;
        let is_authentic = keys
            .iter()
            .any(|keys| seal::constant_time_eq(tag.as_bytes(), Self::tag(payload, &keys.cookies).as_bytes()));
        let entries = is_authentic.then(|| payload.split('.').filter_map(Approved::read))?;
        Some(Self(entries.filter(|approved| approved.until > now).collect()))
    }

    /// The value of the cookie.
    pub fn render(&self, keys: &Keys) -> String {
        let payload = self.0.iter().map(Approved::render).collect::<Vec<_>>().join(".");
        let tag = Self::tag(&payload, &keys.newest().cookies);
        format!("{payload}.{tag}")
    }

    /// Whether no approval is remembered.
    pub const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The choice of the user, if they approved exactly this client, name, redirect URI and set of scopes.
    pub fn choice(&self, request: &AuthorizationRequest, client_name: Option<&str>) -> Option<Choice> {
        let fingerprint = fingerprint(request, client_name);
        let approved = self.0.iter().find(|approved| approved.fingerprint == fingerprint)?;
        let scopes = sorted_scopes(request).into_iter().enumerate();
        let kept = scopes.filter(|(place, _)| approved.declined & bit(*place) == 0);
        Some(Choice { scopes: Scopes::of(kept.map(|(_, scope)| scope)), tools: approved.tools.clone() })
    }

    /// Whether the cookie has room for an approval of these tools.
    pub fn has_room_for(tools: &ApprovedTools) -> bool {
        length(tools) + TAG <= Self::LONGEST
    }

    /// Remembers an approval for [`Self::LIFETIME`], with the scopes that the user declined. Only the newest 16 are kept, and
    /// fewer if they do not fit into a cookie.
    pub fn add(&mut self, request: &AuthorizationRequest, client_name: Option<&str>, now: Timestamp) {
        let fingerprint = fingerprint(request, client_name);
        self.0.retain(|approved| approved.fingerprint != fingerprint);
        let client = client_digest(request.target.client_id());
        let scopes = sorted_scopes(request).into_iter().enumerate();
        let declined = scopes.filter(|(_, scope)| request.access.declined.contains(scope));
        let declined = declined.fold(0, |bits, (place, _)| bits | bit(place));
        let tools = request.access.approved_tools.clone().unwrap_or_default();
        self.0.insert(0, Approved { fingerprint, client, until: now.plus(Self::LIFETIME), declined, tools });
        self.0.truncate(Self::CAPACITY);
        while self.0.iter().map(|approved| length(&approved.tools)).sum::<usize>() + TAG > Self::LONGEST {
            self.0.pop();
        }
    }

    /// Forgets every approval of a client.
    pub fn forget(&mut self, client_id: &ClientId) {
        let client = client_digest(client_id);
        self.0.retain(|approved| approved.client != client);
    }

    fn tag(payload: &str, key: &seal::SealingKey) -> String {
        base64url_encode(&key.mac::<16>(&[b"approved clients, scopes and tools", payload.as_bytes()]))
    }
}

impl Approved {
    fn read(text: &str) -> Option<Self> {
        let (fixed, tools) = text.split_at_checked(FIXED)?;
        let fixed = base64url_decode::<40>(fixed)?;
        let (fingerprint, rest) = fixed.split_first_chunk()?;
        let (client, rest) = rest.split_first_chunk()?;
        let (until, declined) = rest.split_first_chunk()?;
        Some(Self {
            fingerprint: *fingerprint,
            client: *client,
            until: Timestamp(u64::from_be_bytes(*until)),
            declined: u64::from_be_bytes(declined.try_into().ok()?),
            tools: ApprovedTools::parse(tools)?,
        })
    }

    fn render(&self) -> String {
        let Self { fingerprint, client, until, declined, tools } = self;
        let numbers = [until.0.to_be_bytes(), declined.to_be_bytes()].concat();
        base64url_encode(&[&fingerprint[..], client, &numbers].concat()) + tools.as_str()
    }
}

/// Characters in the cookie of an approval of these tools.
fn length(tools: &ApprovedTools) -> usize {
    FIXED + tools.as_str().len() + ".".len()
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

/// Characters of one approval in the cookie, without its tools.
const FIXED: usize = 54;
/// Characters of the tag.
const TAG: usize = 22;

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::{config::test_config, types::ToolDigest};

    const NOW: Timestamp = Timestamp(1_800_000_000);

    /// A request of the client with this number, whose scopes open this many tools.
    fn request(client: u8, tools: usize) -> AuthorizationRequest {
        let tools: ApprovedTools = (0..tools).map(|tool| ToolDigest::of(&tool.to_string(), true)).collect();
        let target = json!({
            "client_id": ClientId::Registered(crate::types::RegisteredId::new(&[client; 16])),
            "redirect_uri": "https://client.example/cb",
            "state": null,
        });
        let access = json!({
            "scopes": ["a", "b"], "declined": ["c"], "approved_tools": tools, "ask_again": false,
            "log_in_again": false, "code_challenge": "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM",
        });
        serde_json::from_value(json!({ "target": target, "access": access })).expect("a request")
    }

    #[test]
    fn cookie_with_many_tools_keeps_the_newest_approvals() {
        let keys = test_config(&[]).keys;
        for (tools, kept) in [(0, 16), (5, 16), (50, 9), (570, 1), (571, 0)] {
            let mut approved = ApprovedClients::default();
            for client in 0..20 {
                approved.add(&request(client, tools), None, NOW);
            }
            let value = approved.render(&keys);
            assert!(value.len() <= ApprovedClients::LONGEST, "{tools}: {}", value.len());
            let cookies = [(ApprovedClients::COOKIE.to_owned(), value)];
            let read = ApprovedClients::among(&cookies, &keys, NOW);
            assert_eq!(read, approved, "{tools}");
            let choices = (0..20).map(|client| read.choice(&request(client, tools), None));
            assert_eq!(choices.flatten().count(), kept, "{tools}");
            let newest = read.choice(&request(19, tools), None);
            assert_eq!(newest.is_some(), kept > 0, "{tools}");
            let access = request(0, tools).access;
            assert_eq!(ApprovedClients::has_room_for(&access.approved_tools.expect("tools")), kept > 0);
            if let Some(choice) = newest {
                assert_eq!(choice.scopes.to_string(), "a b");
            }
        }
    }
}
