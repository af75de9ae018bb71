//! Wrong questions of calls that run, and wrong answers to them.

use std::slice::from_ref;

use quire_kernel::{Input, Meanwhile, Session};
use quire_protocol::{Answer, Approval, CallId, Event, Lane, Op, ToolOutcome, ToolStatus};

use super::super::{Cause, Witness};
use super::{ended, interrupted, started, step};

/// Two calls that run, side by side.
fn running() -> Vec<Event> {
    let mut events = step(Lane::Shared);
    events.extend([started(1), started(2)]);
    events
}

fn approval() -> Approval {
    Approval {
        action: "make all".to_owned(),
        prefix: vec!["make".to_owned()],
        ..Approval::default()
    }
}

fn asks(call: u32) -> Input {
    Input::Asks {
        call: CallId(call),
        approval: approval(),
    }
}

fn asked(call: u32) -> (Input, Event) {
    let event = Event::ApprovalAsked {
        call: CallId(call),
        approval: approval(),
    };
    (asks(call), event)
}

fn answered(call: u32, answer: Answer) -> (Input, Event) {
    let call = CallId(call);
    let op = Op::Answer {
        call,
        answer: answer.clone(),
    };
    let ruled_by = None;
    let event = Event::ApprovalAnswered {
        call,
        answer,
        ruled_by,
    };
    (Input::Op(op), event)
}

/// What leads to an event that nobody in particular wanted.
fn of_itself(event: Event) -> (Input, Event) {
    (Input::Op(Op::Resume), event)
}

/// A person always allows what call 1 asks, and with it what call 2 does.
fn always() -> [(Input, Event); 2] {
    let input = Input::AnsweredAlways {
        call: CallId(1),
        covered: vec![CallId(2)],
    };
    let (_, first) = answered(1, Answer::AllowAlways);
    let second = Event::ApprovalAnswered {
        call: CallId(2),
        answer: Answer::AllowOnce,
        ruled_by: Some(CallId(1)),
    };
    [(input.clone(), first), (input, second)]
}

/// What the witness says of the last step; nothing may be wrong with those before it.
fn verdict(events: &[Event], steps: &[(Input, Event)]) -> String {
    let (mut witness, mut session) = (Witness::default(), Session::default());
    let before = events.iter().map(|event| of_itself(event.clone()));
    let mut said = Ok(());
    for (input, event) in before.chain(steps.iter().cloned()) {
        assert_eq!(said, Ok(()), "before {event:?}");
        session.apply(&event);
        said = witness.saw(&event, &session, &Cause::Input(&input));
    }
    said.err().unwrap_or_default()
}

#[test]
fn a_wrong_question_or_answer_is_seen() {
    let mut unasked = asked(1);
    unasked.0 = Input::Op(Op::Resume);
    let [always, covered] = always();
    let table = [
        (
            running(),
            vec![asked(1), asked(1)],
            "two questions of call 1",
        ),
        (running(), vec![unasked], "nobody asks that"),
        (
            running(),
            vec![of_itself(interrupted()), asked(1)],
            "a question after a stop",
        ),
        (
            step(Lane::Shared),
            vec![asked(1)],
            "a question out of place",
        ),
        (
            running(),
            vec![
                asked(1),
                answered(1, Answer::AllowOnce),
                answered(1, Answer::AllowOnce),
            ],
            "a second answer",
        ),
        (
            running(),
            vec![asked(1), asked(2), always.clone(), covered.clone()],
            "a rule answers a call that runs",
        ),
        (
            running(),
            vec![asked(1), asked(2), covered],
            "a rule that nobody made",
        ),
    ];
    for (events, steps, expected) in table {
        assert_eq!(verdict(&events, &steps), expected);
    }
}

#[test]
fn a_question_goes_with_its_call() {
    let over = ended(1, ToolStatus::Done);
    let outcome = ToolOutcome::text(ToolStatus::Done, "words");
    let call = CallId(1);
    let end = Input::ToolEnded { call, outcome };
    let late = answered(1, Answer::AllowOnce);
    let steps = [asked(1), (end, over), late];
    assert_eq!(verdict(&running(), &steps), "call 1 is not open");
}

/// What the witness says of a decision that records these events because of an input.
fn decided(before: &[(Input, Event)], input: &Input, events: &[Event]) -> String {
    let (mut witness, mut session) = (Witness::default(), Session::default());
    let first = running().into_iter().map(of_itself);
    for (input, event) in first.chain(before.iter().cloned()) {
        session.apply(&event);
        let said = witness.saw(&event, &session, &Cause::Input(&input));
        assert_eq!(said, Ok(()), "before {event:?}");
    }
    witness.before(input, Meanwhile::default());
    let mut said = Ok(());
    for event in events {
        session.apply(event);
        said = said.and_then(|()| witness.saw(event, &session, &Cause::Input(input)));
    }
    let said = said.and_then(|()| witness.check_questions());
    said.err().unwrap_or_default()
}

#[test]
fn a_question_leads_to_nothing_else_and_an_answer_too() {
    let (asking, question) = asked(1);
    let (answering, answer) = answered(1, Answer::AllowOnce);
    let other = || Event::PlanSet { steps: Vec::new() };
    assert_eq!(decided(&[], &asking, from_ref(&question)), "");
    assert_eq!(decided(&[], &asking, &[]), "a question is dropped");
    assert_eq!(
        decided(&[], &asking, &[question.clone(), other()]),
        "a question leads to PlanSet { steps: [] }"
    );
    assert_eq!(
        decided(&[], &asking, &[asked(2).1]),
        "a question for another call"
    );
    let open = [asked(1)];
    assert_eq!(decided(&open, &asking, &[]), "");
    assert!(decided(&open, &asking, &[question]).starts_with("a question leads to"));
    assert_eq!(decided(&open, &answering, from_ref(&answer)), "");
    assert_eq!(
        decided(&open, &answering, &[answer, other()]),
        "an answer to a call that runs leads to PlanSet { steps: [] }"
    );
}
