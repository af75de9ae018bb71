//! How sessions went: a fold of their journals into counts, and how well their prompts were estimated.

use std::collections::{BTreeMap, HashMap};
use std::fmt::Write as _;

use futures_util::StreamExt as _;
use quire_protocol::{
    CallId, Client, ClientError, CommandEnd, Compaction, CompactionCause, CompactionKind,
    CompactionStep, Event, Frame, Item, Pause, Record, Seq, SessionHead, SessionQuery, ToolOutcome,
    ToolStatus,
};
use serde_json::{Value, json};

use crate::Style;
use crate::context::compacted;
use crate::report::Report;
use crate::requests::{Request, RequestEnd, Requests};
use crate::table::Side::{Left, Right};
use crate::table::table;
use crate::text::{counted, duration, first_line, thousands};

/// How many compactions are told one by one.
const TOLD: usize = 20;

/// How sessions went.
#[derive(Clone, Debug, Default)]
pub struct Stats {
    sessions: u64,
    turns: u64,
    pauses: u64,
    steps: u64,
    worked_ms: u64,
    fit: Fit,
    compactions: Vec<Compacted>,
    undone: u64,
    /// Compactions that failed, by their kinds.
    failed: BTreeMap<&'static str, u64>,
    tools: BTreeMap<String, Uses>,
    /// Requests by their effort and the reason for it.
    efforts: BTreeMap<(&'static str, String), u64>,
    damaged: Vec<String>,
}

/// How well prompts were estimated, in per mille of what was reported: too high is above 0.
#[derive(Clone, Debug, Default)]
struct Fit {
    errors: Vec<i64>,
}

/// A compaction without its items.
#[derive(Clone, Debug)]
struct Compacted {
    words: String,
    kind: CompactionKind,
    cause: CompactionCause,
    tokens_before: u64,
    tokens_after: u64,
}

/// How a tool was used.
#[derive(Clone, Copy, Debug, Default)]
struct Uses {
    calls: u64,
    failed: u64,
    /// Commands that ran and ended in another way than with exit code 0.
    unsuccessful: u64,
    refused: u64,
    cut_off: u64,
}

/// Counts how sessions went: one, by the start of its id, or all that are asked for. Each journal is
/// read once, in pages.
pub async fn stats(client: &dyn Client, sessions: SessionQuery) -> Result<Stats, ClientError> {
    let mut stats = Stats::default();
    for head in client.sessions(sessions).await? {
        stats.read(client, &head).await;
    }
    Ok(stats)
}

/// What has to be remembered of one session on the way.
#[derive(Default)]
struct OnTheWay {
    requests: Requests,
    names: HashMap<CallId, String>,
    worked_ms: u64,
}

impl Stats {
    async fn read(&mut self, client: &dyn Client, head: &SessionHead) {
        let mut frames = client.watch(&head.session, Seq(0));
        let own = crate::find::own_after(client, head).await;
        let mut way = OnTheWay::default();
        let mut read = 0;
        while let Some(frame) = frames.next().await {
            if let Frame::Record(record) = frame {
                read += 1;
                if record.seq > own {
                    self.add(&mut way, &record);
                } else {
                    // Whose it is counts it; here it tells what the rest is about.
                    way.requests.add(&record);
                }
            }
        }
        if let Some(request) = way.requests.rest().filter(|request| request.seq > own) {
            self.request(&mut way, &request);
        }
        self.sessions += 1;
        self.worked_ms += way.worked_ms;
        self.damaged.extend(crate::find::damage(head, read));
    }

    fn add(&mut self, way: &mut OnTheWay, record: &Record) {
        if let Some(request) = way.requests.add(record) {
            self.request(way, &request);
        }
        match &record.event {
            Event::TurnStarted { .. } => self.turns += 1,
            Event::TurnPaused { pause, .. } => self.pauses += u64::from(*pause == Pause::Limit),
            Event::ModelReplied { items, .. } => {
                way.names.extend(items.iter().filter_map(|item| match item {
                    Item::ToolCall(call) => Some((call.call, first_line(&call.name).0)),
                    _ => None,
                }));
            }
            Event::ToolEnded { call, outcome } => {
                let name = way.names.remove(call);
                let name = name.unwrap_or_else(|| "?".to_owned());
                self.tools.entry(name).or_default().add(outcome);
            }
            Event::Compaction(step) => self.compaction(step),
            _ => {}
        }
    }

    fn request(&mut self, way: &mut OnTheWay, request: &Request) {
        // The engine counts when a request is sent; its answer is worked for too.
        let answered = request.ended_ms.saturating_sub(request.called_ms);
        way.worked_ms = way.worked_ms.max(request.worked_ms + answered);
        if !request.purpose.is_work() {
            return;
        }
        self.steps += 1;
        let reason = match &request.chosen {
            Some(chosen) => chosen.reason.clone(),
            None => "the session's".to_owned(),
        };
        *self
            .efforts
            .entry((request.effort.name(), reason))
            .or_default() += 1;
        self.fit.add(request);
    }

    fn compaction(&mut self, step: &CompactionStep) {
        match step {
            CompactionStep::Done { compaction } => self.compactions.push(Compacted::of(compaction)),
            CompactionStep::Failed { kind, .. } => {
                *self.failed.entry(kind_name(*kind)).or_default() += 1;
            }
            CompactionStep::Undone => self.undone += 1,
            CompactionStep::Asked { .. } => {}
        }
    }

    fn tell_compactions(&self, text: &mut String) {
        let done = counted(self.compactions.len() as u64, "compaction");
        let failed: u64 = self.failed.values().sum();
        let more = |count: u64, what: &str| match count {
            0 => String::new(),
            count => format!(", {} {what}", thousands(count)),
        };
        let (failed, undone) = (more(failed, "failed"), more(self.undone, "taken back"));
        let _ = writeln!(text, "{done}{failed}{undone}");
        for compaction in self.compactions.iter().rev().take(TOLD).rev() {
            let _ = writeln!(text, "  {}", compaction.words);
        }
    }
}

impl Report for Stats {
    fn text(&self, style: Style) -> String {
        let mut text = format!(
            "{}, {}, {}, worked for {}\n",
            counted(self.sessions, "session"),
            counted(self.turns, "turn"),
            counted(self.steps, "step"),
            duration(self.worked_ms),
        );
        if self.pauses > 0 {
            let _ = writeln!(text, "paused at a limit: {}", thousands(self.pauses));
        }
        let _ = writeln!(text, "estimates of prompts: {}", self.fit.words());
        self.tell_compactions(&mut text);
        if !self.efforts.is_empty() {
            let rows = self.efforts.iter().map(|((effort, reason), steps)| {
                [
                    (*effort).to_owned(),
                    thousands(*steps),
                    first_line(reason).0,
                ]
            });
            let names = [("EFFORT", Left), ("STEPS", Right), ("WHY", Left)];
            let _ = write!(text, "\n{}", table(names, rows, style));
        }
        if !self.tools.is_empty() {
            let _ = write!(text, "\n{}", tools(&self.tools, style));
        }
        text
    }

    fn json(&self) -> String {
        let compactions = self.compactions.iter().map(|done| {
            json!({
                "kind": done.kind,
                "cause": done.cause,
                "tokens_before": done.tokens_before,
                "tokens_after": done.tokens_after,
            })
        });
        let efforts = self.efforts.iter().map(|((effort, reason), steps)| {
            json!({ "effort": effort, "reason": reason, "steps": steps })
        });
        let tools = self.tools.iter().map(|(name, uses)| {
            json!({
                "tool": name,
                "calls": uses.calls,
                "failed": uses.failed,
                "unsuccessful": uses.unsuccessful,
                "refused": uses.refused,
                "cut_off": uses.cut_off,
            })
        });
        crate::json::line(&json!({
            "sessions": self.sessions,
            "turns": self.turns,
            "pauses": self.pauses,
            "steps": self.steps,
            "worked_ms": self.worked_ms,
            "estimates": self.fit.json(),
            "compactions": compactions.collect::<Vec<_>>(),
            "compactions_failed": self.failed,
            "compactions_undone": self.undone,
            "efforts": efforts.collect::<Vec<_>>(),
            "tools": tools.collect::<Vec<_>>(),
        }))
    }

    fn damage(&self) -> &[String] {
        &self.damaged
    }
}

impl Compacted {
    fn of(compaction: &Compaction) -> Self {
        Self {
            words: compacted(compaction),
            kind: compaction.kind,
            cause: compaction.cause,
            tokens_before: compaction.tokens_before,
            tokens_after: compaction.tokens_after,
        }
    }
}

impl Uses {
    fn add(&mut self, outcome: &ToolOutcome) {
        self.calls += 1;
        match outcome.status {
            ToolStatus::Done => {}
            ToolStatus::Failed => self.failed += 1,
            ToolStatus::Denied => self.refused += 1,
            ToolStatus::Cancelled | ToolStatus::Lost => self.cut_off += 1,
        }
        let succeeded = CommandEnd::Exited { code: 0 };
        self.unsuccessful += u64::from(outcome.end.is_some_and(|end| end != succeeded));
    }
}

fn tools(tools: &BTreeMap<String, Uses>, style: Style) -> String {
    let rows = tools.iter().map(|(name, uses)| {
        [
            name.clone(),
            thousands(uses.calls),
            thousands(uses.failed),
            thousands(uses.unsuccessful),
            thousands(uses.refused),
            thousands(uses.cut_off),
        ]
    });
    let names = [
        ("TOOL", Left),
        ("CALLS", Right),
        ("FAILED", Right),
        ("EXIT NOT 0", Right),
        ("REFUSED", Right),
        ("CUT OFF", Right),
    ];
    table(names, rows, style)
}

impl Fit {
    /// Compares an estimate with the prompt that the provider counted. Where attempts failed before,
    /// theirs may be in that count too, so that nothing can be learnt from it.
    fn add(&mut self, request: &Request) {
        let prompt = request.usage.prompt();
        let answered = matches!(request.end, RequestEnd::Answered(_));
        if answered && request.estimate > 0 && prompt > 0 && request.retries == 0 {
            let (estimate, prompt) = (request.estimate.cast_signed(), prompt.cast_signed());
            let error = i128::from(estimate - prompt) * 1_000 / i128::from(prompt);
            self.errors.push(i64::try_from(error).unwrap_or(i64::MAX));
        }
    }

    /// The median of the errors without their signs, and the worst of them.
    fn median_and_worst(&self) -> Option<(i64, i64)> {
        let worst = *self.errors.iter().max_by_key(|error| error.abs())?;
        let mut sizes: Vec<i64> = self.errors.iter().map(|error| error.abs()).collect();
        let middle = sizes.len() / 2;
        let (_, median, _) = sizes.select_nth_unstable(middle);
        Some((*median, worst))
    }

    fn words(&self) -> String {
        let Some((median, worst)) = self.median_and_worst() else {
            return "none that could be compared with what a provider counted".to_owned();
        };
        let side = if worst < 0 { "low" } else { "high" };
        format!(
            "{} % off in the median of {}, at worst {} % too {side}",
            percent(median),
            counted(self.errors.len() as u64, "request"),
            percent(worst.abs()),
        )
    }

    fn json(&self) -> Value {
        let found = self.median_and_worst();
        json!({
            "compared": self.errors.len(),
            "median_error_per_mille": found.map(|(median, _)| median),
            "worst_error_per_mille": found.map(|(_, worst)| worst),
        })
    }
}

/// `12.3` of 123 per mille.
fn percent(per_mille: i64) -> String {
    format!("{}.{}", per_mille / 10, per_mille % 10)
}

fn kind_name(kind: CompactionKind) -> &'static str {
    match kind {
        CompactionKind::Clear => "clear",
        CompactionKind::Summary => "summary",
        CompactionKind::Provider => "provider",
        CompactionKind::Cut => "cut",
    }
}
