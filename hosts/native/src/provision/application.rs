//! Deputy's application.

use deputy::config::{ClientAuth, ClientKey, Config};
use serde_json::{Value, json};

use super::{
    compare::Property,
    error::ProvisionError,
    report::Verb,
    run::{Held, RequiredObject, Run, id},
};
use crate::{
    admin::printable,
    management::{GRACE, SHORTEST_GRACE, is_id},
};

/// The application `PINGONE_CLIENT_ID`. Without the variable, a new one with the name, or that of an earlier run, which its
/// description tells.
pub(super) async fn ensure(
    run: &mut Run<'_>,
    config: &Config,
    name: &str,
    client_id: Option<&str>,
) -> Result<Option<Held>, ProvisionError> {
    let pushes = run.pushes;
    let collection = ("/applications".to_owned(), "applications");
    let found = match client_id {
        Some(id) => {
            let id = Some(id).filter(|id| is_id(id)).ok_or(ProvisionError::NoApplication)?;
            let path = format!("/applications/{id}");
            let found = run.management.find(&path).await.map_err(ProvisionError::of)?;
            Some(found.ok_or(ProvisionError::NoApplication)?)
        }
        None => run.list(&collection).await?.into_iter().find(|item| item["name"] == name),
    };
    let description =
        format!("Deputy: an MCP server for AI agents. Made by deputy provision for {}", config.public_url);
    let required = RequiredObject {
        object: format!("application {name}"),
        collection,
        is_it: &|item| item["name"] == name,
        check: &|found| {
            refuse_another_kind(found, name)?;
            if client_id.is_none() && found["description"] != description {
                let (name, id) = (name.to_owned(), id(found)?.to_owned());
                return Err(ProvisionError::NotAdopted { name, id });
            }
            Ok(())
        },
        detail: String::new(),
        body: json!({
            "name": name,
            "description": description,
            "type": TYPE,
            "protocol": PROTOCOL,
            // Deputy calls PingOne from its server alone.
            "corsSettings": { "behavior": "ALLOW_NO_ORIGINS" },
        }),
        properties: &|found| properties(config, pushes, found),
        is_unique: true,
    };
    let held = run.ensure(&required, found).await?;
    if let (Some(held), ClientAuth::Key(key)) = (&held, &config.pingone.client_auth)
        && let Err((verb, reason)) = with_key(Some(&held.value), key)
    {
        run.note(verb, &required.object, reason);
    }
    Ok(held)
}

/// The properties of docs/pingone.md.
fn properties(config: &Config, pushes: bool, found: Option<&Value>) -> Vec<Property> {
    let method = config.pingone.client_auth.method().to_uppercase();
    // Both prove that the client has its secret or key without sending it.
    let is_stricter: fn(&Value) -> bool = match config.pingone.client_auth {
        ClientAuth::Key(_) => |_| false,
        ClientAuth::Basic(_) | ClientAuth::Post(_) => {
            |held| *held == "CLIENT_SECRET_JWT" || *held == "PRIVATE_KEY_JWT"
        }
    };
    let lifetime = config.refresh_token_lifetime.as_secs();
    let mut properties = vec![
        // An administrator may have disabled it deliberately.
        Property::is(&["enabled"], true).or(false).loosening(|_| true),
        Property::lists(&["grantTypes"], &["AUTHORIZATION_CODE", "REFRESH_TOKEN"]),
        Property::lists(&["responseTypes"], &["CODE"]),
        Property::is(&["pkceEnforcement"], "S256_REQUIRED").or("OPTIONAL"),
        Property::is(&["tokenEndpointAuthMethod"], method).loosening(is_stricter),
        Property::lists(&["redirectUris"], &[&config.public_url.callback()]),
        Property::lists(&["postLogoutRedirectUris"], &[&config.public_url.agents()]),
        Property::is(&["allowWildcardInRedirectUris"], false).or(false),
        Property::is(&["requireSignedRequestObject"], false).or(false).loosening(|_| true),
        Property::is(&["refreshTokenType"], "OPAQUE_TOKEN"),
        Property::is(&["additionalRefreshTokenReplayProtectionEnabled"], true).or(true),
        Property::at_least(&["refreshTokenRollingGracePeriodDuration"], GRACE)
            .accepting(SHORTEST_GRACE)
            .or(0),
        Property::at_least(&["refreshTokenDuration"], lifetime).or(THIRTY_DAYS),
        Property::at_least(&["refreshTokenRollingDuration"], lifetime.max(HALF_A_YEAR)).or(HALF_A_YEAR),
    ];
    // A Deputy that pushes its requests accepts both values.
    if !pushes {
        properties.push(Property::is(&["parRequirement"], "OPTIONAL").or("OPTIONAL").loosening(|_| true));
    }
    if let ClientAuth::Key(key) = &config.pingone.client_auth
        && let Ok(Some(jwks)) = with_key(found, key)
    {
        properties.push(Property::unshown(&["jwks"], jwks));
    }
    properties
}

/// The key set of the application with Deputy's key, unless it has it. Other keys stay: one may be in use until Deputy has
/// the new one. An error is a line about a key set that this command does not replace.
fn with_key(found: Option<&Value>, key: &ClientKey) -> Result<Option<String>, (Verb, &'static str)> {
    let member = |name: &str| found.map(|found| &found[name]).filter(|value| !value.is_null());
    if member("jwksUrl").is_some() {
        return Err((
            Verb::Keep,
            "jwksUrl: the key set at that URL must have the public key of PINGONE_CLIENT_KEY",
        ));
    }
    let mut keys = match member("jwks") {
        None => Vec::new(),
        Some(jwks) => {
            let jwks: Option<Value> = jwks.as_str().and_then(|jwks| serde_json::from_str(jwks).ok());
            let keys = jwks.as_ref().and_then(|jwks| jwks["keys"].as_array()).cloned();
            keys.ok_or((Verb::ByHand, "jwks is not a key set: correct it in PingOne"))?
        }
    };
    let ours = key.public_jwk();
    if keys.iter().any(|held| key.is(held)) {
        return Ok(None);
    }
    if keys.iter().any(|held| !ours["kid"].is_null() && held["kid"] == ours["kid"]) {
        let reason = "jwks has another key with the kid of PINGONE_CLIENT_KEY: remove it, or make a new key with deputy keys";
        return Err((Verb::ByHand, reason));
    }
    keys.push(ours);
    Ok(Some(json!({ "keys": keys }).to_string()))
}

fn refuse_another_kind(found: &Value, name: &str) -> Result<(), ProvisionError> {
    let (kind, protocol) = (&found["type"], &found["protocol"]);
    if *protocol == PROTOCOL && (*kind == TYPE || *kind == "AI_AGENT") {
        return Ok(());
    }
    let shown = |value: &Value| printable(value.as_str().unwrap_or("unknown"));
    Err(ProvisionError::Conflict {
        object: format!("the application {}", printable(found["name"].as_str().unwrap_or(name))),
        reason: format!(
            "its type is {} with {}, and Deputy needs {TYPE} with {PROTOCOL}",
            shown(kind),
            shown(protocol)
        ),
        option: "--application-name (PROVISION_APPLICATION_NAME)",
    })
}

const PROTOCOL: &str = "OPENID_CONNECT";
const TYPE: &str = "WEB_APP";

/// PingOne's default of `refreshTokenDuration`.
const THIRTY_DAYS: u64 = 2_592_000;

/// PingOne's default of `refreshTokenRollingDuration`.
const HALF_A_YEAR: u64 = 15_552_000;
