//! How a goal is worked for, turn after turn, and what ends that.

use expect_test::expect;

use super::last;

#[test]
fn a_goal_is_told_claimed_shown_and_judged() {
    let told = last(
        "
        goal all tests pass
        say a
        reply x
        ran 1 0
        reply note
        claim 2 1
        reply
        verdict met all green
    ",
        8,
    );
    expect![[r#"
        goal all tests pass
            goal: all tests pass
        say a
            accepted a (Steer)
            turn 1 started
            noticed: A goal is set for this session: all tests pass…
            delivered a
            request 1 with 2 items
            → call the model: 1
        reply x
            request 1 answered
            call 1 started
            → run 1
        ran 1 0
            call 1 Done: 0
            request 2 with 5 items
            → call the model: 2
        reply note
            request 2 answered
            call 2 started
            → run 2
        claim 2 1
            call 2 Done: 1
            request 3 with 8 items
            → call the model: 3
        reply
            request 3 answered
            request 4 with 9 items for Judge
            → call the model: 4
        verdict met all green
            request 4 answered
            judged Met: all green
            goal dropped: met
            turn 1 ended: EndTurn the goal is met: all green
    "#]]
    .assert_eq(&told);
}

#[test]
fn a_claim_without_evidence_is_asked_for_it_once_and_then_judged_and_not_believed() {
    let told = last(
        "
        goal g
        say a
        reply
        reply
        verdict met because it says so
    ",
        3,
    );
    expect![[r#"
        reply
            request 1 answered
            noticed: The goal is not shown to be reached. If it is, call `note` with kind `done` and the numbers of the calls that show it; if not, go on.
            request 2 with 4 items
            → call the model: 2
        reply
            request 2 answered
            request 3 with 5 items for Judge
            → call the model: 3
        verdict met because it says so
            request 3 answered
            judged NotYet: no call was named as evidence, so nothing shows it. The evaluator said: because it says so
            turn 1 ended: EndTurn the goal is not met yet: no call was named as evidence, so nothing shows it. The evaluator said: because it says so
            turn 2 started
            noticed: The goal is not met yet, the evaluator says: no call was named as evidence, so nothing shows it. The evaluator said: because it says so
            request 4 with 6 items
            → call the model: 4
    "#]].assert_eq(&told);
}

#[test]
fn a_check_that_fails_contradicts_the_evaluator() {
    let told = last(
        "
        checked-goal check g
        say a
        reply
        reply
        verdict-with 1 met all green
    ",
        1,
    );
    expect![[r#"
        verdict-with 1 met all green
            request 3 answered
            judged NotYet: the check `check` fails. The evaluator said: all green
            turn 1 ended: EndTurn the goal is not met yet: the check `check` fails. The evaluator said: all green
            turn 2 started
            noticed: The goal is not met yet, the evaluator says: the check `check` fails. The evaluator said: all green
            request 4 with 6 items
            → call the model: 4
    "#]].assert_eq(&told);
}

#[test]
fn a_goal_that_comes_no_nearer_ends_after_so_many_verdicts_whatever_is_claimed() {
    let told = last(
        "
        goal g
        say a
        reply
        reply
        verdict not_yet do x
        reply note
        claim 1
        reply
        reply
        verdict not_yet do x
        reply note
        note 2 done it really is
        reply
        reply
        verdict not_yet do x
        reply
        reply
        verdict no such
    ",
        1,
    );
    expect![[r#"
        verdict no such
            request 14 answered
            judged NotYet: the evaluator's answer could not be read
            turn 4 ended: NoProgress the goal came no nearer in 3 verdicts (of 4); the last one said: the evaluator's answer could not be read. Say what it should do instead, or drop the goal
    "#]].assert_eq(&told);
}

#[test]
fn a_message_gives_as_many_verdicts_again_and_the_stop_names_their_number() {
    let told = last(
        "
        capped-goal 2 g
        say a
        reply
        reply
        verdict not_yet do x
        reply
        reply
        verdict not_yet do y
        say b
        reply
        reply
        verdict not_yet do x
        reply
        reply
        verdict not_yet do y
    ",
        8,
    );
    expect![[r#"
        verdict not_yet do y
            request 6 answered
            judged NotYet: do y
            turn 2 ended: NoProgress the goal is not met after 2 verdicts, the most that follow on one message; the last one said: do y. Say something to go on for as many again, or drop the goal
        say b
            accepted b (Steer)
            turn 3 started
            delivered b
            request 7 with 10 items
            → call the model: 7
        reply
            request 7 answered
            noticed: The goal is not shown to be reached. If it is, call `note` with kind `done` and the numbers of the calls that show it; if not, go on.
            request 8 with 12 items
            → call the model: 8
        reply
            request 8 answered
            request 9 with 13 items for Judge
            → call the model: 9
        verdict not_yet do x
            request 9 answered
            judged NotYet: do x
            turn 3 ended: EndTurn the goal is not met yet: do x
            turn 4 started
            noticed: The goal is not met yet, the evaluator says: do x
            request 10 with 14 items
            → call the model: 10
        reply
            request 10 answered
            noticed: The goal is not shown to be reached. If it is, call `note` with kind `done` and the numbers of the calls that show it; if not, go on.
            request 11 with 16 items
            → call the model: 11
        reply
            request 11 answered
            request 12 with 17 items for Judge
            → call the model: 12
        verdict not_yet do y
            request 12 answered
            judged NotYet: do y
            turn 4 ended: NoProgress the goal is not met after 2 verdicts, the most that follow on one message; the last one said: do y. Say something to go on for as many again, or drop the goal
    "#]].assert_eq(&told);
}

#[test]
fn something_new_is_progress_and_so_is_a_word_of_a_person() {
    let told = last(
        "
        goal g
        say a
        reply
        reply
        verdict not_yet do x
        reply
        reply
        verdict not_yet do x
        reply
        reply
        verdict not_yet do x
        say b
        reply
        reply
        reply
        verdict not_yet do x
    ",
        1,
    );
    expect![[r#"
        verdict not_yet do x
            request 13 answered
            judged NotYet: do x
            turn 4 ended: EndTurn the goal is not met yet: do x
            turn 5 started
            noticed: The goal is not met yet, the evaluator says: do x
            request 14 with 20 items
            → call the model: 14
    "#]]
    .assert_eq(&told);
}

#[test]
fn an_impossible_goal_is_dropped_and_a_queued_message_gets_its_turn() {
    let told = last(
        "
        goal g
        say a
        queue b
        reply
        reply
        verdict impossible there is no key
    ",
        1,
    );
    expect![[r#"
        verdict impossible there is no key
            request 3 answered
            judged Impossible: there is no key
            goal dropped: impossible
            turn 1 ended: Impossible there is no key
            turn 2 started
            delivered b
            request 4 with 6 items
            → call the model: 4
    "#]]
    .assert_eq(&told);
}

#[test]
fn what_a_person_says_during_a_judgement_is_answered_with_the_verdict() {
    let told = last(
        "
        goal g
        say a
        reply
        reply
        say b
        verdict not_yet do x
    ",
        2,
    );
    expect![[r#"
        say b
            accepted b (Steer)
        verdict not_yet do x
            request 3 answered
            judged NotYet: do x
            turn 1 ended: EndTurn the goal is not met yet: do x
            turn 2 started
            noticed: The goal is not met yet, the evaluator says: do x
            delivered b
            request 4 with 7 items
            → call the model: 4
    "#]]
    .assert_eq(&told);
}

#[test]
fn a_verdict_is_about_the_goal_that_was_judged() {
    let told = last(
        "
        checked-goal check old
        say a
        reply
        reply
        checked-goal test new
        verdict-with 0 met all green
        reply
        no-goal
        reply
    ",
        5,
    );
    expect![[r#"
        checked-goal test new
            goal: new
        verdict-with 0 met all green
            request 3 answered
            noticed: A goal is set for this session: new…
            request 4 with 6 items
            → call the model: 4
        reply
            request 4 answered
            noticed: The goal is not shown to be reached. If it is, call `note` with kind `done` and the numbers of the calls that show it; if not, go on.
            request 5 with 8 items
            → call the model: 5
        no-goal
            goal dropped: person
        reply
            request 5 answered
            turn 1 ended: EndTurn
    "#]].assert_eq(&told);
}

#[test]
fn a_verdict_on_a_goal_that_was_dropped_does_not_end_a_turn_that_a_steer_waits_for() {
    let told = last(
        "
        goal g
        say a
        reply
        reply
        no-goal
        say b
        verdict met yes
        reply
    ",
        2,
    );
    expect![[r#"
        verdict met yes
            request 3 answered
            delivered b
            request 4 with 6 items
            → call the model: 4
        reply
            request 4 answered
            turn 1 ended: EndTurn
    "#]]
    .assert_eq(&told);
}

#[test]
fn a_goal_that_is_set_during_the_last_step_is_told_before_the_turn_ends() {
    let told = last(
        "
        say a
        goal g
        reply
    ",
        1,
    );
    expect![[r#"
        reply
            request 1 answered
            noticed: A goal is set for this session: g…
            request 2 with 3 items
            → call the model: 2
    "#]]
    .assert_eq(&told);
}

#[test]
fn a_goal_that_is_set_meanwhile_is_told_with_whatever_the_model_is_told() {
    let told = last(
        "
        say a
        goal g
        reply cut
        goal h
        reply silent
    ",
        3,
    );
    expect![[r#"
        reply cut
            request 1 answered
            noticed: Your answer was cut at the output limit. Go on exactly where it stopped, without repeating anything.
            noticed: A goal is set for this session: g…
            request 2 with 4 items
            → call the model: 2
        goal h
            goal: h
        reply silent
            request 2 answered
            noticed: Your reply was empty. Go on; when you are done, say what came of it.
            noticed: A goal is set for this session: h…
            request 3 with 6 items
            → call the model: 3
    "#]].assert_eq(&told);
}

#[test]
fn a_stop_ends_a_judgement_and_the_goal_waits_for_a_person() {
    let told = last(
        "
        goal g
        say a
        reply
        reply
        interrupt
        verdict met yes
        resume
        say b
    ",
        4,
    );
    expect![[r#"
        interrupt
            interrupted by person
            → cancel request 3
        verdict met yes
            request 3 answered
            turn 1 ended: Cancelled stopped by person
        resume
            turn 2 started
            noticed: The goal is not met yet: go on with it.
            request 4 with 6 items
            → call the model: 4
        say b
            accepted b (Steer)
    "#]]
    .assert_eq(&told);
}

#[test]
fn a_judgement_that_was_lost_is_made_again() {
    let told = last(
        "
        goal g
        say a
        reply
        reply
        crash
        resume
    ",
        2,
    );
    expect![[r#"
        crash
            recovered, lost calls [], lost request Some(RequestId(3))
            request 3 failed: the process ended while the model was answering
        resume
            request 4 with 5 items for Judge
            → call the model: 4
    "#]]
    .assert_eq(&told);
}
