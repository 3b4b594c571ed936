//! Health checks: `GET /health`, `GET /healthz` and `GET /readyz`.

use std::sync::Arc;

use axum::extract::State;
use http::{HeaderValue, StatusCode, header};
use serde_json::{Value, json};

use crate::{
    app::App,
    http::{Response, json as json_response},
    readiness::NotReady,
};

/// `GET /health`: whether records can be written and read.
pub(crate) async fn storage(State(app): State<Arc<App>>) -> Response {
    report(app.readiness.storage(app.host()).await)
}

/// `GET /healthz`: whether the process responds, and its build.
pub(crate) async fn process(State(app): State<Arc<App>>) -> Response {
    let build = app.build();
    uncached(
        StatusCode::OK,
        &json!({ "status": "ok", "version": build.version, "commit": build.commit, "build": build.target }),
    )
}

/// `GET /readyz`: whether new logins and calls should come here. They should not while the server is about to stop, while
/// storage fails, and before the documents of `PingOne` were read once.
pub(crate) async fn ready(State(app): State<Arc<App>>) -> Response {
    report(app.readiness.check(app.host(), &app.pingone, &app.config).await)
}

fn report(checked: Result<(), NotReady>) -> Response {
    match checked {
        Ok(()) => uncached(StatusCode::OK, &json!({ "status": "ok" })),
        Err(reason) => {
            let document = json!({ "status": "unavailable", "reason": reason.to_string() });
            uncached(StatusCode::SERVICE_UNAVAILABLE, &document)
        }
    }
}

fn uncached(status: StatusCode, document: &Value) -> Response {
    let mut response = json_response(status, document);
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}
