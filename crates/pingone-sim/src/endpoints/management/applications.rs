//! The applications, with their grants, roles and policies.

use serde_json::{Value, json};

use super::{
    collection, davinci,
    environment::{self, API, OPENID, scope_id},
};
use crate::{endpoints::sign_off::post_logout_redirect_uris, settings::Settings, simulator::Simulator};

pub(super) fn read(sim: &Simulator, settings: &Settings, path: &[&str]) -> Option<Value> {
    let config = sim.config();
    // In an empty environment there is none, and no path has an empty id.
    let deputy = if config.empty { "" } else { config.application.client_id.as_str() };
    Some(match path {
        [] => collection("applications", applications(sim, settings)),
        [id] => applications(sim, settings).into_iter().find(|application| application["id"] == *id)?,
        [id, "grants"] if *id == deputy => collection("grants", grants(sim, settings)),
        [id, "flowPolicyAssignments"] if *id == deputy => {
            collection("flowPolicyAssignments", flow_policies(sim, settings))
        }
        [id, "signOnPolicyAssignments"] if *id == deputy => {
            collection("signOnPolicyAssignments", sign_on_policies(settings))
        }
        [id, "roleAssignments"] => {
            let roles = match *id {
                id if id == deputy => [].as_slice(),
                davinci::WORKER => &settings.tenant.connector.worker_roles,
                id => settings.tenant.roles_of(config, config.worker(id)?),
            };
            collection("roleAssignments", role_assignments(sim, roles))
        }
        _ => return None,
    })
}

fn applications(sim: &Simulator, settings: &Settings) -> Vec<Value> {
    let config = sim.config();
    let connector = &settings.tenant.connector;
    let deputy = (!config.empty).then(|| deputy(sim, settings));
    let others = [
        worker(&config.worker.client_id, "Deputy doctor", true),
        worker(&config.provisioner.client_id, "Deputy provision", true),
        worker(davinci::WORKER, "PingOne DaVinci Connection", connector.worker_enabled),
    ];
    deputy.into_iter().chain(others).collect()
}

fn deputy(sim: &Simulator, settings: &Settings) -> Value {
    let application = &settings.tenant.application;
    let redirect_uris = application.redirect_uris.as_ref().unwrap_or(&sim.config().application.redirect_uris);
    let mut object = json!({
        "id": sim.config().application.client_id,
        "name": sim.config().application.name,
        "type": "WEB_APP",
        "protocol": "OPENID_CONNECT",
        "enabled": application.enabled,
        "grantTypes": application.grant_types,
        "responseTypes": ["CODE"],
        "pkceEnforcement": application.pkce_enforcement,
        "tokenEndpointAuthMethod": application.token_endpoint_auth_method,
        "redirectUris": redirect_uris,
        "postLogoutRedirectUris": post_logout_redirect_uris(application, redirect_uris),
        "allowWildcardInRedirectUris": application.allow_wildcard,
        "parRequirement": application.par_requirement,
        "requireSignedRequestObject": application.require_signed_request,
        "refreshTokenType": application.refresh_token_type,
        "refreshTokenDuration": settings.refresh_token_seconds,
        "refreshTokenRollingDuration": settings.refresh_rolling_seconds,
        "refreshTokenRollingGracePeriodDuration": settings.refresh_grace_seconds,
        "additionalRefreshTokenReplayProtectionEnabled": application.replay_protection,
        "skipTokenSessionValidation": settings.skip_token_session_validation,
        "requestScopesForMultipleResourcesEnabled": false,
    });
    if let Some(jwks) = &application.jwks {
        object["jwks"] = json!(jwks.to_string());
    }
    if application.key_rotation_policy {
        object["signing"] = json!({ "keyRotationPolicy": { "id": KEY_ROTATION_POLICY } });
    }
    object
}

fn worker(id: &str, name: &str, enabled: bool) -> Value {
    json!({
        "id": id,
        "name": name,
        "type": "WORKER",
        "protocol": "OPENID_CONNECT",
        "enabled": enabled,
        "grantTypes": ["CLIENT_CREDENTIALS"],
        "tokenEndpointAuthMethod": "CLIENT_SECRET_BASIC",
    })
}

fn grants(sim: &Simulator, settings: &Settings) -> Vec<Value> {
    let application = &settings.tenant.application;
    let of_api = application
        .api_scopes
        .clone()
        .unwrap_or_else(|| sim.config().resource.scopes.iter().map(|scope| scope.name.clone()).collect());
    let grant = |resource: &str, scopes: &[String]| {
        let scopes: Vec<_> = scopes.iter().map(|name| json!({ "id": scope_id(name) })).collect();
        json!({ "resource": { "id": resource }, "scopes": scopes })
    };
    vec![grant(OPENID, &application.openid_scopes), grant(API, &of_api)]
}

fn flow_policies(sim: &Simulator, settings: &Settings) -> Vec<Value> {
    let policy = &settings.tenant.policy;
    let mut assigned = Vec::new();
    if policy.other_first {
        assigned.push(davinci::OTHER_POLICY);
    }
    if policy.assigned && policy.sign_on_policies.is_empty() {
        assigned.push(&sim.config().policy_id);
    }
    let assignment =
        |(id, priority): (&str, u32)| json!({ "flowPolicy": { "id": id }, "priority": priority });
    assigned.into_iter().zip(1..).map(assignment).collect()
}

fn sign_on_policies(settings: &Settings) -> Vec<Value> {
    let names = settings.tenant.policy.sign_on_policies.iter().zip(1_u32..);
    names.map(|(name, priority)| json!({ "signOnPolicy": { "id": name }, "priority": priority })).collect()
}

fn role_assignments(sim: &Simulator, roles: &[String]) -> Vec<Value> {
    let scope = json!({ "type": "ENVIRONMENT", "id": sim.config().environment_id });
    roles.iter().map(|name| json!({ "role": { "id": environment::role_id(name) }, "scope": scope })).collect()
}

/// The default key rotation policy.
pub(super) const KEY_ROTATION_POLICY: &str = "2e90e000-0000-4000-8000-000000000001";
