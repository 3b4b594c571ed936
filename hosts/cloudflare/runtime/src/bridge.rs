//! Conversion of requests and responses between the runtime and the core.

use std::{
    pin::Pin,
    task::{Context, Poll, ready},
};

use axum::body::Body;
use bytes::Bytes;
use deputy::{
    host::{BodyReadByHost, ClientAddress},
    log_context::REQUEST_ID,
    trace::TraceParent,
};
use http::{HeaderMap, HeaderName, HeaderValue, header};
use http_body::{Body as _, Frame, SizeHint};
use http_body_util::BodyExt as _;
use wasm_bindgen::prelude::*;
use worker::{
    js_sys::Error,
    send::SendWrapper,
    web_sys::{ReadableStream, Request, Response, ResponseInit},
};

use crate::{reactor::Completion, trace};

/// The request in the types of the core, or `None` if its URL or method is invalid.
pub(crate) fn request(request: &Request) -> Option<http::Request<Body>> {
    let head = request_head(request);
    let (method, rest) = head.split_once('\n')?;
    let (url, lines) = rest.split_once('\n').unwrap_or((rest, ""));
    let mut converted = http::Request::new(Body::empty());
    *converted.method_mut() = method.parse().ok()?;
    // In origin form (RFC 9112 §3.2.1): the authority of the runtime's URL comes from the `Host` header, which is kept.
    *converted.uri_mut() = url.parse::<http::Uri>().ok()?.path_and_query()?.clone().into();
    *converted.headers_mut() = parse_headers(lines);
    // Cloudflare gives each request an id, and overwrites the client's own header of that name.
    match converted.headers().get("cf-ray").cloned() {
        Some(id) => drop(converted.headers_mut().insert(REQUEST_ID, id)),
        None => drop(converted.headers_mut().remove(REQUEST_ID)),
    }
    let text = |name: &str| converted.headers().get(name).and_then(|value| value.to_str().ok());
    // Cloudflare overwrites the client's own header of this name.
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
        if length.is_some_and(|length| length <= MAX_WHOLE_BODY) {
            converted.extensions_mut().insert(BodyReadByHost);
        }
        // `Clone::clone` copies the reference. `Request::clone` would tee the body.
        *converted.body_mut() =
            Body::new(RequestBody::Unread(SendWrapper::new(Clone::clone(request)), length));
    }
    Some(converted)
}

/// The body of a request. It is not read before it is polled.
enum RequestBody {
    Unread(SendWrapper<Request>, Option<u64>),
    /// Read in one piece.
    Whole(Completion, u64),
    /// Read in chunks, because it is long or its length is unknown.
    Stream(worker::Body),
    Read,
}

impl http_body::Body for RequestBody {
    type Data = Bytes;
    type Error = worker::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, worker::Error>>> {
        if let Self::Unread(request, length) = &*self {
            *self = match (length, request.body()) {
                (Some(length), _) if *length <= MAX_WHOLE_BODY => {
                    Self::Whole(Completion::start(|id| whole_body(id, request)).0, *length)
                }
                (_, Some(stream)) => Self::Stream(worker::Body::new(stream)),
                (_, None) => Self::Read,
            };
        }
        match &mut *self {
            Self::Whole(completion, _) => {
                let result = ready!(Pin::new(completion).poll(context));
                *self = Self::Read;
                Poll::Ready(Some(match result {
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

/// The response in the types of the runtime. A body of known size is sent in one piece, any other as a stream that ends
/// when the client disconnects.
pub(crate) async fn response(
    response: http::Response<Body>,
    disconnect: impl FnOnce() -> Disconnect,
) -> Response {
    let (head, body) = response.into_parts();
    let (status, headers) = (head.status.as_u16(), header_lines(&head.headers));
    let converted = if body.size_hint().exact().is_some() {
        // Collecting a body that is in memory cannot fail.
        let bytes = body.collect().await.map(http_body_util::Collected::to_bytes).unwrap_or_default();
        js_response(status, &headers, (!bytes.is_empty()).then_some(&bytes[..]))
    } else {
        stream(TiedBody { body: Some(body), disconnect: disconnect(), trace: trace::current() })
            .and_then(|stream| streaming_response(status, &headers, &stream))
    };
    converted.unwrap_or_else(|error| {
        tracing::error!(?error, "the runtime did not accept the response");
        error_response(500, "the response could not be sent; the server's log has the reason")
    })
}

fn stream(body: TiedBody) -> Result<ReadableStream, JsValue> {
    let response = worker::response_to_wasm(http::Response::new(body)).map_err(JsValue::from)?;
    response.body().ok_or(JsValue::UNDEFINED)
}

/// A response to a request that does not reach the core.
pub(crate) fn error_response(status: u16, text: &str) -> Response {
    let init = ResponseInit::new();
    init.set_status(status);
    Response::new_with_opt_str_and_init(Some(text), &init)
        .or_else(|_| Response::new())
        .expect("an empty response can be created")
}

/// Parses headers, one per line. Invalid ones are skipped.
pub(crate) fn parse_headers(lines: &str) -> HeaderMap {
    let mut converted = HeaderMap::new();
    for line in lines.split('\n') {
        let Some((name, value)) = line.split_once(':') else { continue };
        // The runtime does not remove whitespace at the end of a value (RFC 9110 §5.5).
        let value = value.trim_matches([' ', '\t']);
        if let (Ok(name), Ok(value)) =
            (HeaderName::from_bytes(name.as_bytes()), HeaderValue::from_bytes(value.as_bytes()))
        {
            converted.append(name, value);
        }
    }
    converted
}

/// Headers as text, one per line.
pub(crate) fn header_lines(headers: &HeaderMap) -> String {
    let mut lines = String::new();
    for (name, value) in headers {
        if !lines.is_empty() {
            lines.push('\n');
        }
        lines.push_str(name.as_str());
        lines.push(':');
        // One character for each byte, as the runtime's `Headers` expect it.
        lines.extend(value.as_bytes().iter().map(|byte| char::from(*byte)));
    }
    lines
}

/// The message of an exception, for the log.
pub fn exception_message(error: &JsValue) -> String {
    let text = error.as_string().or_else(|| error.dyn_ref::<Error>().map(|error| error.message().into()));
    text.unwrap_or_else(|| "an unknown error".to_owned())
}

/// Completes when the client closes the connection.
pub(crate) struct Disconnect(Completion);

impl Disconnect {
    pub(crate) fn of(request: &Request) -> Self {
        Self(Completion::start(|id| disconnect(id, request)).0)
    }
}

impl Future for Disconnect {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        Pin::new(&mut self.0).poll(context).map(|_| ())
    }
}

/// A response body that is dropped, with the work that it owns, when the client disconnects. The runtime itself does
/// not cancel the stream.
struct TiedBody {
    body: Option<Body>,
    disconnect: Disconnect,
    trace: Option<TraceParent>,
}

impl http_body::Body for TiedBody {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        if Pin::new(&mut self.disconnect).poll(cx).is_ready() {
            self.body = None;
        }
        let Self { body, trace, .. } = &mut *self;
        match body {
            Some(body) => trace::within(trace, || Pin::new(body).poll_frame(cx)),
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

/// The largest request body, in bytes, that is read in one piece.
const MAX_WHOLE_BODY: u64 = 64 * 1024;
