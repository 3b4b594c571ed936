//! The client, as a handler meets it while it works: who takes notifications, and can be asked.

use std::{
    fmt,
    sync::{Arc, Mutex, PoisonError},
    task::Waker,
};

use futures_util::task::AtomicWaker;
use rmcp::model::ClientCapabilities;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{GrantSession, RpcError, grant_session::can_be_asked};
use crate::host::BoxFuture;

/// Takes the messages that a handler sends before its result: progress, log entries, questions. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Peer(Arc<Outbox>);

#[derive(Debug)]
struct Outbox {
    wanted: NotificationFilter,
    asking: Option<ClientRequests>,
    messages: Mutex<Vec<Value>>,
    waker: AtomicWaker,
}

/// What a client can be asked, and how its reply comes back.
pub(super) struct ClientRequests {
    pub(super) capabilities: ClientCapabilities,
    pub(super) conversation: Arc<dyn GrantSession>,
}

impl fmt::Debug for ClientRequests {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClientRequests").field("capabilities", &self.capabilities).finish_non_exhaustive()
    }
}

impl Peer {
    pub(super) fn new(wanted: NotificationFilter, asking: Option<ClientRequests>) -> Self {
        Self(Arc::new(Outbox { wanted, asking, messages: Mutex::default(), waker: AtomicWaker::new() }))
    }

    /// Sends a JSON-RPC notification to the client, if it is one that the client wants.
    pub fn notify(&self, message: Value) {
        if self.0.wanted.includes(&message) {
            self.send(message);
        }
    }

    /// Asks the client: `elicitation/create`, `sampling/createMessage`, `roots/list` or `ping`. The question goes out with
    /// the events of this request, and the reply comes with a request of its own.
    ///
    /// Only revisions with a handshake have this. In later ones a handler answers that it needs input
    /// (`resultType: "input_required"`) and is called again.
    ///
    /// [`RpcError::MISSING_CLIENT_CAPABILITY`]: the client cannot be asked this, by its own declaration or because it has
    /// answered that it does not know the question.
    pub fn ask(
        &self,
        method: &str,
        params: Option<&Value>,
    ) -> Result<BoxFuture<'static, Result<Value, RpcError>>, RpcError> {
        let Some(ClientRequests { capabilities, conversation }) = &self.0.asking else {
            let text = "the client cannot be asked while it waits for this answer";
            return Err(RpcError::new(RpcError::INVALID_REQUEST, text));
        };
        can_be_asked(capabilities, method, params)?;
        let id = conversation.question();
        let reply = conversation.reply(&id);
        let mut message = json!({ "jsonrpc": "2.0", "id": id, "method": method });
        if let (Some(params), Some(message)) = (params, message.as_object_mut()) {
            message.insert("params".to_owned(), params.clone());
        }
        if !self.send(message) {
            return Err(RpcError::new(RpcError::INTERNAL_ERROR, "too many messages wait for the client"));
        }
        Ok(Box::pin(async move {
            let Some(mut reply) = reply.await else {
                return Err(RpcError::new(RpcError::INTERNAL_ERROR, "the client has not answered in time"));
            };
            match reply.get_mut("result").map(Value::take) {
                Some(result) => Ok(result),
                None => Err(RpcError::of_client(&reply["error"])),
            }
        }))
    }

    /// Whether there was room for it.
    fn send(&self, message: Value) -> bool {
        let mut messages = self.0.messages.lock().unwrap_or_else(PoisonError::into_inner);
        // A handler that never rests must not fill the memory of a client that does not read.
        let fits = messages.len() < MOST_WAITING;
        if fits {
            messages.push(message);
        }
        drop(messages);
        self.wake();
        fits
    }

    /// Has the request be looked at again.
    pub(super) fn wake(&self) {
        self.0.waker.wake();
    }

    /// What has been sent since the last time.
    pub(super) fn take(&self) -> Vec<Value> {
        std::mem::take(&mut *self.0.messages.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Wakes `waker` at the next message.
    pub(super) fn register(&self, waker: &Waker) {
        self.0.waker.register(waker);
    }
}

/// Which messages of a handler go to the client.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum NotificationFilter {
    /// Every one.
    #[default]
    All,
    /// Every one but log entries below this level.
    LogFrom(LogLevel),
    /// Every one but log entries: the request did not ask for any (MCP 2026-07-28, Logging).
    NoLog,
    /// None: the client reads no events.
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

/// How severe a log entry is (RFC 5424 §6.2.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(super) struct LogLevel(usize);

impl LogLevel {
    /// The level with this name.
    pub(super) fn parse(name: &str) -> Option<Self> {
        LEVELS.iter().position(|level| *level == name).map(Self)
    }
}

/// From the least severe to the most.
const LEVELS: [&str; 8] = ["debug", "info", "notice", "warning", "error", "critical", "alert", "emergency"];
const MOST_WAITING: usize = 1024;
