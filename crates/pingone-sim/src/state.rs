//! The state of the environment. It may be saved to a file as it is: a simulator has no secrets to protect.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::{
    application::OidcApplication,
    config::{SimConfig, User},
    directory::Directory,
    environment::SimEnvironment,
    keys::SigningKey,
    outbox::{Happening, Outbox},
    settings::Settings,
};

/// Everything that outlives a restart.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct State {
    /// The current key, then the next one, then old ones.
    pub(crate) keys: Vec<SigningKey>,
    /// Keys that are published before all of these and sign nothing.
    #[serde(default)]
    pub(crate) foreign_keys: Vec<SigningKey>,
    pub(crate) users: Vec<User>,
    pub(crate) sessions: Vec<Session>,
    pub(crate) consents: Vec<Consent>,
    /// By the id that the forms of the flow contain.
    pub(crate) flows: BTreeMap<String, Flow>,
    /// By the code.
    pub(crate) codes: BTreeMap<String, Code>,
    pub(crate) families: Vec<Family>,
    /// Pushed authorization requests (RFC 9126), by their request URI.
    #[serde(default)]
    pub(crate) pushed: BTreeMap<String, Pushed>,
    pub(crate) settings: Settings,
    /// Objects that the management API created.
    #[serde(default)]
    pub(crate) directory: Directory,
    #[serde(default)]
    pub(crate) outbox: Outbox,
    /// Happenings of the change that is under way.
    #[serde(skip)]
    pub(crate) happenings: Vec<Happening>,
}

/// A session of a user in one browser.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Session {
    pub(crate) id: String,
    /// The id of the user.
    pub(crate) user: String,
    pub(crate) auth_time: u64,
    pub(crate) expires_at: u64,
}

/// A recorded consent.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Consent {
    /// The id of the user.
    pub(crate) user: String,
    /// The client id of the application; empty for the configured one.
    #[serde(default)]
    pub(crate) client_id: String,
    pub(crate) scopes: Vec<String>,
}

/// A valid authentication request (OpenID Connect Core §3.1.2.1).
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct AuthenticationRequest {
    #[serde(default)]
    pub(crate) client_id: String,
    pub(crate) redirect_uri: String,
    pub(crate) state: Option<String>,
    pub(crate) nonce: Option<String>,
    pub(crate) scopes: Vec<String>,
    pub(crate) code_challenge: String,
    pub(crate) login_hint: Option<String>,
    pub(crate) mcp_client_name: Option<String>,
    pub(crate) mcp_redirect_host: Option<String>,
}

/// A DaVinci flow that has not ended.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Flow {
    pub(crate) request: AuthenticationRequest,
    pub(crate) step: Step,
    pub(crate) expires_at: u64,
}

/// The page that a flow shows.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Step {
    Consent {
        /// The id of the session.
        session: String,
    },
    Recover,
    Register,
    Reset {
        /// The id of the user; empty if the username is unknown.
        user: String,
        code: String,
    },
    SignOn,
    Verify {
        registration: Box<Registration>,
        code: String,
    },
}

/// The form of a new user, whose email address is not verified yet.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Registration {
    pub(crate) username: String,
    pub(crate) password: String,
    pub(crate) given_name: String,
    pub(crate) family_name: String,
    pub(crate) email: String,
}

/// A pushed authorization request that has not been used.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Pushed {
    pub(crate) parameters: Vec<(String, String)>,
    pub(crate) expires_at: u64,
}

/// An authorization code that has not been redeemed.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Code {
    pub(crate) request: AuthenticationRequest,
    pub(crate) session: Session,
    pub(crate) expires_at: u64,
}

/// The refresh tokens of one login: the current one and its predecessors.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Family {
    #[serde(default)]
    pub(crate) client_id: String,
    pub(crate) session: Session,
    pub(crate) scopes: Vec<String>,
    pub(crate) started_at: u64,
    pub(crate) current: String,
    pub(crate) expires_at: u64,
    /// Rotated tokens, with the time of their rotation on the environment's clock.
    pub(crate) rotated: Vec<(String, u64)>,
    pub(crate) revoked: bool,
}

impl Family {
    /// Whether its refresh tokens are those of the application. Records of before there were others have no client id.
    pub(crate) fn is_of(&self, application: &OidcApplication) -> bool {
        self.client_id.is_empty() || self.client_id == application.client_id
    }
}

impl State {
    /// The state of a new environment.
    pub(crate) fn new(config: &SimConfig, environment: &dyn SimEnvironment) -> Self {
        Self {
            keys: vec![SigningKey::random(environment), SigningKey::random(environment)],
            foreign_keys: Vec::new(),
            users: config.users.clone(),
            sessions: Vec::new(),
            consents: Vec::new(),
            flows: BTreeMap::new(),
            codes: BTreeMap::new(),
            families: Vec::new(),
            pushed: BTreeMap::new(),
            settings: Settings::default(),
            directory: Directory::default(),
            outbox: Outbox::default(),
            happenings: Vec::new(),
        }
    }

    pub(crate) fn user(&self, id: &str) -> Option<&User> {
        self.users.iter().find(|user| user.id == id)
    }

    pub(crate) fn user_named(&mut self, username: &str) -> Option<&mut User> {
        self.users.iter_mut().find(|user| user.username.eq_ignore_ascii_case(username))
    }

    /// Starts a session. A user has at most ten; the oldest ones end.
    pub(crate) fn start_session(&mut self, id: String, user: &str, now: u64) -> Session {
        let session =
            Session { id, user: user.to_owned(), auth_time: now, expires_at: now + SESSION_SECONDS };
        while self.sessions.iter().filter(|held| held.user == user).count() >= SESSIONS {
            if let Some(oldest) = self.sessions.iter().position(|held| held.user == user) {
                let oldest = self.sessions.remove(oldest);
                self.happenings.push(Happening::end_of_session(&oldest.id, user));
            }
        }
        self.sessions.push(session.clone());
        session
    }

    /// Ends the sessions that `ends` selects.
    pub(crate) fn end_sessions(&mut self, ends: impl Fn(&Session) -> bool) {
        let ended = self.sessions.extract_if(.., |session| ends(session));
        self.happenings.extend(ended.map(|session| Happening::end_of_session(&session.id, &session.user)));
    }

    /// Revokes the consents of a user. Without a recorded one, the event names the configured application.
    pub(crate) fn revoke_consents(&mut self, user: &str) {
        let revoked = self.consents.extract_if(.., |consent| consent.user == user);
        let applications: BTreeSet<_> = revoked.map(|consent| consent.client_id).collect();
        let applications = if applications.is_empty() { [String::new()].into() } else { applications };
        let happenings =
            applications.into_iter().map(|client_id| Happening::revoked_consent(&client_id, user));
        self.happenings.extend(happenings);
    }

    /// Whether the user may have tokens.
    pub(crate) fn is_active(&self, user: &str) -> bool {
        self.user(user).is_some_and(|user| !user.locked && !user.disabled)
    }

    pub(crate) fn session(&self, id: &str, now: u64) -> Option<&Session> {
        self.sessions.iter().find(|session| session.id == id && session.expires_at > now)
    }

    /// Whether refresh tokens of this session are still valid, for an application whose tokens may outlive their session.
    pub(crate) fn is_alive(&self, session: &Session, skips_sessions: bool, now: u64) -> bool {
        let lasts = skips_sessions || self.session(&session.id, now).is_some();
        lasts && self.is_active(&session.user)
    }

    /// The family of a current or rotated refresh token.
    pub(crate) fn family(&mut self, token: &str) -> Option<&mut Family> {
        self.families.iter_mut().find(|family| {
            family.current == token || family.rotated.iter().any(|(rotated, _)| rotated == token)
        })
    }

    /// The destination of events of this type and the header fields of their delivery: those of the settings, or of the first
    /// subscription that takes them.
    pub(crate) fn destination(&self, kind: Option<&str>) -> Option<(String, BTreeMap<String, String>)> {
        let webhook = &self.settings.webhook;
        if let Some(url) = &webhook.url {
            return Some((url.clone(), webhook.headers.clone()));
        }
        let subscription = self.directory.items("subscriptions").into_iter().find(|subscription| {
            let types = subscription["filterOptions"]["includedActionTypes"].as_array();
            let takes = |kind| types.is_some_and(|types| types.iter().any(|held| held == kind));
            subscription["enabled"] == true && kind.is_none_or(takes)
        })?;
        let endpoint = &subscription["httpEndpoint"];
        let headers = serde_json::from_value(endpoint["headers"].clone()).unwrap_or_default();
        Some((endpoint["url"].as_str()?.to_owned(), headers))
    }

    pub(crate) fn remove_expired(&mut self, now: u64) {
        self.flows.retain(|_, flow| flow.expires_at > now);
        self.codes.retain(|_, code| code.expires_at > now);
        self.pushed.retain(|_, pushed| pushed.expires_at > now);
        self.sessions.retain(|session| session.expires_at > now);
    }
}

const SESSIONS: usize = 10;
const SESSION_SECONDS: u64 = 30 * 24 * 3600;
