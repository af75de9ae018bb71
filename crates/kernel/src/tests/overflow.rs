//! What is done where the provider says that a request does not fit, and before it does.

use expect_test::expect;
use quire_protocol::{Item, Purpose};

use super::{SUMMARY, Story, last};

#[test]
fn a_provider_that_says_it_does_not_fit_is_asked_again_with_less_while_there_is_less() {
    let told = last(
        "
        say a
        reply x
        big 1 900
        reply y
        big 2 900
        overflow
        fail
        overflow
        say c
    ",
        4,
    );
    expect![[r#"
        overflow
            request 3 failed: cannot connect
            request 4 with 4 items for Summary
            → call the model: 4
        fail
            request 4 failed: cannot connect
            compaction failed: Summary: cannot connect
            compacted: Cut for Overflow, 0..4 become 1 items, 0 cleared
            request 5 with 4 items
            → call the model: 5
        overflow
            request 5 failed: cannot connect
            compacted: Cut for Overflow, 0..4 become 1 items, 0 cleared
            request 6 with 1 items
            → call the model: 6
        say c
            accepted c (Steer)
    "#]]
    .assert_eq(&told);
}

#[test]
fn an_overflow_is_answered_by_a_summary_of_what_was_seen_and_cut_only_after_another() {
    let told = last(
        "
        say a
        reply x
        big 1 900
        reply y
        big 2 900
        overflow
        SUMMARY
        overflow
    ",
        3,
    );
    expect![[r#"
        overflow
            request 3 failed: cannot connect
            request 4 with 4 items for Summary
            → call the model: 4
        words the parser is in src/parse.rs and two of its tests still fail
            request 4 answered
            compacted: Summary for Overflow, 0..4 become 2 items, 0 cleared
            request 5 with 5 items
            → call the model: 5
        overflow
            request 5 failed: cannot connect
            compacted: Cut for Overflow, 0..5 become 1 items, 0 cleared
            request 6 with 1 items
            → call the model: 6
    "#]]
    .assert_eq(&told);
}

#[test]
fn after_an_overflow_the_session_compacts_before_the_next_one() {
    let mut story = Story::default();
    story.play("window 3000 2700 300");
    for turn in 0..20 {
        // The provider takes 1,800 of the 3,000 tokens that are set.
        if turn == 15 {
            assert_eq!(story.told.matches(" failed").count(), 1);
            assert!(story.told.contains("Summary for Threshold"));
            story.play("window 3001 2700 300");
        }
        story.play(&format!("say m{turn}"));
        while let Some(purpose) = story.session.purpose().cloned() {
            match purpose {
                Purpose::Summary => story.play(SUMMARY),
                _ if story.session.estimate() > 1_800 => story.play("overflow"),
                _ => story.play(&format!("words {}", "v".repeat(1_500))),
            }
        }
    }
    // Another window is another try.
    assert_eq!(story.told.matches(" failed").count(), 2);
    assert_eq!(story.told.matches("Summary for Overflow").count(), 2);
    assert!(!story.told.contains("Cut"), "{}", story.told);
}

#[test]
fn results_cleared_are_not_enough_where_the_rest_does_not_fit_a_window_that_shrank() {
    let told = last(
        "
        say a 2500
        reply x
        big 1 4000
        window 700 600 50
        overflow
    ",
        1,
    );
    expect![[r#"
        overflow
            request 2 failed: cannot connect
            compacted: Clear for Overflow, 0..0 become 0 items, 1 cleared
            turn 1 ended: Error the context does not fit the model: about 774 tokens, of which the instructions and tools take 0 and the ledger (what may not be lost) 803; the model's window has 700, 0 of them kept for the answer. Take a model with a larger window, or set `window` under [models.NAME] right
    "#]].assert_eq(&told);
}

#[test]
fn a_first_request_that_is_guessed_a_little_too_large_is_tried_whole() {
    let told = last(
        "
        window 10000 9000 1000
        say a 36000
        overflow
        reply
        say b 6000
    ",
        4,
    );
    expect![[r#"
        say a 36000
            accepted a (Steer)
            turn 1 started
            delivered a
            request 1 with 1 items
            → call the model: 1
        overflow
            request 1 failed: cannot connect
            compacted: Cut for Overflow, 0..1 become 1 items, 0 cleared
            request 2 with 1 items
            → call the model: 2
        reply
            request 2 answered
            turn 1 ended: EndTurn
        say b 6000
            accepted b (Steer)
            turn 2 started
            delivered b
            request 3 with 2 items for Summary
            → call the model: 3
    "#]]
    .assert_eq(&told);
}

#[test]
fn of_a_message_that_the_model_has_not_seen_a_cut_keeps_as_much_as_fits() {
    let mut kept = Vec::new();
    for overflows in 0..3 {
        let mut story = Story::default();
        story.play("window 10000 9000 1000");
        story.play(if overflows == 0 {
            "say a 60000"
        } else {
            "say a 36000"
        });
        for _ in 0..overflows {
            story.play("overflow");
        }
        let items = story.session.transcript().items();
        let [Item::Ledger { text }] = items.iter().map(AsRef::as_ref).collect::<Vec<_>>()[..]
        else {
            panic!("{}", story.context());
        };
        let cut = text.rsplit("[cut: ").next().unwrap_or_default();
        kept.push(cut.split(' ').next().unwrap_or_default().to_owned());
    }
    assert_eq!(kept, ["30701", "28808", "23252"]);
}

#[test]
fn a_summary_replaces_no_more_than_was_sent_for_it_whatever_window_is_set_meanwhile() {
    let told = last(
        "
        say a
        reply x
        big 1 900
        reply y
        big 2 900
        overflow
        window 100 90 10
        SUMMARY
    ",
        3,
    );
    expect![[r#"
        overflow
            request 3 failed: cannot connect
            request 4 with 4 items for Summary
            → call the model: 4
        window 100 90 10
            configured
        words the parser is in src/parse.rs and two of its tests still fail
            request 4 answered
            compacted: Summary for Threshold, 0..4 become 2 items, 0 cleared
            compacted: Cut for Threshold, 0..5 become 1 items, 0 cleared
            request 5 with 1 items
            → call the model: 5
    "#]]
    .assert_eq(&told);
}
