//! What the provider's prompt cache did at each request of a session, and why it missed: a fold of
//! the journal. What stands between two requests is all that is known; a provider may forget by
//! itself.

use std::collections::BTreeMap;

use futures_util::StreamExt as _;
use quire_protocol::{
    Client, CompactionStep, Day, Effort, Event, Frame, Money, Prefix, Purpose, Record, RequestId,
    Seq, SessionHead, Usage,
};
use serde_json::Value;

use crate::context::compacted;
use crate::requests::{Request, RequestEnd, Requests};

/// What the tokens of one request to a model (`provider/name`) cost on a day, where prices are known.
pub type Price<'a> = dyn Fn(&str, Day, &Usage) -> Option<Money> + Send + Sync + 'a;

/// A cache lives so long after its last use, unless it was written to live an hour.
const SHORT_MS: u64 = 5 * 60_000;
const LONG_MS: u64 = 60 * 60_000;
/// No provider caches a prompt below this; some begin only at the second.
const SMALLEST: u64 = 1_024;
const SMALL: u64 = 4_096;

/// What the cache did at each request of a session.
#[derive(Clone, Debug, Default)]
pub struct CacheReport {
    pub(crate) steps: Vec<Explained>,
    pub(crate) damaged: Vec<String>,
}

/// A request with what the cache did.
#[derive(Clone, Debug)]
pub(crate) struct Explained {
    pub(crate) step: Step,
    pub(crate) cache: Cache,
    /// Tokens that the cache should have held and did not give.
    pub(crate) lost: u64,
    /// What these cost more than read from the cache; none where no price is known.
    pub(crate) lost_cost: Option<Money>,
    /// Why, the most telling first; none for a hit.
    pub(crate) reasons: Vec<Reason>,
}

/// What the cache did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Cache {
    /// It gave what was to be expected.
    Hit,
    /// It gave some of it.
    Part,
    /// It gave nothing.
    Miss,
    /// The provider does not say.
    Untold,
}

/// Why the cache gave less than was to be expected.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Reason {
    First,
    Untold,
    Purpose(&'static str),
    Model { from: String, to: String },
    Prefix(String),
    Context(String),
    Effort { from: Effort, to: Effort },
    Schema,
    Idle { idle_ms: u64, lives_ms: u64 },
    Small { prompt: u64 },
    Between,
    Unexplained,
}

/// A request with what happened since the one before it.
#[derive(Clone, Debug)]
pub(crate) struct Step {
    pub(crate) id: RequestId,
    pub(crate) purpose: Purpose,
    pub(crate) model: String,
    effort: Effort,
    called_ms: u64,
    ended_ms: u64,
    pub(crate) usage: Usage,
    since: Since,
}

/// What happened since the last request for the session's own work.
#[derive(Clone, Debug, Default)]
struct Since {
    prefixes: Vec<String>,
    contexts: Vec<String>,
    schema: bool,
    others: bool,
}

impl Since {
    fn add(&mut self, later: Self) {
        self.prefixes.extend(later.prefixes);
        self.contexts.extend(later.contexts);
        self.schema |= later.schema;
        self.others |= later.others;
    }
}

/// The fold.
#[derive(Default)]
struct Fold {
    requests: Requests,
    steps: Vec<Step>,
    since: Since,
    /// What had happened when the open request was sent.
    sent: Since,
    schema: Option<Value>,
    prefix: Prefix,
}

/// Explains the cache at each request of a session. `price` says what tokens cost.
pub async fn explain_cache(
    client: &dyn Client,
    head: &SessionHead,
    price: &Price<'_>,
) -> CacheReport {
    let mut frames = client.watch(&head.session, Seq(0));
    let mut fold = Fold::default();
    let mut read = 0;
    while let Some(frame) = frames.next().await {
        if let Frame::Record(record) = frame {
            read += 1;
            fold.add(&record);
        }
    }
    CacheReport {
        steps: explained(fold.steps, price),
        damaged: crate::find::damage(head, read).into_iter().collect(),
    }
}

impl Fold {
    fn add(&mut self, record: &Record) {
        if let Some(request) = self.requests.add(record) {
            self.ended(request);
        }
        match &record.event {
            Event::Configured { settings } => {
                self.since.schema |= self.schema != settings.output_schema;
                self.schema.clone_from(&settings.output_schema);
            }
            Event::PrefixSet { prefix, reason } => self.prefix_set(prefix, reason),
            Event::Compaction(CompactionStep::Done { compaction }) => {
                self.since.contexts.push(compacted(compaction));
            }
            Event::Compaction(CompactionStep::Undone) => {
                let words = "a compaction was taken back".to_owned();
                self.since.contexts.push(words);
            }
            Event::ModelCalled { purpose, .. } if purpose.is_work() => {
                self.sent = std::mem::take(&mut self.since);
            }
            Event::ModelCalled { .. } => {
                self.sent = self.since.clone();
                self.since.others = true;
            }
            _ => {}
        }
    }

    /// Tools that came late open no request, so that they are no reason.
    fn prefix_set(&mut self, prefix: &Prefix, reason: &str) {
        if !self.prefix.opens_as(prefix) {
            self.since.prefixes.push(reason.to_owned());
        }
        self.prefix = prefix.clone();
    }

    /// Keeps a request that the provider has counted the prompt of.
    fn ended(&mut self, request: Request) {
        let sent = std::mem::take(&mut self.sent);
        if request.end == RequestEnd::Open || request.usage.prompt() == 0 {
            if request.purpose.is_work() {
                // It carried nothing that a cache could keep: what changed is news to the next one.
                let later = std::mem::replace(&mut self.since, sent);
                self.since.add(later);
            }
            return;
        }
        self.steps.push(Step {
            id: request.id,
            purpose: request.purpose,
            model: request.model,
            effort: request.effort,
            called_ms: request.called_ms,
            ended_ms: request.ended_ms,
            usage: request.usage,
            since: sent,
        });
    }
}

fn explained(steps: Vec<Step>, price: &Price<'_>) -> Vec<Explained> {
    // By model: whether its provider tells of a cache at all, and whether of what was written to it.
    let mut tells: BTreeMap<String, (bool, bool)> = BTreeMap::new();
    for step in &steps {
        let told = tells.entry(step.model.clone()).or_default();
        told.0 |= step.usage.cache_read + written(&step.usage) > 0;
        told.1 |= written(&step.usage) > 0;
    }
    let mut explained: Vec<Explained> = Vec::with_capacity(steps.len());
    let mut last: Option<usize> = None;
    let mut lives_ms = SHORT_MS;
    for step in steps {
        let before = last.and_then(|place| explained.get(place)).map(|e| &e.step);
        let (tells, counts_writes) = tells.get(&step.model).copied().unwrap_or_default();
        let manners = Manners {
            tells,
            counts_writes,
            lives_ms,
        };
        if step.usage.cache_write_1h > 0 {
            lives_ms = LONG_MS;
        }
        let is_work = step.purpose.is_work();
        let next = explain(step, before, &manners, price);
        if is_work {
            last = Some(explained.len());
        }
        explained.push(next);
    }
    explained
}

/// How a provider reports its cache, and how long that lives.
struct Manners {
    tells: bool,
    counts_writes: bool,
    lives_ms: u64,
}

fn written(usage: &Usage) -> u64 {
    usage.cache_write_5m + usage.cache_write_1h
}

fn explain(step: Step, before: Option<&Step>, manners: &Manners, price: &Price<'_>) -> Explained {
    let usage = &step.usage;
    // The prompt of the request before is what the cache can hold of this one.
    let held = before
        .filter(|_| step.purpose != Purpose::Judge)
        .map_or(0, |before| {
            if manners.counts_writes {
                before.usage.cache_read + written(&before.usage)
            } else {
                before.usage.prompt()
            }
        });
    let held = held.min(usage.prompt());
    let short = held.saturating_sub(usage.cache_read);
    // Caches hold blocks, and the last block may not be full.
    let full = usage.cache_read > 0 && short <= (held / 10).max(SMALLEST);
    let cache = match usage.cache_read {
        _ if !manners.tells => Cache::Untold,
        0 => Cache::Miss,
        _ if full => Cache::Hit,
        _ => Cache::Part,
    };
    let lost = match cache {
        Cache::Part | Cache::Miss => short,
        Cache::Hit | Cache::Untold => 0,
    };
    Explained {
        cache,
        lost,
        lost_cost: extra(&step, lost, price),
        reasons: match cache {
            Cache::Hit => Vec::new(),
            Cache::Untold => vec![Reason::Untold],
            Cache::Part | Cache::Miss => reasons(&step, before, manners.lives_ms),
        },
        step,
    }
}

fn reasons(step: &Step, before: Option<&Step>, lives_ms: u64) -> Vec<Reason> {
    let Some(before) = before else {
        return vec![Reason::First];
    };
    let mut reasons = Vec::new();
    reasons.extend(other_than_work(&step.purpose).map(Reason::Purpose));
    if step.model != before.model {
        reasons.push(Reason::Model {
            from: before.model.clone(),
            to: step.model.clone(),
        });
    }
    reasons.extend(step.since.prefixes.iter().cloned().map(Reason::Prefix));
    reasons.extend(step.since.contexts.iter().cloned().map(Reason::Context));
    let idle_ms = step.called_ms.saturating_sub(before.called_ms);
    if idle_ms > lives_ms {
        reasons.push(Reason::Idle { idle_ms, lives_ms });
    }
    if step.effort != before.effort {
        reasons.push(Reason::Effort {
            from: before.effort,
            to: step.effort,
        });
    }
    if step.since.schema {
        reasons.push(Reason::Schema);
    }
    let prompt = before.usage.prompt();
    if prompt < SMALLEST || (reasons.is_empty() && prompt < SMALL) {
        reasons.push(Reason::Small { prompt });
    }
    if reasons.is_empty() {
        reasons.push(if step.since.others {
            Reason::Between
        } else {
            Reason::Unexplained
        });
    }
    reasons
}

/// What a request is for, where that is not the session's own work.
const fn other_than_work(purpose: &Purpose) -> Option<&'static str> {
    match purpose {
        Purpose::Work => None,
        Purpose::Summary => Some("a summary for a compaction, asked for at the end of the prompt"),
        Purpose::Compact { .. } => {
            Some("a compaction by the provider, which is asked for in a way of its own")
        }
        Purpose::Judge => Some("a judgement of the goal, with a prompt of its own"),
    }
}

/// What tokens cost more than they would have cost read from the cache.
fn extra(step: &Step, lost: u64, price: &Price<'_>) -> Option<Money> {
    if lost == 0 {
        return Some(Money::ZERO);
    }
    let mut read = step.usage;
    let mut left = lost;
    for place in [
        &mut read.cache_write_5m,
        &mut read.cache_write_1h,
        &mut read.input,
    ] {
        let moved = left.min(*place);
        *place -= moved;
        left -= moved;
    }
    read.cache_read += lost - left;
    let day = Day::of(step.ended_ms);
    let paid = price(&step.model, day, &step.usage)?;
    let cheaper = price(&step.model, day, &read)?;
    Some(Money::from_picos(paid.picos() - cheaper.picos()))
}
