//! How turns open, go on and end.

use std::sync::Arc;

use expect_test::expect;
use quire_protocol::Item;

use super::{Story, check};

#[test]
fn a_question_and_an_answer() {
    check(
        "
            say a
            reply
        ",
        &expect![[r#"
            say a
                accepted a (Steer)
                turn 1 started
                delivered a
                request 1 with 1 items
                → call the model: 1
            reply
                request 1 answered
                turn 1 ended: EndTurn
        "#]],
    );
}

#[test]
fn a_step_with_a_call() {
    check(
        "
            say a
            reply x
            done 1 ok
            reply
        ",
        &expect![[r#"
            say a
                accepted a (Steer)
                turn 1 started
                delivered a
                request 1 with 1 items
                → call the model: 1
            reply x
                request 1 answered
                call 1 started
                → run 1
            done 1 ok
                call 1 Done: ok
                request 2 with 4 items
                → call the model: 2
            reply
                request 2 answered
                turn 1 ended: EndTurn
        "#]],
    );
}

#[test]
fn a_pause_is_asked_again() {
    check(
        "
            say a
            reply pause
            reply
        ",
        &expect![[r#"
            say a
                accepted a (Steer)
                turn 1 started
                delivered a
                request 1 with 1 items
                → call the model: 1
            reply pause
                request 1 answered
                request 2 with 2 items
                → call the model: 2
            reply
                request 2 answered
                turn 1 ended: EndTurn
        "#]],
    );
}

#[test]
fn an_empty_reply_is_asked_about_once() {
    check(
        "
            say a
            reply silent
            reply x
            done 1 ok
            reply silent
            reply silent
            limit requests 1
            say b
            reply silent
        ",
        &expect![[r#"
            say a
                accepted a (Steer)
                turn 1 started
                delivered a
                request 1 with 1 items
                → call the model: 1
            reply silent
                request 1 answered
                noticed: Your reply was empty. Go on; when you are done, say what came of it.
                request 2 with 2 items
                → call the model: 2
            reply x
                request 2 answered
                call 1 started
                → run 1
            done 1 ok
                call 1 Done: ok
                request 3 with 5 items
                → call the model: 3
            reply silent
                request 3 answered
                noticed: Your reply was empty. Go on; when you are done, say what came of it.
                request 4 with 6 items
                → call the model: 4
            reply silent
                request 4 answered
                turn 1 ended: EndTurn
            limit requests 1
                configured
            say b
                accepted b (Steer)
                turn 2 started
                delivered b
                request 5 with 7 items
                → call the model: 5
            reply silent
                request 5 answered
                turn 2 ended: EndTurn
        "#]],
    );
}

#[test]
fn an_answer_cut_at_the_limit() {
    check(
        "
            say a
            reply cut
            reply
        ",
        &expect![[r#"
            say a
                accepted a (Steer)
                turn 1 started
                delivered a
                request 1 with 1 items
                → call the model: 1
            reply cut
                request 1 answered
                noticed: Your answer was cut at the output limit. Go on exactly where it stopped, without repeating anything.
                request 2 with 3 items
                → call the model: 2
            reply
                request 2 answered
                turn 1 ended: EndTurn
        "#]],
    );
}

#[test]
fn an_answer_that_is_cut_again_and_again_is_continued_fifteen_times_in_a_row() {
    let mut story = Story::default();
    story.play("say a");
    for _ in 0..15 {
        story.play("reply cut");
    }
    assert!(story.told.contains("request 16 with"), "{}", story.told);
    story.told.clear();
    story.play("reply cut");
    expect![[r#"
        reply cut
            request 16 answered
            turn 1 ended: MaxTokens the answer was cut at the output limit 16 times in a row: say something to go on
    "#]]
    .assert_eq(&story.told);
}

#[test]
fn a_refusal() {
    check(
        "
            say a
            reply refusal
        ",
        &expect![[r#"
            say a
                accepted a (Steer)
                turn 1 started
                delivered a
                request 1 with 1 items
                → call the model: 1
            reply refusal
                request 1 answered
                turn 1 ended: Refusal the model or its provider refused to answer
        "#]],
    );
}

#[test]
fn a_refusal_with_calls_runs_none_of_them() {
    check(
        "
            say a
            reply x y? refusal
        ",
        &expect![[r#"
            say a
                accepted a (Steer)
                turn 1 started
                delivered a
                request 1 with 1 items
                → call the model: 1
            reply x y? refusal
                request 1 answered
                call 1 Denied: The answer that asks for this was refused, so it did not run.
                call 2 Denied: The answer that asks for this was refused, so it did not run.
                turn 1 ended: Refusal the model or its provider refused to answer
        "#]],
    );
}

#[test]
fn a_failed_request_ends_the_turn() {
    check(
        "
            say a
            fail
            say b
        ",
        &expect![[r#"
            say a
                accepted a (Steer)
                turn 1 started
                delivered a
                request 1 with 1 items
                → call the model: 1
            fail
                request 1 failed: cannot connect
                turn 1 ended: Error cannot connect: check the network
            say b
                accepted b (Steer)
                turn 2 started
                delivered b
                request 2 with 2 items
                → call the model: 2
        "#]],
    );
}

#[test]
fn a_late_answer_is_dropped() {
    check(
        "
            say a
            reply x
            late 1
            done 1 ok
            late 1 y
        ",
        &expect![[r#"
            say a
                accepted a (Steer)
                turn 1 started
                delivered a
                request 1 with 1 items
                → call the model: 1
            reply x
                request 1 answered
                call 1 started
                → run 1
            late 1
            done 1 ok
                call 1 Done: ok
                request 2 with 4 items
                → call the model: 2
            late 1 y
        "#]],
    );
}

#[test]
fn an_interrupt_of_a_request() {
    check(
        "
            say a
            interrupt
            interrupt
            fail
        ",
        &expect![[r#"
            say a
                accepted a (Steer)
                turn 1 started
                delivered a
                request 1 with 1 items
                → call the model: 1
            interrupt
                interrupted by person
                → cancel request 1
            interrupt
            fail
                request 1 failed: cannot connect
                turn 1 ended: Cancelled stopped by person
        "#]],
    );
}

#[test]
fn an_answer_that_races_the_interrupt_is_kept_and_runs_nothing() {
    check(
        "
            say a
            interrupt
            reply x y?
        ",
        &expect![[r#"
            say a
                accepted a (Steer)
                turn 1 started
                delivered a
                request 1 with 1 items
                → call the model: 1
            interrupt
                interrupted by person
                → cancel request 1
            reply x y?
                request 1 answered
                call 1 Cancelled: The turn was stopped before this started. It did not run.
                call 2 Cancelled: The turn was stopped before this started. It did not run.
                turn 1 ended: Cancelled stopped by person
        "#]],
    );
}

#[test]
fn an_interrupt_of_calls() {
    check(
        "
            say a
            reply w! x? y
            interrupt
            done 1 half
        ",
        &expect![[r#"
            say a
                accepted a (Steer)
                turn 1 started
                delivered a
                request 1 with 1 items
                → call the model: 1
            reply w! x? y
                request 1 answered
                asked 2: x?
                call 1 started
                → run 1
            interrupt
                interrupted by person
                call 2 Cancelled: The turn was stopped before this started. It did not run.
                call 3 Cancelled: The turn was stopped before this started. It did not run.
                → cancel 1
            done 1 half
                call 1 Done: half
                turn 1 ended: Cancelled stopped by person
        "#]],
    );
}

#[test]
fn an_interrupt_of_nothing() {
    check(
        "
            interrupt
            say a
            reply
            interrupt
        ",
        &expect![[r#"
            interrupt
            say a
                accepted a (Steer)
                turn 1 started
                delivered a
                request 1 with 1 items
                → call the model: 1
            reply
                request 1 answered
                turn 1 ended: EndTurn
            interrupt
        "#]],
    );
}

#[test]
fn nothing_follows_a_stop_until_a_person_speaks() {
    check(
        "
            say a
            say b
            queue c
            interrupt
            fail
            resume
            say d
        ",
        &expect![[r#"
            say a
                accepted a (Steer)
                turn 1 started
                delivered a
                request 1 with 1 items
                → call the model: 1
            say b
                accepted b (Steer)
            queue c
                accepted c (Queue)
            interrupt
                interrupted by person
                → cancel request 1
            fail
                request 1 failed: cannot connect
                turn 1 ended: Cancelled stopped by person
            resume
            say d
                accepted d (Steer)
                turn 2 started
                delivered b
                delivered c
                delivered d
                request 2 with 4 items
                → call the model: 2
        "#]],
    );
}

#[test]
fn words_after_the_interrupt_open_the_next_turn() {
    check(
        "
            say a
            queue b
            interrupt
            say c
            fail
        ",
        &expect![[r#"
            say a
                accepted a (Steer)
                turn 1 started
                delivered a
                request 1 with 1 items
                → call the model: 1
            queue b
                accepted b (Queue)
            interrupt
                interrupted by person
                → cancel request 1
            say c
                accepted c (Steer)
            fail
                request 1 failed: cannot connect
                turn 1 ended: Cancelled stopped by person
                turn 2 started
                delivered b
                delivered c
                request 2 with 3 items
                → call the model: 2
        "#]],
    );
}

#[test]
fn every_request_starts_with_all_of_the_one_before() {
    let mut story = Story::default();
    let mut before: Vec<Arc<Item>> = Vec::new();
    for line in [
        "say a",
        "reply x y?",
        "say b",
        "done 1 ok",
        "crash",
        "allow 2",
        "spawn 2",
        "reply z-",
        "reply",
        "say c",
        "interrupt",
        "fail",
        "over 2",
        "queue d",
        "reply",
    ] {
        story.play(line);
        let now = story.session.transcript().items();
        assert!(before.len() <= now.len(), "{line} takes items away");
        for (old, new) in before.iter().zip(now) {
            assert!(Arc::ptr_eq(old, new), "{line} changes an item");
        }
        before = now.to_vec();
    }
    assert_eq!(before.len(), 15);
}

#[test]
fn idle_means_that_nothing_runs_and_nobody_is_asked() {
    let mut story = Story::default();
    let lines = [
        ("say a", false),
        ("reply x y?", false),
        ("done 1 ok", false),
        ("allow 2", false),
        ("spawn 2", false),
        ("reply", false),
        ("over 2", true),
        ("say b", false),
        ("crash", true),
    ];
    for (line, idle) in lines {
        story.play(line);
        assert_eq!(story.session.is_idle(), idle, "after {line}");
    }
}
