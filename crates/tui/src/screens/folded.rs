//! What was folded on a screen, shown in full afterwards.

use super::*;

fn unfold(screen: &mut Screen) {
    let key = KeyEvent::new(KeyCode::Char('o'), KeyModifiers::CONTROL);
    assert_eq!(screen.app.key(key), [Wish::Unfold]);
    screen.app.notice = screen.app.conversation.show_again().err();
}

/// A turn that ran two tools and is over.
fn over() -> Screen {
    let mut screen = Screen::new(80, 24);
    screen.asks("look around");
    screen.replies(vec![
        Item::Thinking {
            text: "First 漢字. Then\nthe **rest**.".to_owned(),
            opaque: None,
        },
        call(1, "bash", r#"{"command":"ls"}"#),
        call(2, "write", r#"{"path":"größe.rs"}"#),
    ]);
    screen.record(Event::ToolStarted { call: CallId(1) });
    let printed = ToolOutcome::text(ToolStatus::Done, "größe.rs\n漢字\x1b[2J");
    screen.ends(1, printed);
    screen.record(Event::ToolStarted { call: CallId(2) });
    let lines: Vec<String> = (1..=14)
        .map(|line| format!("+let x{line} = {line};"))
        .collect();
    let change = FileChange {
        path: "größe.rs".into(),
        kind: ChangeKind::Added,
        diff: format!("@@ -0,0 +1,14 @@\n{}", lines.join("\n")),
    };
    screen.ends(
        2,
        ToolOutcome {
            changes: vec![change],
            ..ToolOutcome::text(ToolStatus::Done, "ok")
        },
    );
    screen.replies(vec![words("That is all.")]);
    screen.record(Event::TurnEnded {
        turn: TurnId(1),
        reason: StopReason::EndTurn,
        detail: String::new(),
    });
    screen.shown();
    screen
}

#[test]
fn the_last_call_is_shown_in_full_and_then_the_one_before() {
    let mut screen = over();
    unfold(&mut screen);
    screen.check(&expect![[r#"

        That is all.

        · done · 6.3 s · 2.4k tokens · $0.085 · 2 tools · 1 file changed

        ✓ write größe.rs · new, +14 −0
            ok
             1 +let x1 = 1;
             2 +let x2 = 2;
             3 +let x3 = 3;
             4 +let x4 = 4;
             5 +let x5 = 5;
             6 +let x6 = 6;
             7 +let x7 = 7;
             8 +let x8 = 8;
             9 +let x9 = 9;
            10 +let x10 = 10;
            11 +let x11 = 11;
            12 +let x12 = 12;
            13 +let x13 = 13;
            14 +let x14 = 14;
        ────────────────────────────────────────────────────────────────────────────────
        › say what to do · / for commands
        double · high · context 26% of 200k · $0.09 · workspace-write · topic/größe
        [22, 2]
    "#]]);
    unfold(&mut screen);
    screen.check(&expect![[r#"

        ✓ write größe.rs · new, +14 −0
            ok
             1 +let x1 = 1;
             2 +let x2 = 2;
             3 +let x3 = 3;
             4 +let x4 = 4;
             5 +let x5 = 5;
             6 +let x6 = 6;
             7 +let x7 = 7;
             8 +let x8 = 8;
             9 +let x9 = 9;
            10 +let x10 = 10;
            11 +let x11 = 11;
            12 +let x12 = 12;
            13 +let x13 = 13;
            14 +let x14 = 14;

        ✓ bash ls · 2 lines
            größe.rs
            漢字
        ────────────────────────────────────────────────────────────────────────────────
        › say what to do · / for commands
        double · high · context 26% of 200k · $0.09 · workspace-write · topic/größe
        [22, 2]
    "#]]);
    unfold(&mut screen);
    let shown = screen.shown();
    assert!(shown.contains("there is no earlier call"), "{shown}");
    screen.types("/show 2");
    screen.press(KeyCode::Enter);
    let shown = screen.shown();
    assert!(shown.contains("+let x14 = 14;"), "{shown}");
}

#[test]
fn thinking_is_a_line_and_can_be_shown_afterwards_or_always() {
    let mut screen = over();
    screen.types("/thinking");
    screen.press(KeyCode::Enter);
    screen.check(&expect![[r#"
        ✓ bash ls · 2 lines
        ✓ write größe.rs · new, +14 −0
             1 +let x1 = 1;
             2 +let x2 = 2;
             3 +let x3 = 3;
             4 +let x4 = 4;
             5 +let x5 = 5;
             6 +let x6 = 6;
             7 +let x7 = 7;
             8 +let x8 = 8;
             9 +let x9 = 9;
            10 +let x10 = 10;
            11 +let x11 = 11;
            … 3 more lines

        That is all.

        · done · 6.3 s · 2.4k tokens · $0.085 · 2 tools · 1 file changed

        ~ First 漢字. Then
          the rest.
        ────────────────────────────────────────────────────────────────────────────────
        › say what to do · / for commands
        double · high · context 26% of 200k · $0.09 · workspace-write · topic/größe
        [22, 2]
    "#]]);
    screen.types("/thinking on");
    screen.press(KeyCode::Enter);
    screen.asks("again");
    screen.replies(vec![Item::Thinking {
        text: "One.\nTwo.".to_owned(),
        opaque: None,
    }]);
    let shown = screen.shown();
    assert!(shown.contains("~ One.\n  Two."), "{shown}");
}
