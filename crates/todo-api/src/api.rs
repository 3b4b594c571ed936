//! The routes: authorize, read, do, answer.

use std::sync::Arc;

use axum::{
    Router,
    body::Body,
    extract::{Path, Request, State, rejection::PathRejection},
    response::Response,
    routing::{get, patch},
};
use bytes::Bytes;
use http::{HeaderMap, HeaderValue, StatusCode, header, request::Parts};
use http_body_util::LengthLimitError;
use serde::{Deserialize, Serialize, de::DeserializeOwned};

use crate::{
    backend::Backend,
    config::Config,
    keys::{KeyError, Keys},
    refusal::{MAX_BODY_BYTES, Refusal, json},
    todos::{self, Operation, Todo},
    token::{self, AccessToken, TokenError},
};

/// The API, for tokens that `config` accepts, on the machine that `backend` stands for.
pub fn router(config: Config, backend: Arc<dyn Backend>) -> Router {
    let api = Arc::new(Api { config, backend, keys: Keys::default() });
    Router::new()
        .route("/api/todos", get(list).post(create))
        .route("/api/todos/{id}", patch(set_completed).delete(delete))
        .fallback(async || Refusal::NotFound("there is nothing here; the todos are at /api/todos"))
        .method_not_allowed_fallback(async || Refusal::Method)
        .with_state(api)
}

struct Api {
    config: Config,
    backend: Arc<dyn Backend>,
    keys: Keys,
}

type Answer = Result<Response, Refusal>;

async fn list(State(api): State<Arc<Api>>, request: Request) -> Answer {
    let token = api.authorize(request.headers(), READ).await?;
    api.answer(StatusCode::OK, token, Operation::List).await
}

async fn create(State(api): State<Arc<Api>>, request: Request) -> Answer {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields, rename_all = "camelCase")]
    struct Params {
        todo_text: String,
    }
    let (parts, body) = request.into_parts();
    let token = api.authorize(&parts.headers, WRITE).await?;
    let Params { todo_text } = read(&parts, body, r#"{"todoText": "<text>"}"#).await?;
    let text = todos::parse_text(&todo_text).ok_or(Refusal::Text)?;
    let mut random = [0; 16];
    api.backend.fill_random(&mut random);
    let todo = Todo { id: todos::id(random), text, completed: false };
    api.answer(StatusCode::CREATED, token, Operation::Create(todo)).await
}

async fn set_completed(
    State(api): State<Arc<Api>>,
    id: Result<Path<String>, PathRejection>,
    request: Request,
) -> Answer {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Params {
        completed: bool,
    }
    let (parts, body) = request.into_parts();
    let token = api.authorize(&parts.headers, WRITE).await?;
    let Params { completed } = read(&parts, body, r#"{"completed": true} or {"completed": false}"#).await?;
    let operation = Operation::SetCompleted { id: todo_id(id)?, completed };
    api.answer(StatusCode::OK, token, operation).await
}

async fn delete(
    State(api): State<Arc<Api>>,
    id: Result<Path<String>, PathRejection>,
    request: Request,
) -> Answer {
    let token = api.authorize(request.headers(), WRITE).await?;
    api.answer(StatusCode::OK, token, Operation::Delete(todo_id(id)?)).await
}

impl Api {
    /// The caller's token, if it is good here and was granted `scope`.
    async fn authorize(&self, headers: &HeaderMap, scope: &'static str) -> Result<AccessToken, Refusal> {
        let token = bearer(headers)?;
        let now = self.backend.now();
        let verified = async {
            let kid = token::key_id(token).map_err(Refusal::Token)?;
            let key =
                self.keys.find(&kid, &self.config, &*self.backend, now).await.map_err(
                    |error| match error {
                        KeyError::Unavailable => Refusal::Unavailable,
                        KeyError::Unknown => Refusal::Token(TokenError::Key),
                    },
                )?;
            token::verify(token, &key, &self.config, now).map_err(Refusal::Token)
        };
        let token = verified.await.inspect_err(|reason| tracing::debug!(?reason, "token refused"))?;
        if token.has_scope(scope) { Ok(token) } else { Err(Refusal::Scope(scope)) }
    }

    async fn answer(&self, status: StatusCode, token: AccessToken, operation: Operation) -> Answer {
        #[derive(Serialize)]
        struct List {
            todos: Vec<Todo>,
        }
        let todos = self.backend.apply(token.subject, operation).await?;
        Ok(json(status, &List { todos }))
    }
}

/// The one bearer token of a request (RFC 6750 §2.1).
fn bearer(headers: &HeaderMap) -> Result<&str, Refusal> {
    let mut values = headers.get_all(header::AUTHORIZATION).iter();
    let value = values.next().ok_or(Refusal::Unauthenticated)?;
    if values.next().is_some() {
        return Err(Refusal::Token(TokenError::Malformed));
    }
    let value = value.to_str().map_err(|_| Refusal::Token(TokenError::Malformed))?;
    match value.split_once(' ') {
        Some((scheme, token)) if scheme.eq_ignore_ascii_case("Bearer") => Ok(token.trim()),
        _ => Err(Refusal::Unauthenticated),
    }
}

/// The body as JSON; `expected` tells the caller what it should be.
async fn read<T: DeserializeOwned>(parts: &Parts, body: Body, expected: &'static str) -> Result<T, Refusal> {
    if !is_json(&parts.headers) {
        return Err(Refusal::MediaType);
    }
    let body = whole(body).await?;
    serde_json::from_slice(&body).map_err(|_| Refusal::Malformed(expected))
}

async fn whole(body: Body) -> Result<Bytes, Refusal> {
    axum::body::to_bytes(body, MAX_BODY_BYTES).await.map_err(|error| {
        let error = error.into_inner();
        if error.is::<LengthLimitError>() { Refusal::BodyTooLarge } else { Refusal::Malformed("complete") }
    })
}

fn is_json(headers: &HeaderMap) -> bool {
    // Bytes: a parameter may hold any.
    let value = headers.get(header::CONTENT_TYPE).map(HeaderValue::as_bytes).unwrap_or_default();
    let essence = value.split(|byte| *byte == b';').next().unwrap_or_default();
    essence.trim_ascii().eq_ignore_ascii_case(b"application/json")
}

/// A path that is not UTF-8 names no todo.
fn todo_id(id: Result<Path<String>, PathRejection>) -> Result<String, Refusal> {
    id.map(|Path(id)| id).map_err(|_| Refusal::NotFound("there is no todo with this id"))
}

/// The scope that reading takes.
const READ: &str = "todo:read";

/// The scope that every change takes.
const WRITE: &str = "todo:write";
