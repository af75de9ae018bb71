//! Looks at the files around calls and jobs: what is found is recorded, and nothing waits for ever.

use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures_core::future::BoxFuture;
use quire_engine::decode_entry;
use quire_protocol::*;
use tokio::time::Instant;

use crate::doubles::{Answer, World, reply, say, settings};
use crate::ended;

/// Finds what a test put there, and hangs where a test wants it to.
#[derive(Default)]
pub(crate) struct Files {
    changed: Mutex<Vec<FileStep>>,
    hangs: Mutex<Hangs>,
}

#[derive(Clone, Copy, Default, PartialEq, Eq)]
enum Hangs {
    #[default]
    Nowhere,
    Before,
    After,
}

impl Files {
    /// Whose folder cannot be looked at before anything is done.
    pub(crate) fn that_hang_before() -> Arc<Self> {
        let files = Arc::<Self>::default();
        files.hang(Hangs::Before);
        files
    }

    /// A file changes.
    fn change(&self, path: &str) {
        self.changed.lock().unwrap().push(FileStep {
            path: path.to_owned(),
            before: None,
            after: None,
        });
    }

    fn hang(&self, at: Hangs) {
        *self.hangs.lock().unwrap() = at;
    }

    fn unless<T: Send + 'static>(&self, at: Hangs, answer: T) -> BoxFuture<'static, T> {
        if *self.hangs.lock().unwrap() == at {
            Box::pin(std::future::pending())
        } else {
            Box::pin(async { answer })
        }
    }
}

impl Checkpoints for Files {
    fn prepare(&self, _: &Path) -> BoxFuture<'static, Result<(), CheckpointError>> {
        Box::pin(async { Ok(()) })
    }

    fn settle(&self, _: &SessionId, _: &Path) -> BoxFuture<'static, Result<(), CheckpointError>> {
        self.unless(Hangs::Before, Ok(()))
    }

    fn look(&self, _: &SessionId, _: &Path) -> BoxFuture<'static, Result<Looked, CheckpointError>> {
        let looked = Looked {
            files: self.changed.lock().unwrap().clone(),
            whose: Whose::Agent,
        };
        self.unless(Hangs::After, Ok(looked))
    }

    fn note(&self, _: &SessionId, _: &Path) -> BoxFuture<'static, Result<(), CheckpointError>> {
        self.changed.lock().unwrap().clear();
        Box::pin(async { Ok(()) })
    }

    fn compare(
        &self,
        _: &Path,
        _: Vec<FileGoal>,
    ) -> BoxFuture<'static, Result<Vec<FileChange>, CheckpointError>> {
        unreachable!("no test compares")
    }

    fn take_back(
        &self,
        _: &SessionId,
        _: &Path,
        _: Vec<FileGoal>,
        _: Conflicts,
    ) -> BoxFuture<'static, Result<(TakenBack, Vec<FileStep>), CheckpointError>> {
        let taken = TakenBack {
            done: true,
            files: Vec::new(),
        };
        Box::pin(async { Ok((taken, Vec::new())) })
    }
}

fn world(files: &Arc<Files>, calls: &[&str]) -> World {
    let replies = vec![Answer::Reply(reply("", calls))];
    World::keeping(Arc::default(), replies, Some(files.clone()))
}

async fn go(world: &World) -> SessionId {
    let session = world.engine.start(settings()).await.unwrap();
    let go = say("go", Delivery::Steer);
    world.engine.submit(&session, go).await.unwrap();
    session
}

fn started(call: u32) -> impl Fn(&Event) -> bool {
    move |event| matches!(event, Event::ToolStarted { call: CallId(of) } if *of == call)
}

/// The calls whose changes the journal records.
fn kept(world: &World, session: &SessionId) -> Vec<CallId> {
    let entries = world.store.entries(session);
    let events = entries
        .iter()
        .map(|entry| decode_entry(entry).unwrap().event);
    let calls = events.filter_map(|event| match event {
        Event::Travel(TravelStep::Kept { call, .. }) => Some(call),
        _ => None,
    });
    calls.collect()
}

fn interrupt() -> Op {
    let cause = "person".to_owned();
    Op::Interrupt { cause }
}

#[tokio::test]
async fn what_a_job_changed_that_is_stopped_is_recorded() {
    let files = Arc::new(Files::default());
    let world = world(&files, &["job"]);
    let session = go(&world).await;
    let job_started = |event: &Event| matches!(event, Event::JobStarted { .. });
    world.until(&session, job_started).await;
    files.change("by the job");
    world.engine.submit(&session, interrupt()).await.unwrap();
    world.until(&session, ended).await;
    assert_eq!(kept(&world, &session), [CallId(1)]);
}

#[tokio::test]
async fn what_a_job_changed_is_recorded_when_its_session_is_closed() {
    let files = Arc::new(Files::default());
    let world = world(&files, &["job"]);
    let session = go(&world).await;
    let job_started = |event: &Event| matches!(event, Event::JobStarted { .. });
    world.until(&session, job_started).await;
    files.change("by the job");
    world.engine.close(&session).await.unwrap();
    assert_eq!(kept(&world, &session), [CallId(1)]);
}

#[tokio::test]
async fn what_a_call_changed_is_recorded_when_its_session_is_closed() {
    let files = Arc::new(Files::default());
    let world = world(&files, &["hang"]);
    let session = go(&world).await;
    world.until(&session, started(1)).await;
    files.change("by the call");
    world.engine.close(&session).await.unwrap();
    assert_eq!(kept(&world, &session), [CallId(1)]);
}

#[tokio::test]
async fn what_a_job_changed_before_a_crash_is_recorded_by_the_next_process() {
    let files = Arc::new(Files::default());
    let first = world(&files, &["job"]);
    let session = go(&first).await;
    let job_started = |event: &Event| matches!(event, Event::JobStarted { .. });
    first.until(&session, job_started).await;
    files.change("by the job");
    first.store.forget_leases();
    let next = World::keeping(first.store.clone(), Vec::new(), Some(files));
    next.engine.open(&session).await.unwrap();
    assert_eq!(kept(&next, &session), [CallId(1)]);
}

#[tokio::test(start_paused = true)]
async fn a_stop_does_not_wait_for_a_look_before_a_call() {
    let files = Arc::new(Files::default());
    files.hang(Hangs::Before);
    let world = world(&files, &["quick"]);
    let session = go(&world).await;
    world.until(&session, started(1)).await;
    let asked = Instant::now();
    world.engine.submit(&session, interrupt()).await.unwrap();
    world.until(&session, ended).await;
    assert!(asked.elapsed() < Duration::from_secs(1));
}

#[tokio::test(start_paused = true)]
async fn a_look_that_hangs_holds_neither_a_call_nor_the_opening_of_a_session_up() {
    let files = Arc::new(Files::default());
    files.hang(Hangs::After);
    let first = world(&files, &["quick", "hang"]);
    let session = go(&first).await;
    first.until(&session, started(2)).await;
    let missed = |event: &Event| matches!(event, Event::Travel(TravelStep::Missed { .. }));
    first.until(&session, missed).await;
    first.store.forget_leases();
    let next = World::keeping(first.store.clone(), Vec::new(), Some(files));
    next.engine.open(&session).await.unwrap();
}

#[tokio::test]
async fn a_change_whose_files_are_back_already_is_taken_back_once() {
    let files = Arc::new(Files::default());
    let replies = vec![
        Answer::Reply(reply("", &["quick"])),
        Answer::Reply(reply("done", &[])),
    ];
    let world = World::keeping(Arc::default(), replies, Some(files.clone()));
    files.change("by the call");
    let session = go(&world).await;
    world.until(&session, ended).await;
    assert_eq!(kept(&world, &session), [CallId(1)]);
    let undo = || {
        world
            .engine
            .take_back(&session, Point::LastChange, Conflicts::Ask)
    };
    assert!(undo().await.unwrap().done);
    assert!(matches!(undo().await, Err(ClientError::Refused(_))));
}
