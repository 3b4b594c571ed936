//! Settings of the tenant that an administrator makes. The management API shows them, and the OAuth endpoints obey them.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::config::{SimConfig, Worker};

/// Settings of the tenant that an administrator makes. The defaults are those of docs/pingone.md.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default)]
pub struct Tenant {
    /// Deputy's application.
    pub application: ApplicationSettings,
    /// The connector instance of the consent node.
    pub connector: ConnectorSettings,
    /// The DaVinci flow.
    pub flow: FlowSettings,
    /// Reads of the management API that do not find a new object, as PingOne is consistent only after a while.
    pub management_lag: u32,
    /// The flow policy.
    pub policy: PolicySettings,
    /// The roles of the worker that writes to the management API. Without one it gets no token.
    pub provisioner_roles: Vec<String>,
    /// The products of the environment: its bill of materials.
    pub products: Vec<String>,
    /// The API's resource.
    pub resource: ResourceSettings,
    /// The webhooks.
    pub subscriptions: Vec<Subscription>,
    /// The roles of the worker that reads the management API. Without one it gets no token.
    pub worker_roles: Vec<String>,
}

/// Settings of Deputy's application, in the words of the management API.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default)]
#[expect(clippy::struct_excessive_bools, reason = "each is a setting of PingOne")]
pub struct ApplicationSettings {
    /// `additionalRefreshTokenReplayProtectionEnabled`
    pub replay_protection: bool,
    /// `allowWildcardInRedirectUris`
    pub allow_wildcard: bool,
    /// The scopes of the API that are granted. `None`: all of them.
    pub api_scopes: Option<Vec<String>>,
    /// `enabled`
    pub enabled: bool,
    /// `grantTypes`
    pub grant_types: Vec<String>,
    /// `jwks`: the public keys of `PRIVATE_KEY_JWT`.
    pub jwks: Option<Value>,
    /// Whether a key rotation policy signs its tokens.
    pub key_rotation_policy: bool,
    /// The scopes of OpenID Connect that are granted, besides `openid`.
    pub openid_scopes: Vec<String>,
    /// `parRequirement`
    pub par_requirement: String,
    /// `pkceEnforcement`
    pub pkce_enforcement: String,
    /// `postLogoutRedirectUris`. `None`: the page `/agents` beside each redirect URI.
    pub post_logout_redirect_uris: Option<Vec<String>>,
    /// `redirectUris`. `None`: those of the configuration.
    pub redirect_uris: Option<Vec<String>>,
    /// `refreshTokenType`
    pub refresh_token_type: String,
    /// `requireSignedRequestObject`
    pub require_signed_request: bool,
    /// `tokenEndpointAuthMethod`
    pub token_endpoint_auth_method: String,
}

/// Settings of the resource of the API.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct ResourceSettings {
    /// `audience`. `None`: that of the configuration.
    pub audience: Option<String>,
    /// Whether `sub` of its access tokens is the username.
    pub subject_is_username: bool,
}

/// Settings of the flow policy.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default)]
pub struct PolicySettings {
    /// Whether it is assigned to the application.
    pub assigned: bool,
    /// Whether it is enabled.
    pub enabled: bool,
    /// Whether another flow policy of the application comes before it.
    pub other_first: bool,
    /// The PingOne sign-on policies of the application, which it has instead of flow policies.
    pub sign_on_policies: Vec<String>,
    /// `trigger.type`
    pub trigger: String,
}

/// Settings of the flow behind the flow policy.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default)]
#[expect(clippy::struct_excessive_bools, reason = "each is a setting of PingOne")]
pub struct FlowSettings {
    /// Whether the flow asks for consent.
    pub asks_consent: bool,
    /// The application of the consent node. `None`: Deputy's.
    pub consent_application: Option<String>,
    /// The scopes of the consent node. `None`: those of the API.
    pub consent_scopes: Option<Vec<String>>,
    /// Whether a version is deployed.
    pub deployed: bool,
    /// Whether it is enabled.
    pub enabled: bool,
    /// Whether a user who declines reaches an error response. Without one, the flow ends in a page.
    pub error_response: bool,
    /// Whether the success node sets `sub` of the ID token.
    pub overrides_subject: bool,
    /// `trigger.type`: `AUTHENTICATION` is the setting *`PingOne` Flow*.
    pub trigger: Option<String>,
}

/// Settings of the connector instance of the consent node.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default)]
pub struct ConnectorSettings {
    /// The names of its properties. Wrong ones are stored without an error.
    pub properties: Vec<String>,
    /// Whether its worker is enabled.
    pub worker_enabled: bool,
    /// The roles of its worker.
    pub worker_roles: Vec<String>,
}

/// A webhook.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Subscription {
    /// Whether events are sent.
    pub enabled: bool,
    /// `httpEndpoint.url`
    pub url: String,
    /// `filterOptions.includedActionTypes`
    pub action_types: Vec<String>,
    /// `verifyTlsCertificates`
    pub verify_tls: bool,
}

impl Default for Tenant {
    fn default() -> Self {
        Self {
            application: ApplicationSettings::default(),
            connector: ConnectorSettings::default(),
            flow: FlowSettings::default(),
            management_lag: 0,
            policy: PolicySettings::default(),
            provisioner_roles: texts(&[
                "Client Application Developer",
                "Configuration Read Only",
                "Environment Admin",
            ]),
            products: texts(&["PING_ONE_BASE", "PING_ONE_DAVINCI"]),
            resource: ResourceSettings::default(),
            subscriptions: Vec::new(),
            worker_roles: texts(&["Configuration Read Only", "DaVinci Admin Read Only"]),
        }
    }
}

impl Default for ApplicationSettings {
    fn default() -> Self {
        Self {
            replay_protection: true,
            allow_wildcard: false,
            api_scopes: None,
            enabled: true,
            grant_types: texts(&["AUTHORIZATION_CODE", "REFRESH_TOKEN"]),
            jwks: None,
            key_rotation_policy: true,
            openid_scopes: texts(&["address", "email", "offline_access", "phone", "profile"]),
            par_requirement: "OPTIONAL".to_owned(),
            pkce_enforcement: "S256_REQUIRED".to_owned(),
            post_logout_redirect_uris: None,
            redirect_uris: None,
            refresh_token_type: "OPAQUE_TOKEN".to_owned(),
            require_signed_request: false,
            token_endpoint_auth_method: "CLIENT_SECRET_BASIC".to_owned(),
        }
    }
}

impl Default for PolicySettings {
    fn default() -> Self {
        Self {
            assigned: true,
            enabled: true,
            other_first: false,
            sign_on_policies: Vec::new(),
            trigger: AUTHENTICATION.to_owned(),
        }
    }
}

impl Default for FlowSettings {
    fn default() -> Self {
        Self {
            asks_consent: true,
            consent_application: None,
            consent_scopes: None,
            deployed: true,
            enabled: true,
            error_response: true,
            overrides_subject: false,
            trigger: Some(AUTHENTICATION.to_owned()),
        }
    }
}

impl Default for ConnectorSettings {
    fn default() -> Self {
        Self {
            properties: texts(&["clientId", "clientSecret", "envId", "region"]),
            worker_enabled: true,
            worker_roles: texts(&["Environment Admin", "Identity Data Admin"]),
        }
    }
}

impl Tenant {
    /// The roles of a worker of the configuration.
    pub(crate) fn roles_of(&self, config: &SimConfig, worker: &Worker) -> &[String] {
        if worker.client_id == config.provisioner.client_id {
            &self.provisioner_roles
        } else {
            &self.worker_roles
        }
    }
}

impl PolicySettings {
    /// Whether a login through the policy can begin.
    pub(crate) fn is_usable(&self) -> bool {
        self.assigned && self.enabled && self.has_trigger() && self.sign_on_policies.is_empty()
    }

    /// Whether it is a policy of the type `PingOne`.
    pub(crate) fn has_trigger(&self) -> bool {
        self.trigger == AUTHENTICATION
    }
}

impl FlowSettings {
    /// Whether the flow can show its first page.
    pub(crate) fn starts(&self) -> bool {
        self.enabled && self.deployed && self.trigger.as_deref() == Some(AUTHENTICATION)
    }
}

fn texts(values: &[&str]) -> Vec<String> {
    values.iter().map(|value| (*value).to_owned()).collect()
}

const AUTHENTICATION: &str = "AUTHENTICATION";
