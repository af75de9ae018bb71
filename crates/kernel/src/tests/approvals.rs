//! Questions, and what their answers lead to.

use expect_test::expect;

use super::{Story, check};

#[test]
fn allowed_once() {
    check(
        "
            say a
            reply x?
            allow 1
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
            reply x?
                request 1 answered
                asked 1: x?
            allow 1
                answered 1: AllowOnce
                call 1 started
                → run 1
            allow 1
            done 1 ok
                call 1 Done: ok
                request 2 with 4 items
                → call the model: 2
        "#]],
    );
}

#[test]
fn denied_with_a_reason() {
    check(
        "
            say a
            reply x? y?
            deny 1 not that one
            deny 2
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
            deny 1 not that one
                answered 1: Deny { reason: "not that one" }
                call 1 Denied: This call was refused and did not run: not that one
            deny 2
                answered 2: Deny { reason: "" }
                call 2 Denied: This call was refused and did not run.
                request 2 with 6 items
                → call the model: 2
        "#]],
    );
}

#[test]
fn a_question_holds_an_exclusive_call_but_no_shared_one() {
    check(
        "
            say a
            reply x? y z!
            done 2 ok
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
            reply x? y z!
                request 1 answered
                asked 1: x?
                call 2 started
                → run 2
            done 2 ok
                call 2 Done: ok
            allow 1
                answered 1: AllowOnce
                call 1 started
                → run 1
            done 1 ok
                call 1 Done: ok
                call 3 started
                → run 3
        "#]],
    );
}

#[test]
fn an_allowed_exclusive_call_waits_for_those_before_it() {
    check(
        "
            say a
            reply x! y!?
            allow 2
            done 1 ok
        ",
        &expect![[r#"
            say a
                accepted a (Steer)
                turn 1 started
                delivered a
                request 1 with 1 items
                → call the model: 1
            reply x! y!?
                request 1 answered
                asked 2: y!?
                call 1 started
                → run 1
            allow 2
                answered 2: AllowOnce
            done 1 ok
                call 1 Done: ok
                call 2 started
                → run 2
        "#]],
    );
}

#[test]
fn an_answer_to_nothing() {
    check(
        "
            say a
            allow 1
            reply x
            allow 1
            deny 9
        ",
        &expect![[r#"
            say a
                accepted a (Steer)
                turn 1 started
                delivered a
                request 1 with 1 items
                → call the model: 1
            allow 1
            reply x
                request 1 answered
                call 1 started
                → run 1
            allow 1
            deny 9
        "#]],
    );
}

#[test]
fn always_becomes_a_rule_of_the_session() {
    let mut story = Story::default();
    story.play("say a\n reply x? y?\n always 1\n allow 2");
    let rules = &story.session.settings().unwrap().policy.rules;
    expect![[r#"[Rule { prefix: ["x"], action: Allow }]"#]].assert_eq(&format!("{rules:?}"));
}

#[test]
fn always_settles_the_open_questions_that_its_rule_covers() {
    check(
        "
            say a
            reply x? y? z? w
            always 1 3 4 9
            done 4 ok
            done 3 ok
            done 1 ok
            allow 2
        ",
        &expect![[r#"
            say a
                accepted a (Steer)
                turn 1 started
                delivered a
                request 1 with 1 items
                → call the model: 1
            reply x? y? z? w
                request 1 answered
                asked 1: x?
                asked 2: y?
                asked 3: z?
                call 4 started
                → run 4
            always 1 3 4 9
                answered 1: AllowAlways
                answered 3: AllowOnce by the rule of 1
                call 1 started
                call 3 started
                → run 1
                → run 3
            done 4 ok
                call 4 Done: ok
            done 3 ok
                call 3 Done: ok
            done 1 ok
                call 1 Done: ok
            allow 2
                answered 2: AllowOnce
                call 2 started
                → run 2
        "#]],
    );
}

#[test]
fn always_that_comes_too_late_settles_nothing() {
    check(
        "
            say a
            reply x? y?
            deny 1
            always 1 2
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
            deny 1
                answered 1: Deny { reason: "" }
                call 1 Denied: This call was refused and did not run.
            always 1 2
        "#]],
    );
}
