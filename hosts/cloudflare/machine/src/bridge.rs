//! Requests and responses between the runtime and the core.

use std::{
    pin::{Pin, pin},
    task::{Context, Poll},
};

use axum::body::Body;
use bytes::Bytes;
use deputy::host::ClientAddress;
use futures_util::future::{Either, select};
use http::{HeaderMap, HeaderName, HeaderValue};
use http_body::{Body as _, Frame};
use http_body_util::BodyExt as _;
use wasm_bindgen::{JsCast as _, JsValue};
use worker::{
    js_sys::{Array, Error, Promise, Uint8Array},
    wasm_bindgen_futures::JsFuture,
    web_sys::{Headers, Request, Response, ResponseInit},
};

/// The request as the core reads it, or `None` if its URL or method is not one.
pub(crate) fn request(request: &Request) -> Option<http::Request<Body>> {
    let body = request.body().map_or_else(Body::empty, |stream| Body::new(worker::Body::new(stream)));
    let mut converted = http::Request::new(body);
    *converted.method_mut() = request.method().parse().ok()?;
    // In origin form: the runtime has made the URL of the `Host` header, which is there as well.
    let url: http::Uri = request.url().parse().ok()?;
    *converted.uri_mut() = url.path_and_query()?.clone().into();
    *converted.headers_mut() = headers(&request.headers());
    // Set by Cloudflare, whatever the client sent.
    let address = converted.headers().get("cf-connecting-ip").and_then(|value| value.to_str().ok());
    if let Some(address) = address.and_then(|address| address.parse().ok()) {
        converted.extensions_mut().insert(ClientAddress(address));
    }
    Some(converted)
}

/// The response as the runtime sends it. What is whole leaves whole; what is not is a stream that ends with the
/// connection.
pub(crate) async fn response(response: http::Response<Body>, disconnect: Disconnect) -> Response {
    let (head, body) = response.into_parts();
    let whole = body.size_hint().exact().is_some();
    let init = ResponseInit::new();
    init.set_status(head.status.as_u16());
    match js_headers(&head.headers) {
        Ok(headers) => init.set_headers(&headers),
        Err(error) => tracing::error!(?error, "the response's headers cannot be sent"),
    }
    let made = if whole {
        // Such a body has no step that can fail.
        let bytes = body.collect().await.map(http_body_util::Collected::to_bytes).unwrap_or_default();
        let bytes = (!bytes.is_empty()).then(|| Uint8Array::from(&bytes[..]));
        Response::new_with_opt_js_u8_array_and_init(bytes.as_ref(), &init)
    } else {
        streamed(Tied { body: Some(body), disconnect }, &init)
    };
    made.unwrap_or_else(|error| {
        tracing::error!(?error, "the response cannot be sent");
        failure(500, "the server could not do its work")
    })
}

fn streamed(body: Tied, init: &ResponseInit) -> Result<Response, JsValue> {
    let response = worker::response_to_wasm(http::Response::new(body)).map_err(JsValue::from)?;
    Response::new_with_opt_readable_stream_and_init(response.body().as_ref(), init)
}

/// A response of this host's own, for what does not reach the core.
pub(crate) fn failure(status: u16, text: &str) -> Response {
    let init = ResponseInit::new();
    init.set_status(status);
    Response::new_with_opt_str_and_init(Some(text), &init)
        .or_else(|_| Response::new())
        .expect("a response without anything can be made")
}

/// Headers as the core reads them, without those that are none.
pub(crate) fn headers(headers: &Headers) -> HeaderMap {
    let mut converted = HeaderMap::new();
    for pair in headers.entries().into_iter().flatten() {
        let pair: Array = pair.unchecked_into();
        let (Some(name), Some(value)) = (pair.get(0).as_string(), pair.get(1).as_string()) else { continue };
        // The runtime leaves blanks at the end of a value (RFC 9110 §5.5).
        let value = value.trim_matches([' ', '\t']);
        if let (Ok(name), Ok(value)) =
            (HeaderName::from_bytes(name.as_bytes()), HeaderValue::from_bytes(value.as_bytes()))
        {
            converted.append(name, value);
        }
    }
    converted
}

/// Headers as the runtime sends them.
pub(crate) fn js_headers(headers: &HeaderMap) -> Result<Headers, JsValue> {
    let converted = Headers::new()?;
    for (name, value) in headers {
        // One character for each byte, as `Headers` has them.
        let value: String = value.as_bytes().iter().map(|byte| char::from(*byte)).collect();
        converted.append(name.as_str(), &value)?;
    }
    Ok(converted)
}

/// The text of an exception.
pub(crate) fn message(error: &JsValue) -> Option<String> {
    error.dyn_ref::<Error>().map(|error| String::from(error.message()))
}

/// Completes when the client closes the connection. Needs the compatibility flag `enable_request_signal`.
pub(crate) struct Disconnect(JsFuture);

impl Disconnect {
    pub(crate) fn of(request: &Request) -> Self {
        let signal = request.signal();
        Self(JsFuture::from(Promise::new(&mut |resolve, _| {
            // A signal that takes no listener never tells: the work runs to its end then.
            let _ = signal.add_event_listener_with_callback("abort", &resolve);
        })))
    }

    /// What `work` comes to, or `None` if the client left before, in which case the work is dropped.
    pub(crate) async fn interrupts<T>(&mut self, work: impl Future<Output = T>) -> Option<T> {
        match select(pin!(work), &mut self.0).await {
            Either::Left((result, _)) => Some(result),
            Either::Right(_) => None,
        }
    }
}

/// A body that is dropped, and with it the work it owns, when the client leaves: the runtime does not drop it.
struct Tied {
    body: Option<Body>,
    disconnect: Disconnect,
}

impl http_body::Body for Tied {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        if Pin::new(&mut self.disconnect.0).poll(cx).is_ready() {
            self.body = None;
        }
        match &mut self.body {
            Some(body) => Pin::new(body).poll_frame(cx),
            None => Poll::Ready(None),
        }
    }
}
