//! Others who work for a session: their questions, and what they spend.

use expect_test::expect;

use super::{Story, check};

#[test]
fn a_running_call_asks_and_goes_on() {
    check(
        "
            say a
            reply x y
            asks 1 make
            asks 1 test
            done 2 ok
            deny 1 no
            deny 1 no
            asks 1 test
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
            reply x y
                request 1 answered
                call 1 started
                call 2 started
                → run 1
                → run 2
            asks 1 make
                asked 1: make
            asks 1 test
            done 2 ok
                call 2 Done: ok
            deny 1 no
                answered 1: Deny { reason: "no" }
            deny 1 no
            asks 1 test
                asked 1: test
            allow 1
                answered 1: AllowOnce
            done 1 ok
                call 1 Done: ok
                request 2 with 6 items
                → call the model: 2
        "#]],
    );
}

#[test]
fn a_call_that_does_not_run_asks_nothing() {
    check(
        "
            say a
            reply x?
            asks 1 make
            asks 7 make
            allow 1
            done 1 ok
            asks 1 make
        ",
        &expect![[r#"
            say a
                accepted a (Steer)
                turn 1 started
                delivered a
                request 1 with 1 items
                → call the model: 1
            reply x?
                request 1 answered
                asked 1: x?
            asks 1 make
            asks 7 make
            allow 1
                answered 1: AllowOnce
                call 1 started
                → run 1
            done 1 ok
                call 1 Done: ok
                request 2 with 4 items
                → call the model: 2
            asks 1 make
        "#]],
    );
}

#[test]
fn always_for_another_call_is_no_answer_to_a_running_one() {
    check(
        "
            say a
            reply x y?
            asks 1 make
            always 2 1
            always 1
            done 1 ok
        ",
        &expect![[r#"
            say a
                accepted a (Steer)
                turn 1 started
                delivered a
                request 1 with 1 items
                → call the model: 1
            reply x y?
                request 1 answered
                asked 2: y?
                call 1 started
                → run 1
            asks 1 make
                asked 1: make
            always 2 1
                answered 2: AllowAlways
                call 2 started
                → run 2
            always 1
                answered 1: AllowAlways
            done 1 ok
                call 1 Done: ok
        "#]],
    );
}

#[test]
fn always_for_a_running_call_settles_those_that_wait_for_the_same() {
    check(
        "
            say a
            reply x y? z
            asks 1 make
            asks 3 y all
            always 3 1 2
            always 1
            done 3 ok
        ",
        &expect![[r#"
            say a
                accepted a (Steer)
                turn 1 started
                delivered a
                request 1 with 1 items
                → call the model: 1
            reply x y? z
                request 1 answered
                asked 2: y?
                call 1 started
                call 3 started
                → run 1
                → run 3
            asks 1 make
                asked 1: make
            asks 3 y all
                asked 3: y all
            always 3 1 2
                answered 3: AllowAlways
                answered 2: AllowOnce by the rule of 3
                call 2 started
                → run 2
            always 1
                answered 1: AllowAlways
            done 3 ok
                call 3 Done: ok
        "#]],
    );
}

#[test]
fn what_is_being_stopped_asks_nothing() {
    check(
        "
            say a
            reply x
            interrupt
            asks 1 make
            done 1 stopped
            allow 1
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
            asks 1 make
            done 1 stopped
                call 1 Done: stopped
                turn 1 ended: Cancelled stopped by person
            allow 1
        "#]],
    );
}

#[test]
fn a_question_goes_with_its_call_and_may_be_answered_until_then() {
    check(
        "
            say a
            reply x y z
            asks 1 make
            asks 2 test
            asks 3 lint
            done 1 ok
            allow 1
            interrupt
            deny 2 no
            done 2 stopped
            done 3 stopped
            allow 3
        ",
        &expect![[r#"
            say a
                accepted a (Steer)
                turn 1 started
                delivered a
                request 1 with 1 items
                → call the model: 1
            reply x y z
                request 1 answered
                call 1 started
                call 2 started
                call 3 started
                → run 1
                → run 2
                → run 3
            asks 1 make
                asked 1: make
            asks 2 test
                asked 2: test
            asks 3 lint
                asked 3: lint
            done 1 ok
                call 1 Done: ok
            allow 1
            interrupt
                interrupted by person
                → cancel 2
                → cancel 3
            deny 2 no
                answered 2: Deny { reason: "no" }
            done 2 stopped
                call 2 Done: stopped
            done 3 stopped
                call 3 Done: stopped
                turn 1 ended: Cancelled stopped by person
            allow 3
        "#]],
    );
}

#[test]
fn a_crash_takes_the_question_with_the_call() {
    check(
        "
            say a
            reply x
            asks 1 make
            crash
            allow 1
            resume
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
            asks 1 make
                asked 1: make
            crash
                recovered, lost calls [CallId(1)], lost request None
                call 1 Lost: The process ended while this ran. It may have run in part, and will not be run again by itself: check what it did before you do it again.
            allow 1
            resume
                request 2 with 4 items
                → call the model: 2
        "#]],
    );
}

#[test]
fn limits_count_what_others_spent() {
    check(
        "
            limit cents 5
            say a
            reply x
            others 4 10
            done 1 ok
            limit cents 7
            others 4 1000000
            limit tokens 1000
            reply y
            done 2 ok
            limit tokens 2000000
        ",
        &expect![[r#"
            limit cents 5
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
            others 4 10
            done 1 ok
                call 1 Done: ok
                turn 1 paused: the session has spent $0.05 of its budget of $0.05, $0.04 of it by others of its team: raise the budget to go on
            limit cents 7
                configured
                request 2 with 4 items
                → call the model: 2
            others 4 1000000
            limit tokens 1000
                configured
            reply y
                request 2 answered
                call 2 started
                → run 2
            done 2 ok
                call 2 Done: ok
                turn 1 paused: the session has used 1000000 tokens of its limit of 1000, 1000000 of them by others of its team: raise the limit to go on
            limit tokens 2000000
                configured
                request 3 with 7 items
                → call the model: 3
        "#]],
    );
}

#[test]
fn nothing_begins_where_others_have_spent_all() {
    check(
        "
            limit cents 5
            say a
            reply
            others 9 0
            compact
            say b
            limit tokens 2000
            others 9 2000
            limit cents 20
        ",
        &expect![[r#"
            limit cents 5
                configured
            say a
                accepted a (Steer)
                turn 1 started
                delivered a
                request 1 with 1 items
                → call the model: 1
            reply
                request 1 answered
                turn 1 ended: EndTurn
            others 9 0
            compact
                compaction asked: Older
                compaction failed: Summary: the session has spent $0.10 of its budget of $0.05, $0.09 of it by others of its team: raise the budget to go on
            say b
                accepted b (Steer)
                turn 2 started
                delivered b
                turn 2 paused: the session has spent $0.10 of its budget of $0.05, $0.09 of it by others of its team: raise the budget to go on
            limit tokens 2000
                configured
            others 9 2000
            limit cents 20
                configured
        "#]],
    );
}

#[test]
fn others_without_a_price_cannot_be_kept_within_a_budget() {
    check(
        "
            limit cents 5
            say a
            reply x
            unbilled 1 ok
            limit cents 6
        ",
        &expect![[r#"
            limit cents 5
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
            unbilled 1 ok
                call 1 Done: ok
                turn 1 paused: the budget of $0.05 cannot be kept, because the price or the tokens of 1 request made under it are not known: give the model prices under [models.NAME] in the config or take another model, and set another budget, which counts from there on, or none
            limit cents 6
                configured
                request 2 with 4 items
                → call the model: 2
        "#]],
    );
}

#[test]
fn a_session_waits_for_a_person_while_all_that_runs_asks_and_nothing_is_stopped() {
    let mut story = Story::default();
    let lines = [
        ("say a", false),
        ("reply x y z?", false),
        ("asks 1 make", false),
        ("asks 2 test", true),
        ("deny 3 no", true),
        ("allow 1", false),
        ("done 1 ok", true),
        ("asks 1 make", true),
        ("pause", true),
        ("interrupt", false),
        ("deny 2 no", false),
        ("done 2 stopped", false),
    ];
    for (line, waits) in lines {
        story.play(line);
        assert_eq!(story.session.waits_for_person(), waits, "after {line}");
    }
}
