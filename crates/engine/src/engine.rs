//! The engine as faces see it: sessions that can be started, opened, asked, watched and closed.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use futures_core::future::BoxFuture;
use futures_core::stream::BoxStream;
use quire_kernel::Session;
use quire_protocol::{
    Agent, Approval, CallId, Checkpoints, Client, ClientError, Conflicts, Event, FileChange, Frame,
    Hit, Lease, MessageId, Model, Op, Opened, Point, Prefix, Record, Seq, SessionHead, SessionId,
    SessionQuery, Settings, Spending, Store, StoreError, TakenBack, ToolSet, TravelStep, Whose,
};
use tokio::sync::{broadcast, mpsc, oneshot};

use crate::actor::{Actor, Message, now_ms, opened};
use crate::changes::Since;
use crate::journal::decode_entry;
use crate::keeping::{found_lost, noted};
use crate::offers::offer;
use crate::team::Seat;
use crate::tree::{Tree, Trees};
use crate::watch::watch;

/// Live frames a watcher may fall behind before it re-reads from the store.
const FRAMES: usize = 1024;

/// Messages that wait for a session's task; senders wait beyond that.
const INBOX: usize = 256;

/// Records replayed at a time when a session is opened.
const PAGE: usize = 1024;

/// The hands an engine works with.
#[derive(Clone)]
pub struct Parts {
    /// The journal.
    pub store: Arc<dyn Store>,
    /// The models.
    pub model: Arc<dyn Model>,
    /// What is made for each session.
    pub workbench: Arc<dyn Workbench>,
    /// What the files of workspaces were; none where that is not kept.
    pub checkpoints: Option<Arc<dyn Checkpoints>>,
}

/// Makes what each session works with.
pub trait Workbench: Send + Sync {
    /// The tools of a session. An error is for the person and says what to do.
    fn tools(&self, session: &SessionId, settings: &Settings) -> Result<Arc<dyn ToolSet>, String>;

    /// The system prompt of a new session. It is recorded, so a resumed session keeps its own.
    fn instructions(&self, settings: &Settings) -> String;
}

/// Hosts sessions in this process.
pub struct Engine {
    /// For sessions that have others work for them.
    itself: Weak<Self>,
    parts: Parts,
    open: Mutex<HashMap<SessionId, Handle>>,
    /// Held while a session is opened: two clients that come at once get the same one.
    opening: tokio::sync::Mutex<()>,
    /// By the sessions that lead them; each is there for as long as a session of it is open.
    trees: Trees,
}

/// A session whose task is about to start.
pub(crate) struct Ready {
    pub(crate) lease: Lease,
    pub(crate) last: Seq,
    /// The fold of its journal.
    pub(crate) kernel: Session,
    pub(crate) tools: Arc<dyn ToolSet>,
    /// Since when changes count for its goal.
    pub(crate) since: Since,
    /// What it has spent.
    pub(crate) spent: Spending,
}

/// What a journal tells.
#[derive(Default)]
struct Folded {
    kernel: Session,
    last: Seq,
    since: Since,
    spent: Spending,
}

/// The way to an open session's task.
#[derive(Clone)]
pub(crate) struct Handle {
    pub(crate) inbox: mpsc::Sender<Message>,
    pub(crate) frames: broadcast::WeakSender<Frame>,
    /// Why the task died, once it has.
    pub(crate) died: Arc<Mutex<Option<String>>>,
}

impl Handle {
    fn died(&self, session: &SessionId) -> ClientError {
        let reason = self.reason();
        ClientError::Died {
            session: session.clone(),
            reason: reason.unwrap_or_else(|| "it was closed".to_owned()),
        }
    }

    /// Why its task died, once it has.
    fn reason(&self) -> Option<String> {
        let died = self.died.lock().unwrap_or_else(PoisonError::into_inner);
        died.clone()
    }

    /// What there is to tell of the session; nothing once its task is over.
    async fn describe(&self) -> Option<Opened> {
        let (sender, answer) = oneshot::channel();
        self.inbox.send(Message::Describe(sender)).await.ok()?;
        answer.await.ok()
    }

    async fn ask<T>(
        &self,
        session: &SessionId,
        message: impl FnOnce(oneshot::Sender<Result<T, ClientError>>) -> Message,
    ) -> Result<T, ClientError> {
        let (sender, answer) = oneshot::channel();
        if self.inbox.send(message(sender)).await.is_err() {
            return Err(self.died(session));
        }
        answer.await.unwrap_or_else(|_| Err(self.died(session)))
    }
}

impl Engine {
    /// An engine over these hands. Sessions run on the Tokio runtime that calls it.
    #[must_use]
    pub fn new(parts: Parts) -> Arc<Self> {
        Arc::new_cyclic(|itself| Self {
            itself: Weak::clone(itself),
            parts,
            open: Mutex::default(),
            opening: tokio::sync::Mutex::default(),
            trees: Trees::default(),
        })
    }

    fn handle(&self, session: &SessionId) -> Result<Handle, ClientError> {
        self.sessions_open()
            .get(session)
            .cloned()
            .ok_or_else(|| ClientError::NotOpen(session.clone()))
    }

    pub(crate) fn is_open(&self, session: &SessionId) -> bool {
        self.sessions_open().contains_key(session)
    }

    /// The tree that a session belongs to.
    pub(crate) async fn tree(&self, session: &SessionId) -> Result<Arc<Tree>, ClientError> {
        Ok(self.trees.of(session, self.store()).await?)
    }

    pub(crate) fn parts(&self) -> &Parts {
        &self.parts
    }

    pub(crate) fn store(&self) -> &dyn Store {
        &*self.parts.store
    }

    fn sessions_open(&self) -> std::sync::MutexGuard<'_, HashMap<SessionId, Handle>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Starts the task of a leased session.
    pub(crate) fn launch(&self, ready: Ready, tree: Arc<Tree>) {
        let (inbox, messages) = mpsc::channel(INBOX);
        let (frames, _) = broadcast::channel(FRAMES);
        let session = ready.lease.session.clone();
        let handle = Handle {
            inbox: inbox.clone(),
            frames: frames.downgrade(),
            died: Arc::default(),
        };
        let died = Arc::clone(&handle.died);
        self.sessions_open().insert(session.clone(), handle);
        let seat = Seat {
            engine: Weak::clone(&self.itself),
            tree,
            session,
        };
        let actor = Actor::new(self.parts.clone(), ready, seat, inbox, frames);
        tokio::spawn(actor.live(messages, died));
    }

    async fn start_session(&self, settings: Settings) -> Result<SessionId, ClientError> {
        let session = SessionId::new(uuid::Uuid::now_v7().to_string());
        self.begin(session.clone(), settings, None).await?;
        Ok(session)
    }

    /// What opens the requests of a new session; waits for its servers, as long as they may take.
    async fn opening(&self, tools: &dyn ToolSet, settings: &Settings) -> Prefix {
        let prefix = Prefix {
            instructions: self.parts.workbench.instructions(settings),
            tools: tools.specs(),
            ..Prefix::default()
        };
        if let Some(servers) = tools.servers() {
            servers.settled().await;
        }
        match offer(tools) {
            Some(offer) => Session::opening(prefix, offer),
            None => prefix,
        }
    }

    /// Begins a session's journal, and starts its task. That of a member opens requests as its lead's
    /// does.
    async fn begin(
        &self,
        session: SessionId,
        settings: Settings,
        lead: Option<&Prefix>,
    ) -> Result<(), ClientError> {
        let tools = self.parts.workbench.tools(&session, &settings);
        let tools = tools.map_err(ClientError::Settings)?;
        let prefix = match lead {
            Some(prefix) => prefix.clone(),
            None => self.opening(&*tools, &settings).await,
        };
        let at_ms = now_ms();
        let head = SessionHead {
            session: session.clone(),
            created_ms: at_ms,
            updated_ms: at_ms,
            workspace: settings.workspace.to_string_lossy().into_owned(),
            title: String::new(),
            events: 0,
            parent: None,
        };
        let events = [
            Event::Configured { settings },
            Event::PrefixSet {
                prefix,
                reason: "the session began".to_owned(),
            },
        ];
        let tree = self.tree(&session).await?;
        let lease = self.parts.store.create(head).await?;
        let entries = (1..)
            .zip(&events)
            .map(|(seq, event)| crate::journal::encode_entry(Seq(seq), at_ms, event))
            .collect();
        self.parts.store.append(&lease, Seq(0), entries).await?;
        let ready = Ready {
            lease,
            last: Seq(events.len() as u64),
            kernel: Session::replay(&events),
            tools,
            since: Since::default(),
            spent: Spending::default(),
        };
        self.launch(ready, tree);
        Ok(())
    }

    /// Opens the session of a member, or starts it, with the bytes that open its lead's requests; says whether it
    /// is new.
    pub(crate) async fn enlist(
        &self,
        member: &SessionId,
        settings: &Settings,
        prefix: &Prefix,
    ) -> Result<bool, ClientError> {
        let mut opened = self.open_session(member).await;
        if let Err(ClientError::Settings(_)) = &opened
            && self.has_not_begun(member).await
        {
            // Its process died as it began; nobody could ever begin it again.
            self.store().remove(member).await?;
            opened = Err(StoreError::NoSession(member.clone()).into());
        }
        match opened {
            Err(ClientError::Store(StoreError::NoSession(_))) => {
                self.begin(member.clone(), settings.clone(), Some(prefix))
                    .await?;
                Ok(true)
            }
            opened => opened.map(|_| false),
        }
    }

    /// Whether nothing was ever recorded of a session.
    async fn has_not_begun(&self, session: &SessionId) -> bool {
        let read = self.store().read(session, Seq(0), 1).await;
        read.is_ok_and(|entries| entries.is_empty())
    }

    /// What a person is asked in an open session.
    pub(crate) async fn asked(&self, session: &SessionId) -> Vec<(CallId, Approval)> {
        let (sender, asked) = oneshot::channel();
        let Ok(handle) = self.handle(session) else {
            return Vec::new();
        };
        match handle.inbox.send(Message::Asked(sender)).await {
            Ok(()) => asked.await.unwrap_or_default(),
            Err(_) => Vec::new(),
        }
    }

    /// What there is to tell of an open session.
    pub(crate) async fn describe(&self, session: &SessionId) -> Option<Opened> {
        self.handle(session).ok()?.describe().await
    }

    /// Why nothing more is heard of a session.
    pub(crate) fn why_over(&self, session: &SessionId) -> String {
        let died = self.handle(session).ok().and_then(|handle| handle.reason());
        died.unwrap_or_else(|| "its session was closed".to_owned())
    }

    /// Closes a session. Where a face shows it, only what runs in its background ends.
    pub(crate) async fn dismiss(&self, session: &SessionId) {
        let Ok(handle) = self.handle(session) else {
            return;
        };
        let frames = handle.frames.upgrade();
        if frames.is_some_and(|frames| frames.receiver_count() > 0) {
            let (sender, ended) = oneshot::channel();
            if handle.inbox.send(Message::EndJobs(sender)).await.is_ok() {
                // One that dies meanwhile has ended them, too.
                let _ = ended.await;
            }
        } else {
            // What it recorded is safe, and it can be opened again.
            let _ = self.close(session).await;
        }
    }

    async fn open_session(&self, session: &SessionId) -> Result<Opened, ClientError> {
        let _one_at_a_time = self.opening.lock().await;
        if let Ok(handle) = self.handle(session)
            && let Some(opened) = handle.describe().await
        {
            return Ok(opened);
        }
        let lease = self.parts.store.lease(session).await?;
        match self.open_leased(&lease).await {
            Ok(opened) => Ok(opened),
            Err(error) => {
                // The lease dies with the process anyway; the first error is the one to report.
                let _ = self.parts.store.release(lease).await;
                Err(error)
            }
        }
    }

    /// The fold of a journal, up to the place that the lease names: less than that would be another session.
    async fn folded(&self, lease: &Lease) -> Result<Folded, ClientError> {
        let session = &lease.session;
        let mut folded = Folded::default();
        while folded.last < lease.last {
            let entries = self.parts.store.read(session, folded.last, PAGE).await?;
            if entries.is_empty() {
                let told = format!(
                    "events after {} of session {session} vanished while it was opened; \
                     opening it again tells what is left of it",
                    folded.last
                );
                return Err(StoreError::Damaged(told).into());
            }
            for entry in &entries {
                let Record { seq, at_ms, event } = decode_entry(entry)?;
                folded.since.follow(&event, at_ms);
                folded.spent.follow(&event);
                folded.kernel.apply(&event);
                folded.last = seq;
            }
        }
        Ok(folded)
    }

    async fn open_leased(&self, lease: &Lease) -> Result<Opened, ClientError> {
        let session = &lease.session;
        let Folded {
            mut kernel,
            mut last,
            since,
            spent,
        } = self.folded(lease).await?;
        let recovery = kernel.recover().events;
        let at_ms = now_ms();
        let mut entries = Vec::with_capacity(recovery.len());
        let found = last;
        for event in &recovery {
            last = last.next();
            entries.push(crate::journal::encode_entry(last, at_ms, event));
            kernel.apply(event);
        }
        if !entries.is_empty() {
            self.parts.store.append(lease, found, entries).await?;
        }
        let Some(told) = opened(&kernel, last) else {
            return Err(ClientError::Settings(format!(
                "session {session} died before it began: start a new one"
            )));
        };
        let changes = self.find_lost(session, &told.settings, &recovery).await;
        if let Some(event) = &changes {
            let entry = crate::journal::encode_entry(last.next(), at_ms, event);
            self.parts.store.append(lease, last, vec![entry]).await?;
            kernel.apply(event);
            last = last.next();
            if let Some(checkpoints) = &self.parts.checkpoints {
                noted(&**checkpoints, session, &told.settings.workspace).await;
            }
        }
        let tools = self
            .parts
            .workbench
            .tools(session, &told.settings)
            .map_err(ClientError::Settings)?;
        let opened = Opened {
            found,
            last,
            unfinished: kernel.turn().is_some(),
            repaired: lease.repaired.as_ref().map(|repair| {
                format!(
                    "the journal's end was damaged ({}): {} events after number {} were set aside",
                    repair.reason, repair.cut, repair.kept
                )
            }),
            ..told
        };
        let tree = self.tree(session).await?;
        let ready = Ready {
            lease: lease.clone(),
            last,
            kernel,
            tools,
            since,
            spent,
        };
        self.launch(ready, tree);
        Ok(opened)
    }
}

impl Engine {
    /// What changed in the workspace while calls or jobs ran that a crash cut short, to be recorded.
    async fn find_lost(
        &self,
        session: &SessionId,
        settings: &Settings,
        recovery: &[Event],
    ) -> Option<Event> {
        let call = recovery.iter().rev().find_map(|event| match event {
            Event::Recovered { lost_calls, .. } => lost_calls.last().copied(),
            Event::JobEnded { end } => Some(CallId(end.job.0)),
            _ => None,
        })?;
        let checkpoints = self.parts.checkpoints.as_ref()?;
        let files = found_lost(&**checkpoints, session, &settings.workspace).await;
        (!files.is_empty()).then(|| {
            Event::Travel(TravelStep::Kept {
                call,
                files,
                whose: Whose::Unclear,
            })
        })
    }
}

impl Client for Engine {
    fn start(&self, settings: Settings) -> BoxFuture<'_, Result<SessionId, ClientError>> {
        Box::pin(self.start_session(settings))
    }

    fn open(&self, session: &SessionId) -> BoxFuture<'_, Result<Opened, ClientError>> {
        let session = session.clone();
        Box::pin(async move { self.open_session(&session).await })
    }

    fn submit(&self, session: &SessionId, op: Op) -> BoxFuture<'_, Result<(), ClientError>> {
        let session = session.clone();
        Box::pin(async move {
            let handle = self.handle(&session)?;
            handle.ask(&session, |answer| Message::Op(op, answer)).await
        })
    }

    fn watch(&self, session: &SessionId, after: Seq) -> BoxStream<'static, Frame> {
        let live = self
            .handle(session)
            .ok()
            .and_then(|handle| handle.frames.upgrade())
            .map(|frames| frames.subscribe());
        watch(Arc::clone(&self.parts.store), session.clone(), after, live)
    }

    fn close(&self, session: &SessionId) -> BoxFuture<'_, Result<(), ClientError>> {
        let session = session.clone();
        Box::pin(async move {
            let handle = self.handle(&session)?;
            let closed = handle.ask(&session, Message::Close).await;
            let mut open = self.sessions_open();
            let alike = |now: &Handle| now.inbox.same_channel(&handle.inbox);
            // Whoever opened it again meanwhile has another one.
            if open.get(&session).is_some_and(alike) {
                open.remove(&session);
            }
            closed
        })
    }

    fn sessions(
        &self,
        query: SessionQuery,
    ) -> BoxFuture<'_, Result<Vec<SessionHead>, ClientError>> {
        Box::pin(async move { Ok(self.parts.store.sessions(query).await?) })
    }

    fn agents(&self) -> BoxFuture<'_, Result<Vec<Agent>, ClientError>> {
        Box::pin(self.list_agents())
    }

    fn search(&self, text: &str, limit: usize) -> BoxFuture<'_, Result<Vec<Hit>, ClientError>> {
        let text = text.to_owned();
        Box::pin(async move { Ok(self.parts.store.search(&text, limit).await?) })
    }

    fn fork(
        &self,
        session: &SessionId,
        before: Option<MessageId>,
    ) -> BoxFuture<'_, Result<SessionId, ClientError>> {
        let session = session.clone();
        Box::pin(async move { self.fork_session(&session, before).await })
    }

    fn changes(
        &self,
        session: &SessionId,
        since: Point,
    ) -> BoxFuture<'_, Result<Vec<FileChange>, ClientError>> {
        let session = session.clone();
        Box::pin(async move { self.changes_since(&session, since).await })
    }

    fn take_back(
        &self,
        session: &SessionId,
        to: Point,
        conflicts: Conflicts,
    ) -> BoxFuture<'_, Result<TakenBack, ClientError>> {
        let session = session.clone();
        Box::pin(async move {
            let handle = self.handle(&session)?;
            let ask = |answer| Message::TakeBack(to, conflicts, answer);
            handle.ask(&session, ask).await
        })
    }

    fn remove(&self, session: &SessionId) -> BoxFuture<'_, Result<(), ClientError>> {
        let session = session.clone();
        Box::pin(async move {
            let query = SessionQuery {
                id_prefix: Some(session.to_string()),
                ..SessionQuery::default()
            };
            let heads = self.parts.store.sessions(query).await?;
            let mut all: Vec<SessionId> = heads.into_iter().map(|head| head.session).collect();
            all.retain(|other| *other != session && other.is_within(&session));
            all.insert(0, session);
            for session in &all {
                if self.handle(session).is_ok() {
                    self.close(session).await?;
                }
            }
            // None of them goes while another process works on one of them.
            for session in &all {
                match self.parts.store.lease(session).await {
                    Ok(lease) => self.parts.store.release(lease).await?,
                    Err(error @ StoreError::Leased { .. }) => return Err(error.into()),
                    // What cannot be opened can be removed.
                    Err(_) => {}
                }
            }
            // The lead last, so that what fails can be tried again.
            for session in all.iter().rev() {
                self.parts.store.remove(session).await?;
            }
            Ok(())
        })
    }
}
