//! The witness sees what is wrong: each journal breaks one rule with its last event.

mod questions;

use quire_kernel::{Input, Session};
use quire_protocol::{
    CallId, CallPlan, Compaction, CompactionCause, CompactionKind, CompactionStep, Content,
    Delivery, Event, GoalStep, GoalVerdict, Item, Judgement, Lane, MessageId, Op, Pause, Purpose,
    RequestId, Span, StopReason, TokenStop, ToolCall, ToolOutcome, ToolStatus, TurnId, Usage,
    Verdict,
};

use super::circles::Circles;
use super::{Cause, Witness};

/// What the witness says of the last event; nothing may be wrong with those before it.
fn verdict(events: &[Event]) -> String {
    let (mut witness, mut session) = (Witness::default(), Session::default());
    let input = Input::Op(Op::Resume);
    let mut said = Ok(());
    for event in events {
        assert_eq!(said, Ok(()), "before {event:?}");
        session.apply(event);
        said = witness.saw(event, &session, &Cause::Input(&input));
    }
    said.err().unwrap_or_default()
}

/// A turn with a first request.
fn turn() -> Vec<Event> {
    let mut events = said();
    events.push(called(1, 1));
    events
}

/// A turn with a message and no request.
fn said() -> Vec<Event> {
    vec![
        Event::MessageAccepted {
            message: MessageId::new("a"),
            delivery: Delivery::Steer,
            content: vec![Content::text("go")],
            effort: None,
        },
        Event::TurnStarted { turn: TurnId(1) },
        delivered(),
    ]
}

/// These items are gone, and nothing stands for them.
fn compacted(from: u32, to: u32) -> Event {
    let tokens = |events: &[Event]| Session::replay(events).estimate();
    let kept = if from == to { said() } else { Vec::new() };
    Event::Compaction(CompactionStep::Done {
        compaction: Compaction {
            kind: CompactionKind::Summary,
            cause: CompactionCause::Threshold,
            replaced: Span { from, to },
            head: Vec::new(),
            cleared: Vec::new(),
            tail: Vec::new(),
            tokens_before: tokens(&said()),
            tokens_after: tokens(&kept),
        },
    })
}

/// A turn with two calls side by side.
fn step(lane: Lane) -> Vec<Event> {
    let call = |number| {
        Item::ToolCall(ToolCall {
            call: CallId(number),
            provider_id: String::new(),
            name: "x".to_owned(),
            arguments: String::new(),
        })
    };
    let plan = |number| CallPlan {
        call: CallId(number),
        lane,
        verdict: Verdict::Run,
    };
    let mut events = turn();
    events.push(Event::ModelReplied {
        request: RequestId(1),
        model: String::new(),
        items: vec![call(1), call(2)],
        plans: vec![plan(1), plan(2)],
        stop: TokenStop::ToolUse,
        usage: Usage::default(),
        cost: None,
        retries: Vec::new(),
    });
    events
}

fn delivered() -> Event {
    Event::MessageDelivered {
        message: MessageId::new("a"),
    }
}

fn called(request: u32, items: u32) -> Event {
    Event::ModelCalled {
        request: RequestId(request),
        items,
        purpose: Purpose::Work,
        estimate: match items {
            0 => 0,
            _ => Session::replay(&said()).estimate(),
        },
        chosen: None,
        worked_ms: 0,
    }
}

fn started(call: u32) -> Event {
    Event::ToolStarted { call: CallId(call) }
}

fn ended(call: u32, status: ToolStatus) -> Event {
    Event::ToolEnded {
        call: CallId(call),
        outcome: ToolOutcome::text(status, "words"),
    }
}

fn interrupted() -> Event {
    Event::InterruptAccepted {
        cause: "person".to_owned(),
    }
}

fn finished(reason: StopReason) -> Event {
    Event::TurnEnded {
        turn: TurnId(1),
        reason,
        detail: String::new(),
    }
}

#[test]
fn a_wrong_event_is_seen() {
    let shared = || step(Lane::Shared);
    let table = [
        (
            turn(),
            vec![delivered()],
            "a message is delivered in the middle of a step",
        ),
        (turn(), vec![called(2, 1)], "2 overlaps"),
        (
            turn(),
            vec![finished(StopReason::EndTurn)],
            "EndTurn after None",
        ),
        (
            turn(),
            vec![interrupted(), interrupted()],
            "an interrupt of nothing",
        ),
        (
            shared(),
            vec![called(2, 3)],
            "a request while a call is open",
        ),
        (shared(), vec![called(2, 9)], "the request counts 9 items"),
        (
            shared(),
            vec![finished(StopReason::EndTurn)],
            "a turn ends with an open call",
        ),
        (
            shared(),
            vec![started(1), started(1)],
            "call 1 starts, but Some(\"it started before\")",
        ),
        (
            step(Lane::Exclusive),
            vec![started(1), started(2)],
            "call 2 starts, but Some(\"an exclusive call before it is open\")",
        ),
        (
            shared(),
            vec![ended(1, ToolStatus::Done)],
            "call 1 ends with Done",
        ),
        (
            shared(),
            vec![interrupted(), started(1)],
            "a tool starts after a stop",
        ),
        (
            shared(),
            vec![
                interrupted(),
                ended(2, ToolStatus::Cancelled),
                ended(2, ToolStatus::Cancelled),
            ],
            "call 2 is not open",
        ),
    ];
    all_are_seen(table);
}

fn pause(pause: Pause) -> Event {
    Event::TurnPaused {
        turn: TurnId(1),
        pause,
        detail: String::new(),
        worked_ms: 0,
    }
}

#[test]
fn a_wrong_pause_compaction_or_verdict_is_seen() {
    all_are_seen([
        (
            turn(),
            vec![pause(Pause::Limit)],
            "a turn pauses within its limits",
        ),
        (turn(), vec![pause(Pause::Asked)], "nobody wants a pause"),
        (turn(), vec![pause(Pause::Person)], "nobody wanted a pause"),
        (
            turn(),
            vec![pause(Pause::Withdrawn)],
            "a pause is taken back that nobody wants",
        ),
        (
            turn(),
            vec![compacted(0, 1)],
            "a compaction in the middle of something",
        ),
        (
            Vec::new(),
            vec![Event::TurnStarted { turn: TurnId(1) }, called(1, 0)],
            "the model is asked for nothing",
        ),
        (
            said(),
            vec![compacted(0, 1)],
            "a compaction without a ledger",
        ),
        (
            said(),
            vec![compacted(0, 0)],
            "Summary of Span { from: 0, to: 0 }",
        ),
        (
            said(),
            vec![Event::Goal(GoalStep::Judged {
                judgement: Judgement {
                    verdict: GoalVerdict::Met,
                    reasons: String::new(),
                    evidence: Vec::new(),
                    checks: Vec::new(),
                    changes: 0,
                    left: 0,
                },
            })],
            "a verdict on another goal",
        ),
    ]);
}

/// Each row breaks a rule with the last event of its second list.
fn all_are_seen<const ROWS: usize>(table: [(Vec<Event>, Vec<Event>, &str); ROWS]) {
    for (mut events, wrong, expected) in table {
        events.extend(wrong);
        assert_eq!(verdict(&events), expected, "{:?}", events.last());
    }
}

#[test]
fn circles_of_up_to_three_steps_are_counted_and_a_missing_warning_is_seen() {
    for (steps, count) in [
        ("", 0),
        ("a", 1),
        ("a a a", 3),
        ("a b a", 1),
        ("x a b a b", 2),
        ("a b a b a", 2),
        ("a b c a b c a b c", 3),
        ("a b c d a b c d", 1),
        ("a a b b", 2),
    ] {
        let mut circles = Circles::default();
        for step in steps.split_whitespace() {
            circles.stepped([(&step.to_owned(), None)].into_iter());
        }
        assert_eq!(circles.count(), count, "{steps}");
        assert_eq!(circles.may_go_on(count).is_ok(), count < 2, "{steps}");
        let warned = circles.may_go_on(2 * count).is_ok();
        assert_eq!(warned, count < 2, "{steps}");
    }
}
