//! What a run shows that goes on with a session.

use quire_headless::*;
use quire_protocol::*;

use crate::double::{Script, Step};
use crate::events::*;
use crate::{Ran, ran, resume};

/// A turn in which a call and a request were lost, and what opening it records.
fn crashed() -> Vec<Event> {
    vec![
        Event::TurnStarted { turn: TurnId(1) },
        reply(vec![
            says("old words"),
            calls(1, "bash", r#"{"command":"make deploy"}"#),
        ]),
        Event::ToolStarted { call: CallId(1) },
        Event::Recovered {
            lost_calls: vec![CallId(1)],
            lost_request: Some(RequestId(2)),
        },
        Event::ToolEnded {
            call: CallId(1),
            outcome: ToolOutcome::text(ToolStatus::Lost, "lost"),
        },
        Event::ModelFailed {
            request: RequestId(2),
            error: ModelError {
                kind: ModelErrorKind::Lost,
                message: "the process died while the model was answering".into(),
                hint: "resume the session to ask again".into(),
                status: None,
            },
            usage: Usage::default(),
            cost: None,
            retries: Vec::new(),
        },
    ]
}

fn goes_on() -> Vec<Vec<Step>> {
    vec![vec![
        called(3),
        replied(vec![says("Checked: it was deployed.")]),
        ended(StopReason::EndTurn),
    ]]
}

#[tokio::test]
async fn a_resumed_turn_tells_what_the_crash_cost() {
    // Recovered by this run, or by one that was killed before anything followed.
    for recovery in [3, 0] {
        let script = Script::with_past(crashed(), goes_on()).recovered(recovery, true);
        let ran = ran(&script, resume(Vec::new())).await;
        assert_eq!(ran.outcome(), Outcome::Done);
        assert_eq!(script.ops(), [Op::Resume]);
        let mut lines = ran.err.lines();
        assert_eq!(
            lines.next(),
            Some("! going on after a crash; lost in it, and not run again: bash make deploy")
        );
        assert!(lines.next().unwrap().starts_with("✓ done"), "{}", ran.err);
        assert_eq!(ran.out, "Checked: it was deployed.\n");
    }
}

#[tokio::test]
async fn a_program_gets_what_opening_the_session_recorded() {
    let places = |ran: &Ran| -> Vec<u64> {
        ran.out
            .lines()
            .map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap())
            .filter_map(|line| line["seq"].as_u64())
            .collect()
    };
    let resumed = |content| Task {
        output: Output::Json,
        ..resume(content)
    };
    let script = Script::with_past(crashed(), goes_on()).recovered(3, true);
    let ran = crate::ran(&script, resumed(Vec::new())).await;
    assert_eq!(places(&ran), [4, 5, 6, 7, 8, 9], "{}", ran.out);
    assert!(ran.out.contains(r#""type":"recovered""#), "{}", ran.out);

    // A turn that was being stopped when the process died ends with the recovery; the prompt
    // begins another, and that one's end is the end of the run.
    let mut stopped = crashed();
    stopped.push(Event::TurnEnded {
        turn: TurnId(1),
        reason: StopReason::Cancelled,
        detail: String::new(),
    });
    let script = Script::with_past(stopped, vec![turn("exec-7", "Hello.")]).recovered(4, false);
    let ran = crate::ran(&script, resumed(vec![Content::text("hi")])).await;
    assert_eq!(ran.outcome(), Outcome::Done);
    assert_eq!(places(&ran), (4..=12).collect::<Vec<u64>>(), "{}", ran.out);

    let lost_job = vec![
        Event::TurnStarted { turn: TurnId(1) },
        Event::JobEnded {
            end: JobEnd {
                job: JobId(1),
                outcome: "lost when the process died".into(),
            },
        },
    ];
    let script = Script::with_past(lost_job, Vec::new()).recovered(1, false);
    let ran = crate::ran(&script, resumed(Vec::new())).await;
    assert!(matches!(ran.result, Err(Error::NothingToDo(_))));
    assert_eq!(places(&ran), [2], "{}", ran.out);
}

#[tokio::test]
async fn a_question_that_a_crash_left_open_does_not_hang_the_resumed_turn() {
    let question = |call| Event::ApprovalAsked {
        call: CallId(call),
        approval: Approval {
            action: "git push".into(),
            reason: "it needs the network".into(),
            prefix: Vec::new(),
            ..Approval::default()
        },
    };
    let past = vec![
        Event::TurnStarted { turn: TurnId(1) },
        reply(vec![
            calls(1, "bash", r#"{"command":"git fetch"}"#),
            calls(2, "bash", r#"{"command":"git push"}"#),
        ]),
        question(1),
        question(2),
        Event::ToolEnded {
            call: CallId(1),
            outcome: ToolOutcome::text(ToolStatus::Denied, "no"),
        },
    ];
    let script = Script::with_past(
        past,
        vec![
            Vec::new(),
            vec![
                tool_ended(2, ToolOutcome::text(ToolStatus::Denied, "no")),
                called(2),
                replied(vec![says("Push it yourself.")]),
                ended(StopReason::EndTurn),
            ],
        ],
    );
    let ran = ran(&script, resume(Vec::new())).await;
    assert_eq!(ran.out, "Push it yourself.\n");
    let ops = script.ops();
    assert!(
        matches!(
            ops[..],
            [
                Op::Resume,
                Op::Answer {
                    call: CallId(2),
                    answer: Answer::Deny { .. }
                }
            ]
        ),
        "{ops:?}"
    );
}

#[tokio::test]
async fn what_a_crash_cost_is_told_in_short() {
    let mut past = crashed();
    let long = format!(r#"{{"text":"{}"}}"#, "x".repeat(5_000));
    past[1] = reply(vec![calls(1, "other", &long)]);
    let script = Script::with_past(past, goes_on()).recovered(3, true);
    let ran = ran(&script, resume(Vec::new())).await;
    let notice = ran.err.lines().next().unwrap();
    assert!(
        notice.contains("not run again: other {\"text\""),
        "{notice}"
    );
    assert!(notice.ends_with('…'), "{notice}");
    assert!(notice.chars().count() < 300, "{notice}");
}

#[tokio::test]
async fn new_limits_without_words_are_recorded_and_told() {
    let raised = || Task {
        start: Start::Open {
            session: crate::double::session(),
            adapt: Box::new(|mut settings: Settings| {
                settings.limits.budget = "2".parse().ok();
                settings.limits.turns = Some(1);
                Ok(settings)
            }),
        },
        ..resume(Vec::new())
    };
    let past = || vec![Event::TurnStarted { turn: TurnId(1) }];
    let mut settings = crate::settings();
    settings.limits.budget = "2".parse().ok();
    settings.limits.turns = Some(1);
    let configured = || {
        let settings = settings.clone();
        vec![vec![Event::Configured { settings }.into()]]
    };
    let script = Script::with_past(past(), configured()).recovered(0, false);
    let ran = crate::ran(&script, raised()).await;
    assert_eq!(ran.outcome(), Outcome::Done);
    let words = "the session's limits are now $2.00, 1 turn; nothing was left to go on with";
    assert!(ran.err.contains(words), "{}", ran.err);
    assert!(matches!(script.ops()[..], [Op::Configure { .. }]));

    let script = Script::with_past(past(), configured()).recovered(0, false);
    let json = Task {
        output: Output::Json,
        ..raised()
    };
    let ran = crate::ran(&script, json).await;
    assert!(ran.out.contains(r#""type":"configured""#), "{}", ran.out);
    assert!(ran.out.contains(words), "{}", ran.out);
}
