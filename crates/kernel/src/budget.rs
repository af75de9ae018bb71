//! What was spent, and the limits that pause or end a turn.

use quire_protocol::{ChosenEffort, Event, Money, Pause, Settings, StopReason, Usage};

use crate::draft::Draft;

/// What the session has used so far, failed requests included.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Spent {
    pub(crate) turns: u32,
    /// How long the session has worked, in milliseconds.
    pub(crate) worked_ms: u64,
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

    /// Others worked for it, some of whose requests had no known price.
    pub(crate) fn others_unpriced(&mut self, unpriced: u64) {
        let unpriced = u32::try_from(unpriced).unwrap_or(u32::MAX);
        self.unpriced = self.unpriced.saturating_add(unpriced);
    }

    /// The session had worked for so long. Time never runs backwards.
    pub(crate) fn worked(&mut self, worked_ms: u64) {
        self.worked_ms = self.worked_ms.max(worked_ms);
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

/// A limit that was reached, with what to tell the person.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Limit {
    /// It ends the turn.
    Ends(StopReason, String),
    /// It pauses the turn, which goes on once it is raised.
    Pauses(String),
    /// It is a person who wants a pause.
    Asked,
}

impl Draft<'_> {
    /// Other settings. A turn that waits at a limit goes on once the limit is raised.
    pub(crate) fn configure(&mut self, settings: Settings) {
        self.record(Event::Configured { settings });
        let waits = matches!(self.limit_reached(), Some(Limit::Pauses(_)));
        if self.state.turn.pause() == Some(Pause::Limit) && !waits {
            self.advance();
        }
    }

    /// Ends the turn at a limit, or pauses it there, as the limit wants.
    pub(crate) fn stop_at(&mut self, limit: Limit) {
        match limit {
            Limit::Ends(reason, detail) => self.end(reason, detail),
            Limit::Pauses(detail) => self.tell_pause(Pause::Limit, detail),
            Limit::Asked => {
                let detail = "by a person: resume it, or say something, to go on".to_owned();
                self.tell_pause(Pause::Person, detail);
            }
        }
    }

    /// The limit that forbids another request, if one does; a person's wish comes first.
    pub(crate) fn limit_reached(&self) -> Option<Limit> {
        let ends = |(reason, detail)| Limit::Ends(reason, detail);
        let asked = self.pausing || self.state.turn.pause() == Some(Pause::Asked);
        asked
            .then_some(Limit::Asked)
            .or_else(|| self.requests_used().map(ends))
            .or_else(|| self.budget_spent().map(Limit::Pauses))
            .or_else(|| self.tokens_used().map(Limit::Pauses))
            .or_else(|| self.turns_used().map(Limit::Pauses))
            .or_else(|| self.time_used().map(Limit::Pauses))
            .or_else(|| self.stuck().map(ends))
    }

    /// The limit that would pause a turn at its very beginning.
    pub(crate) fn forbids_a_turn(&self) -> Option<String> {
        let turns = self.state.limits().turns;
        let no_more = turns.is_some_and(|limit| self.state.spent.turns >= limit);
        match self.limit_reached() {
            Some(Limit::Pauses(reason)) => Some(reason),
            _ if no_more => {
                Some("the session has made all of its turns: raise the limit to go on".to_owned())
            }
            _ => None,
        }
    }

    fn tokens_used(&self) -> Option<String> {
        let limit = self.state.limits().tokens?;
        let usage = self.state.spent.usage;
        let others = self.others.tokens();
        let used = usage.prompt() + usage.output + others;
        (used >= limit).then(|| {
            let besides = match others {
                0 => String::new(),
                others => format!(", {others} of them by others of its team"),
            };
            format!(
                "the session has used {used} tokens of its limit of {limit}{besides}: raise the \
                 limit to go on"
            )
        })
    }

    /// A turn that is open was within the limit when it began.
    fn turns_used(&self) -> Option<String> {
        let limit = self.state.limits().turns?;
        let used = self.state.spent.turns;
        (used > limit).then(|| {
            let turns = if limit == 1 { "turn" } else { "turns" };
            format!("the session has made all of its {limit} {turns}: raise the limit to go on")
        })
    }

    fn time_used(&self) -> Option<String> {
        let limit = self.state.limits().work_ms?;
        (self.worked_ms >= limit).then(|| {
            format!(
                "the session has worked for {} s of its limit of {} s: raise the limit to go on",
                self.worked_ms / 1_000,
                limit / 1_000
            )
        })
    }

    /// The effort for the next request, where it is chosen for that one alone.
    pub(crate) fn chosen_effort(&self) -> Option<ChosenEffort> {
        let settings = self.state.settings.as_ref()?;
        let base = self.state.turn.effort();
        let by_rule = self
            .state
            .signals
            .choose(base.unwrap_or(settings.effort), settings.effort_choice);
        by_rule.or_else(|| {
            base.filter(|effort| *effort != settings.effort)
                .map(|effort| ChosenEffort {
                    effort,
                    reason: "asked for in this turn".to_owned(),
                })
        })
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

    /// A request without a price under a budget pauses the turn until the budget is changed: it is
    /// never passed over in silence.
    fn budget_spent(&self) -> Option<String> {
        let budget = self.state.limits().budget?;
        let spent = &self.state.spent;
        let uncounted = spent.unpriced - spent.before_budget;
        if uncounted > 0 {
            let detail = format!(
                "the budget of ${} cannot be kept, because the price or the tokens of {} made under it \
                 are not known: give the model prices under [models.NAME] in the config or take \
                 another model, and set another budget, which counts from there on, or none",
                budget.rounded(4),
                requests(uncounted),
            );
            return Some(detail);
        }
        let others = self.others.cost;
        let cost = spent.cost + others;
        (cost >= budget).then(|| {
            let by_others = (others > Money::ZERO)
                .then(|| format!(", ${} of it by others of its team", others.rounded(4)));
            let unpriced = (spent.before_budget > 0).then(|| {
                let count = requests(spent.before_budget);
                format!(", {count} without a known price not counted")
            });
            let besides = by_others.unwrap_or_default() + &unpriced.unwrap_or_default();
            format!(
                "the session has spent ${} of its budget of ${}{besides}: raise the budget to go on",
                cost.rounded(4),
                budget.rounded(4),
            )
        })
    }
}

fn requests(count: u32) -> String {
    match count {
        1 => "1 request".to_owned(),
        _ => format!("{count} requests"),
    }
}
