//! Going round in circles.

use expect_test::expect;

use super::{Story, check};

#[test]
fn the_same_again_and_again() {
    check(
        "
            limit repeats 4
            say a
            reply x
            done 1 ok
            reply x
            done 2 ok
            reply x
            done 3 ok
            reply x
            done 4 ok
        ",
        &expect![[r#"
            limit repeats 4
                configured
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
            reply x
                request 2 answered
                call 2 started
                → run 2
            done 2 ok
                call 2 Done: ok
                noticed: You made the same call 2 times in a row and got the same result: x {}. Do something else, or say what keeps you from going on.
                request 3 with 8 items
                → call the model: 3
            reply x
                request 3 answered
                call 3 started
                → run 3
            done 3 ok
                call 3 Done: ok
                request 4 with 11 items
                → call the model: 4
            reply x
                request 4 answered
                call 4 started
                → run 4
            done 4 ok
                call 4 Done: ok
                turn 1 ended: NoProgress the model made the same call with the same result 4 times in a row: x {}. Say what it should do instead
        "#]],
    );
}

#[test]
fn another_result_is_progress() {
    check(
        "
            limit repeats 2
            say a
            reply x
            done 1 ok
            reply x
            done 2 better
            reply x
            done 3 ok
        ",
        &expect![[r#"
            limit repeats 2
                configured
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
            reply x
                request 2 answered
                call 2 started
                → run 2
            done 2 better
                call 2 Done: better
                request 3 with 7 items
                → call the model: 3
            reply x
                request 3 answered
                call 3 started
                → run 3
            done 3 ok
                call 3 Done: ok
                request 4 with 10 items
                → call the model: 4
        "#]],
    );
}

#[test]
fn another_call_is_progress() {
    check(
        "
            limit repeats 2
            say a
            reply x
            done 1 ok
            reply y
            done 2 ok
        ",
        &expect![[r#"
            limit repeats 2
                configured
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
            reply y
                request 2 answered
                call 2 started
                → run 2
            done 2 ok
                call 2 Done: ok
                request 3 with 7 items
                → call the model: 3
        "#]],
    );
}

#[test]
fn words_of_a_person_start_the_count_again() {
    check(
        "
            limit repeats 2
            say a
            reply x
            done 1 ok
            reply x
            say b
            done 2 ok
            reply x
            done 3 ok
        ",
        &expect![[r#"
            limit repeats 2
                configured
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
            reply x
                request 2 answered
                call 2 started
                → run 2
            say b
                accepted b (Steer)
            done 2 ok
                call 2 Done: ok
                delivered b
                request 3 with 8 items
                → call the model: 3
            reply x
                request 3 answered
                call 3 started
                → run 3
            done 3 ok
                call 3 Done: ok
                request 4 with 11 items
                → call the model: 4
        "#]],
    );
}

#[test]
fn the_model_is_told_once_even_across_a_crash() {
    check(
        "
            limit repeats 3
            say a
            reply x
            done 1 ok
            reply x
            done 2 ok
            crash
            resume
        ",
        &expect![[r#"
            limit repeats 3
                configured
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
            reply x
                request 2 answered
                call 2 started
                → run 2
            done 2 ok
                call 2 Done: ok
                noticed: You made the same call 2 times in a row and got the same result: x {}. Do something else, or say what keeps you from going on.
                request 3 with 8 items
                → call the model: 3
            crash
                recovered, lost calls [], lost request Some(RequestId(3))
                request 3 failed: the process ended while the model was answering
            resume
                request 4 with 8 items
                → call the model: 4
        "#]],
    );
}

/// What a session with a limit of three tells of these calls, one a step, that all end alike.
fn told(calls: &str) -> String {
    let mut story = Story::default();
    story.play("limit repeats 3\n say a");
    for (number, name) in (1..).zip(calls.split(' ')) {
        story.play(&format!("reply {name}\n done {number} ok"));
    }
    story.told
}

#[test]
fn a_few_steps_in_turn_are_a_circle() {
    let told = told("x y x y x y");
    let notice = "    noticed: You made the same 2 steps 2 times in a row and got the same results: \
                  x {}; y {}. Do something else, or say what keeps you from going on.\n";
    let (before, after) = told.split_once(notice).unwrap();
    assert!(before.ends_with("call 4 Done: ok\n"), "{told}");
    assert!(
        after.ends_with(
            "call 6 Done: ok\n    turn 1 ended: NoProgress the model went through the same 2 steps \
             with the same results 3 times in a row: x {}; y {}. Say what it should do instead\n"
        ),
        "{told}"
    );
}

#[test]
fn three_steps_are_a_circle_and_four_are_not() {
    for (calls, ends) in [
        ("u v w a b c a b c a b c", true),
        ("w a b c a b c a b d e f", false),
        ("a b c d a b c d a b c d", false),
    ] {
        let told = told(calls);
        let last = told.lines().last().unwrap();
        assert_eq!(last.contains("same 3 steps"), ends, "{calls}: {last}");
        assert_eq!(
            last.contains("call the model: 13"),
            !ends,
            "{calls}: {last}"
        );
    }
}

/// Another notice is no warning, also where the limit changes meanwhile.
#[test]
fn a_notice_of_something_else_is_not_taken_for_the_warning() {
    let mut story = super::Story::default();
    story.play(
        "
            limit repeats 8
            say a
            reply x
            done 1 same
            reply x
            done 2 same
            reply silent
            limit repeats 4
            crash
            resume
        ",
    );
    let warnings = story
        .told
        .matches("noticed: You made the same call 2 times")
        .count();
    assert_eq!(warnings, 1, "{}", story.told);
}
