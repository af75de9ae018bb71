//! What plain lines make of records, lines and keys.

use quire_protocol::{
    Answer, Approval, CallId, Event, Op, PlanStatus, PlanStep, Record, Seq, TurnId,
};

use super::*;
use crate::picker::{Choice, Picker, Row};
use crate::setup::Form;

fn app() -> App {
    let fit = Arc::new(|settings, _: &[(&'static str, String)]| Ok(settings));
    let mut app = App::new("me".to_owned(), fit);
    app.conversation.form = Form::Plain;
    app
}

fn record(app: &mut App, event: Event) {
    app.conversation.record(&Record {
        seq: Seq(1),
        at_ms: 1_000,
        event,
    });
}

#[test]
fn the_steps_of_a_plan_that_changed_are_printed() {
    let (mut app, mut told) = (app(), Told::default());
    let step = |text: &str, status| PlanStep {
        text: text.to_owned(),
        status,
    };
    let steps = vec![
        step("look", PlanStatus::InProgress),
        step("mend", PlanStatus::Pending),
    ];
    record(&mut app, Event::PlanSet { steps });
    assert_eq!(
        told.news(&mut app),
        "· plan: 0 of 2 done\n  [>] look\n  [ ] mend\n"
    );
    let steps = vec![
        step("look", PlanStatus::Completed),
        step("mend", PlanStatus::Pending),
    ];
    record(&mut app, Event::PlanSet { steps });
    assert_eq!(told.news(&mut app), "· plan: 1 of 2 done\n  [x] look\n");
}

#[test]
fn what_is_done_and_for_how_long_is_said_while_it_works() {
    let (mut app, mut told) = (app(), Told::default());
    app.now_ms = || 21_900;
    told.doing(&app);
    assert_eq!(told.news(&mut app), "");
    record(&mut app, Event::TurnStarted { turn: TurnId(1) });
    told.doing(&app);
    assert_eq!(told.news(&mut app), "waiting for the model · 20 s\n");
    assert_eq!(told.news(&mut app), "");
}

#[test]
fn what_comes_back_into_an_input_that_nobody_sees_is_told() {
    let mut app = app();
    app.editor.set("said before");
    unseen(&mut app);
    assert_eq!(Told::default().news(&mut app), "taken back: said before\n");
    assert_eq!(line_typed(&mut app, "/mod"), []);
    let news = Told::default().news(&mut app);
    assert!(news.contains("/model takes more"), "{news}");
}

/// Plain lines with an open question.
fn asked(prefix: &[&str]) -> App {
    let mut app = App::new("test".to_owned(), Arc::new(|settings, _| Ok(settings)));
    let approval = Approval {
        action: "git push".to_owned(),
        reason: "it may change something".to_owned(),
        prefix: prefix.iter().map(|word| (*word).to_owned()).collect(),
        ..Approval::default()
    };
    let events = [
        Event::TurnStarted { turn: TurnId(1) },
        Event::ApprovalAsked {
            call: CallId(1),
            approval,
        },
    ];
    for (seq, event) in (1..).zip(events) {
        app.conversation.record(&Record {
            seq: Seq(seq),
            at_ms: 0,
            event,
        });
    }
    app.face();
    app
}

/// The first question is answered on another screen, and the next one is asked and seen.
fn answered_elsewhere(app: &mut App) {
    let answered = Event::ApprovalAnswered {
        call: CallId(1),
        answer: Answer::no(""),
        ruled_by: None,
    };
    record(app, answered);
    record(
        app,
        Event::ApprovalAsked {
            call: CallId(2),
            approval: Approval::default(),
        },
    );
    assert_eq!(app.settle(), []);
    app.face();
}

fn press(line: &mut Line, app: &mut App, keys: &str) -> Vec<Wish> {
    let press = |char| match char {
        '\n' => KeyCode::Enter,
        char => KeyCode::Char(char),
    };
    let keys = keys.chars().map(press);
    keys.flat_map(|code| line.key(app, KeyEvent::new(code, KeyModifiers::NONE)))
        .collect()
}

fn notice(app: &App) -> &str {
    app.notice.as_deref().unwrap_or_default()
}

#[test]
fn what_was_begun_at_one_question_answers_no_other() {
    for begun in ["y", "a", "n", "n use a branch"] {
        let (mut app, mut line) = (asked(&["git", "push"]), Line::default());
        assert_eq!(press(&mut line, &mut app, begun), []);
        answered_elsewhere(&mut app);
        assert_eq!(press(&mut line, &mut app, "\n"), [], "{begun}");
        assert_eq!(notice(&app), "that question is answered already");
        let no = Op::Answer {
            call: CallId(2),
            answer: Answer::no(""),
        };
        assert_eq!(press(&mut line, &mut app, "n\n"), [Wish::Ask(no)]);
    }
}

#[test]
fn what_was_begun_before_a_question_is_no_answer_to_it() {
    let mut app = asked(&[]);
    app.faced = None;
    let mut line = Line::default();
    assert_eq!(press(&mut line, &mut app, "y\n"), []);
    assert!(notice(&app).contains("too soon"), "{:?}", app.notice);
    press(&mut line, &mut app, "go on");
    app.face();
    let wishes = press(&mut line, &mut app, "\n");
    assert!(
        matches!(&wishes[..], [Wish::Ask(Op::Say { content, .. })] if *content == [Content::text("go on")]),
        "{wishes:?}"
    );
}

#[test]
fn what_is_pasted_is_text_of_the_line_and_does_nothing() {
    for pasted in ["my notes\ny\nmore\n", "y\n", "! rm -r /\n", "/quit\n", "a"] {
        let (mut app, mut line) = (asked(&["git", "push"]), Line::default());
        assert_eq!(line.paste(&mut app, pasted), [], "{pasted:?}");
        assert_eq!(app.editor.text(), pasted);
    }
    let (mut app, mut line) = (asked(&[]), Line::default());
    line.paste(&mut app, "y");
    assert_eq!(press(&mut line, &mut app, "\n"), [], "nobody typed it");
    line.paste(&mut app, "my notes\ny\nmore\n");
    let wishes = press(&mut line, &mut app, "\n");
    let [Wish::Ask(Op::Say { content, .. })] = &wishes[..] else {
        panic!("{wishes:?}");
    };
    assert_eq!(*content, [Content::text("my notes\ny\nmore")]);
}

#[test]
fn a_line_that_comes_with_others_answers_nothing() {
    let mut app = asked(&["git", "push"]);
    for line in ["my notes", "y", "more", "a"] {
        assert_eq!(line_typed(&mut app, line), [], "{line}");
        assert!(app.notice.take().is_some(), "{line}");
        assert!(app.is_hurried(), "{line}");
    }
    app.face();
    assert_ne!(line_typed(&mut app, "y"), []);
    assert_eq!(line_typed(&mut app, "a"), [], "it was answered just now");
}

/// Plain lines with an open list of two.
fn choosing() -> App {
    let mut app = app();
    let row = |name: &str| Row {
        words: name.to_owned(),
        choice: Choice::Wish(vec![Wish::Resume(name.to_owned())]),
    };
    app.picker = Some(Picker::new("Which", vec![row("one"), row("two")]));
    app
}

#[test]
fn a_message_that_meets_an_open_list_is_not_lost() {
    let (mut app, mut line) = (choosing(), Line::default());
    assert_eq!(press(&mut line, &mut app, "never mind\n"), []);
    assert!(notice(&app).contains("a list is open"), "{:?}", app.notice);
    assert_eq!(app.editor.text(), "never mind");
    assert!(app.picker.is_some());
    let wishes = press(&mut line, &mut app, "\n");
    assert!(
        matches!(&wishes[..], [Wish::Ask(Op::Say { .. })]),
        "{wishes:?}"
    );
    assert!(app.picker.is_none());
    let mut app = choosing();
    assert_eq!(line_typed(&mut app, "never mind"), []);
    assert!(notice(&app).contains("not said: never mind"));
}

#[test]
fn a_list_takes_numbers_that_were_begun_at_it() {
    let two = [Wish::Resume("two".to_owned())];
    let (mut app, mut line) = (choosing(), Line::default());
    assert_eq!(press(&mut line, &mut app, "3\n"), []);
    assert!(notice(&app).contains("has no 3"), "{:?}", app.notice);
    assert_eq!(press(&mut line, &mut app, "2\n"), two);
    let list = choosing().picker;
    press(&mut line, &mut app, "2");
    app.picker = list;
    assert_eq!(press(&mut line, &mut app, "\n"), [], "it came meanwhile");
    assert_eq!(app.editor.text(), "2");
    app.editor.take();
    assert_eq!(press(&mut line, &mut app, "\n"), []);
    assert!(app.picker.is_none());
}

#[test]
fn lines_at_a_question_are_answers_and_commands_are_commands() {
    let answer = |answer| {
        vec![Wish::Ask(Op::Answer {
            call: CallId(1),
            answer,
        })]
    };
    let stop = vec![Wish::Ask(Op::Interrupt {
        cause: "person".to_owned(),
    })];
    for (line, wishes) in [
        ("y", answer(Answer::AllowOnce)),
        ("Y ", answer(Answer::AllowOnce)),
        ("s", answer(Answer::AllowAlways)),
        ("p", answer(Answer::AllowAlways)),
        ("a", answer(Answer::AllowAlways)),
        ("n", answer(Answer::no(""))),
        ("n use a branch", answer(Answer::no("use a branch"))),
        ("/stop", stop),
        ("! make", vec![Wish::Run("make".to_owned())]),
        ("yes, but later", vec![]),
        ("y do it", vec![]),
        ("stop that, I said origin", vec![]),
        ("", vec![]),
    ] {
        let mut app = asked(&["git", "push"]);
        assert_eq!(line_typed(&mut app, line), wishes, "{line}");
        assert_eq!(app.notice.is_none(), !wishes.is_empty(), "{line}");
    }
    let mut app = asked(&[]);
    assert_eq!(line_typed(&mut app, "s"), []);
    assert!(app.notice.unwrap().contains("only be allowed once"));
    let mut app = asked(&[]);
    assert_eq!(line_typed(&mut app, "/help"), []);
    let shown = Told::default().news(&mut app);
    assert!(shown.contains("/stop"), "{shown}");
}
