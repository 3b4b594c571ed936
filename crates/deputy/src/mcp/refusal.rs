//! Requests that get no response of their handler.

use http::StatusCode;
use serde_json::Value;

use super::{Challenge, RpcError};

/// Why a request gets no response of its handler.
pub(super) enum Refusal {
    Challenge(Challenge),
    /// A JSON-RPC error. `id` is null if it could not be read.
    Error {
        status: StatusCode,
        id: Value,
        error: RpcError,
    },
}

impl Refusal {
    /// The refusal of a request that was not handed to the handler.
    pub(super) fn before_handler(id: &Value, error: RpcError) -> Self {
        let status = match error.code {
            RpcError::METHOD_NOT_FOUND => StatusCode::NOT_FOUND,
            _ => StatusCode::BAD_REQUEST,
        };
        Self::Error { status, id: id.clone(), error }
    }

    pub(super) fn invalid(status: StatusCode, id: &Value, text: &str) -> Self {
        Self::Error { status, id: id.clone(), error: RpcError::new(RpcError::INVALID_REQUEST, text) }
    }
}
