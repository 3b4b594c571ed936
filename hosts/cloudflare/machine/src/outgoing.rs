//! Outgoing HTTP.

use std::pin::pin;

use bytes::{Bytes, BytesMut};
use deputy::host::{FetchError, FetchLimits, Meter, Reach};
use futures_util::{
    StreamExt as _,
    future::{Either, select},
};
use wasm_bindgen::{JsCast as _, JsValue, prelude::wasm_bindgen};
use worker::{
    ByteStream,
    js_sys::{Promise, Uint8Array},
    wasm_bindgen_futures::JsFuture,
    web_sys::{AbortController, Request, RequestInit, RequestRedirect, Response},
};

use crate::{bridge, timer::Timer};

/// Sends `request` and reads the whole answer, within `limits`. When the caller does not wait for the end, the exchange
/// is broken off.
pub async fn fetch(
    request: http::Request<Bytes>,
    limits: FetchLimits,
) -> Result<http::Response<Bytes>, FetchError> {
    // What a name leads to, the runtime judges (`global_fetch_strictly_public`, and Cloudflare's own network).
    if !is_within(limits.reach, request.uri()) {
        return Err(FetchError::NotPublic);
    }
    let deadline = pin!(Timer::start(limits.deadline));
    let exchange = pin!(exchange(request, limits.max_bytes));
    match select(exchange, deadline).await {
        Either::Left((answer, _)) => answer,
        Either::Right(((), _)) => Err(FetchError::Deadline),
    }
}

/// Whether a request to `uri` may leave, as far as its text tells: on the public Internet, a host has a name. It is read as
/// the runtime reads it, to which `127.1` and `2130706433` are addresses too.
pub fn is_within(reach: Reach, uri: &http::Uri) -> bool {
    let has_name = || worker::Url::parse(&uri.to_string()).is_ok_and(|url| url.domain().is_some());
    reach == Reach::Anywhere || has_name()
}

async fn exchange(
    request: http::Request<Bytes>,
    max_bytes: usize,
) -> Result<http::Response<Bytes>, FetchError> {
    let abort = AbortOnDrop(AbortController::new().map_err(connection)?);
    let meter = request.extensions().get::<Meter>().cloned();
    let request = outgoing(&request, &abort.0).map_err(connection)?;
    let answer: Response = JsFuture::from(start(&request)).await.map_err(connection)?.unchecked_into();
    let mut response = http::Response::new(Bytes::new());
    *response.status_mut() = http::StatusCode::from_u16(answer.status())
        .map_err(|_| FetchError::Connection("the answer's status is not one".to_owned()))?;
    *response.headers_mut() = bridge::headers(&answer.headers());
    if let Some(body) = answer.body() {
        *response.body_mut() = read(ByteStream::from(body), max_bytes, meter.as_ref()).await?;
    }
    Ok(response)
}

async fn read(mut stream: ByteStream, max_bytes: usize, meter: Option<&Meter>) -> Result<Bytes, FetchError> {
    let mut body = BytesMut::new();
    while let Some(chunk) = stream.next().await {
        let chunk = chunk.map_err(|error| FetchError::Connection(error.to_string()))?;
        if chunk.len() > max_bytes - body.len() {
            return Err(FetchError::TooLarge);
        }
        if meter.is_some_and(|meter| !meter.takes(chunk.len())) {
            return Err(FetchError::TooMany);
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body.freeze())
}

fn outgoing(request: &http::Request<Bytes>, abort: &AbortController) -> Result<Request, JsValue> {
    let headers = bridge::js_headers(request.headers())?;
    let init = RequestInit::new();
    init.set_method(request.method().as_str());
    init.set_headers(&headers);
    init.set_redirect(RequestRedirect::Manual);
    init.set_signal(Some(&abort.signal()));
    if !request.body().is_empty() {
        init.set_body(&Uint8Array::from(&request.body()[..]));
    }
    Request::new_with_str_and_init(&request.uri().to_string(), &init)
}

/// The runtime's text for the log. It names hosts at most, never a query.
fn connection(error: JsValue) -> FetchError {
    let text = error.as_string().or_else(|| bridge::message(&error));
    FetchError::Connection(text.unwrap_or_else(|| "for an unknown reason".to_owned()))
}

/// Breaks an exchange off that nobody waits for. After its end that does nothing.
struct AbortOnDrop(AbortController);

impl Drop for AbortOnDrop {
    fn drop(&mut self) {
        self.0.abort();
    }
}

#[wasm_bindgen]
extern "C" {
    #[wasm_bindgen(js_name = fetch)]
    fn start(request: &Request) -> Promise;
}
