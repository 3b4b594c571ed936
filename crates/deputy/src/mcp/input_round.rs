//! Input that a handler requires before it can finish, over several requests (MCP 2026-07-28, Multi Round-Trip
//! Requests).
//!
//! Between two of them the client keeps the handler's state, as `requestState`. A handler writes and reads plain text.
//! The client holds it sealed, and it opens for the same user, client, tool and arguments only.

use std::{
    io::{self, Write},
    sync::Arc,
};

use rmcp::model::ClientCapabilities;
use serde_json::Value;
use sha2::{Digest as _, Sha256};

use super::{Call, RequestGrant, RpcError, request_grant::can_be_asked};

/// One request of such a sequence.
pub(super) struct InputRound {
    grant: Arc<dyn RequestGrant>,
    capabilities: ClientCapabilities,
    /// The digest of the request, without the members that differ between rounds.
    request: [u8; 32],
}

impl InputRound {
    /// Opens the state that the client sends back with `call`.
    pub(super) fn begin(call: &mut Call, grant: Arc<dyn RequestGrant>) -> Result<Self, RpcError> {
        let request = digest(call);
        if !call.era.is_stateless() {
            // In these revisions this server calls the handler again, and the client sends no state.
            call.params.remove(INPUT_RESPONSES);
            call.params.remove(REQUEST_STATE);
        } else if let Some(sealed) = call.params.get_mut(REQUEST_STATE).filter(|sealed| !sealed.is_null()) {
            let state = sealed.as_str().and_then(|sealed| grant.open(&request, sealed));
            let text = "requestState belongs to another request, was altered, or has expired";
            *sealed = Value::String(state.ok_or_else(|| RpcError::new(RpcError::INVALID_PARAMS, text))?);
        }
        Ok(Self { grant, capabilities: call.capabilities.clone(), request })
    }

    /// Seals the state in a result that requires input. Fails if the client cannot provide the input.
    pub(super) fn end(&self, mut result: Value) -> Result<Value, RpcError> {
        if result.get("resultType").and_then(Value::as_str) != Some("input_required") {
            return Ok(result);
        }
        for request in
            result.get("inputRequests").and_then(Value::as_object).into_iter().flat_map(|all| all.values())
        {
            let method = request.get("method").and_then(Value::as_str).unwrap_or_default();
            can_be_asked(&self.capabilities, method, request.get("params"))?;
        }
        if let Some(Value::String(state)) = result.get_mut(REQUEST_STATE) {
            *state = self.grant.seal(&self.request, state, STATE_LIFETIME);
        }
        Ok(result)
    }
}

/// The digest of a request, without the members that differ between its rounds.
fn digest(call: &mut Call) -> [u8; 32] {
    // Moved out and back: they may be megabytes, and are not copied.
    let differing = ["_meta", INPUT_RESPONSES, REQUEST_STATE].map(|name| call.params.remove_entry(name));
    let mut hasher = Hasher(Sha256::new());
    // Writing to a hasher cannot fail, nor can JSON with string keys.
    let _ = serde_json::to_writer(&mut hasher, &(&call.method, &call.params));
    call.params.extend(differing.into_iter().flatten());
    hasher.0.finalize().into()
}

struct Hasher(Sha256);

impl Write for Hasher {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.update(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Seconds in which a user provides the input.
const STATE_LIFETIME: u64 = 600;
const INPUT_RESPONSES: &str = "inputResponses";
const REQUEST_STATE: &str = "requestState";
