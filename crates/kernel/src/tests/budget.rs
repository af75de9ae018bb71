//! The limits of a turn and of a session.

use expect_test::expect;

use super::check;

#[test]
fn the_requests_of_a_turn() {
    check(
        "
            limit requests 2
            say a
            reply x
            done 1 ok
            reply y
            done 2 ok
            say b
        ",
        &expect![[r#"
            limit requests 2
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
                turn 1 ended: MaxTurnRequests the turn reached its limit of requests to the model (2): say something to go on, or raise the limit
            say b
                accepted b (Steer)
                turn 2 started
                delivered b
                request 3 with 8 items
                → call the model: 3
        "#]],
    );
}

#[test]
fn no_requests_at_all_means_one() {
    check(
        "
            limit requests 0
            say a
            reply x
            done 1 ok
        ",
        &expect![[r#"
            limit requests 0
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
                turn 1 ended: MaxTurnRequests the turn reached its limit of requests to the model (1): say something to go on, or raise the limit
        "#]],
    );
}

#[test]
fn the_budget() {
    check(
        "
            limit cents 1
            say a
            say b
            reply x
            done 1 ok
            say c
            limit cents 5
            say d
        ",
        &expect![[r#"
            limit cents 1
                configured
            say a
                accepted a (Steer)
                turn 1 started
                delivered a
                request 1 with 1 items
                → call the model: 1
            say b
                accepted b (Steer)
            reply x
                request 1 answered
                call 1 started
                → run 1
            done 1 ok
                call 1 Done: ok
                turn 1 paused: the session has spent $0.01 of its budget of $0.01: raise the budget to go on
            say c
                accepted c (Steer)
            limit cents 5
                configured
                delivered b
                delivered c
                request 2 with 6 items
                → call the model: 2
            say d
                accepted d (Steer)
        "#]],
    );
}

#[test]
fn a_budget_without_a_price_cannot_be_kept() {
    check(
        "
            limit cents 1
            say a
            unpriced x
            done 1 ok
        ",
        &expect![[r#"
            limit cents 1
                configured
            say a
                accepted a (Steer)
                turn 1 started
                delivered a
                request 1 with 1 items
                → call the model: 1
            unpriced x
                request 1 answered
                call 1 started
                → run 1
            done 1 ok
                call 1 Done: ok
                turn 1 paused: the budget of $0.01 cannot be kept, because the price or the tokens of 1 request made under it are not known: give the model prices under [models.NAME] in the config or take another model, and set another budget, which counts from there on, or none
        "#]],
    );
}

#[test]
fn a_budget_set_after_use_without_a_price_counts_from_there_on() {
    check(
        "
            limit cents 5
            say a
            unpriced x
            done 1 ok
            say b
            limit cents 2
            say c
            reply y
            done 2 ok
            reply z
            done 3 ok
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
            unpriced x
                request 1 answered
                call 1 started
                → run 1
            done 1 ok
                call 1 Done: ok
                turn 1 paused: the budget of $0.05 cannot be kept, because the price or the tokens of 1 request made under it are not known: give the model prices under [models.NAME] in the config or take another model, and set another budget, which counts from there on, or none
            say b
                accepted b (Steer)
            limit cents 2
                configured
                delivered b
                request 2 with 5 items
                → call the model: 2
            say c
                accepted c (Steer)
            reply y
                request 2 answered
                call 2 started
                → run 2
            done 2 ok
                call 2 Done: ok
                delivered c
                request 3 with 9 items
                → call the model: 3
            reply z
                request 3 answered
                call 3 started
                → run 3
            done 3 ok
                call 3 Done: ok
                turn 1 paused: the session has spent $0.02 of its budget of $0.02, 1 request without a known price not counted: raise the budget to go on
        "#]],
    );
}

#[test]
fn a_session_whose_budget_is_taken_off_goes_on() {
    check(
        "
            limit cents 5
            say a
            unpriced x
            done 1 ok
            unlimited
            unpriced
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
            unpriced x
                request 1 answered
                call 1 started
                → run 1
            done 1 ok
                call 1 Done: ok
                turn 1 paused: the budget of $0.05 cannot be kept, because the price or the tokens of 1 request made under it are not known: give the model prices under [models.NAME] in the config or take another model, and set another budget, which counts from there on, or none
            unlimited
                configured
                request 2 with 4 items
                → call the model: 2
            unpriced
                request 2 answered
                turn 1 ended: EndTurn
        "#]],
    );
}

#[test]
fn a_budget_cannot_be_kept_where_tokens_are_not_reported() {
    check(
        "
            limit cents 1
            say a
            uncounted x
            done 1 ok
        ",
        &expect![[r#"
            limit cents 1
                configured
            say a
                accepted a (Steer)
                turn 1 started
                delivered a
                request 1 with 1 items
                → call the model: 1
            uncounted x
                request 1 answered
                call 1 started
                → run 1
            done 1 ok
                call 1 Done: ok
                turn 1 paused: the budget of $0.01 cannot be kept, because the price or the tokens of 1 request made under it are not known: give the model prices under [models.NAME] in the config or take another model, and set another budget, which counts from there on, or none
        "#]],
    );
}
