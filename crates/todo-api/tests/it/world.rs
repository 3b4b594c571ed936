//! The API with a fixed clock and randomness, a simulated issuer, and a real database. The tests of `todo` use it, too.

use std::{
    path::Path,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
    },
};

use axum::{Router, body::Body};
use bytes::Bytes;
use http::{HeaderMap, Request, StatusCode};
use serde_json::{Value, json};
use tempfile::TempDir;
use todo_api::{Backend, BoxFuture, Config, Operation, Todo, TodosError, native::SqliteTodos, router};
use tower_service::Service as _;

use crate::identity::{AUDIENCE, CURRENT, ISSUER, NOW};

pub struct World {
    pub backend: Arc<TestBackend>,
    pub folder: TempDir,
    router: Router,
}

impl World {
    pub fn new() -> Self {
        let folder = TempDir::new().unwrap();
        let (backend, router) = start(folder.path());
        Self { backend, folder, router }
    }

    /// Starts the API again on the same file, as after a restart of the process.
    pub fn restart(&mut self) {
        (self.backend, self.router) = start(self.folder.path());
    }

    pub async fn send(&self, request: Request<Body>) -> Response {
        let response = self.router.clone().call(request).await.unwrap();
        let (parts, body) = response.into_parts();
        let body = axum::body::to_bytes(body, usize::MAX).await.unwrap();
        let body = serde_json::from_slice(&body).unwrap_or(Value::Null);
        Response { status: parts.status, headers: parts.headers, body }
    }

    /// Sends a request with a token and, if there is one, a JSON body.
    pub async fn call(&self, token: &str, method: &str, path: &str, body: Option<Value>) -> Response {
        let request =
            Request::builder().method(method).uri(path).header("authorization", format!("Bearer {token}"));
        let request = match body {
            Some(body) => request.header("content-type", "application/json").body(body.to_string().into()),
            None => request.body(Body::empty()),
        };
        self.send(request.unwrap()).await
    }

    pub async fn list(&self, token: &str) -> Response {
        self.call(token, "GET", "/api/todos", None).await
    }

    /// Creates a todo and returns its id.
    pub async fn create(&self, token: &str, text: &str) -> String {
        let response = self.call(token, "POST", "/api/todos", Some(json!({ "todoText": text }))).await;
        assert_eq!(response.status, StatusCode::CREATED, "{}", response.body);
        let todos = response.body["todos"].as_array().unwrap();
        todos.last().unwrap()["id"].as_str().unwrap().to_owned()
    }
}

fn start(folder: &Path) -> (Arc<TestBackend>, Router) {
    let backend = Arc::new(TestBackend {
        clock: AtomicU64::new(NOW),
        random: AtomicU64::new(0),
        issuer: Mutex::new(Issuer::default()),
        todos: SqliteTodos::open(&folder.join("data").join("todos.sqlite3")).unwrap(),
    });
    let router = router(Config::new(ISSUER, AUDIENCE).unwrap(), Arc::clone(&backend) as Arc<dyn Backend>);
    (backend, router)
}

pub struct Response {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub body: Value,
}

impl Response {
    /// The status and the `error` of the body.
    pub fn error(&self) -> (u16, &str) {
        (self.status.as_u16(), self.body["error"].as_str().unwrap_or_default())
    }

    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }
}

pub struct TestBackend {
    clock: AtomicU64,
    random: AtomicU64,
    pub issuer: Mutex<Issuer>,
    todos: SqliteTodos,
}

/// The responses of the simulated issuer.
pub struct Issuer {
    pub discovery: Value,
    pub keys: Vec<Value>,
    pub status: StatusCode,
    /// The URLs of the requests so far.
    pub requests: Vec<String>,
}

impl Default for Issuer {
    fn default() -> Self {
        Self {
            discovery: json!({ "issuer": ISSUER, "jwks_uri": format!("{ISSUER}/jwks") }),
            keys: vec![CURRENT.jwk()],
            status: StatusCode::OK,
            requests: Vec::new(),
        }
    }
}

impl TestBackend {
    pub fn advance(&self, seconds: u64) {
        self.clock.fetch_add(seconds, Ordering::Relaxed);
    }

    /// The number of times that keys were fetched.
    pub fn fetches(&self) -> usize {
        self.issuer
            .lock()
            .unwrap()
            .requests
            .iter()
            .filter(|uri| uri.ends_with("openid-configuration"))
            .count()
    }
}

impl Backend for TestBackend {
    fn now(&self) -> u64 {
        self.clock.load(Ordering::Relaxed)
    }

    fn fill_random(&self, buffer: &mut [u8]) {
        let draw = self.random.fetch_add(1, Ordering::Relaxed);
        buffer.fill(0xa5);
        buffer[..8].copy_from_slice(&draw.to_le_bytes());
    }

    fn fetch(&self, request: Request<Bytes>) -> BoxFuture<'_, Result<http::Response<Bytes>, String>> {
        let mut issuer = self.issuer.lock().unwrap();
        let uri = request.uri().to_string();
        let body = match uri.strip_prefix(ISSUER) {
            Some("/.well-known/openid-configuration") => Ok(issuer.discovery.to_string()),
            Some("/jwks") => Ok(json!({ "keys": issuer.keys }).to_string()),
            _ => Err(format!("no such host: {uri}")),
        };
        let response =
            body.map(|body| http::Response::builder().status(issuer.status).body(body.into()).unwrap());
        issuer.requests.push(uri);
        Box::pin(std::future::ready(response))
    }

    fn apply(&self, user: String, operation: Operation) -> BoxFuture<'_, Result<Vec<Todo>, TodosError>> {
        Box::pin(async move { self.todos.apply(&user, operation) })
    }
}
