//! `GET /health`: whether this process can serve.

use std::sync::Arc;

use axum::extract::State;
use http::{HeaderValue, StatusCode, header};
use serde_json::json;

use crate::{
    app::App,
    http::{Response, json as json_response},
};

pub(crate) async fn get(State(app): State<Arc<App>>) -> Response {
    let (status, document) = if app.readiness.check(app.host()).await.is_ok() {
        (StatusCode::OK, json!({ "status": "ok" }))
    } else {
        let reason = "records cannot be written and read; the log says why";
        (StatusCode::SERVICE_UNAVAILABLE, json!({ "status": "unavailable", "reason": reason }))
    };
    let mut response = json_response(status, &document);
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}
