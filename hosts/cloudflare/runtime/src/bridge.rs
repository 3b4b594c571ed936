//! Requests and responses between the runtime and the core.

use std::{
    pin::{Pin, pin},
    task::{Context, Poll, ready},
};

use axum::body::Body;
use bytes::Bytes;
use deputy::host::{ClientAddress, DrainedByHost};
use futures_util::future::{Either, select};
use http::{HeaderMap, HeaderName, HeaderValue, header};
use http_body::{Body as _, Frame, SizeHint};
use http_body_util::BodyExt as _;
use wasm_bindgen::prelude::*;
use worker::{
    js_sys::Error,
    send::SendWrapper,
    web_sys::{ReadableStream, Request, Response, ResponseInit},
};

use crate::reactor::Settled;

/// The request as the core reads it, or `None` if its URL or method is not valid.
pub(crate) fn request(request: &Request) -> Option<http::Request<Body>> {
    let head = request_head(request);
    let (method, rest) = head.split_once('\n')?;
    let (url, lines) = rest.split_once('\n').unwrap_or((rest, ""));
    let mut converted = http::Request::new(Body::empty());
    *converted.method_mut() = method.parse().ok()?;
    // In origin form: the runtime has made the URL of the `Host` header, which is there as well.
    *converted.uri_mut() = url.parse::<http::Uri>().ok()?.path_and_query()?.clone().into();
    *converted.headers_mut() = headers(lines);
    let text = |name: &str| converted.headers().get(name).and_then(|value| value.to_str().ok());
    // Set by Cloudflare, whatever the client sent.
    let address = text("cf-connecting-ip").and_then(|address| address.parse().ok());
    let length = text(header::CONTENT_LENGTH.as_str()).and_then(|length| length.parse().ok());
    let has_body = match length {
        Some(length) => length > 0,
        None => !converted.method().is_safe() && request.body().is_some(),
    };
    if let Some(address) = address {
        converted.extensions_mut().insert(ClientAddress(address));
    }
    if has_body {
        if length.is_some_and(|length| length <= WHOLE) {
            converted.extensions_mut().insert(DrainedByHost);
        }
        // The same object: its own `clone` would divide the body.
        *converted.body_mut() = Body::new(Incoming::Unread(SendWrapper::new(Clone::clone(request)), length));
    }
    Some(converted)
}

/// The body of a request. Nothing is read before it is polled.
enum Incoming {
    Unread(SendWrapper<Request>, Option<u64>),
    /// In one piece.
    Whole(Settled, u64),
    /// In pieces: long, or of a length that is not known.
    Stream(worker::Body),
    Read,
}

impl http_body::Body for Incoming {
    type Data = Bytes;
    type Error = worker::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, worker::Error>>> {
        if let Self::Unread(request, length) = &*self {
            *self = match (length, request.body()) {
                (Some(length), _) if *length <= WHOLE => {
                    Self::Whole(Settled::new(|id| whole_body(id, request)).0, *length)
                }
                (_, Some(stream)) => Self::Stream(worker::Body::new(stream)),
                (_, None) => Self::Read,
            };
        }
        match &mut *self {
            Self::Whole(settled, _) => {
                let outcome = ready!(Pin::new(settled).poll(context));
                *self = Self::Read;
                Poll::Ready(Some(match outcome {
                    Ok(buffer) => Ok(Frame::data(bytes(&buffer).into())),
                    Err(error) => Err(error.into()),
                }))
            }
            Self::Stream(stream) => Pin::new(stream).poll_frame(context),
            Self::Unread(..) | Self::Read => Poll::Ready(None),
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Unread(..) | Self::Whole(..) => false,
            Self::Stream(stream) => stream.is_end_stream(),
            Self::Read => true,
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Unread(_, Some(length)) | Self::Whole(_, length) => SizeHint::with_exact(*length),
            Self::Unread(_, None) | Self::Stream(_) => SizeHint::default(),
            Self::Read => SizeHint::with_exact(0),
        }
    }
}

/// The response as the runtime sends it. What is whole leaves whole; what is not is a stream that ends with the
/// connection.
pub(crate) async fn response(
    response: http::Response<Body>,
    disconnect: impl FnOnce() -> Disconnect,
) -> Response {
    let (head, body) = response.into_parts();
    let (status, headers) = (head.status.as_u16(), lines(&head.headers));
    let made = if body.size_hint().exact().is_some() {
        // Such a body has no step that can fail.
        let bytes = body.collect().await.map(http_body_util::Collected::to_bytes).unwrap_or_default();
        js_response(status, &headers, (!bytes.is_empty()).then_some(&bytes[..]))
    } else {
        streamed(Tied { body: Some(body), disconnect: disconnect() })
            .and_then(|stream| streaming_response(status, &headers, &stream))
    };
    made.unwrap_or_else(|error| {
        tracing::error!(?error, "the response cannot be sent");
        failure(500, "the server could not do its work")
    })
}

fn streamed(body: Tied) -> Result<ReadableStream, JsValue> {
    let response = worker::response_to_wasm(http::Response::new(body)).map_err(JsValue::from)?;
    response.body().ok_or(JsValue::UNDEFINED)
}

/// A response of this host's own, for what does not reach the core.
pub(crate) fn failure(status: u16, text: &str) -> Response {
    let init = ResponseInit::new();
    init.set_status(status);
    Response::new_with_opt_str_and_init(Some(text), &init)
        .or_else(|_| Response::new())
        .expect("a response without anything can be made")
}

/// Headers as the core reads them, one a line, without those that are not valid.
pub(crate) fn headers(lines: &str) -> HeaderMap {
    let mut converted = HeaderMap::new();
    for line in lines.split('\n') {
        let Some((name, value)) = line.split_once(':') else { continue };
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

/// Headers as the runtime sends them, one a line.
pub(crate) fn lines(headers: &HeaderMap) -> String {
    let mut lines = String::new();
    for (name, value) in headers {
        if !lines.is_empty() {
            lines.push('\n');
        }
        lines.push_str(name.as_str());
        lines.push(':');
        // One character for each byte, as `Headers` has them.
        lines.extend(value.as_bytes().iter().map(|byte| char::from(*byte)));
    }
    lines
}

/// The text of an exception, for the log.
pub fn message(error: &JsValue) -> String {
    let text = error.as_string().or_else(|| error.dyn_ref::<Error>().map(|error| error.message().into()));
    text.unwrap_or_else(|| "for an unknown reason".to_owned())
}

/// Completes when the client closes the connection.
pub(crate) struct Disconnect(Settled);

impl Disconnect {
    pub(crate) fn of(request: &Request) -> Self {
        Self(Settled::new(|id| disconnect(id, request)).0)
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

#[wasm_bindgen(module = "/src/bridge.js")]
extern "C" {
    fn request_head(request: &Request) -> String;

    fn whole_body(id: u32, request: &Request);

    /// A copy of the bytes of an `ArrayBuffer` or a `Uint8Array`.
    pub fn bytes(buffer: &JsValue) -> Vec<u8>;

    #[wasm_bindgen(catch, js_name = response)]
    fn js_response(status: u16, head: &str, bytes: Option<&[u8]>) -> Result<Response, JsValue>;

    #[wasm_bindgen(catch)]
    fn streaming_response(status: u16, head: &str, stream: &ReadableStream) -> Result<Response, JsValue>;

    fn disconnect(id: u32, request: &Request);
}

/// Bytes of a body that is read in one piece. The runtime has it in memory by the time it is read.
const WHOLE: u64 = 64 * 1024;
