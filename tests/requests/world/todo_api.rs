//! The real Todo API on a list in memory.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
};

use axum::{Router, body::Body, routing::any};
use bytes::Bytes;
use deputy::host::SecureRandom as _;
use harness::{memory::MemoryHost, network::Network};
use http::{Response, StatusCode};
use todo_api::{Backend, BoxFuture, Config, MAX_TODOS, Operation, Todo, TodosError};

use super::{API, World};

struct Memory {
    host: MemoryHost,
    network: Network,
    todos: Mutex<BTreeMap<String, Vec<Todo>>>,
}

/// The API that trusts `issuer`.
pub(crate) fn router(issuer: &str, audience: &str, host: &MemoryHost, network: &Network) -> Router {
    let backend = Memory { host: host.with_seed(3), network: network.clone(), todos: Mutex::default() };
    todo_api::router(Config::new(issuer, audience).expect("usable"), Arc::new(backend))
}

impl Backend for Memory {
    fn now(&self) -> u64 {
        self.host.now().0
    }

    fn fill_random(&self, buffer: &mut [u8]) {
        self.host.fill(buffer);
    }

    fn fetch(&self, request: http::Request<Bytes>) -> BoxFuture<'_, Result<http::Response<Bytes>, String>> {
        Box::pin(self.network.send(request))
    }

    fn apply(&self, user: String, operation: Operation) -> BoxFuture<'_, Result<Vec<Todo>, TodosError>> {
        Box::pin(async move {
            let mut all = self.todos.lock().unwrap_or_else(PoisonError::into_inner);
            let todos = all.entry(user).or_default();
            let position = |todos: &[Todo], id: &str| {
                todos.iter().position(|todo| todo.id == id).ok_or(TodosError::Unknown)
            };
            match operation {
                Operation::Create(_) if todos.len() >= MAX_TODOS as usize => return Err(TodosError::Full),
                Operation::Create(todo) => todos.push(todo),
                Operation::Delete(id) => {
                    let position = position(todos, &id)?;
                    todos.remove(position);
                }
                Operation::List => {}
                Operation::SetCompleted { id, completed } => {
                    let position = position(todos, &id)?;
                    todos[position].completed = completed;
                }
            }
            Ok(todos.clone())
        })
    }
}

/// Replaces the API by a server that sends this response to every request.
pub(crate) fn api_responds(
    world: &World,
    status: StatusCode,
    headers: &'static [(&'static str, &'static str)],
    body: String,
) {
    let respond = move || {
        let body = body.clone();
        async move {
            let mut response = Response::builder().status(status);
            for (name, value) in headers {
                response = response.header(*name, *value);
            }
            response.body(Body::from(body)).unwrap()
        }
    };
    world.network.serve(API, Router::new().fallback(any(respond)));
}
