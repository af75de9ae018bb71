//! Doubles at the ports: a store in memory, a model and tools that do what a test says.

use std::collections::{HashMap, VecDeque};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, OnceLock};

use futures_core::future::BoxFuture;
use futures_core::stream::BoxStream;
use futures_util::StreamExt;
use quire_engine::{Engine, Parts, Workbench};
use quire_protocol::*;
use tokio::sync::{Notify, watch};

/// Keeps journals in memory; survives the engine, as a disk survives a process.
#[derive(Default)]
pub(crate) struct MemoryStore {
    journals: Mutex<HashMap<SessionId, Vec<Entry>>>,
    leased: Mutex<HashMap<SessionId, u64>>,
    pub(crate) full: AtomicBool,
    /// The session whose journal takes no more.
    pub(crate) full_for: Mutex<Option<SessionId>>,
    pub(crate) syncs: AtomicUsize,
}

impl MemoryStore {
    pub(crate) fn entries(&self, session: &SessionId) -> Vec<Entry> {
        self.journals.lock().unwrap()[session].clone()
    }

    /// Makes the last entry one that nobody can read.
    pub(crate) fn spoil_last(&self, session: &SessionId) {
        let mut journals = self.journals.lock().unwrap();
        let last = journals.get_mut(session).unwrap().last_mut().unwrap();
        last.payload = b"\0".to_vec();
    }

    pub(crate) fn is_leased(&self, session: &SessionId) -> bool {
        self.leased.lock().unwrap().contains_key(session)
    }

    /// What the death of the process that holds the leases does.
    pub(crate) fn forget_leases(&self) {
        self.leased.lock().unwrap().clear();
    }
}

impl Store for MemoryStore {
    fn create(&self, head: SessionHead) -> BoxFuture<'_, Result<Lease, StoreError>> {
        self.journals
            .lock()
            .unwrap()
            .insert(head.session.clone(), Vec::new());
        let session = head.session;
        Box::pin(async move { self.lease(&session).await })
    }

    fn fork(
        &self,
        head: SessionHead,
        from: &SessionId,
        upto: Seq,
        own: Vec<Entry>,
    ) -> BoxFuture<'_, Result<Lease, StoreError>> {
        let entries = self.entries(from);
        let begun = entries
            .into_iter()
            .filter(|entry| entry.seq <= upto)
            .chain(own)
            .collect();
        let mut journals = self.journals.lock().unwrap();
        journals.insert(head.session.clone(), begun);
        drop(journals);
        let session = head.session;
        Box::pin(async move { self.lease(&session).await })
    }

    fn lease(&self, session: &SessionId) -> BoxFuture<'_, Result<Lease, StoreError>> {
        let session = session.clone();
        Box::pin(async move {
            let journals = self.journals.lock().unwrap();
            let Some(journal) = journals.get(&session) else {
                return Err(StoreError::NoSession(session));
            };
            let mut leased = self.leased.lock().unwrap();
            if leased.contains_key(&session) {
                return Err(StoreError::Leased {
                    session,
                    process: 1,
                });
            }
            leased.insert(session.clone(), 1);
            Ok(Lease {
                session,
                epoch: 1,
                last: Seq(journal.len() as u64),
                repaired: None,
            })
        })
    }

    fn release(&self, lease: Lease) -> BoxFuture<'_, Result<(), StoreError>> {
        self.leased.lock().unwrap().remove(&lease.session);
        Box::pin(async { Ok(()) })
    }

    fn append(
        &self,
        lease: &Lease,
        after: Seq,
        entries: Vec<Entry>,
    ) -> BoxFuture<'_, Result<(), StoreError>> {
        let session = lease.session.clone();
        Box::pin(async move {
            let full = self.full_for.lock().unwrap().as_ref() == Some(&session);
            if full || self.full.load(Ordering::Relaxed) {
                return Err(StoreError::Full {
                    path: "/there".to_owned(),
                });
            }
            let mut journals = self.journals.lock().unwrap();
            let journal = journals.get_mut(&session).unwrap();
            assert_eq!(after.0, journal.len() as u64, "appends are contiguous");
            journal.extend(entries);
            Ok(())
        })
    }

    fn sync(&self) -> BoxFuture<'_, Result<(), StoreError>> {
        self.syncs.fetch_add(1, Ordering::Relaxed);
        Box::pin(async { Ok(()) })
    }

    fn read(
        &self,
        session: &SessionId,
        after: Seq,
        limit: usize,
    ) -> BoxFuture<'_, Result<Vec<Entry>, StoreError>> {
        let entries = self.journals.lock().unwrap()[session]
            .iter()
            .filter(|entry| entry.seq > after)
            .take(limit)
            .cloned()
            .collect();
        Box::pin(async { Ok(entries) })
    }

    fn put_blob(&self, _: &SessionId, _: Vec<u8>) -> BoxFuture<'_, Result<BlobId, StoreError>> {
        unreachable!("the engine keeps no blobs")
    }

    fn blob(&self, _: &BlobId) -> BoxFuture<'_, Result<Option<Vec<u8>>, StoreError>> {
        unreachable!("the engine keeps no blobs")
    }

    fn sessions(&self, query: SessionQuery) -> BoxFuture<'_, Result<Vec<SessionHead>, StoreError>> {
        let prefix = query.id_prefix.unwrap_or_default();
        let journals = self.journals.lock().unwrap();
        let found = journals.iter();
        let found = found.filter(|(session, _)| session.as_str().starts_with(&prefix));
        let heads = found.map(|(session, entries)| SessionHead {
            session: session.clone(),
            created_ms: 0,
            updated_ms: 0,
            workspace: "/w".to_owned(),
            title: "said".to_owned(),
            events: entries.len() as u64,
            parent: None,
        });
        let heads = heads.collect();
        Box::pin(async { Ok(heads) })
    }

    fn search(&self, _: &str, _: usize) -> BoxFuture<'_, Result<Vec<Hit>, StoreError>> {
        Box::pin(async { Ok(Vec::new()) })
    }

    fn remove(&self, session: &SessionId) -> BoxFuture<'_, Result<(), StoreError>> {
        self.journals.lock().unwrap().remove(session);
        Box::pin(async { Ok(()) })
    }
}

/// Answers with the replies it was given, in order; hangs when it has none left.
#[derive(Default)]
pub(crate) struct QueueModel {
    pub(crate) replies: Mutex<VecDeque<Answer>>,
    pub(crate) requests: Mutex<Vec<ModelRequest>>,
}

pub(crate) enum Answer {
    Reply(Reply),
    Deltas(usize, Reply),
    Panic,
    /// Says this, and then nothing.
    Hangs(Vec<ModelEvent>),
}

impl Model for QueueModel {
    fn respond(&self, request: ModelRequest) -> BoxStream<'static, ModelEvent> {
        self.requests.lock().unwrap().push(request);
        match self.replies.lock().unwrap().pop_front() {
            Some(Answer::Reply(reply)) => {
                Box::pin(futures_util::stream::iter([ModelEvent::Finished(reply)]))
            }
            Some(Answer::Deltas(count, reply)) => {
                let delta = || ModelEvent::Delta(Delta::Text { text: "x".into() });
                let deltas = futures_util::stream::iter((0..count).map(move |_| delta()));
                let last = futures_util::stream::iter([ModelEvent::Finished(reply)]);
                Box::pin(deltas.chain(last))
            }
            Some(Answer::Panic) => panic!("planted"),
            Some(Answer::Hangs(said)) => {
                let said = futures_util::stream::iter(said);
                Box::pin(said.chain(futures_util::stream::pending()))
            }
            None => Box::pin(futures_util::stream::pending()),
        }
    }
}

/// With a folder, tools whose names are commands, which are run in it. Without one, tools named `quick` (answers at once), `pass` (a command that succeeds), `job` (starts a background job), `hang` (until cancelled), `crash` (panics), `agent-NAME` (has a member work on its arguments). Those named
/// `ask…` ask first, unless a rule allows the name.
#[derive(Clone, Default)]
pub(crate) struct FakeTools(Arc<FakeState>);

#[derive(Default)]
pub(crate) struct FakeState {
    pub(crate) started: Mutex<Vec<CallId>>,
    pub(crate) begun: Notify,
    pub(crate) alive: AtomicUsize,
    /// Where commands are run.
    pub(crate) folder: OnceLock<PathBuf>,
    /// Commands with these words hang.
    pub(crate) hangs: OnceLock<&'static str>,
    /// Servers whose tools come and go.
    pub(crate) servers: OnceLock<Arc<Servers>>,
    jobs: Mutex<Vec<JobId>>,
    cancelled: Notify,
}

/// Servers that offer what a test says.
#[derive(Default)]
pub(crate) struct Servers {
    offered: watch::Sender<Vec<ToolSpec>>,
    /// How many were offered when somebody asked last.
    told: Arc<Mutex<Vec<ToolSpec>>>,
    /// How often they were asked what they offer.
    pub(crate) asked: AtomicUsize,
}

/// A tool of this name.
pub(crate) fn spec(name: &str) -> ToolSpec {
    ToolSpec {
        name: name.to_owned(),
        description: format!("Does {name}."),
        input: ToolInput::Text {
            grammar: String::new(),
        },
    }
}

impl Servers {
    /// From now on there are these tools.
    pub(crate) fn offer(&self, names: &[&str]) {
        let specs = names.iter().map(|name| spec(name)).collect();
        self.offered.send_replace(specs);
    }
}

impl ToolServers for Servers {
    fn specs(&self) -> Vec<ToolSpec> {
        self.offered.borrow().clone()
    }

    fn offer(&self) -> (Vec<ToolSpec>, Vec<String>) {
        self.asked.fetch_add(1, Ordering::Relaxed);
        let offered = self.specs();
        self.told.lock().unwrap().clone_from(&offered);
        (offered, Vec::new())
    }

    fn changed(&self) -> BoxFuture<'static, ()> {
        let (mut offered, told) = (self.offered.subscribe(), Arc::clone(&self.told));
        Box::pin(async move {
            let other = |offered: &Vec<ToolSpec>| *offered != *told.lock().unwrap();
            let _ = offered.wait_for(other).await;
        })
    }

    fn settled(&self) -> BoxFuture<'static, ()> {
        Box::pin(std::future::ready(()))
    }

    fn find(&self, name: &str, _: &Policy) -> Option<ServerTool> {
        name.starts_with("mcp").then(|| ServerTool {
            server: "s".to_owned(),
            tool: name.to_owned(),
            reaches: Vec::new(),
        })
    }

    fn call(&self, _: &str, _: &str, _: &Policy) -> BoxFuture<'static, ToolOutcome> {
        unreachable!("the tools of this double answer themselves")
    }

    fn end(&self, _: &str) -> BoxFuture<'static, ()> {
        Box::pin(std::future::ready(()))
    }
}

impl FakeTools {
    pub(crate) fn state(&self) -> &FakeState {
        &self.0
    }
}

impl ToolSet for FakeTools {
    fn specs(&self) -> Vec<ToolSpec> {
        let by_name = self.0.servers.get().map(|_| spec(USE_TOOL));
        by_name.into_iter().collect()
    }

    fn servers(&self) -> Option<Arc<dyn ToolServers>> {
        let servers = self.0.servers.get()?;
        Some(Arc::clone(servers) as Arc<dyn ToolServers>)
    }

    fn plan(&self, call: &ToolCall, policy: &Policy) -> CallPlan {
        let prefix = vec![call.name.clone()];
        let allowed = policy.rules.iter().any(|rule| rule.prefix == prefix);
        CallPlan {
            call: call.call,
            lane: Lane::Exclusive,
            verdict: if call.name.starts_with("ask") && !allowed {
                Verdict::Ask {
                    approval: Approval {
                        action: call.name.clone(),
                        reason: "it asks".to_owned(),
                        prefix,
                        ..Approval::default()
                    },
                }
            } else {
                Verdict::Run
            },
        }
    }

    fn check(&self, command: &str, context: ToolContext) -> BoxFuture<'static, ToolOutcome> {
        let call = ToolCall {
            call: CallId(0),
            provider_id: String::new(),
            name: command.to_owned(),
            arguments: String::new(),
        };
        self.run(call, context)
    }

    fn run(&self, call: ToolCall, context: ToolContext) -> BoxFuture<'static, ToolOutcome> {
        let state = Arc::clone(&self.0);
        if let Some(name) = call.name.strip_prefix("agent-") {
            let team = context.team.unwrap();
            let task = MemberTask {
                call: call.call,
                name: name.parse().unwrap(),
                task: call.arguments,
                access: Access::Read,
                effort: Some(Effort::Low),
            };
            let stop = Box::pin(async move { state.cancelled.notified().await });
            return Box::pin(async move { delegated(team.work(task, stop).await) });
        }
        if let Some(folder) = state.folder.get().filter(|_| call.name != "hang") {
            let ran = bash(folder, &call.name);
            return Box::pin(async { ran });
        }
        Box::pin(async move {
            state.started.lock().unwrap().push(call.call);
            state.begun.notify_one();
            let stuck = state.hangs.get();
            match call.name.as_str() {
                "crash" => panic!("planted"),
                name if name == "hang" || stuck.is_some_and(|words| name.contains(words)) => {
                    state.alive.fetch_add(1, Ordering::SeqCst);
                    state.cancelled.notified().await;
                    state.alive.fetch_sub(1, Ordering::SeqCst);
                    ToolOutcome::text(ToolStatus::Cancelled, "stopped")
                }
                "job" => {
                    let job = JobId(call.call.0);
                    state.jobs.lock().unwrap().push(job);
                    let mut outcome = ToolOutcome::text(ToolStatus::Done, "started");
                    outcome.job = Some(job);
                    outcome
                }
                "pass" => ToolOutcome {
                    end: Some(CommandEnd::Exited { code: 0 }),
                    ..ToolOutcome::text(ToolStatus::Done, "green")
                },
                _ => ToolOutcome::text(ToolStatus::Done, "ok"),
            }
        })
    }

    fn cancel(&self, _: CallId) -> BoxFuture<'static, ()> {
        let state = Arc::clone(&self.0);
        Box::pin(async move { state.cancelled.notify_one() })
    }

    fn stop_jobs(&self) -> BoxFuture<'static, Vec<JobEnd>> {
        let jobs = std::mem::take(&mut *self.0.jobs.lock().unwrap());
        let ends = jobs.into_iter().map(|job| JobEnd {
            job,
            outcome: "stopped".to_owned(),
        });
        let ends = ends.collect();
        Box::pin(async { ends })
    }

    fn job_ended(&self) -> BoxFuture<'static, JobEnd> {
        Box::pin(std::future::pending())
    }
}

/// What the call says that had a member work.
fn delegated(report: Result<MemberReport, String>) -> ToolOutcome {
    match report {
        Ok(report) => ToolOutcome {
            spent: Some(report.spent),
            ..ToolOutcome::text(
                if report.end == MemberEnd::Stopped {
                    ToolStatus::Cancelled
                } else {
                    ToolStatus::Done
                },
                format!("{:?}: {}", report.end, report.said),
            )
        },
        Err(why) => ToolOutcome::failed(why),
    }
}

/// Runs a command in a folder, with output and errors together, as the shell tool does.
#[expect(
    clippy::disallowed_methods,
    reason = "this double stands in for the sandbox"
)]
pub(crate) fn bash(folder: &Path, command: &str) -> ToolOutcome {
    let ran = std::process::Command::new("/bin/bash")
        .args(["-c", "exec 2>&1; eval \"$0\"", command])
        .current_dir(folder)
        .stdin(std::process::Stdio::null())
        .output()
        .unwrap();
    let code = ran.status.code().unwrap();
    ToolOutcome {
        end: Some(CommandEnd::Exited { code }),
        ..ToolOutcome::text(ToolStatus::Done, String::from_utf8_lossy(&ran.stdout))
    }
}

struct Bench(FakeTools);

impl Workbench for Bench {
    fn tools(&self, _: &SessionId, settings: &Settings) -> Result<Arc<dyn ToolSet>, String> {
        if settings.model == "none" {
            return Err("there is no such model".to_owned());
        }
        Ok(Arc::new(self.0.clone()))
    }

    fn instructions(&self, _: &Settings) -> String {
        "Be good.".to_owned()
    }
}

/// An engine with its doubles at hand.
pub(crate) struct World {
    pub(crate) store: Arc<MemoryStore>,
    pub(crate) model: Arc<QueueModel>,
    pub(crate) tools: FakeTools,
    pub(crate) engine: Arc<Engine>,
}

impl World {
    pub(crate) fn new(replies: Vec<Answer>) -> Self {
        Self::over(Arc::default(), replies)
    }

    pub(crate) fn over(store: Arc<MemoryStore>, replies: Vec<Answer>) -> Self {
        Self::keeping(store, replies, None)
    }

    pub(crate) fn keeping(
        store: Arc<MemoryStore>,
        replies: Vec<Answer>,
        checkpoints: Option<Arc<dyn Checkpoints>>,
    ) -> Self {
        let model = Arc::new(QueueModel::default());
        model.replies.lock().unwrap().extend(replies);
        let tools = FakeTools::default();
        let engine = Engine::new(Parts {
            store: store.clone(),
            model: model.clone(),
            workbench: Arc::new(Bench(tools.clone())),
            checkpoints,
        });
        Self {
            store,
            model,
            tools,
            engine,
        }
    }

    /// Watches until an event fits, and returns every record up to it.
    pub(crate) async fn until(
        &self,
        session: &SessionId,
        fits: impl Fn(&Event) -> bool,
    ) -> Vec<Record> {
        let mut frames = self.engine.watch(session, Seq(0));
        let mut records = Vec::new();
        while let Some(frame) = frames.next().await {
            if let Frame::Record(record) = frame {
                let last = fits(&record.event);
                records.push(record);
                if last {
                    return records;
                }
            }
        }
        panic!("the watch ended: {records:#?}");
    }
}

pub(crate) fn settings() -> Settings {
    Settings {
        model: "double/one".to_owned(),
        effort: Effort::High,
        workspace: PathBuf::from("/w"),
        policy: Policy {
            sandbox: SandboxMode::WorkspaceWrite,
            approvals: ApprovalMode::Auto,
            rules: Vec::new(),
            domains: Vec::new(),
            writable: Vec::new(),
            environment: Vec::new(),
            phase: Phase::Work,
        },
        limits: Limits::default(),
        output_schema: None,
        context: ContextLimits::default(),
        effort_choice: EffortChoice::default(),
        region: None,
    }
}

pub(crate) fn reply(text: &str, calls: &[&str]) -> Reply {
    let mut items = vec![Item::Assistant {
        text: text.to_owned(),
        opaque: None,
    }];
    for (number, name) in (1..).zip(calls) {
        items.push(Item::ToolCall(ToolCall {
            call: CallId(number),
            provider_id: format!("call_{number}"),
            name: (*name).to_owned(),
            arguments: "{}".to_owned(),
        }));
    }
    Reply {
        model: "one".to_owned(),
        items,
        stop: if calls.is_empty() {
            TokenStop::EndTurn
        } else {
            TokenStop::ToolUse
        },
        usage: Usage::default(),
        cost: None,
        retries: Vec::new(),
    }
}

pub(crate) fn say(id: &str, delivery: Delivery) -> Op {
    Op::Say {
        message: MessageId::new(id),
        delivery,
        content: vec![Content::text(id)],
        effort: None,
    }
}
