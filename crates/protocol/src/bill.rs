//! What requests cost, as far as it is known: what is not known is never taken for nothing.

use std::ops::{AddAssign, Sub};

use serde::{Deserialize, Serialize};

use crate::{Event, ModelErrorKind, Money, TravelStep, Usage};

/// What one or more requests cost.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Bill {
    /// What is known of it, exactly.
    pub known: Money,
    /// Requests whose cost is not known, or not all of it.
    pub unpriced: u64,
}

impl Bill {
    /// The cost of a request nobody can tell.
    pub const UNKNOWN: Self = Self {
        known: Money::ZERO,
        unpriced: 1,
    };

    /// What an answer, or the failure of a request, says that it cost; none for any other event.
    #[must_use]
    pub fn of(event: &Event) -> Option<Self> {
        match event {
            // An answer is billed, also one whose tokens were not reported.
            Event::ModelReplied { cost, .. } => Some(Self::new(*cost, cost.is_none())),
            Event::ModelFailed {
                error, usage, cost, ..
            } => {
                let nothing = *usage == Usage::default();
                // What a provider wrote before a stop is billed, but was not all reported. Only one
                // that is known to have cost nothing was not at work.
                let is_open = match error.kind {
                    ModelErrorKind::Cancelled | ModelErrorKind::Lost => {
                        !(nothing && *cost == Some(Money::ZERO))
                    }
                    _ => cost.is_none() && !nothing,
                };
                Some(Self::new(*cost, is_open))
            }
            _ => None,
        }
    }

    fn new(cost: Option<Money>, is_open: bool) -> Self {
        Self {
            known: cost.unwrap_or_default(),
            unpriced: u64::from(is_open),
        }
    }

    /// What it comes to, where all of it is known.
    #[must_use]
    pub fn exact(self) -> Option<Money> {
        (self.unpriced == 0).then_some(self.known)
    }

    /// For a person, with an amount written by `amount`.
    #[must_use]
    pub fn in_words(self, amount: impl Fn(Money) -> String) -> String {
        match self.exact() {
            Some(cost) => format!("${}", amount(cost)),
            None if self.known > Money::ZERO => format!("at least ${}", amount(self.known)),
            None => "unknown".to_owned(),
        }
    }
}

impl AddAssign for Bill {
    fn add_assign(&mut self, other: Self) {
        self.known += other.known;
        self.unpriced += other.unpriced;
    }
}

/// What a session's requests used and cost: a fold of its journal.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Spending {
    /// Requests that were answered or failed.
    pub requests: u32,
    /// Their tokens.
    pub usage: Usage,
    /// What is known of their cost, exactly.
    pub cost: Money,
    /// Requests whose cost is not known, or not all of it.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub unpriced: u64,
    /// Of them, those that a budget misses: all but those that were stopped before anything of them was told.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub missed: u64,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde wants a reference")]
fn is_zero(number: &u64) -> bool {
    *number == 0
}

impl Spending {
    /// Takes the next event. What comes before a fork is another session's.
    pub fn follow(&mut self, event: &Event) {
        match event {
            Event::ModelReplied { usage, cost, .. } | Event::ModelFailed { usage, cost, .. } => {
                let bill = Bill::of(event).unwrap_or_default();
                self.requests += 1;
                self.usage += *usage;
                self.cost += bill.known;
                self.unpriced += bill.unpriced;
                let was_answered = matches!(event, Event::ModelReplied { .. });
                let told = was_answered || *usage != Usage::default();
                self.missed += u64::from(told && cost.is_none());
            }
            Event::Travel(TravelStep::Forked { .. }) => *self = Self::default(),
            _ => {}
        }
    }

    /// All tokens, of prompts and answers.
    #[must_use]
    pub fn tokens(&self) -> u64 {
        self.usage.prompt() + self.usage.output
    }

    /// What it cost.
    #[must_use]
    pub fn bill(&self) -> Bill {
        Bill {
            known: self.cost,
            unpriced: self.unpriced,
        }
    }
}

impl AddAssign for Spending {
    fn add_assign(&mut self, other: Self) {
        self.requests += other.requests;
        self.usage += other.usage;
        self.cost += other.cost;
        self.unpriced += other.unpriced;
        self.missed += other.missed;
    }
}

impl Sub for Spending {
    type Output = Self;

    /// What came after `earlier`, which is a beginning of this.
    fn sub(self, earlier: Self) -> Self {
        Self {
            requests: self.requests.saturating_sub(earlier.requests),
            usage: self.usage - earlier.usage,
            cost: self.cost - earlier.cost,
            unpriced: self.unpriced.saturating_sub(earlier.unpriced),
            missed: self.missed.saturating_sub(earlier.missed),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{RequestId, SessionId, TokenStop};

    fn replied(cost: Option<&str>) -> Event {
        Event::ModelReplied {
            request: RequestId(1),
            model: "m".to_owned(),
            items: Vec::new(),
            plans: Vec::new(),
            stop: TokenStop::EndTurn,
            usage: Usage {
                input: 10,
                cache_read: 5,
                output: 2,
                ..Usage::default()
            },
            cost: cost.and_then(|cost| cost.parse().ok()),
            retries: Vec::new(),
        }
    }

    #[test]
    fn spending_adds_up_and_what_came_later_is_the_difference() {
        let mut all = Spending::default();
        all.follow(&replied(Some("0.25")));
        let earlier = all;
        all.follow(&replied(Some("0.5")));
        all.follow(&replied(None));
        assert_eq!((all.requests, all.tokens()), (3, 51));
        assert_eq!((all.unpriced, all.missed), (1, 1));
        assert_eq!(
            all.bill().in_words(|cost| cost.to_string()),
            "at least $0.75"
        );
        let later = all - earlier;
        assert_eq!((later.requests, later.tokens()), (2, 34));
        assert_eq!(later.cost, "0.5".parse().unwrap());
        let mut sum = earlier;
        sum += later;
        assert_eq!(sum, all);
    }

    #[test]
    fn a_request_that_was_stopped_is_unpriced_but_no_budget_misses_it() {
        let mut all = Spending::default();
        let mut stopped = |output: u64| {
            all.follow(&Event::ModelFailed {
                request: RequestId(1),
                error: crate::ModelError {
                    kind: ModelErrorKind::Cancelled,
                    message: String::new(),
                    hint: String::new(),
                    status: None,
                },
                usage: Usage {
                    output,
                    ..Usage::default()
                },
                cost: None,
                retries: Vec::new(),
            });
            (all.unpriced, all.missed)
        };
        assert_eq!(stopped(0), (1, 0));
        assert_eq!(stopped(3), (2, 1));
    }

    #[test]
    fn a_fork_pays_for_itself_only() {
        let mut all = Spending::default();
        all.follow(&replied(Some("0.25")));
        all.follow(&Event::Travel(TravelStep::Forked {
            from: SessionId::new("a"),
            at: crate::Seq(3),
            ahead: Vec::new(),
        }));
        assert_eq!(all, Spending::default());
    }
}
