//! What commands show and ask for.

use quire_protocol::{
    Compaction, CompactionCause, CompactionKind, CompactionStep, JobEnd, JobId, Pause, Prefix,
    Rule, RuleAction, Span,
};

use super::*;
use crate::makeup::{Kind, Makeup};

/// What a line that is typed asks of the session.
fn asked(screen: &mut Screen, line: &str) -> Vec<Wish> {
    screen.types(line);
    screen.press(KeyCode::Enter)
}

/// The settings that a wish is about.
fn wanted(wishes: &[Wish]) -> Settings {
    match wishes {
        [Wish::Ask(Op::Configure { settings }), ..] => settings.clone(),
        other => panic!("no settings in {other:?}"),
    }
}

/// A command that is allowed always.
fn allows(screen: &mut Screen, number: u32, prefix: &[&str]) {
    let call = CallId(number);
    screen.record(Event::ApprovalAsked {
        call,
        approval: Approval {
            action: prefix.join(" "),
            reason: "outside the sandbox".to_owned(),
            prefix: prefix.iter().map(|word| (*word).to_owned()).collect(),
            ..Approval::default()
        },
    });
    screen.record(Event::ApprovalAnswered {
        call,
        answer: Answer::AllowAlways,
        ruled_by: None,
    });
}

#[test]
fn a_change_of_settings_keeps_what_was_allowed_always() {
    let mut screen = Screen::new(80, 24);
    allows(&mut screen, 1, &["git", "push"]);
    let settings = wanted(&asked(&mut screen, "/effort max"));
    assert_eq!(settings.policy.rules.len(), 1);
    assert_eq!(settings.policy.rules[0].prefix, ["git", "push"]);
}

#[test]
fn permissions_say_where_they_come_from_and_a_session_s_own_can_be_taken_back() {
    let mut screen = Screen::new(90, 24);
    screen.app.origins = vec![
        ("sandbox".to_owned(), "default".to_owned()),
        (
            "deny git push".to_owned(),
            "~/.config/quire/config.toml:7".to_owned(),
        ),
    ];
    let mut set = settings();
    set.policy.rules = vec![Rule {
        prefix: vec!["git".to_owned(), "push".to_owned()],
        action: RuleAction::Deny,
    }];
    screen.record(Event::Configured { settings: set });
    allows(&mut screen, 1, &["cargo", "fetch"]);
    allows(&mut screen, 2, &["npm", "ci"]);
    assert!(asked(&mut screen, "/permissions").is_empty());
    let shown = screen.shown();
    for words in [
        "workspace-write  (default)",
        "deny git push",
        "config.toml:7",
        "1                              cargo fetch",
        "2                              npm ci",
    ] {
        assert!(shown.contains(words), "{words} is not in\n{shown}");
    }
    let settings = wanted(&asked(&mut screen, "/permissions drop 1"));
    let left: Vec<_> = settings
        .policy
        .rules
        .iter()
        .map(|rule| rule.prefix.join(" "))
        .collect();
    assert_eq!(left, ["git push", "npm ci"]);
    screen.record(Event::Configured { settings });
    assert!(
        screen
            .shown()
            .contains("from the next request on: other rules")
    );
    assert!(asked(&mut screen, "/permissions drop 2").is_empty());
    assert!(screen.shown().contains("with N from 1 to 1"));
}

#[test]
fn a_background_job_is_shown_until_it_ends() {
    let mut screen = Screen::new(80, 24);
    screen.app.now_ms = || 130_000;
    screen.asks("serve it");
    screen.replies(vec![call(
        1,
        "bash",
        r#"{"command":"npm start","background":true}"#,
    )]);
    screen.record(Event::ToolStarted { call: CallId(1) });
    let mut outcome = ToolOutcome::text(ToolStatus::Done, "started");
    outcome.job = Some(JobId(1));
    screen.ends(1, outcome);
    screen.record(Event::JobStarted {
        job: JobId(1),
        call: CallId(1),
    });
    asked(&mut screen, "/jobs");
    let shown = screen.shown();
    assert!(shown.contains("job 1 · for 2 min"), "{shown}");
    assert!(shown.contains("bash npm start"), "{shown}");
    screen.record(Event::JobEnded {
        end: JobEnd {
            job: JobId(1),
            outcome: "exit code 0".to_owned(),
        },
    });
    asked(&mut screen, "/jobs");
    assert!(screen.shown().contains("no background job runs"));
}

#[test]
fn a_pause_is_asked_for_taken_back_and_gone_on_with() {
    let mut screen = Screen::new(100, 24);
    assert_eq!(asked(&mut screen, "/pause"), []);
    assert_eq!(screen.app.notice.as_deref(), Some("nothing works"));
    super::work::at_work(&mut screen);
    screen.app.editor.take();
    assert_eq!(asked(&mut screen, "/pause"), [Wish::Ask(Op::Pause)]);
    let pause = |pause| Event::TurnPaused {
        turn: TurnId(1),
        pause,
        detail: String::new(),
        worked_ms: 0,
    };
    screen.record(pause(Pause::Asked));
    let shown = screen.shown();
    assert!(
        shown.contains("· pauses after this step · Esc stops"),
        "{shown}"
    );
    assert_eq!(asked(&mut screen, "/pause"), [Wish::Ask(Op::Resume)]);
    screen.record(pause(Pause::Withdrawn));
    assert!(!screen.shown().contains("· pauses after this step"));
    screen.ends(3, ToolOutcome::text(ToolStatus::Done, "ok"));
    screen.record(pause(Pause::Person));
    assert!(screen.shown().contains("Enter goes on with it"));
    assert_eq!(screen.press(KeyCode::Enter), [Wish::Ask(Op::Resume)]);
    assert_eq!(asked(&mut screen, "/pause"), []);
}

#[test]
fn a_budget_is_shown_and_set_as_flags_set_it() {
    let mut screen = Screen::new(80, 24);
    let settings = wanted(&asked(&mut screen, "/budget 2.50"));
    assert_eq!(settings.limits.budget, "2.50".parse().ok());
    screen.record(Event::Configured { settings });
    asked(&mut screen, "/budget");
    let shown = screen.shown();
    assert!(shown.contains("$0.00 of $2.50"), "{shown}");
    asked(&mut screen, "/budget mony=3");
    assert!(screen.shown().contains("`mony` is no limit"));
}

#[test]
fn a_review_is_asked_for_in_words_that_name_what_is_to_be_read() {
    let said = |wishes: Vec<Wish>| match wishes.as_slice() {
        [Wish::Ask(Op::Say { content, .. })] => content[0].as_text().unwrap().to_owned(),
        other => panic!("nothing is said in {other:?}"),
    };
    for (line, words) in [
        ("/review", "`git diff HEAD`"),
        ("/review branch topic/x", "git merge-base THAT topic/x"),
        ("/review commit abc123~1", "`git show abc123~1`"),
        ("/review only the parser", "Review only the parser."),
    ] {
        let mut screen = Screen::new(80, 24);
        let said = said(asked(&mut screen, line));
        assert!(
            said.contains(words) && said.contains("`file:line`"),
            "{said}"
        );
    }
    for line in [
        "/review branch",
        "/review branch a;b",
        "/review commit $(x)",
        "/review commit -x",
    ] {
        assert!(asked(&mut Screen::new(80, 24), line).is_empty(), "{line}");
    }
}

#[test]
fn the_context_is_shown_by_what_fills_it() {
    let mut screen = Screen::new(90, 30);
    screen.record(Event::PrefixSet {
        prefix: Prefix {
            instructions: "i".repeat(8_000),
            tools: Vec::new(),
        },
        reason: "the session begins".to_owned(),
    });
    screen.asks("look at it ".repeat(40).trim());
    screen.replies(vec![words("looking"), call(1, "read", r#"{"path":"a"}"#)]);
    screen.record(Event::ToolStarted { call: CallId(1) });
    screen.ends(1, ToolOutcome::text(ToolStatus::Done, "r".repeat(30_000)));
    screen.shown();
    asked(&mut screen, "/context");
    screen.check(&expect![[r#"

        › look at it look at it look at it look at it look at it look at it look at it look at it
          look at it look at it look at it look at it look at it look at it look at it look at it
          look at it look at it look at it look at it look at it look at it look at it look at it
          look at it look at it look at it look at it look at it look at it look at it look at it
          look at it look at it look at it look at it look at it look at it look at it look at it

        looking

        ✓ read a · 1 line

        Context  █░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░▒▒▒▒▒········  2%
          █ used (estimated)             4,554 tokens
            instructions           ▆▆▆▆▆▆                         947
            your messages          ▆                               52
            tool calls             ▆                                1
            tool results           ▆▆▆▆▆▆▆▆▆▆▆▆▆▆▆▆▆▆▆▆▆▆▆▆     3,554
          ░ free                         146,646 until it is compacted at 151,200
          ▒ a margin                     a prompt has at most 168,000
          · kept for the answer          32,000
          the model's window             200k tokens

        ◦ waiting for the model · 12 s · 1.2k tokens · Esc stops
        ──────────────────────────────────────────────────────────────────────────────────────────
        › Enter steers · Tab queues
        anthropic/double · high · context 26% of 200k · $0.04 · workspace-write · topic/größe
        [24, 2]
    "#]]);
}

#[test]
fn what_a_compaction_takes_from_the_context_comes_back_with_it() {
    let mut makeup = Makeup::default();
    let result = |call| Event::ToolEnded {
        call: CallId(call),
        outcome: ToolOutcome::text(ToolStatus::Done, "r".repeat(3_500)),
    };
    for call in 1..=3 {
        makeup.record(&result(call));
    }
    let of = |makeup: &Makeup, kind| {
        let tokens = makeup.tokens();
        tokens.iter().find(|(known, _)| *known == kind).unwrap().1
    };
    assert_eq!(of(&makeup, Kind::Results), 3_000);
    let compaction = Compaction {
        kind: CompactionKind::Summary,
        cause: CompactionCause::Asked,
        replaced: Span { from: 0, to: 1 },
        head: vec![Item::Summary {
            text: "s".repeat(350),
            opaque: None,
        }],
        cleared: vec![CallId(2)],
        tail: Vec::new(),
        tokens_before: 3_000,
        tokens_after: 1_100,
    };
    makeup.record(&Event::Compaction(CompactionStep::Done { compaction }));
    assert_eq!(of(&makeup, Kind::Memory), 100);
    assert_eq!(of(&makeup, Kind::Results), 1_028);
    makeup.record(&result(4));
    makeup.record(&Event::Compaction(CompactionStep::Undone));
    assert_eq!(of(&makeup, Kind::Results), 4_000);
    assert_eq!(of(&makeup, Kind::Memory), 0);
}
