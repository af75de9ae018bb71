//! What a person wants compacted, and what is taken back.

use expect_test::expect;

use super::{SUMMARY, Story, check, last};

#[test]
fn a_person_has_a_small_context_compacted_in_a_turn_of_its_own() {
    let told = last(
        "
        say a
        talk 900
        compact the parser
        SUMMARY
        compact
    ",
        3,
    );
    expect![[r#"
        compact the parser
            compaction asked: Older the parser
            turn 2 started
            request 2 with 2 items for Summary
            → call the model: 2
        words the parser is in src/parse.rs and two of its tests still fail
            request 2 answered
            compacted: Summary for Asked, 0..2 become 2 items, 0 cleared
            turn 2 ended: EndTurn
        compact
            compaction asked: Older
            turn 3 started
            compaction failed: Summary: there is nothing that a summary could replace
            turn 3 ended: EndTurn
    "#]]
    .assert_eq(&told);
}

#[test]
fn a_context_that_would_not_get_smaller_stays_as_it_is() {
    let told = last(
        "
        say a
        reply
        compact
        SUMMARY
        undo
        window 4000 3000 500 provider
        compact
        words block
        SUMMARY
    ",
        7,
    );
    expect![[r#"
        compact
            compaction asked: Older
            turn 2 started
            request 2 with 2 items for Summary
            → call the model: 2
        words the parser is in src/parse.rs and two of its tests still fail
            request 2 answered
            compaction failed: Summary: with the ledger (what may not be lost) it would be no smaller than what it replaces: about 106 tokens for 17
            turn 2 ended: EndTurn
        undo
        window 4000 3000 500 provider
            configured
        compact
            compaction asked: Older
            turn 3 started
            request 3 with 2 items for Compact { focus: "" }
            → call the model: 3
        words block
            request 3 answered
            compaction failed: Provider: with the ledger (what may not be lost) it would be no smaller than what it replaces: about 88 tokens for 17
            request 4 with 2 items for Summary
            → call the model: 4
        words the parser is in src/parse.rs and two of its tests still fail
            request 4 answered
            compaction failed: Summary: with the ledger (what may not be lost) it would be no smaller than what it replaces: about 106 tokens for 17
            turn 3 ended: EndTurn
    "#]].assert_eq(&told);
}

#[test]
fn a_message_in_a_turn_that_only_compacts_makes_it_a_turn_like_any_other() {
    let told = last(
        "
        say a
        talk 900
        compact
        say b
        SUMMARY
    ",
        3,
    );
    expect![[r#"
        compact
            compaction asked: Older
            turn 2 started
            request 2 with 2 items for Summary
            → call the model: 2
        say b
            accepted b (Steer)
        words the parser is in src/parse.rs and two of its tests still fail
            request 2 answered
            compacted: Summary for Asked, 0..2 become 2 items, 0 cleared
            delivered b
            request 3 with 3 items
            → call the model: 3
    "#]]
    .assert_eq(&told);
}

#[test]
fn a_compaction_whose_only_message_is_taken_back_in_a_pause_is_over() {
    let told = last(
        "
        say a
        talk 900
        compact
        say b
        pause
        SUMMARY
        withdraw b
        resume
    ",
        3,
    );
    expect![[r#"
        words the parser is in src/parse.rs and two of its tests still fail
            request 2 answered
            compacted: Summary for Asked, 0..2 become 2 items, 0 cleared
            turn 2 pause: Person
        withdraw b
            withdrawn b
        resume
            turn 2 ended: EndTurn
    "#]]
    .assert_eq(&told);
}

#[test]
fn a_wish_that_comes_too_late_for_a_turn_is_done_after_it() {
    let told = last(
        "
        say a
        compact
        talk 900
        SUMMARY
    ",
        3,
    );
    expect![[r#"
        compact
            compaction asked: Older
        talk 900
            request 1 answered
            turn 1 ended: EndTurn
            turn 2 started
            request 2 with 2 items for Summary
            → call the model: 2
        words the parser is in src/parse.rs and two of its tests still fail
            request 2 answered
            compacted: Summary for Asked, 0..2 become 2 items, 0 cleared
            turn 2 ended: EndTurn
    "#]]
    .assert_eq(&told);
}

#[test]
fn a_wish_during_a_summary_is_another_one() {
    let told = last(
        "
        say a
        talk 900
        say b
        talk 900
        compact-to b
        compact-from b
        SUMMARY
        SUMMARY
    ",
        4,
    );
    expect![[r#"
        compact-to b
            compaction asked: UpTo { message: MessageId("b") }
            turn 3 started
            request 3 with 4 items for Summary
            → call the model: 3
        compact-from b
            compaction asked: From { message: MessageId("b") }
        words the parser is in src/parse.rs and two of its tests still fail
            request 3 answered
            compacted: Summary for Asked, 0..2 become 2 items, 0 cleared
            request 4 with 4 items for Summary
            → call the model: 4
        words the parser is in src/parse.rs and two of its tests still fail
            request 4 answered
            compacted: Summary for Asked, 2..4 become 2 items, 0 cleared
            turn 3 ended: EndTurn
    "#]]
    .assert_eq(&told);
}

#[test]
fn a_wish_that_comes_to_nothing_says_why() {
    let told = last(
        "
        say a
        reply
        compact-to a
        compact-from z
        compact
        words no
    ",
        4,
    );
    expect![[r#"
        compact-to a
            compaction asked: UpTo { message: MessageId("a") }
            turn 2 started
            compaction failed: Summary: there is nothing that a summary could replace
            turn 2 ended: EndTurn
        compact-from z
            compaction asked: From { message: MessageId("z") }
            turn 3 started
            compaction failed: Summary: message z is not in the context any more
            turn 3 ended: EndTurn
        compact
            compaction asked: Older
            turn 4 started
            request 2 with 2 items for Summary
            → call the model: 2
        words no
            request 2 answered
            compaction failed: Summary: the answer has 2 characters, which is no summary
            turn 4 ended: EndTurn
    "#]]
    .assert_eq(&told);
}

#[test]
fn a_wish_waits_until_the_context_fits() {
    let told = last(
        "
        say a
        reply x
        big 1 900
        compact
        overflow
        reply y
        done 2 ok
    ",
        3,
    );
    expect![[r#"
        overflow
            request 2 failed: cannot connect
            compacted: Cut for Overflow, 0..4 become 1 items, 0 cleared
            request 3 with 1 items
            → call the model: 3
        reply y
            request 3 answered
            call 2 started
            → run 2
        done 2 ok
            call 2 Done: ok
            request 4 with 4 items for Summary
            → call the model: 4
    "#]]
    .assert_eq(&told);
}

#[test]
fn a_wish_survives_a_crash_but_not_a_stop() {
    let told = last(
        "
        say a
        reply
        compact
        crash
        resume
        interrupt
        fail
        say b
    ",
        6,
    );
    expect![[r#"
        compact
            compaction asked: Older
            turn 2 started
            request 2 with 2 items for Summary
            → call the model: 2
        crash
            recovered, lost calls [], lost request Some(RequestId(2))
            request 2 failed: the process ended while the model was answering
        resume
            request 3 with 2 items for Summary
            → call the model: 3
        interrupt
            interrupted by person
            → cancel request 3
        fail
            request 3 failed: cannot connect
            turn 2 ended: Cancelled stopped by person
        say b
            accepted b (Steer)
            turn 3 started
            delivered b
            request 4 with 3 items
            → call the model: 4
    "#]]
    .assert_eq(&told);
}

#[test]
fn undo_brings_back_what_was_there_with_what_came_since() {
    let mut story = Story::default();
    story.play(
        "
        say a
        talk 900
        compact
    ",
    );
    story.play(SUMMARY);
    story.play(
        "
        say b
        reply
        undo
        undo
        say c
    ",
    );
    expect![[r#"
        user: words of a
        assistant: 900 bytes
        user: words of b
        assistant: so
        user: words of c
    "#]]
    .assert_eq(&story.context().replace(&"t".repeat(900), "900 bytes"));
}

#[test]
fn undo_takes_a_provider_own_block_out_so_that_it_drops_nothing_again() {
    let mut story = Story::default();
    story.play(
        "
        window 4000 3000 500 threshold
        say a
        reply block x
        done 1 ok
        reply
        undo
        say b
    ",
    );
    expect![[r#"
        user: words of a
        assistant: so
        call 1: x
        result 1 Done: ok
        assistant: so
        user: words of b
    "#]]
    .assert_eq(&story.context());
}

#[test]
fn without_anything_to_compact_or_to_take_back_nothing_happens() {
    check(
        "
            undo
            compact
        ",
        &expect![[r#"
            undo
            compact
        "#]],
    );
}
