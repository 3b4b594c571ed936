//! Input that a handler asks for before it can finish, over several requests (MCP 2026-07-28, Multi InputRound-Trip Requests).
//!
//! Between two of them the handler's state is with the client, as `requestState`. A handler writes and reads plain text;
//! what the client holds is sealed, and opens for the same person, client, tool and arguments only.

use std::{
    io::{self, Write},
    sync::Arc,
};

use rmcp::model::ClientCapabilities;
use serde_json::Value;
use sha2::{Digest as _, Sha256};

use super::{Call, GrantSession, RpcError, grant_session::can_be_asked};

/// One request of several.
pub(super) struct InputRound {
    conversation: Arc<dyn GrantSession>,
    capabilities: ClientCapabilities,
    request: [u8; 32],
}

impl InputRound {
    /// Opens the state that the client sends back with `call`.
    pub(super) fn begin(call: &mut Call, conversation: Arc<dyn GrantSession>) -> Result<Self, RpcError> {
        let request = digest(call);
        if !call.era.is_stateless() {
            // Here the handler is asked again by us, and nothing of it comes from the client.
            call.params.remove(INPUT_RESPONSES);
            call.params.remove(REQUEST_STATE);
        } else if let Some(sealed) = call.params.get_mut(REQUEST_STATE).filter(|sealed| !sealed.is_null()) {
            let state = sealed.as_str().and_then(|sealed| conversation.open(&request, sealed));
            let text = "requestState is not of this request, was altered, or has expired";
            *sealed = Value::String(state.ok_or_else(|| RpcError::new(RpcError::INVALID_PARAMS, text))?);
        }
        Ok(Self { conversation, capabilities: call.capabilities.clone(), request })
    }

    /// Seals the state of a result that asks for input, if the client can give it.
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
            *state = self.conversation.seal(&self.request, state, STATE_LIFETIME);
        }
        Ok(result)
    }
}

/// What the request is, whatever differs between its rounds.
fn digest(call: &mut Call) -> [u8; 32] {
    // Out and in again: they may be megabytes, and are not copied.
    let differing = ["_meta", INPUT_RESPONSES, REQUEST_STATE].map(|name| call.params.remove_entry(name));
    let mut hasher = Hasher(Sha256::new());
    // Neither writing to it nor JSON with string keys can fail.
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

/// Seconds in which a person gives the input that a tool asks for.
const STATE_LIFETIME: u64 = 600;
const INPUT_RESPONSES: &str = "inputResponses";
const REQUEST_STATE: &str = "requestState";
