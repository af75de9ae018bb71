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
fn an_answer_in_words_empties_the_input_and_what_can_be_mended_stays() {
    for (line, words, left) in [
        ("/jobs", "no background job", ""),
        ("/queue", "no message waits", ""),
        ("/theme", "which one?", ""),
        ("/effort", "the effort is high", ""),
        ("/effort high", "set already", ""),
        ("/goal drop", "there is no goal", ""),
        ("/plan off", "nothing is planned", ""),
        ("/undo-compaction", "no compaction", ""),
        ("/effort hihg", "`hihg` is no effort", "/effort hihg"),
        (
            "/jobs/sessions",
            "no command /jobs/sessions",
            "/jobs/sessions",
        ),
        ("/job x", "no command /job", "/job x"),
    ] {
        let mut screen = Screen::new(120, 24);
        assert_eq!(asked(&mut screen, line), [], "{line}");
        let notice = screen.app.notice.as_deref().unwrap();
        assert!(notice.contains(words), "{line}: {notice}");
        assert_eq!(screen.app.editor.text(), left, "{line}");
    }
    let mut screen = Screen::new(120, 24);
    let wishes = asked(&mut screen, "/usr/bin/x is broken");
    assert!(
        matches!(wishes[..], [Wish::Ask(Op::Say { .. })]),
        "{wishes:?}"
    );
}

#[test]
fn nothing_is_checked_any_more_once_the_answer_is_there() {
    let mut screen = Screen::new(80, 24);
    assert_eq!(asked(&mut screen, "/doctor"), [Wish::Check]);
    assert!(screen.shown().contains("checking; this"));
    screen.app.answered("all is well");
    let shown = screen.shown();
    assert!(
        shown.contains("all is well") && !shown.contains("checking"),
        "{shown}"
    );
}

#[test]
fn who_only_looked_may_work_once_a_person_says_so() {
    let mut screen = Screen::new(120, 40);
    let mut set = settings();
    set.policy.phase = Phase::Look;
    screen.record(Event::Configured { settings: set });
    asked(&mut screen, "/permissions");
    let shown = screen.shown();
    assert!(shown.contains("read-only until /plan off"), "{shown}");
    let settings = wanted(&asked(&mut screen, "/plan off"));
    assert_eq!(settings.policy.phase, Phase::Work);
}

#[test]
fn every_key_stands_in_the_help_once() {
    let mut screen = Screen::new(120, 80);
    asked(&mut screen, "/help");
    let shown = screen.shown();
    for key in ["  Ctrl+O ", "  Up, Down ", "  Tab, Alt+Enter ", "  Esc "] {
        assert_eq!(shown.matches(key).count(), 1, "{key}\n{shown}");
    }
}

#[test]
fn models_are_listed_by_their_providers() {
    let mut screen = Screen::new(80, 24);
    screen.app.models = ["fast", "a/one", "b/two", "a/three"]
        .map(str::to_owned)
        .to_vec();
    assert_eq!(asked(&mut screen, "/model"), []);
    assert_eq!(screen.app.editor.text(), "");
    let shown = screen.shown();
    for words in [
        "now                            anthropic/double",
        "a                              one, three",
        "b                              two",
        "fast",
    ] {
        assert!(shown.contains(words), "{words} is not in\n{shown}");
    }
    let settings = wanted(&asked(&mut screen, "/model b/two"));
    assert_eq!(settings.model, "b/two");
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
fn a_review_that_was_asked_for_is_shown_in_a_line_that_unfolds() {
    for (line, title) in [
        ("/review", "› review of what is not committed yet"),
        ("/review branch topic/x", "› review of the branch `topic/x`"),
        ("/review commit abc", "› review of the commit `abc`"),
        ("/review only the parser", "› review of only the parser"),
    ] {
        let mut screen = Screen::new(80, 40);
        let asked = asked(&mut screen, line);
        let [Wish::Ask(Op::Say { content, .. })] = &asked[..] else {
            panic!("{asked:?}");
        };
        let text = content[0].as_text().unwrap();
        screen.asks(text);
        let shown = screen.shown();
        assert!(shown.contains(&format!("{title}\n")), "{shown}");
        assert!(!shown.contains("Change nothing"), "{shown}");
        let mut open = Screen::new(80, 40);
        open.app.conversation.details = crate::calls::Details::Shown;
        open.asks(text);
        assert!(open.shown().contains("Change nothing"));
    }
}

#[test]
fn the_context_is_shown_by_what_fills_it() {
    let mut screen = Screen::new(90, 30);
    screen.record(Event::PrefixSet {
        prefix: Prefix {
            instructions: "i".repeat(8_000),
            tools: Vec::new(),
            ..Prefix::default()
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

#[test]
fn a_model_that_is_wanted_while_it_works_is_noted_and_asked_for_once_it_rests() {
    let mut screen = Screen::new(80, 24);
    let settled = |screen: &mut Screen, event: Event| {
        screen.app.conversation.record(&Record {
            seq: Seq(90),
            at_ms: 0,
            event,
        });
        screen.app.settle()
    };
    let ended = || Event::TurnEnded {
        turn: TurnId(1),
        reason: StopReason::EndTurn,
        detail: String::new(),
    };
    screen.asks("work");
    assert!(asked(&mut screen, "/model other").is_empty());
    let shown = screen.shown();
    assert!(
        shown.contains("from the next turn on, or once you pause this one: model other"),
        "{shown}"
    );
    // Other settings are changed meanwhile, and stay changed.
    let settings = wanted(&asked(&mut screen, "/effort max"));
    assert_eq!(settings.model, "anthropic/double");
    assert!(settled(&mut screen, Event::Configured { settings }).is_empty());
    // A turn that follows at once has begun before the model is asked for.
    let wanted = settled(&mut screen, ended());
    assert_eq!(wanted.len(), 1);
    assert!(settled(&mut screen, Event::TurnStarted { turn: TurnId(1) }).is_empty());
    screen.app.was_refused(&wanted[0], "between turns only");
    assert!(screen.shown().contains("model other: not yet"));
    let ops = settled(&mut screen, ended());
    let [Op::Configure { settings }] = ops.as_slice() else {
        panic!("{ops:?}");
    };
    assert_eq!(settings.model, "other");
    assert_eq!(settings.effort, Effort::Max);
    let settings = settings.clone();
    assert!(settled(&mut screen, Event::Configured { settings }).is_empty());
    assert!(screen.app.next_model.is_none());
}

#[test]
fn a_model_that_is_wanted_can_be_dropped_and_is_not_lost_in_silence() {
    let mut screen = Screen::new(80, 24);
    screen.asks("work");
    asked(&mut screen, "/model other");
    let quit = asked(&mut screen, "/quit");
    assert!(!quit.contains(&Wish::Quit), "{quit:?}");
    assert!(screen.shown().contains("once more leaves without it"));
    assert!(asked(&mut screen, "/quit").contains(&Wish::Quit));
    assert!(asked(&mut screen, "/model anthropic/double").is_empty());
    assert!(
        screen
            .shown()
            .contains("model other is not wanted any more")
    );
    asked(&mut screen, "/model other");
    screen.app.left();
    let shown = screen.shown();
    let lost = "model other was not set in the session that you left";
    assert!(shown.contains(lost), "{shown}");
}
