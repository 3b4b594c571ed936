//! The API's resource, and its scopes.

use std::collections::BTreeMap;

use deputy::config::Config;
use serde_json::{Value, json};

use super::{
    compare::Property,
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
/// applications may use them. A scope without a description gets that of `descriptions`.
pub(super) async fn ensure(
    run: &mut Run<'_>,
    config: &Config,
    name: &str,
    descriptions: &BTreeMap<String, String>,
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
        detail: String::new(),
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
            run.note(Verb::Create, &label(scope), words_of(scope, descriptions));
        }
        return Ok(None);
    };
    let scopes = scopes(run, config, &held, descriptions).await?;
    Ok(Some(Resource { held, scopes }))
}

/// The resource of OpenID Connect, which every environment has.
pub(super) async fn openid(run: &Run<'_>) -> Result<Resource, ProvisionError> {
    let items = run.list(&("/resources".to_owned(), "resources")).await?;
    let found = items.into_iter().find(|item| item["type"] == "OPENID_CONNECT");
    let value = found.ok_or(ProvisionError::NotPingOne("resource of OpenID Connect"))?;
    let held = Held::new(value)?;
    let scopes = by_name(&run.list(&(format!("/resources/{}/scopes", held.id), "scopes")).await?);
    Ok(Resource { held, scopes })
}

async fn scopes(
    run: &mut Run<'_>,
    config: &Config,
    resource: &Held,
    descriptions: &BTreeMap<String, String>,
) -> Result<BTreeMap<String, String>, ProvisionError> {
    let collection = (format!("/resources/{}/scopes", resource.id), "scopes");
    let items = run.list(&collection).await?;
    let mut scopes = by_name(&items);
    for name in config.api.scopes.iter() {
        let words = words_of(name, descriptions);
        let found = items.iter().find(|item| item["name"] == name);
        let held = found.map_or("", |scope| scope["description"].as_str().unwrap_or_default());
        if !words.is_empty() && !held.is_empty() && held != words {
            // Users read it on the consent page, so an administrator may have chosen other words.
            run.note(Verb::Ok, &label(name), format!("PingOne has another description, which stays: {held}"));
            continue;
        }
        let properties = |_: Option<&Value>| {
            (!words.is_empty()).then(|| Property::is(&["description"], words)).into_iter().collect()
        };
        let required = RequiredObject {
            object: label(name),
            collection: collection.clone(),
            is_it: &|item| item["name"] == name,
            check: &|_| Ok(()),
            detail: words.to_owned(),
            body: json!({ "name": name }),
            properties: &properties,
            is_unique: true,
        };
        if let Some(scope) = run.ensure(&required, found.cloned()).await? {
            scopes.insert(name.to_owned(), scope.id);
        }
    }
    Ok(scopes)
}

/// The ids of scopes by their names.
fn by_name(items: &[Value]) -> BTreeMap<String, String> {
    let text = |member: &Value| member.as_str().map(str::to_owned);
    items.iter().filter_map(|scope| Some((text(&scope["name"])?, text(&scope["id"])?))).collect()
}

/// The description of a scope; empty if there is none.
fn words_of<'a>(scope: &str, descriptions: &'a BTreeMap<String, String>) -> &'a str {
    descriptions.get(scope).map_or("", String::as_str)
}

fn label(scope: &str) -> String {
    format!("scope {scope}")
}
