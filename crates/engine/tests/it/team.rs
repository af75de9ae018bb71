//! Members: sessions that work on a part of another session's task.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use quire_protocol::*;

use crate::doubles::{Answer, MemoryStore, World, reply, say, settings};
use crate::{ended, reason};

pub(crate) fn costs(cents: i64, mut reply: Reply) -> Answer {
    reply.cost = Some(Money::from_picos(cents * 10_000_000_000));
    reply.usage.output = 100;
    Answer::Reply(reply)
}

pub(crate) fn name(name: &str) -> MemberName {
    name.parse().unwrap()
}

/// A world in which a session was told to go, with these replies.
pub(crate) async fn told(replies: Vec<Answer>, settings: Settings) -> (World, SessionId) {
    let world = World::new(replies);
    let session = world.engine.start(settings).await.unwrap();
    let go = say("go", Delivery::Steer);
    world.engine.submit(&session, go).await.unwrap();
    (world, session)
}

/// The words of the results in a request.
pub(crate) fn results(request: &ModelRequest) -> Vec<String> {
    let items = request.transcript.items().iter();
    let result = |item: &Arc<Item>| match &**item {
        Item::ToolResult { content, .. } => Some(joined_text(content)),
        _ => None,
    };
    items.filter_map(result).collect()
}

pub(crate) fn asked(event: &Event) -> bool {
    matches!(event, Event::ApprovalAsked { .. })
}

#[tokio::test]
async fn a_member_works_on_a_task_and_its_last_words_come_back() {
    let replies = vec![
        Answer::Reply(reply("", &["agent-tests"])),
        Answer::Reply(reply("looking", &["quick"])),
        Answer::Reply(reply("green", &[])),
        Answer::Reply(reply("", &["agent-tests"])),
        Answer::Reply(reply("still green", &[])),
        Answer::Reply(reply("done", &[])),
    ];
    let (world, lead) = told(replies, settings()).await;
    let records = world.until(&lead, ended).await;
    assert_eq!(reason(&records), StopReason::EndTurn);
    let member = lead.member(&name("tests"));
    let requests = std::mem::take(&mut *world.model.requests.lock().unwrap());
    let of: Vec<&SessionId> = requests.iter().map(|request| &request.session).collect();
    assert_eq!(of, [&lead, &member, &member, &lead, &member, &lead]);
    assert_eq!(
        requests[0].prefix, requests[1].prefix,
        "cached once for all"
    );
    assert_eq!(results(&requests[3]), ["Ended(EndTurn, \"\"): green"]);
    let second = results(&requests[5]);
    assert_eq!(second[1], "Ended(EndTurn, \"\"): still green");
    // It remembers what it did before.
    assert_eq!(results(&requests[4]), ["ok"]);
    let policy = world.until(&member, ended).await;
    let Event::Configured { settings: own } = &policy[0].event else {
        panic!("{policy:?}");
    };
    assert_eq!(own.policy.sandbox, SandboxMode::ReadOnly);
    assert_eq!(own.policy.phase, Phase::Look);
    assert_eq!(own.effort, Effort::Low);
    let closed = world.engine.submit(&member, Op::Pause).await;
    assert_eq!(closed, Err(ClientError::NotOpen(member)));
}

/// The lead's question of a member that asks, the world, the lead and its member.
async fn asking() -> (World, SessionId, SessionId) {
    let replies = vec![
        Answer::Reply(reply("", &["agent-tests"])),
        Answer::Reply(reply("", &["ask-first", "ask-second"])),
        Answer::Reply(reply("done", &[])),
        Answer::Reply(reply("done", &[])),
    ];
    let (world, lead) = told(replies, settings()).await;
    let records = world.until(&lead, asked).await;
    let Event::ApprovalAsked { call, approval } = &records.last().unwrap().event else {
        panic!("{records:?}");
    };
    assert_eq!(*call, CallId(1));
    assert_eq!(approval.action, "ask-first");
    assert_eq!(approval.reason, "agent `tests`: it asks");
    let member = lead.member(&name("tests"));
    (world, lead, member)
}

pub(crate) fn answer(call: u32, answer: quire_protocol::Answer) -> Op {
    Op::Answer {
        call: CallId(call),
        answer,
    }
}

#[tokio::test]
async fn what_a_member_asks_its_lead_asks_one_after_another() {
    let (world, lead, member) = asking().await;
    let once = answer(1, quire_protocol::Answer::AllowOnce);
    world.engine.submit(&lead, once).await.unwrap();
    let second = |event: &Event| matches!(event, Event::ApprovalAsked { approval, .. } if approval.action == "ask-second");
    world.until(&lead, second).await;
    let no = answer(1, quire_protocol::Answer::no("not that"));
    world.engine.submit(&lead, no).await.unwrap();
    let records = world.until(&lead, ended).await;
    assert_eq!(reason(&records), StopReason::EndTurn);
    let statuses: Vec<ToolStatus> = world
        .until(&member, ended)
        .await
        .into_iter()
        .filter_map(|record| match record.event {
            Event::ToolEnded { outcome, .. } => Some(outcome.status),
            _ => None,
        })
        .collect();
    assert_eq!(statuses, [ToolStatus::Done, ToolStatus::Denied]);
    let of_lead = records.iter().filter_map(|record| match &record.event {
        Event::ToolEnded { outcome, .. } => Some(outcome.status),
        _ => None,
    });
    assert_eq!(of_lead.collect::<Vec<_>>(), [ToolStatus::Done]);
}

#[tokio::test]
async fn a_question_that_is_answered_at_the_member_is_one_no_more() {
    let (world, lead, member) = asking().await;
    let once = answer(1, quire_protocol::Answer::AllowOnce);
    world.engine.submit(&member, once).await.unwrap();
    let answered = |event: &Event| matches!(event, Event::ApprovalAnswered { .. });
    world.until(&lead, answered).await;
    let always = answer(2, quire_protocol::Answer::AllowAlways);
    world.engine.submit(&member, always).await.unwrap();
    let records = world.until(&lead, ended).await;
    let questions = records.iter().filter(|record| asked(&record.event));
    assert_eq!(questions.count(), 1);
    let answers: Vec<_> = records
        .iter()
        .filter_map(|record| match &record.event {
            Event::ApprovalAnswered { answer, .. } => Some(answer.clone()),
            _ => None,
        })
        .collect();
    let once = quire_protocol::Answer::AllowOnce;
    assert_eq!(answers, [once]);
}

#[tokio::test]
async fn a_lead_that_is_stopped_has_stopped_its_members_first() {
    let replies = vec![Answer::Reply(reply("", &["agent-tests"]))];
    let (world, lead) = told(replies, settings()).await;
    let member = lead.member(&name("tests"));
    let asks = |event: &Event| matches!(event, Event::ToolStarted { .. });
    world.until(&lead, asks).await;
    while world.model.requests.lock().unwrap().len() < 2 {
        tokio::task::yield_now().await;
    }
    let cause = "person".to_owned();
    let interrupt = Op::Interrupt { cause };
    world.engine.submit(&lead, interrupt).await.unwrap();
    let records = world.until(&lead, ended).await;
    assert_eq!(reason(&records), StopReason::Cancelled);
    let of_member = world.until(&member, ended).await;
    assert_eq!(reason(&of_member), StopReason::Cancelled);
    assert!(of_member.last().unwrap().at_ms <= records.last().unwrap().at_ms);
    let result = records.iter().find_map(|record| match &record.event {
        Event::ToolEnded { outcome, .. } => Some(outcome.status),
        _ => None,
    });
    assert_eq!(result, Some(ToolStatus::Cancelled));
}

pub(crate) fn with_budget(cents: i64) -> Settings {
    let mut settings = settings();
    settings.limits.budget = Some(Money::from_picos(cents * 10_000_000_000));
    settings
}

#[tokio::test]
async fn a_budget_is_that_of_the_whole_tree() {
    let replies = vec![
        costs(1, reply("", &["agent-tests"])),
        costs(1, reply("", &["quick"])),
        costs(1, reply("half", &["quick"])),
        costs(1, reply("", &["agent-tests"])),
        costs(1, reply("all", &[])),
        costs(1, reply("done", &[])),
    ];
    let (world, lead) = told(replies, with_budget(3)).await;
    let paused = |event: &Event| matches!(event, Event::TurnPaused { .. });
    let records = world.until(&lead, paused).await;
    let Event::TurnPaused { pause, detail, .. } = &records.last().unwrap().event else {
        panic!("{records:?}");
    };
    assert_eq!(*pause, Pause::Limit);
    assert_eq!(
        detail,
        "the session has spent $0.03 of its budget of $0.03, $0.02 of it by others of its team: \
         raise the budget to go on"
    );
    let spent = records.iter().find_map(|record| match &record.event {
        Event::ToolEnded { outcome, .. } => outcome.spent,
        _ => None,
    });
    let spent = spent.unwrap();
    assert_eq!((spent.requests, spent.tokens()), (2, 200));
    assert_eq!(world.model.requests.lock().unwrap().len(), 3);
    let settings = with_budget(100);
    let raised = Op::Configure { settings };
    world.engine.submit(&lead, raised).await.unwrap();
    let records = world.until(&lead, ended).await;
    assert_eq!(reason(&records), StopReason::EndTurn);
    // The member goes on where it waited.
    let member = lead.member(&name("tests"));
    let of_member = world.until(&member, ended).await;
    let turns = of_member.iter();
    let turns = turns.filter(|record| matches!(record.event, Event::TurnStarted { .. }));
    assert_eq!(turns.count(), 1);
    assert_eq!(world.model.requests.lock().unwrap().len(), 6);
}

#[tokio::test]
async fn what_members_spent_counts_after_a_crash_too() {
    let store: Arc<MemoryStore> = Arc::default();
    let replies = vec![
        costs(1, reply("", &["agent-tests"])),
        costs(2, reply("", &["hang"])),
    ];
    let world = World::over(Arc::clone(&store), replies);
    let lead = world.engine.start(with_budget(3)).await.unwrap();
    let go = say("go", Delivery::Steer);
    world.engine.submit(&lead, go).await.unwrap();
    while world.tools.state().alive.load(Ordering::SeqCst) == 0 {
        tokio::task::yield_now().await;
    }
    store.forget_leases();
    let replies = vec![
        costs(1, reply("", &["agent-tests"])),
        costs(1, reply("it hung", &[])),
        costs(1, reply("done", &[])),
    ];
    let next = World::over(store, replies);
    let opened = next.engine.open(&lead).await.unwrap();
    assert!(opened.unfinished);
    next.engine.submit(&lead, Op::Resume).await.unwrap();
    let paused = |event: &Event| matches!(event, Event::TurnPaused { .. });
    let records = next.until(&lead, paused).await;
    let Event::TurnPaused { detail, .. } = &records.last().unwrap().event else {
        panic!("{records:?}");
    };
    assert!(detail.contains("$0.03 of its budget of $0.03, $0.02 of it by"));
    let settings = with_budget(100);
    let raised = Op::Configure { settings };
    next.engine.submit(&lead, raised).await.unwrap();
    let records = next.until(&lead, ended).await;
    assert_eq!(reason(&records), StopReason::EndTurn);
    let requests = next.model.requests.lock().unwrap();
    // The lost call is in its context, with what it was told then and now.
    let member = &requests[1];
    assert_eq!(member.session, lead.member(&name("tests")));
    assert_eq!(results(member).len(), 1);
}

#[tokio::test]
async fn what_a_member_asked_before_a_crash_is_asked_again_with_its_next_task() {
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
    let replies = vec![
        Answer::Reply(reply("", &["agent-tests"])),
        Answer::Reply(reply("made", &[])),
        Answer::Reply(reply("done", &[])),
    ];
    let next = World::over(store, replies);
    let opened = next.engine.open(&lead).await.unwrap();
    assert!(opened.unfinished);
    next.engine.submit(&lead, Op::Resume).await.unwrap();
    let again =
        |event: &Event| matches!(event, Event::ApprovalAsked { call, .. } if *call == CallId(2));
    next.until(&lead, again).await;
    let once = answer(2, quire_protocol::Answer::AllowOnce);
    next.engine.submit(&lead, once).await.unwrap();
    let records = next.until(&lead, ended).await;
    assert_eq!(reason(&records), StopReason::EndTurn);
    let member = lead.member(&name("tests"));
    let of_member = next.until(&member, ended).await;
    let statuses = of_member.iter().filter_map(|record| match &record.event {
        Event::ToolEnded { outcome, .. } => Some(outcome.status),
        _ => None,
    });
    assert_eq!(statuses.collect::<Vec<_>>(), [ToolStatus::Done]);
}

#[tokio::test]
async fn a_budget_is_kept_although_a_member_was_stopped_in_a_request() {
    let replies = vec![
        costs(1, reply("", &["agent-tests"])),
        Answer::Hangs(Vec::new()),
        costs(1, reply("done", &[])),
    ];
    let (world, lead) = told(replies, with_budget(500)).await;
    while world.model.requests.lock().unwrap().len() < 2 {
        tokio::task::yield_now().await;
    }
    let cause = "person".to_owned();
    let interrupt = Op::Interrupt { cause };
    world.engine.submit(&lead, interrupt).await.unwrap();
    let records = world.until(&lead, ended).await;
    assert_eq!(reason(&records), StopReason::Cancelled);
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
    let records = world.until(&lead, second).await;
    assert_eq!(reason(&records), StopReason::EndTurn);
}

#[tokio::test]
async fn members_follow_the_settings_of_their_lead() {
    let replies = vec![
        Answer::Reply(reply("", &["agent-tests"])),
        Answer::Reply(reply("", &["ask-first"])),
        Answer::Reply(reply("done", &[])),
        Answer::Reply(reply("done", &[])),
    ];
    let (world, lead) = told(replies, settings()).await;
    world.until(&lead, asked).await;
    let member = lead.member(&name("tests"));
    let mut tighter = settings();
    tighter.policy.approvals = ApprovalMode::Never;
    tighter.effort = Effort::Max;
    let changed = Op::Configure { settings: tighter };
    world.engine.submit(&lead, changed).await.unwrap();
    let follows = |event: &Event| {
        matches!(event, Event::Configured { settings }
            if settings.policy.approvals == ApprovalMode::Never)
    };
    let records = world.until(&member, follows).await;
    let Event::Configured { settings } = &records.last().unwrap().event else {
        panic!("{records:?}");
    };
    assert_eq!(settings.effort, Effort::Low, "what the task asked for");
    assert_eq!(settings.policy.sandbox, SandboxMode::ReadOnly);
    let no = answer(1, quire_protocol::Answer::no(""));
    world.engine.submit(&lead, no).await.unwrap();
    world.until(&lead, ended).await;
}

#[tokio::test]
async fn agents_of_agents_come_to_an_end() {
    let mut replies: Vec<Answer> = (0..4)
        .map(|_| Answer::Reply(reply("", &["agent-deeper"])))
        .collect();
    replies.extend((0..4).map(|_| Answer::Reply(reply("up", &[]))));
    let (world, lead) = told(replies, settings()).await;
    let records = world.until(&lead, ended).await;
    assert_eq!(reason(&records), StopReason::EndTurn);
    let requests = world.model.requests.lock().unwrap();
    let deepest = requests.iter().map(|request| request.session.depth()).max();
    assert_eq!(deepest, Some(3));
    let refused = results(&requests[4]);
    assert!(refused[0].contains("3 agents above"), "{refused:?}");
}

#[tokio::test]
async fn removing_a_session_removes_its_members() {
    let replies = vec![
        Answer::Reply(reply("", &["agent-tests"])),
        Answer::Reply(reply("green", &[])),
        Answer::Reply(reply("done", &[])),
    ];
    let (world, lead) = told(replies, settings()).await;
    world.until(&lead, ended).await;
    let query = SessionQuery::default();
    assert_eq!(world.engine.sessions(query.clone()).await.unwrap().len(), 2);
    world.engine.remove(&lead).await.unwrap();
    assert_eq!(world.engine.sessions(query).await.unwrap(), []);
}
