//! The sessions that are hosted, over whatever runs them: who looks at them, what they are doing, which
//! of them can be left to the disk until somebody comes back.

mod past;
mod place;

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures_core::stream::BoxStream;
use futures_util::StreamExt as _;
use quire_protocol::{
    Activity, Agent, Client, ClientError, Event, Frame, Hit, Op, Opened, Record, Seq, SessionHead,
    SessionId, SessionQuery, Settings,
};
use tokio::sync::{Notify, watch};

use crate::care::Care;
use crate::hosted::{Hosted, UNREADABLE, Watched};
use crate::origin::Origin;

/// Events from which a session's activity is told, where it was opened with more.
const TAIL: u64 = 200;

/// Makes what runs sessions.
pub trait Hosts: Send + Sync {
    /// What runs sessions in such surroundings. The error is for a person.
    fn host(&self, origin: &Origin) -> Result<Arc<dyn Client>, String>;
}

/// A face that is connected.
#[derive(Clone, Debug)]
pub(crate) struct Face {
    pub(crate) id: u64,
    pub(crate) origin: Origin,
}

/// Hosts sessions for faces.
pub(crate) struct Hub {
    hosts: Arc<dyn Hosts>,
    care: Mutex<Care>,
    hosted: Mutex<HashMap<SessionId, Hosted>>,
    /// Held while sessions are opened and left.
    gate: tokio::sync::Mutex<()>,
    /// How long a session is kept at hand that nobody looks at and that does nothing.
    idle: Duration,
    leaving: AtomicBool,
    /// Faces that came so far.
    faces: AtomicU64,
    /// What the last process left and is not taken up yet; none before that has begun.
    left: watch::Sender<Option<BTreeSet<SessionId>>>,
}

/// Whether one of those whom a session works for, however far above it, is such a one.
fn has_lead(session: &SessionId, is_one: impl Fn(&SessionId) -> bool) -> bool {
    let mut leads = std::iter::successors(session.lead(), SessionId::lead);
    leads.any(|lead| is_one(&lead))
}

impl Hub {
    /// A hub that keeps the list of what it works on in this file.
    pub(crate) fn new(hosts: Arc<dyn Hosts>, list: &Path, idle: Duration) -> Arc<Self> {
        Arc::new(Self {
            hosts,
            care: Mutex::new(Care::load(list)),
            hosted: Mutex::default(),
            gate: tokio::sync::Mutex::default(),
            idle,
            leaving: AtomicBool::new(false),
            faces: AtomicU64::new(0),
            left: watch::Sender::new(None),
        })
    }

    /// Goes on with what the last process was working on when it ended. What is asked of those
    /// sessions waits for it from here on.
    pub(crate) fn take_up(
        self: &Arc<Self>,
        environment: BTreeMap<String, String>,
    ) -> impl Future<Output = ()> + use<> {
        let face = Face {
            id: 0,
            origin: Origin {
                folder: PathBuf::from("/"),
                environment,
            },
        };
        let mut left = self.care().take_up();
        let works_for_another = |session: &SessionId| has_lead(session, |lead| left.contains(lead));
        let (members, leads) = left.iter().cloned().partition(works_for_another);
        left = leads;
        for member in &members {
            // Its lead decides what becomes of its task.
            let _ = self.care().rests(member);
        }
        self.left.send_replace(Some(left.iter().cloned().collect()));
        let hub = Arc::clone(self);
        async move {
            for session in left {
                if let Ok(opened) = hub.open(&face, &session).await {
                    if opened.unfinished && opened.pause.is_none() {
                        // One that cannot go on says so in its journal.
                        let _ = hub.ask(&face, &session, Op::Resume).await;
                    }
                    hub.leave(&face, &session).await;
                }
                let took = |left: &mut Option<BTreeSet<SessionId>>| {
                    left.as_mut().is_some_and(|left| left.remove(&session))
                };
                hub.left.send_if_modified(took);
            }
        }
    }

    /// A number for a face that came. What the hub itself does goes by 0.
    pub(crate) fn new_face(&self) -> u64 {
        self.faces.fetch_add(1, Ordering::Relaxed) + 1
    }

    pub(crate) fn is_leaving(&self) -> bool {
        self.leaving.load(Ordering::Relaxed)
    }

    pub(crate) async fn start(
        self: &Arc<Self>,
        face: &Face,
        settings: Settings,
    ) -> Result<SessionId, ClientError> {
        let client = self.host(face, settings.workspace.clone())?;
        let model = settings.model.clone();
        let session = client.start(settings).await?;
        self.keep(face, &session, client, model, Seq(0));
        Ok(session)
    }

    pub(crate) async fn open(
        self: &Arc<Self>,
        face: &Face,
        session: &SessionId,
    ) -> Result<Opened, ClientError> {
        let _gate = self.gate.lock().await;
        let elsewhere = self.would_open_elsewhere(face, session).await;
        if elsewhere && self.let_go(session).await {
            // It is opened anew below.
        } else if let Some(client) = self.client(session) {
            let opened = client.open(session).await?;
            self.attach(face, session);
            return Ok(opened);
        }
        let client = match self.near(session) {
            Some(client) => client,
            None => self.host(face, self.folder_of(face, session).await?)?,
        };
        let opened = client.open(session).await?;
        let model = opened.settings.model.clone();
        self.keep(face, session, client, model, opened.last);
        Ok(opened)
    }

    /// Asks something of a session, which is opened if it is not. One that the last process left goes
    /// on first: what is said to it is heard as if it had never been interrupted.
    pub(crate) async fn submit(
        self: &Arc<Self>,
        face: &Face,
        session: &SessionId,
        op: Op,
    ) -> Result<(), ClientError> {
        let mut left = self.left.subscribe();
        let taken_up = |left: &Option<BTreeSet<SessionId>>| {
            left.as_ref().is_none_or(|left| !left.contains(session))
        };
        // The sender is in the same hub.
        let _ = left.wait_for(taken_up).await;
        self.ask(face, session, op).await
    }

    async fn ask(
        self: &Arc<Self>,
        face: &Face,
        session: &SessionId,
        op: Op,
    ) -> Result<(), ClientError> {
        let client = self.at_hand(face, session).await?;
        match client.submit(session, op.clone()).await {
            // It was put away just now.
            Err(ClientError::NotOpen(_) | ClientError::Died { .. })
                if self.client(session).is_none() =>
            {
                let client = self.at_hand(face, session).await?;
                client.submit(session, op).await
            }
            asked => asked,
        }
    }

    /// Watches a session, which is opened if it is not.
    pub(crate) async fn watch(
        self: &Arc<Self>,
        face: &Face,
        session: &SessionId,
        after: Seq,
    ) -> Result<Watched, ClientError> {
        loop {
            let client = self.at_hand(face, session).await?;
            // Between the two it may be put away.
            if self.attach(face, session)
                && let Some(end) = self.end_of(session)
            {
                return Ok(Watched {
                    frames: client.watch(session, after),
                    end: end.subscribe(),
                });
            }
        }
    }

    fn end_of(&self, session: &SessionId) -> Option<watch::Sender<Option<String>>> {
        self.hosted().get(session).map(|hosted| hosted.end.clone())
    }

    /// A face looks at a session no more.
    pub(crate) async fn leave(&self, face: &Face, session: &SessionId) {
        self.detach(face.id, session);
        self.put_away(session).await;
    }

    /// A face is gone.
    pub(crate) fn gone(&self, face: u64) {
        let sessions: Vec<SessionId> = self.hosted().keys().cloned().collect();
        for session in sessions {
            self.detach(face, &session);
        }
    }

    pub(crate) async fn remove(&self, face: &Face, session: &SessionId) -> Result<(), ClientError> {
        let _gate = self.gate.lock().await;
        let client = match self.near(session) {
            Some(client) => client,
            None => self.any_host(face)?,
        };
        if let Some(end) = self.end_of(session) {
            end.send_replace(Some(format!(
                "session {session} was removed by another face"
            )));
        }
        client.remove(session).await
    }

    pub(crate) async fn sessions(
        &self,
        face: &Face,
        query: SessionQuery,
    ) -> Result<Vec<SessionHead>, ClientError> {
        let host = self.any_host(face)?;
        host.sessions(query).await
    }

    pub(crate) async fn search(
        &self,
        face: &Face,
        text: &str,
        limit: usize,
    ) -> Result<Vec<Hit>, ClientError> {
        let host = self.any_host(face)?;
        host.search(text, limit).await
    }

    /// What is hosted and what rested last, newest activity first.
    pub(crate) async fn agents(&self, face: &Face) -> Result<Vec<Agent>, ClientError> {
        let taken_up =
            |left: &Option<BTreeSet<SessionId>>| left.as_ref().is_some_and(BTreeSet::is_empty);
        // The sender is in the same hub.
        let _ = self.left.subscribe().wait_for(taken_up).await;
        let host = self.any_host(face)?;
        let mut agents = host.agents().await?;
        let listed: HashSet<SessionId> = agents
            .iter()
            .map(|agent| agent.head.session.clone())
            .collect();
        for agent in &mut agents {
            self.catch_up(&agent.head.session).await;
            if let Some(hosted) = self.agent(&agent.head) {
                *agent = hosted;
            }
        }
        // Those that rested for long before they were hosted, and those that somebody looks at to begin with them.
        for head in host.sessions(SessionQuery::default()).await? {
            if !listed.contains(&head.session) {
                let agent = self.agent(&head);
                let shown = |agent: &Agent| agent.faces > 0 && head.session.lead().is_none();
                agents.extend(agent.filter(|agent| shown(agent) || head.is_listed()));
            }
        }
        Ok(agents)
    }

    /// Puts every session away, each as soon as none of its tools runs, and all once `patience` is
    /// over. Their turns stay open: the next process goes on with them.
    pub(crate) async fn drain(&self, patience: Duration) {
        self.leaving.store(true, Ordering::Relaxed);
        let deadline = tokio::time::Instant::now() + patience;
        loop {
            while let Some(session) = self.calm_session() {
                self.close(&session).await;
            }
            // Who leads others comes before them.
            let left: BTreeSet<SessionId> = self.hosted().keys().cloned().collect();
            if left.is_empty() {
                break;
            }
            if tokio::time::Instant::now() >= deadline {
                for session in left {
                    self.close(&session).await;
                }
                break;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        // Counted as a crash, at worst.
        let _ = self.care().hand_over();
    }

    fn calm_session(&self) -> Option<SessionId> {
        let hosted = self.hosted();
        let mut calm = hosted.iter().filter(|(session, member)| {
            // Who is closed while it works for a call has that call fail.
            member.running.is_empty() && !has_lead(session, |lead| hosted.contains_key(lead))
        });
        calm.next().map(|(session, _)| session.clone())
    }

    async fn close(&self, session: &SessionId) {
        let _gate = self.gate.lock().await;
        let taken = self.hosted().remove(session);
        if let Some(hosted) = taken {
            // One that died says so in its journal.
            let _ = hosted.client.close(session).await;
        }
    }

    /// Leaves a session to the disk if nobody looks at it and it does nothing. Returns whether it is
    /// gone.
    async fn put_away(&self, session: &SessionId) -> bool {
        let _gate = self.gate.lock().await;
        self.let_go(session).await
    }

    /// The same, while the gate is held.
    async fn let_go(&self, session: &SessionId) -> bool {
        let Some((client, seen)) = self.unused(session) else {
            return false;
        };
        // What was asked of it a moment ago may not have been seen yet.
        let last = client.open(session).await.map(|opened| opened.last);
        if last.is_ok_and(|last| last != seen) || self.unused(session).is_none() {
            return false;
        }
        let Some(hosted) = self.hosted().remove(session) else {
            return false;
        };
        // One that died says so in its journal.
        let _ = hosted.client.close(session).await;
        true
    }

    async fn at_hand(
        self: &Arc<Self>,
        face: &Face,
        session: &SessionId,
    ) -> Result<Arc<dyn Client>, ClientError> {
        if let Some(client) = self.client(session) {
            return Ok(client);
        }
        self.open(face, session).await?;
        self.client(session)
            .ok_or_else(|| ClientError::NotOpen(session.clone()))
    }

    fn client(&self, session: &SessionId) -> Option<Arc<dyn Client>> {
        let hosted = self.hosted();
        hosted.get(session).map(|hosted| Arc::clone(&hosted.client))
    }

    fn keep(
        self: &Arc<Self>,
        face: &Face,
        session: &SessionId,
        client: Arc<dyn Client>,
        model: String,
        found: Seq,
    ) {
        let changed = Arc::new(Notify::new());
        let after = Seq(found.0.saturating_sub(TAIL));
        let frames = client.watch(session, after);
        let hosted = Hosted {
            client,
            activity: Activity::default(),
            model,
            running: BTreeSet::new(),
            jobs: BTreeSet::new(),
            faces: HashSet::from([face.id]),
            seen: watch::Sender::new(after),
            found,
            changed: Arc::clone(&changed),
            end: watch::Sender::new(None),
        };
        self.hosted().insert(session.clone(), hosted);
        tokio::spawn(Arc::clone(self).follow(session.clone(), frames, changed));
    }

    /// Follows a session until it is closed or dies, and puts it away once it has rested for long
    /// enough.
    async fn follow(
        self: Arc<Self>,
        session: SessionId,
        mut frames: BoxStream<'static, Frame>,
        changed: Arc<Notify>,
    ) {
        loop {
            tokio::select! {
                frame = frames.next() => match frame {
                    Some(Frame::Record(record)) => self.took(&session, &record),
                    Some(Frame::Delta(_)) => {}
                    None => break,
                },
                () = changed.notified() => {}
                () = tokio::time::sleep(self.idle), if self.unused(&session).is_some() => {
                    if self.put_away(&session).await {
                        return;
                    }
                }
            }
        }
        self.ended(&session, &changed).await;
    }

    /// There is nothing more to follow. It was closed, which took it from the list, or it was removed or
    /// died: then nobody goes on with it unasked.
    async fn ended(&self, session: &SessionId, changed: &Arc<Notify>) {
        let same = |hosted: &&Hosted| Arc::ptr_eq(&hosted.changed, changed);
        let ended = {
            let all = self.hosted();
            let hosted = all.get(session).filter(same);
            hosted.map(|hosted| (Arc::clone(&hosted.client), hosted.end.clone()))
        };
        let Some((client, end)) = ended.filter(|_| !self.is_leaving()) else {
            return;
        };
        // One that died says why, and one whose journal cannot be read is not left to itself.
        let closed = client.close(session).await;
        let reason = closed.map_or_else(|error| error.to_string(), |()| UNREADABLE.to_owned());
        end.send_if_modified(|told| {
            let untold = told.is_none();
            told.get_or_insert(reason);
            untold
        });
        let mut all = self.hosted();
        if all.get(session).as_ref().is_some_and(same) {
            all.remove(session);
            drop(all);
            // A list that cannot be written costs what it is for.
            let _ = self.care().rests(session);
        }
    }

    fn took(&self, session: &SessionId, record: &Record) {
        let event = &record.event;
        let works = {
            let mut all = self.hosted();
            let Some(hosted) = all.get_mut(session) else {
                return;
            };
            hosted.follow(event);
            hosted.seen.send_replace(record.seq);
            if record.seq <= hosted.found {
                return;
            }
            hosted.activity.is_at_work()
        };
        let mut care = self.care();
        // A list that cannot be written costs what it is for; the journals are intact.
        let _ = match event {
            Event::ModelReplied { .. } => care.came_further(session),
            _ if works => care.works(session),
            // What a crash cut short is at work until somebody decides otherwise.
            Event::TurnEnded { .. } => care.rests(session),
            Event::TurnPaused { pause, .. } if pause.has_begun() => care.rests(session),
            _ => Ok(()),
        };
    }

    /// A session that nobody looks at and that does nothing, and from where that is known.
    fn unused(&self, session: &SessionId) -> Option<(Arc<dyn Client>, Seq)> {
        let hosted = self.hosted();
        let hosted = hosted.get(session)?;
        let unused = hosted.faces.is_empty() && hosted.is_resting();
        unused.then(|| (Arc::clone(&hosted.client), *hosted.seen.borrow()))
    }

    /// Waits until what is known of a session is all that is recorded of it.
    async fn catch_up(&self, session: &SessionId) {
        let found = {
            let hosted = self.hosted();
            let found = hosted.get(session);
            found.map(|hosted| (Arc::clone(&hosted.client), hosted.seen.subscribe()))
        };
        let Some((client, mut seen)) = found else {
            return;
        };
        let opened = {
            // Opening one that is put away meanwhile would open it behind the hub's back.
            let _gate = self.gate.lock().await;
            if self.client(session).is_none() {
                return;
            }
            client.open(session).await
        };
        if let Ok(Opened { last, .. }) = opened {
            // One that is put away meanwhile is told by its journal.
            let _ = seen.wait_for(|seen| *seen >= last).await;
        }
    }

    fn agent(&self, head: &SessionHead) -> Option<Agent> {
        let all = self.hosted();
        let hosted = all.get(&head.session)?;
        Some(Agent {
            head: head.clone(),
            standing: hosted.activity.standing(),
            detail: hosted.activity.detail().to_owned(),
            asked: hosted.activity.asked(),
            model: hosted.model.clone(),
            faces: hosted.faces.len(),
        })
    }

    /// Whether the session is at hand, and the face now with it.
    fn attach(&self, face: &Face, session: &SessionId) -> bool {
        let mut all = self.hosted();
        let Some(hosted) = all.get_mut(session) else {
            return false;
        };
        hosted.faces.insert(face.id);
        hosted.changed.notify_one();
        true
    }

    fn detach(&self, face: u64, session: &SessionId) {
        if let Some(hosted) = self.hosted().get_mut(session)
            && hosted.faces.remove(&face)
        {
            hosted.changed.notify_one();
        }
    }

    fn hosted(&self) -> MutexGuard<'_, HashMap<SessionId, Hosted>> {
        self.hosted.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn care(&self) -> MutexGuard<'_, Care> {
        self.care.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
