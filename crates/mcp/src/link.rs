//! A process that is talked to, one message a line: one task reads what it prints, another writes to it.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use quire_protocol::{Process, ProcessEvent};
use rmcp::model::ServerJsonRpcMessage;
use tokio::sync::{Notify, mpsc, oneshot, watch};
use tokio::task::AbortHandle;

use crate::lines::{Line, Lines};
use crate::message::messages;
use crate::secrets::Secrets;
use crate::seen::Seen;

/// Messages that wait for their reader.
const INCOMING: usize = 4;
/// Messages that wait until the process reads them.
const OUTGOING: usize = 256;

/// A process that is talked to. Dropping it ends the process.
pub(crate) struct Link {
    shared: Arc<Shared>,
    over: watch::Receiver<bool>,
    tasks: [AbortHandle; 2],
}

/// What the tasks share.
#[derive(Default)]
pub(crate) struct Shared {
    seen: Mutex<Seen>,
    stop: Notify,
}

/// A message to write, and whom to tell that it was written.
pub(crate) struct Outgoing {
    pub(crate) line: Vec<u8>,
    pub(crate) written: oneshot::Sender<std::io::Result<()>>,
}

/// The two ends by which a process is talked to.
pub(crate) struct Ends {
    pub(crate) incoming: mpsc::Receiver<ServerJsonRpcMessage>,
    pub(crate) outgoing: mpsc::Sender<Outgoing>,
    pub(crate) shared: Arc<Shared>,
}

impl Shared {
    pub(crate) fn seen(&self) -> MutexGuard<'_, Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Ends the process, since nothing more can be said to it.
    pub(crate) fn stop(&self, why: &str) {
        self.seen().broke(why);
        self.stop.notify_one();
    }
}

impl Link {
    /// Talks to this process.
    pub(crate) fn to(process: Arc<dyn Process>, secrets: Secrets) -> (Self, Ends) {
        let shared: Arc<Shared> = Arc::default();
        shared.seen().secrets = secrets;
        let (send, incoming) = mpsc::channel(INCOMING);
        let (outgoing, take) = mpsc::channel(OUTGOING);
        let (set_over, over) = watch::channel(false);
        let reader = Reader {
            process: Arc::clone(&process),
            shared: Arc::clone(&shared),
            send: Some(send),
        };
        let reading = tokio::spawn(async move {
            reader.run().await;
            set_over.send_replace(true);
        });
        let writing = tokio::spawn(write(process, Arc::clone(&shared), take));
        let link = Self {
            shared: Arc::clone(&shared),
            over,
            tasks: [reading.abort_handle(), writing.abort_handle()],
        };
        let ends = Ends {
            incoming,
            outgoing,
            shared,
        };
        (link, ends)
    }

    /// Whether nothing of the process runs.
    pub(crate) fn is_over(&self) -> bool {
        *self.over.borrow() || self.over.has_changed().is_err()
    }

    /// Waits until nothing of the process runs.
    pub(crate) fn over(&self) -> impl Future<Output = ()> + Send + use<> {
        let mut over = self.over.clone();
        async move {
            // An error means that the reader is gone, and with it the process.
            let _ = over.wait_for(|over| *over).await;
        }
    }

    /// Ends the process on purpose.
    pub(crate) fn stop(&self) {
        {
            let mut seen = self.shared.seen();
            seen.dismissed = seen.dismissed || seen.end.is_none();
        }
        self.shared.stop.notify_one();
    }

    /// Ends the process on purpose, and returns when nothing of it runs.
    pub(crate) async fn end(&self) {
        self.stop();
        self.over().await;
    }

    /// What was seen of the process.
    pub(crate) fn seen(&self) -> MutexGuard<'_, Seen> {
        self.shared.seen()
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        for task in &self.tasks {
            task.abort();
        }
    }
}

struct Reader {
    process: Arc<dyn Process>,
    shared: Arc<Shared>,
    /// None once nobody listens.
    send: Option<mpsc::Sender<ServerJsonRpcMessage>>,
}

impl Reader {
    /// Reads until nothing of the process runs.
    async fn run(mut self) {
        let mut lines = Lines::default();
        let shared = Arc::clone(&self.shared);
        loop {
            let event = tokio::select! {
                event = self.process.next() => event,
                () = shared.stop.notified() => {
                    self.stopped().await;
                    continue;
                }
            };
            match event {
                ProcessEvent::Output(piece) => {
                    for line in lines.take(&piece) {
                        self.line(line).await;
                    }
                }
                ProcessEvent::Errors(piece) => shared.seen().errors(&piece),
                ProcessEvent::Ended(end) => {
                    if let Some(rest) = lines.rest() {
                        self.line(Line::Whole(rest)).await;
                    }
                    shared.seen().end = Some(end);
                    return;
                }
            }
        }
    }

    async fn stopped(&mut self) {
        self.send = None;
        self.process.kill().await;
    }

    async fn line(&mut self, line: Line) {
        match line {
            Line::Whole(line) => match messages(&line) {
                Some(messages) => {
                    for message in messages {
                        self.deliver(message).await;
                    }
                }
                None => self.shared.seen().rubbish(&line),
            },
            Line::TooLong(beginning) => {
                // Somebody may wait for what this answers, and would wait in vain.
                if beginning.trim_ascii_start().starts_with(b"{") {
                    self.shared
                        .seen()
                        .broke("it sent a message of more than 32 MiB");
                    self.stopped().await;
                } else {
                    self.shared.seen().rubbish(&beginning);
                }
            }
        }
    }

    async fn deliver(&mut self, message: ServerJsonRpcMessage) {
        let Some(listener) = &self.send else {
            return;
        };
        let delivered = tokio::select! {
            sent = listener.send(message) => sent.is_ok(),
            () = self.shared.stop.notified() => {
                return self.stopped().await;
            }
        };
        if !delivered {
            self.send = None;
        }
    }
}

/// Writes what is to be written, in order, each line as a whole.
async fn write(process: Arc<dyn Process>, shared: Arc<Shared>, mut take: mpsc::Receiver<Outgoing>) {
    while let Some(Outgoing { line, written }) = take.recv().await {
        let done = process.write(line).await;
        let failed = done.is_err();
        let _ = written.send(done);
        if failed {
            // Most have ended, and the reader is about to see it.
            shared.seen().deaf = true;
            shared.stop.notify_one();
            return;
        }
    }
}
