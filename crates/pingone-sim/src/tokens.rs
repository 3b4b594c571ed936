//! The token response, and the tokens in it.

use axum::{http::StatusCode, response::Response};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use serde_json::{Map, Value, json};
use sha2::{Digest as _, Sha256};

use crate::{
    claims::{apply_forced, of_user},
    failure::Failure,
    forgery,
    response::document,
    simulator::Simulator,
    state::{Code, Family, Session},
};

/// The token response for an authorization code. With the scope `offline_access` it has a refresh token.
pub(crate) fn for_code(sim: &Simulator, code: &Code) -> Response {
    let (session, scopes) = (&code.session, &code.request.scopes);
    let refresh_token = contains(scopes, "offline_access").then(|| start_family(sim, session, scopes));
    token_response(sim, session, scopes, code.request.nonce.as_deref(), refresh_token)
}

/// The token response for a refresh. Its ID token has no `nonce`.
pub(crate) fn for_refresh(sim: &Simulator, family: &Family) -> Response {
    token_response(sim, &family.session, &family.scopes, None, Some(family.current.clone()))
}

/// The token response for the worker.
pub(crate) fn for_worker(sim: &Simulator) -> Response {
    let now = sim.now();
    let key = sim.state().keys[0].clone();
    let claims = json!({
        "client_id": sim.config().worker.client_id,
        "iss": sim.config().issuer(),
        "aud": [PINGONE_API],
        "iat": now,
        "exp": now + 3600,
    });
    let token = key.sign(claims.as_object().unwrap_or(&Map::new()));
    document(StatusCode::OK, &json!({ "access_token": token, "token_type": "Bearer", "expires_in": 3600 }))
}

fn start_family(sim: &Simulator, session: &Session, scopes: &[String]) -> String {
    let now = sim.now();
    let token = refresh_token(sim);
    sim.change(|state| {
        state.families.push(Family {
            session: session.clone(),
            scopes: scopes.to_vec(),
            started_at: now,
            current: token.clone(),
            expires_at: now + state.settings.refresh_token_seconds,
            rotated: Vec::new(),
            revoked: false,
        });
    });
    token
}

/// An opaque token, or a JWT if the application is set to that.
pub(crate) fn refresh_token(sim: &Simulator) -> String {
    let secret = sim.secret();
    let (kind, key) = {
        let state = sim.state();
        (state.settings.tenant.application.refresh_token_type.clone(), state.keys[0].clone())
    };
    if kind == "OPAQUE_TOKEN" {
        return secret;
    }
    let claims = json!({ "jti": secret, "iss": sim.config().issuer() });
    key.sign(claims.as_object().unwrap_or(&Map::new()))
}

fn token_response(
    sim: &Simulator,
    session: &Session,
    scopes: &[String],
    nonce: Option<&str>,
    refresh_token: Option<String>,
) -> Response {
    let now = sim.now();
    let lifetime = sim.state().settings.access_token_seconds;
    let access_token = access_token(sim, session, scopes, now, now + lifetime);
    let mut members = Map::new();
    members.insert("access_token".into(), json!(access_token));
    members.insert("token_type".into(), json!("Bearer"));
    members.insert("expires_in".into(), json!(lifetime));
    members.insert("scope".into(), json!(scopes.join(" ")));
    if contains(scopes, "openid") {
        members.insert("id_token".into(), json!(id_token(sim, session, scopes, nonce, &access_token, now)));
    }
    if sim.is_forced(&Failure::AccessTokenAsIdToken) {
        members.insert("id_token".into(), json!(access_token));
    }
    if let Some(token) = refresh_token {
        members.insert("refresh_token".into(), json!(token));
    }
    apply_forced(sim, &mut members, |failure| match failure {
        Failure::TokenMember(name, value) => Some((name.clone(), value.clone())),
        _ => None,
    });
    document(StatusCode::OK, &Value::Object(members))
}

fn access_token(sim: &Simulator, session: &Session, scopes: &[String], iat: u64, exp: u64) -> String {
    let config = sim.config();
    let custom = scopes.iter().any(|scope| config.resource.has_scope(scope));
    let resource = sim.state().settings.tenant.resource.clone();
    let audience = resource.audience.unwrap_or_else(|| config.resource.audience.clone());
    let audience = if custom { audience.as_str() } else { PINGONE_API };
    let mut claims = Map::new();
    for (name, value) in [
        ("client_id", json!(config.application.client_id)),
        ("iss", json!(config.issuer())),
        ("jti", json!(sim.uuid())),
        ("iat", json!(iat)),
        ("exp", json!(exp)),
        ("aud", json!([audience])),
        ("scope", json!(scopes.join(" "))),
        ("sub", json!(session.user)),
        ("sid", json!(session.id)),
        ("acr", json!(config.policy_id)),
        ("env", json!(config.environment_id)),
    ] {
        claims.insert(name.to_owned(), value);
    }
    if resource.subject_is_username {
        let username = sim.state().user(&session.user).map(|user| user.username.clone());
        claims.extend(username.map(|username| ("sub".to_owned(), json!(username))));
    }
    apply_forced(sim, &mut claims, |failure| match failure {
        Failure::AccessTokenClaim(name, value) => Some((name.clone(), value.clone())),
        _ => None,
    });
    let key = sim.state().keys[0].clone();
    key.sign(&claims)
}

fn id_token(
    sim: &Simulator,
    session: &Session,
    scopes: &[String],
    nonce: Option<&str>,
    access_token: &str,
    now: u64,
) -> String {
    let config = sim.config();
    let mut claims = of_user(sim, &session.user, scopes);
    // OpenID Connect Core §3.1.3.6: the left half of the digest.
    let at_hash = URL_SAFE_NO_PAD.encode(&Sha256::digest(access_token.as_bytes())[..16]);
    for (name, value) in [
        ("iss", json!(config.issuer())),
        ("aud", json!(config.application.client_id)),
        ("iat", json!(now)),
        ("exp", json!(now + 3600)),
        ("acr", json!(config.policy_id)),
        ("amr", json!(["pwd"])),
        ("auth_time", json!(session.auth_time)),
        ("at_hash", json!(at_hash)),
        ("sid", json!(session.id)),
        ("env", json!(config.environment_id)),
    ] {
        claims.insert(name.to_owned(), value);
    }
    claims.extend(nonce.map(|nonce| ("nonce".to_owned(), json!(nonce))));
    if sim.state().settings.tenant.flow.overrides_subject {
        let username = sim.state().user(&session.user).map(|user| user.username.clone());
        claims.extend(username.map(|username| ("sub".to_owned(), json!(username))));
    }
    apply_forced(sim, &mut claims, |failure| match failure {
        Failure::IdTokenClaim(name, value) => Some((name.clone(), value.clone())),
        _ => None,
    });
    let keys = sim.state().keys.clone();
    let signatures = sim.forced(|failure| match failure {
        Failure::IdTokenSignature(signature) => Some(*signature),
        _ => None,
    });
    match signatures.first() {
        Some(signature) => {
            forgery::sign(&claims, *signature, &keys[0], &keys[1], &config.application.client_secret)
        }
        None => keys[0].sign(&claims),
    }
}

fn contains(scopes: &[String], scope: &str) -> bool {
    scopes.iter().any(|held| held == scope)
}

/// The audience of the management API.
pub(crate) const PINGONE_API: &str = "https://api.pingone.example";
