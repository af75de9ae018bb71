//! Members at awkward moments: before they have heard their task, as they begin, while somebody looks.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use quire_protocol::*;

use crate::doubles::{Answer, MemoryStore, World, reply, say, settings};
use crate::team::{answer, asked, costs, name, results, told, with_budget};
use crate::{ended, reason};

/// A session whose member asked something before a crash, and has a new task that waits behind that; its lead asks
/// in its place.
async fn asking_after_a_crash() -> (World, SessionId, SessionId) {
    let store: Arc<MemoryStore> = Arc::default();
    let replies = vec![
        Answer::Reply(reply("", &["agent-tests"])),
        Answer::Reply(reply("", &["ask-first"])),
    ];
    let world = World::over(Arc::clone(&store), replies);
    let lead = world.engine.start(settings()).await.unwrap();
    let go = say("go", Delivery::Steer);
    world.engine.submit(&lead, go).await.unwrap();
    world.until(&lead, asked).await;
    store.forget_leases();
    let replies = vec![Answer::Reply(reply("", &["agent-tests"]))];
    let next = World::over(store, replies);
    next.engine.open(&lead).await.unwrap();
    next.engine.submit(&lead, Op::Resume).await.unwrap();
    let again =
        |event: &Event| matches!(event, Event::ApprovalAsked { call, .. } if *call == CallId(2));
    next.until(&lead, again).await;
    let member = lead.member(&name("tests"));
    (next, lead, member)
}

#[tokio::test]
async fn a_stop_reaches_a_member_that_has_not_heard_its_task_yet() {
    for of_member in [false, true] {
        let (world, lead, member) = asking_after_a_crash().await;
        let stopped = if of_member { &member } else { &lead };
        let cause = "person".to_owned();
        let interrupt = Op::Interrupt { cause };
        world.engine.submit(stopped, interrupt).await.unwrap();
        let over = |event: &Event| {
            matches!(
                event,
                Event::ToolEnded {
                    call: CallId(2),
                    ..
                }
            )
        };
        let over = world.until(&lead, over);
        let over = tokio::time::timeout(std::time::Duration::from_secs(10), over);
        let records = over.await.expect("it is over");
        let Event::ToolEnded { outcome, .. } = &records.last().unwrap().event else {
            panic!("{records:?}");
        };
        let told = joined_text(&outcome.content);
        let expected = if of_member {
            "Ended(Cancelled, \"stopped by person\"): "
        } else {
            "Stopped: "
        };
        assert_eq!(told, expected);
        // What came to nothing is not done with the next task.
        let withdrawn = |event: &Event| matches!(event, Event::MessageWithdrawn { .. });
        world.until(&member, withdrawn).await;
        let closed = world.engine.submit(&member, Op::Pause).await;
        assert_eq!(closed, Err(ClientError::NotOpen(member)));
    }
}

#[tokio::test]
async fn a_member_that_still_waits_at_a_limit_is_closed_again() {
    let replies = vec![
        costs(1, reply("", &["agent-tests", "agent-tests"])),
        costs(1, reply("", &["quick"])),
    ];
    let (world, lead) = told(replies, with_budget(2)).await;
    let paused = |event: &Event| matches!(event, Event::TurnPaused { .. });
    let records = world.until(&lead, paused).await;
    let told: Vec<String> = records
        .iter()
        .filter_map(|record| match &record.event {
            Event::ToolEnded { outcome, .. } => Some(joined_text(&outcome.content)),
            _ => None,
        })
        .collect();
    assert!(told[1].contains("and still does"), "{told:?}");
    let member = lead.member(&name("tests"));
    let closed = world.engine.submit(&member, Op::Pause).await;
    assert_eq!(closed, Err(ClientError::NotOpen(member)));
}

#[tokio::test(start_paused = true)]
async fn what_a_lead_may_no_more_a_member_may_not_that_is_just_about_to_begin() {
    let replies = vec![
        Answer::Reply(reply("", &["agent-tests"])),
        Answer::Reply(reply("green", &[])),
    ];
    let files = crate::keeping::Files::that_hang_before();
    let world = World::keeping(Arc::default(), replies, Some(files));
    let lead = world.engine.start(settings()).await.unwrap();
    let go = say("go", Delivery::Steer);
    world.engine.submit(&lead, go).await.unwrap();
    let runs = |event: &Event| matches!(event, Event::ToolStarted { .. });
    world.until(&lead, runs).await;
    for approvals in [ApprovalMode::Ask, ApprovalMode::Never] {
        let mut settings = settings();
        settings.policy.approvals = approvals;
        let changed = Op::Configure { settings };
        world.engine.submit(&lead, changed).await.unwrap();
    }
    let over = |event: &Event| matches!(event, Event::ToolEnded { .. });
    world.until(&lead, over).await;
    let member = lead.member(&name("tests"));
    let records = world.until(&member, ended).await;
    let mut policies = records.iter().filter_map(|record| match &record.event {
        Event::Configured { settings } => Some(&settings.policy),
        _ => None,
    });
    let policy = policies.next_back().unwrap();
    assert_eq!(policy.approvals, ApprovalMode::Never);
}

#[tokio::test]
async fn jobs_of_a_member_end_with_its_task_though_somebody_looks_at_it() {
    let replies = vec![
        Answer::Reply(reply("", &["agent-tests"])),
        Answer::Reply(reply("", &["job", "ask-first"])),
        Answer::Reply(reply("green", &[])),
        Answer::Reply(reply("done", &[])),
    ];
    let (world, lead) = told(replies, settings()).await;
    world.until(&lead, asked).await;
    let member = lead.member(&name("tests"));
    let looked_at = world.engine.watch(&member, Seq(0));
    let once = answer(1, quire_protocol::Answer::AllowOnce);
    world.engine.submit(&lead, once).await.unwrap();
    let records = world.until(&lead, ended).await;
    let ended_ms = records.last().unwrap().at_ms;
    let over = |event: &Event| matches!(event, Event::JobEnded { .. });
    let over = world.until(&member, over);
    let over = tokio::time::timeout(std::time::Duration::from_secs(10), over);
    let records = over.await.expect("the job ended");
    assert!(records.last().unwrap().at_ms <= ended_ms);
    drop(looked_at);
    world.engine.submit(&member, Op::Pause).await.unwrap();
}

#[tokio::test]
async fn words_that_were_cut_come_back_whole() {
    let mut cut = reply("all of ", &[]);
    cut.stop = TokenStop::MaxTokens;
    let mut rest = reply("it", &[]);
    rest.items.push(Item::Assistant {
        text: "and more".to_owned(),
        opaque: None,
    });
    let replies = vec![
        Answer::Reply(reply("", &["agent-tests"])),
        Answer::Reply(reply("I look", &["quick"])),
        Answer::Reply(cut),
        Answer::Reply(rest),
        Answer::Reply(reply("done", &[])),
    ];
    let (world, lead) = told(replies, settings()).await;
    world.until(&lead, ended).await;
    let requests = world.model.requests.lock().unwrap();
    assert_eq!(
        results(requests.last().unwrap()),
        ["Ended(EndTurn, \"\"): all of it\n\nand more"]
    );
}

#[tokio::test]
async fn a_member_whose_journal_takes_no_more_says_why() {
    let replies = vec![
        Answer::Reply(reply("", &["agent-tests"])),
        costs(1, reply("", &["ask-first"])),
        Answer::Reply(reply("done", &[])),
    ];
    let (world, lead) = told(replies, settings()).await;
    world.until(&lead, asked).await;
    let member = lead.member(&name("tests"));
    *world.store.full_for.lock().unwrap() = Some(member.clone());
    let once = answer(1, quire_protocol::Answer::AllowOnce);
    world.engine.submit(&lead, once).await.unwrap();
    let records = world.until(&lead, ended).await;
    assert_eq!(reason(&records), StopReason::EndTurn);
    let spent = records.iter().find_map(|record| match &record.event {
        Event::ToolEnded { outcome, .. } => outcome.spent,
        _ => None,
    });
    assert_eq!(spent.map(|spent| spent.requests), Some(1));
    let told = results(world.model.requests.lock().unwrap().last().unwrap());
    assert!(told[0].contains("/there"), "{told:?}");
    let closed = world.engine.submit(&member, Op::Pause).await;
    assert_eq!(closed, Err(ClientError::NotOpen(member)));
}

#[tokio::test]
async fn a_session_that_is_opened_while_it_is_closed_stays_open() {
    let world = World::new(Vec::new());
    let session = world.engine.start(settings()).await.unwrap();
    let (engine, closed) = (Arc::clone(&world.engine), session.clone());
    let close = tokio::spawn(async move { engine.close(&closed).await });
    let (engine, store) = (Arc::clone(&world.engine), Arc::clone(&world.store));
    let again = session.clone();
    let open = tokio::spawn(async move {
        // As soon as it can be: before whoever closes it has heard that it is.
        std::future::poll_fn(|context| {
            if !store.is_leased(&again) {
                return std::task::Poll::Ready(());
            }
            context.waker().wake_by_ref();
            std::task::Poll::Pending
        })
        .await;
        engine.open(&again).await.map(drop)
    });
    close.await.unwrap().unwrap();
    open.await.unwrap().unwrap();
    world.engine.submit(&session, Op::Pause).await.unwrap();
}

#[tokio::test]
async fn a_member_whose_process_died_as_it_began_begins_again() {
    let world = World::new(vec![
        Answer::Reply(reply("", &["agent-tests"])),
        Answer::Reply(reply("green", &[])),
        Answer::Reply(reply("done", &[])),
    ]);
    let lead = world.engine.start(settings()).await.unwrap();
    let member = lead.member(&name("tests"));
    let head = SessionHead {
        session: member.clone(),
        created_ms: 0,
        updated_ms: 0,
        workspace: "/w".to_owned(),
        title: String::new(),
        events: 0,
        parent: None,
    };
    let lease = world.store.create(head).await.unwrap();
    world.store.release(lease).await.unwrap();
    let go = say("go", Delivery::Steer);
    world.engine.submit(&lead, go).await.unwrap();
    world.until(&lead, ended).await;
    let told = results(world.model.requests.lock().unwrap().last().unwrap());
    assert_eq!(told, ["Ended(EndTurn, \"\"): green"]);
}

#[tokio::test]
async fn a_pause_of_a_lead_reaches_those_who_work_on_its_step() {
    let replies = vec![
        Answer::Reply(reply("", &["agent-tests"])),
        Answer::Reply(reply("half of it", &["ask-first"])),
        Answer::Reply(reply("", &["agent-tests"])),
        Answer::Reply(reply("all of it", &[])),
        Answer::Reply(reply("done", &[])),
    ];
    let (world, lead) = told(replies, settings()).await;
    world.until(&lead, asked).await;
    let member = lead.member(&name("tests"));
    let paused = |wanted: Pause| move |event: &Event| matches!(event, Event::TurnPaused { pause, .. } if *pause == wanted);
    world.engine.submit(&lead, Op::Pause).await.unwrap();
    world.until(&member, paused(Pause::Asked)).await;
    world.engine.submit(&lead, Op::Resume).await.unwrap();
    world.until(&member, paused(Pause::Withdrawn)).await;
    world.engine.submit(&lead, Op::Pause).await.unwrap();
    let times = AtomicUsize::new(0);
    let again = |event: &Event| {
        let asked = paused(Pause::Asked)(event);
        asked && times.fetch_add(1, Ordering::Relaxed) == 1
    };
    world.until(&member, again).await;
    let once = answer(1, quire_protocol::Answer::AllowOnce);
    world.engine.submit(&lead, once).await.unwrap();
    world.until(&lead, paused(Pause::Person)).await;
    assert_eq!(world.model.requests.lock().unwrap().len(), 2);
    world.engine.submit(&lead, Op::Resume).await.unwrap();
    let records = world.until(&lead, ended).await;
    assert_eq!(reason(&records), StopReason::EndTurn);
    let told = results(world.model.requests.lock().unwrap().last().unwrap());
    assert!(told[0].starts_with("Paused("), "{told:?}");
    assert_eq!(told[1], "Ended(EndTurn, \"\"): all of it");
}

#[tokio::test]
async fn nothing_of_a_tree_is_removed_while_another_process_works_on_one_of_it() {
    let replies = vec![
        Answer::Reply(reply("", &["agent-one"])),
        Answer::Reply(reply("green", &[])),
        Answer::Reply(reply("", &["agent-two"])),
        Answer::Reply(reply("", &["ask-first"])),
    ];
    let (world, lead) = told(replies, settings()).await;
    world.until(&lead, asked).await;
    let other = World::over(Arc::clone(&world.store), Vec::new());
    let refused = other.engine.remove(&lead).await;
    let in_use = matches!(&refused, Err(ClientError::Store(StoreError::Leased { .. })));
    assert!(in_use, "{refused:?}");
    let all = SessionQuery::default();
    assert_eq!(other.engine.sessions(all.clone()).await.unwrap().len(), 3);
    world.engine.remove(&lead).await.unwrap();
    assert_eq!(world.engine.sessions(all).await.unwrap(), []);
}

#[tokio::test]
async fn a_pause_that_was_wanted_of_another_turn_reaches_nobody() {
    let replies = vec![
        Answer::Reply(reply("", &["ask-first"])),
        Answer::Reply(reply("", &["agent-tests"])),
        Answer::Reply(reply("", &["quick"])),
        Answer::Reply(reply("green", &[])),
        Answer::Reply(reply("done", &[])),
    ];
    let (world, lead) = told(replies, settings()).await;
    world.until(&lead, asked).await;
    world.engine.submit(&lead, Op::Pause).await.unwrap();
    let cause = "person".to_owned();
    let interrupt = Op::Interrupt { cause };
    world.engine.submit(&lead, interrupt).await.unwrap();
    world.until(&lead, ended).await;
    let next = say("next", Delivery::Steer);
    world.engine.submit(&lead, next).await.unwrap();
    let second = |event: &Event| {
        matches!(
            event,
            Event::TurnEnded {
                turn: TurnId(2),
                ..
            }
        )
    };
    world.until(&lead, second).await;
    let told = results(world.model.requests.lock().unwrap().last().unwrap());
    assert_eq!(told[1], "Ended(EndTurn, \"\"): green");
}
