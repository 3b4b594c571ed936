//! The client from a handler's view: it takes notifications, and in some revisions requests.

use std::{
    fmt,
    sync::{Arc, Mutex},
    task::Waker,
};

use futures_util::task::AtomicWaker;
use rmcp::model::ClientCapabilities;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{RequestGrant, RpcError, request_grant::can_be_asked};
use crate::{host::BoxFuture, sync::lock};

/// Takes the messages that a handler sends before its result: progress, log entries, questions to the client. Cheap to
/// clone.
#[derive(Clone, Debug)]
pub struct Peer(Arc<Outbox>);

#[derive(Debug)]
struct Outbox {
    notifications: NotificationFilter,
    client_requests: Option<ClientRequests>,
    messages: Mutex<Vec<String>>,
    waker: AtomicWaker,
}

/// The requests that a client accepts, and the grant through which its replies come back.
pub(super) struct ClientRequests {
    pub(super) capabilities: ClientCapabilities,
    pub(super) grant: Arc<dyn RequestGrant>,
}

impl fmt::Debug for ClientRequests {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClientRequests").field("capabilities", &self.capabilities).finish_non_exhaustive()
    }
}

impl Peer {
    pub(super) fn new(notifications: NotificationFilter, client_requests: Option<ClientRequests>) -> Self {
        let (messages, waker) = (Mutex::default(), AtomicWaker::new());
        Self(Arc::new(Outbox { notifications, client_requests, messages, waker }))
    }

    /// Sends a JSON-RPC notification to the client, unless the client does not want it.
    pub fn notify(&self, message: Value) {
        if self.0.notifications.includes(&message) {
            self.send(&message);
        }
    }

    /// Sends a request to the client: `elicitation/create`, `sampling/createMessage`, `roots/list` or `ping`. It goes
    /// out with the events of this request, and the client's reply is a request of its own.
    ///
    /// Only revisions with a handshake have this. In later ones a handler returns that it requires input
    /// (`resultType: "input_required"`) and is called again.
    ///
    /// [`RpcError::MISSING_CLIENT_CAPABILITY`]: the client did not declare the capability, or replied that it does not
    /// know the request.
    pub fn ask(
        &self,
        method: &str,
        params: Option<&Value>,
    ) -> Result<BoxFuture<'static, Result<Value, RpcError>>, RpcError> {
        let Some(ClientRequests { capabilities, grant }) = &self.0.client_requests else {
            let text = "the client takes no requests while it waits for this response";
            return Err(RpcError::new(RpcError::INVALID_REQUEST, text));
        };
        can_be_asked(capabilities, method, params)?;
        let id = grant.question_id();
        let reply = grant.await_reply(&id);
        let mut message = json!({ "jsonrpc": "2.0", "id": id, "method": method });
        if let (Some(params), Some(message)) = (params, message.as_object_mut()) {
            message.insert("params".to_owned(), params.clone());
        }
        if !self.send(&message) {
            return Err(RpcError::new(RpcError::INTERNAL_ERROR, "too many messages wait for the client"));
        }
        Ok(Box::pin(async move {
            let Some(mut reply) = reply.await else {
                return Err(RpcError::new(RpcError::INTERNAL_ERROR, "the client has not replied in time"));
            };
            match reply.get_mut("result").map(Value::take) {
                Some(result) => Ok(result),
                None => Err(RpcError::from_client(&reply["error"])),
            }
        }))
    }

    /// `false`: too many messages wait already.
    fn send(&self, message: &Value) -> bool {
        let mut messages = lock(&self.0.messages);
        // A handler that sends without end must not fill the memory while its client does not read.
        let fits = messages.len() < MOST_WAITING;
        if fits {
            messages.push(message.to_string());
        }
        drop(messages);
        self.wake();
        fits
    }

    /// Schedules another poll of the request's future.
    pub(super) fn wake(&self) {
        self.0.waker.wake();
    }

    /// The messages that were sent since the last call.
    pub(super) fn take(&self) -> Vec<String> {
        std::mem::take(&mut *lock(&self.0.messages))
    }

    /// Wakes `waker` at the next message.
    pub(super) fn register(&self, waker: &Waker) {
        self.0.waker.register(waker);
    }
}

/// The notifications that go to the client.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum NotificationFilter {
    #[default]
    All,
    /// All but log entries below this level.
    LogFrom(LogLevel),
    /// All but log entries: the request did not ask for any (MCP 2026-07-28, Logging).
    NoLog,
    /// No message: the client reads no events.
    Nothing,
}

impl NotificationFilter {
    fn includes(self, message: &Value) -> bool {
        let is_log = message.get("method").and_then(Value::as_str) == Some("notifications/message");
        match self {
            Self::LogFrom(least) if is_log => {
                let level = message.pointer("/params/level").and_then(Value::as_str);
                level.and_then(LogLevel::parse).is_some_and(|level| level >= least)
            }
            Self::All | Self::LogFrom(_) => true,
            Self::NoLog => !is_log,
            Self::Nothing => false,
        }
    }
}

/// The severity of a log entry (RFC 5424 §6.2.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(super) struct LogLevel(usize);

impl LogLevel {
    pub(super) fn parse(name: &str) -> Option<Self> {
        LEVELS.iter().position(|level| *level == name).map(Self)
    }
}

/// From the least severe to the most.
const LEVELS: [&str; 8] = ["debug", "info", "notice", "warning", "error", "critical", "alert", "emergency"];
const MOST_WAITING: usize = 1024;
