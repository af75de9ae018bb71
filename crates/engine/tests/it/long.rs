//! Long work through the engine: a goal is judged with its checks, a stop reaches a check that runs, a
//! limit pauses the work, and what was compacted comes back from the journal.

use std::sync::atomic::Ordering;

use quire_protocol::*;

use crate::doubles::{Answer, World, reply, say, settings};

fn goal(check: &str) -> Op {
    Op::SetGoal {
        goal: Some(Goal::new("all is green", vec![check.to_owned()])),
    }
}

fn verdict(verdict: &str) -> Answer {
    let answer = format!(r#"{{"verdict":"{verdict}","reasons":"it says so"}}"#);
    Answer::Reply(reply(&answer, &[]))
}

/// What the events of a kind say.
fn judgements(records: &[Record]) -> Vec<(GoalVerdict, bool)> {
    records
        .iter()
        .filter_map(|record| match &record.event {
            Event::Goal(GoalStep::Judged { judgement }) => {
                let green = judgement.checks.iter().all(CheckRun::succeeded);
                Some((judgement.verdict, green))
            }
            _ => None,
        })
        .collect()
}

#[tokio::test]
async fn a_goal_is_judged_in_a_context_of_its_own_after_its_checks_ran() {
    let world = World::new(vec![
        Answer::Reply(reply("at once", &[])),
        Answer::Reply(reply("no evidence", &[])),
        verdict("met"),
    ]);
    let session = world.engine.start(settings()).await.unwrap();
    world.engine.submit(&session, goal("pass")).await.unwrap();
    world
        .engine
        .submit(&session, say("go", Delivery::Steer))
        .await
        .unwrap();
    let records = world
        .until(&session, |event| matches!(event, Event::TurnEnded { .. }))
        .await;
    assert_eq!(judgements(&records), [(GoalVerdict::Met, true)]);
    let requests = world.model.requests.lock().unwrap();
    let judge = requests.last().unwrap();
    assert_eq!(judge.purpose, Purpose::Judge);
    assert!(judge.prefix.tools.is_empty());
    assert_eq!(judge.transcript.len(), 1);
    let asked = format!("{:?}", judge.transcript.items()[0]);
    for part in [
        "all is green",
        "no evidence",
        "Check: `pass`: exit code 0",
        "green",
    ] {
        assert!(asked.contains(part), "{part}: {asked}");
    }
}

#[tokio::test]
async fn a_check_that_fails_outweighs_an_evaluator_that_says_met() {
    let world = World::new(vec![
        Answer::Reply(reply("one", &[])),
        Answer::Reply(reply("two", &[])),
        verdict("met"),
        Answer::Reply(reply("three", &["quick"])),
    ]);
    let session = world.engine.start(settings()).await.unwrap();
    world.engine.submit(&session, goal("quick")).await.unwrap();
    world
        .engine
        .submit(&session, say("go", Delivery::Steer))
        .await
        .unwrap();
    let records = world
        .until(&session, |event| matches!(event, Event::ToolEnded { .. }))
        .await;
    assert_eq!(judgements(&records), [(GoalVerdict::NotYet, false)]);
}

#[tokio::test]
async fn a_stop_reaches_a_check_that_runs() {
    let world = World::new(vec![
        Answer::Reply(reply("one", &[])),
        Answer::Reply(reply("two", &[])),
        verdict("met"),
    ]);
    let session = world.engine.start(settings()).await.unwrap();
    world.engine.submit(&session, goal("hang")).await.unwrap();
    // Setting it asked git for the commit.
    world.tools.state().begun.notified().await;
    world
        .engine
        .submit(&session, say("go", Delivery::Steer))
        .await
        .unwrap();
    world.tools.state().begun.notified().await;
    assert_eq!(world.tools.state().alive.load(Ordering::SeqCst), 1);
    let cause = "person".to_owned();
    world
        .engine
        .submit(&session, Op::Interrupt { cause })
        .await
        .unwrap();
    let records = world
        .until(&session, |event| matches!(event, Event::TurnEnded { .. }))
        .await;
    assert_eq!(world.tools.state().alive.load(Ordering::SeqCst), 0);
    let asked = world.model.requests.lock().unwrap().len();
    assert_eq!(asked, 2, "the evaluator was asked after the stop");
    assert!(matches!(
        &records.last().unwrap().event,
        Event::TurnEnded {
            reason: StopReason::Cancelled,
            ..
        }
    ));
}

#[tokio::test]
async fn a_limit_pauses_the_turn_which_goes_on_once_it_is_raised() {
    let mut counted = reply("a step", &["quick"]);
    counted.usage.input = 1_000;
    let world = World::new(vec![
        Answer::Reply(counted),
        Answer::Reply(reply("the end", &[])),
    ]);
    let mut settings = settings();
    settings.limits.tokens = Some(500);
    let session = world.engine.start(settings.clone()).await.unwrap();
    world
        .engine
        .submit(&session, say("go", Delivery::Steer))
        .await
        .unwrap();
    let records = world
        .until(&session, |event| matches!(event, Event::TurnPaused { .. }))
        .await;
    let Event::TurnPaused { detail, .. } = &records.last().unwrap().event else {
        unreachable!();
    };
    assert!(
        detail.contains("1000 tokens of its limit of 500"),
        "{detail}"
    );
    assert_eq!(world.model.requests.lock().unwrap().len(), 1);
    settings.limits.tokens = Some(5_000);
    world
        .engine
        .submit(&session, Op::Configure { settings })
        .await
        .unwrap();
    let records = world
        .until(&session, |event| matches!(event, Event::TurnEnded { .. }))
        .await;
    let starts = records
        .iter()
        .filter(|record| matches!(record.event, Event::TurnStarted { .. }));
    assert_eq!(starts.count(), 1, "it is the same turn");
}

#[tokio::test]
async fn a_paused_turn_is_paused_after_the_process_died_too() {
    let mut counted = reply("a step", &["quick"]);
    counted.usage.input = 1_000;
    let world = World::new(vec![Answer::Reply(counted)]);
    let mut settings = settings();
    settings.limits.tokens = Some(500);
    let session = world.engine.start(settings.clone()).await.unwrap();
    world
        .engine
        .submit(&session, say("go", Delivery::Steer))
        .await
        .unwrap();
    world
        .until(&session, |event| matches!(event, Event::TurnPaused { .. }))
        .await;
    world.store.forget_leases();
    let next = World::over(
        world.store.clone(),
        vec![Answer::Reply(reply("the end", &[]))],
    );
    let opened = next.engine.open(&session).await.unwrap();
    assert!(opened.unfinished);
    assert_eq!(opened.found, opened.last, "there is nothing to recover");
    next.engine.submit(&session, Op::Resume).await.unwrap();
    assert!(next.model.requests.lock().unwrap().is_empty());
    settings.limits.tokens = None;
    next.engine
        .submit(&session, Op::Configure { settings })
        .await
        .unwrap();
    next.until(&session, |event| matches!(event, Event::TurnEnded { .. }))
        .await;
}

#[tokio::test]
async fn a_compaction_that_is_asked_for_and_its_undo_are_carried_out_without_a_turn_of_work() {
    let words = "w".repeat(3_000);
    let world = World::new(vec![
        Answer::Reply(reply(&words, &[])),
        Answer::Reply(reply(
            "A summary that is long enough to be one, about nothing much.",
            &[],
        )),
    ]);
    let mut settings = settings();
    settings.context.keep = 1;
    let session = world.engine.start(settings).await.unwrap();
    world
        .engine
        .submit(&session, say("go", Delivery::Steer))
        .await
        .unwrap();
    world
        .until(&session, |event| matches!(event, Event::TurnEnded { .. }))
        .await;
    let compact = Op::Compact {
        focus: "names".to_owned(),
        part: ContextPart::Older,
    };
    world.engine.submit(&session, compact).await.unwrap();
    let done = |event: &Event| matches!(event, Event::Compaction(CompactionStep::Done { .. }));
    let records = world.until(&session, done).await;
    let Event::Compaction(CompactionStep::Done { compaction }) = &records.last().unwrap().event
    else {
        unreachable!();
    };
    assert_eq!(compaction.kind, CompactionKind::Summary);
    assert!(
        compaction.tokens_after < compaction.tokens_before / 2,
        "{compaction:?}"
    );
    {
        let requests = world.model.requests.lock().unwrap();
        let asked = requests.last().unwrap();
        assert_eq!(asked.purpose, Purpose::Summary);
        let last = format!("{:?}", asked.transcript.items().last().unwrap());
        assert!(last.contains("Dwell on this: names"), "{last}");
    }
    world
        .engine
        .submit(&session, Op::UndoCompaction)
        .await
        .unwrap();
    let undone = |event: &Event| matches!(event, Event::Compaction(CompactionStep::Undone));
    world.until(&session, undone).await;
}
