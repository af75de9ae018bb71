//! Turns that a person pauses: they wait after their step, and go on where they were.

use expect_test::expect;

use super::last;

#[test]
fn a_pause_lets_the_step_end_and_the_turn_goes_on_when_it_is_resumed() {
    let told = last(
        "
        say a
        reply x! y!
        pause
        pause
        done 1 ok
        done 2 ok
        resume
    ",
        5,
    );
    expect![[r#"
        pause
            turn 1 pause: Asked
        pause
        done 1 ok
            call 1 Done: ok
            call 2 started
            → run 2
        done 2 ok
            call 2 Done: ok
            turn 1 pause: Person
        resume
            request 2 with 6 items
            → call the model: 2
    "#]]
    .assert_eq(&told);
}

#[test]
fn what_is_said_wakes_a_paused_turn_and_what_is_queued_does_not_keep_it_from_pausing() {
    let told = last(
        "
        say a
        reply x
        pause
        queue b
        done 1 ok
        say c
        reply y
        pause
        say d
        done 2 ok
    ",
        9,
    );
    expect![[r#"
        reply x
            request 1 answered
            call 1 started
            → run 1
        pause
            turn 1 pause: Asked
        queue b
            accepted b (Queue)
        done 1 ok
            call 1 Done: ok
            turn 1 pause: Person
        say c
            accepted c (Steer)
            delivered c
            request 2 with 5 items
            → call the model: 2
        reply y
            request 2 answered
            call 2 started
            → run 2
        pause
            turn 1 pause: Asked
        say d
            accepted d (Steer)
            turn 1 pause: Withdrawn
        done 2 ok
            call 2 Done: ok
            delivered d
            request 3 with 9 items
            → call the model: 3
    "#]]
    .assert_eq(&told);
}

#[test]
fn a_pause_that_is_taken_back_before_it_began_is_none() {
    let told = last(
        "
        say a
        reply x
        pause
        resume
        done 1 ok
    ",
        3,
    );
    expect![[r#"
        pause
            turn 1 pause: Asked
        resume
            turn 1 pause: Withdrawn
        done 1 ok
            call 1 Done: ok
            request 2 with 4 items
            → call the model: 2
    "#]]
    .assert_eq(&told);
}

#[test]
fn a_pause_comes_before_what_was_queued_but_not_before_an_answer() {
    let told = last(
        "
        say a
        pause
        queue b
        reply
        resume
        reply
    ",
        5,
    );
    expect![[r#"
        pause
            turn 1 pause: Asked
        queue b
            accepted b (Queue)
        reply
            request 1 answered
            turn 1 ended: EndTurn
            turn 2 started
            delivered b
            turn 2 pause: Person
        resume
            request 2 with 3 items
            → call the model: 2
        reply
            request 2 answered
            turn 2 ended: EndTurn
    "#]]
    .assert_eq(&told);
}

#[test]
fn a_pause_that_no_step_followed_is_forgotten_with_the_turn() {
    let told = last(
        "
        say a
        pause
        reply
        say b
        reply x
        done 1 ok
    ",
        5,
    );
    expect![[r#"
        pause
            turn 1 pause: Asked
        reply
            request 1 answered
            turn 1 ended: EndTurn
        say b
            accepted b (Steer)
            turn 2 started
            delivered b
            request 2 with 3 items
            → call the model: 2
        reply x
            request 2 answered
            call 1 started
            → run 1
        done 1 ok
            call 1 Done: ok
            request 3 with 6 items
            → call the model: 3
    "#]]
    .assert_eq(&told);
}

#[test]
fn a_pause_comes_before_the_judgement_of_a_goal_and_before_the_turn_after_it() {
    let told = last(
        "
        goal g
        say a
        pause
        reply
        resume
        reply
        pause
        verdict not_yet do x
        resume
    ",
        5,
    );
    expect![[r#"
        resume
            noticed: The goal is not shown to be reached. If it is, call `note` with kind `done` and the numbers of the calls that show it; if not, go on.
            request 2 with 4 items
            → call the model: 2
        reply
            request 2 answered
            request 3 with 5 items for Judge
            → call the model: 3
        pause
            turn 1 pause: Asked
        verdict not_yet do x
            request 3 answered
            judged NotYet: do x
            turn 1 ended: EndTurn the goal is not met yet: do x
            turn 2 started
            noticed: The goal is not met yet, the evaluator says: do x
            turn 2 pause: Person
        resume
            request 4 with 6 items
            → call the model: 4
    "#]].assert_eq(&told);
}

#[test]
fn a_crash_while_a_pause_is_wanted_pauses() {
    let told = last(
        "
        say a
        reply x! y!
        pause
        crash
        resume
    ",
        3,
    );
    expect![[r#"
        pause
            turn 1 pause: Asked
        crash
            recovered, lost calls [CallId(1)], lost request None
            call 1 Lost: The process ended while this ran. It may have run in part, and will not be run again by itself: check what it did before you do it again.
            turn 1 pause: Person
        resume
            call 2 started
            → run 2
    "#]].assert_eq(&told);
}

#[test]
fn a_turn_that_a_crash_cut_short_can_be_paused_so_that_no_process_goes_on_with_it() {
    let told = last(
        "
        say a
        crash
        pause
        resume
    ",
        3,
    );
    expect![[r#"
        crash
            recovered, lost calls [], lost request Some(RequestId(1))
            request 1 failed: the process ended while the model was answering
        pause
            turn 1 pause: Person
        resume
            request 2 with 1 items
            → call the model: 2
    "#]]
    .assert_eq(&told);
}

#[test]
fn a_stop_ends_a_paused_turn_and_one_that_is_to_pause() {
    let told = last(
        "
        say a
        reply x
        pause
        interrupt
        done 1 ok
        say b
        reply y
        pause
        done 2 ok
        interrupt
    ",
        8,
    );
    expect![[r#"
        pause
            turn 1 pause: Asked
        interrupt
            interrupted by person
            → cancel 1
        done 1 ok
            call 1 Done: ok
            turn 1 ended: Cancelled stopped by person
        say b
            accepted b (Steer)
            turn 2 started
            delivered b
            request 2 with 5 items
            → call the model: 2
        reply y
            request 2 answered
            call 2 started
            → run 2
        pause
            turn 2 pause: Asked
        done 2 ok
            call 2 Done: ok
            turn 2 pause: Person
        interrupt
            interrupted by person
            turn 2 ended: Cancelled stopped by person
    "#]]
    .assert_eq(&told);
}

#[test]
fn a_model_that_said_nothing_before_a_pause_is_asked_again_after_it() {
    let told = last(
        "
        say a
        pause
        reply silent
        resume
    ",
        3,
    );
    expect![[r#"
        pause
            turn 1 pause: Asked
        reply silent
            request 1 answered
            turn 1 pause: Person
        resume
            noticed: Your reply was empty. Go on; when you are done, say what came of it.
            request 2 with 2 items
            → call the model: 2
    "#]]
    .assert_eq(&told);
}

#[test]
fn a_pause_comes_before_a_limit_which_holds_after_it() {
    let told = last(
        "
        limit cents 1
        say a
        reply x
        pause
        done 1 ok
        resume
        limit cents 5
    ",
        5,
    );
    expect![[r#"
        reply x
            request 1 answered
            call 1 started
            → run 1
        pause
            turn 1 pause: Asked
        done 1 ok
            call 1 Done: ok
            turn 1 pause: Person
        resume
            turn 1 paused: the session has spent $0.01 of its budget of $0.01: raise the budget to go on
        limit cents 5
            configured
            request 2 with 4 items
            → call the model: 2
    "#]].assert_eq(&told);
}
