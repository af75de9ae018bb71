//! Screens that are all of the terminal: what is seen, scrolling, unfolding in place, looking for words.

use super::work::at_work;
use super::*;
use crate::pages::{Pages, Scroll};

struct Full {
    screen: Screen,
    pages: Pages,
}

impl Full {
    fn new(columns: u16, rows: u16) -> Self {
        let mut screen = Screen::new(columns, rows);
        screen.painter = Painter::new((columns, rows), Theme::default(), Room::Full);
        let pages = Pages::default();
        Self { screen, pages }
    }

    fn picture(&mut self) -> Picture {
        let app = &mut self.screen.app;
        self.pages.take_in(app.conversation.take_parts());
        let size = self.screen.painter.size();
        let below = picture(app, size, Duration::from_millis(12_345));
        self.pages.above(below, size)
    }

    fn shown(&mut self) -> String {
        let picture = self.picture();
        self.screen.show(Vec::new(), &picture)
    }

    fn check(&mut self, expected: &Expect) {
        expected.assert_eq(&self.shown());
    }

    fn resize(&mut self, columns: u16, rows: u16) {
        let size = |number| NonZeroU16::new(number).unwrap();
        let terminal = &mut self.screen.terminal;
        terminal.screen_mut().set_size(size(rows), size(columns));
        self.screen
            .painter
            .resize((columns, rows), &Picture::default());
        let picture = self.picture();
        let bytes = self.screen.painter.resize((columns, rows), &picture);
        self.screen.terminal.process(bytes.as_bytes());
    }

    /// Says so many lines, in an answer.
    fn says_lines(&mut self, lines: usize) {
        let text: Vec<String> = (0..lines).map(|line| format!("line {line} 漢字")).collect();
        self.screen.asks("count");
        self.screen.replies(vec![words(&text.join("\n"))]);
    }
}

#[test]
fn the_conversation_is_above_and_the_input_below() {
    let mut small = Full::new(80, 24);
    at_work(&mut small.screen);
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
}

#[test]
fn a_large_terminal_has_room_between_the_conversation_and_the_input() {
    let mut large = Full::new(120, 40);
    at_work(&mut large.screen);
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
        [38, 8]
    "#]]);
}

#[test]
fn pages_go_up_and_down_and_new_lines_do_not_move_them() {
    let mut full = Full::new(40, 10);
    full.says_lines(60);
    full.shown();
    full.pages.scroll(Scroll::PageUp);
    full.check(&expect![[r#"
        line 52 漢字
        line 53 漢字
        line 54 漢字
        line 55 漢字
        ↓ 4 lines below · End

        ◦ waiting… · 12 s · 1.2k tokens · Esc st
        ────────────────────────────────────────
        › Enter steers · Tab queues
        double · high · context 26% of 200k
        [8, 2]
    "#]]);
    full.screen.streams("x\ny\n");
    full.screen.replies(vec![words("more\nand more")]);
    let after = full.shown();
    assert!(after.starts_with("line 52 漢字\n"), "{after}");
    full.pages.scroll(Scroll::Start);
    full.check(&expect![[r#"

        › count

        line 0 漢字
        ↓ 61 lines below · End

        ◦ waiting… · 12 s · 2.4k tokens · Esc st
        ────────────────────────────────────────
        › Enter steers · Tab queues
        double · high · context 26% of 200k
        [8, 2]
    "#]]);
    full.pages.scroll(Scroll::WheelDown);
    let after = full.shown();
    assert!(after.starts_with("line 0 漢字\n"), "{after}");
    for _ in 0..20 {
        full.pages.scroll(Scroll::PageDown);
    }
    full.check(&expect![[r#"
        line 57 漢字
        line 58 漢字
        line 59 漢字
        more
        and more

        ◦ waiting… · 12 s · 2.4k tokens · Esc st
        ────────────────────────────────────────
        › Enter steers · Tab queues
        double · high · context 26% of 200k
        [8, 2]
    "#]]);
}

#[test]
fn a_call_is_unfolded_where_it_stands_and_folded_again() {
    let mut full = Full::new(60, 14);
    full.screen.asks("look");
    full.screen
        .replies(vec![call(1, "bash", r#"{"command":"ls"}"#)]);
    full.screen.record(Event::ToolStarted { call: CallId(1) });
    let printed = ToolOutcome::text(ToolStatus::Done, "größe.rs\n漢字\x1b[2J");
    full.screen.ends(1, printed);
    full.screen.replies(vec![words("That is all.")]);
    let before = full.shown();
    let calls = &full.screen.app.conversation.ended;
    full.pages.unfold(calls).unwrap();
    full.check(&expect![[r#"

        › look

        ✓ bash ls · 2 lines
            größe.rs
            漢字

        That is all.


        ◦ waiting for the model · 12 s · 2.4k tokens · Esc stops
        ────────────────────────────────────────────────────────────
        › Enter steers · Tab queues
        double · high · context 26% of 200k · $0.09
        [12, 2]
    "#]]);
    let calls = &full.screen.app.conversation.ended;
    full.pages.unfold(calls).unwrap();
    assert_eq!(full.shown(), before);
    let mut none = Full::new(60, 14);
    none.says_lines(3);
    none.shown();
    let calls = &none.screen.app.conversation.ended;
    assert!(none.pages.unfold(calls).is_err());
}

#[test]
fn words_are_found_upwards_and_then_from_the_end_again() {
    let mut full = Full::new(40, 10);
    full.says_lines(60);
    full.shown();
    let marked = |full: &Full| {
        let screen = full.screen.terminal.screen();
        let row = (0..10).find(|row| screen.cell(*row, 0).is_some_and(vt100::Cell::inverse));
        row.map(|row| {
            screen
                .rows(0, 40)
                .nth(row.into())
                .unwrap()
                .trim()
                .to_owned()
        })
    };
    let found = [
        ("LINE 1", "line 19"),
        ("", "line 18"),
        ("line 2 ", "line 2"),
        ("", "line 2"),
    ];
    for (words, line) in found {
        full.pages.find(words).unwrap();
        full.shown();
        assert_eq!(marked(&full), Some(format!("{line} 漢字")), "{words}");
    }
    assert!(full.pages.find("nowhere").is_err());
    assert!(Pages::default().find("").is_err());
}

#[test]
fn every_size_shows_a_whole_screen() {
    let mut full = Full::new(80, 24);
    at_work(&mut full.screen);
    full.says_lines(30);
    full.shown();
    for (columns, rows) in [(10, 3), (1, 1), (2, 2), (300, 4), (7, 60), (40, 10)] {
        full.pages.scroll(Scroll::PageUp);
        full.resize(columns, rows);
        let drawn = full.picture().rows.len();
        assert_eq!(drawn, usize::from(rows), "{columns} {rows}");
    }
    for number in 0..40_u16 {
        full.resize(3 + number * 7 % 120, 1 + number * 5 % 50);
    }
    full.pages.scroll(Scroll::End);
    full.resize(80, 24);
    let storm = full.shown();
    let mut calm = Full::new(80, 24);
    at_work(&mut calm.screen);
    calm.says_lines(30);
    assert_eq!(storm, calm.shown());
}

#[test]
fn a_long_conversation_is_kept_within_a_bound() {
    let mut full = Full::new(80, 24);
    for _ in 0..12 {
        full.says_lines(1_000);
        full.picture();
    }
    let kept = full.pages.last_exchange().len();
    assert!(kept <= 200, "{kept}");
    full.pages.scroll(Scroll::Start);
    let shown = full.shown();
    assert!(shown.contains("earlier lines are not kept here"), "{shown}");
    let left = full.pages.last_exchange();
    assert_eq!(left.last().unwrap().to_string(), "line 999 漢字");
}
