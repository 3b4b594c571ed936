//! The environment, its products, resources, webhooks and users, and the roles of all environments.

use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use super::collection;
use crate::{config::User, settings::Settings, simulator::Simulator};

pub(super) fn read(sim: &Simulator, settings: &Settings, path: &[&str]) -> Option<Value> {
    let id = &sim.config().environment_id;
    Some(match path {
        [] => json!({ "id": id, "name": "Simulated PingOne", "type": "SANDBOX", "region": "EU" }),
        ["billOfMaterials"] => {
            let products: Vec<_> =
                settings.tenant.products.iter().map(|kind| json!({ "type": kind })).collect();
            json!({ "products": products })
        }
        ["resources"] => collection("resources", resources(sim, settings)),
        ["resources", id] => resources(sim, settings).into_iter().find(|resource| resource["id"] == *id)?,
        ["resources", id, "scopes"] => collection("scopes", scopes(sim, id)?),
        ["subscriptions"] => collection("subscriptions", subscriptions(settings)),
        ["users"] => collection("users", sim.state().users.iter().map(user).collect()),
        ["users", id] => user(sim.state().user(id)?),
        _ => return None,
    })
}

pub(super) fn roles() -> Value {
    let roles = ROLES.iter().map(|name| json!({ "id": role_id(name), "name": name })).collect();
    collection("roles", roles)
}

/// The id of a role.
pub(super) fn role_id(name: &str) -> String {
    let number = ROLES.iter().position(|role| *role == name).unwrap_or(ROLES.len());
    format!("401e0000-0000-4000-8000-{number:012}")
}

/// The id of a scope.
pub(crate) fn scope_id(name: &str) -> String {
    let mut first = [0; 16];
    first.copy_from_slice(&Sha256::digest(name)[..16]);
    let hex = format!("{:032x}", u128::from_be_bytes(first));
    format!("{}-{}-{}-{}-{}", &hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..])
}

fn resources(sim: &Simulator, settings: &Settings) -> Vec<Value> {
    let audience = settings.tenant.resource.audience.clone();
    let openid = json!({ "id": OPENID, "name": "openid", "type": "OPENID_CONNECT" });
    let api = || {
        json!({
            "id": API,
            "name": "API",
            "type": "CUSTOM",
            "audience": audience.unwrap_or_else(|| sim.config().resource.audience.clone()),
            "accessTokenValiditySeconds": settings.access_token_seconds,
        })
    };
    [openid].into_iter().chain((!sim.config().empty).then(api)).collect()
}

fn scopes(sim: &Simulator, resource: &str) -> Option<Vec<Value>> {
    let names: Vec<&str> = match resource {
        OPENID => OPENID_SCOPES.to_vec(),
        API if !sim.config().empty => {
            sim.config().resource.scopes.iter().map(|scope| scope.name.as_str()).collect()
        }
        _ => return None,
    };
    Some(names.into_iter().map(|name| json!({ "id": scope_id(name), "name": name })).collect())
}

fn subscriptions(settings: &Settings) -> Vec<Value> {
    let numbered = settings.tenant.subscriptions.iter().zip(1..);
    let subscription = numbered.map(|(held, number)| {
        json!({
            "id": format!("50b50000-0000-4000-8000-{number:012}"),
            "name": "Deputy",
            "enabled": held.enabled,
            "format": "ACTIVITY",
            "httpEndpoint": { "url": held.url },
            "filterOptions": { "includedActionTypes": held.action_types },
            "verifyTlsCertificates": held.verify_tls,
        })
    });
    // The webhook that this simulator sends to.
    let sending = settings.webhook.url.iter().map(|url| {
        json!({
            "id": "50b50000-0000-4000-8000-000000000000",
            "name": "Webhook",
            "enabled": true,
            "format": "ACTIVITY",
            "httpEndpoint": { "url": url },
            "filterOptions": { "includedActionTypes": EVENTS },
            "verifyTlsCertificates": true,
        })
    });
    sending.chain(subscription).collect()
}

fn user(user: &User) -> Value {
    json!({
        "id": user.id,
        "username": user.username,
        "email": user.email,
        "name": { "given": user.given_name, "family": user.family_name },
        "enabled": true,
        "account": { "status": if user.locked { "LOCKED" } else { "OK" } },
    })
}

/// The resource of OpenID Connect.
pub(crate) const OPENID: &str = "0be21d00-0000-4000-8000-000000000001";
/// The resource of the API.
pub(super) const API: &str = "a9100000-0000-4000-8000-000000000002";

pub(crate) const OPENID_SCOPES: [&str; 6] =
    ["address", "email", "offline_access", "openid", "phone", "profile"];

/// The events that the simulator sends.
const EVENTS: [&str; 5] =
    ["OAUTH_CONSENT.REVOKED", "SESSION.DELETED", "USER.DELETED", "USER.DISABLED", "USER.LOCKED"];

const ROLES: [&str; 8] = [
    "Client Application Developer",
    "Configuration Read Only",
    "DaVinci Admin",
    "DaVinci Admin Read Only",
    "Environment Admin",
    "Identity Data Admin",
    "Identity Data Read Only",
    "Organization Admin",
];
