//! Logins as an operator looks at them: each step, the place where a login ended, and the likely cause. They are read from
//! audit events.

mod advice;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::host::LoginStep;

/// A login, from its audit events.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Login {
    /// Its reference.
    pub reference: String,
    /// The time of its first event, in seconds since 1970.
    pub began: u64,
    /// `sub` of the user, if the user logged in.
    pub user: Option<String>,
    /// `client_id`. `None` for a login to *Your agents*, and before the client is known.
    pub client_id: Option<String>,
    /// The name that the client chose.
    pub client_name: Option<String>,
    /// The steps, each with its time.
    pub steps: Vec<(u64, String)>,
    /// The state of the login.
    pub state: State,
    /// The last step, or the step that failed.
    pub at: LoginStep,
    /// The likely cause, if the login failed or was given up.
    pub cause: Option<String>,
    /// A way to mend it.
    pub fix: Option<&'static str>,
    /// Whether a step is missing before a later one: the log of another replica has it, or it was removed.
    pub lacks_steps: bool,
}

/// The state of a login.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// The client has tokens, or the user is signed in to *Your agents*.
    Finished,
    /// The user denied the client.
    Denied,
    /// A step was refused.
    Refused,
    /// Nothing has happened for longer than the next step may take.
    GivenUp,
    /// The next step can still come.
    UnderWay,
}

/// An audit event, as far as it tells about a login. Others are not read.
#[derive(Clone, Debug, Deserialize)]
struct Event {
    time: u64,
    reference: String,
    #[serde(default)]
    user: Option<String>,
    #[serde(default)]
    client: Option<Client>,
    #[serde(flatten)]
    kind: Kind,
}

#[derive(Clone, Debug, Deserialize)]
struct Client {
    id: String,
    #[serde(default)]
    name: Option<String>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
enum Kind {
    LoginBegun,
    LoginApproved { remembered: bool },
    LoginDenied,
    LoginSent,
    LoginReturned,
    LoginRefused { at: LoginStep, code: String, reason: String },
    GrantIssued { scopes: String },
    CodeRedeemed,
    SignedIn,
}

impl Kind {
    /// The place of the event in a login, also among those of one second. A refusal has the place after its step: an odd number.
    const fn place(&self) -> u8 {
        match self {
            Self::LoginBegun => 0,
            Self::LoginRefused { at: LoginStep::Authorize, .. } => 1,
            Self::LoginApproved { .. } | Self::LoginDenied => 2,
            Self::LoginRefused { at: LoginStep::Approval, .. } => 3,
            Self::LoginSent => 4,
            Self::LoginRefused { at: LoginStep::Pingone, .. } => 5,
            Self::LoginReturned => 6,
            Self::LoginRefused { at: LoginStep::Callback, .. } => 7,
            Self::GrantIssued { .. } => 8,
            Self::CodeRedeemed | Self::SignedIn => 10,
            Self::LoginRefused { at: LoginStep::Redemption | LoginStep::Refresh, .. } => 11,
        }
    }
}

/// The places of the steps of a login that succeeds.
const STEPS: [u8; 6] = [0, 2, 4, 6, 8, 10];

/// A line of Workers Logs, or of `deputy audit export`.
#[derive(Deserialize)]
#[serde(untagged)]
enum Line {
    OfWorkers { audit: Event },
    Plain(Event),
}

/// The logins in the lines of audit logs, the latest first, as of `now`. The logs of several replicas may follow one another.
/// A line that is not an event of a login is skipped.
pub fn logins(lines: impl IntoIterator<Item = impl AsRef<str>>, now: u64) -> Vec<Login> {
    let mut events: BTreeMap<String, Vec<Event>> = BTreeMap::new();
    for line in lines {
        if let Ok(Line::OfWorkers { audit: event } | Line::Plain(event)) = serde_json::from_str(line.as_ref())
        {
            events.entry(event.reference.clone()).or_default().push(event);
        }
    }
    for events in events.values_mut() {
        events.sort_by_key(|event| (event.time, event.kind.place()));
    }
    let was_sent = |events: &Vec<Event>| events.iter().any(|event| matches!(event.kind, Kind::LoginSent));
    let returned = |event: &Event| {
        matches!(event.kind, Kind::LoginReturned | Kind::LoginRefused { at: LoginStep::Callback, .. })
    };
    let sent = events.values().filter(|events| was_sent(events)).count();
    let none_returned = sent >= ENOUGH && !events.values().flatten().any(returned);
    let mut logins: Vec<_> =
        events.into_values().filter_map(|events| login(&events, none_returned, now)).collect();
    logins.sort_by_key(|login| std::cmp::Reverse(login.began));
    logins
}

/// Logins of which none came back from `PingOne`, before that is a sign of a wrong configuration.
const ENOUGH: usize = 3;

/// Seconds for the approval, and for the login at `PingOne`.
const LIFETIME: u64 = crate::oauth::Handle::LIFETIME;
/// Seconds for the client to redeem its code.
const CODE_LIFETIME: u64 = crate::oauth::Grant::CODE_LIFETIME;
/// Seconds in which a request ends.
const REQUEST: u64 = 120;

fn login(events: &[Event], none_returned: bool, now: u64) -> Option<Login> {
    let (first, last) = (events.first()?, events.last()?);
    let user = events.iter().rev().find_map(|event| event.user.clone());
    let client = events.iter().rev().find_map(|event| event.client.clone());
    let steps = events.iter().map(|event| (event.time, words(&event.kind))).collect();
    let waits = |seconds: u64| if now < last.time + seconds { State::UnderWay } else { State::GivenUp };
    let is_finished = |event: &Event| matches!(event.kind, Kind::CodeRedeemed | Kind::SignedIn);
    // A second request with a used code ends the grant, not the login.
    let (state, at) = match &last.kind {
        _ if events.iter().any(is_finished) => (State::Finished, LoginStep::Redemption),
        Kind::LoginBegun => (waits(LIFETIME), LoginStep::Approval),
        Kind::LoginApproved { .. } => (waits(REQUEST), LoginStep::Pingone),
        Kind::LoginDenied => (State::Denied, LoginStep::Approval),
        Kind::LoginSent => (waits(LIFETIME), LoginStep::Pingone),
        Kind::LoginReturned => (waits(REQUEST), LoginStep::Callback),
        Kind::LoginRefused { at, .. } => (State::Refused, *at),
        Kind::GrantIssued { .. } => (waits(CODE_LIFETIME), LoginStep::Redemption),
        Kind::CodeRedeemed | Kind::SignedIn => (State::Finished, LoginStep::Redemption),
    };
    let (cause, fix) = match (state, &last.kind) {
        (State::Refused, Kind::LoginRefused { at, code, reason }) => {
            (Some(reason.clone()), advice::for_refusal(*at, code))
        }
        (State::GivenUp, _) => {
            let (cause, fix) = advice::for_silence(at, none_returned);
            (Some(cause.to_owned()), Some(fix))
        }
        (State::Denied, _) => (Some("the user denied the client on the approval page".to_owned()), None),
        _ => (None, None),
    };
    let (client_id, client_name) = client.map_or((None, None), |client| (Some(client.id), client.name));
    let (reference, began) = (first.reference.clone(), first.time);
    // A sign-in to Your agents has no client, and begins on the way to PingOne.
    let first_step = if client_id.is_some() { &Kind::LoginBegun } else { &Kind::LoginSent }.place();
    let has = |place| events.iter().any(|event| event.kind.place() == place);
    let furthest = events.iter().map(|event| event.kind.place()).filter(|place| STEPS.contains(place)).max();
    let lacks_steps = STEPS
        .into_iter()
        .filter(|place| *place >= first_step && furthest.is_some_and(|furthest| *place < furthest))
        .any(|place| !has(place));
    Some(Login { reference, began, user, client_id, client_name, steps, state, at, cause, fix, lacks_steps })
}

fn words(kind: &Kind) -> String {
    match kind {
        Kind::LoginBegun => "authorization request accepted".to_owned(),
        Kind::LoginApproved { remembered: false } => "approved by the user".to_owned(),
        Kind::LoginApproved { remembered: true } => "approved before in this browser".to_owned(),
        Kind::LoginDenied => "denied by the user".to_owned(),
        Kind::LoginSent => "browser sent to PingOne".to_owned(),
        Kind::LoginReturned => "browser back from PingOne with a code".to_owned(),
        Kind::LoginRefused { at, reason, .. } => format!("refused at {at}: {reason}"),
        Kind::GrantIssued { scopes } => format!("code sent to the client, for {scopes}"),
        Kind::CodeRedeemed => "code redeemed by the client".to_owned(),
        Kind::SignedIn => "signed in to Your agents".to_owned(),
    }
}
