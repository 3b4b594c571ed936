//! The Todo API as a Cloudflare Worker. The todos of each user are in a Durable Object of their own ([`object`]).

mod object;

use std::{cell::RefCell, sync::Arc, time::Duration};

use axum::Router;
use bytes::Bytes;
use deputy::host::{FetchLimits, Reach};
use todo_api::{Backend, BoxFuture, Config, Operation, Todo, TodosError};
use wasm_bindgen::prelude::*;
use worker::{Env, ObjectNamespace, send::SendFuture, web_sys::Request};

#[wasm_bindgen(start)]
fn start() {
    workers_runtime::start();
}

/// Responds to a request.
#[wasm_bindgen]
pub fn respond(request: Request, env: Env) -> JsValue {
    workers_runtime::serve(request, move || router(&env))
}

thread_local! {
    /// The server of this isolate. Variables and bindings are the same for every request.
    static ROUTER: RefCell<Option<Router>> = const { RefCell::new(None) };
}

fn router(env: &Env) -> Result<Router, String> {
    if let Some(router) = ROUTER.with_borrow(Clone::clone) {
        return Ok(router);
    }
    let variable = |name: &str| env.var(name).map(|value| value.to_string()).unwrap_or_default();
    let config = Config::new(&variable("PINGONE_ISSUER"), &variable("API_IDENTIFIER"))
        .map_err(|errors| errors.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "))?;
    let todos = env.durable_object("TODOS").map_err(|error| format!("a binding is missing: {error}"))?;
    let router = todo_api::router(config, Arc::new(Workers { todos }));
    ROUTER.with_borrow_mut(|slot| *slot = Some(router.clone()));
    Ok(router)
}

/// [`Backend`] on Workers.
struct Workers {
    todos: ObjectNamespace,
}

impl Backend for Workers {
    fn now(&self) -> u64 {
        workers_runtime::now().0
    }

    fn fill_random(&self, buffer: &mut [u8]) {
        workers_runtime::fill_random(buffer);
    }

    fn fetch(&self, request: http::Request<Bytes>) -> BoxFuture<'_, Result<http::Response<Bytes>, String>> {
        Box::pin(SendFuture::new(async move {
            workers_runtime::fetch(request, KEYS).await.map_err(|error| error.to_string())
        }))
    }

    fn apply(&self, user: String, operation: Operation) -> BoxFuture<'_, Result<Vec<Todo>, TodosError>> {
        Box::pin(SendFuture::new(async move {
            let applied = object::apply(&self.todos, &user, &operation).await;
            let applied =
                applied.map_err(|error| TodosError::Storage(format!("a Durable Object: {error}")))?;
            applied.map_err(TodosError::from)
        }))
    }
}

/// The limits of the API's only outgoing requests, which fetch PingOne's key set.
const KEYS: FetchLimits =
    FetchLimits { deadline: Duration::from_secs(10), max_bytes: 256 * 1024, reach: Reach::Anywhere };
