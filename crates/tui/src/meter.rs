//! What a session used: tokens, money, how full the context is, and what of it this turn was.

use std::fmt::Write as _;

use quire_protocol::{CompactionStep, Event, Money, Record, Usage, duration};

/// Counts records; never looks at a clock.
#[derive(Clone, Debug, Default)]
pub(crate) struct Meter {
    /// Tokens of all requests.
    pub(crate) usage: Usage,
    /// What they cost, as far as prices are known.
    pub(crate) cost: Money,
    /// Requests whose price is not known.
    pub(crate) unpriced: u32,
    /// Requests to the model.
    pub(crate) requests: u32,
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
#[derive(Clone, Copy, Debug, Default)]
struct Mark {
    at_ms: u64,
    now_ms: u64,
    output: u64,
    cost: Money,
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
                    cost: self.cost,
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
            Event::ModelReplied { usage, cost, .. } | Event::ModelFailed { usage, cost, .. } => {
                self.usage += *usage;
                match cost {
                    Some(cost) => self.cost += *cost,
                    None if *usage != Usage::default() => self.unpriced += 1,
                    None => {}
                }
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

    /// ` · 12 s · 1.2k tokens · $0.01` of the turn.
    pub(crate) fn turn_in_words(&self) -> String {
        let took = self.turn.now_ms.saturating_sub(self.turn.at_ms);
        let mut words = format!(" · {}", duration(took));
        if self.turn_output() > 0 {
            let _ = write!(words, " · {} tokens", short(self.turn_output()));
        }
        let cost = Money::from_picos(self.cost.picos() - self.turn.cost.picos());
        if cost > Money::ZERO {
            let _ = write!(words, " · ${}", cost.rounded(4));
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
