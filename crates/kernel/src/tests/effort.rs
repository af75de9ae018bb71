//! How hard the model is to think: as the session says, as a message says, or as the step needs.

use expect_test::expect;

use super::last;

#[test]
fn a_message_says_how_hard_for_its_turn() {
    let told = last(
        "
        think a low
        reply x
        done 1 ok
        reply
        say b
    ",
        5,
    );
    expect![[r#"
        think a low
            accepted a (Steer)
            turn 1 started
            delivered a
            request 1 with 1 items, effort Low (asked for in this turn)
            → call the model: 1
        reply x
            request 1 answered
            call 1 started
            → run 1
        done 1 ok
            call 1 Done: ok
            request 2 with 4 items, effort Low (asked for in this turn)
            → call the model: 2
        reply
            request 2 answered
            turn 1 ended: EndTurn
        say b
            accepted b (Steer)
            turn 2 started
            delivered b
            request 3 with 6 items
            → call the model: 3
    "#]]
    .assert_eq(&told);
}

#[test]
fn step_by_step_where_the_model_does_not_decide_by_itself() {
    let told = last(
        "
        choice step
        say a
        reply x
        done 1 ok
        reply x
        ran 2 1
        reply x
        ran 3 0
    ",
        8,
    );
    expect![[r#"
        choice step
            configured
        say a
            accepted a (Steer)
            turn 1 started
            delivered a
            request 1 with 1 items, effort High (a new task)
            → call the model: 1
        reply x
            request 1 answered
            call 1 started
            → run 1
        done 1 ok
            call 1 Done: ok
            request 2 with 4 items, effort Medium (it only looked things up)
            → call the model: 2
        reply x
            request 2 answered
            call 2 started
            → run 2
        ran 2 1
            call 2 Done: 1
            request 3 with 7 items, effort Xhigh (something failed)
            → call the model: 3
        reply x
            request 3 answered
            call 3 started
            → run 3
        ran 3 0
            call 3 Done: 0
            request 4 with 10 items, effort High (ordinary work)
            → call the model: 4
    "#]]
    .assert_eq(&told);
}

#[test]
fn within_a_turn_it_only_rises_where_a_change_is_dear() {
    let told = last(
        "
        choice turn
        say a
        reply x
        ran 1 1
        reply x
        done 2 ok
        reply
        think b low
    ",
        5,
    );
    expect![[r#"
        ran 1 1
            call 1 Done: 1
            request 2 with 4 items, effort Xhigh (something failed)
            → call the model: 2
        reply x
            request 2 answered
            call 2 started
            → run 2
        done 2 ok
            call 2 Done: ok
            request 3 with 7 items, effort Xhigh (raised earlier in this turn)
            → call the model: 3
        reply
            request 3 answered
            turn 1 ended: EndTurn
        think b low
            accepted b (Steer)
            turn 2 started
            delivered b
            request 4 with 9 items, effort Low (a new task)
            → call the model: 4
    "#]]
    .assert_eq(&told);
}
