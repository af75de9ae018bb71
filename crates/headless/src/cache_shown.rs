//! What the cache did, as a table for a person and as JSON.

use std::fmt::Write as _;

use quire_protocol::{Bill, Money, Purpose};
use serde_json::{Value, json};

use crate::Style;
use crate::cache::{Cache, CacheReport, Explained, Reason};
use crate::cost::exact;
use crate::report::Report;
use crate::table::Side::{Left, Right};
use crate::table::table;
use crate::text::{counted, duration, first_line, thousands};

impl Reason {
    /// Its name in JSON.
    const fn name(&self) -> &'static str {
        match self {
            Self::First => "first_request",
            Self::Untold => "not_reported",
            Self::Purpose(_) => "another_purpose",
            Self::Model { .. } => "model_changed",
            Self::Prefix(_) => "prefix_set",
            Self::Context(_) => "context_changed",
            Self::Effort { .. } => "effort_changed",
            Self::Schema => "schema_changed",
            Self::Idle { .. } => "idle",
            Self::Small { .. } => "too_small",
            Self::Between => "another_request_between",
            Self::Unexplained => "unexplained",
        }
    }

    fn words(&self) -> String {
        match self {
            Self::First => "the first request".to_owned(),
            Self::Untold => "the provider reports no use of a cache".to_owned(),
            Self::Purpose(what) => (*what).to_owned(),
            Self::Model { from, to } => format!("the model changed from {from} to {to}"),
            Self::Prefix(reason) => format!("the instructions or tools changed: {reason}"),
            Self::Context(words) => words.clone(),
            Self::Effort { from, to } => format!(
                "the effort changed from {} to {}, which may cost the cache",
                from.name(),
                to.name()
            ),
            Self::Schema => "the schema of the answer changed, which may cost the cache".to_owned(),
            Self::Idle { idle_ms, lives_ms } => format!(
                "{} since the last request, and the cache lives {}",
                duration(*idle_ms),
                duration(*lives_ms)
            ),
            Self::Small { prompt } => format!(
                "the prompt before had {} tokens, which may be too few to be cached",
                thousands(*prompt)
            ),
            Self::Between => "a request for something else came between".to_owned(),
            Self::Unexplained => {
                "unexplained: nothing in the journal changed the prompt".to_owned()
            }
        }
    }
}

impl Cache {
    const fn name(self) -> &'static str {
        match self {
            Self::Hit => "hit",
            Self::Part => "part",
            Self::Miss => "miss",
            Self::Untold => "untold",
        }
    }
}

fn purpose(purpose: &Purpose) -> &'static str {
    match purpose {
        Purpose::Work => "work",
        Purpose::Summary => "summary",
        Purpose::Compact { .. } => "compact",
        Purpose::Judge => "judge",
    }
}

impl Explained {
    fn bill(&self) -> Bill {
        Bill {
            known: self.lost_cost.unwrap_or_default(),
            unpriced: u64::from(self.lost_cost.is_none()),
        }
    }

    fn written(&self) -> u64 {
        self.step.usage.cache_write_5m + self.step.usage.cache_write_1h
    }

    fn why(&self) -> String {
        let words = self.reasons.iter().map(Reason::words);
        first_line(&words.collect::<Vec<_>>().join("; ")).0
    }

    fn json(&self) -> Value {
        let usage = &self.step.usage;
        let reasons = self
            .reasons
            .iter()
            .map(|reason| json!({ "reason": reason.name(), "detail": reason.words() }));
        json!({
            "request": self.step.id,
            "purpose": purpose(&self.step.purpose),
            "model": self.step.model,
            "prompt": usage.prompt(),
            "cache_read": usage.cache_read,
            "cache_write_5m": usage.cache_write_5m,
            "cache_write_1h": usage.cache_write_1h,
            "uncached": usage.input,
            "cache": self.cache.name(),
            "lost_tokens": self.lost,
            "lost_usd": self.lost_cost,
            "reasons": reasons.collect::<Vec<_>>(),
        })
    }
}

impl CacheReport {
    fn lost(&self) -> (u64, Bill) {
        let mut sum = (0, Bill::default());
        for step in &self.steps {
            sum.0 += step.lost;
            sum.1 += step.bill();
        }
        sum
    }

    /// What was read and lost in all.
    fn sums(&self) -> String {
        let mut text = String::new();
        if self.steps.iter().all(|step| step.cache == Cache::Untold) {
            return "nobody can say what a cache did here\n".to_owned();
        }
        let read: u64 = self.steps.iter().map(|s| s.step.usage.cache_read).sum();
        let prompts: u64 = self.steps.iter().map(|s| s.step.usage.prompt()).sum();
        let (lost, bill) = self.lost();
        let _ = writeln!(
            text,
            "{} of {} tokens of prompts were read from the cache ({} %)",
            thousands(read),
            thousands(prompts),
            read * 100 / prompts.max(1),
        );
        let missed = self.steps.iter().filter(|step| step.lost > 0).count() as u64;
        let _ = match missed {
            0 => writeln!(text, "nothing was lost that the cache had held"),
            _ => writeln!(
                text,
                "{} lost {} tokens that the cache had held: {} more than read from it, at list prices",
                counted(missed, "request"),
                thousands(lost),
                match bill.exact() {
                    Some(Money::ZERO) => "nothing".to_owned(),
                    _ => exact(bill),
                },
            ),
        };
        text
    }
}

impl Report for CacheReport {
    /// As a table: a row for each request whose prompt the provider counted.
    fn text(&self, style: Style) -> String {
        if self.steps.is_empty() {
            return "no request has been answered\n".to_owned();
        }
        let rows = self.steps.iter().map(|step| {
            let lost = |told: String| if step.lost > 0 { told } else { String::new() };
            [
                step.step.id.to_string(),
                purpose(&step.step.purpose).to_owned(),
                thousands(step.step.usage.prompt()),
                thousands(step.step.usage.cache_read),
                thousands(step.written()),
                thousands(step.step.usage.input),
                step.cache.name().to_owned(),
                lost(thousands(step.lost)),
                lost(exact(step.bill())),
                step.why(),
            ]
        });
        let names = [
            ("REQUEST", Right),
            ("FOR", Left),
            ("PROMPT", Right),
            ("READ", Right),
            ("WRITTEN", Right),
            ("NOT CACHED", Right),
            ("CACHE", Left),
            ("LOST", Right),
            ("COST OF IT", Right),
            ("WHY", Left),
        ];
        // A reason that is cut explains nothing.
        let mut text = table(names, rows, Style { width: 0, ..style });
        text.push('\n');
        text.push_str(&self.sums());
        text
    }

    fn json(&self) -> String {
        let steps: Vec<Value> = self.steps.iter().map(Explained::json).collect();
        let (lost, bill) = self.lost();
        crate::json::line(&json!({
            "steps": steps,
            "lost_tokens": lost,
            "lost_usd": bill.exact(),
            "known_lost_usd": bill.known,
        }))
    }

    fn damage(&self) -> &[String] {
        &self.damaged
    }
}
