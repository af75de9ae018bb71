//! Traces: a span for each try at an upstream, with OpenTelemetry's names for generative AI, told to a collector.
//!
//! A client's trace (`traceparent`) is gone on with, and goes on at the upstream. The JSON of OTLP/HTTP is written by
//! hand: it is a hundred lines, and the crates of OpenTelemetry would be forty.

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::{Duration, Instant};

use axum::http::{HeaderMap, HeaderValue};
use bytes::Bytes;
use quire_depot::UsageRow;
use quire_dialect::Dialect;
use quire_net::Proxies;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use crate::clock::now_ms;
use crate::config::Telemetry;
use crate::metrics::Metrics;

mod collector;
mod contents;
mod otlp;

use collector::Collector;
use contents::{Contents, Told};

/// How many spans wait for the collector.
const WAITING: usize = 4_096;
/// How long the end waits for the last spans.
const PATIENCE: Duration = Duration::from_secs(3);

/// The traces.
pub(crate) struct Traces {
    metrics: Arc<Metrics>,
    export: RwLock<Option<Arc<Export>>>,
}

/// Where spans go.
struct Export {
    config: Telemetry,
    /// Counts requests, of which one of so many is traced.
    turn: AtomicU32,
    spans: mpsc::Sender<Span>,
    task: Mutex<Option<JoinHandle<()>>>,
}

impl Traces {
    /// Nothing is traced until a config says so.
    pub(crate) fn new(metrics: Arc<Metrics>) -> Self {
        Self {
            metrics,
            export: RwLock::default(),
        }
    }

    /// Takes over a config. Spans that wait for a collector that is no longer named still go there.
    pub(crate) fn set(&self, config: Option<&Telemetry>, proxies: &Proxies) {
        let before = self.export();
        if before.as_ref().map(|before| &before.config) == config {
            return;
        }
        let export = config.map(|config| {
            let (spans, taken) = mpsc::channel(WAITING);
            let collector = Collector::new(&config.otlp, proxies, Arc::clone(&self.metrics));
            Arc::new(Export {
                config: config.clone(),
                turn: AtomicU32::new(0),
                spans,
                task: Mutex::new(Some(tokio::spawn(collector.run(taken)))),
            })
        });
        self.replace(export);
    }

    /// The trace of a request that came with these headers; none where it leaves no trace at all.
    pub(crate) fn of(&self, headers: &HeaderMap) -> Option<Trace> {
        let given = Given::read(headers);
        let Some(export) = self.export() else {
            // Who does not take part passes it on.
            return given.map(|given| Trace {
                given: Some(given),
                id: None,
                contents: false,
            });
        };
        let one_of = export.config.one_of.max(1);
        let id = match &given {
            Some(given) => given.sampled.then_some(given.trace),
            None => (export.turn.fetch_add(1, Ordering::Relaxed) % one_of == 0).then(random),
        };
        (given.is_some() || id.is_some()).then_some(Trace {
            given,
            id,
            contents: export.config.contents,
        })
    }

    /// Tells of a span.
    pub(crate) fn tell(&self, span: Span) {
        let taken = self
            .export()
            .is_some_and(|export| export.spans.try_send(span).is_ok());
        if !taken {
            self.metrics.spans_dropped(1);
        }
    }

    /// Waits, for a moment, until all spans are told.
    pub(crate) async fn close(&self) {
        let task = self.export().and_then(|export| {
            let mut task = export.task.lock().unwrap_or_else(PoisonError::into_inner);
            task.take()
        });
        // The last sender goes, and the collector ends once it has told everything.
        self.replace(None);
        if let Some(task) = task {
            let _ = tokio::time::timeout(PATIENCE, task).await;
        }
    }

    fn replace(&self, export: Option<Arc<Export>>) {
        *self.export.write().unwrap_or_else(PoisonError::into_inner) = export;
    }

    fn export(&self) -> Option<Arc<Export>> {
        self.export
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }
}

/// The trace that a request is part of.
#[derive(Debug)]
pub(crate) struct Trace {
    /// What the client gave.
    given: Option<Given>,
    /// By which its spans are told; none where they are not.
    id: Option<[u8; 16]>,
    /// Whether what is asked and answered is told too.
    contents: bool,
}

/// A client's trace context, as W3C writes it.
#[derive(Debug)]
struct Given {
    trace: [u8; 16],
    parent: [u8; 8],
    sampled: bool,
    header: HeaderValue,
    state: Option<HeaderValue>,
}

impl Given {
    fn read(headers: &HeaderMap) -> Option<Self> {
        let header = headers.get("traceparent")?;
        let mut parts = header.to_str().ok()?.trim().split('-');
        let (version, trace, parent, flags) =
            (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
        let [version] = from_hex(version)?;
        let (trace, parent, [flags]) = (from_hex(trace)?, from_hex(parent)?, from_hex(flags)?);
        let fits = version != 0xff && (version != 0 || parts.next().is_none());
        let is_one = fits && trace != [0; 16] && parent != [0; 8];
        is_one.then(|| Self {
            trace,
            parent,
            sampled: flags & 1 == 1,
            header: header.clone(),
            state: headers.get("tracestate").cloned(),
        })
    }
}

/// A try at an upstream that is under way.
pub(crate) struct Open {
    trace: [u8; 16],
    id: [u8; 8],
    parent: Option<[u8; 8]>,
    at_ms: i64,
    started: Instant,
    first: Option<Instant>,
    model: String,
    provider: String,
    server: String,
    tells_contents: bool,
    contents: Option<Box<Contents>>,
}

/// A try at an upstream that is over.
#[derive(Debug)]
pub(crate) struct Span {
    trace: [u8; 16],
    id: [u8; 8],
    parent: Option<[u8; 8]>,
    started_ns: u128,
    ended_ns: u128,
    /// Nanoseconds until the first byte of a streamed answer.
    first: Option<Duration>,
    /// The model that was asked for there.
    model: String,
    provider: String,
    /// The upstream's address.
    server: String,
    contents: Option<Told>,
    row: UsageRow,
}

impl Trace {
    /// Begins a span for a try; none where the trace is not told.
    pub(crate) fn begin(&self, model: &str, provider: &str, server: &str) -> Option<Open> {
        Some(Open {
            trace: self.id?,
            id: random(),
            parent: self.given.as_ref().map(|given| given.parent),
            at_ms: now_ms(),
            started: Instant::now(),
            first: None,
            model: model.to_owned(),
            provider: provider.to_owned(),
            server: server.to_owned(),
            tells_contents: self.contents,
            contents: None,
        })
    }

    /// Adds to an upstream's headers by what it goes on there.
    pub(crate) fn go_on(&self, open: Option<&Open>, headers: &mut HeaderMap) {
        let parent = match (open, &self.given) {
            (Some(open), _) => {
                let text = format!("00-{}-{}-01", hex(&open.trace), hex(&open.id));
                HeaderValue::try_from(text).ok()
            }
            (None, Some(given)) => Some(given.header.clone()),
            (None, None) => None,
        };
        if let Some(parent) = parent {
            headers.insert("traceparent", parent);
        }
        if let Some(state) = self.given.as_ref().and_then(|given| given.state.clone()) {
            headers.insert("tracestate", state);
        }
    }
}

impl Open {
    /// This is what the upstream is asked, in its API's words.
    pub(crate) fn asked(&mut self, dialect: Dialect, body: &Bytes) {
        if self.tells_contents {
            self.contents = Some(Box::new(Contents::new(dialect, body)));
        }
    }

    /// This is what came of its answer.
    pub(crate) fn heard(&mut self, bytes: &[u8]) {
        if let Some(contents) = &mut self.contents {
            contents.hear(bytes);
        }
    }

    /// Something of the answer came.
    pub(crate) fn answered(&mut self) {
        self.first.get_or_insert_with(Instant::now);
    }

    /// It is over.
    pub(crate) fn end(self, row: UsageRow) -> Span {
        let started_ns = u128::from(self.at_ms.unsigned_abs()) * 1_000_000;
        Span {
            trace: self.trace,
            id: self.id,
            parent: self.parent,
            started_ns,
            ended_ns: started_ns + self.started.elapsed().as_nanos(),
            first: self
                .first
                .filter(|_| row.streamed)
                .map(|first| first - self.started),
            model: self.model,
            provider: self.provider,
            server: self.server,
            contents: self.contents.map(|contents| contents.told()),
            row,
        }
    }
}

fn random<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    // Zeros are no id: a collector that refuses the span loses a picture, and nobody a request.
    let _ = getrandom::fill(&mut bytes);
    bytes
}

fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// Lower case alone, as the standard wants it.
fn from_hex<const N: usize>(text: &str) -> Option<[u8; N]> {
    let digits = text.as_bytes();
    if digits.len() != 2 * N {
        return None;
    }
    let digit = |byte: u8| match byte {
        b'0'..=b'9' => Some(byte - b'0'),
        b'a'..=b'f' => Some(byte - b'a' + 10),
        _ => None,
    };
    let mut bytes = [0; N];
    for (byte, pair) in bytes.iter_mut().zip(digits.chunks(2)) {
        *byte = digit(pair[0])? << 4 | digit(pair[1])?;
    }
    Some(bytes)
}

#[cfg(test)]
mod tests;
