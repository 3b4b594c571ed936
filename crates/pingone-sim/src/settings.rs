//! Settings of the PingOne environment that tests change.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::tenant::Tenant;

/// Settings of the PingOne environment.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default)]
#[expect(clippy::struct_excessive_bools, reason = "each is a setting of PingOne")]
pub struct Settings {
    /// Lifetime of an access token, in seconds.
    pub access_token_seconds: u64,
    /// Seconds by which this PingOne's clock is ahead of the environment's; negative when it is behind.
    pub clock_offset_seconds: i64,
    /// The client secret, if it is no longer the configured one.
    #[serde(default)]
    pub client_secret: Option<String>,
    /// Whether the configured client secret is accepted beside that one, as PingOne does until the old secret expires.
    #[serde(default)]
    pub keeps_client_secret: bool,
    /// Lifetime of an authorization code, in seconds.
    pub code_seconds: u64,
    /// Lifetime of a refresh token, in seconds.
    pub refresh_token_seconds: u64,
    /// Lifetime of all refresh tokens of one login, in seconds.
    pub refresh_rolling_seconds: u64,
    /// Seconds for which a rotated refresh token is still accepted.
    pub refresh_grace_seconds: u64,
    /// Whether users are asked for consent although it is recorded.
    pub always_prompt: bool,
    /// The error that the flow returns when a user declines.
    pub decline_error: String,
    /// Whether the metadata has `require_pushed_authorization_requests`. The application has a requirement of its own.
    pub require_pushed_requests: bool,
    /// The treatment of the parameter `resource`.
    pub resource_mode: ResourceMode,
    /// Whether refresh tokens outlive their session.
    pub skip_token_session_validation: bool,
    /// Settings that an administrator makes.
    pub tenant: Tenant,
    /// The webhook.
    pub webhook: Webhook,
}

/// The settings of the webhook.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default)]
pub struct Webhook {
    /// The destination. `None`: there is no webhook, and no event is kept.
    pub url: Option<String>,
    /// Header fields of each delivery.
    pub headers: BTreeMap<String, String>,
    /// Events of a delivery at most. PingOne's are 500.
    pub batch: usize,
    /// Seconds for which an event is held back.
    pub delay_seconds: u64,
    /// Whether the newest events come first.
    pub newest_first: bool,
    /// Whether each delivery is sent once more after its success.
    pub twice: bool,
}

impl Default for Webhook {
    fn default() -> Self {
        Self {
            url: None,
            headers: BTreeMap::new(),
            batch: 500,
            delay_seconds: 0,
            newest_first: false,
            twice: false,
        }
    }
}

/// The treatment of the parameter `resource`. PingOne does not document its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ResourceMode {
    /// It must be the audience of the resource whose scopes are requested.
    Honored,
    /// It has no effect.
    Ignored,
    /// A request with it is refused.
    Rejected,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            access_token_seconds: 3600,
            clock_offset_seconds: 0,
            client_secret: None,
            keeps_client_secret: false,
            code_seconds: 60,
            refresh_token_seconds: 2_592_000,
            refresh_rolling_seconds: 15_552_000,
            refresh_grace_seconds: 0,
            always_prompt: false,
            decline_error: "access_denied".to_owned(),
            require_pushed_requests: false,
            resource_mode: ResourceMode::Honored,
            skip_token_session_validation: false,
            tenant: Tenant::default(),
            webhook: Webhook::default(),
        }
    }
}
