//! The webhook that reports ended logins to Deputy.

use deputy::{
    config::{Config, Webhook},
    host::PingOneEvent,
    secret::Secret,
};
use serde_json::{Value, json};
use strum::VariantArray as _;

use super::{
    compare::Property,
    error::ProvisionError,
    report::{self, Verb},
    run::{RequiredObject, Run, id},
};
use crate::management::is_needed;

/// The secret of the webhook.
pub(super) struct WebhookSecret {
    /// The newest one of `PINGONE_WEBHOOK_SECRET`, or a new one.
    pub(super) value: Secret<String>,
    /// Whether the variable is not set.
    pub(super) is_new: bool,
}

impl WebhookSecret {
    /// The first of the secrets in `given`, or `new`. While a secret is replaced, there are two, and the new one comes first.
    pub(super) fn read(given: Option<&str>, new: String) -> Self {
        let newest = given.map(|secrets| secrets.split(',').next().unwrap_or_default().trim().to_owned());
        Self { is_new: newest.is_none(), value: Secret::new(newest.unwrap_or(new)) }
    }
}

/// The webhook to `PUBLIC_URL`. A new secret goes to a new webhook only.
pub(super) async fn ensure(
    run: &mut Run<'_>,
    config: &Config,
    webhook: &Webhook,
    secret: &WebhookSecret,
) -> Result<(), ProvisionError> {
    let url = config.public_url.at("/pingone/events");
    let collection = ("/subscriptions".to_owned(), "subscriptions");
    let mut found: Vec<_> = run
        .list(&collection)
        .await?
        .into_iter()
        .filter(|item| item["httpEndpoint"]["url"] == url.as_str())
        .collect();
    let others = if found.is_empty() { Vec::new() } else { found.split_off(1) };
    let found = found.pop();
    let object = format!("webhook {url}");
    for other in &others {
        let path = format!("/subscriptions/{}", id(other)?);
        run.prune(&format!("second {object}"), &path, "it sends every event twice").await?;
    }
    let events = PingOneEvent::VARIANTS.iter().copied();
    let names = |events: &mut dyn Iterator<Item = PingOneEvent>| events.map(<&str>::from).collect::<Vec<_>>();
    let needed = names(&mut events.clone().filter(|event| is_needed(*event, webhook)));
    let all = names(&mut events.filter(|event| is_needed(*event, webhook) || !event.is_of_password()));
    let header = || format!("Bearer {}", secret.value.expose());
    let required = RequiredObject {
        object,
        collection,
        is_it: &|item| item["httpEndpoint"]["url"] == url.as_str(),
        check: &|_| Ok(()),
        detail: String::new(),
        body: json!({ "name": "Deputy", "httpEndpoint": { "url": url } }),
        properties: &|found| {
            // An operator may have left out the events of locked users and of sessions.
            let events = if found.is_some() { &needed } else { &all };
            let mut properties = vec![
                Property::is(&["enabled"], true),
                Property::is(&["format"], "ACTIVITY"),
                Property::is(&["verifyTlsCertificates"], true),
                Property::covers(&["filterOptions", "includedActionTypes"], events),
            ];
            // A Deputy that runs with the secret of a webhook would refuse its events with another one.
            if found.is_none_or(|found| !secret.is_new && !has_secret(found, webhook)) {
                properties.push(
                    Property::unshown(&["httpEndpoint", "headers"], with_authorization(found, header()))
                        .labeled("httpEndpoint.headers.Authorization"),
                );
            }
            properties
        },
        is_unique: false,
    };
    let is_later = secret.is_new && found.is_none() && report::count(&run.lines, &[Verb::ByHand]) > 0;
    if is_later {
        // A run that ends with steps by hand writes no file, so the secret would be lost.
        let step = "the other steps by hand come first. Then this command makes it, with a new secret";
        run.note(Verb::ByHand, &required.object, step);
        return Ok(());
    }
    let held = run.ensure(&required, found).await?;
    if let Some(held) = held
        && secret.is_new
        && !held.is_new
        && !has_secret(&held.value, webhook)
    {
        let step = "it exists: set PINGONE_WEBHOOK_SECRET to the secret in its header Authorization, or delete it in PingOne, \
                    so that this command makes it anew";
        run.note(Verb::ByHand, &required.object, step);
    }
    Ok(())
}

/// Whether the webhook sends the newest secret.
fn has_secret(found: &Value, webhook: &Webhook) -> bool {
    let headers = found["httpEndpoint"]["headers"].as_object();
    let header = headers.into_iter().flatten().find(|(name, _)| is_authorization(name));
    let value = header.and_then(|(_, value)| value.as_str());
    value.is_some_and(|value| webhook.newest().accepts(value.as_bytes()))
}

/// The headers of the webhook with this value of `Authorization`, and without one that has the name in other letters.
fn with_authorization(found: Option<&Value>, value: String) -> Value {
    let headers = found.and_then(|found| found["httpEndpoint"]["headers"].as_object().cloned());
    let mut headers = headers.unwrap_or_default();
    headers.retain(|name, _| !is_authorization(name));
    headers.insert("Authorization".to_owned(), value.into());
    headers.into()
}

/// Whether a header has this name (RFC 9110 §5.1).
fn is_authorization(name: &str) -> bool {
    name.eq_ignore_ascii_case("authorization")
}
