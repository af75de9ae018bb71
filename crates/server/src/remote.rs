//! Sessions in the host, for a face in another process. A host that is not there is started; one that
//! dies or makes room for another is found again, and what was asked of it asked again.

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::io;
use std::path::PathBuf;
use std::pin::pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures_core::future::BoxFuture;
use futures_core::stream::BoxStream;
use futures_util::stream;
use quire_protocol::{
    Agent, Client, ClientError, Conflicts, FileChange, Frame, Hit, MessageId, Op, Opened, Point,
    Seq, SessionHead, SessionId, SessionQuery, Settings, TakenBack,
};
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::time::{Instant, timeout};

use crate::background::Ending;
use crate::link::{self, GREETING, Link, Place, Seen, Unanswered, Watching};
use crate::origin::Origin;
use crate::socket;
use crate::web::{Address, Token};
use crate::wire::{self, Hello, NEWEST, OLDEST, Versions, Watch, method};

/// Starts a host, unless another one is being started.
pub type Summon = Arc<dyn Fn() -> io::Result<Ending> + Send + Sync>;

/// How long a host may take to come.
const PATIENCE: Duration = Duration::from_secs(30);
/// How often one is started in that time.
const SUMMON_EVERY: Duration = Duration::from_secs(1);
/// How often it is looked for.
const LOOK_EVERY: Duration = Duration::from_millis(5);

/// How often a host is looked for that somebody else starts.
const LOOK_LATER: Duration = Duration::from_millis(100);

/// From then on a person is told what is waited for.
const SOON: Duration = Duration::from_millis(300);

/// Sessions in the host.
#[derive(Clone)]
pub struct Remote {
    way: Arc<Way>,
}

/// The way to the host.
struct Way {
    place: Place,
    hello: Hello,
    summon: Option<Summon>,
    link: tokio::sync::Mutex<Option<Arc<Link>>>,
    /// Why watches ended, until somebody who closes the session is told.
    ended: Mutex<HashMap<SessionId, String>>,
}

impl Remote {
    /// The host that listens in `folder`, for a face of that name from there. Nothing is opened before
    /// something is asked. Without `summon` no host is started: only one that is there answers.
    pub fn new(folder: PathBuf, name: &str, origin: Origin, summon: Option<Summon>) -> Self {
        Self::over(
            Place::Socket(folder),
            name,
            origin.folder,
            Some(origin.environment),
            summon,
        )
    }

    /// The host that listens at `url`, such as `ws://127.0.0.1:4711`, for a face that works in `folder`
    /// of the host's machine, with the host's environment. The error is for a person.
    pub fn at(url: &str, token: Token, name: &str, folder: PathBuf) -> Result<Self, String> {
        let place = Place::Web(Address::new(url, token)?);
        Ok(Self::over(place, name, folder, None, None))
    }

    fn over(
        place: Place,
        name: &str,
        folder: PathBuf,
        environment: Option<BTreeMap<String, String>>,
        summon: Option<Summon>,
    ) -> Self {
        let hello = Hello {
            protocol: Versions {
                oldest: OLDEST,
                newest: NEWEST,
            },
            client: name.to_owned(),
            folder,
            environment,
        };
        Self {
            way: Arc::new(Way {
                place,
                hello,
                summon,
                link: tokio::sync::Mutex::default(),
                ended: Mutex::default(),
            }),
        }
    }

    /// Finds the host, or starts it, before anything is asked of it. What it waits for, and that the
    /// host is of another version, is told in words for a person.
    pub async fn arrive(&self, tell: impl Fn(&str)) -> Result<(), ClientError> {
        let way = &self.way;
        let mut arriving = pin!(way.link(Instant::now() + PATIENCE));
        let link = if let Ok(link) = timeout(SOON, &mut arriving).await {
            link?
        } else {
            if let Some(process) = way.process()
                && !link::is_there(&way.place).await
            {
                tell(&format!(
                    "waiting for the last host to end: process {process} waits for running tools"
                ));
            }
            arriving.await?
        };
        let (own, server) = (&way.hello.client, &link.server);
        if own != server && matches!(way.place, Place::Socket(_)) {
            tell(&format!(
                "the host is {server}, and this is {own}: `quire serve --restart` hands over to this one \
                 what the host works on"
            ));
        }
        Ok(())
    }

    /// Asks the host to end, with so much time for running tools to end by themselves.
    pub async fn stop(&self, patience: Duration) -> Result<Stopped, ClientError> {
        let patience_ms = u64::try_from(patience.as_millis()).unwrap_or(u64::MAX);
        match link::stop(&self.way.place, &wire::Stop { patience_ms }).await {
            Ok(()) => Ok(Stopped::Told),
            Err(Unanswered::Broken(_)) => Ok(match self.way.process() {
                Some(process) => Stopped::Ending(process),
                None => Stopped::Nobody,
            }),
            Err(Unanswered::Silent) => Err(self.way.silent()),
            Err(Unanswered::Refused(failure)) => Err(failure.into()),
        }
    }

    async fn ask<T: DeserializeOwned>(
        &self,
        method: &str,
        params: &impl Serialize,
    ) -> Result<T, ClientError> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let link = self.way.link(deadline).await?;
            // What cannot be asked twice is asked where somebody hears it.
            if !link.is_open() {
                self.way.forget(&link).await;
                continue;
            }
            let mut asking = pin!(link.ask(method, params));
            let answer = loop {
                match timeout(GREETING, &mut asking).await {
                    Ok(answer) => break answer,
                    // It may be long at work on it, or stopped.
                    Err(_) if link::is_silent(&self.way.place, &self.way.hello).await => {
                        break Err(Unanswered::Silent);
                    }
                    Err(_) => {}
                }
            };
            match answer {
                Ok(answer) => return Ok(answer),
                Err(Unanswered::Refused(failure)) => return Err(failure.into()),
                Err(Unanswered::Silent) => return Err(self.way.silent()),
                Err(Unanswered::Broken(error)) => {
                    self.way.forget(&link).await;
                    // What would be done twice is not asked again.
                    let once = [method::START, method::FORK, method::TAKE_BACK].contains(&method);
                    if Instant::now() >= deadline || once {
                        return Err(unreachable(&error));
                    }
                }
            }
        }
    }
}

/// What became of asking a host to end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stopped {
    /// It was told.
    Told,
    /// This process is at it already.
    Ending(u32),
    /// There is none.
    Nobody,
}

impl fmt::Display for Stopped {
    /// In words for a person.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Told => {
                f.write_str("the host ends; what it was working on goes on with the next one")
            }
            Self::Ending(process) => write!(
                f,
                "the host is ending already: process {process} waits for running tools"
            ),
            Self::Nobody => f.write_str("there is no host"),
        }
    }
}

#[derive(Serialize)]
struct Nothing {}

fn unreachable(error: &io::Error) -> ClientError {
    ClientError::Unreachable(format!(
        "the process that hosts the sessions cannot be reached ({error}); its journals are intact. \
         Try again, or see what `quire serve` says"
    ))
}

impl Way {
    /// The process that has the host's place, where that can be seen.
    fn process(&self) -> Option<u32> {
        match &self.place {
            Place::Socket(folder) => socket::holder(folder),
            Place::Web(_) => None,
        }
    }

    fn silent(&self) -> ClientError {
        let next = match self.process() {
            Some(process) => format!(
                "it may be stopped. `kill -CONT {process}` lets it go on; `kill -9 {process}` ends it, and \
                 the next one goes on with its work"
            ),
            None => {
                "it may be stopped, or the way to it is lost; its journals are intact".to_owned()
            }
        };
        let seconds = GREETING.as_secs();
        ClientError::Unreachable(format!(
            "the process that hosts the sessions does not answer for {seconds} s: {next}"
        ))
    }

    /// The open connection, or a new one.
    async fn link(&self, deadline: Instant) -> Result<Arc<Link>, ClientError> {
        let mut held = self.link.lock().await;
        if let Some(link) = &*held {
            return Ok(Arc::clone(link));
        }
        let link = self
            .reach(deadline, || Link::open(&self.place, &self.hello))
            .await?;
        let link = Arc::new(link);
        *held = Some(Arc::clone(&link));
        Ok(link)
    }

    fn ended(&self) -> MutexGuard<'_, HashMap<SessionId, String>> {
        self.ended.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn forget(&self, broken: &Arc<Link>) {
        let mut held = self.link.lock().await;
        if held.as_ref().is_some_and(|link| Arc::ptr_eq(link, broken)) {
            *held = None;
        }
    }

    /// Tries until a host answers; starts one where none does.
    async fn reach<T, F: Future<Output = Result<T, Unanswered>>>(
        &self,
        deadline: Instant,
        open: impl Fn() -> F,
    ) -> Result<T, ClientError> {
        let mut summoned: Option<(Instant, Ending)> = None;
        loop {
            let error = match open().await {
                Ok(opened) => return Ok(opened),
                Err(Unanswered::Refused(failure)) => return Err(failure.into()),
                Err(Unanswered::Silent) => return Err(self.silent()),
                Err(Unanswered::Broken(error)) => error,
            };
            let Some(summon) = &self.summon else {
                return Err(unreachable(&error));
            };
            if Instant::now() >= deadline {
                return Err(unreachable(&error));
            }
            let ended = summoned.as_mut().map(|(_, ending)| ending.try_recv());
            if let Some(Ok(Err(words))) = ended {
                return Err(ClientError::Unreachable(format!(
                    "the process that hosts the sessions could not start: {words}"
                )));
            }
            let again = |(at, _): &(Instant, Ending)| at.elapsed() >= SUMMON_EVERY;
            if summoned.as_ref().is_none_or(again) {
                let ending = summon().map_err(|error| unreachable(&error))?;
                summoned = Some((Instant::now(), ending));
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }
}

/// A watch that survives its host.
struct Watcher {
    way: Arc<Way>,
    session: SessionId,
    seen: Seq,
    open: Option<Watching>,
}

impl Watcher {
    async fn next(&mut self) -> Option<Frame> {
        loop {
            if self.open.is_none() {
                match self.reach().await {
                    Ok(open) => self.open = Some(open),
                    Err(error) => return self.over(error.to_string()),
                }
            }
            match self.open.as_mut()?.next().await {
                Seen::Frame(frame) => {
                    if let Frame::Record(record) = &*frame {
                        self.seen = record.seq;
                    }
                    return Some(*frame);
                }
                Seen::End(reason) => return self.over(reason),
                Seen::Broken if self.way.summon.is_some() => self.open = None,
                Seen::Broken => {
                    self.open = None;
                    // Somebody else starts the next one, if he does.
                    let _ = timeout(PATIENCE, self.wait()).await;
                }
                Seen::Leaving => {
                    self.open = None;
                    self.wait().await;
                }
            }
        }
    }

    /// There is nothing more; why, is told to whoever closes the session.
    fn over(&self, reason: String) -> Option<Frame> {
        if !reason.is_empty() {
            self.way.ended().insert(self.session.clone(), reason);
        }
        None
    }

    /// Waits for the next host without starting one: who ended the last one may have another in mind.
    async fn wait(&self) {
        while !link::is_there(&self.way.place).await {
            tokio::time::sleep(LOOK_LATER).await;
        }
    }

    async fn reach(&self) -> Result<Watching, ClientError> {
        let watch = Watch {
            session: self.session.clone(),
            after: self.seen,
        };
        let Way { place, hello, .. } = &*self.way;
        let open = || Watching::open(place, hello, &watch);
        self.way.reach(Instant::now() + PATIENCE, open).await
    }
}

impl Client for Remote {
    fn start(&self, settings: Settings) -> BoxFuture<'_, Result<SessionId, ClientError>> {
        Box::pin(async move {
            let named: wire::Named = self.ask(method::START, &wire::Start { settings }).await?;
            Ok(named.session)
        })
    }

    fn open(&self, session: &SessionId) -> BoxFuture<'_, Result<Opened, ClientError>> {
        let session = session.clone();
        Box::pin(async move { self.ask(method::OPEN, &wire::Named { session }).await })
    }

    fn submit(&self, session: &SessionId, op: Op) -> BoxFuture<'_, Result<(), ClientError>> {
        let session = session.clone();
        Box::pin(async move {
            self.ask(method::SUBMIT, &wire::Submit { session, op })
                .await
        })
    }

    fn watch(&self, session: &SessionId, after: Seq) -> BoxStream<'static, Frame> {
        // What ended an earlier one is of no interest any more.
        self.way.ended().remove(session);
        let watcher = Watcher {
            way: Arc::clone(&self.way),
            session: session.clone(),
            seen: after,
            open: None,
        };
        Box::pin(stream::unfold(watcher, |mut watcher| async {
            let frame = watcher.next().await?;
            Some((frame, watcher))
        }))
    }

    /// This face leaves the session; what it does goes on. Where watching it ended before, the error
    /// says why.
    fn close(&self, session: &SessionId) -> BoxFuture<'_, Result<(), ClientError>> {
        let session = session.clone();
        Box::pin(async move {
            let ended = self.way.ended().remove(&session);
            match ended {
                Some(reason) => Err(ClientError::Unreachable(reason)),
                None => self.ask(method::CLOSE, &wire::Named { session }).await,
            }
        })
    }

    fn sessions(
        &self,
        query: SessionQuery,
    ) -> BoxFuture<'_, Result<Vec<SessionHead>, ClientError>> {
        Box::pin(async move { self.ask(method::SESSIONS, &wire::List { query }).await })
    }

    fn agents(&self) -> BoxFuture<'_, Result<Vec<Agent>, ClientError>> {
        Box::pin(self.ask(method::AGENTS, &Nothing {}))
    }

    fn search(&self, text: &str, limit: usize) -> BoxFuture<'_, Result<Vec<Hit>, ClientError>> {
        let text = text.to_owned();
        Box::pin(async move {
            self.ask(method::SEARCH, &wire::Search { text, limit })
                .await
        })
    }

    fn fork(
        &self,
        session: &SessionId,
        before: Option<MessageId>,
    ) -> BoxFuture<'_, Result<SessionId, ClientError>> {
        let session = session.clone();
        Box::pin(async move {
            let fork = wire::Fork { session, before };
            let named: wire::Named = self.ask(method::FORK, &fork).await?;
            Ok(named.session)
        })
    }

    fn changes(
        &self,
        session: &SessionId,
        since: Point,
    ) -> BoxFuture<'_, Result<Vec<FileChange>, ClientError>> {
        let session = session.clone();
        Box::pin(async move {
            let changes = wire::Changes { session, since };
            self.ask(method::CHANGES, &changes).await
        })
    }

    fn take_back(
        &self,
        session: &SessionId,
        to: Point,
        conflicts: Conflicts,
    ) -> BoxFuture<'_, Result<TakenBack, ClientError>> {
        let session = session.clone();
        Box::pin(async move {
            let back = wire::TakeBack {
                session,
                to,
                conflicts,
            };
            self.ask(method::TAKE_BACK, &back).await
        })
    }

    fn remove(&self, session: &SessionId) -> BoxFuture<'_, Result<(), ClientError>> {
        let session = session.clone();
        Box::pin(async move { self.ask(method::REMOVE, &wire::Named { session }).await })
    }
}
