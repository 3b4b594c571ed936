//! Tools that announce changes, and who listens for them.
//!
//! A listener is told within its own request, never within the one that announces: on Workers the two have different
//! contexts.

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

/// What has been announced, as far as this process knows.
#[derive(Clone, Debug, Default)]
pub(crate) struct Changes(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    announced: Announced,
    listeners: Vec<Waker>,
}

/// How many changes of each list.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Announced {
    prompts: u32,
    tools: u32,
}

impl Changes {
    /// Tells the client of a subscription what is announced, as long as it listens.
    pub(crate) async fn listen(&self, subscription: &SubscriptionContext) {
        let mut told = self.state().announced;
        loop {
            let announced = self.after(told).await;
            if announced.prompts != told.prompts
                && gone(&subscription.sink().notify_prompt_list_changed().await)
            {
                return;
            }
            if announced.tools != told.tools && gone(&subscription.sink().notify_tool_list_changed().await) {
                return;
            }
            told = announced;
        }
    }

    /// Waits until there is more than `told`.
    async fn after(&self, told: Announced) -> Announced {
        poll_fn(|cx| {
            let mut state = self.state();
            if state.announced != told {
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

/// Whether nobody listens any more. Who listens for something else stays.
fn gone(told: &Result<(), SubscriptionSendError>) -> bool {
    !matches!(told, Ok(()) | Err(SubscriptionSendError::NotificationNotAccepted(_)))
}

// The lists stay as they are: the suite judges only what is announced.
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
