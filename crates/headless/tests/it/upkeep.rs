//! What is done to a session between its turns.

use std::sync::Arc;

use quire_headless::*;
use quire_protocol::*;
use tokio::sync::watch;

use crate::double::{Script, Step, session};
use crate::events::{called, delivered, ended, interrupted, replied, says, turn_started};

async fn kept(script: &Arc<Script>, upkeep: Upkeep, presses: u32) -> Kept {
    let (_sender, interrupts) = watch::channel(presses);
    let kept = keep_up(&**script, &session(), upkeep, interrupts).await;
    kept.unwrap()
}

fn past() -> Vec<Event> {
    vec![Event::MessageDelivered {
        message: MessageId::new("m1"),
    }]
}

fn compact() -> Upkeep {
    Upkeep::compact(Some("the parser".into()), None, Some("m1".into()))
}

fn done(replaced: u32) -> Step {
    Event::Compaction(CompactionStep::Done {
        compaction: Compaction {
            kind: CompactionKind::Summary,
            cause: CompactionCause::Asked,
            replaced: Span {
                from: 0,
                to: replaced,
            },
            head: Vec::new(),
            cleared: Vec::new(),
            tail: Vec::new(),
            tokens_before: 90_000,
            tokens_after: 20_000,
        },
    })
    .into()
}

fn failed() -> Step {
    Event::Compaction(CompactionStep::Failed {
        kind: CompactionKind::Summary,
        reason: "the model refused".into(),
    })
    .into()
}

#[tokio::test]
async fn a_compaction_is_followed_to_its_end() {
    let answers = |steps: Vec<Step>| {
        let mut all = vec![turn_started(), called(1), replied(vec![says("In short …")])];
        all.extend(steps);
        vec![all]
    };
    for (steps, outcome, words) in [
        (
            vec![done(9), ended(StopReason::EndTurn)],
            Outcome::Done,
            "9 items summarised by the model; about 90,000 tokens before, 20,000 after · $0.0012",
        ),
        (
            vec![failed(), done(0), ended(StopReason::EndTurn)],
            Outcome::Done,
            "one way failed: the model refused\nnothing was old or large enough",
        ),
        (
            vec![failed(), ended(StopReason::Error)],
            Outcome::Error,
            "nothing was compacted",
        ),
        (
            vec![
                Event::TurnPaused {
                    pause: Pause::Limit,
                    turn: TurnId(1),
                    detail: "the session has spent $1".into(),
                    worked_ms: 0,
                }
                .into(),
            ],
            Outcome::Budget,
            "has spent $1",
        ),
    ] {
        let script = Script::with_past(past(), answers(steps)).recovered(0, false);
        let kept = kept(&script, compact(), 0).await;
        assert_eq!(kept.outcome, outcome, "{}", kept.words);
        assert!(kept.words.contains(words), "{}", kept.words);
        let part = ContextPart::From {
            message: MessageId::new("m1"),
        };
        let focus = "the parser".to_owned();
        assert_eq!(script.ops(), [Op::Compact { focus, part }]);
        assert_eq!(script.closed(), 1);
    }
}

#[tokio::test]
async fn a_compaction_can_be_stopped() {
    let answers = vec![
        vec![turn_started(), called(1)],
        vec![interrupted("signal"), ended(StopReason::Cancelled)],
    ];
    let script = Script::with_past(past(), answers).recovered(0, false);
    let kept = kept(&script, compact(), 1).await;
    assert_eq!(kept.outcome, Outcome::Cancelled, "{}", kept.words);
    assert!(matches!(script.ops()[1], Op::Interrupt { .. }));
}

#[tokio::test]
async fn what_cannot_be_done_says_why_and_asks_nothing() {
    let unknown = Upkeep::compact(None, Some("m9".into()), None);
    for (upkeep, unfinished, words) in [
        (unknown, false, "no message `m9` was delivered"),
        (compact(), true, "a turn is open: `quire exec --resume"),
        (Upkeep::Undo, true, "a turn is open"),
    ] {
        let script = Script::with_past(past(), Vec::new()).recovered(0, unfinished);
        let kept = kept(&script, upkeep, 0).await;
        assert_eq!(kept.outcome, Outcome::Error);
        assert!(kept.words.contains(words), "{}", kept.words);
        assert_eq!(script.ops(), []);
        assert_eq!(script.closed(), 1);
    }
}

#[tokio::test]
async fn at_a_limit_the_flag_that_raises_it_is_named() {
    for (detail, flag) in [
        (
            "the session has spent $1 of its budget of $1: raise the budget to go on",
            "--budget-usd N",
        ),
        (
            "the session has used 9 tokens of its limit of 5: raise the limit to go on",
            "--budget-tokens N",
        ),
        (
            "the session has made all of its turns: raise the limit to go on",
            "--budget-turns N",
        ),
        (
            "the session has worked for 9 s of its limit of 5 s: raise the limit to go on",
            "--budget-time TIME",
        ),
    ] {
        let advice = format!(
            "{detail}: `quire exec --resume {} {flag}`, then try again",
            session()
        );
        let paused = Event::TurnPaused {
            pause: Pause::Limit,
            turn: TurnId(1),
            detail: detail.into(),
            worked_ms: 0,
        };
        let refused = Event::Compaction(CompactionStep::Failed {
            kind: CompactionKind::Summary,
            reason: detail.into(),
        });
        for upkeep in [compact(), Upkeep::Undo] {
            let mut past = past();
            past.push(paused.clone());
            let script = Script::with_past(past, Vec::new()).at_limit();
            let kept = kept(&script, upkeep, 0).await;
            assert_eq!(kept.words, format!("a turn is paused: {advice}"));
            assert_eq!(script.ops(), []);
        }
        // Refused before a turn was opened for it, and paused in that turn.
        for step in [refused, paused] {
            let script = Script::with_past(past(), vec![vec![step.into()]]).recovered(0, false);
            let kept = kept(&script, compact(), 0).await;
            assert_eq!(kept.words, format!("nothing was compacted: {advice}"));
        }
    }
}

#[tokio::test]
async fn what_leads_to_nothing_is_no_success() {
    for (upkeep, words) in [
        (Upkeep::compact(None, None, None), "nothing to compact"),
        (Upkeep::Undo, "no compaction to take back"),
        (Upkeep::DropGoal, "there is no goal"),
    ] {
        let script = Script::with_past(past(), Vec::new()).recovered(0, false);
        let kept = kept(&script, upkeep, 0).await;
        assert_eq!(kept.outcome, Outcome::Error);
        assert!(kept.words.contains(words), "{}", kept.words);
    }
}

#[tokio::test]
async fn an_undo_says_what_it_took_back() {
    let Step::Event(compaction) = done(9) else {
        unreachable!()
    };
    let undone = Event::Compaction(CompactionStep::Undone);
    let script =
        Script::with_past(vec![*compaction], vec![vec![undone.into()]]).recovered(0, false);
    let kept = kept(&script, Upkeep::Undo, 0).await;
    assert_eq!(kept.outcome, Outcome::Done);
    assert!(
        kept.words.contains("20,000 tokens is about 90,000 again"),
        "{}",
        kept.words
    );
}

#[tokio::test]
async fn a_goal_is_told_without_opening_the_session() {
    let set = Event::Goal(GoalStep::Set {
        goal: Goal::new("all green", vec!["cargo test".into()]),
    });
    let judged = Event::Goal(GoalStep::Judged {
        judgement: Judgement {
            verdict: GoalVerdict::NotYet,
            reasons: "one fails".into(),
            evidence: Vec::new(),
            checks: Vec::new(),
            changes: 0,
            left: 0,
        },
    });
    let script = Script::with_past(vec![set, judged], vec![vec![delivered("x"), Step::End]]);
    script.submit(&session(), Op::Resume).await.unwrap();
    let kept = kept(&script, Upkeep::goal(None, Vec::new()), 0).await;
    let words = "goal: all green\ncheck: cargo test\nthe goal is not met yet: one fails";
    assert_eq!(kept.words, words);
    assert_eq!(script.closed(), 0);
}
