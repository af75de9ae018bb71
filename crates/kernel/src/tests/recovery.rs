//! What a crash leaves.

use expect_test::expect;

use super::check;

#[test]
fn nothing_in_flight() {
    check(
        "
            crash
            say a
            reply
            crash
        ",
        &expect![[r#"
            crash
            say a
                accepted a (Steer)
                turn 1 started
                delivered a
                request 1 with 1 items
                → call the model: 1
            reply
                request 1 answered
                turn 1 ended: EndTurn
            crash
        "#]],
    );
}

#[test]
fn a_lost_request_is_asked_again() {
    check(
        "
            say a
            crash
            crash
            late 1
            resume
            resume
            reply
        ",
        &expect![[r#"
            say a
                accepted a (Steer)
                turn 1 started
                delivered a
                request 1 with 1 items
                → call the model: 1
            crash
                recovered, lost calls [], lost request Some(RequestId(1))
                request 1 failed: the process ended while the model was answering
            crash
            late 1
            resume
                request 2 with 1 items
                → call the model: 2
            resume
            reply
                request 2 answered
                turn 1 ended: EndTurn
        "#]],
    );
}

#[test]
fn a_lost_call_is_never_run_again() {
    check(
        "
            say a
            reply x! y!
            crash
            done 1 late
            resume
            done 2 ok
        ",
        &expect![[r#"
            say a
                accepted a (Steer)
                turn 1 started
                delivered a
                request 1 with 1 items
                → call the model: 1
            reply x! y!
                request 1 answered
                call 1 started
                → run 1
            crash
                recovered, lost calls [CallId(1)], lost request None
                call 1 Lost: The process ended while this ran. It may have run in part, and will not be run again by itself: check what it did before you do it again.
            done 1 late
            resume
                call 2 started
                → run 2
            done 2 ok
                call 2 Done: ok
                request 2 with 6 items
                → call the model: 2
        "#]],
    );
}

#[test]
fn a_question_outlives_a_crash() {
    check(
        "
            say a
            reply x? y?
            crash
            resume
            allow 1
            done 1 ok
        ",
        &expect![[r#"
            say a
                accepted a (Steer)
                turn 1 started
                delivered a
                request 1 with 1 items
                → call the model: 1
            reply x? y?
                request 1 answered
                asked 1: x?
                asked 2: y?
            crash
                recovered, lost calls [], lost request None
            resume
            allow 1
                answered 1: AllowOnce
                call 1 started
                → run 1
            done 1 ok
                call 1 Done: ok
        "#]],
    );
}

#[test]
fn words_wake_a_turn() {
    check(
        "
            say a
            crash
            queue b
        ",
        &expect![[r#"
            say a
                accepted a (Steer)
                turn 1 started
                delivered a
                request 1 with 1 items
                → call the model: 1
            crash
                recovered, lost calls [], lost request Some(RequestId(1))
                request 1 failed: the process ended while the model was answering
            queue b
                accepted b (Steer)
                delivered b
                request 2 with 2 items
                → call the model: 2
        "#]],
    );
}

#[test]
fn an_interrupt_ends_a_dormant_turn() {
    check(
        "
            say a
            reply x? y
            crash
            interrupt
        ",
        &expect![[r#"
            say a
                accepted a (Steer)
                turn 1 started
                delivered a
                request 1 with 1 items
                → call the model: 1
            reply x? y
                request 1 answered
                asked 1: x?
                call 2 started
                → run 2
            crash
                recovered, lost calls [CallId(2)], lost request None
                call 2 Lost: The process ended while this ran. It may have run in part, and will not be run again by itself: check what it did before you do it again.
            interrupt
                interrupted by person
                call 1 Cancelled: The turn was stopped before this started. It did not run.
                turn 1 ended: Cancelled stopped by person
        "#]],
    );
}

#[test]
fn a_stop_is_finished_by_recovery() {
    check(
        "
            say a
            reply x! y!
            interrupt
            say b
            crash
            say c
        ",
        &expect![[r#"
            say a
                accepted a (Steer)
                turn 1 started
                delivered a
                request 1 with 1 items
                → call the model: 1
            reply x! y!
                request 1 answered
                call 1 started
                → run 1
            interrupt
                interrupted by person
                call 2 Cancelled: The turn was stopped before this started. It did not run.
                → cancel 1
            say b
                accepted b (Steer)
            crash
                recovered, lost calls [CallId(1)], lost request None
                call 1 Lost: The process ended while this ran. It may have run in part, and will not be run again by itself: check what it did before you do it again.
                turn 1 ended: Cancelled stopped by person
            say c
                accepted c (Steer)
                turn 2 started
                delivered b
                delivered c
                request 2 with 8 items
                → call the model: 2
        "#]],
    );
}

#[test]
fn jobs_die_with_the_process() {
    check(
        "
            say a
            reply x
            spawn 1
            reply
            crash
            crash
            say b
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
            spawn 1
                call 1 Done: started
                job 1 of call 1 started
                request 2 with 4 items
                → call the model: 2
            reply
                request 2 answered
                turn 1 ended: EndTurn
            crash
                job 1 ended: lost when the process ended
            crash
            say b
                accepted b (Steer)
                turn 2 started
                noticed: Background job 1 ended: lost when the process ended.
                delivered b
                request 3 with 7 items
                → call the model: 3
        "#]],
    );
}
