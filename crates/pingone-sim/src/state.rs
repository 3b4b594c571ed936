//! Everything that the simulator remembers. Written to a file as it is: these are nobody's secrets.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::{config::Person, keys::SigningKey};

/// What is remembered over a restart.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct State {
    /// The current key, then the next one, then old ones.
    pub(crate) keys: Vec<SigningKey>,
    /// Keys that are published before all of these and sign nothing.
    #[serde(default)]
    pub(crate) foreign_keys: Vec<SigningKey>,
    pub(crate) people: Vec<Person>,
    pub(crate) sessions: Vec<Session>,
    pub(crate) consents: Vec<Consent>,
    pub(crate) flows: BTreeMap<String, Flow>,
    pub(crate) codes: BTreeMap<String, Code>,
    pub(crate) families: Vec<Family>,
    pub(crate) knobs: Knobs,
}

/// How PingOne is configured.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default)]
pub struct Knobs {
    /// Seconds for which an access token is good.
    pub access_token_seconds: u64,
    /// Seconds by which this clock is ahead of the computer's; negative when it is behind.
    pub clock_offset_seconds: i64,
    /// The application's secret after it was replaced.
    #[serde(default)]
    pub client_secret: Option<String>,
    /// Seconds for which a code is good.
    pub code_seconds: u64,
    /// Seconds for which a refresh token is good.
    pub refresh_token_seconds: u64,
    /// Seconds for which a whole family of refresh tokens is good.
    pub refresh_rolling_seconds: u64,
    /// Seconds for which a rotated refresh token is good once more.
    pub refresh_grace_seconds: u64,
    /// Whether consent is asked for although it is recorded.
    pub always_prompt: bool,
    /// The error that the flow returns when consent is declined.
    pub decline_error: String,
    /// What becomes of the parameter `resource`.
    pub resource_mode: ResourceMode,
    /// Whether refresh tokens outlive their session.
    pub skip_token_session_validation: bool,
}

/// What becomes of the parameter `resource`. What PingOne does is not documented.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ResourceMode {
    /// It must be the audience of the resource whose scopes are asked for.
    Honoured,
    /// It is not looked at.
    Ignored,
    /// A request that has it is refused.
    Rejected,
}

impl Default for Knobs {
    fn default() -> Self {
        Self {
            access_token_seconds: 3600,
            clock_offset_seconds: 0,
            client_secret: None,
            code_seconds: 60,
            refresh_token_seconds: 2_592_000,
            refresh_rolling_seconds: 15_552_000,
            refresh_grace_seconds: 0,
            always_prompt: false,
            decline_error: "access_denied".to_owned(),
            resource_mode: ResourceMode::Honoured,
            skip_token_session_validation: false,
        }
    }
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Session {
    pub(crate) id: String,
    pub(crate) person: String,
    pub(crate) auth_time: u64,
    pub(crate) expires_at: u64,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Consent {
    pub(crate) person: String,
    pub(crate) scopes: Vec<String>,
}

/// A valid authorization request.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Request {
    pub(crate) redirect_uri: String,
    pub(crate) state: Option<String>,
    pub(crate) nonce: Option<String>,
    pub(crate) scopes: Vec<String>,
    pub(crate) code_challenge: String,
    pub(crate) login_hint: Option<String>,
    pub(crate) mcp_client_name: Option<String>,
    pub(crate) mcp_redirect_host: Option<String>,
}

/// A DaVinci flow under way.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Flow {
    pub(crate) request: Request,
    pub(crate) step: Step,
    pub(crate) expires_at: u64,
}

/// Which page a flow shows.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Step {
    Consent { session: String },
    Recover,
    Register,
    Reset { person: String, code: String },
    SignOn,
    Verify { person: Box<Newcomer>, code: String },
}

/// Somebody who has registered and not yet proven the address.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Newcomer {
    pub(crate) username: String,
    pub(crate) password: String,
    pub(crate) given_name: String,
    pub(crate) family_name: String,
    pub(crate) email: String,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Code {
    pub(crate) request: Request,
    pub(crate) session: Session,
    pub(crate) expires_at: u64,
}

/// The refresh tokens of one login.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Family {
    pub(crate) session: Session,
    pub(crate) scopes: Vec<String>,
    pub(crate) started_at: u64,
    pub(crate) current: String,
    pub(crate) expires_at: u64,
    /// Tokens that were rotated, and when.
    pub(crate) rotated: Vec<(String, u64)>,
    pub(crate) revoked: bool,
}
