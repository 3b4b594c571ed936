//! Input that a handler requires, from a client of a revision without "input required" results.
//!
//! A handler requires input in one way, that of 2026-07-28: it returns a result that says so, and is called again with
//! the input. Clients of older revisions know only requests from server to client. These are sent here, and the handler
//! is called again with the replies.

use std::collections::BTreeMap;

use rmcp::{
    ErrorData, RoleServer, ServerHandler, Service,
    model::{
        CallToolRequestParams, ClientCapabilities, ClientRequest, DEFAULT_MRTR_MAX_ROUNDS, ErrorCode,
        GetPromptRequestParams, InputRequests, InputResponses, ReadResourceRequestParams, ServerResult,
    },
    service::RequestContext,
};

use crate::mcp::{Caller, Confirmation, Peer};

/// Serves a request by the rules of revisions with a handshake.
pub(super) async fn call_until_complete<S: ServerHandler>(
    server: &S,
    request: ClientRequest,
    context: RequestContext<RoleServer>,
    peer: &Peer,
) -> Result<ServerResult, ErrorData> {
    let mut result = match request {
        ClientRequest::CallToolRequest(request) => {
            repeat_with_input(server, request.params, context, peer).await?
        }
        ClientRequest::GetPromptRequest(request) => {
            repeat_with_input(server, request.params, context, peer).await?
        }
        ClientRequest::ReadResourceRequest(request) => {
            repeat_with_input(server, request.params, context, peer).await?
        }
        request => server.handle_request(request, context).await?,
    };
    result.strip_result_type_for_legacy_peer();
    result.strip_non_object_output_for_legacy_peer();
    Ok(result)
}

/// Calls the handler until it requires no more input. If the client replies that it lacks the capability, the handler
/// is called from the start, for a client without it.
async fn repeat_with_input<S: ServerHandler, P: Resumable>(
    server: &S,
    mut params: P,
    mut context: RequestContext<RoleServer>,
    peer: &Peer,
) -> Result<ServerResult, ErrorData> {
    let original = params.clone();
    for _ in 0..DEFAULT_MRTR_MAX_ROUNDS {
        let input = match params.clone().call(server, context.clone()).await? {
            ServerResult::InputRequiredResult(input) => input,
            // Clients of these revisions do not declare that they know tasks.
            ServerResult::CreateTaskResult(_) => {
                let tasks = ClientCapabilities::builder().enable_tasks().build();
                return Err(ErrorData::missing_required_client_capability(tasks));
            }
            result => return Ok(result),
        };
        match ask_all(peer, input.input_requests).await {
            Ok(responses) => params.resume(responses, input.request_state),
            Err(error) if error.code == MISSING_CAPABILITY && remove_forms(&mut context) => {
                params = original.clone();
            }
            Err(error) if error.code == MISSING_CAPABILITY => return Err(error),
            // The client's own code would be wrong for the request that it waits for.
            Err(error) => {
                let text = format!("the client did not provide the input: {}", error.message);
                return Err(ErrorData::internal_error(text, error.data));
            }
        }
    }
    Err(ErrorData::internal_error("the handler requires input too many times", None))
}

/// Asks one question after the other, since each is a dialog with the user.
async fn ask_all(peer: &Peer, questions: Option<InputRequests>) -> Result<InputResponses, ErrorData> {
    let mut responses = BTreeMap::new();
    for (name, question) in questions.into_iter().flatten() {
        let question = serde_json::to_value(question).unwrap_or_default();
        responses.insert(name, ask(peer, &question).await?);
    }
    Ok(responses)
}

async fn ask(peer: &Peer, question: &serde_json::Value) -> Result<serde_json::Value, ErrorData> {
    let method = question.get("method").and_then(serde_json::Value::as_str).unwrap_or_default();
    let reply = match peer.ask(method, question.get("params")) {
        Ok(reply) => reply.await,
        Err(refused) => Err(refused),
    };
    reply.map_err(|error| {
        let code = ErrorCode(i32::try_from(error.code).unwrap_or(ErrorCode::INTERNAL_ERROR.0));
        ErrorData::new(code, error.message, error.data)
    })
}

/// Removes the capability to show forms from what the handler sees. `false`: it did not see it before.
fn remove_forms(context: &mut RequestContext<RoleServer>) -> bool {
    let Some(caller) = context.extensions.get::<Caller>() else { return false };
    if caller.confirmation() != Confirmation::Ask {
        return false;
    }
    let caller = caller.without_forms();
    context.extensions.insert(caller);
    let mut capabilities = context.client_capabilities().unwrap_or_default();
    capabilities.elicitation = None;
    context.meta.set_client_capabilities(capabilities);
    true
}

/// The client lacks the capability, by its declaration or its reply.
const MISSING_CAPABILITY: ErrorCode = ErrorCode::MISSING_REQUIRED_CLIENT_CAPABILITY;

/// Params of a request that can be repeated with input.
trait Resumable: Clone + Send {
    /// Calls the handler of `server`.
    fn call<S: ServerHandler>(
        self,
        server: &S,
        context: RequestContext<RoleServer>,
    ) -> impl Future<Output = Result<ServerResult, ErrorData>> + Send;

    fn resume(&mut self, responses: InputResponses, state: Option<String>);
}

macro_rules! resumable {
    ($($params:ty, $method:ident;)*) => {$(
        impl Resumable for $params {
            async fn call<S: ServerHandler>(
                self,
                server: &S,
                context: RequestContext<RoleServer>,
            ) -> Result<ServerResult, ErrorData> {
                server.$method(self, context).await.map(ServerResult::from)
            }

            fn resume(&mut self, responses: InputResponses, state: Option<String>) {
                self.input_responses = Some(responses);
                self.request_state = state;
            }
        }
    )*};
}

resumable! {
    CallToolRequestParams, call_tool;
    GetPromptRequestParams, get_prompt;
    ReadResourceRequestParams, read_resource;
}
