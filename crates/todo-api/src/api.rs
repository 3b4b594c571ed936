//! The routes. Each verifies the token, reads the request, applies the operation and responds, in this order.

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
    error::{ApiError, MAX_BODY_BYTES, json},
    invoices::{self, Invoices},
    keys::{KeyError, Keys},
    todos::{self, Operation, Todo},
    token::{self, AccessToken, TokenError},
};

/// The API for tokens that `config` accepts, on `backend`.
pub fn router(config: Config, backend: Arc<dyn Backend>) -> Router {
    let api = Arc::new(Api { config, backend, keys: Keys::default(), invoices: Invoices::default() });
    Router::new()
        .route("/api/todos", get(list).post(create))
        .route("/api/todos/{id}", patch(set_completed).delete(delete))
        .nest("/v1", invoices::routes())
        .fallback(async || {
            ApiError::NotFound("unknown path; the todos are at /api/todos, and the invoices at /v1/invoices")
        })
        .method_not_allowed_fallback(async || ApiError::Method)
        .with_state(api)
}

pub(crate) struct Api {
    config: Config,
    pub(crate) backend: Arc<dyn Backend>,
    keys: Keys,
    pub(crate) invoices: Invoices,
}

pub(crate) type ApiResult = Result<Response, ApiError>;

async fn list(State(api): State<Arc<Api>>, request: Request) -> ApiResult {
    let token = api.authorize(request.headers(), READ).await?;
    api.apply(StatusCode::OK, token, Operation::List).await
}

async fn create(State(api): State<Arc<Api>>, request: Request) -> ApiResult {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields, rename_all = "camelCase")]
    struct Params {
        todo_text: String,
    }
    let (parts, body) = request.into_parts();
    let token = api.authorize(&parts.headers, WRITE).await?;
    let Params { todo_text } = read(&parts, body, r#"{"todoText": "<text>"}"#).await?;
    let text = todos::parse_text(&todo_text).ok_or(ApiError::Text)?;
    let mut random = [0; 16];
    api.backend.fill_random(&mut random);
    let todo = Todo { id: todos::id(random), text, completed: false };
    api.apply(StatusCode::CREATED, token, Operation::Create(todo)).await
}

async fn set_completed(
    State(api): State<Arc<Api>>,
    id: Result<Path<String>, PathRejection>,
    request: Request,
) -> ApiResult {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Params {
        completed: bool,
    }
    let (parts, body) = request.into_parts();
    let token = api.authorize(&parts.headers, WRITE).await?;
    let Params { completed } = read(&parts, body, r#"{"completed": true} or {"completed": false}"#).await?;
    let operation = Operation::SetCompleted { id: todo_id(id)?, completed };
    api.apply(StatusCode::OK, token, operation).await
}

async fn delete(
    State(api): State<Arc<Api>>,
    id: Result<Path<String>, PathRejection>,
    request: Request,
) -> ApiResult {
    let token = api.authorize(request.headers(), WRITE).await?;
    api.apply(StatusCode::OK, token, Operation::Delete(todo_id(id)?)).await
}

impl Api {
    /// Verifies the token of a request, which must have `scope`.
    pub(crate) async fn authorize(
        &self,
        headers: &HeaderMap,
        scope: &'static str,
    ) -> Result<AccessToken, ApiError> {
        let token = bearer(headers)?;
        let now = self.backend.now();
        let verified = async {
            let kid = token::key_id(token).map_err(ApiError::Token)?;
            let key =
                self.keys.find(&kid, &self.config, &*self.backend, now).await.map_err(
                    |error| match error {
                        KeyError::Unavailable => ApiError::Unavailable,
                        KeyError::Unknown => ApiError::Token(TokenError::Key),
                    },
                )?;
            token::verify(token, &key, &self.config, now).map_err(ApiError::Token)
        };
        let token = verified.await.inspect_err(|reason| tracing::debug!(?reason, "token refused"))?;
        if token.has_scope(scope) { Ok(token) } else { Err(ApiError::Scope(scope)) }
    }

    /// Applies an operation and responds with the whole list.
    async fn apply(&self, status: StatusCode, token: AccessToken, operation: Operation) -> ApiResult {
        #[derive(Serialize)]
        struct List {
            todos: Vec<Todo>,
        }
        let todos = self.backend.apply(token.subject, operation).await?;
        Ok(json(status, &List { todos }))
    }
}

/// The one bearer token of a request (RFC 6750 §2.1).
fn bearer(headers: &HeaderMap) -> Result<&str, ApiError> {
    let mut values = headers.get_all(header::AUTHORIZATION).iter();
    let value = values.next().ok_or(ApiError::Unauthenticated)?;
    if values.next().is_some() {
        return Err(ApiError::Token(TokenError::Malformed));
    }
    let value = value.to_str().map_err(|_| ApiError::Token(TokenError::Malformed))?;
    match value.split_once(' ') {
        Some((scheme, token)) if scheme.eq_ignore_ascii_case("Bearer") => Ok(token.trim()),
        _ => Err(ApiError::Unauthenticated),
    }
}

/// Parses the body as JSON; `expected` describes it in the error.
pub(crate) async fn read<T: DeserializeOwned>(
    parts: &Parts,
    body: Body,
    expected: &'static str,
) -> Result<T, ApiError> {
    if !is_json(&parts.headers) {
        return Err(ApiError::MediaType);
    }
    let body = whole(body).await?;
    serde_json::from_slice(&body).map_err(|_| ApiError::Malformed(expected))
}

pub(crate) async fn whole(body: Body) -> Result<Bytes, ApiError> {
    axum::body::to_bytes(body, MAX_BODY_BYTES).await.map_err(|error| {
        let error = error.into_inner();
        if error.is::<LengthLimitError>() { ApiError::BodyTooLarge } else { ApiError::Malformed("complete") }
    })
}

fn is_json(headers: &HeaderMap) -> bool {
    // As bytes, because a parameter may contain bytes that are not ASCII.
    let value = headers.get(header::CONTENT_TYPE).map(HeaderValue::as_bytes).unwrap_or_default();
    let essence = value.split(|byte| *byte == b';').next().unwrap_or_default();
    essence.trim_ascii().eq_ignore_ascii_case(b"application/json")
}

/// The id in the path. A path that is not UTF-8 names no todo.
fn todo_id(id: Result<Path<String>, PathRejection>) -> Result<String, ApiError> {
    id.map(|Path(id)| id).map_err(|_| ApiError::NotFound("there is no todo with this id"))
}

/// The scope for reading.
const READ: &str = "todo:read";

/// The scope for changes.
const WRITE: &str = "todo:write";
