//! The webhook that reports ended logins to Deputy.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use deputy::{
    config::{Config, Webhook},
    secret::Secret,
};
use serde_json::{Value, json};

use super::{
    compare::Property,
    error::ProvisionError,
    run::{Run, Wanted},
};

/// The webhook to `PUBLIC_URL`, with the newest of the secrets.
pub(super) async fn ensure(
    run: &mut Run<'_>,
    config: &Config,
    webhook: &Webhook,
    secret: &Secret<String>,
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
        let path = format!("/subscriptions/{}", other["id"].as_str().unwrap_or_default());
        run.prune(&format!("second {object}"), &path, "it sends every event twice").await?;
    }
    let mut events = EVENTS.to_vec();
    if webhook.password_events_end {
        events.extend(PASSWORD_EVENTS);
    }
    // An operator may have left out the events of locked users and of sessions.
    let needed = if found.is_some() { &events[EVENTS.len() - NEEDED..] } else { events.as_slice() };
    let mut properties = vec![
        Property::is(&["enabled"], true),
        Property::is(&["format"], "ACTIVITY"),
        Property::is(&["verifyTlsCertificates"], true),
        Property::covers(&["filterOptions", "includedActionTypes"], needed),
    ];
    if !found.as_ref().is_some_and(|found| has_secret(found, webhook)) {
        properties.push(Property::unshown(
            &["httpEndpoint", "headers", "Authorization"],
            format!("Bearer {}", secret.expose()),
        ));
    }
    let wanted = Wanted {
        object,
        collection,
        is_it: &|item| item["httpEndpoint"]["url"] == url.as_str(),
        body: json!({ "name": "Deputy", "httpEndpoint": { "url": url } }),
        properties,
        is_unique: false,
    };
    run.ensure(&wanted, found).await?;
    Ok(())
}

/// Whether the header of the webhook has a secret that Deputy knows.
fn has_secret(found: &Value, webhook: &Webhook) -> bool {
    let headers = found["httpEndpoint"]["headers"].as_object();
    let header = headers.into_iter().flatten().find(|(name, _)| name.eq_ignore_ascii_case("authorization"));
    let Some(value) = header.and_then(|(_, value)| value.as_str()) else { return false };
    if let Some(secret) = value.strip_prefix("Bearer ") {
        return webhook.knows(secret.as_bytes());
    }
    let basic = value.strip_prefix("Basic ").and_then(|pair| STANDARD.decode(pair).ok());
    let basic = basic.and_then(|pair| String::from_utf8(pair).ok());
    basic.is_some_and(|pair| {
        pair.split_once(':').is_some_and(|(_, password)| webhook.knows(password.as_bytes()))
    })
}

/// The events of a new webhook. The last [`NEEDED`] are those that every Deputy needs.
const EVENTS: [&str; 5] =
    ["USER.LOCKED", "SESSION.DELETED", "OAUTH_CONSENT.REVOKED", "USER.DELETED", "USER.DISABLED"];
const NEEDED: usize = 3;

/// The events that `PINGONE_PASSWORD_EVENTS=end` is about.
const PASSWORD_EVENTS: [&str; 4] =
    ["PASSWORD.FORCE_CHANGE", "PASSWORD.RECOVERY", "PASSWORD.RESET", "PASSWORD.SET"];
