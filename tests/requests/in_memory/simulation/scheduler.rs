//! Polls futures one at a time, in an order that a seed determines.

use std::{
    pin::Pin,
    sync::{Arc, Mutex},
    task::{Context, Poll, Waker},
};

use deputy::host::BoxFuture;

/// Repeatable random numbers (`SplitMix64`).
#[derive(Clone, Debug)]
pub(super) struct Dice(u64);

impl Dice {
    pub(super) const fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// A number below `sides`.
    pub(super) fn below(&mut self, sides: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        usize::try_from((mixed ^ (mixed >> 31)) % sides as u64).expect("below a usize")
    }
}

/// A future that waits for its next poll.
pub(super) struct Task {
    work: BoxFuture<'static, ()>,
    /// Whether a client waits for it, which may hang up.
    pub(super) client: bool,
}

/// The tasks that have not finished.
#[derive(Clone, Default)]
pub(super) struct Tasks(Arc<Mutex<Vec<Task>>>);

impl Tasks {
    /// Adds the request of a client.
    pub(super) fn client(&self, work: impl Future<Output = ()> + Send + 'static) {
        self.0.lock().unwrap().push(Task { work: Box::pin(work), client: true });
    }

    /// Adds work that a client cannot end.
    pub(super) fn detached(&self, work: BoxFuture<'static, ()>) {
        self.0.lock().unwrap().push(Task { work, client: false });
    }

    /// Polls one task. Returns `false` if no task is left.
    pub(super) fn step(&self, dice: &mut Dice) -> bool {
        let mut task = {
            let mut tasks = self.0.lock().unwrap();
            if tasks.is_empty() {
                return false;
            }
            let index = dice.below(tasks.len());
            tasks.swap_remove(index)
        };
        let step = task.work.as_mut().poll(&mut Context::from_waker(Waker::noop()));
        if step.is_pending() {
            self.0.lock().unwrap().push(task);
        }
        true
    }

    /// Drops the request of one client.
    pub(super) fn hang_up(&self, dice: &mut Dice) {
        let mut tasks = self.0.lock().unwrap();
        let clients: Vec<_> = (0..tasks.len()).filter(|index| tasks[*index].client).collect();
        if !clients.is_empty() {
            let gone = tasks.swap_remove(clients[dice.below(clients.len())]);
            drop(tasks);
            drop(gone);
        }
    }

    /// Drops every task, as the end of the process does.
    pub(super) fn crash(&self) {
        let gone = std::mem::take(&mut *self.0.lock().unwrap());
        drop(gone);
    }
}

/// Yields to the other tasks once.
pub(super) fn turn() -> impl Future<Output = ()> + Send {
    struct Turn(bool);
    impl Future for Turn {
        type Output = ();
        fn poll(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<()> {
            if std::mem::replace(&mut self.0, true) { Poll::Ready(()) } else { Poll::Pending }
        }
    }
    Turn(false)
}
