//! The people, models and tools of a simulated world: what they say, by the dice.

use std::path::PathBuf;

use quire_protocol::{
    Answer, Approval, ApprovalMode, CallId, CallPlan, ChangeKind, CommandEnd, Content, Effort,
    EffortChoice, FileChange, Item, JobId, Lane, Limits, ModelError, ModelErrorKind, ModelFailure,
    Money, Note, NoteKind, Phase, PlanStatus, PlanStep, Policy, Reply, SandboxMode, Settings,
    TokenStop, ToolCall, ToolOutcome, ToolStatus, Usage, Verdict,
};

use crate::Dice;
use crate::provider::{self, Provider};

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
    /// It never comes to the end of an answer.
    endless: bool,
    /// It claims that the goal is reached, so often.
    claiming: u32,
    /// Others work for its calls, who spend or ask so often; 0 for one that works alone.
    pub(crate) team: u32,
    pub(crate) provider: Provider,
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
            endless: dice.chance(4),
            claiming: dice.roll(50),
            team: if dice.chance(60) {
                10 + dice.roll(40)
            } else {
                0
            },
            provider: Provider::new(dice),
        }
    }

    /// A whole answer to a prompt of so many bytes, with the plans for its calls.
    pub(crate) fn reply(&mut self, prompt: u64, dice: &mut Dice) -> (Reply, Vec<CallPlan>) {
        let mut items = Vec::new();
        if dice.chance(30) {
            items.push(Item::Thinking {
                text: "hm".to_owned(),
                opaque: None,
            });
        }
        if dice.chance(70) {
            items.push(Item::Assistant {
                text: match dice.roll(20) {
                    0..=1 => " ".to_owned(),
                    2 => filler(200 + dice.roll(1_000), dice),
                    _ => "so".to_owned(),
                },
                opaque: None,
            });
        }
        let calls = self.calls(dice);
        let plans = self.plans(&calls, dice);
        items.extend(calls.into_iter().map(Item::ToolCall));
        if self.provider.compacts_by_itself(dice) {
            // First, unless the provider is out of its mind.
            let most = u32::try_from(items.len()).unwrap_or(0);
            let place = if dice.chance(90) { 0 } else { dice.roll(most) };
            items.insert(usize::try_from(place).unwrap_or(0), provider::block(dice));
        }
        if dice.chance(3) {
            items.push(Item::Notice {
                text: "a model cannot say this".to_owned(),
            });
        }
        let stop = match stop(dice, plans.is_empty()) {
            _ if self.endless => TokenStop::MaxTokens,
            stop => stop,
        };
        let reply = Reply {
            model: "simulated".to_owned(),
            items,
            stop,
            usage: self.provider.count(prompt, dice),
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
            () if self.endless => 0,
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
        let text = if dice.chance(10) {
            filler(900 + dice.roll(2_000), dice)
        } else {
            format!("result {}", dice.roll(3))
        };
        let mut outcome = ToolOutcome::text(status, text);
        self.facts(call, &mut outcome, dice);
        outcome.job = dice.chance(self.jobs).then_some(JobId(call.0));
        outcome.plan = dice.chance(10).then(|| vec![plan_step(dice)]);
        outcome
    }

    /// What a call leaves behind besides its words.
    fn facts(&self, call: CallId, outcome: &mut ToolOutcome, dice: &mut Dice) {
        if dice.chance(25) {
            let code = i32::from(dice.chance(30));
            outcome.end = Some(CommandEnd::Exited { code });
        }
        if dice.chance(10) {
            outcome.changes.push(FileChange {
                path: format!("src/{}.rs", dice.roll(4)).into(),
                kind: if dice.chance(50) {
                    ChangeKind::Added
                } else {
                    ChangeKind::Modified
                },
                diff: "+x\n".repeat(usize::try_from(dice.roll(200)).unwrap_or(0)),
            });
        }
        if dice.chance(15) {
            outcome.note = Some(note(dice));
        }
        if dice.chance(self.claiming) {
            let evidence = (0..dice.roll(3)).map(|_| CallId(dice.roll(call.0 + 2)));
            outcome.note = Some(Note {
                kind: NoteKind::Done,
                evidence: evidence.collect(),
                text: format!("it is reached, {}", dice.roll(3)),
            });
        }
    }

    /// Other limits, or the first ones. Those of the session leave some more to use.
    pub(crate) fn settings(&self, used: &Used, dice: &mut Dice) -> Settings {
        Settings {
            model: if dice.chance(95) {
                "simulated/model".to_owned()
            } else {
                "simulated/other".to_owned()
            },
            effort: effort(dice),
            workspace: PathBuf::from("/w"),
            policy: Policy {
                sandbox: SandboxMode::WorkspaceWrite,
                approvals: ApprovalMode::Ask,
                rules: Vec::new(),
                domains: Vec::new(),
                writable: Vec::new(),
                environment: Vec::new(),
                phase: Phase::Work,
            },
            limits: Limits {
                requests_per_turn: if dice.chance(40) {
                    dice.roll(5)
                } else {
                    5 + dice.roll(40)
                },
                budget: dice.chance(30).then(|| used.cost + cents(dice.roll(100))),
                tokens: dice
                    .chance(15)
                    .then(|| used.tokens + u64::from(dice.roll(20_000))),
                turns: dice.chance(15).then(|| used.turns + dice.roll(4)),
                work_ms: dice
                    .chance(15)
                    .then(|| used.worked_ms + u64::from(dice.roll(10_000))),
                repeats: dice.roll(7),
                parallel_calls: dice.roll(5),
            },
            output_schema: None,
            context: self.provider.window(dice),
            effort_choice: match dice.roll(4) {
                0 => EffortChoice::ByStep,
                1 => EffortChoice::ByTurn,
                _ => EffortChoice::Fixed,
            },
            region: None,
        }
    }
}

/// What a session has used.
pub(crate) struct Used {
    pub(crate) cost: Money,
    pub(crate) tokens: u64,
    pub(crate) turns: u32,
    pub(crate) worked_ms: u64,
}

/// How hard to think.
pub(crate) fn effort(dice: &mut Dice) -> Effort {
    dice.pick(&Effort::ALL).copied().unwrap_or_default()
}

/// So many characters, not all of one byte.
pub(crate) fn filler(length: u32, dice: &mut Dice) -> String {
    let filler = dice.pick(&["x", "ä", "字"]).copied().unwrap_or("x");
    filler.repeat(usize::try_from(length).unwrap_or(0))
}

fn note(dice: &mut Dice) -> Note {
    let kinds = [
        NoteKind::Rule,
        NoteKind::Decision,
        NoteKind::Failed,
        NoteKind::Fact,
    ];
    Note {
        kind: dice.pick(&kinds).copied().unwrap_or(NoteKind::Fact),
        text: format!("noted {}", dice.roll(20)),
        evidence: Vec::new(),
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

/// A question.
pub(crate) fn approval(dice: &mut Dice) -> Approval {
    Approval {
        action: format!("do {}", dice.roll(9)),
        reason: "a rule asks".to_owned(),
        prefix: if dice.chance(50) {
            vec!["do".to_owned()]
        } else {
            Vec::new()
        },
        ..Approval::default()
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
    let mut words = format!("words {}", dice.roll(1000));
    if dice.chance(12) {
        words.push_str(&filler(200 + dice.roll(1_000), dice));
    }
    vec![Content::text(words)]
}

fn plan_step(dice: &mut Dice) -> PlanStep {
    PlanStep {
        text: format!("step {}", dice.roll(9)),
        status: PlanStatus::Pending,
    }
}

pub(crate) fn usage(dice: &mut Dice) -> Usage {
    Usage {
        input: u64::from(dice.roll(1000)),
        output: 1 + u64::from(dice.roll(100)),
        ..Usage::default()
    }
}

pub(crate) fn cents(count: u32) -> Money {
    Money::from_picos(10_000_000_000 * i64::from(count))
}
