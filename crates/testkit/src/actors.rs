//! The people, models and tools of a simulated world: what they say, by the dice.

use std::path::PathBuf;

use quire_protocol::{
    Answer, Approval, ApprovalMode, CallId, CallPlan, Content, ContextLimits, Effort, EffortChoice,
    Item, JobId, Lane, Limits, ModelError, ModelErrorKind, ModelFailure, Money, PlanStatus,
    PlanStep, Policy, Reply, SandboxMode, Settings, TokenStop, ToolCall, ToolOutcome, ToolStatus,
    Usage, Verdict,
};

use crate::Dice;

/// How the actors of one life are.
#[derive(Clone, Debug)]
pub(crate) struct Character {
    /// The model makes the same calls again and again, so many different ones in turn, and always gets
    /// the same results; 0 for a model that works.
    stubborn: u32,
    /// Calls made by a stubborn model.
    polls: u32,
    /// Calls per reply, at most.
    calls: u32,
    ask: u32,
    refuse: u32,
    exclusive: u32,
    jobs: u32,
    failing: u32,
    finishing: u32,
}

impl Character {
    pub(crate) fn new(dice: &mut Dice) -> Self {
        Self {
            stubborn: if dice.chance(20) { 1 + dice.roll(4) } else { 0 },
            polls: 0,
            calls: 1 + dice.roll(5),
            ask: dice.roll(40),
            refuse: dice.roll(15),
            exclusive: dice.roll(100),
            jobs: dice.roll(30),
            failing: dice.roll(12),
            finishing: 10 + dice.roll(40),
        }
    }

    /// A whole answer, with the plans for its calls.
    pub(crate) fn reply(&mut self, dice: &mut Dice) -> (Reply, Vec<CallPlan>) {
        let mut items = Vec::new();
        if dice.chance(30) {
            items.push(Item::Thinking {
                text: "hm".to_owned(),
                opaque: None,
            });
        }
        if dice.chance(70) {
            items.push(Item::Assistant {
                text: if dice.chance(90) { "so" } else { " " }.to_owned(),
                opaque: None,
            });
        }
        let calls = self.calls(dice);
        let plans = self.plans(&calls, dice);
        items.extend(calls.into_iter().map(Item::ToolCall));
        if dice.chance(3) {
            items.push(Item::Notice {
                text: "a model cannot say this".to_owned(),
            });
        }
        let stop = stop(dice, plans.is_empty());
        let reply = Reply {
            model: "simulated".to_owned(),
            items,
            stop,
            usage: usage(dice),
            cost: (!dice.chance(5)).then(|| cents(dice.roll(20))),
            retries: Vec::new(),
        };
        (reply, plans)
    }

    fn calls(&mut self, dice: &mut Dice) -> Vec<ToolCall> {
        if self.stubborn > 0 {
            self.polls += 1;
        }
        let count = match () {
            () if self.stubborn > 0 => 1,
            () if dice.chance(self.finishing) => 0,
            () => 1 + dice.roll(self.calls),
        };
        let call = |number: u32, dice: &mut Dice| ToolCall {
            call: CallId(number),
            provider_id: format!("p{number}"),
            name: if self.stubborn > 0 { "poll" } else { "read" }.to_owned(),
            arguments: match self.polls.checked_rem(self.stubborn) {
                Some(which) => which.to_string(),
                None => dice.roll(3).to_string(),
            },
        };
        (1..=count).map(|number| call(number, dice)).collect()
    }

    fn plans(&self, calls: &[ToolCall], dice: &mut Dice) -> Vec<CallPlan> {
        let plan = |call: &ToolCall| CallPlan {
            call: call.call,
            lane: if dice.chance(self.exclusive) {
                Lane::Exclusive
            } else {
                Lane::Shared
            },
            verdict: match dice.roll(100) {
                _ if self.stubborn > 0 => Verdict::Run,
                n if n < self.ask => Verdict::Ask {
                    approval: approval(dice),
                },
                n if n < self.ask + self.refuse => Verdict::Refuse {
                    reason: "a rule says no".to_owned(),
                },
                _ => Verdict::Run,
            },
        };
        calls.iter().map(plan).collect()
    }

    /// Whether a request fails.
    pub(crate) fn fails(&self, dice: &mut Dice) -> bool {
        dice.chance(self.failing)
    }

    /// How a call ends.
    pub(crate) fn outcome(&self, call: CallId, cancelled: bool, dice: &mut Dice) -> ToolOutcome {
        if self.stubborn > 0 && !cancelled {
            return ToolOutcome::text(ToolStatus::Done, "still waiting");
        }
        let status = match dice.roll(10) {
            0..=6 if cancelled => ToolStatus::Cancelled,
            0..=1 => ToolStatus::Failed,
            _ => ToolStatus::Done,
        };
        let mut outcome = ToolOutcome::text(status, format!("result {}", dice.roll(3)));
        outcome.job = dice.chance(self.jobs).then_some(JobId(call.0));
        outcome.plan = dice.chance(10).then(|| vec![plan_step(dice)]);
        outcome
    }

    /// Other limits, or the first ones. A budget leaves some more to spend.
    pub(crate) fn settings(spent: Money, dice: &mut Dice) -> Settings {
        Settings {
            model: "simulated/model".to_owned(),
            effort: Effort::High,
            workspace: PathBuf::from("/w"),
            policy: Policy {
                sandbox: SandboxMode::WorkspaceWrite,
                approvals: ApprovalMode::Ask,
                rules: Vec::new(),
                domains: Vec::new(),
                writable: Vec::new(),
                environment: Vec::new(),
            },
            limits: Limits {
                requests_per_turn: if dice.chance(40) {
                    dice.roll(5)
                } else {
                    5 + dice.roll(40)
                },
                budget: dice.chance(30).then(|| spent + cents(dice.roll(100))),
                repeats: dice.roll(7),
                parallel_calls: dice.roll(5),
                ..Limits::default()
            },
            output_schema: None,
            context: ContextLimits::default(),
            effort_choice: EffortChoice::default(),
            region: None,
        }
    }
}

fn stop(dice: &mut Dice, last: bool) -> TokenStop {
    match dice.roll(100) {
        0..=4 => TokenStop::Refusal,
        5..=9 => TokenStop::MaxTokens,
        10..=17 => TokenStop::Pause,
        18..=20 => TokenStop::ToolUse,
        _ if last => TokenStop::EndTurn,
        _ => TokenStop::ToolUse,
    }
}

fn approval(dice: &mut Dice) -> Approval {
    Approval {
        action: "do it".to_owned(),
        reason: "a rule asks".to_owned(),
        prefix: if dice.chance(50) {
            vec!["do".to_owned()]
        } else {
            Vec::new()
        },
    }
}

/// A person's answer.
pub(crate) fn answer(dice: &mut Dice) -> Answer {
    match dice.roll(5) {
        0 => Answer::AllowAlways,
        1 => Answer::Deny {
            reason: String::new(),
        },
        _ => Answer::AllowOnce,
    }
}

/// A model that does not answer.
pub(crate) fn failure(kind: ModelErrorKind, dice: &mut Dice) -> ModelFailure {
    ModelFailure {
        error: ModelError {
            kind,
            message: "no answer".to_owned(),
            hint: "try later".to_owned(),
            status: None,
        },
        usage: usage(dice),
        cost: Some(cents(dice.roll(3))),
        retries: Vec::new(),
    }
}

/// An answer that ends the turn.
pub(crate) fn farewell() -> Reply {
    Reply {
        model: "simulated".to_owned(),
        items: vec![Item::Assistant {
            text: "done".to_owned(),
            opaque: None,
        }],
        stop: TokenStop::EndTurn,
        usage: Usage::default(),
        cost: None,
        retries: Vec::new(),
    }
}

/// What a person says.
pub(crate) fn words(dice: &mut Dice) -> Vec<Content> {
    vec![Content::text(format!("words {}", dice.roll(1000)))]
}

fn plan_step(dice: &mut Dice) -> PlanStep {
    PlanStep {
        text: format!("step {}", dice.roll(9)),
        status: PlanStatus::Pending,
    }
}

fn usage(dice: &mut Dice) -> Usage {
    Usage {
        input: u64::from(dice.roll(1000)),
        output: 1 + u64::from(dice.roll(100)),
        ..Usage::default()
    }
}

fn cents(count: u32) -> Money {
    Money::from_picos(10_000_000_000 * i64::from(count))
}
