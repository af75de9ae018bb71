//! What a session used: tokens, money, how full the context is, and what of it this turn was.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::path::PathBuf;

use quire_protocol::{
    Bill, CompactionStep, Event, Money, Record, Spending, TravelStep, Usage, counted, duration,
};

/// Counts records; never looks at a clock.
#[derive(Clone, Debug, Default)]
pub(crate) struct Meter {
    /// Tokens of all requests.
    pub(crate) usage: Usage,
    /// What they cost.
    pub(crate) bill: Bill,
    /// Requests to the model.
    pub(crate) requests: u32,
    /// What of all that agents used who worked for the session.
    pub(crate) agents: Spending,
    /// Turns.
    pub(crate) turns: u32,
    /// How long was worked, as far as is recorded.
    pub(crate) worked_ms: u64,
    /// Tokens in the context, as estimated or reported last.
    pub(crate) context: u64,
    /// The same when the turn began.
    turn: Mark,
}

/// What had been used at some time.
#[derive(Clone, Debug, Default)]
struct Mark {
    at_ms: u64,
    now_ms: u64,
    output: u64,
    cost: Money,
    /// Tools that ran since.
    tools: u64,
    /// Files that they changed.
    files: BTreeSet<PathBuf>,
}

impl Meter {
    /// Takes a record in.
    pub(crate) fn record(&mut self, record: &Record) {
        self.turn.now_ms = record.at_ms;
        match &record.event {
            Event::TurnStarted { .. } => {
                self.turns += 1;
                self.turn = Mark {
                    at_ms: record.at_ms,
                    now_ms: record.at_ms,
                    output: self.usage.output,
                    cost: self.bill.known,
                    ..Mark::default()
                };
            }
            Event::TurnPaused { worked_ms, .. } => self.worked_ms = self.worked_ms.max(*worked_ms),
            Event::ModelCalled {
                estimate,
                purpose,
                worked_ms,
                ..
            } => {
                self.requests += 1;
                self.worked_ms = self.worked_ms.max(*worked_ms);
                if purpose.is_work() && *estimate > 0 {
                    self.context = *estimate;
                }
            }
            Event::ModelReplied { usage, .. } | Event::ModelFailed { usage, .. } => {
                self.usage += *usage;
                self.bill += Bill::of(&record.event).unwrap_or_default();
            }
            // What stands before it another session paid for.
            Event::Travel(TravelStep::Forked { .. }) => {
                *self = Self {
                    context: self.context,
                    ..Self::default()
                };
            }
            Event::ToolStarted { .. } => self.turn.tools += 1,
            Event::ToolEnded { outcome, .. } => {
                let files = outcome.changes.iter().map(|change| change.path.clone());
                self.turn.files.extend(files);
                if let Some(spent) = outcome.spent {
                    self.agents += spent;
                    self.requests += spent.requests;
                    self.usage += spent.usage;
                    self.bill += spent.bill();
                }
            }
            Event::Travel(TravelStep::Kept { files, .. }) => {
                let files = files.iter().map(|file| PathBuf::from(&file.path));
                self.turn.files.extend(files);
            }
            Event::Compaction(CompactionStep::Done { compaction }) => {
                self.context = compaction.tokens_after;
            }
            _ => {}
        }
    }

    /// Tokens that the model produced in this turn.
    pub(crate) fn turn_output(&self) -> u64 {
        self.usage.output.saturating_sub(self.turn.output)
    }

    /// ` · 12 s · 1.2k tokens · $0.01 · 3 tools · 1 file changed` of the turn; nothing where its
    /// beginning is not known.
    pub(crate) fn turn_in_words(&self) -> String {
        // Only its end may have been read.
        if self.turns == 0 {
            return String::new();
        }
        let took = self.turn.now_ms.saturating_sub(self.turn.at_ms);
        let mut words = format!(" · {}", duration(took));
        if self.turn_output() > 0 {
            let _ = write!(words, " · {} tokens", short(self.turn_output()));
        }
        let cost = Money::from_picos(self.bill.known.picos() - self.turn.cost.picos());
        if cost > Money::ZERO {
            let _ = write!(words, " · ${}", cost.rounded(4));
        }
        if self.turn.tools > 0 {
            let _ = write!(words, " · {}", counted(self.turn.tools, "tool"));
        }
        if !self.turn.files.is_empty() {
            let files = counted(self.turn.files.len() as u64, "file");
            let _ = write!(words, " · {files} changed");
        }
        words
    }
}

/// A number in few characters: `950`, `1.2k`, `46k`, `1.2M`.
pub(crate) fn short(number: u64) -> String {
    match number {
        0..1_000 => number.to_string(),
        1_000..10_000 => format!("{}.{}k", number / 1_000, number % 1_000 / 100),
        10_000..1_000_000 => format!("{}k", number / 1_000),
        _ => format!("{}.{}M", number / 1_000_000, number % 1_000_000 / 100_000),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn short_numbers() {
        for (number, shown) in [
            (0, "0"),
            (999, "999"),
            (1_250, "1.2k"),
            (46_100, "46k"),
            (1_250_000, "1.2M"),
        ] {
            assert_eq!(short(number), shown);
        }
    }
}
