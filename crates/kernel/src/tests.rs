//! Stories in a few words: each line of a script is an input, and what it led to is printed
//! below it.
//!
//! People: `say NAME [BYTES]`, `queue NAME`, `tell NAME` (a note), `think NAME EFFORT`, `withdraw NAME`, `resume`, `pause`, `interrupt`, `allow N`,
//! `always N COVERED…`, `deny N`; `limit NAME NUMBER`, and `unlimited` for no budget; `window ROOM
//! COMPACT_AT KEEP [MODE]`, `model NAME`, `choice WHO` (of the effort), `plan`, `work`, `compact [FOCUS…]`, `compact-to NAME`,
//! `compact-from NAME`, `undo`; `goal WORDS…`, `checked-goal COMMAND WORDS…`,
//! `capped-goal VERDICTS WORDS…`, `no-goal`.
//!
//! The model: `reply CALL…` with calls named like `a` (shared), `a!` (exclusive), `a?` (asks first),
//! `a-` (refused), and `refusal`, `cut` or `pause` for how it stopped, or `silent` for one that says
//! nothing, or `block` for one that begins with the provider's own compaction; `counted TOKENS
//! CALL…`; `words TEXT…`, `cut-words TEXT…`; `verdict NAME REASONS…`, `verdict-with CODE NAME
//! REASONS…` where the check ended so; `fail`, `overflow`.
//!
//! Tools: `done N WORDS`, `big N BYTES`, `ran N CODE`, `note N KIND WORDS…`, `claim N CALL…`, `spawn N`
//! (a job), `over N` (the job's end), `asks N WORDS…` (who works for a running call asks), `unbilled N WORDS…`
//! (one of their requests had no price), `offer NAME…` (these tools are there by now, `NAME:BYTES` with so
//! long a description, `NAME+` with another schema), `absent NAME…` (these servers cannot be had). And `crash`, `clock MS` for how long was worked by now, and `others
//! CENTS TOKENS` for what others of its tree have spent.
#![allow(clippy::needless_raw_string_hashes, reason = "expect-test writes them")]

mod approvals;
mod budget;
mod calls;
mod compaction;
mod effort;
mod goal;
mod holding;
mod jobs;
mod offers;
mod overflow;
mod pause;
mod planning;
mod progress;
mod recovery;
mod steering;
mod team;
mod turn;
mod wishes;
mod words;

use std::fmt::Write;
use std::path::PathBuf;

use expect_test::Expect;
use quire_protocol::{
    Answer, Approval, ApprovalMode, CallId, CallPlan, CheckRun, CommandEnd, CompactionMode,
    Content, ContextLimits, ContextPart, Delivery, Effort, EffortChoice, Event, Goal, Item, JobEnd,
    JobId, Lane, Limits, MessageId, ModelError, ModelErrorKind, ModelFailure, Money, Note,
    NoteKind, Op, Opaque, Phase, Policy, Reply, RequestId, SandboxMode, Settings, Spending,
    TokenStop, ToolCall, ToolInput, ToolOutcome, ToolSpec, ToolStatus, Usage, Verdict,
};

use self::words::{effect_words, event_words, item_words};
use crate::{Decision, Input, Meanwhile, Offer, Session};

/// Plays a script and compares what happened.
fn check(script: &str, expected: &Expect) {
    let mut story = Story::default();
    story.play(script);
    expected.assert_eq(&story.told);
}

/// Plays a script and returns its last so many inputs with what they led to. `SUMMARY` in it is words
/// that summarise.
fn last(script: &str, inputs: usize) -> String {
    let script = script.replace("SUMMARY", SUMMARY);
    let lines: Vec<&str> = script.lines().map(str::trim).collect();
    let lines: Vec<&str> = lines.into_iter().filter(|line| !line.is_empty()).collect();
    let (before, after) = lines.split_at(lines.len() - inputs);
    let mut story = Story::default();
    story.play(&before.join("\n"));
    story.told.clear();
    story.play(&after.join("\n"));
    story.told
}

/// A summary that is long enough to be one.
const SUMMARY: &str = "words the parser is in src/parse.rs and two of its tests still fail";

/// A session, and what happened to it.
#[derive(Default)]
struct Story {
    session: Session,
    told: String,
    meanwhile: Meanwhile,
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
                "clock" => {
                    self.meanwhile.worked_ms = words[1].parse().unwrap();
                    continue;
                }
                "others" => {
                    self.meanwhile.others = others(&words[1..]);
                    continue;
                }
                _ => self.session.decide_at(self.input(&words), self.meanwhile),
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
            "say" => {
                let bytes = words.get(2).map_or(0, |bytes| bytes.parse().unwrap());
                say_more(words[1], Delivery::Steer, bytes, None)
            }
            "think" => {
                let effort = Some(words[2].parse().unwrap());
                say_more(words[1], Delivery::Steer, 0, effort)
            }
            "queue" => say(words[1], Delivery::Queue),
            "tell" => say(words[1], Delivery::Note),
            "withdraw" => Op::Withdraw {
                message: MessageId::new(words[1]),
            },
            "resume" => Op::Resume,
            "pause" => Op::Pause,
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
            "unlimited" => self.configured(|settings| settings.limits.budget = None),
            "window" => self.configured(|settings| settings.context = window(&words[1..])),
            "choice" => self.configured(|settings| settings.effort_choice = choice(words[1])),
            "model" => self.configured(|settings| words[1].clone_into(&mut settings.model)),
            "plan" => self.configured(|settings| settings.policy.phase = Phase::Plan),
            "work" => self.configured(|settings| settings.policy.phase = Phase::Work),
            _ => return self.more(words),
        };
        Input::Op(op)
    }

    /// What people want of the context and of the goal.
    fn more(&self, words: &[&str]) -> Input {
        let message = || MessageId::new(words[1]);
        let rest = words[1..].join(" ");
        let op = match words[0] {
            "compact" => compact(&rest, ContextPart::Older),
            "compact-to" => compact("", ContextPart::UpTo { message: message() }),
            "compact-from" => compact("", ContextPart::From { message: message() }),
            "undo" => Op::UndoCompaction,
            "goal" => Op::SetGoal {
                goal: Some(Goal::new(rest, Vec::new())),
            },
            "checked-goal" => Op::SetGoal {
                goal: Some(Goal::new(words[2..].join(" "), vec![words[1].to_owned()])),
            },
            "capped-goal" => Op::SetGoal {
                goal: Some(Goal {
                    verdicts: words[1].parse().unwrap(),
                    ..Goal::new(words[2..].join(" "), Vec::new())
                }),
            },
            "no-goal" => Op::SetGoal { goal: None },
            _ => return self.answer(words),
        };
        Input::Op(op)
    }

    fn configured(&self, change: impl FnOnce(&mut Settings)) -> Op {
        let mut settings = self.session.settings().unwrap().clone();
        change(&mut settings);
        Op::Configure { settings }
    }

    /// What the world answers.
    fn answer(&self, words: &[&str]) -> Input {
        let request = self.session.state.turn.request().unwrap_or_default();
        let call = || CallId(words[1].parse().unwrap());
        match words[0] {
            "reply" => reply(request, &words[1..]),
            "unpriced" => unpriced(reply(request, &words[1..])),
            "uncounted" => uncounted(reply(request, &words[1..])),
            "counted" => counted(reply(request, &words[2..]), words[1].parse().unwrap()),
            "cut-words" => cut_off(spoken(request, &words[1..].join(" "))),
            "words" => spoken(request, &words[1..].join(" ")),
            "talk" => spoken(request, &"t".repeat(words[1].parse().unwrap())),
            "verdict" => judged(request, Vec::new(), words[1], &words[2..].join(" ")),
            "verdict-with" => {
                let check = CheckRun {
                    command: self.session.checks()[0].clone(),
                    end: Some(CommandEnd::Exited {
                        code: words[1].parse().unwrap(),
                    }),
                    output: String::new(),
                };
                judged(request, vec![check], words[2], &words[3..].join(" "))
            }
            "late" => reply(RequestId(words[1].parse().unwrap()), &words[2..]),
            "fail" => failed(request, ModelErrorKind::Network),
            "overflow" => failed(request, ModelErrorKind::ContextOverflow),
            "asks" => Input::Asks {
                call: call(),
                approval: Approval {
                    action: words[2..].join(" "),
                    prefix: words[2..3].iter().map(ToString::to_string).collect(),
                    ..Approval::default()
                },
            },
            "offer" => Input::Offered(Offer {
                tools: words[1..].iter().map(|word| offered(word)).collect(),
                absent: Vec::new(),
            }),
            "absent" => Input::Offered(Offer {
                tools: Vec::new(),
                absent: words[1..]
                    .iter()
                    .map(|name| format!("{name}: broke"))
                    .collect(),
            }),
            "over" => Input::JobEnded(JobEnd {
                job: JobId(call().0),
                outcome: "exit code 0".to_owned(),
            }),
            _ => Input::ToolEnded {
                call: call(),
                outcome: outcome(call(), words),
            },
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
            "tokens" => limits.tokens = Some(u64::from(number)),
            "turns" => limits.turns = Some(number),
            "ms" => limits.work_ms = Some(u64::from(number)),
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
            phase: Phase::Work,
        },
        limits: Limits::default(),
        output_schema: None,
        context: ContextLimits::default(),
        effort_choice: EffortChoice::default(),
        region: None,
    }
}

/// A tool that a server offers.
fn offered(word: &str) -> ToolSpec {
    let (name, bytes) = word.split_once(':').unwrap_or((word, "0"));
    let bytes: usize = bytes.parse().unwrap();
    let (name, schema) = match name.strip_suffix('+') {
        Some(name) => (name, r#"{"type":"object","required":["x"]}"#),
        None => (name, r#"{"type":"object"}"#),
    };
    ToolSpec {
        name: name.to_owned(),
        description: format!("{:.<bytes$}", format!("Does {name}. Well")),
        input: ToolInput::Json(schema.parse().unwrap()),
    }
}

fn say(name: &str, delivery: Delivery) -> Op {
    say_more(name, delivery, 0, None)
}

/// Says something that has at least so many bytes.
fn say_more(name: &str, delivery: Delivery, bytes: usize, effort: Option<Effort>) -> Op {
    Op::Say {
        message: MessageId::new(name),
        delivery,
        content: vec![Content::text(format!(
            "{:.<bytes$}",
            format!("words of {name}")
        ))],
        effort,
    }
}

fn compact(focus: &str, part: ContextPart) -> Op {
    Op::Compact {
        focus: focus.to_owned(),
        part,
    }
}

/// A window with all of its room for the prompt.
fn window(words: &[&str]) -> ContextLimits {
    let number = |place: usize| words[place].parse().unwrap();
    ContextLimits {
        window: number(0),
        answer: 0,
        compact_at: number(1),
        keep: number(2),
        compaction: match words.get(3).copied() {
            None => CompactionMode::Own,
            Some("provider") => CompactionMode::Provider,
            Some("threshold") => CompactionMode::ProviderThreshold,
            Some("off") => CompactionMode::Off,
            Some(other) => panic!("no such mode: {other}"),
        },
    }
}

fn choice(name: &str) -> EffortChoice {
    match name {
        "fixed" => EffortChoice::Fixed,
        "step" => EffortChoice::ByStep,
        "turn" => EffortChoice::ByTurn,
        other => panic!("no such choice: {other}"),
    }
}

fn outcome(call: CallId, words: &[&str]) -> ToolOutcome {
    let mut outcome = ToolOutcome::text(ToolStatus::Done, words[2..].join(" "));
    match words[0] {
        "done" => {}
        "big" => {
            let bytes = words[2].parse().unwrap();
            outcome.content = vec![Content::text("x".repeat(bytes))];
        }
        "ran" => {
            let code = words[2].parse().unwrap();
            outcome.end = Some(CommandEnd::Exited { code });
        }
        "note" => {
            let kind = NoteKind::ALL
                .into_iter()
                .find(|kind| kind.name() == words[2]);
            outcome.note = Some(Note {
                kind: kind.unwrap(),
                text: words[3..].join(" "),
                evidence: Vec::new(),
            });
        }
        "claim" => {
            let calls = words[2..].iter().map(|word| CallId(word.parse().unwrap()));
            outcome.note = Some(Note {
                kind: NoteKind::Done,
                text: "it is done".to_owned(),
                evidence: calls.collect(),
            });
        }
        "unbilled" => {
            outcome.spent = Some(Spending {
                unpriced: 1,
                missed: 1,
                ..Spending::default()
            });
        }
        "spawn" => {
            outcome = ToolOutcome::text(ToolStatus::Done, "started");
            outcome.job = Some(JobId(call.0));
        }
        other => panic!("no such input: {other}"),
    }
    outcome
}

/// What others have spent, in cents and tokens.
fn others(words: &[&str]) -> Spending {
    let cents: i64 = words[0].parse().unwrap();
    Spending {
        cost: Money::from_picos(10_000_000_000 * cents),
        usage: Usage {
            input: words[1].parse().unwrap(),
            ..Usage::default()
        },
        ..Spending::default()
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
            "block" => items.insert(0, block()),
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

/// The same reply from a provider that counted so many tokens of prompt.
fn counted(mut input: Input, tokens: u64) -> Input {
    if let Input::Replied { reply, .. } = &mut input {
        reply.usage.input = tokens;
    }
    input
}

/// A reply with these words, and nothing else.
fn spoken(request: RequestId, text: &str) -> Input {
    let mut input = reply(request, &[]);
    if let Input::Replied { reply, .. } = &mut input {
        reply.items = vec![match text {
            "block" => block(),
            text => Item::Assistant {
                text: text.to_owned(),
                opaque: None,
            },
        }];
    }
    input
}

/// The same reply, cut at the output limit.
fn cut_off(mut input: Input) -> Input {
    if let Input::Replied { reply, .. } = &mut input {
        reply.stop = TokenStop::MaxTokens;
    }
    input
}

/// A provider's own compaction.
fn block() -> Item {
    Item::Summary {
        text: String::new(),
        opaque: Some(Opaque {
            origin: "messages".to_owned(),
            json: "{}".to_owned(),
        }),
    }
}

/// A verdict; one that is no verdict's name cannot be read.
fn judged(request: RequestId, checks: Vec<CheckRun>, verdict: &str, reasons: &str) -> Input {
    let text = format!(r#"{{"verdict":"{verdict}","reasons":"{reasons}"}}"#);
    let Input::Replied { request, reply, .. } = spoken(request, &text) else {
        unreachable!("a reply is a reply");
    };
    Input::Judged {
        request,
        reply,
        checks,
        changes: String::new(),
        left: String::new(),
    }
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
                    ..Approval::default()
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

fn failed(request: RequestId, kind: ModelErrorKind) -> Input {
    Input::Failed {
        request,
        failure: ModelFailure {
            error: ModelError {
                kind,
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
