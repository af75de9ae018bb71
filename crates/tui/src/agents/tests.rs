//! The board, from lists and journals to what a terminal shows.

use std::num::NonZeroU16;

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};
use expect_test::{Expect, expect};
use quire_protocol::{
    Agent, Answer, Approval, CallId, Delivery, Delta, Event, Frame, Item, Op, Purpose, Record,
    RequestId, Seq, SessionHead, SessionId, Standing, StopReason, TokenStop, ToolCall, TurnId,
    Usage,
};

use super::board::{Board, Want};
use super::draw::picture;
use super::peek::Peek;
use crate::painter::Painter;
use crate::setup::Room;
use crate::theme::Theme;

const NOW: u64 = 10_000_000;

fn agent(id: &str, standing: Standing, title: &str, detail: &str) -> Agent {
    Agent {
        head: SessionHead {
            session: SessionId::new(id),
            created_ms: 0,
            updated_ms: NOW - 180_000,
            workspace: "/home/me/parser".to_owned(),
            title: title.to_owned(),
            events: 9,
            parent: None,
        },
        standing,
        detail: detail.to_owned(),
        model: "anthropic/double".to_owned(),
        asked: (standing == Standing::NeedsYou).then_some(CallId(1)),
        faces: 0,
    }
}

fn some() -> Vec<Agent> {
    let ask = "asks whether it may run: make push";
    let mut crashed = agent(
        "0199-d",
        Standing::NeedsYou,
        "crashed",
        "its process died in the middle of a turn",
    );
    crashed.asked = None;
    vec![
        agent("0199-a", Standing::Done, "add a test", "It is added."),
        agent("0199-b", Standing::NeedsYou, "deploy größe 漢字", ask),
        agent("0199-c", Standing::Working, "make the tests pass", "bash"),
        crashed,
        agent("0199-e", Standing::Failed, "", "no key\u{1b}[2J"),
    ]
}

/// A board on a terminal.
struct Shown {
    board: Board,
    painter: Painter,
    terminal: vt100::Parser,
    seq: u64,
}

impl Shown {
    fn new(columns: u16, rows: u16) -> Self {
        let size = |number| NonZeroU16::new(number).unwrap();
        Self {
            board: Board::new("test".to_owned(), None, (columns, rows)),
            painter: Painter::new((columns, rows), Theme::default(), Room::Full),
            terminal: vt100::Parser::new(size(rows), size(columns), 0),
            seq: 0,
        }
    }

    fn press(&mut self, code: KeyCode) -> Vec<Want> {
        self.board.key(KeyEvent::new(code, KeyModifiers::NONE))
    }

    fn types(&mut self, text: &str) {
        for char in text.chars() {
            assert_eq!(self.press(KeyCode::Char(char)), []);
        }
    }

    /// The chosen session is looked at.
    fn looks(&mut self) {
        let session = self.board.chosen.clone().unwrap();
        self.board.peek = Some(Peek::new(session, self.board.size.0));
    }

    fn record(&mut self, event: Event) {
        self.seq += 1;
        let record = Record {
            seq: Seq(self.seq),
            at_ms: self.seq * 1_000,
            event,
        };
        let peek = self.board.peek.as_mut().unwrap();
        peek.take(&Frame::Record(record));
    }

    /// It says something and calls a tool.
    fn calls(&mut self, words: &str, command: &str) {
        self.record(Event::TurnStarted { turn: TurnId(1) });
        self.record(Event::ModelCalled {
            request: RequestId(1),
            items: 1,
            purpose: Purpose::Work,
            estimate: 0,
            chosen: None,
            worked_ms: 0,
        });
        let items = vec![
            Item::Assistant {
                text: words.to_owned(),
                opaque: None,
            },
            Item::ToolCall(ToolCall {
                call: CallId(1),
                provider_id: "p".to_owned(),
                name: "bash".to_owned(),
                arguments: serde_json::json!({ "command": command }).to_string(),
            }),
        ];
        self.record(Event::ModelReplied {
            request: RequestId(1),
            model: "double".to_owned(),
            items,
            plans: Vec::new(),
            stop: TokenStop::EndTurn,
            usage: Usage::default(),
            cost: None,
            retries: Vec::new(),
        });
    }

    fn asks(&mut self, action: &str) {
        self.asks_with(action, &[]);
    }

    /// A question that can be answered with "always" for what begins so.
    fn asks_with(&mut self, action: &str, prefix: &[&str]) {
        self.record(Event::ApprovalAsked {
            call: CallId(1),
            approval: Approval {
                action: action.to_owned(),
                reason: "it needs the network".to_owned(),
                prefix: prefix.iter().map(|word| (*word).to_owned()).collect(),
                touches: vec!["writes in /w".to_owned(), "no network".to_owned()],
                ..Approval::default()
            },
        });
    }

    #[track_caller]
    fn check(&mut self, expected: &Expect) {
        let picture = picture(&self.board, NOW);
        let bytes = self.painter.frame(Vec::new(), &picture);
        self.terminal.process(bytes.as_bytes());
        let screen = self.terminal.screen();
        let rows: Vec<String> = screen
            .rows(0, self.board.size.0)
            .map(|row| row.trim_end().to_owned())
            .collect();
        let (row, column) = screen.cursor_position();
        expected.assert_eq(&format!("{}\n[{row}, {column}]\n", rows.join("\n")));
    }
}

fn session(id: &str) -> SessionId {
    SessionId::new(id)
}

#[test]
fn sessions_stand_by_what_they_need_and_the_chosen_one_is_seen() {
    let mut shown = Shown::new(80, 22);
    shown.check(&expect![[r#"
        Agents  looking




















        ↑ ↓ choose · Enter opens · r reply · y a n answer · s stop · p pause · q leave
        [1, 0]
    "#]]);
    shown.board.know(some());
    shown.looks();
    shown.calls("I have **looked**.\n\nNow I push.", "make push");
    shown.asks("make push\u{202e} --force");
    shown.board.face();
    shown.check(&expect![[r#"
        Agents  2 wait for you · 1 works
        Needs you
        › deploy größe 漢字           parser         3 min   asks whether it may run: m…
          crashed                     parser         3 min   its process died in the mi…
        Working
          make the tests pass         parser         3 min   bash
        Failed
          (nothing said yet)          parser         3 min   no key
        Done
          add a test                  parser         3 min   It is added.
        ── 0199-b · anthropic/double · /home/me/parser ─────────────────────────────────
        I have looked.

        Now I push.

        ? bash asks to run:
            make push\u{202e} --force
          touches: writes in /w; no network
          why: it needs the network
          y once, then Enter · n no

        ↑ ↓ choose · Enter opens · r reply · y a n answer · s stop · p pause · q leave
        [2, 0]
    "#]]);
}

#[test]
fn another_choice_is_seen_by_what_the_list_says_until_it_is_looked_at() {
    let mut shown = Shown::new(80, 22);
    shown.board.know(some());
    shown.press(KeyCode::Down);
    shown.press(KeyCode::Down);
    assert_eq!(shown.board.chosen, Some(session("0199-c")));
    shown.check(&expect![[r#"
        Agents  2 wait for you · 1 works
        Needs you
          deploy größe 漢字           parser         3 min   asks whether it may run: m…
          crashed                     parser         3 min   its process died in the mi…
        Working
        › make the tests pass         parser         3 min   bash
        Failed
          (nothing said yet)          parser         3 min   no key
        Done
          add a test                  parser         3 min   It is added.
        ── 0199-c · anthropic/double · /home/me/parser ─────────────────────────────────
        bash









        ↑ ↓ choose · Enter opens · r reply · y a n answer · s stop · p pause · q leave
        [5, 0]
    "#]]);
    shown.looks();
    shown.calls("I run them.", "cargo test");
    shown.record(Event::ToolStarted { call: CallId(1) });
    let text = "running 3 tests\ntest one ... ok\n".to_owned();
    let call = CallId(1);
    let output = Frame::Delta(Delta::ToolOutput { call, text });
    shown.board.peek.as_mut().unwrap().take(&output);
    shown.check(&expect![[r#"
        Agents  2 wait for you · 1 works
        Needs you
          deploy größe 漢字           parser         3 min   asks whether it may run: m…
          crashed                     parser         3 min   its process died in the mi…
        Working
        › make the tests pass         parser         3 min   bash
        Failed
          (nothing said yet)          parser         3 min   no key
        Done
          add a test                  parser         3 min   It is added.
        ── 0199-c · anthropic/double · /home/me/parser ─────────────────────────────────
        I run them.

        ● bash cargo test
            running 3 tests
            test one ... ok





        ↑ ↓ choose · Enter opens · r reply · y a n answer · s stop · p pause · q leave
        [5, 0]
    "#]]);
}

#[test]
fn a_small_terminal_shows_the_chosen_session_and_no_half_question() {
    let mut shown = Shown::new(40, 11);
    shown.board.know(some());
    shown.looks();
    shown.calls("Now I push.", "make push");
    shown.asks("make push");
    shown.check(&expect![[r#"
        Agents  2 wait for you · 1 works
        Needs you
        › deploy größe…  parser  3 min   asks w…
          crashed        parser  3 min   its pr…
        ── 0199-b · anthropic/double · /home/me…
        ? bash asks to run:
            make push
          touches: writes in /w; no network
          why: it needs the network
          …
        ↑ ↓ choose · Enter opens · r reply · y…
        [2, 0]
    "#]]);
    shown.board.face();
    let once = Op::Answer {
        call: CallId(1),
        answer: Answer::AllowOnce,
    };
    let asked = vec![Want::Ask(session("0199-b"), once)];
    assert_eq!(shown.press(KeyCode::Char('y')), []);
    assert_eq!(shown.press(KeyCode::Enter), asked);
    let mut shown = Shown::new(40, 8);
    shown.board.know(some());
    shown.looks();
    shown.calls("Now I push.", "make push");
    shown.asks("one\ntwo\nthree\nfour\nrm -rf .");
    shown.board.face();
    assert_eq!(shown.press(KeyCode::Char('y')), []);
    let notice = shown.board.notice.clone().unwrap();
    assert!(notice.contains("Enter opens it"), "{notice}");
}

#[test]
fn a_yes_in_hand_answers_no_later_question_of_the_same_call() {
    let mut shown = Shown::new(80, 30);
    shown.board.know(some());
    shown.looks();
    shown.calls("", "make push");
    shown.asks("make push");
    shown.board.face();
    assert_eq!(shown.press(KeyCode::Char('y')), []);
    shown.record(Event::ApprovalAnswered {
        call: CallId(1),
        answer: Answer::no(""),
        ruled_by: None,
    });
    shown.asks("rm -r /");
    assert!(shown.board.is_surprised());
    shown.board.face();
    assert_eq!(shown.press(KeyCode::Enter), []);
}

#[test]
fn a_question_is_answered_once_it_was_seen_and_only_that_one() {
    let mut shown = Shown::new(80, 30);
    shown.board.know(some());
    // Nothing is known of it yet.
    assert_eq!(shown.press(KeyCode::Char('y')), []);
    shown.looks();
    shown.calls("", "make push");
    shown.asks("make push");
    assert!(shown.board.is_surprised());
    assert_eq!(shown.press(KeyCode::Char('y')), []);
    assert_eq!(shown.press(KeyCode::Char('n')), []);
    assert_eq!(shown.board.typing, None);
    shown.board.face();
    assert_eq!(shown.press(KeyCode::Char('n')), []);
    shown.types("too early");
    let answer = |answer| {
        let call = CallId(1);
        vec![Want::Ask(session("0199-b"), Op::Answer { call, answer })]
    };
    let no = Answer::no("too early");
    assert_eq!(shown.press(KeyCode::Enter), answer(no));
    // What was seen of one session answers nothing of another.
    shown.press(KeyCode::Down);
    assert_eq!(shown.press(KeyCode::Char('y')), []);
    shown.press(KeyCode::Up);
    assert_eq!(shown.press(KeyCode::Char('y')), []);
    assert_eq!(shown.press(KeyCode::Enter), answer(Answer::AllowOnce));
    // A letter alone gives nothing, and whatever else is pressed takes it back.
    for key in [KeyCode::Down, KeyCode::Esc, KeyCode::Char('e')] {
        shown.press(KeyCode::Char('y'));
        assert_eq!(shown.press(key), []);
        shown.press(KeyCode::Up);
        let opened = shown.press(KeyCode::Enter);
        assert!(matches!(opened.as_slice(), [Want::Open(_)]), "{key:?}");
    }
}

#[test]
fn a_question_is_answered_for_all_that_begin_alike_where_that_can_be() {
    for (prefix, words) in [
        (
            &["make"][..],
            "y once · a `make …` for this session, then Enter · n no",
        ),
        (&[], "y once, then Enter · n no"),
    ] {
        let mut shown = Shown::new(80, 30);
        shown.board.know(some());
        shown.looks();
        shown.calls("", "make push");
        shown.asks_with("make push", prefix);
        assert_eq!(shown.press(KeyCode::Char('a')), [], "it was not seen yet");
        shown.board.face();
        let rows = picture(&shown.board, NOW).rows;
        assert!(
            rows.iter().any(|row| row.to_string().trim() == words),
            "{rows:?}"
        );
        assert_eq!(shown.press(KeyCode::Char('a')), []);
        if prefix.is_empty() {
            assert!(shown.board.notice.unwrap().contains("only be allowed once"));
        } else {
            let (call, answer) = (CallId(1), Answer::AllowAlways);
            assert_eq!(
                shown.press(KeyCode::Enter),
                [Want::Ask(session("0199-b"), Op::Answer { call, answer })]
            );
        }
    }
}

#[test]
fn keys_say_stop_go_on_open_and_leave() {
    let mut shown = Shown::new(80, 22);
    shown.board.know(some());
    let paused = vec![Want::Ask(session("0199-b"), Op::Pause)];
    assert_eq!(shown.press(KeyCode::Char('p')), paused);
    shown.press(KeyCode::Down);
    let crashed = session("0199-d");
    let resumed = vec![Want::Ask(crashed.clone(), Op::Resume)];
    assert_eq!(shown.press(KeyCode::Char('p')), resumed);
    assert_eq!(shown.press(KeyCode::Char('s')), []);
    assert_eq!(shown.board.notice.as_deref(), Some("nothing of it works"));
    shown.press(KeyCode::Char('r'));
    shown.types("qs and y\u{e9}");
    shown.check(&expect![[r#"
        Agents  2 wait for you · 1 works
        Needs you
          deploy größe 漢字           parser         3 min   asks whether it may run: m…
        › crashed                     parser         3 min   its process died in the mi…
        Working
          make the tests pass         parser         3 min   bash
        Failed
          (nothing said yet)          parser         3 min   no key
        Done
          add a test                  parser         3 min   It is added.
        ── 0199-d · anthropic/double · /home/me/parser ─────────────────────────────────
        its process died in the middle of a turn







        ────────────────────────────────────────────────────────────────────────────────
        reply › qs and yé
        Enter: heard at the next step · Tab: after the turn · Esc back
        [20, 17]
    "#]]);
    // What is typed is for the session that it was begun for, however the list changes.
    let mut moved = some();
    moved.reverse();
    shown.board.know(moved);
    let wants = shown.press(KeyCode::Tab);
    let [Want::Ask(to, Op::Say { delivery, .. })] = wants.as_slice() else {
        panic!("{wants:?}");
    };
    assert_eq!((to, *delivery), (&crashed, Delivery::Queue));
    shown.press(KeyCode::Char('r'));
    assert_eq!(shown.press(KeyCode::Esc), []);
    let wants = shown.press(KeyCode::Enter);
    assert!(matches!(wants.as_slice(), [Want::Open(head)] if head.session == crashed));
    assert_eq!(shown.press(KeyCode::Char('q')), [Want::Leave]);
    assert_eq!(shown.press(KeyCode::Esc), [Want::Leave]);
}

#[test]
fn a_letter_with_ctrl_or_alt_is_no_command_of_the_board() {
    let mut shown = Shown::new(80, 22);
    let works = agent("0199-c", Standing::Working, "make the tests pass", "bash");
    shown.board.know(vec![works]);
    for modifiers in [KeyModifiers::CONTROL, KeyModifiers::ALT] {
        for key in ['s', 'y', 'a', 'q'] {
            // On the screen Alt+s allows what is asked, and Ctrl+S is an old habit.
            let key = KeyEvent::new(KeyCode::Char(key), modifiers);
            assert_eq!(shown.board.key(key), [], "{key:?}");
            assert!(shown.board.typing.is_none());
        }
    }
    assert_eq!(shown.press(KeyCode::Char('s')).len(), 1);
    let suspends = KeyEvent::new(KeyCode::Char('z'), KeyModifiers::CONTROL);
    assert_eq!(shown.board.key(suspends), [Want::Suspend]);
}

#[test]
fn a_session_that_is_gone_leaves_the_choice_where_it_was() {
    let mut shown = Shown::new(80, 22);
    shown.board.know(some());
    for _ in 0..9 {
        shown.press(KeyCode::Down);
    }
    assert_eq!(shown.board.chosen, Some(session("0199-a")));
    shown.press(KeyCode::Char('r'));
    let mut fewer = some();
    fewer.remove(0);
    shown.board.know(fewer);
    assert_eq!(shown.board.chosen, Some(session("0199-e")));
    assert_eq!(shown.board.typing, None);
    assert!(shown.board.notice.is_some());
    shown.board.know(Vec::new());
    assert_eq!(shown.board.chosen, None);
    assert_eq!(shown.press(KeyCode::Enter), []);
    shown.board.know(some());
    assert_eq!(shown.board.chosen, Some(session("0199-b")));
}

#[test]
fn a_journal_whose_end_is_read_alone_has_no_made_up_facts() {
    let mut shown = Shown::new(60, 12);
    shown.board.know(some());
    shown.looks();
    shown.record(Event::TurnEnded {
        turn: TurnId(7),
        reason: StopReason::Cancelled,
        detail: String::new(),
    });
    shown.check(&expect![[r#"
        Agents  2 wait for you · 1 works
        Needs you
        › deploy größe 漢字     parser      3 min   asks whether it…
          crashed               parser      3 min   its process die…
        Working
          make the tests pass   parser      3 min   bash
        ── 0199-b · anthropic/double · /home/me/parser ─────────────
        ! stopped



        ↑ ↓ choose · Enter opens · r reply · y a n answer · s stop…
        [2, 0]
    "#]]);
}
