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
    let _ = screen.app.settle();
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
            y/p/n
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
                y/p/n
                ›
                [4, 2]
            "#]],
        ),
        (
            10,
            3,
            expect![[r#"
                    2J
                y/p/n? gi…
                ›
                [2, 2]
            "#]],
        ),
        (
            10,
            2,
            expect![[r#"
                    2J
                y/p/n? gi…
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
        assert_eq!(screen.press(KeyCode::Char('y')), [allowed]);
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
