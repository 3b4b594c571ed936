//! The token response, and the tokens in it.

use axum::{http::StatusCode, response::Response};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use serde_json::{Map, Value, json};
use sha2::{Digest as _, Sha256};

use crate::{
    application::OidcApplication,
    claims::{apply_forced, of_user},
    config::Worker,
    failure::Failure,
    forgery,
    response::document,
    simulator::Simulator,
    state::{Code, Family, Session},
};

/// The token response for an authorization code. With the scope `offline_access` it has a refresh token.
pub(crate) fn for_code(sim: &Simulator, application: &OidcApplication, code: &Code) -> Response {
    let (session, scopes) = (&code.session, &code.request.scopes);
    let refresh_token =
        contains(scopes, "offline_access").then(|| start_family(sim, application, session, scopes));
    token_response(sim, application, session, scopes, code.request.nonce.as_deref(), refresh_token)
}

/// The token response for a refresh. Its ID token has no `nonce`.
pub(crate) fn for_refresh(sim: &Simulator, application: &OidcApplication, family: &Family) -> Response {
    token_response(sim, application, &family.session, &family.scopes, None, Some(family.current.clone()))
}

/// The token response for a worker.
pub(crate) fn for_worker(sim: &Simulator, worker: &Worker) -> Response {
    let now = sim.now();
    let key = sim.state().keys[0].clone();
    let claims = json!({
        "client_id": worker.client_id,
        "iss": sim.config().issuer(),
        "aud": [PINGONE_API],
        "iat": now,
        "exp": now + 3600,
    });
    let token = key.sign(claims.as_object().unwrap_or(&Map::new()));
    document(StatusCode::OK, &json!({ "access_token": token, "token_type": "Bearer", "expires_in": 3600 }))
}

fn start_family(
    sim: &Simulator,
    application: &OidcApplication,
    session: &Session,
    scopes: &[String],
) -> String {
    let now = sim.now();
    let token = refresh_token(sim, application);
    sim.change(|state| {
        state.families.push(Family {
            client_id: application.client_id.clone(),
            session: session.clone(),
            scopes: scopes.to_vec(),
            started_at: now,
            current: token.clone(),
            expires_at: now + application.lifetimes.refresh_token,
            rotated: Vec::new(),
            revoked: false,
        });
    });
    token
}

/// An opaque token, or a JWT if the application is set to that.
pub(crate) fn refresh_token(sim: &Simulator, application: &OidcApplication) -> String {
    let secret = sim.secret();
    if application.settings.refresh_token_type == "OPAQUE_TOKEN" {
        return secret;
    }
    let key = sim.state().keys[0].clone();
    let claims = json!({ "jti": secret, "iss": sim.config().issuer() });
    key.sign(claims.as_object().unwrap_or(&Map::new()))
}

fn token_response(
    sim: &Simulator,
    application: &OidcApplication,
    session: &Session,
    scopes: &[String],
    nonce: Option<&str>,
    refresh_token: Option<String>,
) -> Response {
    let now = sim.now();
    let lifetime = application.lifetimes.access_token;
    let access_token = access_token(sim, application, session, scopes, [now, now + lifetime]);
    let mut members = Map::new();
    members.insert("access_token".into(), json!(access_token));
    members.insert("token_type".into(), json!("Bearer"));
    members.insert("expires_in".into(), json!(lifetime));
    members.insert("scope".into(), json!(scopes.join(" ")));
    if contains(scopes, "openid") {
        let id_token = IdToken { application, session, scopes, nonce, access_token: &access_token, now };
        members.insert("id_token".into(), json!(id_token.sign(sim)));
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

fn access_token(
    sim: &Simulator,
    application: &OidcApplication,
    session: &Session,
    scopes: &[String],
    [iat, exp]: [u64; 2],
) -> String {
    let config = sim.config();
    let custom = scopes.iter().any(|scope| application.resource.has_scope(scope));
    let audience = if custom { application.resource.audience.as_str() } else { PINGONE_API };
    let mut claims = Map::new();
    for (name, value) in [
        ("client_id", json!(application.client_id)),
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
    if sim.state().settings.tenant.resource.subject_is_username {
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

/// The contents of an ID token.
struct IdToken<'a> {
    application: &'a OidcApplication,
    session: &'a Session,
    scopes: &'a [String],
    nonce: Option<&'a str>,
    access_token: &'a str,
    now: u64,
}

impl IdToken<'_> {
    fn sign(&self, sim: &Simulator) -> String {
        let Self { application, session, scopes, nonce, access_token, now } = *self;
        let config = sim.config();
        let mut claims = of_user(sim, &session.user, scopes);
        // OpenID Connect Core §3.1.3.6: the left half of the digest.
        let at_hash = URL_SAFE_NO_PAD.encode(&Sha256::digest(access_token.as_bytes())[..16]);
        for (name, value) in [
            ("iss", json!(config.issuer())),
            ("aud", json!(application.client_id)),
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
                forgery::sign(&claims, *signature, &keys[0], &keys[1], &application.client_secret)
            }
            None => keys[0].sign(&claims),
        }
    }
}

fn contains(scopes: &[String], scope: &str) -> bool {
    scopes.iter().any(|held| held == scope)
}

/// The audience of the management API.
pub(crate) const PINGONE_API: &str = "https://api.pingone.example";
