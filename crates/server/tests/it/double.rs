//! A double of what runs sessions: it tells what a test lets it tell, and notes what it is asked.

use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures_core::future::BoxFuture;
use futures_core::stream::BoxStream;
use futures_util::{StreamExt as _, stream};
use quire_protocol::{
    Agent, ApprovalMode, Client, ClientError, ContextLimits, Effort, EffortChoice, Event, Frame,
    Hit, Limits, Op, Opened, Policy, Record, SandboxMode, Seq, SessionHead, SessionId,
    SessionQuery, Settings,
};
use quire_server::{Daemon, Hosts, Origin, Remote};
use tokio::sync::{Semaphore, mpsc};

/// What runs sessions, all of them alike.
pub(crate) struct Double {
    told: Mutex<Vec<Frame>>,
    watchers: Mutex<Vec<mpsc::UnboundedSender<Frame>>>,
    /// What it was asked.
    pub(crate) asked: Mutex<Vec<Op>>,
    /// What was closed.
    pub(crate) closed: Mutex<Vec<SessionId>>,
    /// Why the session died.
    died: Mutex<Option<String>>,
    /// Whoever opens the session takes one.
    pub(crate) opening: Semaphore,
}

impl Double {
    pub(crate) fn new(openings: usize) -> Arc<Self> {
        Arc::new(Self {
            told: Mutex::default(),
            watchers: Mutex::default(),
            asked: Mutex::default(),
            closed: Mutex::default(),
            died: Mutex::default(),
            opening: Semaphore::new(openings),
        })
    }

    /// Tells its watchers that something was said to the model.
    pub(crate) fn tell(&self, text: String) {
        let mut told = self.told.lock().unwrap();
        let frame = Frame::Record(Record {
            seq: Seq(told.len() as u64 + 1),
            at_ms: 0,
            event: Event::Noticed { text },
        });
        told.push(frame.clone());
        for watcher in &*self.watchers.lock().unwrap() {
            // Whoever is gone wants to know nothing.
            let _ = watcher.send(frame.clone());
        }
    }

    /// Dies.
    pub(crate) fn die(&self, reason: &str) {
        *self.died.lock().unwrap() = Some(reason.to_owned());
        self.watchers.lock().unwrap().clear();
    }
}

pub(crate) fn settings() -> Settings {
    Settings {
        model: "double/double".to_owned(),
        effort: Effort::High,
        workspace: "/".into(),
        policy: Policy {
            phase: quire_protocol::Phase::Work,
            sandbox: SandboxMode::ReadOnly,
            approvals: ApprovalMode::Never,
            rules: vec![],
            domains: vec![],
            writable: vec![],
            environment: vec![],
        },
        limits: Limits::default(),
        output_schema: None,
        context: ContextLimits::default(),
        effort_choice: EffortChoice::default(),
        region: None,
    }
}

impl Client for Double {
    fn start(&self, _: Settings) -> BoxFuture<'_, Result<SessionId, ClientError>> {
        Box::pin(async { Ok(SessionId::new("s")) })
    }

    fn open(&self, _: &SessionId) -> BoxFuture<'_, Result<Opened, ClientError>> {
        Box::pin(async {
            self.opening.acquire().await.unwrap().forget();
            Ok(Opened {
                settings: settings(),
                found: Seq(0),
                last: Seq(0),
                unfinished: true,
                pause: None,
                has_goal: false,
                repaired: None,
            })
        })
    }

    fn submit(&self, _: &SessionId, op: Op) -> BoxFuture<'_, Result<(), ClientError>> {
        self.asked.lock().unwrap().push(op);
        Box::pin(async { Ok(()) })
    }

    fn watch(&self, _: &SessionId, _: Seq) -> BoxStream<'static, Frame> {
        let (watcher, frames) = mpsc::unbounded_channel();
        self.watchers.lock().unwrap().push(watcher);
        let told = self.told.lock().unwrap().clone();
        let live = stream::unfold(frames, async |mut frames| {
            Some((frames.recv().await?, frames))
        });
        Box::pin(stream::iter(told).chain(live))
    }

    fn close(&self, session: &SessionId) -> BoxFuture<'_, Result<(), ClientError>> {
        self.watchers.lock().unwrap().clear();
        self.closed.lock().unwrap().push(session.clone());
        let died = self
            .died
            .lock()
            .unwrap()
            .clone()
            .map(|reason| ClientError::Died {
                session: session.clone(),
                reason,
            });
        Box::pin(async { died.map_or(Ok(()), Err) })
    }

    fn sessions(&self, _: SessionQuery) -> BoxFuture<'_, Result<Vec<SessionHead>, ClientError>> {
        Box::pin(async { Ok(vec![]) })
    }

    fn agents(&self) -> BoxFuture<'_, Result<Vec<Agent>, ClientError>> {
        Box::pin(async { Ok(vec![]) })
    }

    fn search(&self, _: &str, _: usize) -> BoxFuture<'_, Result<Vec<Hit>, ClientError>> {
        Box::pin(async { Ok(vec![]) })
    }

    fn fork(
        &self,
        _: &SessionId,
        _: Option<quire_protocol::MessageId>,
    ) -> BoxFuture<'_, Result<SessionId, ClientError>> {
        unreachable!("nothing is forked here")
    }

    fn changes(
        &self,
        _: &SessionId,
        _: quire_protocol::Point,
    ) -> BoxFuture<'_, Result<Vec<quire_protocol::FileChange>, ClientError>> {
        unreachable!("nobody asks what changed")
    }

    fn take_back(
        &self,
        _: &SessionId,
        _: quire_protocol::Point,
        _: quire_protocol::Conflicts,
    ) -> BoxFuture<'_, Result<quire_protocol::TakenBack, ClientError>> {
        unreachable!("nothing is taken back here")
    }

    fn remove(&self, _: &SessionId) -> BoxFuture<'_, Result<(), ClientError>> {
        self.watchers.lock().unwrap().clear();
        Box::pin(async { Ok(()) })
    }
}

struct Only(Arc<Double>);

impl Hosts for Only {
    fn host(&self, _: &Origin) -> Result<Arc<dyn Client>, String> {
        Ok(Arc::<Double>::clone(&self.0))
    }
}

/// Those of folders.
pub(crate) struct ByFolder(pub(crate) Vec<(&'static str, Arc<Double>)>);

impl Hosts for ByFolder {
    fn host(&self, origin: &Origin) -> Result<Arc<dyn Client>, String> {
        let mut fitting = self.0.iter();
        let fitting = fitting.find(|(folder, _)| Path::new(folder) == origin.folder);
        let (_, double) = fitting.ok_or("there is none")?;
        Ok(Arc::<Double>::clone(double))
    }
}

/// A host of the double in that folder, for as long as the runtime lives.
pub(crate) fn host(folder: &Path, double: &Arc<Double>) {
    let hosts = Arc::new(Only(Arc::clone(double)));
    tokio::spawn(daemon(folder, hosts).serve(std::future::pending()));
}

/// A host that is about to be.
pub(crate) fn daemon(folder: &Path, hosts: Arc<dyn Hosts>) -> Daemon {
    let idle = Duration::from_hours(1);
    Daemon::listen(folder, hosts, "double".to_owned(), [].into(), idle).unwrap()
}

/// A face of the host in that folder.
pub(crate) fn face(folder: &Path) -> Remote {
    face_in(folder, "/")
}

/// One that works in a folder.
pub(crate) fn face_in(folder: &Path, works_in: &str) -> Remote {
    let origin = Origin::new(works_in.into(), []);
    Remote::new(folder.to_owned(), "face", origin, None)
}
