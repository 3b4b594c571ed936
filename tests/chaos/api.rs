//! The API that the tools call: one list for all users, for tokens that have not expired.

use std::{
    net::{Ipv4Addr, TcpListener},
    sync::{Arc, Mutex, PoisonError},
};

use axum::{
    Json, Router,
    extract::{Request, State},
    response::{IntoResponse as _, Response},
};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use http::{HeaderMap, StatusCode, header};
use serde_json::{Value, json};

use crate::world::now;

/// The API. Cheap to clone; clones share everything.
#[derive(Clone)]
pub(crate) struct Api {
    port: u16,
    behavior: Arc<Mutex<Behavior>>,
}

#[derive(Default)]
struct Behavior {
    /// The status and the `Retry-After` of every response.
    refusal: Option<(StatusCode, Option<u64>)>,
    /// Tokens that were issued in this second or earlier are refused.
    refused_until: u64,
    /// Seconds by which its clock is ahead of Deputy's. It follows PingOne's.
    clock_offset: i64,
}

impl Api {
    /// Serves on a port that the system chooses.
    pub(crate) fn start() -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        listener.set_nonblocking(true).unwrap();
        let port = listener.local_addr().unwrap().port();
        let listener = tokio::net::TcpListener::from_std(listener).unwrap();
        let api = Self { port, behavior: Arc::default() };
        let router = Router::new().fallback(respond).with_state(api.clone());
        tokio::spawn(async move { axum::serve(listener, router).await });
        api
    }

    pub(crate) fn url(&self) -> String {
        format!("http://localhost:{}", self.port)
    }

    /// Refuses every request.
    pub(crate) fn refuse(&self, status: StatusCode, retry_after: Option<u64>) {
        self.with(|behavior| behavior.refusal = Some((status, retry_after)));
    }

    /// Ends [`Api::refuse`].
    pub(crate) fn heal(&self) {
        self.with(|behavior| behavior.refusal = None);
    }

    /// Refuses tokens that were issued until now, so that each grant has to refresh once more.
    pub(crate) fn refuse_old_tokens(&self) {
        self.with(|behavior| behavior.refused_until = now());
    }

    pub(crate) fn set_clock(&self, offset: i64) {
        self.with(|behavior| behavior.clock_offset = offset);
    }

    fn with<T>(&self, act: impl FnOnce(&mut Behavior) -> T) -> T {
        act(&mut self.behavior.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

async fn respond(State(api): State<Api>, request: Request) -> Response {
    let claims = claims(request.headers()).unwrap_or_default();
    let (refusal, valid) = api.with(|behavior| {
        let now = now().saturating_add_signed(behavior.clock_offset);
        let valid =
            claims["exp"].as_u64() > Some(now) && claims["iat"].as_u64() > Some(behavior.refused_until);
        (behavior.refusal, valid)
    });
    match refusal {
        Some((status, None)) => status.into_response(),
        Some((status, Some(seconds))) => (status, [(header::RETRY_AFTER, seconds)]).into_response(),
        None if valid => {
            Json(json!({ "todos": [{ "id": TODO, "text": "one", "completed": false }] })).into_response()
        }
        None => StatusCode::UNAUTHORIZED.into_response(),
    }
}

/// The claims of the token. The signature is not checked: only Deputy can reach this API.
fn claims(headers: &HeaderMap) -> Option<Value> {
    let token = headers.get(header::AUTHORIZATION)?.to_str().ok()?.strip_prefix("Bearer ")?;
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(token.split('.').nth(1)?).ok()?).ok()
}

/// The id of the one todo on the list.
pub(crate) const TODO: &str = "00000000-0000-4000-8000-000000000001";
