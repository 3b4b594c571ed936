//! Messages of a client that get no result: notifications, and replies to questions.

use axum::body::Body;
use http::{HeaderMap, HeaderValue, Response, StatusCode, header};
use serde_json::{Value, json};

use super::{RequestGrant, RpcError, headers, negotiated_state::SESSION_ID, refusal::Refusal};

/// The response to a notification. It has no body.
pub(super) fn accepted(headers: &HeaderMap) -> Result<Response<Body>, Refusal> {
    headers::named(headers).map_err(|error| Refusal::before_handler(&Value::Null, error))?;
    Ok(without_body())
}

/// 202 (MCP, Streamable HTTP).
pub(super) fn without_body() -> Response<Body> {
    let mut response = crate::http::empty(StatusCode::ACCEPTED);
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

/// The name of a call in the MCP session of its client. Programs that share an access token have sessions of their own, and without a
/// session they could cancel each other's calls.
pub(super) fn call_name(headers: &HeaderMap, id: &Value) -> Option<String> {
    let session = headers::single(headers, &SESSION_ID).ok().flatten()?;
    (!session.is_empty()).then(|| format!("{session} {id}"))
}

/// Ends the call with this id. Revisions without a handshake end a call by closing its connection.
pub(super) async fn cancel(headers: &HeaderMap, id: &Value, grant: &dyn RequestGrant) {
    if let Some(call) = call_name(headers, id)
        && headers::named(headers).is_ok_and(|era| !era.is_stateless())
    {
        grant.cancel(&call).await;
    }
}

/// Delivers the client's reply to a question. Another request waits for it, perhaps in another process.
pub(super) async fn deliver_reply(
    headers: &HeaderMap,
    id: &Value,
    reply: Value,
    grant: &dyn RequestGrant,
) -> Result<Response<Body>, Refusal> {
    let accepted = accepted(headers)?;
    let (status, code, text) = match grant.deliver_reply(id.as_str().unwrap_or_default(), reply).await {
        Ok(true) => return Ok(accepted),
        Ok(false) => (
            StatusCode::BAD_REQUEST,
            RpcError::INVALID_REQUEST,
            "this server has sent no request with this id",
        ),
        Err(error) => {
            tracing::error!(%error, "a client's reply could not be kept");
            (
                StatusCode::SERVICE_UNAVAILABLE,
                RpcError::INTERNAL_ERROR,
                "the reply could not be kept; try again",
            )
        }
    };
    // Without the id, which would name a request of the client.
    Err(Refusal::Error { status, id: Value::Null, error: RpcError::new(code, text) })
}

/// Ends the question with this id, if there is one: its reply could not be read, and no second reply will come.
pub(super) async fn fail_question(id: &Value, error: &RpcError, grant: &dyn RequestGrant) {
    let Some(question) = id.as_str() else { return };
    let text = format!("the client's reply cannot be read: {}", error.message);
    let reply = json!({ "error": { "code": RpcError::INTERNAL_ERROR, "message": text } });
    if let Err(error) = grant.deliver_reply(question, reply).await {
        tracing::error!(%error, "a client's reply could not be kept");
    }
}
