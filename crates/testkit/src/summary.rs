//! What happened in simulated lives, counted, so that a simulation cannot silently go idle.

use std::collections::BTreeMap;
use std::fmt;

/// Everything that must happen somewhere in a few hundred lives.
pub const EXPECTED: &[&str] = &[
    "answer:allow-always",
    "answer:allow-always-beside-running",
    "answer:allow-always-of-others",
    "answer:allow-once",
    "answer:deny",
    "answer:running-allow-always",
    "answer:running-allow-once",
    "answer:running-deny",
    "answer:running-settles-others",
    "answer:running-while-stopping",
    "answer:too-late",
    "answer:too-late-for-its-call",
    "answer:too-late-while-running",
    "asks",
    "asks:after-an-answer",
    "asks:again",
    "asks:beside-another",
    "asks:ended-unanswered",
    "asks:of-a-call-in-the-step",
    "asks:of-a-call-that-is-asked",
    "asks:of-no-call",
    "asks:stopped-unanswered",
    "asks:while-stopping",
    "compact:compacting",
    "compact:dormant",
    "compact:idle",
    "compact:judging",
    "compact:paused",
    "compact:stopping",
    "compact:working",
    "compaction:after-overflow",
    "compaction:as-asked",
    "compaction:asked",
    "compaction:asked-from",
    "compaction:asked-up-to",
    "compaction:at-threshold",
    "compaction:by-the-provider-itself",
    "compaction:clear",
    "compaction:cut",
    "compaction:failed",
    "compaction:failed-at-the-provider",
    "compaction:provider",
    "compaction:summary",
    "compaction:undone",
    "configure",
    "configure:budget-after-unpriced",
    "crash",
    "crash:in-recovery",
    "crash:lost-call",
    "crash:lost-compaction",
    "crash:lost-job",
    "crash:lost-judgement",
    "crash:lost-question",
    "crash:lost-request",
    "crash:paused",
    "crash:pausing",
    "crash:while-stopping",
    "duplicate:say",
    "duplicate:stale-answer",
    "effort:by-message",
    "effort:by-rule",
    "goal:contradicted-by-a-check",
    "goal:dropped",
    "goal:dropped-by-person",
    "goal:dropped-while-judged",
    "goal:impossible",
    "goal:met",
    "goal:met-without-evidence",
    "goal:not-yet",
    "goal:replaced-while-judged",
    "goal:set",
    "goal:set-idle",
    "goal:set-in-turn",
    "goal:unreadable",
    "interrupt",
    "interrupt:again",
    "interrupt:dormant",
    "interrupt:of-call",
    "interrupt:of-compaction",
    "interrupt:of-job",
    "interrupt:of-judgement",
    "interrupt:of-nothing",
    "interrupt:of-request",
    "interrupt:paused",
    "interrupt:pausing",
    "files:changed",
    "files:had-again",
    "files:taken-back",
    "job:ended",
    "job:ended-before-its-call",
    "job:started",
    "job:started-while-stopping",
    "model:failed",
    "model:paused",
    "model:raced-the-cancel",
    "notice:cut",
    "notice:goal",
    "notice:goal-not-met",
    "notice:goal-not-shown",
    "notice:repeats",
    "notice:repeats-in-turn",
    "notice:silence",
    "others:spend",
    "others:spend-beside",
    "others:spend-while-stopping",
    "pause:budget",
    "pause:time",
    "pause:tokens",
    "pause:turns",
    "pause:unpriced",
    "pause:withdrawn",
    "pause:of-request",
    "pause:of-nothing",
    "pause:of-calls",
    "pause:judging",
    "pause:dormant",
    "pause:compacting",
    "pause:by-person",
    "pause:asked",
    "pause:again",
    "pause:budget-with-others",
    "pause:tokens-with-others",
    "pause:unpriced-of-others",
    "resume",
    "resume:for-goal",
    "resume:of-nothing",
    "resume:pausing",
    "servers:absent",
    "servers:gone",
    "servers:late",
    "servers:settled",
    "say:dormant",
    "say:note",
    "say:note-idle",
    "say:paused",
    "say:queue",
    "say:steer",
    "say:while-stopping",
    "stop:cancelled",
    "stop:end-turn",
    "stop:error",
    "stop:impossible",
    "stop:max-tokens",
    "stop:max-turn-requests",
    "stop:no-progress",
    "stop:refusal",
    "stop:without-room",
    "tool:beside-others",
    "tool:denied",
    "tool:failed",
    "tool:spent",
    "tool:spent-unpriced",
    "turn:opened-by-itself",
    "withdraw",
    "withdraw:held",
    "withdraw:paused",
    "withdraw:too-late",
    "withdraw:while-stopping",
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
