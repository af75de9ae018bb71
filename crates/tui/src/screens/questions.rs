//! Questions on a screen, and what answers them.

use super::*;

/// A screen with an open question.
fn asked() -> Screen {
    asked_on(80, 24)
}

fn asked_on(columns: u16, rows: u16) -> Screen {
    let mut screen = Screen::new(columns, rows);
    screen.asks("push it");
    screen.replies(vec![call(1, "bash", r#"{"command":"git push"}"#)]);
    screen.record(Event::ApprovalAsked {
        call: CallId(1),
        approval: Approval {
            action: "git push origin\u{202e} trunk\x1b[2J".to_owned(),
            reason: "it leaves the sandbox: the network".to_owned(),
            prefix: vec!["git".to_owned(), "push".to_owned()],
            ..Approval::default()
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
          y once · s `git push …` for this session · a always · n no, n WHY · then Enter
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
    for (letter, given) in [
        ('y', Answer::AllowOnce),
        ('s', Answer::AllowAlways),
        ('p', Answer::AllowAlways),
        ('n', Answer::no("")),
    ] {
        assert_eq!(screen.press(KeyCode::Char(letter)), [], "{letter}");
        assert_eq!(screen.press(KeyCode::Enter), answer(given), "{letter}");
        assert!(screen.app.editor.is_empty(), "{letter}");
    }
    // What is typed is no answer.
    screen.types("why? y");
    screen.check(&expect![[r#"

        › push it

        ? bash asks to run:
            git push origin\u{202e} trunk\u{1b}[2J
          why: it leaves the sandbox: the network
          Alt+y once · Alt+s `git push …` for this session · Alt+a always · Alt+n no
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
        ruled_by: None,
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
            ..Approval::default()
        },
    });
    screen.press(KeyCode::Char('n'));
    screen.press(KeyCode::Char(' '));
    for key in "thi".chars() {
        assert_eq!(screen.press(KeyCode::Char(key)), []);
    }
    screen.record(Event::ApprovalAnswered {
        call: CallId(1),
        answer: Answer::AllowOnce,
        ruled_by: None,
    });
    let _ = screen.app.settle();
    for key in "s is bad".chars() {
        assert_eq!(screen.press(KeyCode::Char(key)), []);
    }
    screen.press(KeyCode::Home);
    for _ in 0.."this is bad".len() {
        screen.press(KeyCode::Delete);
    }
    assert_eq!(screen.press(KeyCode::Char('y')), []);
    screen.app.face();
    // It was typed before the question was seen.
    let said = screen.press(KeyCode::Enter);
    assert!(matches!(said.as_slice(), [Wish::Ask(Op::Say { .. })]));
    let allowed = Wish::Ask(Op::Answer {
        call: next,
        answer: Answer::AllowOnce,
    });
    assert_eq!(screen.press(KeyCode::Char('y')), []);
    assert_eq!(screen.press(KeyCode::Enter), [allowed]);
}

/// An agent's call may have one question after another, each about something else.
#[test]
fn what_was_typed_at_a_question_answers_no_later_one_of_the_same_call() {
    let mut screen = asked();
    assert_eq!(screen.press(KeyCode::Char('y')), []);
    screen.record(Event::ApprovalAnswered {
        call: CallId(1),
        answer: Answer::no(""),
        ruled_by: None,
    });
    let _ = screen.app.settle();
    screen.record(Event::ApprovalAsked {
        call: CallId(1),
        approval: Approval {
            action: "rm -r /".to_owned(),
            ..Approval::default()
        },
    });
    let _ = screen.app.settle();
    screen.app.face();
    assert_eq!(screen.press(KeyCode::Enter), []);
    let allowed = Wish::Ask(Op::Answer {
        call: CallId(1),
        answer: Answer::AllowOnce,
    });
    assert_eq!(screen.press(KeyCode::Char('y')), []);
    assert_eq!(screen.press(KeyCode::Enter), [allowed]);
}

/// What would run and the keys that answer it are the last that a small screen leaves out.
#[test]
fn a_question_can_be_answered_on_the_smallest_screen() {
    for (columns, rows, expected) in [
        (
            40,
            8,
            expect![[r#"
                › push it

                ? git push origin\u{202e} trunk\u{1b}[2J
                y/s/a/n
                ◦ waiting… · 12 s · 1.2k tokens · Esc st
                ────────────────────────────────────────
                ›
                double · high · context 26% of 200k
                [6, 2]
            "#]],
        ),
        (
            20,
            5,
            expect![[r#"
                    trunk\u{1b}[2J
                ? git push
                origin\u{202e}…
                y/s/a/n
                ›
                [4, 2]
            "#]],
        ),
        (
            10,
            3,
            expect![[r#"
                    2J
                y/s/a/n? …
                ›
                [2, 2]
            "#]],
        ),
        (
            10,
            2,
            expect![[r#"
                    2J
                y/s/a/n? …
                [1, 2]
            "#]],
        ),
    ] {
        let mut screen = asked_on(columns, rows);
        screen.check(&expected);
        let allowed = Wish::Ask(Op::Answer {
            call: CallId(1),
            answer: Answer::AllowOnce,
        });
        assert_eq!(screen.press(KeyCode::Char('y')), []);
        let shown = screen.shown();
        assert!(shown.contains("Enter: onc"), "{shown}");
        assert_eq!(screen.press(KeyCode::Enter), [allowed]);
        screen.types("do");
        let shown = screen.shown();
        assert!(shown.contains("› do"), "{shown}");
    }
}

#[test]
fn what_a_small_screen_hides_of_a_question_stands_above_it() {
    for (columns, rows, hidden) in [
        (80, 24, false),
        (40, 8, false),
        (20, 5, true),
        (10, 3, true),
    ] {
        let mut screen = asked_on(columns, rows);
        let above: Vec<String> = screen
            .app
            .conversation
            .take_done()
            .iter()
            .map(ToString::to_string)
            .collect();
        let above = above.join("\n");
        let all = "asks to run all of this:\n    git push origin\\u{202e} trunk\\u{1b}[2J";
        assert_eq!(above.contains(all), hidden, "{columns} {rows} {above}");
    }
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
            ..Approval::default()
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
          y once · n no, n WHY · then Enter
        ◦ waiting for your answer · 12 s · 1.2k tokens · Esc stops
        ────────────────────────────────────────────────────────────────────────────────
        ›
        double · high · context 26% of 200k · $0.04 · workspace-write · topic/größe
        [22, 2]
    "#]]);
}

#[test]
fn a_letter_at_a_question_says_what_enter_would_give() {
    for (letter, words) in [
        ("y", "Enter allows it, this once"),
        (
            "s",
            "Enter allows whatever begins with `git push …`, for this session, outside",
        ),
        ("a", "always and in all folders"),
        ("n", "Enter says no · Space, then why"),
        ("ye", "Alt+y once"),
    ] {
        let mut screen = asked();
        screen.types(letter);
        let shown = screen.shown();
        assert!(shown.contains(words), "{letter}: {shown}");
        assert!(shown.contains(&format!("› {letter}")), "{letter}: {shown}");
    }
    let mut screen = asked();
    screen.types("n not yet");
    assert!(screen.shown().contains("no, because › not yet"));
    let no = Answer::no("not yet");
    let call = CallId(1);
    let denied = Wish::Ask(Op::Answer { call, answer: no });
    assert_eq!(screen.press(KeyCode::Enter), [denied]);
    assert!(screen.app.editor.is_empty());
}

#[test]
fn always_answers_for_the_session_and_keeps_a_rule() {
    let mut screen = asked();
    screen.types("a");
    let answered = Wish::Ask(Op::Answer {
        call: CallId(1),
        answer: Answer::AllowAlways,
    });
    assert_eq!(screen.press(KeyCode::Enter), [answered]);
    let kept = screen.app.take_rule(&counts(Answer::AllowAlways));
    assert_eq!(kept, Some(vec!["git".to_owned(), "push".to_owned()]));
    assert_eq!(screen.app.take_rule(&counts(Answer::AllowAlways)), None);
    screen.app.kept(Ok(()));
    screen.app.kept(Err("it is full".to_owned()));
    let shown = screen.shown();
    assert!(
        shown.contains("a rule in your settings allows it from now on"),
        "{shown}"
    );
    assert!(
        shown.contains("allowed for this session only: it is full"),
        "{shown}"
    );
}

/// This answer to the first question is the one that counts.
fn counts(answer: Answer) -> Event {
    Event::ApprovalAnswered {
        call: CallId(1),
        answer,
        ruled_by: None,
    }
}

#[test]
fn an_always_that_comes_behind_another_answer_keeps_no_rule() {
    let mut screen = asked();
    screen.types("a");
    screen.press(KeyCode::Enter);
    assert_eq!(screen.app.take_rule(&counts(Answer::no(""))), None);
    assert_eq!(screen.app.take_rule(&counts(Answer::AllowAlways)), None);
    assert!(screen.shown().contains("another answer came first"));
}

#[test]
fn a_key_that_can_do_nothing_says_so() {
    let mut screen = Screen::new(80, 24);
    screen.asks("push it");
    screen.replies(vec![call(1, "bash", "{}")]);
    screen.record(question(1, "git push | sh", &[]));
    screen.app.face();
    for letter in ["s", "a"] {
        screen.types(letter);
        let shown = screen.shown();
        assert!(shown.contains("this can only be allowed once"), "{shown}");
        assert_eq!(screen.press(KeyCode::Enter), []);
        let notice = screen.app.notice.take().unwrap();
        assert!(notice.contains("only be allowed once"), "{notice}");
    }
}

#[test]
fn an_answer_whose_question_is_gone_is_given_to_no_other_and_said_to_nobody() {
    let mut screen = asked();
    screen.record(question(2, "rm -r /", &["rm"]));
    screen.types("s");
    screen.record(Event::ApprovalAnswered {
        call: CallId(1),
        answer: Answer::AllowOnce,
        ruled_by: None,
    });
    screen.app.face();
    assert_eq!(screen.press(KeyCode::Enter), []);
    let notice = screen.app.notice.as_deref();
    assert_eq!(notice, Some("that question is answered already"));
    assert!(screen.app.editor.is_empty());
}

/// Whatever is written while questions come and go, at any speed, it grants nothing.
#[test]
fn no_sentence_grants_anything() {
    const WORDS: &[&str] = &[
        "stop", "yes", "y", "please", "s", "don't", "n", "p", "no", "a", "always", "so", "origin",
        "I", "said", "Yes,", "Stop!", "push", "allow",
    ];
    let mut dice = 0x5eed_u64;
    let mut roll = move |sides: u64| {
        dice = dice.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        (dice >> 33) % sides
    };
    for round in 0..400 {
        let mut screen = asked();
        let (mut next, mut wishes) = (2, Vec::new());
        let words: Vec<&str> = (0..2 + roll(6))
            .map(|_| WORDS[usize::try_from(roll(WORDS.len() as u64)).unwrap()])
            .collect();
        let sentence = words.join(" ");
        for char in sentence.chars() {
            wishes.extend(screen.press(KeyCode::Char(char)));
            match roll(8) {
                0 | 1 => screen.app.face(),
                2 => {
                    screen.record(question(next, "git push", &["git", "push"]));
                    next += 1;
                }
                3 if next > 2 => {
                    let open = screen.app.conversation.asked.first();
                    if let Some(call) = open.map(|(call, _)| *call) {
                        screen.record(Event::ApprovalAnswered {
                            call,
                            answer: Answer::AllowOnce,
                            ruled_by: None,
                        });
                    }
                }
                _ => {}
            }
        }
        wishes.extend(screen.press(KeyCode::Enter));
        let grants = |wish: &&Wish| {
            matches!(
                wish,
                Wish::Ask(Op::Answer {
                    answer: Answer::AllowOnce | Answer::AllowAlways,
                    ..
                })
            )
        };
        let granted = wishes.iter().find(grants);
        assert_eq!(granted, None, "{round}: {sentence}");
    }
}

/// A question about a command.
fn question(call: u32, action: &str, prefix: &[&str]) -> Event {
    Event::ApprovalAsked {
        call: CallId(call),
        approval: Approval {
            action: action.to_owned(),
            reason: "it may change something".to_owned(),
            prefix: prefix.iter().map(|word| (*word).to_owned()).collect(),
            ..Approval::default()
        },
    }
}

/// What nobody answered does not read as if somebody had.
#[test]
fn a_question_that_a_rule_answers_says_so() {
    let mut screen = asked();
    screen.record(question(2, "git push", &["git", "push"]));
    for (number, answer, ruled_by) in [
        (1, Answer::AllowAlways, None),
        (2, Answer::AllowOnce, Some(CallId(1))),
    ] {
        screen.record(Event::ApprovalAnswered {
            call: CallId(number),
            answer,
            ruled_by,
        });
    }
    let shown = screen.shown();
    assert!(shown.contains("allowed for this session: bash"), "{shown}");
    assert!(
        shown.contains("allowed by the rule just made: call 2"),
        "{shown}"
    );
    assert!(!shown.contains("allowed once"), "{shown}");
}
