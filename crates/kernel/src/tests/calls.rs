//! Which calls run when, and in what order their results stand.

use expect_test::expect;
use quire_protocol::CallId;

use super::{Story, check, plan};
use crate::Input;

#[test]
fn shared_calls_run_side_by_side() {
    check(
        "
            say a
            reply x y z
            done 2 two
            done 1 one
            done 3 three
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
            done 2 two
                call 2 Done: two
            done 1 one
                call 1 Done: one
            done 3 three
                call 3 Done: three
                request 2 with 8 items
                → call the model: 2
        "#]],
    );
}

#[test]
fn side_by_side_has_a_limit() {
    check(
        "
            limit parallel 2
            say a
            reply x y z
            done 2 two
        ",
        &expect![[r#"
            limit parallel 2
                configured
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
                → run 1
                → run 2
            done 2 two
                call 2 Done: two
                call 3 started
                → run 3
        "#]],
    );
}

#[test]
fn an_exclusive_call_runs_alone_and_in_order() {
    check(
        "
            say a
            reply w x! y! z
            done 1 ok
            done 2 ok
            done 3 ok
            done 4 ok
        ",
        &expect![[r#"
            say a
                accepted a (Steer)
                turn 1 started
                delivered a
                request 1 with 1 items
                → call the model: 1
            reply w x! y! z
                request 1 answered
                call 1 started
                → run 1
            done 1 ok
                call 1 Done: ok
                call 2 started
                → run 2
            done 2 ok
                call 2 Done: ok
                call 3 started
                → run 3
            done 3 ok
                call 3 Done: ok
                call 4 started
                → run 4
            done 4 ok
                call 4 Done: ok
                request 2 with 10 items
                → call the model: 2
        "#]],
    );
}

#[test]
fn a_refused_call_does_not_hold_the_others() {
    check(
        "
            say a
            reply x- y
            done 2 ok
        ",
        &expect![[r#"
            say a
                accepted a (Steer)
                turn 1 started
                delivered a
                request 1 with 1 items
                → call the model: 1
            reply x- y
                request 1 answered
                call 1 Denied: a rule says no
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
fn when_all_are_refused_the_model_is_told_at_once() {
    check(
        "
            say a
            reply x- y-
        ",
        &expect![[r#"
            say a
                accepted a (Steer)
                turn 1 started
                delivered a
                request 1 with 1 items
                → call the model: 1
            reply x- y-
                request 1 answered
                call 1 Denied: a rule says no
                call 2 Denied: a rule says no
                request 2 with 6 items
                → call the model: 2
        "#]],
    );
}

#[test]
fn a_result_of_a_call_that_does_not_run_is_dropped() {
    check(
        "
            say a
            done 1 what
            reply x! y!
            done 2 early
            done 1 ok
            done 1 again
        ",
        &expect![[r#"
            say a
                accepted a (Steer)
                turn 1 started
                delivered a
                request 1 with 1 items
                → call the model: 1
            done 1 what
            reply x! y!
                request 1 answered
                call 1 started
                → run 1
            done 2 early
            done 1 ok
                call 1 Done: ok
                call 2 started
                → run 2
            done 1 again
        "#]],
    );
}

#[test]
fn numbers_go_on_from_reply_to_reply() {
    check(
        "
            say a
            reply x y
            done 1 ok
            done 2 ok
            reply z
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
            done 1 ok
                call 1 Done: ok
            done 2 ok
                call 2 Done: ok
                request 2 with 6 items
                → call the model: 2
            reply z
                request 2 answered
                call 3 started
                → run 3
        "#]],
    );
}

#[test]
fn results_stand_in_the_order_of_the_calls() {
    let mut story = Story::default();
    story.play("say a\n reply x y- z\n done 3 three\n say b\n done 1 one");
    expect![[r#"
        user: words of a
        assistant: so
        call 1: x
        call 2: y
        call 3: z
        result 1 Done: one
        result 2 Denied: a rule says no
        result 3 Done: three
        user: words of b
    "#]]
    .assert_eq(&story.context());
}

#[test]
fn a_call_without_its_plan_is_refused() {
    let mut story = Story::default();
    story.play("say a");
    let Input::Replied { request, reply, .. } = story.input(&["reply", "x", "y"]) else {
        panic!("a reply");
    };
    let plans = vec![plan(CallId(2), "x")];
    let decision = story.session.decide(Input::Replied {
        request,
        reply,
        plans,
    });
    story.tell(decision);
    expect![[r#"
        say a
            accepted a (Steer)
            turn 1 started
            delivered a
            request 1 with 1 items
            → call the model: 1
            request 1 answered
            call 1 Denied: The harness made no plan for this call, so it did not run. Try it again.
            call 2 Denied: The harness made no plan for this call, so it did not run. Try it again.
            request 2 with 6 items
            → call the model: 2
    "#]]
    .assert_eq(&story.told);
}

#[test]
fn an_open_call_can_be_looked_up() {
    let mut story = Story::default();
    story.play("say a\n reply x y");
    let name = |story: &Story, call| story.session.call(CallId(call)).map(|c| c.name.clone());
    assert_eq!(name(&story, 2).as_deref(), Some("y"));
    assert_eq!(name(&story, 3), None);
    story.play("done 1 ok");
    assert_eq!(name(&story, 1), None);
    assert_eq!(name(&story, 2).as_deref(), Some("y"));
}
