//! How the context is compacted: `window ROOM COMPACT_AT KEEP` in tokens, of which a thousand bytes
//! have 290.

use expect_test::expect;

use super::check;

#[test]
fn a_result_that_is_larger_than_the_window_is_cleared_before_the_next_request() {
    check(
        "
            window 1000 900 200
            say a
            reply x
            big 1 9000
        ",
        &expect![[r#"
            window 1000 900 200
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
            big 1 9000
                call 1 Done: xxxxxxxx… (9000 bytes)
                compacted: Clear for Threshold, 0..0 become 0 items, 1 cleared
                request 2 with 4 items
                → call the model: 2
        "#]],
    );
}
