//! The API's resource, and its scopes.

use std::collections::BTreeMap;

use deputy::config::Config;
use serde_json::json;

use super::{
    error::ProvisionError,
    report::Verb,
    run::{Held, RequiredObject, Run},
};
use crate::admin::printable;

/// A resource, and the ids of its scopes by their names.
pub(super) struct Resource {
    pub(super) held: Held,
    pub(super) scopes: BTreeMap<String, String>,
}

/// The resource whose audience is `API_IDENTIFIER`, with every scope of `API_SCOPES`. Other scopes of it stay: other
/// applications may use them.
pub(super) async fn ensure(
    run: &mut Run<'_>,
    config: &Config,
    name: &str,
) -> Result<Option<Resource>, ProvisionError> {
    let audience = config.api.identifier.as_str();
    let collection = ("/resources".to_owned(), "resources");
    let items = run.list(&collection).await?;
    let found: Vec<_> = items.iter().filter(|item| item["audience"] == audience).collect();
    let conflict = |reason: String| ProvisionError::Conflict {
        object: format!("the resource {name}"),
        reason,
        option: "--resource-name (PROVISION_RESOURCE_NAME)",
    };
    if found.len() > 1 {
        return Err(conflict(format!("{} resources have the audience {audience}", found.len())));
    }
    let same_name = items.iter().find(|item| item["name"] == name);
    if let (true, Some(other)) = (found.is_empty(), same_name) {
        let other = printable(other["audience"].as_str().unwrap_or_default());
        return Err(conflict(format!("its audience is {other}, and API_IDENTIFIER is {audience}")));
    }
    let required = RequiredObject {
        object: format!("resource {audience}"),
        collection,
        is_it: &|item| item["audience"] == audience,
        check: &|_| Ok(()),
        body: json!({
            "name": name,
            "description": "The API that Deputy's tools call",
            "audience": audience,
            "accessTokenValiditySeconds": 3600,
        }),
        properties: &|_| Vec::new(),
        is_unique: true,
    };
    let held = run.ensure(&required, found.first().map(|found| (*found).clone())).await?;
    let Some(held) = held else {
        for scope in config.api.scopes.iter() {
            run.note(Verb::Create, &label(scope), "");
        }
        return Ok(None);
    };
    let scopes = scopes(run, config, &held).await?;
    Ok(Some(Resource { held, scopes }))
}

/// The resource of OpenID Connect, which every environment has.
pub(super) async fn openid(run: &Run<'_>) -> Result<Resource, ProvisionError> {
    let items = run.list(&("/resources".to_owned(), "resources")).await?;
    let found = items.into_iter().find(|item| item["type"] == "OPENID_CONNECT");
    let value = found.ok_or(ProvisionError::NotPingOne("resource of OpenID Connect"))?;
    let held = Held::new(value)?;
    let scopes = named(run, &held).await?;
    Ok(Resource { held, scopes })
}

async fn scopes(
    run: &mut Run<'_>,
    config: &Config,
    resource: &Held,
) -> Result<BTreeMap<String, String>, ProvisionError> {
    let mut scopes = named(run, resource).await?;
    for name in config.api.scopes.iter() {
        if scopes.contains_key(name) {
            run.note(Verb::Ok, &label(name), "");
            continue;
        }
        let required = RequiredObject {
            object: label(name),
            collection: (format!("/resources/{}/scopes", resource.id), "scopes"),
            is_it: &|item| item["name"] == name,
            check: &|_| Ok(()),
            body: json!({ "name": name }),
            properties: &|_| Vec::new(),
            is_unique: true,
        };
        if let Some(scope) = run.ensure(&required, None).await? {
            scopes.insert(name.to_owned(), scope.id);
        }
    }
    Ok(scopes)
}

/// The scopes of a resource.
async fn named(run: &Run<'_>, resource: &Held) -> Result<BTreeMap<String, String>, ProvisionError> {
    let items = run.list(&(format!("/resources/{}/scopes", resource.id), "scopes")).await?;
    let pair = |member: &serde_json::Value| member.as_str().map(str::to_owned);
    Ok(items.iter().filter_map(|scope| Some((pair(&scope["name"])?, pair(&scope["id"])?))).collect())
}

fn label(scope: &str) -> String {
    format!("scope {scope}")
}
