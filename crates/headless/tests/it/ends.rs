//! How runs end: answers that fit, stops, approvals, broken outputs and sessions.

use std::io::ErrorKind;
use std::time::Duration;

use expect_test::expect;
use quire_headless::*;
use quire_protocol::*;
use serde_json::{Value, json};
use tokio::sync::watch;

use crate::double::{NEVER, Paper, Script, Step};
use crate::events::*;
use crate::{on_paper, pressed, ran, resume, settings, task};

fn with_schema(output: Output) -> Task {
    let settings = Settings {
        output_schema: Some(json!({
            "type": "object",
            "required": ["answer"],
            "properties": {"answer": {"type": "integer"}},
        })),
        ..settings()
    };
    Task {
        start: Start::New(settings),
        ..task(output)
    }
}

fn result_line(out: &str) -> Value {
    serde_json::from_str(out.lines().last().expect("a line")).expect("JSON")
}

fn said(op: &Op) -> &str {
    match op {
        Op::Say { content, .. } => content[0].as_text().unwrap(),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn an_answer_that_does_not_fit_is_asked_for_again() {
    let script = Script::new(vec![
        turn("exec-0", "It is 42."),
        turn("repair-0-1", "```json\n{\"answer\": \"42\"}\n```"),
        turn("repair-0-2", "```json\n{\"answer\": 42}\n```"),
    ]);
    let ran = ran(&script, with_schema(Output::Progress)).await;
    assert_eq!(ran.outcome(), Outcome::Done);
    assert_eq!(ran.out, "{\"answer\": 42}\n");
    let ops = script.ops();
    assert_eq!(ops.len(), 3);
    expect![[r#"
        Your answer does not fit the JSON schema that was asked for:
        it is not JSON: expected value at line 1 column 1
        Answer again with only the corrected JSON: no fence, no other words."#]]
    .assert_eq(said(&ops[1]));
    expect![[r#"
        Your answer does not fit the JSON schema that was asked for:
        at /answer: "42" is not of type "integer"
        Answer again with only the corrected JSON: no fence, no other words."#]]
    .assert_eq(said(&ops[2]));
    expect![[r#"
        ! the answer does not fit the schema; asking again

        It is 42.
        ! the answer does not fit the schema; asking again

        ```json
        {"answer": "42"}
        ```
        ✓ done · 3.5 s · 3 requests · 3,300 tokens in (3,000 cached), 150 out · $0.0036
          go on: quire exec --resume 01936f00-0000-7aaa-8000-000000000001 "…"

    "#]]
    .assert_eq(&ran.err);
}

#[tokio::test]
async fn an_answer_that_never_fits_is_an_error() {
    let turns = || {
        vec![
            turn("exec-0", "no"),
            turn("repair-0-1", "no"),
            turn("repair-0-2", "{}"),
            turn("repair-0-3", "{\"answer\": 42}"),
        ]
    };
    let script = Script::new(turns());
    let progress = ran(&script, with_schema(Output::Progress)).await;
    assert_eq!(progress.outcome(), Outcome::Error);
    assert_eq!(progress.out, "");
    assert_eq!(script.ops().len(), 3);
    assert!(
        progress.err.contains("\"answer\" is a required property"),
        "{}",
        progress.err
    );

    let json = ran(&Script::new(turns()), with_schema(Output::Json)).await;
    let line = result_line(&json.out);
    assert_eq!(line["outcome"], "error");
    assert_eq!(line["answer"], "{}");
    assert_eq!(line.get("output"), None);
}

#[tokio::test]
async fn an_answer_that_was_cut_is_not_given_out_as_json() {
    let mut steps = open_turn();
    steps.push(replied(vec![says("{\"answer\": 4")]));
    steps.push(ended(StopReason::MaxTokens));
    let ran = ran(&Script::new(vec![steps]), with_schema(Output::Progress)).await;
    assert_eq!(ran.outcome(), Outcome::Truncated);
    assert_eq!(ran.out, "");
    assert!(ran.err.contains("{\"answer\": 4\n"), "{}", ran.err);
}

#[tokio::test]
async fn a_fitting_answer_is_also_given_as_json() {
    let script = Script::new(vec![turn("exec-0", "{\"answer\": 42}")]);
    let ran = ran(&script, with_schema(Output::Json)).await;
    assert_eq!(result_line(&ran.out)["output"], json!({"answer": 42}));
}

#[tokio::test]
async fn a_schema_that_is_none_starts_nothing() {
    let settings = Settings {
        output_schema: Some(json!({"type": "nonsense"})),
        ..settings()
    };
    let script = Script::new(Vec::new());
    let task = Task {
        start: Start::New(settings),
        ..task(Output::Progress)
    };
    let ran = ran(&script, task).await;
    assert!(
        matches!(ran.result, Err(Error::Schema(_))),
        "{:?}",
        ran.result
    );
    assert!(script.ops().is_empty());
}

fn stopped(cause: &str) -> Vec<Step> {
    let cancelled = Event::ModelFailed {
        request: RequestId(1),
        error: ModelError {
            kind: ModelErrorKind::Cancelled,
            message: "the request was cancelled".into(),
            hint: String::new(),
            status: None,
        },
        usage: Usage::default(),
        cost: None,
        retries: Vec::new(),
    };
    vec![
        interrupted(cause),
        cancelled.into(),
        ended_with(StopReason::Cancelled, "stopped by it"),
    ]
}

#[tokio::test]
async fn the_first_interrupt_waits_for_the_end_of_the_turn() {
    let script = Script::new(vec![open_turn(), stopped("signal")]);
    let ran = pressed(&script, task(Output::Progress), 1).await;
    assert_eq!(ran.outcome(), Outcome::Cancelled);
    assert_eq!(
        script.ops()[1],
        Op::Interrupt {
            cause: "signal".into()
        }
    );
    assert_eq!(script.closed(), 1);
    assert!(
        ran.err
            .contains("! stopping (signal)\n· the request was cancelled\n■ cancelled"),
        "{}",
        ran.err
    );
}

#[tokio::test]
async fn an_interrupt_ends_the_wait_for_a_session_to_begin() {
    let script = Script::new(Vec::new());
    let settings = Settings {
        model: NEVER.to_owned(),
        ..settings()
    };
    let task = Task {
        start: Start::New(settings),
        ..task(Output::Progress)
    };
    let ran = pressed(&script, task, 1).await;
    assert_eq!(ran.outcome(), Outcome::Cancelled);
    assert_eq!((script.ops().len(), script.closed()), (0, 0));
    assert!(ran.err.contains("cancelled"), "{}", ran.err);
}

#[tokio::test(start_paused = true)]
async fn a_session_that_does_not_begin_says_what_it_waits_for() {
    let script = Script::new(Vec::new());
    let settings = Settings {
        model: NEVER.to_owned(),
        ..settings()
    };
    let task = Task {
        start: Start::New(settings),
        ..task(Output::Progress)
    };
    let (press, interrupts) = watch::channel(0);
    tokio::spawn(async move {
        tokio::time::sleep(std::time::Duration::from_secs(9)).await;
        press.send(1)
    });
    let ran = on_paper(&script, task, Paper::new(), interrupts).await;
    assert_eq!(ran.outcome(), Outcome::Cancelled);
    assert!(ran.err.contains("waiting for servers"), "{}", ran.err);
}

#[tokio::test]
async fn the_second_interrupt_returns_at_once() {
    let script = Script::new(vec![open_turn()]);
    let (sender, interrupts) = watch::channel(1);
    let (asks, script_too) = (script.clone(), script.clone());
    let presses = async move {
        while asks.ops().len() < 2 {
            tokio::task::yield_now().await;
        }
        sender.send(2).unwrap();
        std::future::pending::<()>().await;
    };
    let ran = tokio::select! {
        ran = on_paper(&script_too, task(Output::Json), Paper::new(), interrupts) => ran,
        () = presses => unreachable!(),
    };
    assert_eq!(ran.outcome(), Outcome::Cancelled);
    assert_eq!(result_line(&ran.out)["exit_code"], 130);
    assert_eq!(script.closed(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_timeout_interrupts_the_turn() {
    let script = Script::new(vec![open_turn(), stopped("timeout")]);
    let task = Task {
        timeout: Some(Duration::from_secs(5)),
        ..task(Output::Json)
    };
    let ran = ran(&script, task).await;
    assert_eq!(ran.outcome(), Outcome::TimedOut);
    assert_eq!(result_line(&ran.out)["outcome"], "timed_out");
    assert_eq!(
        script.ops()[1],
        Op::Interrupt {
            cause: "timeout".into()
        }
    );
}

#[tokio::test]
async fn a_closed_output_stops_the_turn_quietly() {
    let script = Script::new(vec![open_turn(), stopped("output closed")]);
    let paper = Paper::breaking(100, ErrorKind::BrokenPipe);
    let (_sender, interrupts) = watch::channel(0);
    let ran = on_paper(&script, task(Output::Json), paper, interrupts).await;
    assert_eq!(ran.outcome(), Outcome::OutputClosed);
    assert_eq!(ran.err, "");
    assert_eq!(
        script.ops()[1],
        Op::Interrupt {
            cause: "output closed".into()
        }
    );
    assert_eq!(script.closed(), 1);
}

#[tokio::test]
async fn a_closed_output_loses_no_more_than_the_answer() {
    let script = Script::new(vec![turn("exec-0", "Done.")]);
    let paper = Paper::breaking(0, ErrorKind::BrokenPipe);
    let (_sender, interrupts) = watch::channel(0);
    let ran = on_paper(&script, task(Output::Progress), paper, interrupts).await;
    assert_eq!(ran.outcome(), Outcome::OutputClosed);
    assert_eq!(script.closed(), 1);
}

#[tokio::test]
async fn an_output_that_cannot_be_written_is_an_error() {
    let script = Script::new(vec![open_turn(), stopped("output closed")]);
    let paper = Paper::breaking(0, ErrorKind::StorageFull);
    let (_sender, interrupts) = watch::channel(0);
    let ran = on_paper(&script, task(Output::Json), paper, interrupts).await;
    assert!(
        matches!(ran.result, Err(Error::Output(_))),
        "{:?}",
        ran.result
    );
    assert_eq!(script.closed(), 1);
}

#[tokio::test]
async fn a_session_that_dies_is_an_error_with_a_result() {
    let dying = || {
        let mut steps = open_turn();
        steps.push(Step::End);
        vec![steps]
    };
    let json = ran(&Script::new(dying()), task(Output::Json)).await;
    let Err(Error::Client(ClientError::Died { .. })) = json.result else {
        panic!("{:?}", json.result);
    };
    let line = result_line(&json.out);
    assert_eq!(line["exit_code"], 1);
    assert!(
        line["detail"].as_str().unwrap().contains("disk is full"),
        "{line}"
    );
    let progress = ran(&Script::new(dying()), task(Output::Progress)).await;
    assert!(
        progress.err.contains("--resume 01936f00"),
        "{}",
        progress.err
    );
}

#[tokio::test]
async fn a_session_that_cannot_start_still_gives_a_result() {
    let settings = Settings {
        model: String::new(),
        ..settings()
    };
    let task = Task {
        start: Start::New(settings),
        ..task(Output::Json)
    };
    let ran = ran(&Script::new(Vec::new()), task).await;
    assert!(ran.result.is_err());
    let line = result_line(&ran.out);
    assert_eq!(line["session"], Value::Null);
    assert_eq!(line["detail"], "no model: give one with --model");
}

#[tokio::test]
async fn a_failed_model_is_told_once_with_its_hint() {
    let failed = Event::ModelFailed {
        request: RequestId(1),
        error: ModelError {
            kind: ModelErrorKind::Auth,
            message: "the provider does not take the key".into(),
            hint: "check ANTHROPIC_API_KEY".into(),
            status: Some(401),
        },
        usage: Usage::default(),
        cost: None,
        retries: Vec::new(),
    };
    let mut steps = open_turn();
    steps.push(failed.into());
    steps.push(ended_with(
        StopReason::Error,
        "the provider does not take the key",
    ));
    let ran = ran(&Script::new(vec![steps]), task(Output::Progress)).await;
    assert_eq!(ran.outcome(), Outcome::Error);
    expect![[r#"
        ✗ the provider does not take the key
          check ANTHROPIC_API_KEY
        ✗ failed · 1 s · 1 request · 0 tokens in, 0 out · $0.00
          go on: quire exec --resume 01936f00-0000-7aaa-8000-000000000001 "…"
    "#]]
    .assert_eq(&ran.err);
}

#[tokio::test]
async fn stops_have_their_own_outcomes() {
    for (reason, outcome, printed) in [
        (StopReason::Budget, Outcome::Budget, ""),
        (StopReason::MaxTurnRequests, Outcome::TurnLimit, ""),
        (StopReason::NoProgress, Outcome::NoProgress, ""),
        (StopReason::MaxTokens, Outcome::Truncated, "Words.\n"),
        (StopReason::Refusal, Outcome::Refused, "Words.\n"),
    ] {
        let mut steps = open_turn();
        steps.push(replied(vec![says("Words.")]));
        steps.push(ended_with(reason, "because of this"));
        let ran = ran(&Script::new(vec![steps]), task(Output::Progress)).await;
        assert_eq!(ran.outcome(), outcome);
        assert_eq!(ran.out, printed, "{reason:?}");
        assert_eq!(
            ran.err.contains("Words."),
            printed.is_empty(),
            "{}",
            ran.err
        );
        assert!(ran.err.contains("! because of this\n■ "), "{}", ran.err);
    }
}

#[tokio::test]
async fn a_prompt_joins_an_unfinished_turn_before_it_goes_on() {
    let past = vec![Event::TurnStarted { turn: TurnId(1) }];
    let script = Script::with_past(
        past,
        vec![
            Vec::new(),
            vec![
                called(1),
                replied(vec![says("Old turn.")]),
                ended(StopReason::EndTurn),
                turn_started(),
                delivered("exec-1"),
                called(2),
                replied(vec![says("New turn.")]),
                ended(StopReason::EndTurn),
            ],
        ],
    );
    let ran = ran(&script, resume(vec![Content::text("also this")])).await;
    assert_eq!(ran.out, "New turn.\n");
    assert!(matches!(script.ops()[..], [Op::Say { .. }, Op::Resume]));
}

#[tokio::test]
async fn changed_settings_are_recorded_first() {
    let script = Script::with_past(
        vec![Event::TurnStarted { turn: TurnId(1) }],
        vec![Vec::new(), vec![ended(StopReason::EndTurn)]],
    );
    let task = Task {
        start: Start::Open {
            session: crate::double::session(),
            adapt: Box::new(|settings| {
                Ok(Settings {
                    effort: Effort::Low,
                    ..settings
                })
            }),
        },
        ..resume(Vec::new())
    };
    ran(&script, task).await;
    let ops = script.ops();
    assert!(
        matches!(&ops[..], [Op::Configure { settings }, Op::Resume] if settings.effort == Effort::Low),
        "{ops:?}"
    );
}

#[tokio::test]
async fn settings_with_which_a_session_cannot_go_on_leave_it_as_it_was() {
    let script = Script::new(Vec::new());
    let task = Task {
        start: Start::Open {
            session: crate::double::session(),
            adapt: Box::new(|_| Err("a budget cannot be kept".to_owned())),
        },
        ..resume(vec![Content::text("go on")])
    };
    let refused = ran(&script, task).await.result.unwrap_err();
    assert_eq!(refused.to_string(), "a budget cannot be kept");
    assert_eq!((script.ops().len(), script.closed()), (0, 1));
}

#[tokio::test]
async fn with_nothing_to_do_it_says_so() {
    let script = Script::new(Vec::new());
    let nothing = ran(&script, resume(Vec::new())).await;
    assert!(
        matches!(nothing.result, Err(Error::NothingToDo(_))),
        "{:?}",
        nothing.result
    );
    assert_eq!(script.closed(), 1);
    let empty = Task {
        content: Vec::new(),
        ..task(Output::Progress)
    };
    let empty = ran(&Script::new(Vec::new()), empty).await;
    assert!(
        matches!(empty.result, Err(Error::EmptyPrompt)),
        "{:?}",
        empty.result
    );
}

#[tokio::test]
async fn a_budget_that_no_price_keeps_is_warned_of_once() {
    let unpriced = |items| {
        let mut event = reply(items);
        if let Event::ModelReplied { cost, .. } = &mut event {
            *cost = None;
        }
        Step::from(event)
    };
    let steps = vec![
        turn_started(),
        delivered("exec-0"),
        called(1),
        unpriced(vec![calls(1, "bash", "{}")]),
        called(2),
        unpriced(vec![says("Done.")]),
        ended_with(StopReason::EndTurn, ""),
    ];
    let budgeted = Settings {
        limits: Limits {
            budget: Some("0.5".parse().unwrap()),
            ..Limits::default()
        },
        ..settings()
    };
    let task = Task {
        start: Start::New(budgeted),
        ..task(Output::Json)
    };
    let ran = ran(&Script::new(vec![steps]), task).await;
    assert_eq!(ran.outcome(), Outcome::Done);
    let warning = "no price is known for m-1, or its tokens were not reported, so the budget of \
                   $0.50 cannot be kept";
    assert_eq!(ran.err.matches(warning).count(), 1, "{}", ran.err);
}
