//! Input that a handler asks for, from a client of a revision that cannot be answered with "input required".
//!
//! A handler asks in one way, that of 2026-07-28: it answers that it needs input, and is called again with it. Where the
//! client knows only requests from server to client, these are sent here, and the handler is called again by us.

use std::collections::BTreeMap;

use rmcp::{
    ErrorData, RoleServer, ServerHandler, Service,
    model::{
        CallToolRequestParams, ClientCapabilities, ClientRequest, DEFAULT_MRTR_MAX_ROUNDS, ErrorCode,
        GetPromptRequestParams, InputRequiredResult, InputResponses, ReadResourceRequestParams, ServerResult,
    },
    service::RequestContext,
};

use super::super::Peer;

/// Answers a request by the rules of revisions with a handshake.
pub(super) async fn handle<S: ServerHandler>(
    server: &S,
    request: ClientRequest,
    context: RequestContext<RoleServer>,
    peer: &Peer,
) -> Result<ServerResult, ErrorData> {
    let mut result = match request {
        ClientRequest::CallToolRequest(request) => rounds(server, request.params, &context, peer).await?,
        ClientRequest::GetPromptRequest(request) => rounds(server, request.params, &context, peer).await?,
        ClientRequest::ReadResourceRequest(request) => rounds(server, request.params, &context, peer).await?,
        request => server.handle_request(request, context).await?,
    };
    result.strip_result_type_for_legacy_peer();
    result.strip_non_object_output_for_legacy_peer();
    Ok(result)
}

/// Calls until no more input is needed.
async fn rounds<S: ServerHandler, P: Resumed>(
    server: &S,
    mut params: P,
    context: &RequestContext<RoleServer>,
    peer: &Peer,
) -> Result<ServerResult, ErrorData> {
    for _ in 0..DEFAULT_MRTR_MAX_ROUNDS {
        match params.clone().call(server, context.clone()).await? {
            ServerResult::InputRequiredResult(InputRequiredResult {
                input_requests, request_state, ..
            }) => {
                let mut responses = BTreeMap::new();
                // One after the other: each is a dialog before a person.
                for (name, question) in input_requests.into_iter().flatten() {
                    let question = serde_json::to_value(question).unwrap_or_default();
                    responses.insert(name, ask(peer, &question).await?);
                }
                params.resume(responses, request_state);
            }
            // No client of these revisions has declared that it knows tasks.
            ServerResult::CreateTaskResult(_) => {
                let tasks = ClientCapabilities::builder().enable_tasks().build();
                return Err(ErrorData::missing_required_client_capability(tasks));
            }
            result => return Ok(result),
        }
    }
    Err(ErrorData::internal_error("the handler asks for input without end", None))
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

/// Params of a request that can be made again with input.
trait Resumed: Clone + Send {
    /// Has `server` answer the request.
    fn call<S: ServerHandler>(
        self,
        server: &S,
        context: RequestContext<RoleServer>,
    ) -> impl Future<Output = Result<ServerResult, ErrorData>> + Send;

    /// Adds the input.
    fn resume(&mut self, responses: InputResponses, state: Option<String>);
}

macro_rules! resumed {
    ($($params:ty, $method:ident;)*) => {$(
        impl Resumed for $params {
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

resumed! {
    CallToolRequestParams, call_tool;
    GetPromptRequestParams, get_prompt;
    ReadResourceRequestParams, read_resource;
}
