//! The witness sees what is wrong: each journal breaks one rule with its last event.

use quire_kernel::{Input, Session};
use quire_protocol::{
    CallId, CallPlan, Content, Delivery, Event, Item, Lane, MessageId, Op, Purpose, RequestId,
    StopReason, TokenStop, ToolCall, ToolOutcome, ToolStatus, TurnId, Usage, Verdict,
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
    vec![
        Event::MessageAccepted {
            message: MessageId::new("a"),
            delivery: Delivery::Steer,
            content: vec![Content::text("go")],
            effort: None,
        },
        Event::TurnStarted { turn: TurnId(1) },
        delivered(),
        called(1, 1),
    ]
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
        estimate: 0,
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
