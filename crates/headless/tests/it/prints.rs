//! What a person and a program see.

use std::time::Duration;

use expect_test::expect;
use quire_headless::*;
use quire_protocol::*;

use crate::double::{Paper, Script, Step};
use crate::events::*;
use crate::{on_paper, ran, task};

fn done(text: &str) -> ToolOutcome {
    ToolOutcome::text(ToolStatus::Done, text)
}

fn exited(code: i32, lines: u64, text: &str) -> ToolOutcome {
    ToolOutcome {
        end: Some(CommandEnd::Exited { code }),
        lines: Some(lines),
        ..done(text)
    }
}

fn timed_out() -> ToolOutcome {
    ToolOutcome {
        end: Some(CommandEnd::TimedOut { after_s: 1 }),
        lines: Some(0),
        ..ToolOutcome::failed("[timed out after 1 s and was killed; give …]")
    }
}

fn edited() -> ToolOutcome {
    ToolOutcome {
        changes: vec![FileChange {
            path: "src/lib.rs".into(),
            kind: ChangeKind::Modified,
            diff:
                "--- a/src/lib.rs\n+++ b/src/lib.rs\n@@ -1,2 +1,2 @@\n fn f() {\n-    1\n+    2\n"
                    .into(),
        }],
        ..done("Edited.")
    }
}

fn planned() -> Vec<PlanStep> {
    let step = |text: &str, status| PlanStep {
        text: text.into(),
        status,
    };
    vec![
        step("run the tests", PlanStatus::Completed),
        step("fix the bug", PlanStatus::InProgress),
        step("run them again", PlanStatus::Pending),
    ]
}

fn first_half() -> Vec<Step> {
    vec![
        Event::Configured {
            settings: crate::settings(),
        }
        .into(),
        Event::PrefixSet {
            prefix: Prefix::default(),
            reason: "first request".into(),
        }
        .into(),
        Event::MessageAccepted {
            message: MessageId::new("exec-0"),
            delivery: Delivery::Steer,
            content: vec![Content::text("fix it")],
            effort: None,
        }
        .into(),
        turn_started(),
        delivered("exec-0"),
        called(1),
        Step::Delta(Delta::Retrying {
            retry: Retry {
                reason: "the provider is overloaded".into(),
                wait_ms: 2000,
            },
        }),
        Step::Delta(Delta::Text {
            text: "not shown".into(),
        }),
        replied(vec![
            thinks("**The tests** come first. Then the code."),
            says("I run the tests first."),
            calls(1, "bash", r#"{"command":"cargo test"}"#),
            calls(2, "read", r#"{"path":"src/lib.rs"}"#),
        ]),
        tool_started(1),
        tool_ended(
            1,
            exited(
                101,
                2,
                "test f ... FAILED\nassertion failed: 1 != 2\n[exit code 101]",
            ),
        ),
        tool_started(2),
        tool_ended(2, done("1\tfn f() {\n2\t    1\n")),
    ]
}

fn second_half() -> Vec<Step> {
    vec![
        called(2),
        replied(vec![
            calls(3, "plan", r#"{"steps":[]}"#),
            calls(4, "edit", r#"{"path":"src/lib.rs"}"#),
            calls(5, "bash", r#"{"command":"cargo test\ngit status"}"#),
            calls(6, "read", r#"{"path":"missing.rs"}"#),
        ]),
        tool_started(3),
        tool_ended(
            3,
            ToolOutcome {
                plan: Some(planned()),
                ..done("ok")
            },
        ),
        Event::PlanSet { steps: planned() }.into(),
        tool_started(4),
        tool_ended(4, edited()),
        tool_started(5),
        tool_started(6),
        tool_ended(
            6,
            ToolOutcome::failed("there is no file missing.rs\ndid you mean lib.rs?"),
        ),
        tool_ended(5, exited(0, 1, "ok\n")),
        Event::Noticed {
            text: "1 request is left.".into(),
        }
        .into(),
        called(3),
        replied(vec![says("The bug is fixed:\n`f` returns 2.")]),
        ended(StopReason::EndTurn),
    ]
}

#[tokio::test]
async fn a_job_and_the_time_of_a_command_are_told_once() {
    let end = JobEnd {
        job: JobId(1),
        outcome: "killed".into(),
    };
    let script = Script::new(vec![vec![
        turn_started(),
        delivered("exec-0"),
        called(1),
        replied(vec![
            calls(1, "bash", r#"{"command":"serve","background":true}"#),
            calls(2, "bash", r#"{"command":"make"}"#),
            calls(3, "job", r#"{"action":"kill","job":1}"#),
        ]),
        tool_started(1),
        tool_ended(
            1,
            ToolOutcome {
                job: Some(JobId(1)),
                ..done("Started as job 1.")
            },
        ),
        Event::JobStarted {
            job: JobId(1),
            call: CallId(1),
        }
        .into(),
        tool_started(2),
        called(2),
        called(2),
        called(2),
        tool_ended(2, exited(0, 1, "built\n")),
        Event::JobEnded { end }.into(),
        Event::Noticed {
            text: "Background job 1 ended: killed.".into(),
        }
        .into(),
        tool_started(3),
        tool_ended(3, done("Job 1 ended: killed")),
        called(3),
        replied(vec![calls(4, "bash", r#"{"command":"sleep 9"}"#)]),
        tool_started(4),
        called(4),
        called(4),
        called(4),
        tool_ended(4, timed_out()),
        called(5),
        replied(vec![says("Built.")]),
        ended(StopReason::EndTurn),
    ]]);
    let ran = ran(&script, task(Output::Progress)).await;
    expect![[r#"
        ● bash  serve
          └ job 1, in the background
        ● bash  make
          └ ok, 1 line, took 1 s
            built
        · job 1 ended: killed
        ● job  kill 1 · 1 line
        ● bash  sleep 9
          └ timed out after 1 s, 0 lines
        ✓ done · 6.2 s · 9 requests · 3,300 tokens in (3,000 cached), 150 out · $0.0036
          go on: quire exec --resume 01936f00-0000-7aaa-8000-000000000001 "…"

    "#]]
    .assert_eq(&ran.err);
}

#[tokio::test]
async fn a_model_that_says_nothing_is_noticed() {
    let script = Script::new(vec![vec![
        turn_started(),
        delivered("exec-0"),
        called(1),
        replied(vec![thinks("Hm."), says("  ")]),
        ended(StopReason::EndTurn),
    ]]);
    let ran = ran(&script, task(Output::Progress)).await;
    assert!(
        ran.err.contains("! the model ended without an answer"),
        "{}",
        ran.err
    );
}

#[tokio::test]
async fn a_person_can_follow_a_task() {
    let mut steps = first_half();
    steps.extend(second_half());
    let script = Script::new(vec![steps]);
    let ran = ran(&script, task(Output::Progress)).await;
    assert_eq!(ran.outcome(), Outcome::Done);
    expect![[r#"
        · test/m-1, effort high, sandbox workspace-write, approvals auto, in /src/parser
        > fix it
        … the provider is overloaded, trying again in 2 s
        ~ The tests come first.

        I run the tests first.
        ● bash  cargo test
          └ exit 101, 2 lines
            test f ... FAILED
            assertion failed: 1 != 2
        ● read  src/lib.rs · 2 lines
        ☰ plan
          ☑ run the tests
          ▸ fix the bug
          ☐ run them again
        ✎ src/lib.rs +1 −1
            @@ -1,2 +1,2 @@
             fn f() {
            -    1
            +    2
        ● bash  cargo test (+1 line)
        ● read  missing.rs
          └ failed: there is no file missing.rs
            did you mean lib.rs?
        ● bash  cargo test (+1 line)
          └ ok, 1 line
            ok
        · 1 request is left.
        ✓ done · 6.2 s · 3 requests · 3,300 tokens in (3,000 cached), 150 out · $0.0036
          go on: quire exec --resume 01936f00-0000-7aaa-8000-000000000001 "…"

    "#]]
    .assert_eq(&ran.err);
    expect![[r#"
        The bug is fixed:
        `f` returns 2.
    "#]]
    .assert_eq(&ran.out);
    assert_eq!(script.closed(), 1);
    expect![[r#"[Say { message: MessageId("exec-0"), delivery: Steer, content: [Text { text: "fix it" }], effort: None }]"#]].assert_eq(&format!("{:?}", script.ops()));
}

#[tokio::test]
async fn colours_are_the_callers_choice() {
    let mut steps = first_half();
    steps.extend(second_half());
    let script = Script::new(vec![steps]);
    let style = Style {
        color: Color::Always,
        width: 0,
    };
    let ran = ran(
        &script,
        Task {
            style,
            ..task(Output::Progress)
        },
    )
    .await;
    assert!(
        ran.err
            .contains("\x1b[36m●\x1b[0m \x1b[1mbash\x1b[0m  cargo test"),
        "{}",
        ran.err
    );
    assert!(ran.err.contains("\x1b[32m+    2\x1b[0m"), "{}", ran.err);
    assert!(!ran.out.contains('\x1b'), "{}", ran.out);
}

#[tokio::test]
async fn a_program_gets_one_event_a_line() {
    let script = Script::new(vec![vec![
        turn_started(),
        delivered("exec-0"),
        called(1),
        Step::Delta(Delta::Text { text: "hi".into() }),
        replied(vec![says("Hello.")]),
        ended(StopReason::EndTurn),
    ]]);
    let ran = ran(&script, task(Output::Json)).await;
    assert_eq!(ran.outcome(), Outcome::Done);
    expect![[r#"
        {"seq":1,"at_ms":1764000000250,"type":"turn_started","turn":1}
        {"seq":2,"at_ms":1764000000500,"type":"message_delivered","message":"exec-0"}
        {"seq":3,"at_ms":1764000000750,"type":"model_called","request":1,"items":1}
        {"seq":4,"at_ms":1764000001000,"type":"model_replied","request":1,"model":"m-1","items":[{"kind":"assistant","text":"Hello."}],"plans":[],"stop":"end_turn","usage":{"input":100,"cache_read":1000,"cache_write_5m":0,"cache_write_1h":0,"output":50,"thinking":0},"cost":"0.0012","retries":[]}
        {"seq":5,"at_ms":1764000001250,"type":"turn_ended","turn":1,"reason":"end_turn","detail":""}
        {"type":"result","session":"01936f00-0000-7aaa-8000-000000000001","outcome":"done","exit_code":0,"answer":"Hello.","detail":null,"usage":{"input":100,"cache_read":1000,"cache_write_5m":0,"cache_write_1h":0,"output":50,"thinking":0},"cost_usd":"0.0012","requests":1,"turns":1,"duration_ms":1000}
    "#]].assert_eq(&ran.out);
    assert_eq!(ran.err, "");
}

#[tokio::test]
async fn foreign_escapes_reach_no_terminal() {
    let evil = "\x1b]0;owned\x07\x1b[2Jboo\u{9b}31m\r";
    let script = Script::new(vec![vec![
        turn_started(),
        delivered("exec-0"),
        called(1),
        replied(vec![
            thinks(evil),
            says(evil),
            calls(1, evil, &format!(r#"{{"command":"{}"}}"#, "x\\u001b[2Jy")),
        ]),
        asked(1, evil),
        answered(1, Answer::AllowOnce),
        tool_started(1),
        tool_ended(1, exited(1, 2, &format!("{evil}\n{evil}\n[exit code 1]"))),
        Event::Noticed { text: evil.into() }.into(),
        Event::PlanSet {
            steps: vec![PlanStep {
                text: evil.into(),
                status: PlanStatus::Pending,
            }],
        }
        .into(),
        called(2),
        replied(vec![says(evil)]),
        ended_with(StopReason::Refusal, evil),
    ]]);
    let ran = ran(&script, task(Output::Progress)).await;
    let harmful = |c: char| c.is_control() && c != '\n' && c != '\t';
    assert!(!ran.err.contains(harmful), "{:?}", ran.err);
    assert_eq!(ran.out, "boo\n");
    assert!(
        ran.err.contains("\\u{1b}[2Jboo"),
        "a question hides nothing: {}",
        ran.err
    );
}

#[tokio::test]
async fn what_was_said_on_the_way_is_not_the_answer() {
    let script = Script::new(vec![vec![
        turn_started(),
        delivered("exec-0"),
        called(1),
        replied(vec![says("Half of it.")]),
        called(2),
        replied(vec![says("All of it.")]),
        ended(StopReason::EndTurn),
    ]]);
    let ran = ran(&script, task(Output::Progress)).await;
    assert_eq!(ran.out, "All of it.\n");
    assert!(ran.err.starts_with("\nHalf of it.\n"), "{}", ran.err);
    assert!(!ran.err.contains("All of it."), "{}", ran.err);
}

#[tokio::test(start_paused = true)]
async fn a_long_silence_gets_a_sign_of_life() {
    let (_sender, interrupts) = tokio::sync::watch::channel(0);
    let script = Script::new(vec![
        vec![
            turn_started(),
            delivered("exec-0"),
            called(1),
            replied(vec![calls(1, "bash", r#"{"command":"cargo build"}"#)]),
            tool_started(1),
            Step::Delta(Delta::ToolOutput {
                call: CallId(1),
                text: "a\nb\nc".into(),
            }),
        ],
        vec![
            interrupted("timeout"),
            tool_ended(1, ToolOutcome::text(ToolStatus::Cancelled, "")),
            ended(StopReason::Cancelled),
        ],
    ]);
    let slow = || Task {
        timeout: Some(Duration::from_secs(100)),
        ..task(Output::Progress)
    };
    let ran = on_paper(&script, slow(), Paper::new(), interrupts).await;
    assert_eq!(ran.outcome(), Outcome::TimedOut);
    expect![[r#"
        ● bash  cargo build
          … 10 s, 2 lines
          … 30 s, 2 lines
          … 1 min 10 s, 2 lines
        ! stopping (timeout)
        ● bash  cargo build
          └ cancelled
        ■ stopped: it took too long · 1.7 s · 1 request · 1,100 tokens in (1,000 cached), 50 out · $0.0012
          go on: quire exec --resume 01936f00-0000-7aaa-8000-000000000001 "…"
    "#]].assert_eq(&ran.err);

    let (_sender, interrupts) = tokio::sync::watch::channel(0);
    let script = Script::new(vec![
        vec![turn_started(), delivered("exec-0"), called(1)],
        vec![ended(StopReason::Cancelled)],
    ]);
    let waiting = on_paper(&script, slow(), Paper::new(), interrupts).await;
    assert!(
        waiting.err.starts_with("  … waiting for the model: 10 s\n"),
        "{}",
        waiting.err
    );
}

#[tokio::test]
async fn a_flood_of_fragments_prints_nothing() {
    let mut steps = vec![turn_started(), delivered("exec-0"), called(1)];
    steps.extend((0..200_000).map(|_| {
        Step::Delta(Delta::Text {
            text: "five ".into(),
        })
    }));
    steps.push(replied(vec![says("Done.")]));
    steps.push(ended(StopReason::EndTurn));
    let script = Script::new(vec![steps]);
    let started = std::time::Instant::now();
    let ran = ran(&script, task(Output::Progress)).await;
    println!("200,000 fragments: {:?}", started.elapsed());
    assert_eq!(ran.out, "Done.\n");
    assert_eq!(ran.err.lines().count(), 3, "{}", ran.err);
}
