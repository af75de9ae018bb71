//! What may be used within a minute and spent within a period: token buckets that fill steadily, and what is
//! left of a budget.

use std::sync::{Mutex, MutexGuard, PoisonError};

use quire_depot::{Budget, Debt, Limits, Period, Used};
use quire_protocol::{Day, Money};

mod bucket;

use bucket::{Bucket, as_signed};

/// What somebody may use and has used.
#[derive(Debug, Default)]
pub(crate) struct Allowance(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    requests: Bucket,
    input: Bucket,
    output: Bucket,
    budget: Option<Budget>,
    spent: Spent,
}

/// Money that was spent within a budget's period.
#[derive(Clone, Copy, Debug, Default)]
struct Spent {
    /// The period's first day; none for all time.
    since: Option<Day>,
    /// What the depot knew when it was last asked.
    recorded: Money,
    /// What was spent since then, by this server.
    since_then: Money,
    /// What of that the depot may know the next time.
    settling: Money,
    /// Whether the depot was asked at all.
    known: bool,
}

/// Which bound is reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reached {
    /// Requests, in so many milliseconds there is room again.
    Requests(i64),
    /// Tokens of prompts.
    InputTokens(i64),
    /// Tokens of answers.
    OutputTokens(i64),
    /// Money.
    Budget(Budget, Money),
}

/// The first day of a budget's period; none for all time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Since(pub(crate) Option<Day>);

/// A bound as headers tell it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Gauge {
    pub(crate) limit: u64,
    pub(crate) remaining: u64,
    /// Milliseconds until it is full again.
    pub(crate) full_in: i64,
}

/// All bounds as headers tell them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Gauges {
    pub(crate) requests: Option<Gauge>,
    pub(crate) input: Option<Gauge>,
    pub(crate) output: Option<Gauge>,
}

impl Gauges {
    /// Of each bound, the one with less left.
    pub(crate) fn tightest(self, other: Self) -> Self {
        let least = |one: Option<Gauge>, two: Option<Gauge>| match (one, two) {
            (Some(one), Some(two)) if two.remaining < one.remaining => Some(two),
            (Some(one), _) => Some(one),
            (None, two) => two,
        };
        Self {
            requests: least(self.requests, other.requests),
            input: least(self.input, other.input),
            output: least(self.output, other.output),
        }
    }
}

impl Allowance {
    /// Takes over new bounds. What was used stays used.
    pub(crate) fn set(&self, limits: Limits, budget: Option<Budget>) {
        let mut state = self.state();
        state.requests.set(limits.requests_per_minute);
        state.input.set(limits.input_tokens_per_minute);
        state.output.set(limits.output_tokens_per_minute);
        state.budget = budget;
    }

    /// Whether a request with a prompt of about so many tokens may be made now; takes nothing.
    pub(crate) fn check(&self, prompt: u64, now: i64) -> Result<(), Reached> {
        let mut state = self.state();
        if let Some(budget) = state.budget {
            let spent = state.spent.total(since(budget.period, now));
            if spent >= budget.amount {
                return Err(Reached::Budget(budget, spent));
            }
        }
        state.requests.wait(1, now).map_err(Reached::Requests)?;
        state
            .input
            .wait(prompt, now)
            .map_err(Reached::InputTokens)?;
        state.output.wait(1, now).map_err(Reached::OutputTokens)
    }

    /// Takes a request and about so many tokens of its prompt, and says what is left.
    pub(crate) fn take(&self, prompt: u64, now: i64) -> Gauges {
        let mut state = self.state();
        state.requests.take(1, now);
        state.input.take(as_signed(prompt), now);
        Gauges {
            requests: state.requests.gauge(),
            input: state.input.gauge(),
            output: state.output.gauge(),
        }
    }

    /// Puts right what a request used: tokens of the prompt beyond the estimate (or less), tokens of the answer,
    /// and money.
    pub(crate) fn settle(&self, prompt_beyond: i64, output: u64, cost: Money, now: i64) {
        let mut state = self.state();
        state.input.take(prompt_beyond, now);
        state.output.take(as_signed(output), now);
        state.spent.since_then += cost;
    }

    /// Whether there is a budget of which nobody has asked yet how much is spent.
    pub(crate) fn is_unknown(&self) -> bool {
        let state = self.state();
        state.budget.is_some() && !state.spent.known
    }

    /// The first day of the period of the budget, if there is one to be asked for.
    pub(crate) fn asks_since(&self, now: i64) -> Option<Since> {
        let mut state = self.state();
        let budget = state.budget?;
        state.spent.settling = state.spent.since_then;
        Some(Since(since(budget.period, now)))
    }

    /// Takes over what the depot knows was spent since a day.
    pub(crate) fn recorded(&self, Since(since): Since, spent: Money) {
        let mut state = self.state();
        let later = state.spent.since_then.picos() - state.spent.settling.picos();
        state.spent = Spent {
            since,
            recorded: spent,
            since_then: Money::from_picos(later.max(0)),
            settling: Money::ZERO,
            known: true,
        };
    }

    /// What other servers are to be told of what was taken here. `name` makes a name of a kind's.
    pub(crate) fn tell(&self, name: impl Fn(&str) -> String, now: i64) -> Vec<Used> {
        let mut state = self.state();
        let told = state
            .buckets()
            .map(|(kind, bucket)| bucket.tell(|| name(kind), now));
        told.into_iter().flatten().collect()
    }

    /// The others were told.
    pub(crate) fn told(&self) {
        for (_, bucket) in self.state().buckets() {
            bucket.told();
        }
    }

    /// Takes over what all servers together owe of a kind.
    pub(crate) fn learn(&self, kind: &str, debt: &Debt, now: i64) {
        for (known, bucket) in self.state().buckets() {
            if known == kind {
                bucket.learn(debt, now);
            }
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// What is bounded, by the names of its kinds.
    fn buckets(&mut self) -> [(&'static str, &mut Bucket); 3] {
        [
            ("requests", &mut self.requests),
            ("input", &mut self.input),
            ("output", &mut self.output),
        ]
    }
}

impl Spent {
    fn total(&self, since: Option<Day>) -> Money {
        if self.known && self.since != since {
            // A new period began; the depot has not been asked yet.
            return self.since_then;
        }
        self.recorded + self.since_then
    }
}

/// The first day of the period that a time lies in.
fn since(period: Period, now: i64) -> Option<Day> {
    let today = crate::clock::day_of(now);
    match period {
        Period::Day => Some(today),
        Period::Month => Some(today.month_start()),
        Period::Total => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limits(requests: u64, input: u64, output: u64) -> Limits {
        Limits {
            requests_per_minute: Some(requests),
            input_tokens_per_minute: Some(input),
            output_tokens_per_minute: Some(output),
        }
    }

    #[test]
    fn a_minute_holds_what_it_says_and_fills_steadily() {
        let allowance = Allowance::default();
        allowance.set(limits(2, 1_000, 100), None);
        let start = 1_000_000;
        for left in [1, 0] {
            allowance.check(10, start).unwrap();
            assert_eq!(allowance.take(10, start).requests.unwrap().remaining, left);
        }
        assert_eq!(allowance.check(10, start), Err(Reached::Requests(30_000)));
        assert_eq!(
            allowance.check(10, start + 29_999),
            Err(Reached::Requests(1))
        );
        allowance.check(10, start + 30_000).unwrap();
    }

    #[test]
    fn what_was_used_beyond_the_estimate_is_owed() {
        let allowance = Allowance::default();
        allowance.set(limits(100, 1_000, 100), None);
        allowance.check(100, 0).unwrap();
        allowance.take(100, 0);
        allowance.settle(1_900, 150, Money::ZERO, 0);
        assert!(matches!(
            allowance.check(1, 30_000),
            Err(Reached::InputTokens(_))
        ));
        assert_eq!(allowance.check(1, 61_000), Ok(()));
        // A prompt larger than a minute's worth passes when the bucket is full.
        assert_eq!(allowance.check(5_000, 300_000), Ok(()));
    }

    #[test]
    fn a_budget_counts_what_the_depot_knows_and_what_it_does_not_yet() {
        let budget = Budget {
            amount: "1".parse().unwrap(),
            period: Period::Total,
        };
        let allowance = Allowance::default();
        allowance.set(Limits::default(), Some(budget));
        allowance.settle(0, 0, "0.4".parse().unwrap(), 0);
        assert_eq!(allowance.check(1, 0), Ok(()));
        // Asked, and while the depot looks another request ends.
        assert_eq!(allowance.asks_since(0), Some(Since(None)));
        allowance.settle(0, 0, "0.3".parse().unwrap(), 0);
        allowance.recorded(Since(None), "0.4".parse().unwrap());
        assert_eq!(allowance.check(1, 0), Ok(()));
        allowance.settle(0, 0, "0.3".parse().unwrap(), 0);
        let spent = "1".parse().unwrap();
        assert_eq!(allowance.check(1, 0), Err(Reached::Budget(budget, spent)));
    }

    #[test]
    fn without_bounds_nothing_is_counted() {
        let allowance = Allowance::default();
        allowance.check(u64::MAX, 5).unwrap();
        assert_eq!(allowance.take(u64::MAX, 5), Gauges::default());
    }
}
