//! Questions about files on a screen, which show what would become of them.

use quire_protocol::Proposed;

use super::*;

/// A question about files, which says what would become of them.
fn about_files(diffs: &[(&str, &str)]) -> Screen {
    let mut screen = Screen::new(80, 24);
    screen.asks("change it");
    screen.replies(vec![call(1, "edit", r#"{"path":"src/a.rs"}"#)]);
    let proposed = |(path, diff): &(&str, &str)| Proposed {
        path: (*path).to_owned(),
        diff: (*diff).to_owned(),
    };
    screen.record(Event::ApprovalAsked {
        call: CallId(1),
        approval: Approval {
            action: "edit src/a.rs".to_owned(),
            reason: "it changes files".to_owned(),
            touches: vec!["src/a.rs (changed)".to_owned()],
            changes: diffs.iter().map(proposed).collect(),
            ..Approval::default()
        },
    });
    screen.app.face();
    screen
}

#[test]
fn a_question_about_files_shows_the_change_itself() {
    let mut screen = about_files(&[(
        "src/a.rs",
        "@@\n fn f() {\n-    1\n+    2\u{202e}\n@@\n+x\n",
    )]);
    screen.check(&expect![[r#"

        › change it

        ? edit asks to change:
            edit src/a.rs
               fn f() {
              -    1
              +    2\u{202e}
              ⋮
              +x
          touches: src/a.rs (changed)
          why: it changes files
          y once · n no, n WHY · then Enter
        ◦ waiting for your answer · 12 s · 1.2k tokens · Esc stops
        ────────────────────────────────────────────────────────────────────────────────
        ›
        double · high · context 26% of 200k · $0.04 · workspace-write · topic/größe
        [15, 2]
    "#]]);
    let mut screen = about_files(&[("a", "@@\n-x\n"), ("b\u{1b}[2J", "@@\n+y\n")]);
    screen.check(&expect![[r#"

        › change it

        ? edit asks to change:
            edit src/a.rs
            a
              -x
            b\u{1b}[2J
              +y
          touches: src/a.rs (changed)
          why: it changes files
          y once · n no, n WHY · then Enter
        ◦ waiting for your answer · 12 s · 1.2k tokens · Esc stops
        ────────────────────────────────────────────────────────────────────────────────
        ›
        double · high · context 26% of 200k · $0.04 · workspace-write · topic/größe
        [14, 2]
    "#]]);
}

#[test]
fn a_long_change_stands_above_its_question_whole() {
    let lines: Vec<String> = (0..15).map(|number| format!("+line {number}\n")).collect();
    let diff = format!("@@\n{}… 99 bytes of the diff left out\n", lines.concat());
    let mut screen = about_files(&[("src/a.rs", &diff)]);
    screen.check(&expect![[r#"
              +line 6
              +line 7
              +line 8
              +line 9
              +line 10
              +line 11
              +line 12
              +line 13
              +line 14
               … 99 bytes of the diff left out

        ? edit asks to change:
            edit src/a.rs
              +line 0
              +line 1
              +line 2
            … all of it stands above
          touches: src/a.rs (changed)
          why: it changes files
          y once · n no, n WHY · then Enter
        ◦ waiting for your answer · 12 s · 1.2k tokens · Esc stops
        ────────────────────────────────────────────────────────────────────────────────
        ›
        double · high · context 26% of 200k · $0.04 · workspace-write · topic/größe
        [22, 2]
    "#]]);
}
