//! The scopes that the application may request.

use deputy::config::Config;
use serde_json::{Value, json};

use super::{
    compare::{Property, reference},
    error::ProvisionError,
    report::Verb,
    resource::{self, Resource},
    run::{Held, RequiredObject, Run},
};

/// Grants the application the scopes of the API and of OpenID Connect that Deputy requests.
pub(super) async fn ensure(
    run: &mut Run<'_>,
    config: &Config,
    application: Option<&Held>,
    api: Option<&Resource>,
) -> Result<(), ProvisionError> {
    let openid = resource::openid(run).await?;
    let grants = match application {
        Some(application) => run.list(&collection(application)).await?,
        None => Vec::new(),
    };
    let found = |resource: &Resource| {
        grants.iter().find(|grant| grant["resource"]["id"] == *resource.held.id).cloned()
    };
    let scopes: Vec<&str> = config.api.scopes.iter().collect();
    let mut openid_scopes = OPENID.to_vec();
    // It needs no grant, and does no harm in one.
    let has_openid = |grant: &Value| {
        let scopes = grant["scopes"].as_array().into_iter().flatten();
        scopes
            .into_iter()
            .any(|scope| scope["id"].as_str() == openid.scopes.get("openid").map(String::as_str))
    };
    if found(&openid).is_some_and(|grant| has_openid(&grant)) {
        openid_scopes.push("openid");
    }
    for (name, resource, scopes) in [("the API", api, scopes), ("OpenID", Some(&openid), openid_scopes)] {
        let label = format!("grant of {name}");
        match (application, resource) {
            (Some(application), Some(resource)) => {
                let required = RequiredObject {
                    object: label,
                    collection: collection(application),
                    is_it: &|item| item["resource"]["id"] == *resource.held.id,
                    check: &|_| Ok(()),
                    detail: String::new(),
                    body: json!({ "resource": reference(&resource.held.id) }),
                    properties: &|_| vec![granted(resource, &scopes)],
                    is_unique: true,
                };
                run.ensure(&required, found(resource)).await?;
            }
            _ => run.note(Verb::Create, &label, ""),
        }
    }
    // PingOne refuses requests for scopes of two custom resources, and tokens for others are of no use to Deputy.
    let known = [Some(&openid), api];
    let is_known = |grant: &Value| {
        known.into_iter().flatten().any(|resource| grant["resource"]["id"] == *resource.held.id)
    };
    let application = application.map_or("", |held| held.id.as_str());
    for grant in grants.iter().filter(|grant| !is_known(grant)) {
        let id = |value: &Value| value["id"].as_str().unwrap_or_default().to_owned();
        let object = format!("grant of the resource {}", id(&grant["resource"]));
        let path = format!("/applications/{application}/grants/{}", id(grant));
        run.prune(&object, &path, "Deputy requests no scope of it").await?;
    }
    Ok(())
}

/// Exactly these scopes of a resource.
fn granted(resource: &Resource, scopes: &[&str]) -> Property {
    // A run that only compares knows no id of a scope that is missing.
    let id = |name: &&str| resource.scopes.get(*name).cloned().unwrap_or_else(|| (*name).to_owned());
    let ids: Vec<String> = scopes.iter().map(id).collect();
    let ids: Vec<&str> = ids.iter().map(String::as_str).collect();
    let names = resource.scopes.iter().map(|(name, id)| (id.clone(), name.clone())).collect();
    Property::refers(&["scopes"], &ids, names)
}

fn collection(application: &Held) -> (String, &'static str) {
    (format!("/applications/{}/grants", application.id), "grants")
}

/// The scopes of OpenID Connect that Deputy requests beside `openid`, which needs no grant.
const OPENID: [&str; 2] = ["profile", "offline_access"];
