//! Limits of the session: a turn that reaches one waits, and goes on where it was once it is raised.

use expect_test::expect;

use super::last;

#[test]
fn a_limit_of_tokens_pauses_and_goes_on_once_raised() {
    let told = last(
        "
        limit tokens 50
        say a
        counted 60 x
        done 1 ok
        resume
        limit tokens 500
    ",
        3,
    );
    expect![[r#"
        done 1 ok
            call 1 Done: ok
            turn 1 paused: the session has used 60 tokens of its limit of 50: raise the limit to go on
        resume
            turn 1 paused: the session has used 60 tokens of its limit of 50: raise the limit to go on
        limit tokens 500
            configured
            request 2 with 4 items
            → call the model: 2
    "#]].assert_eq(&told);
}

#[test]
fn a_limit_of_turns_lets_a_turn_that_began_within_it_end() {
    let told = last(
        "
        limit turns 1
        say a
        reply x
        done 1 ok
        reply
        say b
        limit turns 2
    ",
        4,
    );
    expect![[r#"
        done 1 ok
            call 1 Done: ok
            request 2 with 4 items
            → call the model: 2
        reply
            request 2 answered
            turn 1 ended: EndTurn
        say b
            accepted b (Steer)
            turn 2 started
            delivered b
            turn 2 paused: the session has made all of its 1 turn: raise the limit to go on
        limit turns 2
            configured
            request 3 with 6 items
            → call the model: 3
    "#]]
    .assert_eq(&told);
}

#[test]
fn a_limit_of_time_counts_work_and_a_clock_that_jumps_back_gives_none_back() {
    let told = last(
        "
        limit ms 1000
        clock 900
        say a
        reply x
        clock 1000
        done 1 ok
        limit ms 2000
        clock 100
        limit ms 950
        reply y
        done 2 ok
    ",
        6,
    );
    expect![[r#"
        done 1 ok
            call 1 Done: ok
            turn 1 paused: the session has worked for 1 s of its limit of 1 s: raise the limit to go on
        limit ms 2000
            configured
            request 2 with 4 items
            → call the model: 2
        clock 100
        limit ms 950
            configured
        reply y
            request 2 answered
            call 2 started
            → run 2
        done 2 ok
            call 2 Done: ok
            turn 1 paused: the session has worked for 1 s of its limit of 0 s: raise the limit to go on
    "#]].assert_eq(&told);
}

#[test]
fn what_is_said_at_a_limit_waits_with_the_turn_and_a_stop_ends_it() {
    let told = last(
        "
        limit cents 1
        say a
        reply x
        done 1 ok
        queue b
        interrupt
        limit cents 5
        say c
    ",
        5,
    );
    expect![[r#"
        done 1 ok
            call 1 Done: ok
            turn 1 paused: the session has spent $0.01 of its budget of $0.01: raise the budget to go on
        queue b
            accepted b (Steer)
        interrupt
            interrupted by person
            turn 1 ended: Cancelled stopped by person
        limit cents 5
            configured
        say c
            accepted c (Steer)
            turn 2 started
            delivered b
            delivered c
            request 2 with 6 items
            → call the model: 2
    "#]].assert_eq(&told);
}

#[test]
fn a_crash_at_a_limit_changes_nothing() {
    let told = last(
        "
        limit cents 1
        say a
        reply x
        done 1 ok
        crash
        limit cents 5
    ",
        2,
    );
    expect![[r#"
        crash
        limit cents 5
            configured
            request 2 with 4 items
            → call the model: 2
    "#]]
    .assert_eq(&told);
}

#[test]
fn a_limit_that_is_raised_while_another_one_ends_the_turn_ends_it() {
    let told = last(
        "
        limit tokens 50
        say a
        counted 60 x
        done 1 ok
        limit requests 1
        limit tokens 500
    ",
        2,
    );
    expect![[r#"
        limit requests 1
            configured
            turn 1 ended: MaxTurnRequests the turn reached its limit of requests to the model (1): say something to go on, or raise the limit
        limit tokens 500
            configured
    "#]].assert_eq(&told);
}

#[test]
fn an_answer_that_was_cut_at_a_limit_goes_on_where_it_was_cut() {
    let told = last(
        "
        limit cents 1
        say a
        reply cut
        limit cents 5
    ",
        2,
    );
    expect![[r#"
        reply cut
            request 1 answered
            turn 1 paused: the session has spent $0.01 of its budget of $0.01: raise the budget to go on
        limit cents 5
            configured
            noticed: Your answer was cut at the output limit. Go on exactly where it stopped, without repeating anything.
            request 2 with 3 items
            → call the model: 2
    "#]].assert_eq(&told);
}

#[test]
fn a_judgement_at_a_limit_is_made_once_it_is_raised() {
    let told = last(
        "
        goal g
        limit cents 2
        say a
        reply
        reply
        limit cents 3
        verdict not_yet do x
    ",
        3,
    );
    expect![[r#"
        reply
            request 2 answered
            turn 1 paused: the session has spent $0.02 of its budget of $0.02: raise the budget to go on
        limit cents 3
            configured
            request 3 with 5 items for Judge
            → call the model: 3
        verdict not_yet do x
            request 3 answered
            judged NotYet: do x
            turn 1 ended: EndTurn the goal is not met yet: do x
            turn 2 started
            noticed: The goal is not met yet, the evaluator says: do x
            turn 2 paused: the session has spent $0.03 of its budget of $0.03: raise the budget to go on
    "#]].assert_eq(&told);
}
