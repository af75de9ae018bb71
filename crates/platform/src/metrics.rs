//! What the server counts of itself, for Prometheus and for the status page.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use quire_depot::UsageRow;

use crate::clock::now_ms;

mod recent;
mod text;

use recent::Recent;
pub(crate) use recent::{SLOT_MS, Slot};
use text::{Text, escaped};

/// Upper ends of the buckets that durations are counted in, in milliseconds.
const BUCKETS: [u64; 12] = [
    5, 10, 25, 50, 100, 250, 500, 1_000, 2_500, 10_000, 60_000, 600_000,
];

/// Most label sets that are counted apart. A client that asks for ever new names that a pattern covers must not grow
/// memory without end: what is beyond is counted together.
const LABELS: usize = 1_000;
/// Most characters of a name in a label.
const NAME: usize = 128;
/// The model of what is counted together.
const OTHER: &str = "other";

/// Counters of this process.
#[derive(Debug, Default)]
pub(crate) struct Metrics {
    by_label: Mutex<BTreeMap<Label, Counts>>,
    refused: Mutex<BTreeMap<u16, u64>>,
    at_work: AtomicU64,
    connections: AtomicU64,
    spool_failures: AtomicU64,
    unpriced: AtomicU64,
    panics: AtomicU64,
    lines_dropped: AtomicU64,
    spans_dropped: AtomicU64,
    recent: Mutex<Recent>,
    upstream_failures: Mutex<BTreeMap<(String, Fault), u64>>,
}

/// How an upstream failed a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Fault {
    /// No connection came about, or it broke before there was an answer.
    Unreached,
    /// Nothing came for too long, before the answer or in its middle.
    Silent,
    /// Its answer broke off, was not complete, or was none of its API.
    Broken,
    /// It reported an error of its own, by a status or in its answer.
    Error,
    /// It has too much to do.
    Busy,
    /// It does not take this server's key or account.
    Refused,
}

impl Fault {
    const fn name(self) -> &'static str {
        match self {
            Self::Unreached => "unreached",
            Self::Silent => "silent",
            Self::Broken => "broken",
            Self::Error => "error",
            Self::Busy => "busy",
            Self::Refused => "refused",
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Label {
    api: String,
    model: String,
    upstream: String,
    status: u16,
}

#[derive(Clone, Debug, Default)]
struct Counts {
    requests: u64,
    input: u64,
    cached: u64,
    output: u64,
    /// Picodollars.
    cost: i64,
    milliseconds: u64,
    buckets: [u64; BUCKETS.len()],
}

/// Counts something for as long as it lives.
pub(crate) struct Counted {
    metrics: Arc<Metrics>,
    which: fn(&Metrics) -> &AtomicU64,
}

impl Counted {
    fn new(metrics: &Arc<Metrics>, which: fn(&Metrics) -> &AtomicU64) -> Self {
        which(metrics).fetch_add(1, Ordering::Relaxed);
        Self {
            metrics: Arc::clone(metrics),
            which,
        }
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        (self.which)(&self.metrics).fetch_sub(1, Ordering::Relaxed);
    }
}

impl Metrics {
    /// A connection is open.
    pub(crate) fn connection(self: &Arc<Self>) -> Counted {
        Counted::new(self, |metrics| &metrics.connections)
    }

    /// A request is being served; none where that would be more than so many.
    pub(crate) fn request(self: &Arc<Self>, most: usize) -> Option<Counted> {
        let counted = Counted::new(self, |metrics| &metrics.at_work);
        (self.at_work.load(Ordering::Relaxed) <= most as u64).then_some(counted)
    }

    /// A request has ended.
    pub(crate) fn ended(&self, row: &UsageRow, priced: bool) {
        if !priced {
            self.unpriced.fetch_add(1, Ordering::Relaxed);
        }
        lock(&self.recent).ended(row, now_ms());
        let mut label = Label {
            api: row.api.clone(),
            model: row.model_asked.clone(),
            upstream: row.upstream.clone(),
            status: row.status,
        };
        let mut all = lock(&self.by_label);
        let is_new = !all.contains_key(&label);
        if label.model.chars().nth(NAME).is_some() || (is_new && all.len() >= LABELS) {
            OTHER.clone_into(&mut label.model);
        }
        let counts = all.entry(label).or_default();
        counts.requests += 1;
        counts.input += row.usage.prompt();
        counts.cached += row.usage.cache_read;
        counts.output += row.usage.output;
        counts.cost += row.cost.picos();
        counts.milliseconds += row.latency_ms;
        for (end, bucket) in BUCKETS.iter().zip(&mut counts.buckets) {
            *bucket += u64::from(row.latency_ms <= *end);
        }
    }

    /// A request was refused before it went anywhere.
    pub(crate) fn refused(&self, status: u16) {
        lock(&self.recent).refused(status, now_ms());
        *lock(&self.refused).entry(status).or_default() += 1;
    }

    /// An upstream failed a request.
    pub(crate) fn upstream_failed(&self, name: &str, fault: Fault) {
        *lock(&self.upstream_failures)
            .entry((name.to_owned(), fault))
            .or_default() += 1;
    }

    /// Something could not be noted in the spool.
    pub(crate) fn spool_failed(&self) {
        self.spool_failures.fetch_add(1, Ordering::Relaxed);
    }

    /// Background work ended in a panic.
    pub(crate) fn panicked(&self) {
        self.panics.fetch_add(1, Ordering::Relaxed);
    }

    /// A line of the log was dropped: nobody took it in time.
    pub(crate) fn line_dropped(&self) {
        self.lines_dropped.fetch_add(1, Ordering::Relaxed);
    }

    /// So many spans were dropped: nobody took them in time.
    pub(crate) fn spans_dropped(&self, count: usize) {
        self.spans_dropped
            .fetch_add(count as u64, Ordering::Relaxed);
    }

    /// What happened in the last minutes, the newest slot last.
    pub(crate) fn recent(&self) -> Vec<Slot> {
        lock(&self.recent).slots(now_ms())
    }

    /// All of it in Prometheus' text format.
    pub(crate) fn text(&self, upstreams: &[(String, bool, usize)]) -> String {
        let mut out = Text::default();
        self.served(&mut out);
        self.failed(&mut out, upstreams);
        self.process(&mut out);
        out.0
    }

    fn served(&self, out: &mut Text) {
        let all = lock(&self.by_label).clone();
        out.head(
            "quire_requests_total",
            "counter",
            "Requests that were served.",
        );
        each(out, &all, "quire_requests_total", |counts| {
            counts.requests.to_string()
        });
        out.head("quire_input_tokens_total", "counter", "Tokens of prompts.");
        each(out, &all, "quire_input_tokens_total", |counts| {
            counts.input.to_string()
        });
        out.head(
            "quire_cached_tokens_total",
            "counter",
            "Of these, tokens read from a cache.",
        );
        each(out, &all, "quire_cached_tokens_total", |counts| {
            counts.cached.to_string()
        });
        out.head("quire_output_tokens_total", "counter", "Tokens of answers.");
        each(out, &all, "quire_output_tokens_total", |counts| {
            counts.output.to_string()
        });
        out.head("quire_cost_dollars_total", "counter", "What requests cost.");
        each(out, &all, "quire_cost_dollars_total", |counts| {
            quire_protocol::Money::from_picos(counts.cost).to_string()
        });
        out.head(
            "quire_request_seconds",
            "histogram",
            "From a request's arrival to its answer's end.",
        );
        for (label, counts) in &all {
            out.histogram("quire_request_seconds", &label.text(), counts);
        }
    }

    fn failed(&self, out: &mut Text, upstreams: &[(String, bool, usize)]) {
        out.head(
            "quire_refused_total",
            "counter",
            "Requests that were refused before they went anywhere.",
        );
        for (status, count) in lock(&self.refused).iter() {
            out.line(
                "quire_refused_total",
                &format!("status=\"{status}\""),
                &count.to_string(),
            );
        }
        out.head(
            "quire_upstream_failures_total",
            "counter",
            "Requests that an upstream failed.",
        );
        for ((name, fault), count) in lock(&self.upstream_failures).iter() {
            let label = format!("upstream=\"{}\",kind=\"{}\"", escaped(name), fault.name());
            out.line("quire_upstream_failures_total", &label, &count.to_string());
        }
        out.head(
            "quire_upstream_healthy",
            "gauge",
            "Whether an upstream is used (1) or left alone (0).",
        );
        for (name, healthy, _) in upstreams {
            let label = format!("upstream=\"{}\"", escaped(name));
            out.line(
                "quire_upstream_healthy",
                &label,
                &u8::from(*healthy).to_string(),
            );
        }
        out.head(
            "quire_upstream_requests",
            "gauge",
            "Requests at an upstream now.",
        );
        for (name, _, at_work) in upstreams {
            out.line(
                "quire_upstream_requests",
                &format!("upstream=\"{}\"", escaped(name)),
                &at_work.to_string(),
            );
        }
    }

    fn process(&self, out: &mut Text) {
        for (name, kind, help, value) in [
            (
                "quire_requests",
                "gauge",
                "Requests being served now.",
                &self.at_work,
            ),
            (
                "quire_connections",
                "gauge",
                "Connections open now.",
                &self.connections,
            ),
            (
                "quire_spool_failures_total",
                "counter",
                "Notes of usage that the disk did not take.",
                &self.spool_failures,
            ),
            (
                "quire_unpriced_total",
                "counter",
                "Requests to models without a price.",
                &self.unpriced,
            ),
            (
                "quire_panics_total",
                "counter",
                "Batch items and background responses at which this server itself failed.",
                &self.panics,
            ),
            (
                "quire_log_lines_dropped_total",
                "counter",
                "Lines of the log that nobody took in time.",
                &self.lines_dropped,
            ),
            (
                "quire_spans_dropped_total",
                "counter",
                "Spans that the collector did not take.",
                &self.spans_dropped,
            ),
        ] {
            out.head(name, kind, help);
            out.line(name, "", &value.load(Ordering::Relaxed).to_string());
        }
    }
}

fn each(
    out: &mut Text,
    all: &BTreeMap<Label, Counts>,
    name: &str,
    value: impl Fn(&Counts) -> String,
) {
    for (label, counts) in all {
        out.line(name, &label.text(), &value(counts));
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Label {
    fn text(&self) -> String {
        format!(
            "api=\"{}\",model=\"{}\",upstream=\"{}\",status=\"{}\"",
            escaped(&self.api),
            escaped(&self.model),
            escaped(&self.upstream),
            self.status
        )
    }
}

#[cfg(test)]
mod tests;
