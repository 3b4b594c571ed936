//! Deputy's application.

use deputy::config::ClientAuth;
use serde_json::Value;

use super::{Tenant, Unread, known, texts};
use crate::{
    doctor::check::{Check, Seen, Unknown},
    management::{SHORTEST_GRACE, grace_remedy},
};

pub(super) const CHECKS: &[Check<Tenant>] = &[
    Check {
        name: "application",
        looked_at: "GET /applications/<PINGONE_CLIENT_ID>: enabled, type",
        place: "Applications → Deputy",
        look: application,
    },
    Check {
        name: "grant types",
        looked_at: "GET /applications/<PINGONE_CLIENT_ID>: grantTypes, responseTypes",
        place: "Applications → Deputy → Configuration → Grant Type",
        look: grant_types,
    },
    Check {
        name: "PKCE enforcement",
        looked_at: "GET /applications/<PINGONE_CLIENT_ID>: pkceEnforcement",
        place: "Applications → Deputy → Configuration → PKCE Enforcement",
        look: |tenant| {
            let enforcement = known(&tenant.application)?["pkceEnforcement"].as_str().unwrap_or("OPTIONAL");
            let fix = "set it to S256_REQUIRED, so that a stolen code is of no use";
            Ok(Seen::warning_unless(enforcement == "S256_REQUIRED", format!("it is {enforcement}"), fix))
        },
    },
    Check {
        name: "client authentication",
        looked_at: "GET /applications/<PINGONE_CLIENT_ID>: tokenEndpointAuthMethod",
        place: "Applications → Deputy → Configuration → Token Endpoint Authentication Method",
        look: |tenant| {
            let at_pingone =
                known(&tenant.application)?["tokenEndpointAuthMethod"].as_str().unwrap_or_default();
            let ours = tenant.config.pingone.client_auth.method();
            let seen = format!("PingOne has {at_pingone}, and Deputy uses {ours} (PINGONE_CLIENT_AUTH)");
            Ok(Seen::failure_unless(
                at_pingone.eq_ignore_ascii_case(ours),
                seen,
                "set both to the same method",
            ))
        },
    },
    Check {
        name: "client key",
        looked_at: "GET /applications/<PINGONE_CLIENT_ID>: jwks",
        place: "Applications → Deputy → Configuration → JWKS",
        look: client_key,
    },
    Check {
        name: "redirect URIs",
        looked_at: "GET /applications/<PINGONE_CLIENT_ID>: redirectUris, allowWildcardInRedirectUris",
        place: "Applications → Deputy → Configuration → Redirect URIs",
        look: redirect_uris,
    },
    Check {
        name: "Signoff URL",
        looked_at: "GET /applications/<PINGONE_CLIENT_ID>: postLogoutRedirectUris",
        place: "Applications → Deputy → Configuration → Signoff URLs",
        look: signoff_url,
    },
    Check {
        name: "request objects",
        looked_at: "GET /applications/<PINGONE_CLIENT_ID>: parRequirement, requireSignedRequestObject",
        place: "Applications → Deputy → Configuration",
        look: request_objects,
    },
    Check {
        name: "refresh token type",
        looked_at: "GET /applications/<PINGONE_CLIENT_ID>: refreshTokenType",
        place: "Applications → Deputy → Configuration → Refresh Token Format",
        look: |tenant| {
            let kind = known(&tenant.application)?["refreshTokenType"].as_str().unwrap_or("JSON_WEB_TOKEN");
            let seen = format!("it is {kind}");
            let fix = format!(
                "set it to Opaque: PingOne {} JWT refresh tokens on 2027-03-02",
                after(tenant, "ends", "ended")
            );
            Ok(Seen::warning_unless(kind == "OPAQUE_TOKEN", seen, fix))
        },
    },
    Check {
        name: "refresh token rotation",
        looked_at: "GET /applications/<PINGONE_CLIENT_ID>: refreshTokenRollingGracePeriodDuration, \
                    additionalRefreshTokenReplayProtectionEnabled",
        place: "Applications → Deputy → Configuration → Refresh Token Rolling Grace Period",
        look: rotation,
    },
    Check {
        name: "refresh token lifetime",
        looked_at: "GET /applications/<PINGONE_CLIENT_ID>: refreshTokenDuration, refreshTokenRollingDuration",
        place: "Applications → Deputy → Configuration → Refresh Token Duration",
        look: |tenant| {
            let application = known(&tenant.application)?;
            let seconds = application["refreshTokenDuration"].as_u64().unwrap_or(THIRTY_DAYS);
            let ours = tenant.config.refresh_token_lifetime.as_secs();
            let seen =
                format!("it is {seconds} seconds without a refresh, and REFRESH_TOKEN_LIFETIME is {ours}");
            let fix = "make it as long as REFRESH_TOKEN_LIFETIME: users have to log in again before their clients expect it";
            Ok(Seen::warning_unless(seconds >= ours, seen, fix))
        },
    },
    Check {
        name: "sessions",
        looked_at: "GET /applications/<PINGONE_CLIENT_ID>: skipTokenSessionValidation",
        place: "Applications → Deputy → Configuration",
        look: |tenant| {
            let skips = known(&tenant.application)?["skipTokenSessionValidation"] == true;
            Ok(Seen::ok(if skips {
                "refresh tokens outlive the sessions of their users"
            } else {
                "refresh tokens end with their session, and a user has ten at most; skipTokenSessionValidation changes that"
            }))
        },
    },
    Check {
        name: "signing key",
        looked_at: "GET /applications/<PINGONE_CLIENT_ID>: signing.keyRotationPolicy",
        place: "Applications → Deputy → Overview → Key Rotation Policy",
        look: |tenant| {
            let has_policy = known(&tenant.application)?["signing"]["keyRotationPolicy"]["id"].is_string();
            let seen =
                if has_policy { "a key rotation policy signs" } else { "no key rotation policy signs" };
            let fix = format!(
                "choose the default key rotation policy: PingOne {} to it on 2027-03-02",
                after(tenant, "changes", "changed")
            );
            Ok(Seen::warning_unless(has_policy, seen, fix))
        },
    },
];

fn application(tenant: &Tenant) -> Result<Seen, Unknown> {
    let application = match &tenant.application {
        Err(Unread::Absent) => {
            return Ok(Seen::failure(
                "the environment has no application PINGONE_CLIENT_ID",
                "copy PINGONE_CLIENT_ID from the application of this environment",
            ));
        }
        read => known(read)?,
    };
    let kind = application["type"].as_str().unwrap_or_default();
    if application["enabled"] != true {
        return Ok(Seen::failure("the application is disabled", "enable it"));
    }
    let seen = format!("{} is enabled, of type {kind}", application["name"].as_str().unwrap_or_default());
    Ok(Seen::warning_unless(matches!(kind, "WEB_APP" | "AI_AGENT"), seen, "make an OIDC web app for Deputy"))
}

fn grant_types(tenant: &Tenant) -> Result<Seen, Unknown> {
    let application = known(&tenant.application)?;
    let (grants, responses) = (texts(&application["grantTypes"]), texts(&application["responseTypes"]));
    let missing: Vec<_> =
        ["AUTHORIZATION_CODE", "REFRESH_TOKEN"].into_iter().filter(|grant| !grants.contains(grant)).collect();
    if !missing.is_empty() {
        return Ok(Seen::failure(format!("{} is missing", missing.join(" and ")), "enable it"));
    }
    if !responses.is_empty() && !responses.contains(&"CODE") {
        return Ok(Seen::failure("the response type CODE is missing", "enable it"));
    }
    let seen = grants.join(", ");
    Ok(Seen::warning_unless(grants.len() == 2, seen, "disable the grant types that Deputy does not use"))
}

/// Whether the application has the public key of `PINGONE_CLIENT_KEY`.
fn client_key(tenant: &Tenant) -> Result<Seen, Unknown> {
    let application = known(&tenant.application)?;
    let ClientAuth::Key(ours) = &tenant.config.pingone.client_auth else {
        return Err(Unknown("Deputy has a client secret (PINGONE_CLIENT_AUTH)".to_owned()));
    };
    let Some(jwks) = application["jwks"].as_str() else {
        return Err(Unknown("the application names a URL, or has no key".to_owned()));
    };
    let jwks: Value = serde_json::from_str(jwks).unwrap_or_default();
    let is_there = jwks["keys"].as_array().into_iter().flatten().any(|jwk| ours.is(jwk));
    let seen =
        if is_there { "the application has Deputy's public key" } else { "the application has other keys" };
    let fix = format!("add this key to the JWKS of the application: {}", ours.public_jwk());
    Ok(Seen::failure_unless(is_there, seen, fix))
}

fn redirect_uris(tenant: &Tenant) -> Result<Seen, Unknown> {
    let application = known(&tenant.application)?;
    let registered = texts(&application["redirectUris"]);
    let callback = tenant.config.public_url.callback();
    let seen = registered.join(", ");
    if !registered.iter().any(|uri| is_registered(&callback, uri)) {
        return Ok(Seen::failure(format!("{callback} is not among: {seen}"), format!("add {callback}")));
    }
    let has_wildcard = application["allowWildcardInRedirectUris"] == true;
    Ok(Seen::warning_unless(!has_wildcard, seen, "disallow wildcards, so that codes go to Deputy alone"))
}

fn signoff_url(tenant: &Tenant) -> Result<Seen, Unknown> {
    let application = known(&tenant.application)?;
    let registered = texts(&application["postLogoutRedirectUris"]);
    let ours = tenant.config.public_url.agents();
    let seen = if registered.is_empty() { "there is none".to_owned() } else { registered.join(", ") };
    let fix = format!("add {ours}: PingOne redirects the browser there after the sign-off on Your agents");
    Ok(Seen::warning_unless(registered.contains(&ours.as_str()), seen, fix))
}

/// Whether PingOne accepts the URI because of the registered one: loopback URIs match with any port.
fn is_registered(uri: &str, registered: &str) -> bool {
    let without_port = |text: &str| {
        let mut url = url::Url::parse(text).ok()?;
        let is_loopback =
            url.scheme() == "http" && url.host().is_some_and(|host| deputy::types::is_loopback(&host));
        (is_loopback && url.set_port(None).is_ok()).then_some(url)
    };
    uri == registered || without_port(uri).is_some_and(|uri| Some(uri) == without_port(registered))
}

fn request_objects(tenant: &Tenant) -> Result<Seen, Unknown> {
    let application = known(&tenant.application)?;
    let pushed = application["parRequirement"] == "REQUIRED";
    if pushed && !tenant.pushes {
        return Ok(Seen::failure("pushed authorization requests are required", "set PINGONE_PAR=on"));
    }
    let signed = application["requireSignedRequestObject"] == true;
    let seen = match (signed, pushed) {
        (true, _) => "signed requests are required",
        (false, true) => "pushed requests are required, and Deputy sends them",
        (false, false) => "neither pushed nor signed requests are required",
    };
    Ok(Seen::failure_unless(!signed, seen, "require no signed requests: Deputy does not send them"))
}

fn rotation(tenant: &Tenant) -> Result<Seen, Unknown> {
    let application = known(&tenant.application)?;
    let grace = application["refreshTokenRollingGracePeriodDuration"].as_u64().unwrap_or_default();
    let is_protected = application["additionalRefreshTokenReplayProtectionEnabled"] != Value::Bool(false);
    if !is_protected {
        let fix = "turn replay protection on, so that a stolen refresh token ends the login";
        return Ok(Seen::warning("replay protection is off", fix));
    }
    let seen = format!("the grace period is {grace} seconds");
    Ok(Seen::warning_unless(grace >= SHORTEST_GRACE, seen, grace_remedy()))
}

/// The word for before or after PingOne's deadlines of March 2027.
fn after<'a>(tenant: &Tenant, before: &'a str, after: &'a str) -> &'a str {
    if tenant.now.0 < DEADLINE { before } else { after }
}

/// 2027-03-02 00:00 UTC.
const DEADLINE: u64 = 1_803_945_600;

const THIRTY_DAYS: u64 = 2_592_000;
