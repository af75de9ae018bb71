//! How the context is compacted: `window ROOM COMPACT_AT KEEP` in tokens, of which a thousand bytes
//! have 290.

use expect_test::expect;
use quire_protocol::Item;

use super::{SUMMARY, Story, last};

#[test]
fn a_result_that_is_larger_than_the_window_is_cleared_before_the_next_request() {
    let told = last(
        "
        window 1000 900 200
        say a
        reply x
        big 1 9000
    ",
        1,
    );
    expect![[r#"
        big 1 9000
            call 1 Done: xxxxxxxx… (9000 bytes)
            compacted: Clear for Threshold, 0..0 become 0 items, 1 cleared
            request 2 with 4 items
            → call the model: 2
    "#]]
    .assert_eq(&told);
}

#[test]
fn a_result_that_the_model_has_not_seen_is_not_cleared_while_it_fits() {
    let mut story = Story::default();
    story.play(
        "
        window 2000 1100 100
        say a
        reply x
        big 1 2000
        reply y
        big 2 3000
    ",
    );
    expect![[r#"
        user: words of a
        assistant: so
        call 1: x
        result 1 Done: xxxxxxxx… (2000 bytes)
        assistant: so
        call 2: y
        result 2 Done: xxxxxxxx… (3000 bytes)
    "#]]
    .assert_eq(&story.context());
}

#[test]
fn what_is_mostly_unseen_and_fits_is_sent_before_anything_is_compacted() {
    let told = last(
        "
        window 2000 1100 100
        say a
        reply x
        big 1 5000
    ",
        1,
    );
    expect![[r#"
        big 1 5000
            call 1 Done: xxxxxxxx… (5000 bytes)
            request 2 with 4 items
            → call the model: 2
    "#]]
    .assert_eq(&told);
}

#[test]
fn of_unseen_results_that_do_not_fit_together_the_oldest_are_cleared() {
    let mut story = Story::default();
    story.play(
        "
        window 2000 1100 100
        say a
        reply x y z
        big 1 3000
        big 2 3000
        big 3 3000
    ",
    );
    expect![[r#"
        user: words of a
        assistant: so
        call 1: x
        call 2: y
        call 3: z
        result 1 Done: [3000 bytes were cleared to save room: recall call:1 shows them again]
        result 2 Done: [3000 bytes were cleared to save room: recall call:2 shows them again]
        result 3 Done: xxxxxxxx… (3000 bytes)
    "#]]
    .assert_eq(&story.context());
}

#[test]
fn what_was_seen_is_summarised_before_unseen_results_are_cleared() {
    let mut story = Story::default();
    story.play("window 2600 2340 300");
    story.play("say a");
    story.play(&format!("words {}", "v".repeat(5_000)));
    story.play(
        "
        say b
        reply x y z
        big 1 2800
        big 2 2800
    ",
    );
    story.told.clear();
    story.play("big 3 2800");
    story.play(SUMMARY);
    expect![[r#"
        big 3 2800
            call 3 Done: xxxxxxxx… (2800 bytes)
            request 3 with 3 items for Summary
            → call the model: 3
        words the parser is in src/parse.rs and two of its tests still fail
            request 3 answered
            compacted: Summary for Threshold, 0..3 become 2 items, 0 cleared
            compacted: Clear for Threshold, 0..0 become 0 items, 1 cleared
            request 4 with 9 items
            → call the model: 4
    "#]]
    .assert_eq(&story.told);
    expect![[r#"
        ledger
        summary: the parser is in src/parse.rs and two of its tests still fail
        assistant: so
        call 1: x
        call 2: y
        call 3: z
        result 1 Done: [2800 bytes were cleared to save room: recall call:1 shows them again]
        result 2 Done: xxxxxxxx… (2800 bytes)
        result 3 Done: xxxxxxxx… (2800 bytes)
    "#]]
    .assert_eq(&story.context());
}

#[test]
fn a_summary_of_what_was_seen_and_unseen_results_that_fit_together_stay_whole() {
    let mut story = Story::default();
    story.play("window 2600 2340 300");
    story.play("say a");
    story.play(&format!("words {}", "v".repeat(5_000)));
    story.play(
        "
        say b
        reply x y
        big 1 3500
        big 2 3500
    ",
    );
    story.play(SUMMARY);
    expect![[r#"
        ledger
        summary: the parser is in src/parse.rs and two of its tests still fail
        assistant: so
        call 1: x
        call 2: y
        result 1 Done: xxxxxxxx… (3500 bytes)
        result 2 Done: xxxxxxxx… (3500 bytes)
    "#]]
    .assert_eq(&story.context());
}

#[test]
fn old_results_are_cleared_and_the_newest_stay() {
    let mut story = Story::default();
    story.play(
        "
        window 2000 1100 400
        say a
        reply x
        big 1 1200
        reply y
        big 2 1200
        reply z
        big 3 1200
        reply end
        done 4 ok
    ",
    );
    expect![[r#"
        user: words of a
        assistant: so
        call 1: x
        result 1 Done: [1200 bytes were cleared to save room: recall call:1 shows them again]
        assistant: so
        call 2: y
        result 2 Done: [1200 bytes were cleared to save room: recall call:2 shows them again]
        assistant: so
        call 3: z
        result 3 Done: xxxxxxxx… (1200 bytes)
        assistant: so
        call 4: end
        result 4 Done: ok
    "#]]
    .assert_eq(&story.context());
}

#[test]
fn where_clearing_is_not_enough_the_model_summarises_and_the_work_goes_on() {
    let told = last(
        "
        window 1000 500 100
        say a
        say b
        talk 1800
        SUMMARY
        reply
    ",
        3,
    );
    expect![[r#"
        talk 1800
            request 1 answered
            delivered b
            request 2 with 3 items for Summary
            → call the model: 2
        words the parser is in src/parse.rs and two of its tests still fail
            request 2 answered
            compacted: Summary for Threshold, 0..2 become 2 items, 0 cleared
            request 3 with 3 items
            → call the model: 3
        reply
            request 3 answered
            turn 1 ended: EndTurn
    "#]]
    .assert_eq(&told);
}

#[test]
fn a_summary_that_the_output_limit_cut_says_so_and_one_too_short_is_none() {
    let told = |reply: &str| {
        let mut story = Story::default();
        story.play("window 1000 500 100");
        story.play("say a");
        story.play("talk 2000");
        story.play("say b");
        story.told.clear();
        story.play(reply);
        let items = story.session.transcript().items().iter();
        let summary = items.filter_map(|item| match item.as_ref() {
            Item::Summary { text, .. } => Some(text.clone()),
            _ => None,
        });
        (summary.collect::<String>(), story.told)
    };
    let (summary, _) = told("cut-words The parser is in src/parse.rs, and two of its");
    assert_eq!(
        summary,
        "The parser is in src/parse.rs, and two of its… [cut at the model's output limit]"
    );
    let (summary, told) = told("cut-words The parser is");
    assert_eq!(summary, "");
    assert!(told.contains("compaction failed: Summary: the answer has 13 characters"));
}

#[test]
fn a_summary_that_is_none_is_not_tried_again_before_the_context_has_grown() {
    let told = last(
        "
        window 1000 500 100
        say a 1000
        say b 1000
        reply
        words too short
        reply x
        done 1 ok
    ",
        3,
    );
    expect![[r#"
        words too short
            request 2 answered
            compaction failed: Summary: the answer has 9 characters, which is no summary
            request 3 with 3 items
            → call the model: 3
        reply x
            request 3 answered
            call 1 started
            → run 1
        done 1 ok
            call 1 Done: ok
            request 4 with 6 items
            → call the model: 4
    "#]]
    .assert_eq(&told);
}

#[test]
fn the_provider_compacts_where_it_can_and_the_model_where_it_cannot() {
    let told = last(
        "
        window 1600 500 100 provider
        say a
        say b
        talk 1800
        fail
        SUMMARY
        talk 1600
        say c 300
        words block
    ",
        5,
    );
    expect![[r#"
        fail
            request 2 failed: cannot connect
            compaction failed: Provider: cannot connect
            request 3 with 3 items for Summary
            → call the model: 3
        words the parser is in src/parse.rs and two of its tests still fail
            request 3 answered
            compacted: Summary for Threshold, 0..2 become 2 items, 0 cleared
            request 4 with 3 items
            → call the model: 4
        talk 1600
            request 4 answered
            turn 1 ended: EndTurn
        say c 300
            accepted c (Steer)
            turn 2 started
            delivered c
            request 5 with 5 items for Compact { focus: "" }
            → call the model: 5
        words block
            request 5 answered
            compacted: Provider for Threshold, 0..5 become 2 items, 0 cleared
            request 6 with 2 items
            → call the model: 6
    "#]]
    .assert_eq(&told);
}

#[test]
fn what_does_not_fit_is_cut_and_the_ledger_stays() {
    let mut story = Story::default();
    story.play(
        "
        window 1000 900 100 off
        say a 1500
        reply
        say b 1500
        reply
        say c 1500
        fail
    ",
    );
    expect![[r#"
        ledger
        user: words of… (1500 bytes)
    "#]]
    .assert_eq(&story.context());
}

#[test]
fn a_summary_that_leaves_exactly_what_fits_is_not_summarised_again() {
    // The summary is cut to a quarter of the room, so that in one of them (161) it fills the rest.
    for room in 150..250 {
        let mut story = Story::default();
        story.play(&format!("window {room} 50 40"));
        story.play("say a 60");
        story.play("talk 450");
        story.play("say b 100");
        story.play(&format!("words {}", "w".repeat(2_000)));
        let asked = story.told.matches("for Summary").count();
        assert!(asked <= 1, "in {room} tokens: {}", story.told);
    }
}

#[test]
fn a_ledger_that_is_larger_than_the_window_is_said_with_sizes() {
    let told = last(
        "
        window 200 180 50
        say a 2000
        say b
        window 4000 3600 500
        say c
    ",
        4,
    );
    expect![[r#"
        say a 2000
            accepted a (Steer)
            turn 1 started
            delivered a
            turn 1 ended: Error the context does not fit the model: about 586 tokens, of which the instructions and tools take 0 and the ledger (what may not be lost) 658; the model's window has 200, 0 of them kept for the answer. Take a model with a larger window, or set `window` under [models.NAME] right
        say b
            accepted b (Steer)
            turn 2 started
            delivered b
            compacted: Cut for Threshold, 0..1 become 1 items, 0 cleared
            request 1 with 2 items
            → call the model: 1
        window 4000 3600 500
            configured
        say c
            accepted c (Steer)
    "#]].assert_eq(&told);
}

#[test]
fn what_must_stay_may_be_larger_than_the_size_that_is_set() {
    let told = last(
        "
        window 4000 100 50
        say a 1000
        talk 1200
        say b
        SUMMARY
        reply y
        done 1 ok
    ",
        4,
    );
    expect![[r#"
        say b
            accepted b (Steer)
            turn 2 started
            delivered b
            request 2 with 3 items for Summary
            → call the model: 2
        words the parser is in src/parse.rs and two of its tests still fail
            request 2 answered
            compacted: Summary for Threshold, 0..2 become 2 items, 0 cleared
            request 3 with 3 items
            → call the model: 3
        reply y
            request 3 answered
            call 1 started
            → run 1
        done 1 ok
            call 1 Done: ok
            request 4 with 6 items
            → call the model: 4
    "#]]
    .assert_eq(&told);
}

#[test]
fn the_ledger_moves_behind_a_compaction_in_the_middle_of_a_reply() {
    let mut story = Story::default();
    story.play(
        "
        window 4000 3000 500 threshold
        say a
        reply block x
        compact
        done 1 ok
    ",
    );
    expect![[r#"
        summary:
        assistant: so
        call 1: x
        result 1 Done: ok
        ledger
    "#]]
    .assert_eq(&story.context());
    story.told.clear();
    story.play(SUMMARY);
    expect![[r#"
        words the parser is in src/parse.rs and two of its tests still fail
            request 2 answered
            compaction failed: Provider: the provider's answer holds no compaction
            request 3 with 5 items for Summary
            → call the model: 3
    "#]]
    .assert_eq(&story.told);
}

#[test]
fn a_count_that_is_nonsense_does_not_keep_a_session_from_going_on() {
    let told = last(
        "
        window 3000 2700 100
        say a 3000
        counted 4000
        say b 2000
        say c
    ",
        2,
    );
    expect![[r#"
        say b 2000
            accepted b (Steer)
            turn 2 started
            delivered b
            compacted: Cut for Threshold, 0..3 become 1 items, 0 cleared
            turn 2 ended: Error the context does not fit the model: about 3182 tokens, of which the instructions and tools take 0 and the ledger (what may not be lost) 3182; the model's window has 3000, 0 of them kept for the answer. Take a model with a larger window, or set `window` under [models.NAME] right
        say c
            accepted c (Steer)
            turn 3 started
            delivered c
            request 2 with 2 items
            → call the model: 2
    "#]].assert_eq(&told);
}
