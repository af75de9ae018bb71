//! What was spent, and the limits that end a turn.

use quire_protocol::{Money, StopReason, Usage};

use crate::draft::Draft;

/// What the session has used so far, failed requests included.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Spent {
    pub(crate) usage: Usage,
    pub(crate) cost: Money,
    /// Answers and failures that used something without a known price, and answers whose tokens
    /// nobody reported.
    unpriced: u32,
    /// How many of them there were when the budget in force was set.
    before_budget: u32,
}

impl Spent {
    /// Adds an answer. It was paid for, also where its provider did not count its tokens.
    pub(crate) fn add_answer(&mut self, usage: Usage, cost: Option<Money>) {
        self.add(usage, cost);
        self.unpriced += u32::from(cost.is_none() && usage == Usage::default());
    }

    pub(crate) fn add(&mut self, usage: Usage, cost: Option<Money>) {
        self.usage += usage;
        match cost {
            Some(cost) => self.cost += cost,
            None => self.unpriced += u32::from(usage != Usage::default()),
        }
    }

    /// Whether some of the usage had no known price.
    pub(crate) fn has_unpriced(&self) -> bool {
        self.unpriced > 0
    }

    /// Another budget is in force. It cannot count what was used without a price before it, and
    /// whoever set it knows that.
    pub(crate) fn budget_changed(&mut self) {
        self.before_budget = self.unpriced;
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

    /// A request without a price under a budget ends the turn, and so does every turn after it until
    /// the budget is changed: it is never passed over in silence.
    fn budget_spent(&self) -> Option<(StopReason, String)> {
        let budget = self.state.limits().budget?;
        let spent = &self.state.spent;
        let uncounted = spent.unpriced - spent.before_budget;
        if uncounted > 0 {
            let detail = format!(
                "the budget of ${} cannot be kept, because the price or the tokens of {} made under it \
                 are not known: give the model prices under [models.NAME] in the config or take \
                 another model, and set another budget, which counts from there on, or none",
                budget.rounded(2),
                requests(uncounted),
            );
            return Some((StopReason::Budget, detail));
        }
        (spent.cost >= budget).then(|| {
            let besides = match spent.before_budget {
                0 => String::new(),
                count => format!(", {} without a known price not counted", requests(count)),
            };
            let detail = format!(
                "the session has spent ${} of its budget of ${}{besides}: \
                 raise the budget and say something to go on",
                spent.cost.rounded(4),
                budget.rounded(2),
            );
            (StopReason::Budget, detail)
        })
    }
}

fn requests(count: u32) -> String {
    match count {
        1 => "1 request".to_owned(),
        _ => format!("{count} requests"),
    }
}
