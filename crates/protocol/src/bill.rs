//! What requests cost, as far as it is known: what is not known is never taken for nothing.

use std::ops::AddAssign;

use crate::{Event, ModelErrorKind, Money, Usage};

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
