//! What happened in simulated lives, counted, so that a simulation cannot silently go idle.

use std::collections::BTreeMap;
use std::fmt;

/// Everything that must happen somewhere in a few hundred lives.
pub const EXPECTED: &[&str] = &[
    "answer:allow-always",
    "answer:allow-always-of-others",
    "answer:allow-once",
    "answer:deny",
    "answer:too-late",
    "configure",
    "configure:budget-after-unpriced",
    "crash",
    "crash:in-recovery",
    "crash:lost-call",
    "crash:lost-job",
    "crash:lost-request",
    "crash:while-stopping",
    "duplicate:say",
    "duplicate:stale-answer",
    "interrupt",
    "interrupt:again",
    "interrupt:dormant",
    "interrupt:of-call",
    "interrupt:of-job",
    "interrupt:of-nothing",
    "interrupt:of-request",
    "job:ended",
    "job:ended-before-its-call",
    "job:started",
    "job:started-while-stopping",
    "model:failed",
    "model:paused",
    "model:raced-the-cancel",
    "notice:repeats",
    "notice:repeats-in-turn",
    "notice:silence",
    "resume",
    "resume:of-nothing",
    "say:dormant",
    "say:queue",
    "say:steer",
    "say:while-stopping",
    "stop:budget",
    "stop:cancelled",
    "stop:end-turn",
    "stop:error",
    "stop:max-tokens",
    "stop:max-turn-requests",
    "stop:no-progress",
    "stop:refusal",
    "tool:beside-others",
    "tool:denied",
    "tool:failed",
    "turn:opened-by-itself",
];

/// Counts over one or more lives.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Summary {
    /// Lives.
    pub seeds: u64,
    /// Things that happened to the sessions.
    pub steps: u64,
    /// Events recorded.
    pub events: u64,
    /// How often each thing of [`EXPECTED`] happened, by name.
    pub seen: BTreeMap<&'static str, u64>,
}

impl Summary {
    /// Counts one thing.
    pub(crate) fn see(&mut self, what: &'static str) {
        *self.seen.entry(what).or_default() += 1;
    }

    /// Adds the counts of other lives.
    pub fn add(&mut self, other: &Self) {
        self.seeds += other.seeds;
        self.steps += other.steps;
        self.events += other.events;
        for (what, count) in &other.seen {
            *self.seen.entry(what).or_default() += count;
        }
    }

    /// What of [`EXPECTED`] never happened.
    #[must_use]
    pub fn missing(&self) -> Vec<&'static str> {
        EXPECTED
            .iter()
            .copied()
            .filter(|what| !self.seen.contains_key(what))
            .collect()
    }
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "{} seeds, {} steps, {} events",
            self.seeds, self.steps, self.events
        )?;
        for (what, count) in &self.seen {
            writeln!(f, "{count:>12}  {what}")?;
        }
        Ok(())
    }
}
