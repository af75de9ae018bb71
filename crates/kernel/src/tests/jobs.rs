//! Background jobs.

use expect_test::expect;

use super::check;

#[test]
fn the_model_hears_of_an_end_at_the_next_boundary() {
    check(
        "
            say a
            reply x
            spawn 1
            reply y
            over 1
            over 1
            done 2 ok
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
            reply y
                request 2 answered
                call 2 started
                → run 2
            over 1
                job 1 ended: exit code 0
            over 1
            done 2 ok
                call 2 Done: ok
                noticed: Background job 1 ended: exit code 0.
                request 3 with 8 items
                → call the model: 3
        "#]],
    );
}

#[test]
fn an_end_between_turns_is_kept() {
    check(
        "
            say a
            reply x
            spawn 1
            reply
            over 1
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
            over 1
                job 1 ended: exit code 0
            say b
                accepted b (Steer)
                turn 2 started
                noticed: Background job 1 ended: exit code 0.
                delivered b
                request 3 with 7 items
                → call the model: 3
        "#]],
    );
}

#[test]
fn a_stop_waits_for_the_jobs() {
    check(
        "
            say a
            reply x
            spawn 1
            interrupt
            fail
            over 1
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
            interrupt
                interrupted by person
                → cancel request 2
                → stop jobs
            fail
                request 2 failed: cannot connect
            over 1
                job 1 ended: exit code 0
                turn 1 ended: Cancelled stopped by person
        "#]],
    );
}

#[test]
fn an_interrupt_between_turns_stops_the_jobs() {
    check(
        "
            say a
            reply x
            spawn 1
            reply
            interrupt
            over 1
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
            interrupt
                → stop jobs
            over 1
                job 1 ended: exit code 0
        "#]],
    );
}

#[test]
fn a_job_that_starts_during_a_stop_is_stopped() {
    check(
        "
            say a
            reply x
            interrupt
            spawn 1
            over 1
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
            interrupt
                interrupted by person
                → cancel 1
            spawn 1
                call 1 Done: started
                job 1 of call 1 started
                → stop jobs
            over 1
                job 1 ended: exit code 0
                turn 1 ended: Cancelled stopped by person
        "#]],
    );
}

#[test]
fn a_job_that_ends_before_its_call() {
    check(
        "
            say a
            reply x
            over 1
            spawn 1
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
            over 1
                job 1 of call 1 started
                job 1 ended: exit code 0
            spawn 1
                call 1 Done: started
                noticed: Background job 1 ended: exit code 0.
                request 2 with 5 items
                → call the model: 2
        "#]],
    );
}

#[test]
fn an_unknown_job() {
    check(
        "
            say a
            over 1
            reply
            over 7
        ",
        &expect![[r#"
            say a
                accepted a (Steer)
                turn 1 started
                delivered a
                request 1 with 1 items
                → call the model: 1
            over 1
            reply
                request 1 answered
                turn 1 ended: EndTurn
            over 7
        "#]],
    );
}
