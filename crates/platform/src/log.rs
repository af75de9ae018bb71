//! The log: a line of JSON for each request, to standard error. Never a prompt, an answer or a secret.
//!
//! A thread of its own writes; what it cannot take in time is dropped and counted, so that no request waits for
//! whoever reads the log.

use std::io::Write;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use quire_depot::{KeyId, UsageRow, WorkspaceId};
use serde_json::{Value, json};

use crate::clock::now_ms;
use crate::config::Log;
use crate::metrics::Metrics;
use crate::reply::rfc3339_ms;

/// How many lines wait for the writer.
const WAITING: usize = 4_096;
/// Most characters of a text that a client made up.
const TEXT: usize = 200;
/// How long the end waits for the last lines.
const PATIENCE: Duration = Duration::from_secs(2);

/// What a line tells of.
#[derive(Debug)]
pub(crate) enum Entry {
    /// A request that went to an upstream.
    Served {
        request: String,
        /// The request for whose sake the platform made this one.
        beside: Option<String>,
        /// What the client was told.
        status: u16,
        row: Box<UsageRow>,
        tries: u32,
        dropped: Vec<String>,
        /// What kept a try from being answered.
        failure: Option<String>,
    },
    /// A request that went nowhere.
    Refused {
        request: String,
        api: &'static str,
        status: u16,
        model: Option<String>,
        key: Option<KeyId>,
        workspace: Option<WorkspaceId>,
    },
}

enum Message {
    Line(i64, Entry),
    /// Answered when all lines before it are written.
    Flush(tokio::sync::oneshot::Sender<()>),
}

type Out = Box<dyn Write + Send>;

/// The lines.
pub(crate) struct Lines {
    on: AtomicBool,
    metrics: Arc<Metrics>,
    /// Where they go, until the writer has taken it.
    out: Mutex<Option<Out>>,
    writer: OnceLock<SyncSender<Message>>,
}

impl Lines {
    /// Lines that go nowhere until a config says that they are wanted.
    pub(crate) fn new(out: Out, metrics: Arc<Metrics>) -> Self {
        Self {
            on: AtomicBool::new(false),
            metrics,
            out: Mutex::new(Some(out)),
            writer: OnceLock::new(),
        }
    }

    /// Turns them on or off.
    pub(crate) fn set(&self, log: &Log) {
        self.on.store(log.requests, Ordering::Relaxed);
    }

    /// Whether they are wanted.
    pub(crate) fn are_on(&self) -> bool {
        self.on.load(Ordering::Relaxed)
    }

    /// Writes a line, if lines are wanted and the writer keeps up.
    pub(crate) fn write(&self, entry: Entry) {
        if !self.are_on() {
            return;
        }
        if let Err(TrySendError::Full(_) | TrySendError::Disconnected(_)) =
            self.writer().try_send(Message::Line(now_ms(), entry))
        {
            self.metrics.line_dropped();
        }
    }

    /// Waits, for a moment, until all lines are written.
    pub(crate) async fn close(&self) {
        let Some(writer) = self.writer.get() else {
            return;
        };
        let (written, told) = tokio::sync::oneshot::channel();
        if writer.try_send(Message::Flush(written)).is_ok() {
            let _ = tokio::time::timeout(PATIENCE, told).await;
        }
    }

    fn writer(&self) -> &SyncSender<Message> {
        self.writer.get_or_init(|| {
            let (sender, receiver) = sync_channel(WAITING);
            let out = self
                .out
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .take();
            if let Some(out) = out {
                // Without a thread every line counts as dropped.
                let _ = std::thread::Builder::new()
                    .name("log".to_owned())
                    .spawn(move || write_all(&receiver, out));
            }
            sender
        })
    }
}

fn write_all(receiver: &Receiver<Message>, mut out: Out) {
    let mut line = Vec::new();
    while let Ok(message) = receiver.recv() {
        match message {
            Message::Line(at, entry) => {
                line.clear();
                // One write each, so that lines of several programs stay whole.
                if serde_json::to_writer(&mut line, &text(at, &entry)).is_ok() {
                    line.push(b'\n');
                    let _ = out.write_all(&line);
                }
            }
            Message::Flush(written) => {
                let _ = out.flush();
                let _ = written.send(());
            }
        }
    }
}

fn text(at: i64, entry: &Entry) -> Value {
    match entry {
        Entry::Served {
            request,
            beside,
            status,
            row,
            tries,
            dropped,
            failure,
        } => json!({
            "time": rfc3339_ms(at),
            "event": "served",
            "request": request,
            "beside": beside,
            "key": row.key.as_str(),
            "workspace": row.workspace.as_str(),
            "api": row.api,
            "model_asked": short(&row.model_asked),
            "model_served": short(&row.model_served),
            "upstream": row.upstream,
            "status": status,
            "streamed": row.streamed,
            "input_tokens": row.usage.prompt(),
            "cached_tokens": row.usage.cache_read,
            "output_tokens": row.usage.output,
            "estimated": row.estimated,
            "cost_usd": row.cost.to_string(),
            "latency_ms": row.latency_ms,
            "tries": tries,
            "dropped": dropped,
            "failure": failure.as_deref().map(short),
        }),
        Entry::Refused {
            request,
            api,
            status,
            model,
            key,
            workspace,
        } => json!({
            "time": rfc3339_ms(at),
            "event": "refused",
            "request": request,
            "key": key.as_ref().map(KeyId::as_str),
            "workspace": workspace.as_ref().map(WorkspaceId::as_str),
            "api": api,
            "model_asked": model.as_deref().map(short),
            "status": status,
        }),
    }
}

/// The beginning of a text that may be anything.
pub(crate) fn short(text: &str) -> &str {
    match text.char_indices().nth(TEXT) {
        Some((end, _)) => &text[..end],
        None => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A log that is read by nobody until the test lets it.
    struct Stuck(std::sync::mpsc::Receiver<()>, SyncSender<usize>);

    impl Write for Stuck {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.recv().unwrap();
            self.1.send(bytes.len()).unwrap();
            Ok(bytes.len())
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    fn entry(model: &str) -> Entry {
        Entry::Refused {
            request: "req_1".to_owned(),
            api: "messages",
            status: 404,
            model: Some(model.to_owned()),
            key: None,
            workspace: None,
        }
    }

    #[test]
    fn a_log_that_nobody_reads_drops_lines_and_blocks_nobody() {
        let (go, wait) = std::sync::mpsc::channel();
        let (tell, told) = sync_channel(2 * WAITING);
        let metrics = Arc::new(Metrics::default());
        let lines = Lines::new(Box::new(Stuck(wait, tell)), Arc::clone(&metrics));
        lines.write(entry("off"));
        lines.set(&Log {
            requests: true,
            ..Log::default()
        });
        for _ in 0..WAITING + 100 {
            lines.write(entry("m"));
        }
        let text = metrics.text(&[]);
        let count = text
            .lines()
            .find_map(|line| line.strip_prefix("quire_log_lines_dropped_total "))
            .unwrap();
        let dropped: usize = count.parse().unwrap();
        // The writer may hold one line that it cannot write.
        assert!((99..=100).contains(&dropped), "{dropped}");
        for _ in 0..WAITING + 100 - dropped {
            go.send(()).unwrap();
            told.recv().unwrap();
        }
    }

    #[test]
    fn a_line_is_one_line_whatever_a_client_calls_a_model() {
        let model = format!("a\n{{\"status\":200}}\u{2028}{}", "x".repeat(100_000));
        let line = text(0, &entry(&model)).to_string();
        assert!(line.len() < 1_000 && !line.contains('\n'), "{line}");
        let read: Value = serde_json::from_str(&line).unwrap();
        assert_eq!(read["status"], 404);
        assert_eq!(read["time"], "1970-01-01T00:00:00.000Z");
    }
}
