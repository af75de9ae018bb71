//! Turns on a screen: at work, streamed, failed, and with commands.

use super::*;

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
pub(super) fn at_work(screen: &mut Screen) {
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
fn why_something_runs_is_what_was_thought_where_nothing_was_said() {
    let mut screen = Screen::new(100, 24);
    screen.asks("fix it");
    screen.replies(vec![
        Item::Thinking {
            text: "First I look at what\x1b[2J fails. Then I mend it.".to_owned(),
            opaque: None,
        },
        call(1, "bash", r#"{"command":"cargo test"}"#),
    ]);
    screen.record(Event::ToolStarted { call: CallId(1) });
    let shown = screen.shown();
    assert!(
        shown.contains("◦ running: First I look at what fails · "),
        "{shown}"
    );
    screen.ends(1, ToolOutcome::text(ToolStatus::Done, "ok"));
    screen.replies(vec![call(2, "bash", r#"{"command":"cargo test"}"#)]);
    screen.record(Event::ToolStarted { call: CallId(2) });
    assert!(screen.shown().contains("◦ running · "));
}

#[test]
fn a_turn_at_work() {
    let mut small = Screen::new(80, 24);
    at_work(&mut small);
    small.check(&expect![[r#"
        2. then the fix

        ✗ bash cargo test · exit 101, 2 lines, 3.7 s
            running 1 test
            FAILED größe
        ✓ edit src/größe.rs · +1 −1
            1  fn 漢() {
            2 -old
            2 +new

        · plan: 1 of 3 done

        ● bash cargo test --workspace --all-features -- --nocapture --test-threads 1 gr…
               Compiling 漢字 v0.1.0
                test one ... ok
          ☑ look
          ▸ mend größe
          ☐ test again
        ↳ not the slow ones  (steer: heard at the next step)
        ↳ then commit it, with a long message that says what was wrong and why it is ri…
        ◦ running: I'll run the tests first · 12 s · 1.2k tokens · Esc stops
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
            1  fn 漢() {
            2 -old
            2 +new

        · plan: 1 of 3 done

        ● bash cargo test --workspace --all-features -- --nocapture --test-threads 1 größe
               Compiling 漢字 v0.1.0
                test one ... ok
          ☑ look
          ▸ mend größe
          ☐ test again
        ↳ not the slow ones  (steer: heard at the next step)
        ↳ then commit it, with a long message that says what was wrong and why it is right now, 漢字  (queued: heard after the…
        ◦ running: I'll run the tests first · 12 s · 1.2k tokens · Esc stops
        ────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────
        › and 漢
        anthropic/double · high · context 26% of 200k · $0.04 · workspace-write · topic/größe
        [30, 8]
    "#]]);
}

#[test]
fn the_time_of_a_queued_turn_begins_with_that_turn() {
    let mut screen = Screen::new(80, 24);
    screen.app.now_ms = || 1_000_000;
    assert_eq!(screen.app.working(), Duration::ZERO);
    screen.asks("first");
    let took_ms = |screen: &Screen| screen.app.working().as_millis();
    assert_eq!(
        took_ms(&screen),
        1_000_000 - 3 * 700,
        "from its start, not from its request"
    );
    screen.says("m2", Delivery::Queue, "second");
    screen.now_ms = 900_000;
    screen.record(Event::TurnEnded {
        turn: TurnId(1),
        reason: StopReason::EndTurn,
        detail: String::new(),
    });
    screen.record(Event::TurnStarted { turn: TurnId(2) });
    screen.record(Event::MessageDelivered {
        message: MessageId::new("m2"),
    });
    screen.calls_model();
    assert_eq!(took_ms(&screen), 1_000_000 - 900_000 - 2 * 700);
}

/// Who joins while a turn works folds the same records, and so sees the same time.
#[test]
fn the_time_of_what_goes_on_after_a_pause_begins_there() {
    let mut screen = Screen::new(80, 24);
    screen.app.now_ms = || 1_000_000;
    screen.asks("first");
    screen.replies(vec![words("one")]);
    screen.record(Event::TurnPaused {
        turn: TurnId(1),
        pause: quire_protocol::Pause::Person,
        detail: String::new(),
        worked_ms: 0,
    });
    assert_eq!(screen.app.conversation.began_ms, None);
    screen.now_ms = 800_000;
    screen.calls_model();
    assert_eq!(screen.app.conversation.began_ms, Some(800_700));
}

#[test]
fn the_status_says_that_it_is_planned_and_what_commands_may_do_then() {
    let status = |columns| {
        let mut screen = Screen::new(columns, 24);
        let mut set = settings();
        set.policy.phase = Phase::Plan;
        screen.record(Event::Configured { settings: set });
        screen.app.others = 12;
        let shown = screen.shown();
        shown.lines().rev().nth(1).unwrap().to_owned()
    };
    assert_eq!(
        status(120),
        "PLAN · 12 others wait for you (F2) · anthropic/double · high · context 0% of 200k · $0.00 · read-only · topic/größe"
    );
    assert_eq!(status(20), "PLAN · 12 others wa…");
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

#[test]
fn at_rest_with_messages_that_wait_the_empty_input_does_not_speak_of_steering() {
    let mut screen = Screen::new(80, 24);
    screen.asks("first");
    screen.says("test-7", Delivery::Queue, "second");
    assert!(
        screen
            .shown()
            .contains("Enter steers · Tab queues · Up takes back")
    );
    screen.record(Event::TurnEnded {
        turn: TurnId(1),
        reason: StopReason::Cancelled,
        detail: String::new(),
    });
    let shown = screen.shown();
    assert!(shown.contains("say what to do · Up takes back"), "{shown}");
    assert!(!shown.contains("steers"), "{shown}");
}

#[test]
fn ctrl_c_leaves_only_after_it_has_said_so() {
    let mut screen = Screen::new(80, 24);
    screen.types("half a thought");
    let mut control_c = || {
        let key = KeyEvent::new(KeyCode::Char('c'), KeyModifiers::CONTROL);
        let wishes = screen.app.key(key);
        (wishes, screen.app.notice.clone())
    };
    assert_eq!(control_c(), (vec![], None), "the text is cleared");
    let told = Some("Ctrl+C once more leaves".to_owned());
    assert_eq!(control_c(), (vec![], told));
    assert_eq!(control_c(), (vec![Wish::Quit], None));
}
