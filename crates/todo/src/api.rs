//! The client of the Todo API.

use bytes::Bytes;
use deputy::mcp::Caller;
use http::{Method, Request, Response, StatusCode, header};
use serde_json::{Value, json};

use crate::{
    READ, WRITE,
    failure::Failure,
    inputs::{TodoId, TodoText},
    results::TodoList,
};

/// The Todo API, called with the access token of this caller's user. Every request returns the whole list.
pub(crate) struct TodoApi<'a>(pub(crate) &'a Caller);

impl TodoApi<'_> {
    pub(crate) async fn list(&self) -> Result<TodoList, Failure> {
        self.send(Method::GET, TODOS, None, READ).await
    }

    pub(crate) async fn create(&self, text: &TodoText) -> Result<TodoList, Failure> {
        self.send(Method::POST, TODOS, Some(json!({ "todoText": text.as_str() })), WRITE).await
    }

    pub(crate) async fn set_completed(&self, id: &TodoId, completed: bool) -> Result<TodoList, Failure> {
        let body = json!({ "completed": completed });
        let result = self.send(Method::PATCH, &path(id), Some(body), WRITE).await;
        self.check_not_found(id, result).await
    }

    pub(crate) async fn delete(&self, id: &TodoId) -> Result<TodoList, Failure> {
        let result = self.send(Method::DELETE, &path(id), None, WRITE).await;
        self.check_not_found(id, result).await
    }

    /// Checks a `404` for one todo against the list. If the list has the todo, the `404` comes from another server that
    /// `API_URL` names by mistake.
    async fn check_not_found(
        &self,
        id: &TodoId,
        result: Result<TodoList, Failure>,
    ) -> Result<TodoList, Failure> {
        match result {
            Err(Failure::NotFound) if self.list().await?.has(id) => Err(Failure::Unexpected),
            Err(Failure::NotFound) => Err(Failure::NoSuchTodo),
            result => result,
        }
    }

    async fn send(
        &self,
        method: Method,
        path: &str,
        body: Option<Value>,
        scope: &'static str,
    ) -> Result<TodoList, Failure> {
        let mut request = Request::builder().method(&method).uri(path).header(header::ACCEPT, JSON);
        if body.is_some() {
            request = request.header(header::CONTENT_TYPE, JSON);
        }
        let body = body.map(|body| Bytes::from(body.to_string())).unwrap_or_default();
        let request = request.body(body).map_err(|_| Failure::Unexpected)?;
        let response = self.0.fetch(request).await.map_err(Failure::Api)?;
        let read = read(&response, scope);
        // Every user has a list, so a `404` for it comes from another server.
        let misplaced = path == TODOS && matches!(read, Err(Failure::NotFound));
        if misplaced || matches!(read, Err(Failure::Unexpected)) {
            let status = response.status().as_u16();
            tracing::error!(%method, path, status, "the API gave an unexpected response; is API_URL right?");
            return Err(Failure::Unexpected);
        }
        read
    }
}

/// Reads a response. The body of an error is ignored, because it may contain what the model must not see.
fn read(response: &Response<Bytes>, scope: &'static str) -> Result<TodoList, Failure> {
    match response.status() {
        StatusCode::OK | StatusCode::CREATED => {
            serde_json::from_slice(response.body()).map_err(|_| Failure::Unexpected)
        }
        StatusCode::FORBIDDEN => Err(Failure::Scope(scope)),
        StatusCode::NOT_FOUND => Err(Failure::NotFound),
        StatusCode::CONFLICT => Err(Failure::ListFull),
        StatusCode::UNPROCESSABLE_ENTITY => Err(Failure::InvalidText),
        status if status.is_server_error() => Err(Failure::ServerError),
        _ => Err(Failure::Unexpected),
    }
}

fn path(id: &TodoId) -> String {
    format!("{TODOS}/{}", id.as_str())
}

const TODOS: &str = "/api/todos";

const JSON: &str = "application/json";
