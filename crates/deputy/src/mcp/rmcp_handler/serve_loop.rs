//! rmcp's serve loop beside one request. It forwards the messages that a handler sends through its rmcp `Peer` to the
//! client, and the client's replies to the handler.

use std::{
    borrow::Cow,
    future::Future,
    pin::pin,
    sync::{Arc, Mutex},
    task::Context,
};

use futures_channel::mpsc::{UnboundedReceiver, UnboundedSender, unbounded};
use futures_util::{StreamExt as _, stream::FuturesUnordered};
use rmcp::{
    RoleServer, ServerHandler,
    model::{ClientCapabilities, Implementation, InitializeRequestParams, JsonRpcMessage, ProtocolVersion},
    service::{Peer as RmcpPeer, RunningService, RxJsonRpcMessage, TxJsonRpcMessage, serve_directly},
    transport::Transport,
};
use serde_json::{Value, json};

use crate::{
    host::BoxFuture,
    mcp::{Call, Era, Peer, RpcError, peer::NotificationFilter},
    sync::lock,
};

/// The serve loop beside one request.
pub(super) struct ServeLoop {
    running: RunningService<RoleServer, NoService>,
    questions: Arc<PendingQuestions>,
    #[cfg(target_family = "wasm")]
    runtime: tokio::runtime::Runtime,
}

impl ServeLoop {
    pub(super) fn start(peer: &Peer, call: &Call) -> Self {
        // Replaces the handshake, which another process may have had with this client.
        let client = match &call.era {
            Era::Handshake(version) if call.method != "initialize" => {
                Some(client_of(version, call.capabilities.clone()))
            }
            Era::Handshake(_) | Era::Stateless(_) => None,
        };
        Self::of(peer, client)
    }

    fn of(peer: &Peer, client: Option<InitializeRequestParams>) -> Self {
        let (replies, inbox) = unbounded();
        let questions = Arc::new(PendingQuestions { waiting: Mutex::default(), replies });
        let transport = PeerTransport { peer: peer.clone(), questions: Arc::clone(&questions), inbox };
        #[cfg(target_family = "wasm")]
        {
            // Each request has a runtime, since its work must not run in the context of another request.
            let runtime =
                tokio::runtime::Builder::new_current_thread().build().expect("needs nothing of the system");
            let entered = runtime.enter();
            let running = serve_directly(NoService, transport, client);
            drop(entered);
            Self { running, questions, runtime }
        }
        #[cfg(not(target_family = "wasm"))]
        Self { running: serve_directly(NoService, transport, client), questions }
    }

    /// The peer through which a handler sends.
    pub(super) fn peer(&self) -> RmcpPeer<RoleServer> {
        self.running.peer().clone()
    }

    /// Runs `work` with the loop beside it. This future, which runs in the request's own context, waits for the
    /// replies.
    pub(super) async fn run_alongside<T>(self, work: impl Future<Output = T>) -> T {
        let mut work = pin!(work);
        std::future::poll_fn(|cx| {
            #[cfg(target_family = "wasm")]
            let entered = self.runtime.enter();
            let result = work.as_mut().poll(cx);
            self.questions.poll(cx);
            // The loop waits for messages of the handler only, so it runs after each turn of the handler.
            #[cfg(target_family = "wasm")]
            {
                drop(entered);
                self.runtime.block_on(async {
                    for _ in 0..4 {
                        tokio::task::yield_now().await;
                    }
                });
            }
            result
        })
        .await
    }
}

/// A peer whose loop has ended, through which nothing can be sent.
pub(super) fn silent_peer() -> RmcpPeer<RoleServer> {
    let nobody = Peer::new(NotificationFilter::Nothing, None);
    ServeLoop::of(&nobody, None).peer()
}

/// The description of a client that has done the handshake.
pub(super) fn client_of(version: &str, capabilities: ClientCapabilities) -> InitializeRequestParams {
    let mut client = InitializeRequestParams::new(capabilities, Implementation::new("unknown", "0"));
    // Every string is a `ProtocolVersion`.
    if let Ok(version) = serde_json::from_value::<ProtocolVersion>(json!(version)) {
        client.protocol_version = version;
    }
    client
}

/// A service that gets no requests. The loop exists for its peer.
struct NoService;

impl ServerHandler for NoService {}

/// Questions of the handler to which the client has not replied.
struct PendingQuestions {
    waiting: Mutex<FuturesUnordered<BoxFuture<'static, RxJsonRpcMessage<RoleServer>>>>,
    replies: UnboundedSender<RxJsonRpcMessage<RoleServer>>,
}

impl PendingQuestions {
    fn push(&self, reply: BoxFuture<'static, RxJsonRpcMessage<RoleServer>>) {
        lock(&self.waiting).push(reply);
    }

    /// Passes the replies that have come to the loop.
    fn poll(&self, cx: &mut Context<'_>) {
        let mut waiting = lock(&self.waiting);
        while let std::task::Poll::Ready(Some(reply)) = waiting.poll_next_unpin(cx) {
            // The loop ends after the handler.
            let _ = self.replies.unbounded_send(reply);
        }
    }
}

/// The loop's transport. It sends messages to the client, and receives replies.
struct PeerTransport {
    peer: Peer,
    questions: Arc<PendingQuestions>,
    inbox: UnboundedReceiver<RxJsonRpcMessage<RoleServer>>,
}

impl PeerTransport {
    /// Asks under an id that cannot be guessed, and gives the reply the id for which rmcp waits. If the client lacks
    /// the capability, the reply is that error, at once.
    fn ask(&self, question: &TxJsonRpcMessage<RoleServer>) -> Result<(), Unwritable> {
        let question = serde_json::to_value(question).map_err(|_| Unwritable)?;
        let method = question.get("method").and_then(Value::as_str).unwrap_or_default();
        let asked = self.peer.ask(method, question.get("params"));
        let id = question.get("id").cloned().unwrap_or_default();
        self.questions.push(Box::pin(async move {
            let reply = match asked {
                Ok(reply) => reply.await,
                Err(refused) => Err(refused),
            };
            reply_to(&id, reply)
        }));
        self.peer.wake();
        Ok(())
    }
}

/// A reply in the types of rmcp.
fn reply_to(id: &Value, reply: Result<Value, RpcError>) -> RxJsonRpcMessage<RoleServer> {
    let response = super::super::rpc_error::response(id, reply);
    let unreadable = || {
        let error = rmcp::ErrorData::internal_error("the client's reply cannot be read", None);
        JsonRpcMessage::error(error, serde_json::from_value(id.clone()).ok())
    };
    serde_json::from_str(&response).unwrap_or_else(|_| unreadable())
}

/// A message that cannot be written as JSON.
#[derive(Debug, thiserror::Error)]
#[error("the message cannot be written")]
struct Unwritable;

impl Transport<RoleServer> for PeerTransport {
    type Error = Unwritable;

    fn name() -> Cow<'static, str> {
        "deputy".into()
    }

    fn send(
        &mut self,
        item: TxJsonRpcMessage<RoleServer>,
    ) -> impl Future<Output = Result<(), Self::Error>> + Send + 'static {
        std::future::ready(match item {
            JsonRpcMessage::Request(_) => self.ask(&item),
            JsonRpcMessage::Notification(_) => {
                serde_json::to_value(item).map(|message| self.peer.notify(message)).map_err(|_| Unwritable)
            }
            // The loop gets no requests, so it sends no responses.
            JsonRpcMessage::Response(_) | JsonRpcMessage::Error(_) => Ok(()),
        })
    }

    async fn receive(&mut self) -> Option<RxJsonRpcMessage<RoleServer>> {
        match self.inbox.next().await {
            Some(reply) => Some(reply),
            // Never: dropping the loop stops it.
            None => std::future::pending().await,
        }
    }

    fn close(&mut self) -> impl Future<Output = Result<(), Self::Error>> + Send {
        std::future::ready(Ok(()))
    }
}
