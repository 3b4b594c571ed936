//! The resource of the API, its scopes, and the scopes that the application is granted.

use serde_json::Value;

use super::{Tenant, items, known};
use crate::doctor::check::{Check, Seen, Unknown};

pub(super) const CHECKS: &[Check<Tenant>] = &[
    Check {
        name: "resource",
        looked_at: "GET /resources: audience",
        place: "Applications → Resources → your API",
        look: |tenant| {
            let identifier = &tenant.config.api.identifier;
            let found = of_api(tenant)?.map(|resource| resource["name"].as_str().unwrap_or_default());
            Ok(match found {
                Some(name) => Seen::ok(format!("the audience of {name} is {identifier}")),
                None => Seen::failure(
                    format!("no resource has the audience {identifier}"),
                    "set API_IDENTIFIER to the audience of the resource, or the audience to API_IDENTIFIER",
                ),
            })
        },
    },
    Check {
        name: "scopes of the resource",
        looked_at: "GET /resources/<id>/scopes",
        place: "Applications → Resources → your API → Scopes",
        look: |tenant| {
            let scopes = items(&tenant.api_scopes)?;
            let missing = missing(tenant, |wanted| scopes.iter().any(|scope| scope["name"] == wanted));
            let fix = "add them to the resource, or correct API_SCOPES";
            Ok(unless_missing(&missing, "the resource has every scope of API_SCOPES", fix))
        },
    },
    Check {
        name: "granted scopes",
        looked_at: "GET /applications/<PINGONE_CLIENT_ID>/grants",
        place: "Applications → Deputy → Resources",
        look: |tenant| {
            let (scopes, granted) = (items(&tenant.api_scopes)?, granted_ids(tenant)?);
            let is_granted = |wanted: &str| {
                scopes.iter().any(|scope| scope["name"] == wanted && granted.contains(&&scope["id"]))
            };
            let missing = missing(tenant, is_granted);
            let fix = "allow the application these scopes of the resource";
            Ok(unless_missing(&missing, "the application may request every scope of API_SCOPES", fix))
        },
    },
    Check {
        name: "OpenID scopes",
        looked_at: "GET /applications/<PINGONE_CLIENT_ID>/grants",
        place: "Applications → Deputy → Resources → OpenID",
        look: |tenant| {
            let (scopes, granted) = (items(&tenant.openid_scopes)?, granted_ids(tenant)?);
            let is_granted = |wanted: &&str| {
                !scopes.iter().any(|scope| scope["name"] == *wanted && granted.contains(&&scope["id"]))
            };
            let missing: Vec<_> = ["offline_access", "profile"].into_iter().filter(is_granted).collect();
            let fix =
                "allow the application profile, for the user's name, and offline_access, for refresh tokens";
            Ok(Seen::warning_unless(
                missing.is_empty(),
                if missing.is_empty() {
                    "profile and offline_access are granted".to_owned()
                } else {
                    format!("not granted: {}", missing.join(" "))
                },
                fix,
            ))
        },
    },
    Check {
        name: "access token lifetime",
        looked_at: "GET /resources: accessTokenValiditySeconds",
        place: "Applications → Resources → your API → Access Token Duration",
        look: |tenant| {
            let resource = of_api(tenant)?.ok_or_else(|| Unknown("there is no such resource".to_owned()))?;
            let seconds = resource["accessTokenValiditySeconds"].as_u64().unwrap_or(3600);
            let fix = "make it 300 seconds or more: Deputy replaces a token a minute before its end, and every refresh is a \
                       request to PingOne";
            Ok(Seen::warning_unless(seconds >= SHORTEST, format!("it is {seconds} seconds"), fix))
        },
    },
];

/// The resource whose audience is the API.
fn of_api(tenant: &Tenant) -> Result<Option<&Value>, Unknown> {
    let identifier = tenant.config.api.identifier.as_str();
    Ok(items(&tenant.resources)?.iter().find(|resource| resource["audience"] == identifier))
}

/// The ids of the scopes that the application is granted.
fn granted_ids(tenant: &Tenant) -> Result<Vec<&Value>, Unknown> {
    known(&tenant.application)?;
    let grants = items(&tenant.grants)?.iter();
    Ok(grants
        .flat_map(|grant| grant["scopes"].as_array().into_iter().flatten())
        .map(|scope| &scope["id"])
        .collect())
}

/// The scopes of `API_SCOPES` that `has` does not know.
fn missing(tenant: &Tenant, has: impl Fn(&str) -> bool) -> Vec<&str> {
    tenant.config.api.scopes.iter().filter(|scope| !has(scope)).collect()
}

fn unless_missing(missing: &[&str], right: &str, fix: &str) -> Seen {
    let seen = if missing.is_empty() { right.to_owned() } else { format!("missing: {}", missing.join(" ")) };
    Seen::failure_unless(missing.is_empty(), seen, fix)
}

const SHORTEST: u64 = 300;
