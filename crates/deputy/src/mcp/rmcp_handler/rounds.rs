//! Input that a handler asks for, from a client of a revision that cannot be answered with "input required".
//!
//! A handler asks in one way, that of 2026-07-28: it answers that it needs input, and is called again with it. Where the
//! client knows only requests from server to client, these are sent here, and the handler is called again by us.

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

/// Answers a request by the rules of revisions with a handshake.
pub(super) async fn handle<S: ServerHandler>(
    server: &S,
    request: ClientRequest,
    context: RequestContext<RoleServer>,
    peer: &Peer,
) -> Result<ServerResult, ErrorData> {
    let mut result = match request {
        ClientRequest::CallToolRequest(request) => rounds(server, request.params, context, peer).await?,
        ClientRequest::GetPromptRequest(request) => rounds(server, request.params, context, peer).await?,
        ClientRequest::ReadResourceRequest(request) => rounds(server, request.params, context, peer).await?,
        request => server.handle_request(request, context).await?,
    };
    result.strip_result_type_for_legacy_peer();
    result.strip_non_object_output_for_legacy_peer();
    Ok(result)
}

/// Calls until no more input is needed. Where the client answers that it cannot be asked, the handler is called anew for a
/// client that cannot.
async fn rounds<S: ServerHandler, P: Resumed>(
    server: &S,
    mut params: P,
    mut context: RequestContext<RoleServer>,
    peer: &Peer,
) -> Result<ServerResult, ErrorData> {
    let asked = params.clone();
    for _ in 0..DEFAULT_MRTR_MAX_ROUNDS {
        let input = match params.clone().call(server, context.clone()).await? {
            ServerResult::InputRequiredResult(input) => input,
            // No client of these revisions has declared that it knows tasks.
            ServerResult::CreateTaskResult(_) => {
                let tasks = ClientCapabilities::builder().enable_tasks().build();
                return Err(ErrorData::missing_required_client_capability(tasks));
            }
            result => return Ok(result),
        };
        match ask_all(peer, input.input_requests).await {
            Ok(responses) => params.resume(responses, input.request_state),
            Err(error) if error.code == UNABLE && forget_forms(&mut context) => params = asked.clone(),
            Err(error) if error.code == UNABLE => return Err(error),
            // The code is the client's, and would say something else of the request that it waits for.
            Err(error) => {
                let text = format!("the question to the client was not answered: {}", error.message);
                return Err(ErrorData::internal_error(text, error.data));
            }
        }
    }
    Err(ErrorData::internal_error("the handler asks for input without end", None))
}

/// Asks one question after the other: each is a dialog before a person.
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

/// Has the handler meet a client that shows no forms. `false`: it met one already.
fn forget_forms(context: &mut RequestContext<RoleServer>) -> bool {
    let Some(caller) = context.extensions.get::<Caller>() else { return false };
    if caller.confirmation() != Confirmation::Ask {
        return false;
    }
    let caller = caller.unable_to_ask();
    context.extensions.insert(caller);
    let mut capabilities = context.client_capabilities().unwrap_or_default();
    capabilities.elicitation = None;
    context.meta.set_client_capabilities(capabilities);
    true
}

/// The client cannot be asked, as it declared or answered.
const UNABLE: ErrorCode = ErrorCode::MISSING_REQUIRED_CLIENT_CAPABILITY;

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
