//! Output that never blocks the writer.

use std::{
    io,
    sync::{
        Arc,
        atomic::{AtomicU64, AtomicUsize, Ordering},
        mpsc::{Receiver, Sender, SyncSender, channel, sync_channel},
    },
    thread,
    time::Duration,
};

use tracing_subscriber::fmt::MakeWriter;

/// A stream that a thread of its own writes to. When the reader of the stream is slow and the queue is full, lines are lost
/// and counted. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Background {
    lines: Sender<Message>,
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    /// Bytes in the queue.
    queued: AtomicUsize,
    lost: AtomicU64,
}

enum Message {
    Bytes(Vec<u8>),
    /// Reports that the lines before it were written, or could not be.
    Flush(SyncSender<()>),
}

impl Background {
    /// Starts the thread, which calls `on_loss` with the number of lost lines once the queue has room again.
    pub(crate) fn start(
        name: &str,
        stream: impl io::Write + Send + 'static,
        on_loss: fn(u64),
    ) -> io::Result<Self> {
        let (lines, queue) = channel();
        let shared = Arc::<Shared>::default();
        let thread_shared = Arc::clone(&shared);
        thread::Builder::new()
            .name(name.to_owned())
            .spawn(move || write(stream, &queue, &thread_shared, on_loss))?;
        Ok(Self { lines, shared })
    }

    /// Queues a line, or counts it as lost.
    pub(crate) fn write(&self, bytes: Vec<u8>) {
        let length = bytes.len();
        let before = self.shared.queued.fetch_add(length, Ordering::Relaxed);
        if before + length > QUEUE || self.lines.send(Message::Bytes(bytes)).is_err() {
            self.shared.queued.fetch_sub(length, Ordering::Relaxed);
            self.shared.lost.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Waits until the queue is written, [`FLUSH`] at most.
    pub(crate) fn flush(&self) {
        let (done, wait) = sync_channel(1);
        if self.lines.send(Message::Flush(done)).is_ok() {
            // A timeout: the stream is not read.
            let _ = wait.recv_timeout(FLUSH);
        }
    }
}

fn write(mut stream: impl io::Write, queue: &Receiver<Message>, shared: &Shared, on_loss: fn(u64)) {
    while let Ok(message) = queue.recv() {
        match message {
            Message::Bytes(bytes) => {
                // Fails when the stream is closed; there is no other place to report that.
                let _ = stream.write_all(&bytes).and_then(|()| stream.flush());
                shared.queued.fetch_sub(bytes.len(), Ordering::Relaxed);
                let lost = shared.lost.swap(0, Ordering::Relaxed);
                if lost > 0 {
                    on_loss(lost);
                }
            }
            Message::Flush(done) => {
                let _ = done.send(());
            }
        }
    }
}

/// The formatter writes each event of the log with one call.
impl io::Write for Background {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        Self::write(self, bytes.to_vec());
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Background {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}

/// Bytes in the queue: some ten thousand lines.
const QUEUE: usize = 2 * 1024 * 1024;

const FLUSH: Duration = Duration::from_secs(2);

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::*;

    /// A stream that waits for a message before each write.
    struct Gated(Receiver<()>, Arc<Mutex<Vec<u8>>>);

    impl io::Write for Gated {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            // Fails at once when the sender is gone.
            let _ = self.0.recv();
            self.1.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn blocked_stream_loses_lines_and_counts_them() {
        static LOST: AtomicU64 = AtomicU64::new(0);
        let (gate, closed) = channel();
        let written = Arc::<Mutex<Vec<u8>>>::default();
        let on_loss = |lost| {
            LOST.fetch_add(lost, Ordering::Relaxed);
        };
        let stream = Background::start("test", Gated(closed, Arc::clone(&written)), on_loss).unwrap();
        for _ in 0..QUEUE / 1024 + 3 {
            stream.write(vec![b'x'; 1024]);
        }
        drop(gate);
        stream.flush();
        assert_eq!(written.lock().unwrap().len(), QUEUE);
        assert_eq!(LOST.load(Ordering::Relaxed), 3);
    }
}
