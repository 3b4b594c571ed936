//! PingOne and the API as far as Deputy asks them, at as little cost as possible: what is measured is Deputy.
//!
//! Each login is one of a new user of a ring, without pages, and costs one signature.

use std::{
    collections::HashMap,
    net::Ipv4Addr,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    time::{SystemTime, UNIX_EPOCH},
};

use axum::{
    Form, Json, Router,
    extract::{Query, State},
    http::{HeaderMap, HeaderValue, StatusCode, header},
    response::{IntoResponse as _, Response},
    routing::{get, post},
};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use rand_chacha::{ChaCha20Rng, rand_core::SeedableRng as _};
use ring::{
    rand::SystemRandom,
    signature::{RSA_PKCS1_SHA256, RsaKeyPair},
};
use rsa::{RsaPrivateKey, pkcs1::EncodeRsaPrivateKey as _, traits::PublicKeyParts as _};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use url::Url;

use crate::{Failure, client::random, servers::Ports};

/// Serves both until the process ends. Says when they are ready.
pub(crate) async fn serve(ports: Ports) -> Result<(), Failure> {
    let pingone = Arc::new(PingOne::new(ports.pingone)?);
    let issuer = Router::new()
        .route("/.well-known/openid-configuration", get(discovery))
        .route("/authorize", get(authorize))
        .route("/jwks", get(keys))
        .route("/token", post(token))
        .route("/userinfo", get(userinfo));
    let issuer = Router::new().nest(ISSUER_PATH, issuer).with_state(pingone);
    let api = Router::new().route("/api/todos", get(todos));
    let pingone = TcpListener::bind((Ipv4Addr::LOCALHOST, ports.pingone)).await?;
    let api_listener = TcpListener::bind((Ipv4Addr::LOCALHOST, ports.api)).await?;
    println!("ready");
    tokio::try_join!(crate::serve(pingone, issuer), crate::serve(api_listener, api))?;
    Ok(())
}

/// The variables of a Deputy that uses them.
pub(crate) fn variables(ports: Ports) -> Vec<(&'static str, String)> {
    vec![
        ("PINGONE_ISSUER", issuer(ports.pingone)),
        ("PINGONE_DV_POLICY_ID", POLICY_ID.to_owned()),
        ("PINGONE_CLIENT_ID", CLIENT_ID.to_owned()),
        ("PINGONE_CLIENT_SECRET", "of-the-benchmark-and-good-for-nothing-else".to_owned()),
        ("API_IDENTIFIER", API_IDENTIFIER.to_owned()),
        ("API_URL", format!("http://127.0.0.1:{}", ports.api)),
    ]
}

fn issuer(port: u16) -> String {
    format!("http://127.0.0.1:{port}{ISSUER_PATH}")
}

struct PingOne {
    issuer: String,
    key: RsaKeyPair,
    modulus: String,
    exponent: String,
    logins: AtomicUsize,
    codes: Mutex<HashMap<String, Code>>,
    /// By user.
    access_tokens: Mutex<HashMap<String, String>>,
}

struct Code {
    user: String,
    nonce: String,
}

impl PingOne {
    fn new(port: u16) -> Result<Self, Failure> {
        // The same key every time; it opens nothing but this.
        let key = RsaPrivateKey::new(&mut ChaCha20Rng::from_seed([7; 32]), 2048)?;
        let exponent = URL_SAFE_NO_PAD.encode(key.e().to_bytes_be());
        let modulus = URL_SAFE_NO_PAD.encode(key.n().to_bytes_be());
        let key = RsaKeyPair::from_der(key.to_pkcs1_der()?.as_bytes()).map_err(|error| error.to_string())?;
        Ok(Self {
            issuer: issuer(port),
            key,
            modulus,
            exponent,
            logins: AtomicUsize::new(0),
            codes: Mutex::default(),
            access_tokens: Mutex::default(),
        })
    }

    fn sign(&self, claims: &Value) -> String {
        let header = json!({ "alg": "RS256", "kid": KEY_ID, "typ": "JWT" });
        let signed =
            [header.to_string(), claims.to_string()].map(|part| URL_SAFE_NO_PAD.encode(part)).join(".");
        let mut signature = vec![0; self.key.public().modulus_len()];
        self.key
            .sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), signed.as_bytes(), &mut signature)
            .expect("an RSA key signs");
        format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature))
    }

    fn access_token(&self, user: &str) -> String {
        if let Some(token) = lock(&self.access_tokens).get(user) {
            return token.clone();
        }
        let now = now();
        let token = self.sign(&json!({
            "iss": self.issuer, "sub": user, "aud": [API_IDENTIFIER], "client_id": CLIENT_ID, "scope": SCOPES,
            "iat": now, "exp": now + LIFETIME, "jti": random(),
        }));
        lock(&self.access_tokens).insert(user.to_owned(), token.clone());
        token
    }

    fn tokens(&self, user: &str, nonce: Option<&str>) -> Value {
        let now = now();
        let id_token = json!({
            "iss": self.issuer, "sub": user, "aud": CLIENT_ID, "acr": POLICY_ID, "nonce": nonce,
            "iat": now, "exp": now + LIFETIME, "auth_time": now,
        });
        json!({
            "access_token": self.access_token(user),
            "token_type": "Bearer",
            "expires_in": LIFETIME,
            "scope": SCOPES,
            "refresh_token": format!("{user}.{}", random()),
            "id_token": self.sign(&id_token),
        })
    }
}

async fn discovery(State(pingone): State<Arc<PingOne>>) -> Json<Value> {
    let issuer = &pingone.issuer;
    Json(json!({
        "issuer": issuer,
        "authorization_endpoint": format!("{issuer}/authorize"),
        "token_endpoint": format!("{issuer}/token"),
        "userinfo_endpoint": format!("{issuer}/userinfo"),
        "jwks_uri": format!("{issuer}/jwks"),
        "response_types_supported": ["code"],
        "grant_types_supported": ["authorization_code", "refresh_token"],
        "subject_types_supported": ["public"],
        "id_token_signing_alg_values_supported": ["RS256"],
        "token_endpoint_auth_methods_supported": ["client_secret_basic"],
        "code_challenge_methods_supported": ["S256"],
    }))
}

async fn keys(State(pingone): State<Arc<PingOne>>) -> Json<Value> {
    let key =
        json!({ "kty": "RSA", "use": "sig", "kid": KEY_ID, "n": pingone.modulus, "e": pingone.exponent });
    Json(json!({ "keys": [key] }))
}

async fn authorize(
    State(pingone): State<Arc<PingOne>>,
    Query(query): Query<HashMap<String, String>>,
) -> Result<Response, StatusCode> {
    let parameter = |name: &str| query.get(name).ok_or(StatusCode::BAD_REQUEST);
    let user = format!("user-{}", pingone.logins.fetch_add(1, Ordering::Relaxed) % USERS);
    let code = random();
    let mut url = Url::parse(parameter("redirect_uri")?).map_err(|_| StatusCode::BAD_REQUEST)?;
    url.query_pairs_mut().append_pair("code", &code).append_pair("state", parameter("state")?);
    lock(&pingone.codes).insert(code, Code { user, nonce: query.get("nonce").cloned().unwrap_or_default() });
    let location = HeaderValue::try_from(url.as_str()).map_err(|_| StatusCode::BAD_REQUEST)?;
    Ok((StatusCode::FOUND, [(header::LOCATION, location)]).into_response())
}

async fn token(
    State(pingone): State<Arc<PingOne>>,
    Form(form): Form<HashMap<String, String>>,
) -> Result<Json<Value>, (StatusCode, Json<Value>)> {
    let refused = || (StatusCode::BAD_REQUEST, Json(json!({ "error": "invalid_grant" })));
    if let Some(code) = form.get("code") {
        let Code { user, nonce } = lock(&pingone.codes).remove(code).ok_or_else(refused)?;
        return Ok(Json(pingone.tokens(&user, Some(&nonce))));
    }
    let refresh_token = form.get("refresh_token").ok_or_else(refused)?;
    let (user, _) = refresh_token.split_once('.').ok_or_else(refused)?;
    Ok(Json(pingone.tokens(user, None)))
}

async fn userinfo(
    State(pingone): State<Arc<PingOne>>,
    headers: HeaderMap,
) -> Result<Json<Value>, StatusCode> {
    let token = bearer(&headers).ok_or(StatusCode::UNAUTHORIZED)?;
    // It is our own, so what it says is true.
    let claims = token.split('.').nth(1).and_then(|claims| URL_SAFE_NO_PAD.decode(claims).ok());
    let claims: Value = serde_json::from_slice(&claims.ok_or(StatusCode::UNAUTHORIZED)?)
        .map_err(|_| StatusCode::UNAUTHORIZED)?;
    let user = claims["sub"].as_str().filter(|user| lock(&pingone.access_tokens).contains_key(*user));
    let user = user.ok_or(StatusCode::UNAUTHORIZED)?;
    Ok(Json(json!({
        "sub": user,
        "preferred_username": user,
        "given_name": "Ben",
        "family_name": user,
        "email": format!("{user}@example.com"),
    })))
}

/// The same todos for everybody with a token.
async fn todos(headers: HeaderMap) -> Result<Response, StatusCode> {
    bearer(&headers).ok_or(StatusCode::UNAUTHORIZED)?;
    Ok(([(header::CONTENT_TYPE, "application/json")], TODOS).into_response())
}

fn bearer(headers: &HeaderMap) -> Option<&str> {
    headers.get(header::AUTHORIZATION)?.to_str().ok()?.strip_prefix("Bearer ")
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[expect(clippy::disallowed_methods, reason = "it is not a part of Deputy")]
fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs()
}

const ISSUER_PATH: &str = "/00000000-0000-4000-8000-00000000be4c/as";
const POLICY_ID: &str = "be4cbe4cbe4cbe4cbe4cbe4cbe4cbe4c";
const CLIENT_ID: &str = "be4c0000-0000-4000-8000-000000000c1d";
const API_IDENTIFIER: &str = "https://todo.bench.example";
const SCOPES: &str = "openid profile email todo:read todo:write";
const KEY_ID: &str = "be4c0000-0000-4000-8000-0000000000e1";
const LIFETIME: u64 = 3600;
/// Enough that no two logins of one user go on at a time.
const USERS: usize = 2048;
const TODOS: &str = r#"{"todos":[{"id":"1763880000000","text":"buy milk","completed":false},{"id":"1763880000001","text":"call the bank","completed":false},{"id":"1763880000002","text":"water the plants","completed":true}]}"#;
