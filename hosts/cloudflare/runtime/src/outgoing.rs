//! Outgoing HTTP.

use bytes::Bytes;
use deputy::host::{FetchError, FetchLimits, Meter, Reach};
use wasm_bindgen::{JsCast as _, JsValue, prelude::wasm_bindgen};
use worker::{js_sys::Array, web_sys::AbortController};

use crate::{bridge, reactor::Settled};

/// Sends `request` and reads the whole response, within `limits`. Dropping the future stops the exchange.
pub async fn fetch(
    request: http::Request<Bytes>,
    limits: FetchLimits,
) -> Result<http::Response<Bytes>, FetchError> {
    // The runtime judges what a name leads to (`global_fetch_strictly_public`, and Cloudflare's own network).
    if !is_within(limits.reach, request.uri()) {
        return Err(FetchError::NotPublic);
    }
    let (head, body) = request.into_parts();
    let milliseconds = i32::try_from(limits.deadline.as_millis()).unwrap_or(i32::MAX);
    let most = u32::try_from(limits.max_bytes).unwrap_or(u32::MAX);
    let (settled, stop) = Settled::new(|id| {
        let body = (!body.is_empty()).then_some(&body[..]);
        let headers = bridge::lines(&head.headers);
        exchange(id, head.method.as_str(), &head.uri.to_string(), &headers, body, milliseconds, most)
    });
    let settled = settled.metered(head.extensions.get::<Meter>().cloned());
    let mut unfinished = StopOnDrop(Some(stop.map_err(connection)?));
    let result = settled.await;
    drop(unfinished.0.take());
    let result = result.map_err(connection)?;
    match result.as_string().as_deref() {
        Some("late") => Err(FetchError::Deadline),
        Some("too many") => Err(FetchError::TooMany),
        Some(_) => Err(FetchError::TooLarge),
        None => response(&result.unchecked_into()),
    }
}

/// Whether a request to `uri` may leave, as far as its text tells: on the public Internet, a host has a name. It is read as
/// the runtime reads it, to which `127.1` and `2130706433` are addresses too.
pub fn is_within(reach: Reach, uri: &http::Uri) -> bool {
    let has_name = || worker::Url::parse(&uri.to_string()).is_ok_and(|url| url.domain().is_some());
    reach == Reach::Anywhere || has_name()
}

/// The response that JavaScript tells as a list of its head and its body.
fn response(told: &Array) -> Result<http::Response<Bytes>, FetchError> {
    let head = told.get(0).as_string().unwrap_or_default();
    let (status, lines) = head.split_once('\n').unwrap_or((&head, ""));
    let mut response = http::Response::new(Bytes::from(bridge::bytes(&told.get(1))));
    *response.status_mut() = status
        .parse()
        .map_err(|_| FetchError::Connection("the status of the response is not valid".to_owned()))?;
    *response.headers_mut() = bridge::headers(lines);
    Ok(response)
}

/// The runtime's text names hosts at most, never a query.
fn connection(error: JsValue) -> FetchError {
    FetchError::Connection(bridge::message(&error))
}

/// Stops an exchange that nobody waits for.
struct StopOnDrop(Option<AbortController>);

impl Drop for StopOnDrop {
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
        most: u32,
    ) -> Result<AbortController, JsValue>;
}
