//! Streamable HTTP: from an authorized `POST` to a JSON-RPC response.

use std::{pin::pin, sync::Arc};

use axum::body::Body;
use bytes::Bytes;
use futures_util::future::{Either, select};
use http::{HeaderMap, HeaderValue, Response, StatusCode, request::Parts};
use serde_json::{Map, Value};
use tracing::{Instrument as _, Span};

use super::{
    Call, Caller, Challenge, Handler, Peer, RequestGrant, RpcError, Withdrawn,
    accept::Accept,
    client_messages::{accepted, call_name, cancel, deliver_reply, fail_question, without_body},
    declined::hide_declined,
    exchange::{Closed, Events, Exchange, FirstOutput, Outcome, Sleep},
    headers,
    input_round::InputRound,
    message::{Malformed, Message},
    methods::METHODS,
    negotiated_state::{NegotiatedState, SESSION_ID},
    peer::{ClientRequests, NotificationFilter},
    refusal::Refusal,
    request_grant::shows_forms,
    rpc_error, span,
    tool_call::ToolCall,
};
use crate::{
    host::{BoxFuture, RefusedBecause},
    http::{has_media_type, json_text},
    log_context, trace,
};

/// The MCP endpoint behind the bearer check.
pub struct StreamableHttp {
    handler: Arc<dyn Handler>,
    sleep: Sleep,
    rules: Rules,
}

/// The operator's rules for MCP requests.
#[derive(Clone, Debug, Default)]
pub struct Rules {
    /// Scopes that no client can be granted although a tool, prompt or resource needs them.
    pub ungrantable: Vec<String>,
    /// `UNCONFIRMED_TOOLS`: tools that act without the user's confirmation if the client cannot ask for it.
    pub unconfirmed: Vec<String>,
}

/// A request that agrees with the rules of its revision.
pub(super) struct AcceptedRequest {
    call: Call,
    notifications: NotificationFilter,
    form: ResponseForm,
}

/// When a request must end although its handler has not finished.
enum Ending {
    Call(BoxFuture<'static, Withdrawn>),
    Subscription(BoxFuture<'static, ()>),
}

/// The parts of a request that decide the form of its response.
struct ResponseForm {
    accept: Accept,
    is_stateless: bool,
    /// The name by which the client can cancel the call with a notification. Later revisions have no such notification
    /// over HTTP: the client closes the stream.
    call_name: Option<String>,
    /// The `Mcp-Session-Id` that the response sets if the request succeeds.
    session_id: Option<HeaderValue>,
}

impl StreamableHttp {
    /// The endpoint of `handler`, which waits with `sleep`.
    pub fn new(handler: Arc<dyn Handler>, sleep: Sleep, rules: Rules) -> Self {
        Self { handler, sleep, rules }
    }

    /// Responds to a `POST` of `caller`, on whose grant the request depends.
    pub async fn respond(
        &self,
        head: &Parts,
        body: Bytes,
        caller: Caller,
        grant: Arc<dyn RequestGrant>,
    ) -> Result<Response<Body>, Challenge> {
        match self.serve(&head.headers, &body, caller, grant).await {
            Ok(response) => Ok(response),
            Err(Refusal::Challenge(challenge)) => Err(challenge),
            Err(Refusal::Error { status, id, error }) => {
                tracing::info!(code = error.code, error = error.message, "MCP request refused");
                Ok(json_text(status, rpc_error::response(&id, Err(error))))
            }
        }
    }

    async fn serve(
        &self,
        headers: &HeaderMap,
        body: &[u8],
        caller: Caller,
        grant: Arc<dyn RequestGrant>,
    ) -> Result<Response<Body>, Refusal> {
        if !has_media_type(headers, "application/json") {
            let text = "Content-Type must be application/json";
            return Err(Refusal::invalid(StatusCode::UNSUPPORTED_MEDIA_TYPE, &Value::Null, text));
        }
        let Some(accept) = Accept::of(headers) else {
            let text = "Accept must allow application/json or text/event-stream";
            return Err(Refusal::invalid(StatusCode::NOT_ACCEPTABLE, &Value::Null, text));
        };
        if headers::has_batches(headers)
            && let Some(messages) = Message::batch(body)
        {
            return self.serve_batch(headers, messages, &caller, &grant).await;
        }
        match Message::parse(body) {
            Ok(Message::Cancellation { id }) => {
                let accepted = accepted(headers)?;
                cancel(headers, &id, &*grant).await;
                Ok(accepted)
            }
            Ok(Message::Notification) => accepted(headers),
            Ok(Message::Request { id, method, params }) => {
                let request = self.accept_request(headers, accept, (id, method, params), &*grant)?;
                self.call(request, caller, grant).await
            }
            Ok(Message::Response { id, reply }) => deliver_reply(headers, &id, reply, &*grant).await,
            Err(Malformed { id, error }) => {
                fail_question(&id, &error, &*grant).await;
                Err(Refusal::Error { status: StatusCode::BAD_REQUEST, id, error })
            }
        }
    }

    /// Decides by which rules a request is served, and checks its headers by them.
    pub(super) fn accept_request(
        &self,
        headers: &HeaderMap,
        accept: Accept,
        (id, method, mut params): (Value, String, Map<String, Value>),
        grant: &dyn RequestGrant,
    ) -> Result<AcceptedRequest, Refusal> {
        headers::keep_readable_capabilities(&method, &mut params);
        // A subscription consists of events.
        if method == "subscriptions/listen" && accept == Accept::Json {
            let text = "Accept must allow text/event-stream";
            return Err(Refusal::invalid(StatusCode::NOT_ACCEPTABLE, &id, text));
        }
        let refuse = |error| Refusal::before_handler(&id, error);
        let era = headers::era(headers, &method, &params).map_err(refuse)?;
        let (capabilities, notifications, session_id) = if era.is_stateless() {
            let notifications = self.check_stateless(headers, &method, &params).map_err(refuse)?;
            (headers::capabilities(&params), notifications, None)
        } else {
            headers::agree_if_present(headers, &method, &params).map_err(refuse)?;
            let state = NegotiatedState::before(&method, headers, grant);
            let session_id = state.after(&method, &params).and_then(|next| next.id(grant));
            let notifications = state.log_level.map_or(NotificationFilter::All, NotificationFilter::LogFrom);
            (state.capabilities, notifications, session_id)
        };
        let notifications = if accept == Accept::Json { NotificationFilter::Nothing } else { notifications };
        let call_name = call_name(headers, &id).filter(|_| !era.is_stateless());
        let form = ResponseForm { accept, is_stateless: era.is_stateless(), call_name, session_id };
        Ok(AcceptedRequest { call: Call { id, method, params, era, capabilities }, notifications, form })
    }

    /// Checks that the headers of a stateless request agree with its body. Returns the notifications that it asks for.
    fn check_stateless(
        &self,
        headers: &HeaderMap,
        method: &str,
        params: &Map<String, Value>,
    ) -> Result<NotificationFilter, RpcError> {
        if REMOVED.contains(&method) {
            return Err(RpcError::new(RpcError::METHOD_NOT_FOUND, "this revision does not have this method"));
        }
        let schema = match headers::name(method, params) {
            Some(tool) if method == "tools/call" => self.handler.input_schema(tool),
            _ => None,
        };
        headers::agree(headers, method, params, schema.as_deref())?;
        Ok(headers::log_level(params)?.map_or(NotificationFilter::NoLog, NotificationFilter::LogFrom))
    }

    /// Calls the handler, if the access token has the scopes for it.
    pub(super) async fn call(
        &self,
        AcceptedRequest { call, notifications, form }: AcceptedRequest,
        caller: Caller,
        grant: Arc<dyn RequestGrant>,
    ) -> Result<Response<Body>, Refusal> {
        let name = headers::name(&call.method, &call.params);
        let is_tool = name.is_some_and(|name| self.is_tool(&call.method, name));
        let tool = name.filter(|_| is_tool);
        let span = span::begin(&call, tool);
        // Any other text is the client's own.
        if METHODS.contains(&call.method.as_str()) {
            log_context::note("mcp_method", call.method.as_str());
        }
        if let Some(tool) = tool {
            log_context::note("tool", tool);
        }
        let required = self
            .required_scopes(&call.id, &call.method, &call.params, &caller, &*grant)
            .inspect_err(|refusal| {
                let is_new = matches!(refusal, Refusal::Challenge(Challenge::NotApproved { .. }));
                trace::fails(&span, if is_new { "not_approved" } else { "insufficient_scope" });
            })?;
        // A client that reads events only gets them from the handler, and so does one whose user declined scopes: entries
        // of its lists are hidden.
        if form.accept != Accept::Events
            && caller.declined().is_empty()
            && let Some(result) = self.handler.constant_result(&call)
        {
            return Ok(json_text(StatusCode::OK, rpc_error::response_with_text(&call.id, &result)));
        }
        let takes_requests = !form.is_stateless && form.accept != Accept::Json && call.method != "initialize";
        let client_requests = takes_requests
            .then(|| ClientRequests { capabilities: call.capabilities.clone(), grant: Arc::clone(&grant) });
        let can_ask = (takes_requests || form.is_stateless) && shows_forms(&call.capabilities);
        let may_act_unasked = call.method == "tools/call"
            && name.is_some_and(|tool| self.rules.unconfirmed.iter().any(|named| named == tool));
        let caller = caller.confirming(can_ask, may_act_unasked);
        // A subscription ends with its access token. Other calls end by themselves, or with their grant.
        let ending = match call.method.as_str() {
            "subscriptions/listen" => Ending::Subscription(grant.until_closed()),
            _ => Ending::Call(grant.until_withdrawn(required, form.call_name.clone())),
        };
        let peer = Peer::new(notifications, client_requests);
        let exchange = self.begin(call, caller, grant, (peer, span, is_tool))?;
        self.first_response(exchange, form, ending).await
    }

    /// The scopes that a request needs. Refuses it, with an audit event, if the access token lacks one or if the user has not
    /// approved the tool.
    pub(super) fn required_scopes(
        &self,
        id: &Value,
        method: &str,
        params: &Map<String, Value>,
        caller: &Caller,
        grant: &dyn RequestGrant,
    ) -> Result<Vec<String>, Refusal> {
        let name = headers::name(method, params);
        let tool = name.filter(|name| self.is_tool(method, name));
        let required = self.handler.required_scopes(method, name);
        if !required.iter().all(|scope| caller.has_scope(scope)) {
            grant.refuse_call(tool, RefusedBecause::InsufficientScope);
            return Err(self.insufficient_scope(id, required));
        }
        if name.is_some_and(|name| !grant.has_approved(name)) {
            grant.refuse_call(tool, RefusedBecause::NotApproved);
            return Err(Refusal::Challenge(Challenge::NotApproved { required }));
        }
        Ok(required)
    }

    /// Whether the request calls a tool that exists.
    fn is_tool(&self, method: &str, name: &str) -> bool {
        method == "tools/call" && self.handler.input_schema(name).is_some()
    }

    /// A challenge for the scopes, unless no client can be granted one of them: a client that asks for it would come
    /// back without it, and ask again.
    fn insufficient_scope(&self, id: &Value, required: Vec<String>) -> Refusal {
        match required.iter().find(|scope| self.rules.ungrantable.contains(scope)) {
            None => Refusal::Challenge(Challenge::InsufficientScope { required }),
            Some(scope) => {
                let text = format!("this needs the scope {scope}, which this server grants to no client");
                let error = RpcError::new(RpcError::INTERNAL_ERROR, text);
                Refusal::Error { status: StatusCode::OK, id: id.clone(), error }
            }
        }
    }

    /// Starts the handler.
    fn begin(
        &self,
        mut call: Call,
        caller: Caller,
        grant: Arc<dyn RequestGrant>,
        (peer, span, is_tool): (Peer, Span, bool),
    ) -> Result<Exchange, Refusal> {
        let id = call.id.clone();
        let round = InputRound::begin(&mut call, Arc::clone(&grant))
            .map_err(|error| Refusal::before_handler(&id, error))?;
        let tool = (call.method == "tools/call").then(|| headers::name(&call.method, &call.params)).flatten();
        let tool_call = tool.map(|tool| {
            let existing = Some(tool).filter(|_| is_tool);
            ToolCall::begin(&*grant, existing, &call.params)
        });
        let (tool, login) = (tool.map(str::to_owned), caller.login());
        let (handler, method, declined) = (Arc::clone(&self.handler), call.method.clone(), caller.declined());
        let work = self.handler.handle(call, caller, peer.clone());
        let current = span.clone();
        let work = async move {
            let mut result = work.await.and_then(|result| round.end(result));
            if let Ok(result) = &mut result {
                hide_declined(&*handler, &method, &declined, result);
            }
            // The status is 200 all the same. The text of the result may be the user's, and is not logged.
            if result.as_ref().is_ok_and(|result| result.get("isError") == Some(&Value::Bool(true))) {
                tracing::info!(tool, "a tool call ended with an error");
            }
            if let Some(tool_call) = tool_call {
                tool_call.end(&result, login.has_ended());
            }
            span::end(&current, &result, login.has_ended());
            if login.has_ended() { Outcome::LoginRequired(result) } else { Outcome::Finished(result) }
        };
        Ok(Exchange { id, work: Box::pin(log_context::carried(work).instrument(span)), peer })
    }

    /// Waits for the first output of the handler. The response is one JSON document if that is its result, and a stream
    /// of events otherwise.
    async fn first_response(
        &self,
        mut exchange: Exchange,
        ResponseForm { accept, is_stateless, session_id, .. }: ResponseForm,
        ending: Ending,
    ) -> Result<Response<Body>, Refusal> {
        let (output, closed) = match ending {
            Ending::Call(withdrawn) => match select(pin!(exchange.first_output()), withdrawn).await {
                Either::Left((output, withdrawn)) => (output, Closed::withdrawn(withdrawn)),
                Either::Right((Withdrawn::Cancelled, _)) => return Ok(without_body()),
                Either::Right((Withdrawn::Unauthorized(challenge), _)) => {
                    return Err(Refusal::Challenge(challenge));
                }
            },
            Ending::Subscription(closed) => (exchange.first_output().await, Closed::expired(closed)),
        };
        let events = |exchange, messages, done| {
            Events::new(exchange, messages, done, Arc::clone(&self.sleep), closed).into_response()
        };
        let (mut response, succeeded) = match output {
            FirstOutput::Events { messages, done } => (events(exchange, messages, done), true),
            FirstOutput::Outcome(Outcome::LoginRequired(_)) => {
                return Err(Refusal::Challenge(Challenge::LoginRequired));
            }
            FirstOutput::Outcome(Outcome::Finished(result)) => {
                let (status, succeeded) =
                    (rpc_error::status_of_result(&result, is_stateless), result.is_ok());
                let message = rpc_error::response(&exchange.id, result);
                let response = if accept == Accept::Events && status == StatusCode::OK {
                    events(exchange, vec![message], true)
                } else {
                    json_text(status, message)
                };
                (response, succeeded)
            }
        };
        if let Some(session_id) = session_id.filter(|_| succeeded) {
            response.headers_mut().insert(SESSION_ID, session_id);
        }
        Ok(response)
    }
}

/// Methods that revisions without a handshake do not have.
const REMOVED: [&str; 4] = ["logging/setLevel", "ping", "resources/subscribe", "resources/unsubscribe"];
