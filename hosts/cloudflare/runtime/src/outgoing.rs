//! Outgoing HTTP.

use bytes::Bytes;
use deputy::{
    host::{FetchError, FetchLimits, Meter, Reach},
    trace::TRACEPARENT,
};
use wasm_bindgen::{JsCast as _, JsValue, prelude::wasm_bindgen};
use worker::{js_sys::Array, web_sys::AbortController};

use crate::{bridge, reactor::Completion, trace};

/// Sends `request` and reads the whole response, within `limits`. Dropping the future aborts the request.
pub async fn fetch(
    request: http::Request<Bytes>,
    limits: FetchLimits,
) -> Result<http::Response<Bytes>, FetchError> {
    // The runtime decides which addresses a host name may resolve to (`global_fetch_strictly_public`).
    if !is_permitted(limits.reach, request.uri()) {
        return Err(FetchError::NotPublic);
    }
    let (mut head, body) = request.into_parts();
    // A host that a client named does not learn of the trace.
    if limits.reach == Reach::Anywhere
        && let Some(parent) = trace::for_outgoing().and_then(|trace| trace.to_string().parse().ok())
    {
        head.headers.insert(TRACEPARENT, parent);
    }
    let milliseconds = i32::try_from(limits.deadline.as_millis()).unwrap_or(i32::MAX);
    let max_bytes = u32::try_from(limits.max_bytes).unwrap_or(u32::MAX);
    let (completion, controller) = Completion::start(|id| {
        let body = (!body.is_empty()).then_some(&body[..]);
        let headers = bridge::header_lines(&head.headers);
        exchange(id, head.method.as_str(), &head.uri.to_string(), &headers, body, milliseconds, max_bytes)
    });
    let completion = completion.with_meter(head.extensions.get::<Meter>().cloned());
    let mut unfinished = AbortOnDrop(Some(controller.map_err(connection_error)?));
    let result = completion.await;
    drop(unfinished.0.take());
    let result = result.map_err(connection_error)?;
    match result.as_string().as_deref() {
        Some("late") => Err(FetchError::Deadline),
        Some("too many") => Err(FetchError::TooMany),
        Some(_) => Err(FetchError::TooLarge),
        None => response(&result.unchecked_into()),
    }
}

/// Whether `reach` permits a request to `uri`. On the public Internet the host must be a name, not an address. The URI
/// is parsed as the runtime parses it: `127.1` and `2130706433` are addresses.
pub fn is_permitted(reach: Reach, uri: &http::Uri) -> bool {
    let has_name = || worker::Url::parse(&uri.to_string()).is_ok_and(|url| url.domain().is_some());
    reach == Reach::Anywhere || has_name()
}

/// The response that `exchange` passes as an array of its head and its body.
fn response(parts: &Array) -> Result<http::Response<Bytes>, FetchError> {
    let head = parts.get(0).as_string().unwrap_or_default();
    let (status, lines) = head.split_once('\n').unwrap_or((&head, ""));
    let mut response = http::Response::new(Bytes::from(bridge::bytes(&parts.get(1))));
    *response.status_mut() = status
        .parse()
        .map_err(|_| FetchError::Interrupted("the status of the response is not valid".to_owned()))?;
    *response.headers_mut() = bridge::parse_headers(lines);
    Ok(response)
}

/// The runtime does not say whether the request was sent. Its message may name the host. It never contains the query.
fn connection_error(error: JsValue) -> FetchError {
    FetchError::Interrupted(bridge::exception_message(&error))
}

/// Aborts the request when the future that waits for its response is dropped.
struct AbortOnDrop(Option<AbortController>);

impl Drop for AbortOnDrop {
    fn drop(&mut self) {
        if let Some(controller) = &self.0 {
            controller.abort();
        }
    }
}

#[wasm_bindgen(module = "/src/bridge.js")]
extern "C" {
    #[wasm_bindgen(catch)]
    fn exchange(
        id: u32,
        method: &str,
        url: &str,
        head: &str,
        body: Option<&[u8]>,
        milliseconds: i32,
        max_bytes: u32,
    ) -> Result<AbortController, JsValue>;
}
