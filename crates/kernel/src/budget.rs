//! What was spent, and the limits that end a turn.

use quire_protocol::{Money, StopReason, Usage};

use crate::draft::Draft;

/// What the session has used so far, failed requests included.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Spent {
    pub(crate) usage: Usage,
    pub(crate) cost: Money,
    /// Whether some of it had no known price, or was not reported.
    pub(crate) unpriced: bool,
}

impl Spent {
    pub(crate) fn add(&mut self, usage: Usage, cost: Option<Money>) {
        self.usage += usage;
        match cost {
            Some(cost) => self.cost += cost,
            None => self.unpriced |= usage != Usage::default(),
        }
    }
}

impl Draft {
    /// The limit that forbids another request, if one does, and what to tell the person.
    pub(crate) fn limit_reached(&self) -> Option<(StopReason, String)> {
        self.requests_used()
            .or_else(|| self.budget_spent())
            .or_else(|| self.stuck())
    }

    /// A limit of 0 counts as 1: a turn that a person opened always makes one request.
    fn requests_used(&self) -> Option<(StopReason, String)> {
        let limit = self.state.limits().requests_per_turn.max(1);
        (self.state.turn.requests() >= limit).then(|| {
            let detail = format!(
                "the turn reached its limit of requests to the model ({limit}): \
                 say something to go on, or raise the limit"
            );
            (StopReason::MaxTurnRequests, detail)
        })
    }

    fn budget_spent(&self) -> Option<(StopReason, String)> {
        let budget = self.state.limits().budget?;
        let spent = self.state.spent.cost;
        if self.state.spent.unpriced {
            let detail = format!(
                "the budget of ${} cannot be kept, because an answer's price or tokens are not known: \
                 give the model prices under [models.NAME] in the config, or leave the budget out",
                budget.rounded(2),
            );
            return Some((StopReason::Budget, detail));
        }
        (spent >= budget).then(|| {
            let detail = format!(
                "the session has spent ${} of its budget of ${}: \
                 raise the budget and say something to go on",
                spent.rounded(4),
                budget.rounded(2),
            );
            (StopReason::Budget, detail)
        })
    }
}
