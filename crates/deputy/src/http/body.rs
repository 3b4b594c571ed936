//! Reading request bodies within bounds.

use std::{pin::pin, time::Duration};

use axum::body::Body;
use bytes::{Bytes, BytesMut};
use futures_util::{
    FutureExt as _,
    future::{Either, select},
};
use http::StatusCode;
use http_body_util::BodyExt as _;

use crate::host::Host;

/// The whole body, if it is no longer than `limit` bytes and arrives in time.
pub(crate) async fn read_body(host: &Host, body: Body, limit: usize) -> Result<Bytes, BodyError> {
    read_counted_body(host, body, limit, |_| true).await
}

/// Reads a body as [`read_body`] does, while `admits` accepts the bytes of each frame.
pub(crate) async fn read_counted_body(
    host: &Host,
    body: Body,
    limit: usize,
    admits: impl FnMut(usize) -> bool,
) -> Result<Bytes, BodyError> {
    let mut whole = pin!(collect(body, limit, admits));
    // Most bodies have arrived already.
    if let Some(read) = whole.as_mut().now_or_never() {
        return read;
    }
    match select(whole, host.clock.sleep(TIME)).await {
        Either::Left((read, _)) => read,
        Either::Right(_) => Err(BodyError::Late),
    }
}

/// Copies the bytes, so that a body in a million frames takes no more memory than one in a single frame.
async fn collect(
    body: Body,
    limit: usize,
    mut admits: impl FnMut(usize) -> bool,
) -> Result<Bytes, BodyError> {
    let mut body = pin!(body);
    let mut bytes = BytesMut::new();
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|_| BodyError::Broken)?;
        let Some(data) = frame.data_ref() else { continue };
        if bytes.len() + data.len() > limit {
            return Err(BodyError::TooLarge);
        }
        if !admits(data.len()) {
            return Err(BodyError::TooMany);
        }
        bytes.extend_from_slice(data);
    }
    Ok(bytes.freeze())
}

/// The time for a body, and again for the unread rest of it. The native host allows less.
pub(crate) const TIME: Duration = Duration::from_secs(20);

/// Why a body was not read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error, strum::IntoStaticStr)]
#[strum(serialize_all = "snake_case")]
pub(crate) enum BodyError {
    /// The connection broke, or the body's framing is wrong.
    #[error("the body did not arrive completely")]
    Broken,
    /// The deadline passed.
    #[error("the body did not arrive in time")]
    Late,
    /// Longer than allowed.
    #[error("the body is too large")]
    TooLarge,
    /// The limit of concurrent bytes is reached.
    #[error("too many other bodies arrive at the same time")]
    TooMany,
}

impl BodyError {
    pub(crate) const fn status(self) -> StatusCode {
        match self {
            Self::Broken => StatusCode::BAD_REQUEST,
            Self::Late => StatusCode::REQUEST_TIMEOUT,
            Self::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Self::TooMany => StatusCode::TOO_MANY_REQUESTS,
        }
    }
}
