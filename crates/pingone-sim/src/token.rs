//! The token endpoint, and what it issues.

use axum::{
    http::{HeaderMap, HeaderValue, StatusCode, header},
    response::Response,
};
use base64::{
    Engine as _,
    engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD},
};
use serde_json::{Map, Value, json};
use sha2::{Digest as _, Sha256};
use url::form_urlencoded;

use crate::{
    failure::Failure,
    reply::{Correlation, document, invalid_client, oauth_error, with},
    simulator::Simulator,
    state::{Code, Family, Session},
};

/// `POST /as/token`.
pub(crate) async fn token(
    sim: &Simulator,
    headers: &HeaderMap,
    form: &[(String, String)],
    correlation: &Correlation,
) -> Response {
    let field = |name: &str| {
        form.iter().find(|(held, _)| held == name).map(|(_, value)| value.clone()).unwrap_or_default()
    };
    let refresh = field("grant_type") == "refresh_token";
    sim.count(if refresh { "refresh" } else { "token" });
    sim.hang(|failure| if let Failure::TokenAfter(seconds) = failure { Some(*seconds) } else { None }).await;
    if let Some(response) = forced(sim, refresh, correlation) {
        return response;
    }
    if !is_our_client(sim, headers) {
        return invalid_client(correlation);
    }
    let response = answer(sim, &field, correlation);
    // What was asked for is done, whether or not the client is still there.
    sim.hang_millis(
        |failure| if let Failure::TokenAnswerAfter(millis) = failure { Some(*millis) } else { None },
    )
    .await;
    response
}

fn answer(sim: &Simulator, field: &dyn Fn(&str) -> String, correlation: &Correlation) -> Response {
    let refused = |detail| oauth_error(StatusCode::BAD_REQUEST, "invalid_grant", detail, correlation);
    match field("grant_type").as_str() {
        "authorization_code" => {
            match redeem(sim, &field("code"), &field("redirect_uri"), &field("code_verifier")) {
                Ok(code) => {
                    issue(sim, &code.session, &code.request.scopes, code.request.nonce.as_deref(), None)
                }
                Err(detail) => refused(detail),
            }
        }
        "refresh_token" => match rotate(sim, &field("refresh_token")) {
            Ok((family, next)) => issue(sim, &family.session, &family.scopes, None, Some(next)),
            Err(detail) => refused(detail),
        },
        _ => oauth_error(
            StatusCode::BAD_REQUEST,
            "unsupported_grant_type",
            "Unsupported grant type",
            correlation,
        ),
    }
}

/// `client_secret_basic`, the one method that the application is registered for.
pub(crate) fn is_our_client(sim: &Simulator, headers: &HeaderMap) -> bool {
    let application = &sim.config().application;
    let header = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let decoded = header.strip_prefix("Basic ").and_then(|value| STANDARD.decode(value).ok());
    let pair = decoded.and_then(|bytes| String::from_utf8(bytes).ok()).unwrap_or_default();
    let (id, secret) = pair.split_once(':').unwrap_or_default();
    let decode = |text: &str| {
        form_urlencoded::parse(text.as_bytes()).next().map(|(name, _)| name.into_owned()).unwrap_or_default()
    };
    let replaced = sim.state().knobs.client_secret.clone();
    decode(id) == application.client_id
        && decode(secret) == replaced.unwrap_or_else(|| application.client_secret.clone())
}

fn forced(sim: &Simulator, refresh: bool, correlation: &Correlation) -> Option<Response> {
    let bytes =
        sim.failures(|failure| if let Failure::TokenBytes(bytes) = failure { Some(*bytes) } else { None });
    if let Some(bytes) = bytes.first() {
        return Some(with(StatusCode::OK, "application/json", " ".repeat(*bytes)));
    }
    let busy = sim.failures(|failure| match failure {
        Failure::TokenRetryAfter(status, seconds) => Some((*status, *seconds)),
        _ => None,
    });
    if let Some((status, seconds)) = busy.first() {
        let status = StatusCode::from_u16(*status).unwrap_or(StatusCode::SERVICE_UNAVAILABLE);
        let mut response = with(status, "application/json", "{}".to_owned());
        response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(*seconds));
        return Some(response);
    }
    let answers = sim.failures(|failure| match failure {
        Failure::Token(status, body) => Some((*status, body.clone())),
        Failure::RefreshInvalidGrant if refresh => Some((0, String::new())),
        _ => None,
    });
    match answers.into_iter().next()? {
        (0, _) => Some(oauth_error(
            StatusCode::BAD_REQUEST,
            "invalid_grant",
            "Refresh token is invalid",
            correlation,
        )),
        (status, body) => {
            let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
            let mut response = with(status, "application/json", body);
            if matches!(status, StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE) {
                response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
            }
            Some(response)
        }
    }
}

/// A code is good once, soon, for the same address and verifier.
fn redeem(sim: &Simulator, code: &str, redirect_uri: &str, verifier: &str) -> Result<Code, &'static str> {
    let code = sim.change(|state| state.codes.remove(code)).filter(|code| code.expires_at > sim.now());
    let code = code.ok_or("Authorization code is invalid or expired")?;
    if code.request.redirect_uri != redirect_uri {
        return Err("Redirect URI mismatch");
    }
    if URL_SAFE_NO_PAD.encode(Sha256::digest(verifier.as_bytes())) != code.request.code_challenge {
        return Err("PKCE verification failed");
    }
    Ok(code)
}

/// A refresh token is good once, and once more within the grace period; used later, it takes its family with it.
fn rotate(sim: &Simulator, token: &str) -> Result<(Family, String), &'static str> {
    let (now, next) = (sim.now(), sim.secret());
    // A clock that was set in between makes no rotated token good again.
    let moment = sim.environment().now();
    sim.change(|state| {
        let knobs = state.knobs.clone();
        let session = state.family(token).map(|family| family.session.clone());
        let alive = session.is_some_and(|session| state.is_alive(&session, now));
        let family = state.family(token).ok_or("Failed to decode refresh token")?;
        let rotated_at = family.rotated.iter().find(|(held, _)| held == token).map(|(_, at)| *at);
        if rotated_at.is_some_and(|at| moment >= at + knobs.refresh_grace_seconds) {
            family.revoked = true;
        }
        let too_old = family.expires_at <= now || family.started_at + knobs.refresh_rolling_seconds <= now;
        if family.revoked || too_old || !alive {
            return Err("Refresh token is invalid");
        }
        let old = std::mem::replace(&mut family.current, next.clone());
        family.rotated.push((old, moment));
        family.expires_at = now + knobs.refresh_token_seconds;
        Ok((family.clone(), next))
    })
}

/// The token response, with whatever is wrong about it.
fn issue(
    sim: &Simulator,
    session: &Session,
    scopes: &[String],
    nonce: Option<&str>,
    rotated: Option<String>,
) -> Response {
    let (now, first) = (sim.now(), rotated.is_none());
    let knobs = sim.state().knobs.clone();
    let refresh_token = rotated.or_else(|| {
        scopes.iter().any(|scope| scope == "offline_access").then(|| {
            let token = sim.secret();
            let family = Family {
                session: session.clone(),
                scopes: scopes.to_vec(),
                started_at: now,
                current: token.clone(),
                expires_at: now + knobs.refresh_token_seconds,
                rotated: Vec::new(),
                revoked: false,
            };
            sim.change(|state| state.families.push(family));
            token
        })
    });
    let access_token = access_token(sim, session, scopes, now, now + knobs.access_token_seconds);
    let mut members = Map::new();
    members.insert("access_token".into(), json!(access_token));
    members.insert("token_type".into(), json!("Bearer"));
    members.insert("expires_in".into(), json!(knobs.access_token_seconds));
    members.insert("scope".into(), json!(scopes.join(" ")));
    if scopes.iter().any(|scope| scope == "openid") {
        let nonce = nonce.filter(|_| first);
        members.insert("id_token".into(), json!(id_token(sim, session, scopes, nonce, &access_token, now)));
    }
    if !sim.failures(|failure| matches!(failure, Failure::AccessTokenAsIdToken).then_some(())).is_empty() {
        members.insert("id_token".into(), json!(access_token));
    }
    if let Some(token) = refresh_token {
        members.insert("refresh_token".into(), json!(token));
    }
    apply(sim, &mut members, |failure| match failure {
        Failure::TokenMember(name, value) => Some((name.clone(), value.clone())),
        _ => None,
    });
    document(StatusCode::OK, &Value::Object(members))
}

fn access_token(sim: &Simulator, session: &Session, scopes: &[String], iat: u64, exp: u64) -> String {
    let config = sim.config();
    let custom = scopes.iter().any(|scope| config.resource.scopes.iter().any(|held| held.name == *scope));
    let audience = if custom { config.resource.audience.as_str() } else { "https://api.pingone.example" };
    let mut claims = Map::new();
    for (name, value) in [
        ("client_id", json!(config.application.client_id)),
        ("iss", json!(config.issuer())),
        ("jti", json!(sim.uuid())),
        ("iat", json!(iat)),
        ("exp", json!(exp)),
        ("aud", json!([audience])),
        ("scope", json!(scopes.join(" "))),
        ("sub", json!(session.person)),
        ("sid", json!(session.id)),
        ("acr", json!(config.policy_id)),
        ("env", json!(config.environment_id)),
    ] {
        claims.insert(name.to_owned(), value);
    }
    apply(sim, &mut claims, |failure| match failure {
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
    let mut claims = person_claims(sim, &session.person, scopes);
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
    apply(sim, &mut claims, |failure| match failure {
        Failure::IdTokenClaim(name, value) => Some((name.clone(), value.clone())),
        _ => None,
    });
    let keys = sim.state().keys.clone();
    let signatures = sim.failures(|failure| {
        if let Failure::IdTokenSignature(signature) = failure { Some(*signature) } else { None }
    });
    match signatures.first() {
        Some(signature) => keys[0].missign(&claims, *signature, &keys[1], &config.application.client_secret),
        None => keys[0].sign(&claims),
    }
}

/// What the scopes say of a person. `name` is left out, as PingOne often does.
pub(crate) fn person_claims(sim: &Simulator, id: &str, scopes: &[String]) -> Map<String, Value> {
    let mut claims = Map::new();
    claims.insert("sub".into(), json!(id));
    let person = sim.state().person(id).cloned();
    let Some(person) = person else { return claims };
    let asked = |name: &str| scopes.iter().any(|scope| scope == name);
    if asked("profile") {
        claims.insert("preferred_username".into(), json!(person.username));
        claims.insert("given_name".into(), json!(person.given_name));
        claims.insert("family_name".into(), json!(person.family_name));
    }
    if asked("email") {
        claims.insert("email".into(), json!(person.email));
    }
    claims
}

/// Sets or removes members as forced.
fn apply(
    sim: &Simulator,
    members: &mut Map<String, Value>,
    select: impl Fn(&Failure) -> Option<(String, Value)>,
) {
    for (name, value) in sim.failures(select) {
        if value.is_null() {
            members.remove(&name);
        } else {
            members.insert(name, value);
        }
    }
}
