//! The OIDC application of a request, as the OAuth endpoints see it: the configured one, or one that the management API created.

use serde_json::Value;

use crate::{
    config::{Resource, Scope},
    endpoints::management::OPENID_SCOPES,
    settings::Settings,
    simulator::Simulator,
    state::State,
    tenant::ApplicationSettings,
};

/// An OIDC application, with everything that its logins depend on.
#[derive(Clone, Debug)]
pub(crate) struct OidcApplication {
    pub(crate) client_id: String,
    pub(crate) name: String,
    pub(crate) client_secret: String,
    pub(crate) redirect_uris: Vec<String>,
    pub(crate) settings: ApplicationSettings,
    pub(crate) lifetimes: Lifetimes,
    /// The custom resource whose scopes it may request. Without scopes, if it may request none.
    pub(crate) resource: Resource,
    /// Whether the flow policy is assigned to it and a login through it can begin.
    pub(crate) has_policy: bool,
    /// Whether refresh tokens outlive their session.
    pub(crate) skips_sessions: bool,
}

/// Lifetimes of tokens, in seconds.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Lifetimes {
    pub(crate) access_token: u64,
    pub(crate) refresh_token: u64,
    pub(crate) refresh_rolling: u64,
    pub(crate) refresh_grace: u64,
}

impl Simulator {
    /// The application with this client id.
    pub(crate) fn application(&self, client_id: &str) -> Option<OidcApplication> {
        let state = self.state();
        if client_id == self.config().application.client_id && !self.config().empty {
            return Some(configured(self, &state.settings));
        }
        created(self, &state, client_id)
    }

    /// The application with this client id, or the configured one for a record of before there were others.
    pub(crate) fn application_or_configured(&self, client_id: &str) -> OidcApplication {
        self.application(client_id).unwrap_or_else(|| configured(self, &self.state().settings))
    }
}

fn configured(sim: &Simulator, settings: &Settings) -> OidcApplication {
    let application = &sim.config().application;
    let mut resource = sim.config().resource.clone();
    if let Some(audience) = &settings.tenant.resource.audience {
        resource.audience.clone_from(audience);
    }
    let held = &settings.tenant.application;
    OidcApplication {
        client_id: application.client_id.clone(),
        name: application.name.clone(),
        client_secret: settings.client_secret.clone().unwrap_or_else(|| application.client_secret.clone()),
        redirect_uris: held.redirect_uris.clone().unwrap_or_else(|| application.redirect_uris.clone()),
        settings: held.clone(),
        lifetimes: Lifetimes {
            access_token: settings.access_token_seconds,
            refresh_token: settings.refresh_token_seconds,
            refresh_rolling: settings.refresh_rolling_seconds,
            refresh_grace: settings.refresh_grace_seconds,
        },
        resource,
        has_policy: settings.tenant.policy.is_usable(),
        skips_sessions: settings.skip_token_session_validation,
    }
}

fn created(sim: &Simulator, state: &State, client_id: &str) -> Option<OidcApplication> {
    let object = state.directory.get(&format!("applications/{client_id}"))?;
    if object["type"] != "WEB_APP" {
        return None;
    }
    let policy = &state.settings.tenant.policy;
    let below = |name: &str| state.directory.items(&format!("applications/{client_id}/{name}"));
    let is_assigned = below("flowPolicyAssignments")
        .iter()
        .any(|assignment| assignment["flowPolicy"]["id"] == *sim.config().policy_id);
    let (resource, access_token, scopes) = resource_of(state, client_id);
    let openid_scopes = below("grants")
        .into_iter()
        .filter(|grant| grant["resource"]["id"] == crate::endpoints::management::OPENID)
        .flat_map(|grant| ids(&grant["scopes"]))
        .filter_map(|id| OPENID_SCOPES.iter().find(|name| crate::endpoints::management::scope_id(name) == id))
        .map(|name| (*name).to_owned())
        .collect();
    let text = |name: &str| object[name].as_str().unwrap_or_default().to_owned();
    let number = |name: &str, default: u64| object[name].as_u64().unwrap_or(default);
    Some(OidcApplication {
        client_id: client_id.to_owned(),
        name: text("name"),
        client_secret: state.directory.secrets.get(client_id).cloned().unwrap_or_default(),
        redirect_uris: texts(&object["redirectUris"]),
        settings: ApplicationSettings {
            replay_protection: object["additionalRefreshTokenReplayProtectionEnabled"] != false,
            allow_wildcard: object["allowWildcardInRedirectUris"] == true,
            api_scopes: Some(scopes),
            enabled: object["enabled"] == true,
            grant_types: texts(&object["grantTypes"]),
            jwks: object["jwks"].as_str().and_then(|jwks| serde_json::from_str(jwks).ok()),
            key_rotation_policy: true,
            openid_scopes,
            par_requirement: text("parRequirement"),
            pkce_enforcement: text("pkceEnforcement"),
            post_logout_redirect_uris: Some(texts(&object["postLogoutRedirectUris"])),
            redirect_uris: None,
            refresh_token_type: text("refreshTokenType"),
            require_signed_request: object["requireSignedRequestObject"] == true,
            token_endpoint_auth_method: text("tokenEndpointAuthMethod"),
        },
        lifetimes: Lifetimes {
            access_token,
            refresh_token: number("refreshTokenDuration", 2_592_000),
            refresh_rolling: number("refreshTokenRollingDuration", 15_552_000),
            refresh_grace: number("refreshTokenRollingGracePeriodDuration", 0),
        },
        resource,
        has_policy: is_assigned && policy.enabled && policy.has_trigger(),
        skips_sessions: object["skipTokenSessionValidation"] == true,
    })
}

/// The custom resource of an application's grants, the lifetime of its access tokens, and the scopes that are granted.
fn resource_of(state: &State, client_id: &str) -> (Resource, u64, Vec<String>) {
    let none = (Resource { audience: String::new(), scopes: Vec::new() }, 3600, Vec::new());
    let grants = state.directory.items(&format!("applications/{client_id}/grants"));
    let custom = grants.into_iter().find_map(|grant| {
        let id = grant["resource"]["id"].as_str()?;
        Some((state.directory.get(&format!("resources/{id}"))?, id, ids(&grant["scopes"])))
    });
    let Some((resource, id, granted)) = custom else { return none };
    let scopes = state.directory.items(&format!("resources/{id}/scopes"));
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let names = scopes
        .iter()
        .filter(|scope| scope["id"].as_str().is_some_and(|id| granted.contains(&id)))
        .map(|scope| text(&scope["name"]));
    let names = names.collect();
    let scopes = scopes.iter().map(|scope| {
        let name = text(&scope["name"]);
        let description = scope["description"].as_str().map_or_else(|| name.clone(), str::to_owned);
        Scope { name, description }
    });
    let resource = Resource { audience: text(&resource["audience"]), scopes: scopes.collect() };
    let seconds = state.directory.get(&format!("resources/{id}"));
    let seconds = seconds.and_then(|resource| resource["accessTokenValiditySeconds"].as_u64());
    (resource, seconds.unwrap_or(3600), names)
}

/// The ids of the objects in a list.
fn ids(list: &Value) -> Vec<&str> {
    list.as_array().into_iter().flatten().filter_map(|item| item["id"].as_str()).collect()
}

fn texts(list: &Value) -> Vec<String> {
    list.as_array().into_iter().flatten().filter_map(|item| item.as_str().map(str::to_owned)).collect()
}
