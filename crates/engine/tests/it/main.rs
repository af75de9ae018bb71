//! The engine as a face sees it, over doubles at its ports.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod changes;
mod doubles;
mod keeping;
mod long;
mod moments;
mod offers;
mod team;

use std::sync::atomic::Ordering;

use doubles::{Answer, World, reply, say, settings};
use futures_util::StreamExt;
use quire_protocol::*;

fn ended(event: &Event) -> bool {
    matches!(event, Event::TurnEnded { .. })
}

fn reason(records: &[Record]) -> StopReason {
    match &records.last().unwrap().event {
        Event::TurnEnded { reason, .. } => *reason,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_prompt_goes_through_tools_to_an_answer() {
    let world = World::new(vec![
        Answer::Reply(reply("looking", &["quick", "quick"])),
        Answer::Reply(reply("done", &[])),
    ]);
    let session = world.engine.start(settings()).await.unwrap();
    world
        .engine
        .submit(&session, say("go", Delivery::Steer))
        .await
        .unwrap();
    let records = world.until(&session, ended).await;
    assert_eq!(reason(&records), StopReason::EndTurn);
    let sequence: Vec<u64> = records.iter().map(|record| record.seq.0).collect();
    assert_eq!(sequence, (1..=records.len() as u64).collect::<Vec<_>>());
    assert_eq!(world.store.entries(&session).len(), records.len());
    assert!(world.store.syncs.load(Ordering::Relaxed) >= 1);
    let started = world.tools.state().started.lock().unwrap().clone();
    assert_eq!(started, [CallId(1), CallId(2)]);
    let requests = world.model.requests.lock().unwrap();
    assert_eq!(requests.len(), 2);
    assert_eq!(requests[0].transcript.len(), 1);
    assert_eq!(requests[1].transcript.len(), 6);
    assert_eq!(requests[0].prefix.instructions, "Be good.");
}

#[tokio::test]
async fn a_session_that_is_open_is_opened_again_as_it_is() {
    let world = World::new(vec![Answer::Reply(reply("", &["hang"]))]);
    let session = world.engine.start(settings()).await.unwrap();
    let say = say("go", Delivery::Steer);
    world.engine.submit(&session, say).await.unwrap();
    world.tools.state().begun.notified().await;
    let opened = world.engine.open(&session).await.unwrap();
    assert_eq!(opened.last.0, world.store.entries(&session).len() as u64);
    assert!(!opened.unfinished, "it works, and nothing goes on with it");
    assert_eq!(world.tools.state().alive.load(Ordering::SeqCst), 1);
    let (one, other) = tokio::join!(world.engine.open(&session), world.engine.open(&session));
    assert_eq!(one.unwrap(), other.unwrap());
    world.engine.close(&session).await.unwrap();
    let (one, other) = tokio::join!(world.engine.open(&session), world.engine.open(&session));
    assert!(one.unwrap().unfinished && other.unwrap().unfinished);
}

#[tokio::test]
async fn an_interrupt_is_acknowledged_once_nothing_runs() {
    let world = World::new(vec![Answer::Reply(reply("", &["hang", "quick"]))]);
    let session = world.engine.start(settings()).await.unwrap();
    world
        .engine
        .submit(&session, say("go", Delivery::Steer))
        .await
        .unwrap();
    world.tools.state().begun.notified().await;
    let cause = "person".to_owned();
    world
        .engine
        .submit(&session, Op::Interrupt { cause })
        .await
        .unwrap();
    let records = world.until(&session, ended).await;
    assert_eq!(reason(&records), StopReason::Cancelled);
    assert_eq!(world.tools.state().alive.load(Ordering::SeqCst), 0);
    assert_eq!(world.tools.state().started.lock().unwrap().len(), 1);
    assert_eq!(world.model.requests.lock().unwrap().len(), 1);
}

/// What is recorded of a request that is interrupted after its model said this.
async fn interrupted_after(said: Vec<ModelEvent>) -> (ModelError, Usage, Option<Money>) {
    let world = World::new(vec![Answer::Hangs(said)]);
    let session = world.engine.start(settings()).await.unwrap();
    for op in [
        say("go", Delivery::Steer),
        Op::Interrupt {
            cause: "timeout".to_owned(),
        },
    ] {
        world.engine.submit(&session, op).await.unwrap();
    }
    let records = world.until(&session, ended).await;
    assert_eq!(reason(&records), StopReason::Cancelled);
    let failed = records.into_iter().find_map(|record| match record.event {
        Event::ModelFailed {
            error, usage, cost, ..
        } => Some((error, usage, cost)),
        _ => None,
    });
    failed.expect("the request has its end")
}

#[tokio::test]
async fn a_request_that_is_interrupted_has_cost_what_its_provider_may_have_done() {
    let usage = Usage {
        input: 7,
        ..Usage::default()
    };
    let used = |usage, cost| ModelEvent::Used { usage, cost };
    let retrying = || {
        ModelEvent::Delta(Delta::Retrying {
            retry: Retry {
                reason: "overloaded".to_owned(),
                wait_ms: 60_000,
            },
        })
    };
    let word = || ModelEvent::Delta(Delta::Text { text: "x".into() });
    let (some, none) = (Some(Money::from_picos(5)), Usage::default());
    let billed = "what the provider produced after its last report is billed too";
    for (said, expected) in [
        (vec![], (billed, none, None)),
        (vec![used(usage, some)], (billed, usage, some)),
        (vec![used(usage, some), word()], (billed, usage, some)),
        (vec![retrying()], ("", none, Some(Money::ZERO))),
        (
            vec![retrying(), used(none, None), retrying()],
            ("", none, Some(Money::ZERO)),
        ),
        (vec![retrying(), used(none, None)], (billed, none, None)),
        (vec![word(), retrying()], ("", none, None)),
        (vec![used(usage, some), retrying()], ("", usage, some)),
    ] {
        let (error, usage, cost) = interrupted_after(said.clone()).await;
        assert_eq!(error.kind, ModelErrorKind::Cancelled);
        assert_eq!((error.hint.as_str(), usage, cost), expected, "{said:?}");
    }
}

#[tokio::test]
async fn always_answers_what_policy_would_not_ask_any_more() {
    use quire_protocol::Answer::{AllowAlways, AllowOnce};
    let calls = ["ask", "ask-other", "ask"];
    let world = World::new(vec![
        Answer::Reply(reply("", &calls)),
        Answer::Reply(reply("done", &[])),
    ]);
    let session = world.engine.start(settings()).await.unwrap();
    let go = say("go", Delivery::Steer);
    world.engine.submit(&session, go).await.unwrap();
    let asked = |call: u32| move |event: &Event| matches!(event, Event::ApprovalAsked { call: asked, .. } if asked.0 == call);
    world.until(&session, asked(3)).await;
    let always = Op::Answer {
        call: CallId(1),
        answer: AllowAlways,
    };
    world.engine.submit(&session, always).await.unwrap();
    let once = Op::Answer {
        call: CallId(2),
        answer: AllowOnce,
    };
    world.engine.submit(&session, once).await.unwrap();
    let records = world.until(&session, ended).await;
    let answers: Vec<_> = records
        .iter()
        .filter_map(|record| match &record.event {
            Event::ApprovalAnswered {
                call,
                answer,
                ruled_by,
            } => Some((call.0, answer.clone(), ruled_by.map(|call| call.0))),
            _ => None,
        })
        .collect();
    assert_eq!(
        answers,
        [
            (1, AllowAlways, None),
            (3, AllowOnce, Some(1)),
            (2, AllowOnce, None)
        ],
        "the other question was a person's to answer"
    );
    assert_eq!(reason(&records), StopReason::EndTurn);
}

#[tokio::test]
async fn a_steer_reaches_the_next_request_and_a_queued_message_the_next_turn() {
    let world = World::new(vec![Answer::Reply(reply("", &["hang"]))]);
    let session = world.engine.start(settings()).await.unwrap();
    world
        .engine
        .submit(&session, say("go", Delivery::Steer))
        .await
        .unwrap();
    world.tools.state().begun.notified().await;
    for op in [say("later", Delivery::Queue), say("also", Delivery::Steer)] {
        world.engine.submit(&session, op).await.unwrap();
    }
    {
        let mut replies = world.model.replies.lock().unwrap();
        replies.push_back(Answer::Reply(reply("one", &[])));
        replies.push_back(Answer::Reply(reply("two", &[])));
    }
    world.tools.cancel(CallId(1)).await;
    world
        .until(
            &session,
            |event| matches!(event, Event::TurnEnded { turn, .. } if *turn == TurnId(2)),
        )
        .await;
    let requests = world.model.requests.lock().unwrap();
    let said: Vec<Vec<String>> = requests
        .iter()
        .map(|request| {
            request
                .transcript
                .items()
                .iter()
                .filter_map(|item| match &**item {
                    Item::User { message, .. } => Some(message.to_string()),
                    _ => None,
                })
                .collect()
        })
        .collect();
    assert_eq!(
        said,
        [vec!["go"], vec!["go", "also"], vec!["go", "also", "later"]]
    );
}

#[tokio::test]
async fn what_the_store_refuses_did_not_happen() {
    let world = World::new(vec![Answer::Reply(reply("", &["hang"]))]);
    let session = world.engine.start(settings()).await.unwrap();
    world
        .engine
        .submit(&session, say("go", Delivery::Steer))
        .await
        .unwrap();
    world.tools.state().begun.notified().await;
    let before = world.store.entries(&session).len();
    world.store.full.store(true, Ordering::Relaxed);
    let refused = world
        .engine
        .submit(&session, say("more", Delivery::Steer))
        .await
        .unwrap_err();
    assert!(refused.to_string().contains("disk is full"), "{refused}");
    let frames: Vec<Frame> = world.engine.watch(&session, Seq(0)).collect().await;
    let records = frames
        .iter()
        .filter(|frame| matches!(frame, Frame::Record(_)))
        .count();
    assert_eq!(records, before, "the watch ends with what is recorded");
    assert_eq!(world.tools.state().alive.load(Ordering::SeqCst), 0);
    let died = world.engine.close(&session).await.unwrap_err();
    assert!(died.to_string().contains("disk is full"), "{died}");
    // There is room again: the session goes on where it was.
    world.store.full.store(false, Ordering::Relaxed);
    let opened = world.engine.open(&session).await.unwrap();
    assert!(opened.unfinished);
}

#[test]
fn a_dead_process_loses_nothing_and_runs_nothing_twice() {
    let store = std::sync::Arc::default();
    let runtime = || {
        tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap()
    };
    let first = runtime();
    let world = World::over(
        std::sync::Arc::clone(&store),
        vec![Answer::Reply(reply("", &["hang", "quick"]))],
    );
    let session = first.block_on(async {
        let session = world.engine.start(settings()).await.unwrap();
        let go = say("go", Delivery::Steer);
        world.engine.submit(&session, go).await.unwrap();
        world.tools.state().begun.notified().await;
        session
    });
    drop(first);
    store.forget_leases();

    let world = World::over(
        std::sync::Arc::clone(&store),
        vec![Answer::Reply(reply("done", &[]))],
    );
    let records = runtime().block_on(async {
        let opened = world.engine.open(&session).await.unwrap();
        assert!(opened.unfinished);
        world.engine.submit(&session, Op::Resume).await.unwrap();
        let records = world.until(&session, ended).await;
        let recovered = &records[usize::try_from(opened.found.0).unwrap()];
        assert!(
            matches!(recovered.event, Event::Recovered { .. }) && recovered.seq <= opened.last,
            "{recovered:?}"
        );
        records
    });
    assert_eq!(reason(&records), StopReason::EndTurn);
    let lost: Vec<ToolStatus> = records
        .iter()
        .filter_map(|record| match &record.event {
            Event::ToolEnded { outcome, .. } => Some(outcome.status),
            _ => None,
        })
        .collect();
    assert_eq!(lost, [ToolStatus::Lost, ToolStatus::Done]);
    let started = world.tools.state().started.lock().unwrap().clone();
    assert_eq!(started, [CallId(2)]);
}

#[tokio::test]
async fn a_slow_watcher_misses_no_record() {
    let mut replies: Vec<Answer> = (0..300)
        .map(|_| Answer::Deltas(20, reply("", &["quick"])))
        .collect();
    replies.push(Answer::Reply(reply("done", &[])));
    let world = World::new(replies);
    let mut settings = settings();
    settings.limits.repeats = 1000;
    let session = world.engine.start(settings).await.unwrap();
    let mut slow = world.engine.watch(&session, Seq(0));
    world
        .engine
        .submit(&session, say("go", Delivery::Steer))
        .await
        .unwrap();
    let fast = world.until(&session, ended).await;
    let mut seen = Vec::new();
    while let Some(frame) = slow.next().await {
        let Frame::Record(record) = frame else {
            continue;
        };
        let last = ended(&record.event);
        seen.push(record);
        if last {
            break;
        }
    }
    assert_eq!(seen, fast);
}

#[tokio::test]
async fn a_watch_shows_all_that_is_good_before_what_cannot_be_read() {
    let world = World::new(vec![Answer::Reply(reply("done", &[]))]);
    let session = world.engine.start(settings()).await.unwrap();
    let go = say("go", Delivery::Steer);
    world.engine.submit(&session, go).await.unwrap();
    let whole = world.until(&session, ended).await;
    world.engine.close(&session).await.unwrap();
    world.store.spoil_last(&session);
    let seen: Vec<Record> = world
        .engine
        .watch(&session, Seq(0))
        .filter_map(async |frame| match frame {
            Frame::Record(record) => Some(record),
            Frame::Delta(_) => None,
        })
        .collect()
        .await;
    assert_eq!(seen, whole[..whole.len() - 1]);
}

#[tokio::test]
async fn a_crashing_tool_or_model_is_a_fact_not_an_end() {
    let world = World::new(vec![Answer::Reply(reply("", &["crash"])), Answer::Panic]);
    let session = world.engine.start(settings()).await.unwrap();
    world
        .engine
        .submit(&session, say("go", Delivery::Steer))
        .await
        .unwrap();
    let records = world.until(&session, ended).await;
    assert_eq!(reason(&records), StopReason::Error);
    assert!(records.iter().any(|record| matches!(
        &record.event,
        Event::ToolEnded { outcome, .. } if outcome.status == ToolStatus::Failed
    )));
    world.engine.close(&session).await.unwrap();
}

#[tokio::test]
async fn settings_that_cannot_work_are_refused() {
    let world = World::new(vec![]);
    let mut bad = settings();
    bad.model = "none".to_owned();
    let refused = world.engine.start(bad.clone()).await.unwrap_err();
    assert!(refused.to_string().contains("no such model"));
    let session = world.engine.start(settings()).await.unwrap();
    let refused = world
        .engine
        .submit(&session, Op::Configure { settings: bad })
        .await
        .unwrap_err();
    assert!(refused.to_string().contains("no such model"));
}
