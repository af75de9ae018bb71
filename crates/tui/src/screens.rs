//! Whole screens, from journals to what a terminal shows, in two sizes.

mod commands;

use std::num::NonZeroU16;
use std::sync::Arc;
use std::time::Duration;

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};
use expect_test::{Expect, expect};
use quire_protocol::{
    Answer, Approval, ApprovalMode, CallId, CallPlan, ChangeKind, CommandEnd, Content,
    ContextLimits, Delivery, Delta, Effort, EffortChoice, Event, FileChange, Item, Limits,
    MessageId, ModelError, ModelErrorKind, Op, Phase, PlanStatus, PlanStep, Policy, Purpose,
    Record, RequestId, SandboxMode, Seq, Settings, StopReason, TokenStop, ToolCall, ToolOutcome,
    ToolStatus, TurnId, Usage,
};

use crate::app::{App, Wish};
use crate::look::Palette;
use crate::painter::Painter;
use crate::view::picture;

/// A screen that is told records, fragments and keys.
struct Screen {
    app: App,
    painter: Painter,
    terminal: vt100::Parser,
    seq: u64,
    now_ms: u64,
}

impl Screen {
    fn new(columns: u16, rows: u16) -> Self {
        let size = |number| NonZeroU16::new(number).unwrap();
        let fit = |mut settings: Settings, flags: &[(&'static str, String)]| {
            for (key, value) in flags {
                match *key {
                    "model" => settings.model.clone_from(value),
                    "effort" => settings.effort = value.parse()?,
                    "budget_usd" => settings.limits.budget = value.parse().ok(),
                    other => return Err(format!("{other} is not set here")),
                }
            }
            Ok(settings)
        };
        let mut screen = Self {
            app: App::new("test".to_owned(), Arc::new(fit)),
            painter: Painter::new((columns, rows), Palette::Sixteen),
            terminal: vt100::Parser::new(size(rows), size(columns), 100),
            seq: 0,
            now_ms: 0,
        };
        screen.app.branch = Some("topic/größe".to_owned());
        screen.record(Event::Configured {
            settings: settings(),
        });
        screen
    }

    fn record(&mut self, event: Event) {
        self.seq += 1;
        self.now_ms += 700;
        self.app.conversation.record(&Record {
            seq: Seq(self.seq),
            at_ms: self.now_ms,
            event,
        });
        self.app.settle();
    }

    fn says(&mut self, id: &str, delivery: Delivery, text: &str) {
        self.record(Event::MessageAccepted {
            message: MessageId::new(id),
            delivery,
            content: vec![Content::text(text)],
            effort: None,
        });
    }

    /// A person's message that opens a turn, and the request that follows.
    fn asks(&mut self, text: &str) {
        self.says("m1", Delivery::Steer, text);
        self.record(Event::TurnStarted { turn: TurnId(1) });
        self.record(Event::MessageDelivered {
            message: MessageId::new("m1"),
        });
        self.calls_model();
    }

    fn calls_model(&mut self) {
        self.record(Event::ModelCalled {
            request: RequestId(1),
            items: 1,
            purpose: Purpose::Work,
            estimate: 52_000,
            chosen: None,
            worked_ms: 0,
        });
    }

    fn replies(&mut self, items: Vec<Item>) {
        self.record(Event::ModelReplied {
            request: RequestId(1),
            model: "double".to_owned(),
            items,
            plans: Vec::<CallPlan>::new(),
            stop: TokenStop::EndTurn,
            usage: Usage {
                input: 1_000,
                output: 1_234,
                ..Usage::default()
            },
            cost: "0.0425".parse().ok(),
            retries: Vec::new(),
        });
    }

    fn ends(&mut self, call: u32, outcome: ToolOutcome) {
        self.record(Event::ToolEnded {
            call: CallId(call),
            outcome,
        });
    }

    fn streams(&mut self, text: &str) {
        self.app.conversation.delta(&Delta::Text {
            text: text.to_owned(),
        });
    }

    fn press(&mut self, code: KeyCode) -> Vec<Wish> {
        self.app.key(KeyEvent::new(code, KeyModifiers::NONE))
    }

    fn types(&mut self, text: &str) {
        for char in text.chars() {
            self.press(KeyCode::Char(char));
        }
    }

    /// What the terminal shows, and where its cursor is.
    fn shown(&mut self) -> String {
        let size = self.painter.size();
        let picture = picture(&self.app, size, Duration::from_millis(12_345));
        let done = self.app.conversation.take_done();
        let bytes = self.painter.frame(done, &picture);
        self.terminal.process(bytes.as_bytes());
        let screen = self.terminal.screen();
        let rows: Vec<String> = screen
            .rows(0, size.0)
            .map(|row| row.trim_end().to_owned())
            .collect();
        let (row, column) = screen.cursor_position();
        format!("{}\n[{row}, {column}]\n", rows.join("\n").trim_end())
    }

    fn check(&mut self, expected: &Expect) {
        expected.assert_eq(&self.shown());
    }
}

fn settings() -> Settings {
    Settings {
        model: "anthropic/double".to_owned(),
        effort: Effort::High,
        workspace: "/w".into(),
        policy: Policy {
            sandbox: SandboxMode::WorkspaceWrite,
            approvals: ApprovalMode::Auto,
            rules: Vec::new(),
            domains: Vec::new(),
            writable: Vec::new(),
            environment: Vec::new(),
            phase: Phase::Work,
        },
        limits: Limits::default(),
        output_schema: None,
        context: ContextLimits::for_window(200_000, 32_000),
        effort_choice: EffortChoice::Fixed,
        region: None,
    }
}

fn words(text: &str) -> Item {
    Item::Assistant {
        text: text.to_owned(),
        opaque: None,
    }
}

fn call(number: u32, name: &str, arguments: &str) -> Item {
    Item::ToolCall(ToolCall {
        call: CallId(number),
        provider_id: "p".to_owned(),
        name: name.to_owned(),
        arguments: arguments.to_owned(),
    })
}

fn step(text: &str, status: PlanStatus) -> PlanStep {
    PlanStep {
        text: text.to_owned(),
        status,
    }
}

#[test]
fn an_empty_screen() {
    Screen::new(80, 24).check(&expect![[r#"
        ────────────────────────────────────────────────────────────────────────────────
        › say what to do · / for commands
        double · high · context 0% of 200k · $0.00 · workspace-write · topic/größe
        [1, 2]
    "#]]);
}

/// A turn in the middle of its work: an answer was given, tools ran and run, messages wait.
fn at_work(screen: &mut Screen) {
    screen.asks("please fix the tests\nin 漢字/größe.rs 👩‍👩‍👧");
    screen.replies(vec![
        Item::Thinking {
            text: "First I look at what fails. Then I mend it.".to_owned(),
            opaque: None,
        },
        words("I'll run the **tests** first:\n\n1. `cargo test` in the folder that has the failing one, 漢字, with all features\n2. then the fix"),
        call(1, "bash", r#"{"command":"cargo test"}"#),
        call(2, "edit", r#"{"path":"src/größe.rs"}"#),
        call(3, "bash", r#"{"command":"cargo test --workspace --all-features -- --nocapture --test-threads 1 größe"}"#),
    ]);
    screen.record(Event::ToolStarted { call: CallId(1) });
    screen.now_ms += 3_000;
    screen.ends(
        1,
        ToolOutcome {
            end: Some(CommandEnd::Exited { code: 101 }),
            ..ToolOutcome::text(
                ToolStatus::Done,
                "running 1 test\n\x1b[31mFAILED\x1b[0m größe",
            )
        },
    );
    screen.record(Event::ToolStarted { call: CallId(2) });
    screen.ends(
        2,
        ToolOutcome {
            changes: vec![FileChange {
                path: "src/größe.rs".into(),
                kind: ChangeKind::Modified,
                diff: "--- a\n+++ b\n@@ -1,2 +1,2 @@\n fn 漢() {\n-old\n+new\n".to_owned(),
            }],
            ..ToolOutcome::text(ToolStatus::Done, "ok")
        },
    );
    screen.record(Event::PlanSet {
        steps: vec![
            step("look", PlanStatus::Completed),
            step("mend größe", PlanStatus::InProgress),
            step("test again", PlanStatus::Pending),
        ],
    });
    screen.record(Event::ToolStarted { call: CallId(3) });
    screen.app.conversation.delta(&Delta::ToolOutput {
        call: CallId(3),
        text: "   Compiling 漢字 v0.1.0\n\ttest one ... \x1b[2Jok\n".to_owned(),
    });
    screen.says("m2", Delivery::Steer, "not the slow ones");
    screen.says("m3", Delivery::Queue, "then commit it, with a long message that says what was wrong and why it is right now, 漢字");
    screen.types("and 漢");
}

#[test]
fn a_turn_at_work() {
    let mut small = Screen::new(80, 24);
    at_work(&mut small);
    small.check(&expect![[r#"

        ✗ bash cargo test · exit 101, 2 lines, 3.7 s
            running 1 test
            FAILED größe
        ✓ edit src/größe.rs · +1 −1
            @@ -1,2 +1,2 @@
             fn 漢() {
            -old
            +new

        · plan: 1 of 3 done

        ● bash cargo test --workspace --all-features -- --nocapture --test-threads 1 gr…
               Compiling 漢字 v0.1.0
                test one ... ok
          ☑ look
          ▸ mend größe
          ☐ test again
        ↳ not the slow ones  (steer: heard at the next step)
        ↳ then commit it, with a long message that says what was wrong and why it is ri…
        ◦ running · 12 s · 1.2k tokens · Esc stops
        ────────────────────────────────────────────────────────────────────────────────
        › and 漢
        double · high · context 26% of 200k · $0.04 · workspace-write · topic/größe
        [22, 8]
    "#]]);
    let mut large = Screen::new(120, 40);
    at_work(&mut large);
    large.check(&expect![[r#"

        › please fix the tests
          in 漢字/größe.rs 👩‍👩‍👧

        ~ First I look at what fails.
        I'll run the tests first:

        1. cargo test in the folder that has the failing one, 漢字, with all features
        2. then the fix

        ✗ bash cargo test · exit 101, 2 lines, 3.7 s
            running 1 test
            FAILED größe
        ✓ edit src/größe.rs · +1 −1
            @@ -1,2 +1,2 @@
             fn 漢() {
            -old
            +new

        · plan: 1 of 3 done

        ● bash cargo test --workspace --all-features -- --nocapture --test-threads 1 größe
               Compiling 漢字 v0.1.0
                test one ... ok
          ☑ look
          ▸ mend größe
          ☐ test again
        ↳ not the slow ones  (steer: heard at the next step)
        ↳ then commit it, with a long message that says what was wrong and why it is right now, 漢字  (queued: heard after the…
        ◦ running · 12 s · 1.2k tokens · Esc stops
        ────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────
        › and 漢
        anthropic/double · high · context 26% of 200k · $0.04 · workspace-write · topic/größe
        [31, 8]
    "#]]);
}

/// A screen with an open question.
fn asked() -> Screen {
    let mut screen = Screen::new(80, 24);
    screen.asks("push it");
    screen.replies(vec![call(1, "bash", r#"{"command":"git push"}"#)]);
    screen.record(Event::ApprovalAsked {
        call: CallId(1),
        approval: Approval {
            action: "git push origin\u{202e} trunk\x1b[2J".to_owned(),
            reason: "it leaves the sandbox: the network".to_owned(),
            prefix: vec!["git".to_owned(), "push".to_owned()],
        },
    });
    screen.app.face();
    screen
}

#[test]
fn a_question_and_its_answers() {
    let mut screen = asked();
    screen.check(&expect![[r#"

        › push it

        ? bash asks to run:
            git push origin\u{202e} trunk\u{1b}[2J
          why: it leaves the sandbox: the network
          y once · p always `git push` · n no
        ◦ waiting for your answer · 12 s · 1.2k tokens · Esc stops
        ────────────────────────────────────────────────────────────────────────────────
        ›
        double · high · context 26% of 200k · $0.04 · workspace-write · topic/größe
        [9, 2]
    "#]]);
    let answer = |answer| {
        vec![Wish::Ask(Op::Answer {
            call: CallId(1),
            answer,
        })]
    };
    assert_eq!(screen.press(KeyCode::Char('y')), answer(Answer::AllowOnce));
    assert_eq!(
        screen.press(KeyCode::Char('p')),
        answer(Answer::AllowAlways)
    );
    // What is typed is no answer.
    screen.types("why? y");
    screen.check(&expect![[r#"

        › push it

        ? bash asks to run:
            git push origin\u{202e} trunk\u{1b}[2J
          why: it leaves the sandbox: the network
          Alt+y once · p always `git push` (Alt+p) · Alt+n no
        ◦ waiting for your answer · 12 s · 1.2k tokens · Esc stops
        ────────────────────────────────────────────────────────────────────────────────
        › why? y
        double · high · context 26% of 200k · $0.04 · workspace-write · topic/größe
        [9, 8]
    "#]]);
    let alt_n = KeyEvent::new(KeyCode::Char('n'), KeyModifiers::ALT);
    assert_eq!(screen.app.key(alt_n), Vec::new());
    screen.types("not yet");
    screen.check(&expect![[r#"

        › push it

        ? bash asks to run:
            git push origin\u{202e} trunk\u{1b}[2J
          why: it leaves the sandbox: the network
          Enter says no · Esc goes back
        ◦ waiting for your answer · 12 s · 1.2k tokens · Esc stops
        ────────────────────────────────────────────────────────────────────────────────
        no, because › not yet
        double · high · context 26% of 200k · $0.04 · workspace-write · topic/größe
        [9, 21]
    "#]]);
    assert_eq!(screen.press(KeyCode::Enter), answer(Answer::no("not yet")));
    assert_eq!(screen.app.editor.text(), "why? y");
}

#[test]
fn a_question_that_is_answered_elsewhere_disappears() {
    let mut screen = asked();
    let alt_n = KeyEvent::new(KeyCode::Char('n'), KeyModifiers::ALT);
    screen.types("why? y");
    screen.app.key(alt_n);
    screen.types("x");
    screen.press(KeyCode::Up);
    assert_eq!(screen.app.editor.text(), "x");
    screen.record(Event::ApprovalAnswered {
        call: CallId(1),
        answer: Answer::AllowOnce,
    });
    let shown = screen.shown();
    assert!(shown.contains("answered already"), "{shown}");
    assert!(!shown.contains("asks to run"), "{shown}");
    assert_eq!(screen.app.editor.text(), "why? y\nx");
}

/// Nobody means the next question with what he types about the last one.
#[test]
fn keys_answer_no_question_that_came_while_something_was_typed() {
    let mut screen = asked();
    let next = CallId(2);
    screen.record(Event::ApprovalAsked {
        call: next,
        approval: Approval {
            action: "rm -r /".to_owned(),
            reason: String::new(),
            prefix: vec!["rm".to_owned()],
        },
    });
    screen.press(KeyCode::Char('n'));
    for key in "thi".chars() {
        assert_eq!(screen.press(KeyCode::Char(key)), []);
    }
    screen.record(Event::ApprovalAnswered {
        call: CallId(1),
        answer: Answer::AllowOnce,
    });
    screen.app.settle();
    for key in "s is bad".chars() {
        assert_eq!(screen.press(KeyCode::Char(key)), []);
    }
    screen.press(KeyCode::Home);
    for _ in 0.."this is bad".len() {
        screen.press(KeyCode::Delete);
    }
    assert_eq!(screen.press(KeyCode::Char('y')), []);
    screen.press(KeyCode::Backspace);
    screen.app.face();
    let allowed = Wish::Ask(Op::Answer {
        call: next,
        answer: Answer::AllowOnce,
    });
    assert_eq!(screen.press(KeyCode::Char('y')), [allowed]);
}

#[test]
fn nothing_of_a_long_command_is_hidden_from_who_approves_it() {
    let mut screen = Screen::new(80, 24);
    screen.asks("push it");
    screen.replies(vec![call(1, "bash", "{}")]);
    let action: Vec<String> = (0..12).map(|number| format!("echo {number}")).collect();
    screen.record(Event::ApprovalAsked {
        call: CallId(1),
        approval: Approval {
            action: action.join("\n") + "\nrm -r x",
            reason: "it may change something".to_owned(),
            prefix: Vec::new(),
        },
    });
    screen.app.face();
    screen.check(&expect![[r#"
            echo 2
            echo 3
            echo 4
            echo 5
            echo 6
            echo 7
            echo 8
            echo 9
            echo 10
            echo 11
            rm -r x

        ? bash asks to run:
            echo 0
            echo 1
            echo 2
            echo 3
            … all of it stands above
          why: it may change something
          y once · n no
        ◦ waiting for your answer · 12 s · 1.2k tokens · Esc stops
        ────────────────────────────────────────────────────────────────────────────────
        ›
        double · high · context 26% of 200k · $0.04 · workspace-write · topic/größe
        [22, 2]
    "#]]);
}

#[test]
fn a_streamed_answer_ends_as_it_was_shown() {
    let mut screen = Screen::new(80, 24);
    screen.asks("tell me");
    screen.streams("# Größe\n\nIt is `漢字`, an");
    screen.check(&expect![[r#"

        › tell me

        Größe

        It is 漢字, an
        ◦ answering · 12 s · Esc stops
        ────────────────────────────────────────────────────────────────────────────────
        › Enter steers · Tab queues
        double · high · context 26% of 200k · $0.00 · workspace-write · topic/größe
        [8, 2]
    "#]]);
    screen.streams("d **more");
    screen.replies(vec![words("# Größe\n\nIt is `漢字`, and **more**.")]);
    screen.record(Event::TurnEnded {
        turn: TurnId(1),
        reason: StopReason::EndTurn,
        detail: String::new(),
    });
    screen.check(&expect![[r#"

        › tell me

        Größe

        It is 漢字, and more.

        · done · 2.8 s · 1.2k tokens · $0.0425
        ────────────────────────────────────────────────────────────────────────────────
        › say what to do · / for commands
        double · high · context 26% of 200k · $0.04 · workspace-write · topic/größe
        [9, 2]
    "#]]);
}

#[test]
fn why_a_turn_failed_is_said_once() {
    let mut screen = Screen::new(80, 24);
    screen.asks("tell me");
    screen.streams("It is");
    screen.record(Event::ModelFailed {
        request: RequestId(1),
        error: ModelError {
            kind: ModelErrorKind::BadRequest,
            message: "the provider answered 400: no".to_owned(),
            hint: "Check the settings.".to_owned(),
            status: Some(400),
        },
        usage: Usage::default(),
        cost: None,
        retries: Vec::new(),
    });
    screen.record(Event::TurnEnded {
        turn: TurnId(1),
        reason: StopReason::Error,
        detail: "the provider answered 400: no: Check the settings.".to_owned(),
    });
    screen.check(&expect![[r#"

        › tell me

        It is

        ✗ the provider answered 400: no. Check the settings.
        ! the turn failed · 2.8 s; your next message goes on from here
        ────────────────────────────────────────────────────────────────────────────────
        › say what to do · / for commands
        double · high · context 26% of 200k · $0.00 · workspace-write · topic/größe
        [8, 2]
    "#]]);
}

#[test]
fn commands_are_offered_and_shown() {
    let mut screen = Screen::new(120, 40);
    screen.types("/co");
    screen.check(&expect![[r#"
        ────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────
        › /co
          /compact [FOCUS]           summarise the older part of the context
          /cost                      show what the session used
          /context                   show what fills the context
        anthropic/double · high · context 0% of 200k · $0.00 · workspace-write · topic/größe
        [1, 5]
    "#]]);
    screen.calls_model();
    screen.replies(vec![words("x")]);
    screen.types("ntext");
    screen.press(KeyCode::Enter);
    screen.check(&expect![[r#"
        x

        Context  ░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░▒▒▒▒▒········  0%
          █ used (estimated)             0 tokens
          ░ free                         151,200 until it is compacted at 151,200
          ▒ a margin                     a prompt has at most 168,000
          · kept for the answer          32,000
          the model's window             200k tokens
        ────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────
        › say what to do · / for commands
        anthropic/double · high · context 26% of 200k · $0.04 · workspace-write · topic/größe
        [9, 2]
    "#]]);
}

#[test]
fn no_size_is_too_small() {
    for (columns, rows) in [(1, 1), (2, 3), (5, 2), (9, 5), (300, 4)] {
        let mut screen = Screen::new(columns, rows);
        at_work(&mut screen);
        let size = screen.painter.size();
        let drawn = picture(&screen.app, size, Duration::ZERO);
        assert!(drawn.rows.len() <= usize::from(rows).max(2), "{rows}");
        screen.shown();
    }
}

#[test]
fn twenty_thousand_fragments_cost_little() {
    let mut screen = Screen::new(80, 24);
    screen.asks("tell me");
    let begun = std::time::Instant::now();
    for number in 0..20_000 {
        screen.streams(if number % 12 == 0 { "word\n" } else { "word " });
        if number % 100 == 0 {
            screen.shown();
        }
    }
    assert!(begun.elapsed() < Duration::from_secs(10));
}
