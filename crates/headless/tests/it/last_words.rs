//! What a run gives out as its answer, and what it says of a turn that is paused.

use quire_headless::*;
use quire_protocol::*;
use serde_json::Value;

use crate::double::{Script, Step};
use crate::events::*;
use crate::{ran, resume, settings, task};

fn replied_cut(items: Vec<Item>) -> Step {
    let mut event = reply(items);
    if let Event::ModelReplied { stop, .. } = &mut event {
        *stop = TokenStop::MaxTokens;
    }
    event.into()
}

fn called_for(purpose: Purpose) -> Step {
    Event::ModelCalled {
        request: RequestId(1),
        items: 1,
        purpose,
        estimate: 0,
        chosen: None,
        worked_ms: 0,
    }
    .into()
}

#[tokio::test]
async fn why_a_goal_is_impossible_is_said_once() {
    let mut steps = open_turn();
    let judgement = Judgement {
        verdict: GoalVerdict::Impossible,
        reasons: "there is no key".into(),
        evidence: Vec::new(),
        checks: Vec::new(),
        changes: 0,
        left: 0,
    };
    steps.extend([
        called(1),
        replied(vec![says("I cannot.")]),
        Event::Goal(GoalStep::Judged { judgement }).into(),
        ended_with(StopReason::Impossible, "there is no key"),
    ]);
    let script = Script::new(vec![steps]);
    let person = ran(&script, task(Output::Progress)).await;
    assert_eq!(
        person.err.matches("there is no key").count(),
        1,
        "{}",
        person.err
    );
    assert!(
        person
            .err
            .contains("the goal is impossible: there is no key")
    );
}

#[tokio::test]
async fn an_answer_that_was_cut_and_continued_is_given_out_as_one() {
    let steps = || {
        let mut steps = open_turn();
        steps.extend([
            replied_cut(vec![says("One, tw")]),
            Event::Noticed {
                text: "go on".into(),
            }
            .into(),
            called(2),
            replied_cut(vec![thinks("hm"), says("o, ")]),
            Event::Noticed {
                text: "go on".into(),
            }
            .into(),
            called(3),
            replied(vec![says("three.")]),
            ended(StopReason::EndTurn),
        ]);
        Script::new(vec![steps])
    };
    let person = ran(&steps(), task(Output::Progress)).await;
    assert_eq!(person.out, "One, two, three.\n");
    assert!(!person.err.contains("One"), "{}", person.err);
    let program = ran(&steps(), task(Output::Json)).await;
    let answer: Value = serde_json::from_str(program.out.lines().last().unwrap()).unwrap();
    assert_eq!(answer["answer"], "One, two, three.");
}

#[tokio::test]
async fn an_answer_that_was_cut_is_not_joined_with_the_answer_to_something_else() {
    let mut steps = open_turn();
    steps.extend([
        replied_cut(vec![says("One, tw")]),
        delivered("m2"),
        called(2),
        replied(vec![says("Stopped.")]),
        ended(StopReason::EndTurn),
    ]);
    let ran = ran(&Script::new(vec![steps]), task(Output::Progress)).await;
    assert_eq!(ran.out, "Stopped.\n");
    assert!(ran.err.contains("One, tw\n"), "{}", ran.err);
}

#[tokio::test]
async fn what_was_cut_before_a_crash_is_joined_with_what_comes_after_it() {
    let past = vec![
        Event::TurnStarted { turn: TurnId(1) },
        Event::ModelCalled {
            request: RequestId(1),
            items: 1,
            purpose: Purpose::Work,
            estimate: 0,
            chosen: None,
            worked_ms: 0,
        },
        match replied_cut(vec![says("One, tw")]) {
            Step::Event(event) => *event,
            _ => unreachable!(),
        },
    ];
    let goes_on = vec![
        called(2),
        replied(vec![says("o.")]),
        ended(StopReason::EndTurn),
    ];
    let ran = ran(&Script::with_past(past, vec![goes_on]), resume(Vec::new())).await;
    assert_eq!(ran.out, "One, two.\n");
}

#[tokio::test]
async fn what_the_evaluator_says_is_not_the_answer() {
    let mut steps = open_turn();
    steps.extend([
        replied(vec![says("All tests pass.")]),
        called_for(Purpose::Judge),
        replied(vec![says(r#"{"verdict":"met","reasons":"green"}"#)]),
        ended(StopReason::EndTurn),
    ]);
    let ran = ran(&Script::new(vec![steps]), task(Output::Progress)).await;
    assert_eq!(ran.out, "All tests pass.\n");
    assert!(!ran.err.contains("verdict"), "{}", ran.err);
    assert!(!ran.err.contains("All tests pass"), "{}", ran.err);
}

#[tokio::test]
async fn a_paused_turn_says_once_why_and_how_it_goes_on() {
    let paused = |detail: &str| {
        let settings = settings();
        let mut steps = vec![Event::Configured { settings }.into()];
        steps.extend(open_turn());
        steps.push(
            Event::TurnPaused {
                pause: Pause::Limit,
                turn: TurnId(1),
                detail: detail.into(),
                worked_ms: 0,
            }
            .into(),
        );
        Script::new(vec![steps])
    };
    let id = crate::double::session();
    for (detail, flag) in [
        ("the session has spent $1 of its budget", "--budget-usd N"),
        (
            "the session has used 9 tokens of its limit",
            "--budget-tokens N",
        ),
        (
            "the session has made all of its 2 turns",
            "--budget-turns N",
        ),
        (
            "the session has worked for 9 s of its limit",
            "--budget-time TIME",
        ),
    ] {
        let ran = ran(&paused(detail), task(Output::Progress)).await;
        assert_eq!(ran.outcome(), Outcome::Budget);
        let way_on = format!("go on: quire exec --resume {id} {flag}");
        assert!(ran.err.contains(&way_on), "{}", ran.err);
        assert_eq!(ran.err.matches(detail).count(), 1, "{}", ran.err);
    }
}
