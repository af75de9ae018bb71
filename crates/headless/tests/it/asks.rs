//! Who is asked before something runs, and what is said of the answer.

use std::io::{self, BufRead, Cursor, Read};

use expect_test::expect;
use quire_headless::*;
use quire_protocol::*;
use serde_json::json;

use crate::double::{Script, Step};
use crate::events::*;
use crate::{ran, task};

fn asking(actions: &[&str]) -> Vec<Step> {
    let mut steps = open_turn();
    let items = (1..)
        .zip(actions)
        .map(|(call, action)| calls(call, "bash", &json!({ "command": action }).to_string()));
    steps.push(replied(items.collect()));
    steps.extend((1..).zip(actions).map(|(call, action)| asked(call, action)));
    steps
}

fn finished(call: u32) -> Vec<Step> {
    let answer = Answer::Deny {
        reason: String::new(),
    };
    vec![answered(call, answer), ended(StopReason::EndTurn)]
}

#[tokio::test]
async fn with_nobody_to_ask_the_model_is_told_what_to_do() {
    let refused = ToolOutcome::text(ToolStatus::Denied, "This call was refused: …");
    let mut end = finished(1);
    end.insert(1, tool_ended(1, refused));
    let script = Script::new(vec![asking(&["git push\norigin"]), end]);
    let ran = ran(&script, task(Output::Progress)).await;
    expect![[r#"
        Answer {
            call: CallId(
                1,
            ),
            answer: Deny {
                reason: "This needs a person's approval (it needs the network), and nobody can be asked in this run. Do not try it again. Reach the goal in a way that needs no approval, or finish what you can and say in your answer what a person has to run.",
            },
        }"#]].assert_eq(&format!("{:#?}", script.ops()[1]));
    let mut lines = ran.err.lines();
    assert_eq!(
        lines.next(),
        Some("! nobody can be asked, so not allowed: bash git push (it needs the network)")
    );
    assert!(lines.next().unwrap().starts_with("✓ done"), "{}", ran.err);
}

#[tokio::test]
async fn an_answer_is_told_before_the_next_question() {
    let refused = ToolOutcome::text(ToolStatus::Denied, "This call was refused: …");
    let mut end = finished(2);
    end.insert(1, tool_ended(2, refused));
    let script = Script::new(vec![
        asking(&["git push", "git fetch"]),
        vec![answered(1, Answer::AllowOnce)],
        end,
    ]);
    let task = Task {
        approvals: Approver::Person(Box::new(Cursor::new("y\nn\n"))),
        ..task(Output::Progress)
    };
    let ran = ran(&script, task).await;
    let summary = ran.err.find("✓").unwrap();
    // The line breaks after the answers are those that the person types.
    expect![[r#"
        ? bash asks to run:
            git push
          why: it needs the network
          y once · s `git push …` for this session · n no, n WHY no and why > · allowed once
        ? bash asks to run:
            git fetch
          why: it needs the network
          y once · s `git push …` for this session · n no, n WHY no and why > · not allowed
    "#]]
    .assert_eq(&ran.err[..summary]);
}

#[tokio::test]
async fn a_person_is_asked_one_question_at_a_time() {
    let script = Script::new(vec![
        asking(&["git push origin", "git push\x1b[2J"]),
        vec![answered(1, Answer::AllowAlways)],
        finished(2),
    ]);
    let lines = Cursor::new("what?\nalways\nn use a branch\n");
    let task = Task {
        approvals: Approver::Person(Box::new(lines)),
        ..task(Output::Json)
    };
    let ran = ran(&script, task).await;
    assert_eq!(ran.outcome(), Outcome::Done);
    assert_eq!(
        script.ops()[1..],
        [
            Op::Answer {
                call: CallId(1),
                answer: Answer::AllowAlways
            },
            Op::Answer {
                call: CallId(2),
                answer: Answer::Deny {
                    reason: "The person does not allow this: use a branch".into()
                }
            },
        ]
    );
    expect![[r#"
        ? bash asks to run:
            git push origin
          why: it needs the network
          y once · s `git push …` for this session · n no, n WHY no and why > ! please answer with one of the choices
        ? bash asks to run:
            git push origin
          why: it needs the network
          y once · s `git push …` for this session · n no, n WHY no and why > ? bash asks to run:
            git push\u{1b}[2J
          why: it needs the network
          y once · s `git push …` for this session · n no, n WHY no and why > "#]].assert_eq(&ran.err);
}

#[tokio::test]
async fn what_happens_beside_a_question_does_not_land_on_its_line() {
    let mut beside = vec![answered(1, Answer::AllowOnce), tool_started(1)];
    beside.push(tool_ended(1, ToolOutcome::text(ToolStatus::Done, "ok")));
    let mut end = finished(2);
    end.insert(1, tool_ended(2, ToolOutcome::text(ToolStatus::Denied, "…")));
    let script = Script::new(vec![asking(&["git push", "git fetch"]), beside, end]);
    let task = Task {
        approvals: Approver::Person(Box::new(Cursor::new("y\nn\n"))),
        ..task(Output::Progress)
    };
    let ran = ran(&script, task).await;
    let (_, after) = ran.err.split_once("· allowed once\n").unwrap();
    let (question, after) = after.split_once(" and why > ").unwrap();
    // What came with the first answer is told before the next question is asked.
    assert!(
        question.starts_with("● bash  git push\n  └ 1 line\n? bash asks to run:\n    git fetch"),
        "{}",
        ran.err
    );
    assert!(after.starts_with("· not allowed\n"), "{}", ran.err);

    // The turn ends under a question that nobody answers.
    let script = Script::new(vec![
        asking(&["git push"]),
        vec![interrupted("signal"), ended(StopReason::Cancelled)],
    ]);
    let task = Task {
        approvals: Approver::Person(Box::new(Silent)),
        ..crate::task(Output::Progress)
    };
    let ran = crate::pressed(&script, task, 1).await;
    assert!(
        ran.err
            .contains(" and why > \n! stopping (signal)\n■ cancelled"),
        "{}",
        ran.err
    );
}

/// A person who does not answer.
struct Silent;

impl Read for Silent {
    fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
        self.fill_buf().map(<[u8]>::len)
    }
}

impl BufRead for Silent {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        loop {
            std::thread::park();
        }
    }

    fn consume(&mut self, _: usize) {}
}

#[tokio::test]
async fn when_the_person_is_gone_all_questions_are_refused() {
    let script = Script::new(vec![asking(&["a", "b"]), Vec::new(), finished(2)]);
    let task = Task {
        approvals: Approver::Person(Box::new(Cursor::new(""))),
        ..task(Output::Progress)
    };
    let ran = ran(&script, task).await;
    assert_eq!(ran.outcome(), Outcome::Done);
    let refused = |op: &Op, wanted: u32| matches!(op, Op::Answer { call, answer: Answer::Deny { .. } } if call.0 == wanted);
    let ops = script.ops();
    assert!(refused(&ops[1], 1) && refused(&ops[2], 2), "{ops:?}");
}

#[tokio::test]
async fn a_question_that_always_settled_is_not_asked() {
    let always = [answered(1, Answer::AllowAlways)];
    let settled = always.into_iter().chain([answered(2, Answer::AllowOnce)]);
    let settled = settled.chain(finished(1)).collect();
    let script = Script::new(vec![asking(&["push a", "push b"]), settled]);
    let task = Task {
        approvals: Approver::Person(Box::new(Cursor::new("a\n"))),
        ..task(Output::Json)
    };
    let ran = ran(&script, task).await;
    assert_eq!(ran.outcome(), Outcome::Done);
    assert!(ran.err.contains("push a"), "{}", ran.err);
    assert!(!ran.err.contains("push b"), "{}", ran.err);
    assert_eq!(script.ops().len(), 2);
}

#[tokio::test]
async fn a_question_about_files_shows_what_would_become_of_them() {
    let mut steps = open_turn();
    steps.push(replied(vec![calls(1, "edit", r#"{"path":"a"}"#)]));
    let approval = Approval {
        action: "edit a".into(),
        reason: "it changes files".into(),
        touches: vec!["a (changed)".into()],
        changes: vec![Proposed {
            path: "a".into(),
            diff: "@@\n keep\n-old\x1b[2J\n+new\n".into(),
        }],
        ..Approval::default()
    };
    let call = CallId(1);
    steps.push(Event::ApprovalAsked { call, approval }.into());
    let script = Script::new(vec![steps, finished(1)]);
    let task = Task {
        approvals: Approver::Person(Box::new(Cursor::new("n\n"))),
        ..task(Output::Progress)
    };
    let ran = ran(&script, task).await;
    let end = ran.err.find("✓").unwrap();
    expect![[r#"
        ? edit asks to change:
            edit a
            a
               keep
              -old\u{1b}[2J
              +new
          touches: a (changed)
          why: it changes files
          y once · n no, n WHY no and why > · not allowed
    "#]]
    .assert_eq(&ran.err[..end]);
}
