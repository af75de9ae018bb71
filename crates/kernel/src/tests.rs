//! Stories in a few words: each line of a script is an input, and what it led to is printed
//! below it.
//!
//! `say NAME`, `queue NAME`, `resume`, `interrupt`, `allow N`, `always N COVERED…`, `deny N`;
//! `reply CALL…` with calls named like `a` (shared), `a!` (exclusive), `a?` (asks first), `a-`
//! (refused), and `refusal`, `cut` or `pause` for how it stopped, or `silent` for one that says
//! nothing; `fail`; `done N WORDS`, `spawn N` (a job), `over N` (the job's end), `crash`,
//! `limit NAME NUMBER`, and `unlimited` for no budget.
#![allow(clippy::needless_raw_string_hashes, reason = "expect-test writes them")]

mod approvals;
mod budget;
mod calls;
mod jobs;
mod progress;
mod recovery;
mod steering;
mod turn;

use std::fmt::Write;
use std::path::PathBuf;

use expect_test::Expect;
use quire_protocol::{
    Answer, Approval, ApprovalMode, CallId, CallPlan, CompactionStep, Content, ContextLimits,
    Delivery, Effort, EffortChoice, Event, GoalStep, Item, JobEnd, JobId, Lane, Limits, MessageId,
    ModelError, ModelErrorKind, ModelFailure, Money, Op, Policy, Purpose, Reply, RequestId,
    SandboxMode, Settings, Span, TokenStop, ToolCall, ToolOutcome, ToolStatus, Usage, Verdict,
};

use crate::{Decision, Effect, Input, Session};

/// Plays a script and compares what happened.
fn check(script: &str, expected: &Expect) {
    let mut story = Story::default();
    story.play(script);
    expected.assert_eq(&story.told);
}

/// A session, and what happened to it.
#[derive(Default)]
struct Story {
    session: Session,
    told: String,
}

impl Story {
    fn play(&mut self, script: &str) {
        if self.session.settings().is_none() {
            self.session.apply(&Event::Configured {
                settings: settings(),
            });
        }
        for line in script.lines().map(str::trim).filter(|l| !l.is_empty()) {
            writeln!(self.told, "{line}").unwrap();
            let words: Vec<&str> = line.split_whitespace().collect();
            let decision = match words[0] {
                "crash" => self.session.recover(),
                _ => self.session.decide(self.input(&words)),
            };
            self.tell(decision);
        }
    }

    fn tell(&mut self, decision: Decision) {
        for event in decision.events {
            writeln!(self.told, "    {}", event_words(&event)).unwrap();
            self.session.apply(&event);
        }
        for effect in decision.effects {
            writeln!(self.told, "    → {}", effect_words(effect)).unwrap();
        }
    }

    fn input(&self, words: &[&str]) -> Input {
        let number = || words[1].parse::<u32>().unwrap();
        let answer = |answer| Op::Answer {
            call: CallId(number()),
            answer,
        };
        let op = match words[0] {
            "say" => say(words[1], Delivery::Steer),
            "queue" => say(words[1], Delivery::Queue),
            "resume" => Op::Resume,
            "interrupt" => Op::Interrupt {
                cause: "person".to_owned(),
            },
            "allow" => answer(Answer::AllowOnce),
            "always" => {
                let numbers = words[1..].iter().map(|word| CallId(word.parse().unwrap()));
                let mut calls: Vec<CallId> = numbers.collect();
                let call = calls.remove(0);
                return Input::AnsweredAlways {
                    call,
                    covered: calls,
                };
            }
            "deny" => answer(Answer::Deny {
                reason: words[2..].join(" "),
            }),
            "limit" => Op::Configure {
                settings: self.limited(words[1], words[2].parse().unwrap()),
            },
            "unlimited" => {
                let mut settings = self.session.settings().unwrap().clone();
                settings.limits.budget = None;
                Op::Configure { settings }
            }
            _ => return self.answer(words),
        };
        Input::Op(op)
    }

    /// What the world answers.
    fn answer(&self, words: &[&str]) -> Input {
        let request = self.session.state.turn.request().unwrap_or_default();
        let call = || CallId(words[1].parse().unwrap());
        match words[0] {
            "reply" => reply(request, &words[1..]),
            "unpriced" => unpriced(reply(request, &words[1..])),
            "uncounted" => uncounted(reply(request, &words[1..])),
            "late" => reply(RequestId(words[1].parse().unwrap()), &words[2..]),
            "fail" => failed(request),
            "done" => Input::ToolEnded {
                call: call(),
                outcome: ToolOutcome::text(ToolStatus::Done, words[2..].join(" ")),
            },
            "spawn" => {
                let mut outcome = ToolOutcome::text(ToolStatus::Done, "started");
                outcome.job = Some(JobId(call().0));
                Input::ToolEnded {
                    call: call(),
                    outcome,
                }
            }
            "over" => Input::JobEnded(JobEnd {
                job: JobId(call().0),
                outcome: "exit code 0".to_owned(),
            }),
            other => panic!("no such input: {other}"),
        }
    }

    fn limited(&self, name: &str, number: u32) -> Settings {
        let mut settings = self.session.settings().unwrap().clone();
        let limits = &mut settings.limits;
        match name {
            "requests" => limits.requests_per_turn = number,
            "cents" => {
                limits.budget = Some(Money::from_picos(10_000_000_000 * i64::from(number)));
            }
            "repeats" => limits.repeats = number,
            "parallel" => limits.parallel_calls = number,
            other => panic!("no such limit: {other}"),
        }
        settings
    }

    /// The context, an item a line.
    fn context(&self) -> String {
        let items = self.session.transcript().items().iter();
        items.map(|item| item_words(item) + "\n").collect()
    }
}

fn settings() -> Settings {
    Settings {
        model: "test/model".to_owned(),
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
        limits: Limits::default(),
        output_schema: None,
        context: ContextLimits::default(),
        effort_choice: EffortChoice::default(),
        region: None,
    }
}

fn say(name: &str, delivery: Delivery) -> Op {
    Op::Say {
        message: MessageId::new(name),
        delivery,
        content: vec![Content::text(format!("words of {name}"))],
        effort: None,
    }
}

/// A reply that cost a cent.
fn reply(request: RequestId, words: &[&str]) -> Input {
    let (mut items, mut plans, mut stop) = (Vec::new(), Vec::new(), TokenStop::EndTurn);
    items.push(Item::Assistant {
        text: "so".to_owned(),
        opaque: None,
    });
    for word in words {
        match *word {
            "refusal" => stop = TokenStop::Refusal,
            "cut" => stop = TokenStop::MaxTokens,
            "pause" => stop = TokenStop::Pause,
            "silent" => items.clear(),
            name => {
                let call = CallId(u32::try_from(plans.len()).unwrap() + 1);
                plans.push(plan(call, name));
                items.push(Item::ToolCall(ToolCall {
                    call,
                    provider_id: name.to_owned(),
                    name: name.trim_end_matches(['!', '?', '-']).to_owned(),
                    arguments: "{}".to_owned(),
                }));
            }
        }
    }
    Input::Replied {
        request,
        reply: Reply {
            model: "model".to_owned(),
            items,
            stop,
            usage: Usage::default(),
            cost: Some(Money::from_picos(10_000_000_000)),
            retries: Vec::new(),
        },
        plans,
    }
}

/// The same reply from a model whose price nobody knows.
fn unpriced(mut input: Input) -> Input {
    if let Input::Replied { reply, .. } = &mut input {
        reply.usage.output = 1;
        reply.cost = None;
    }
    input
}

/// The same reply from a provider that reports no tokens.
fn uncounted(mut input: Input) -> Input {
    if let Input::Replied { reply, .. } = &mut input {
        reply.cost = None;
    }
    input
}

fn plan(call: CallId, name: &str) -> CallPlan {
    CallPlan {
        call,
        lane: if name.contains('!') {
            Lane::Exclusive
        } else {
            Lane::Shared
        },
        verdict: if name.contains('?') {
            Verdict::Ask {
                approval: Approval {
                    action: name.to_owned(),
                    reason: "a rule asks".to_owned(),
                    prefix: vec![name.trim_end_matches(['!', '?']).to_owned()],
                },
            }
        } else if name.contains('-') {
            Verdict::Refuse {
                reason: "a rule says no".to_owned(),
            }
        } else {
            Verdict::Run
        },
    }
}

fn failed(request: RequestId) -> Input {
    Input::Failed {
        request,
        failure: ModelFailure {
            error: ModelError {
                kind: ModelErrorKind::Network,
                message: "cannot connect".to_owned(),
                hint: "check the network".to_owned(),
                status: None,
            },
            usage: Usage::default(),
            cost: None,
            retries: Vec::new(),
        },
    }
}

fn event_words(event: &Event) -> String {
    match event {
        Event::Configured { .. } => "configured".to_owned(),
        Event::PrefixSet { .. } => "prefix set".to_owned(),
        Event::MessageAccepted {
            message, delivery, ..
        } => format!("accepted {message} ({delivery:?})"),
        Event::MessageDelivered { message } => format!("delivered {message}"),
        Event::TurnStarted { turn } => format!("turn {turn} started"),
        Event::ModelCalled {
            request,
            items,
            purpose,
            chosen,
            ..
        } => {
            let what = match purpose {
                Purpose::Work => String::new(),
                other => format!(" for {other:?}"),
            };
            let effort = match chosen {
                Some(chosen) => format!(", effort {:?} ({})", chosen.effort, chosen.reason),
                None => String::new(),
            };
            format!("request {request} with {items} items{what}{effort}")
        }
        Event::ModelReplied { request, .. } => format!("request {request} answered"),
        Event::ModelFailed { request, error, .. } => {
            format!("request {request} failed: {error}")
        }
        Event::ApprovalAsked { call, approval } => format!("asked {call}: {}", approval.action),
        Event::ApprovalAnswered { call, answer } => format!("answered {call}: {answer:?}"),
        Event::ToolStarted { call } => format!("call {call} started"),
        Event::ToolEnded { call, outcome } => {
            format!(
                "call {call} {:?}: {}",
                outcome.status,
                text(&outcome.content)
            )
        }
        Event::PlanSet { steps } => format!("plan of {} steps", steps.len()),
        Event::JobStarted { job, call } => format!("job {job} of call {call} started"),
        Event::JobEnded { end } => format!("job {} ended: {}", end.job, end.outcome),
        Event::Noticed { text } => format!("noticed: {text}"),
        Event::InterruptAccepted { cause } => format!("interrupted by {cause}"),
        Event::TurnEnded {
            turn,
            reason,
            detail,
        } => format!("turn {turn} ended: {reason:?} {detail}")
            .trim_end()
            .to_owned(),
        Event::Compaction(step) => compaction_words(step),
        Event::Goal(step) => goal_words(step),
        Event::TurnPaused { turn, detail } => format!("turn {turn} paused: {detail}"),
        Event::Recovered {
            lost_calls,
            lost_request,
        } => format!("recovered, lost calls {lost_calls:?}, lost request {lost_request:?}"),
    }
}

fn compaction_words(step: &CompactionStep) -> String {
    match step {
        CompactionStep::Asked { focus, part } => format!("compaction asked: {part:?} {focus}")
            .trim_end()
            .to_owned(),
        CompactionStep::Done { compaction } => {
            let Span { from, to } = compaction.replaced;
            format!(
                "compacted: {:?} for {:?}, {from}..{to} become {} items, {} cleared",
                compaction.kind,
                compaction.cause,
                compaction.head.len(),
                compaction.cleared.len()
            )
        }
        CompactionStep::Failed { kind, reason } => format!("compaction failed: {kind:?}: {reason}"),
        CompactionStep::Undone => "compaction undone".to_owned(),
    }
}

fn goal_words(step: &GoalStep) -> String {
    match step {
        GoalStep::Set { goal } => format!("goal: {}", goal.text),
        GoalStep::Judged { judgement } => {
            format!("judged {:?}: {}", judgement.verdict, judgement.reasons)
        }
        GoalStep::Dropped { cause } => format!("goal dropped: {cause}"),
    }
}

fn effect_words(effect: Effect) -> String {
    match effect {
        Effect::CallModel(request) => format!("call the model: {request}"),
        Effect::CancelModel(request) => format!("cancel request {request}"),
        Effect::RunTool(call) => format!("run {call}"),
        Effect::CancelTool(call) => format!("cancel {call}"),
        Effect::StopJobs => "stop jobs".to_owned(),
    }
}

fn item_words(item: &Item) -> String {
    match item {
        Item::User { content, .. } => format!("user: {}", text(content)),
        Item::Notice { text } => format!("notice: {text}"),
        Item::Assistant { text, .. } => format!("assistant: {text}"),
        Item::Thinking { text, .. } => format!("thinking: {text}"),
        Item::ToolCall(call) => format!("call {}: {}", call.call, call.name),
        Item::ToolResult {
            call,
            status,
            content,
        } => format!("result {call} {status:?}: {}", text(content)),
        Item::Foreign { .. } => "foreign".to_owned(),
        Item::Ledger { .. } => "ledger".to_owned(),
        Item::Summary { text, .. } => format!("summary: {text}"),
    }
}

fn text(content: &[Content]) -> String {
    content.iter().filter_map(Content::as_text).collect()
}
