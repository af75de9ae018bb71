//! The limits of the session and of a turn, computed again.

use quire_protocol::Usage;

use super::Witness;

/// What was used that has no known price.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Unpriced {
    #[default]
    Nothing,
    /// Something, and the budget has been changed since.
    BeforeBudget,
    /// Something since the budget was last changed.
    UnderBudget,
}

impl Witness {
    /// Whether there is a budget and nothing more may be spent, as far as anybody can know.
    fn has_spent_all(&self) -> bool {
        let over = |budget| self.unpriced == Unpriced::UnderBudget || self.cost >= budget;
        self.limits.budget.is_some_and(over)
    }

    /// Whether a limit of the session is reached: no request of any kind may be made.
    pub(super) fn is_at_limit(&self) -> bool {
        let Usage { output, .. } = self.usage;
        let tokens = self.usage.prompt() + output;
        let worked_ms = self.worked_ms.max(self.clock);
        self.has_spent_all()
            || self.limits.tokens.is_some_and(|limit| tokens >= limit)
            || self
                .limits
                .turns
                .is_some_and(|limit| self.turns.last > limit)
            || self.limits.work_ms.is_some_and(|limit| worked_ms >= limit)
    }

    /// Whether no further request may be made, steers aside.
    pub(super) fn is_limited(&self) -> bool {
        self.turns.requests >= self.limits.requests_per_turn.max(1)
            || self.is_at_limit()
            || self.circles.count() >= self.limits.repeats.max(2)
    }
}
