//! The client of the Todo API.

use bytes::Bytes;
use deputy::mcp::Caller;
use http::{Method, Request, Response, StatusCode, header};
use serde_json::{Value, json};

use crate::{
    READ, WRITE,
    answers::TodoList,
    failure::Failure,
    inputs::{TodoId, TodoText},
};

/// The Todo API as this caller sees it. Every request answers the whole list as it is then.
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
        self.about(id, self.send(Method::PATCH, &path(id), Some(body), WRITE).await).await
    }

    pub(crate) async fn delete(&self, id: &TodoId) -> Result<TodoList, Failure> {
        self.about(id, self.send(Method::DELETE, &path(id), None, WRITE).await).await
    }

    /// What came of a request about one todo. A `404` says that there is no such todo only if the list says so too: it is
    /// also what anything else answers that `API_URL` may name by mistake.
    async fn about(&self, id: &TodoId, result: Result<TodoList, Failure>) -> Result<TodoList, Failure> {
        match result {
            Err(Failure::NotFound) if self.list().await?.has(id) => Err(Failure::Unexpected),
            Err(Failure::NotFound) => Err(Failure::Unknown),
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
        // A list is there, full or empty, whoever asks.
        let misplaced = path == TODOS && matches!(read, Err(Failure::NotFound));
        if misplaced || matches!(read, Err(Failure::Unexpected)) {
            let status = response.status().as_u16();
            tracing::error!(%method, path, status, "the API gave an unexpected response; is API_URL right?");
            return Err(Failure::Unexpected);
        }
        read
    }
}

/// Only the status of a refusal is looked at; its body may say what is not for a model.
fn read(response: &Response<Bytes>, scope: &'static str) -> Result<TodoList, Failure> {
    match response.status() {
        StatusCode::OK | StatusCode::CREATED => {
            serde_json::from_slice(response.body()).map_err(|_| Failure::Unexpected)
        }
        StatusCode::FORBIDDEN => Err(Failure::Scope(scope)),
        StatusCode::NOT_FOUND => Err(Failure::NotFound),
        StatusCode::CONFLICT => Err(Failure::Full),
        StatusCode::UNPROCESSABLE_ENTITY => Err(Failure::Text),
        status if status.is_server_error() => Err(Failure::Trouble),
        _ => Err(Failure::Unexpected),
    }
}

fn path(id: &TodoId) -> String {
    format!("{TODOS}/{}", id.as_str())
}

const TODOS: &str = "/api/todos";

const JSON: &str = "application/json";
