//! What the model is told of planning, and when.

use expect_test::expect;

use super::{Story, last};

#[test]
fn planning_is_told_with_the_first_message_and_its_end_with_the_next() {
    let told = last(
        "
        plan
        say a
        reply
        say b
        reply
        work
        say c
        reply
        say d
    ",
        9,
    );
    expect![[r#"
        plan
            configured
        say a
            accepted a (Steer)
            turn 1 started
            noticed: Plan mode: look and think, and change nothing. Until the person accepts the plan, tools that change files are refused, and commands run read-only: searching, reading and looking at the history work. Look at what the plan depends on, ask what is unclear, set the steps out with `plan`, then end your turn with the plan in words: what will be changed where, and how it will be checked.
            delivered a
            request 1 with 2 items
            → call the model: 1
        reply
            request 1 answered
            turn 1 ended: EndTurn
        say b
            accepted b (Steer)
            turn 2 started
            delivered b
            request 2 with 4 items
            → call the model: 2
        reply
            request 2 answered
            turn 2 ended: EndTurn
        work
            configured
        say c
            accepted c (Steer)
            turn 3 started
            noticed: Plan mode is over: what changes files works again, as far as the sandbox lets it.
            delivered c
            request 3 with 7 items
            → call the model: 3
        reply
            request 3 answered
            turn 3 ended: EndTurn
        say d
            accepted d (Steer)
            turn 4 started
            delivered d
            request 4 with 9 items
            → call the model: 4
    "#]].assert_eq(&told);
}

#[test]
fn planning_that_begins_in_a_turn_is_told_at_the_next_step() {
    let told = last(
        "
        say a
        reply x
        plan
        done 1 ok
        reply y
        work
        done 2 ok
    ",
        5,
    );
    expect![[r#"
        plan
            configured
        done 1 ok
            call 1 Done: ok
            noticed: Plan mode: look and think, and change nothing. Until the person accepts the plan, tools that change files are refused, and commands run read-only: searching, reading and looking at the history work. Look at what the plan depends on, ask what is unclear, set the steps out with `plan`, then end your turn with the plan in words: what will be changed where, and how it will be checked.
            request 2 with 5 items
            → call the model: 2
        reply y
            request 2 answered
            call 2 started
            → run 2
        work
            configured
        done 2 ok
            call 2 Done: ok
            noticed: Plan mode is over: what changes files works again, as far as the sandbox lets it.
            request 3 with 9 items
            → call the model: 3
    "#]].assert_eq(&told);
}

#[test]
fn planning_is_told_again_where_a_compaction_may_have_taken_the_notice() {
    let mut story = Story::default();
    story.play(&format!(
        "
        window 2000 1900 10
        plan
        say a
        reply x
        big 1 2000
        reply
        compact
        {}
        say b
    ",
        super::SUMMARY
    ));
    assert!(story.told.contains("compacted: Summary"), "{}", story.told);
    assert_eq!(story.told.matches("Plan mode: look").count(), 2);
    assert_eq!(story.context().matches("Plan mode: look").count(), 1);
}

#[test]
fn a_goal_does_not_drive_what_is_only_planned() {
    let told = last(
        "
        goal all tests pass
        plan
        say a
        reply
        work
        say b
        reply
    ",
        4,
    );
    expect![[r#"
        reply
            request 1 answered
            turn 1 ended: EndTurn
        work
            configured
        say b
            accepted b (Steer)
            turn 2 started
            noticed: Plan mode is over: what changes files works again, as far as the sandbox lets it.
            delivered b
            request 2 with 6 items
            → call the model: 2
        reply
            request 2 answered
            noticed: The goal is not shown to be reached. If it is, call `note` with kind `done` and the numbers of the calls that show it; if not, go on.
            request 3 with 8 items
            → call the model: 3
    "#]].assert_eq(&told);
}
