//! What a handler says before its result.

use std::{
    sync::{Arc, Mutex, PoisonError},
    task::Waker,
};

use futures_util::task::AtomicWaker;
use serde_json::Value;

/// Takes the messages that a handler sends before its result: progress, log entries. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct Notifier(Arc<Outbox>);

#[derive(Debug, Default)]
struct Outbox {
    wanted: Wanted,
    messages: Mutex<Vec<Value>>,
    waker: AtomicWaker,
}

impl Notifier {
    pub(super) fn new(wanted: Wanted) -> Self {
        Self(Arc::new(Outbox { wanted, ..Outbox::default() }))
    }

    /// Sends a JSON-RPC notification to the client, if it is one that the client wants.
    pub fn notify(&self, message: Value) {
        if !self.0.wanted.includes(&message) {
            return;
        }
        let mut messages = self.0.messages.lock().unwrap_or_else(PoisonError::into_inner);
        // A handler that never rests must not fill the memory of a client that does not read.
        if messages.len() < MOST_WAITING {
            messages.push(message);
        }
        drop(messages);
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
pub(super) enum Wanted {
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

impl Wanted {
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
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
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
