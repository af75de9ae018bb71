//! The limits of the session and of a turn, computed again.

use quire_protocol::Money;

use super::Witness;

/// Requests that have no known price, its own and those that others made for its calls.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Unpriced {
    pub(super) all: u64,
    /// When the budget was last changed.
    pub(super) before_budget: u64,
}

impl Unpriced {
    fn under_budget(self) -> u64 {
        self.all - self.before_budget
    }
}

impl Witness {
    /// What counts for the budget: all that the tree has spent.
    fn spent(&self) -> Money {
        self.cost + self.others.cost
    }

    /// What counts for the limit of tokens.
    fn tokens(&self) -> u64 {
        self.usage.prompt() + self.usage.output + self.others.tokens()
    }

    /// As of now.
    fn worked(&self) -> u64 {
        self.worked_ms.max(self.clock)
    }

    /// Whether there is a budget and nothing more may be spent, as far as anybody can know.
    fn has_spent_all(&self) -> bool {
        let over = |budget| self.unpriced.under_budget() > 0 || self.spent() >= budget;
        self.limits.budget.is_some_and(over)
    }

    /// Whether a limit of the session is reached: no request of any kind may be made.
    pub(super) fn is_at_limit(&self) -> bool {
        let limits = &self.limits;
        self.has_spent_all()
            || limits.tokens.is_some_and(|limit| self.tokens() >= limit)
            || limits.turns.is_some_and(|limit| self.turns.last > limit)
            || limits.work_ms.is_some_and(|limit| self.worked() >= limit)
    }

    /// Whether no further request may be made, steers aside.
    pub(super) fn is_limited(&self) -> bool {
        self.turns.requests >= self.limits.requests_per_turn.max(1)
            || self.is_at_limit()
            || self.circles.count() >= self.limits.repeats.max(2)
    }

    /// Whether a person is told a limit that is reached, with its true figures.
    pub(super) fn is_true(&self, detail: &str) -> bool {
        let limits = &self.limits;
        let has = |words: String| detail.contains(&words);
        match () {
            () if detail.contains("budget") => limits
                .budget
                .is_some_and(|budget| self.budget_in_words(budget).is_some_and(has)),
            () if detail.contains("tokens") => limits.tokens.is_some_and(|limit| {
                let (used, others) = (self.tokens(), self.others.tokens());
                let by_others = match others {
                    0 => String::new(),
                    others => format!(", {others} of them by others of its team"),
                };
                let told = format!("used {used} tokens of its limit of {limit}{by_others}: ");
                used >= limit && has(told)
            }),
            () if detail.contains("worked") => limits.work_ms.is_some_and(|limit| {
                let worked = self.worked();
                let (of, all) = (worked / 1_000, limit / 1_000);
                worked >= limit && has(format!("worked for {of} s of its limit of {all} s: "))
            }),
            () => limits.turns.is_some_and(|limit| {
                let plural = if limit == 1 { "" } else { "s" };
                self.turns.last > limit && has(format!("made all of its {limit} turn{plural}: "))
            }),
        }
    }

    /// What is said of a budget that is reached.
    fn budget_in_words(&self, budget: Money) -> Option<String> {
        let requests = |count: u64| match count {
            1 => "1 request".to_owned(),
            _ => format!("{count} requests"),
        };
        let set = budget.rounded(4);
        let unknown = self.unpriced.under_budget();
        if unknown > 0 {
            let why = "cannot be kept, because the price or the tokens";
            let of = requests(unknown);
            return Some(format!("the budget of ${set} {why} of {of} made under it"));
        }
        let spent = self.spent();
        let others = match self.others.cost {
            Money::ZERO => String::new(),
            cost => format!(", ${} of it by others of its team", cost.rounded(4)),
        };
        let before = match self.unpriced.before_budget {
            0 => String::new(),
            count => format!(", {} without a known price not counted", requests(count)),
        };
        let spent_all = spent >= budget;
        let spent = spent.rounded(4);
        spent_all.then(|| format!("spent ${spent} of its budget of ${set}{others}{before}: "))
    }
}
