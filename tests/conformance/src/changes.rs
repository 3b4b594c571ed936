//! Tools that announce changes, and the subscriptions that receive the announcements.
//!
//! The request of a subscription sends its own notifications. The request that announces cannot do that: on Workers,
//! one request has no access to the streams of another.

use std::{
    future::poll_fn,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Poll, Waker},
};

use rmcp::{
    model::ContentBlock,
    service::{SubscriptionContext, SubscriptionSendError},
    tool, tool_router,
};

use crate::Fixture;

/// The changes that were announced in this process.
#[derive(Clone, Debug, Default)]
pub(crate) struct Changes(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    announced: Announced,
    listeners: Vec<Waker>,
}

/// The number of announced changes of each list.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Announced {
    prompts: u32,
    tools: u32,
}

impl Changes {
    /// Sends the announcements to a subscription until it ends.
    pub(crate) async fn listen(&self, subscription: &SubscriptionContext) {
        let mut sent = self.state().announced;
        loop {
            let announced = self.after(sent).await;
            if announced.prompts != sent.prompts
                && has_ended(&subscription.sink().notify_prompt_list_changed().await)
            {
                return;
            }
            if announced.tools != sent.tools
                && has_ended(&subscription.sink().notify_tool_list_changed().await)
            {
                return;
            }
            sent = announced;
        }
    }

    /// Waits until there are other announcements than `sent`.
    async fn after(&self, sent: Announced) -> Announced {
        poll_fn(|cx| {
            let mut state = self.state();
            if state.announced != sent {
                return Poll::Ready(state.announced);
            }
            if !state.listeners.iter().any(|listener| listener.will_wake(cx.waker())) {
                state.listeners.push(cx.waker().clone());
            }
            Poll::Pending
        })
        .await
    }

    fn announce(&self, change: impl FnOnce(&mut Announced)) {
        let mut state = self.state();
        change(&mut state.announced);
        let listeners = std::mem::take(&mut state.listeners);
        drop(state);
        listeners.into_iter().for_each(Waker::wake);
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether the subscription has ended. One that filters out this notification has not.
fn has_ended(result: &Result<(), SubscriptionSendError>) -> bool {
    !matches!(result, Ok(()) | Err(SubscriptionSendError::NotificationNotAccepted(_)))
}

// The lists themselves do not change: the suite checks only the announcements.
#[tool_router(router = changing, vis = "pub(crate)")]
impl Fixture {
    #[tool(description = "Announces that the prompts have changed.")]
    fn test_trigger_prompt_change(&self) -> ContentBlock {
        self.changes.announce(|announced| announced.prompts += 1);
        ContentBlock::text("Announced.")
    }

    #[tool(description = "Announces that the tools have changed.")]
    fn test_trigger_tool_change(&self) -> ContentBlock {
        self.changes.announce(|announced| announced.tools += 1);
        ContentBlock::text("Announced.")
    }
}
