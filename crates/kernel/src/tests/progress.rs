//! Going round in circles.

use expect_test::expect;

use super::check;

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
                request 3 failed: the process died while the model was answering
            resume
                request 4 with 8 items
                → call the model: 4
        "#]],
    );
}
