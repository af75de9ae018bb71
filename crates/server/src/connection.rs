//! One face at the socket: what it asks, in order, and what it watches, side by side.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use futures_core::stream::BoxStream;
use futures_util::StreamExt as _;
use quire_protocol::Frame;
use serde_json::value::RawValue;
use tokio::sync::mpsc;
use tokio::task::AbortHandle;
use tokio::time::Instant;

use crate::gather::Gathered;
use crate::hosted::Watched;
use crate::hub::{Face, Hub};
use crate::origin::Origin;
use crate::pipe::{Reader, Writer};
use crate::wire::{self, Failure, Hello, code, method};

/// Lines that wait to be written; whoever writes more waits too, and a watcher falls behind.
const QUEUE: usize = 32;
/// What one face may watch at a time.
const WATCHES: usize = 16;

/// What a connection needs to know of its host.
#[derive(Clone)]
pub(crate) struct Host {
    pub(crate) hub: Arc<Hub>,
    /// Its name and version.
    pub(crate) name: String,
    /// Its own environment, for faces that bring none.
    pub(crate) environment: Arc<BTreeMap<String, String>>,
    /// Told when a face asks the host to stop; with how long its tools may still run.
    pub(crate) stop: mpsc::Sender<Duration>,
}

struct Connection {
    host: Host,
    id: u64,
    face: Option<Face>,
    lines: mpsc::Sender<Vec<u8>>,
    watches: HashMap<u64, AbortHandle>,
    watched: u64,
    /// A watch that begins once its number was told.
    beginning: Option<(u64, Watched)>,
}

/// Serves a face until it goes.
pub(crate) async fn serve((mut reader, writer): (Reader, Writer), host: Host) {
    let (lines, queue) = mpsc::channel(QUEUE);
    let writer = tokio::spawn(write(writer, queue));
    let hub = Arc::clone(&host.hub);
    let id = hub.new_face();
    let mut connection = Connection {
        host,
        id,
        face: None,
        lines,
        watches: HashMap::new(),
        watched: 0,
        beginning: None,
    };
    let mut line = Vec::new();
    while let Ok(true) = reader.next(&mut line).await {
        if let Some(answer) = connection.hear(&line).await
            && connection.lines.send(answer).await.is_err()
        {
            break;
        }
        connection.begin_watch();
    }
    for watch in connection.watches.values() {
        watch.abort();
    }
    drop(connection);
    hub.gone(id);
    // What was answered is still written, as far as somebody reads it.
    let _ = writer.await;
}

async fn write(mut writer: Writer, mut waiting: mpsc::Receiver<Vec<u8>>) {
    let mut lines = Vec::new();
    while waiting.recv_many(&mut lines, 64).await > 0 {
        if writer.write(&lines).await.is_err() {
            return;
        }
        lines.clear();
    }
}

impl Connection {
    /// What is answered to a line; nothing where it does not ask.
    async fn hear(&mut self, line: &[u8]) -> Option<Vec<u8>> {
        let heard = match wire::heard(line) {
            Ok(heard) => heard,
            Err((id, failure)) => return Some(wire::answer(id, Err(failure))),
        };
        let answer = self.take(&heard.method, heard.params).await;
        heard.id.map(|id| wire::answer(id, answer))
    }

    async fn take(
        &mut self,
        method: &str,
        params: Option<&RawValue>,
    ) -> Result<Box<RawValue>, Failure> {
        if self.host.hub.is_leaving() {
            let words = "this host makes room for another one: connect again";
            return Err(Failure::new(code::LEAVING, words));
        }
        if method == method::HELLO {
            return self.hello(wire::params(params)?);
        }
        // Before any version is agreed upon: a host that cannot be talked to can still be ended.
        if method == method::STOP {
            let wire::Stop { patience_ms } = wire::params(params)?;
            // A second one finds the first at work.
            let _ = self.host.stop.try_send(Duration::from_millis(patience_ms));
            return wire::raw(&());
        }
        let Some(face) = &self.face else {
            return Err(Failure::new(code::NO_HELLO, "say `hello` first"));
        };
        let hub = &self.host.hub;
        match method {
            method::START => {
                let wire::Start { settings } = wire::params(params)?;
                let session = hub.start(face, settings).await?;
                wire::raw(&wire::Named { session })
            }
            method::OPEN => {
                let wire::Named { session } = wire::params(params)?;
                wire::raw(&hub.open(face, &session).await?)
            }
            method::SUBMIT => {
                let wire::Submit { session, op } = wire::params(params)?;
                wire::raw(&hub.submit(face, &session, op).await?)
            }
            method::CLOSE => {
                let wire::Named { session } = wire::params(params)?;
                hub.leave(face, &session).await;
                wire::raw(&())
            }
            method::REMOVE => {
                let wire::Named { session } = wire::params(params)?;
                wire::raw(&hub.remove(face, &session).await?)
            }
            method::FORK | method::CHANGES | method::TAKE_BACK => {
                past(hub, face, method, params).await
            }
            method::SESSIONS => {
                let wire::List { query } = wire::params(params)?;
                wire::raw(&hub.sessions(face, query).await?)
            }
            method::SEARCH => search(hub, face, params).await,
            method::AGENTS => wire::raw(&hub.agents(face).await?),
            method::WATCH => self.watch(wire::params(params)?).await,
            method::UNWATCH => {
                let wire::Watched { watch } = wire::params(params)?;
                if let Some(watching) = self.watches.remove(&watch) {
                    watching.abort();
                }
                wire::raw(&())
            }
            _ => {
                let words = format!("there is no method `{method}`");
                Err(Failure::new(code::NO_METHOD, words))
            }
        }
    }

    fn hello(&mut self, hello: Hello) -> Result<Box<RawValue>, Failure> {
        let protocol = wire::agreed(hello.protocol)?;
        self.face = Some(Face {
            id: self.id,
            origin: Origin {
                folder: hello.folder,
                environment: hello
                    .environment
                    .unwrap_or_else(|| BTreeMap::clone(&self.host.environment)),
            },
        });
        wire::raw(&wire::Welcome {
            protocol,
            server: self.host.name.clone(),
            process: std::process::id(),
        })
    }

    async fn watch(&mut self, asked: wire::Watch) -> Result<Box<RawValue>, Failure> {
        self.watches.retain(|_, watching| !watching.is_finished());
        if self.watches.len() >= WATCHES {
            let words = format!("{WATCHES} sessions are watched already: end one with unwatch");
            return Err(Failure::new(code::BAD_PARAMS, words));
        }
        let Some(face) = &self.face else {
            return Err(Failure::new(code::NO_HELLO, "say `hello` first"));
        };
        let hub = &self.host.hub;
        let watched = hub.watch(face, &asked.session, asked.after).await?;
        self.watched += 1;
        let watch = self.watched;
        self.beginning = Some((watch, watched));
        wire::raw(&wire::Watched { watch })
    }

    fn begin_watch(&mut self) {
        if let Some((watch, watched)) = self.beginning.take() {
            let hub = Arc::clone(&self.host.hub);
            let showing = tokio::spawn(show(watch, watched, self.lines.clone(), hub));
            self.watches.insert(watch, showing.abort_handle());
        }
    }
}

async fn search(
    hub: &Arc<Hub>,
    face: &Face,
    params: Option<&RawValue>,
) -> Result<Box<RawValue>, Failure> {
    let wire::Search { text, limit } = wire::params(params)?;
    let most = wire::LONGEST_SEARCH;
    if text.chars().nth(most).is_some() {
        let words = format!("what is searched for has {most} letters at most");
        return Err(Failure::new(code::BAD_PARAMS, words));
    }
    wire::raw(&hub.search(face, &text, limit).await?)
}

/// Answers what is asked about a session's past.
async fn past(
    hub: &Arc<Hub>,
    face: &Face,
    method: &str,
    params: Option<&RawValue>,
) -> Result<Box<RawValue>, Failure> {
    match method {
        method::FORK => {
            let wire::Fork { session, before } = wire::params(params)?;
            let session = hub.fork(face, &session, before).await?;
            wire::raw(&wire::Named { session })
        }
        method::CHANGES => {
            let wire::Changes { session, since } = wire::params(params)?;
            wire::raw(&hub.changes(face, &session, since).await?)
        }
        _ => {
            let wire::TakeBack {
                session,
                to,
                conflicts,
            } = wire::params(params)?;
            wire::raw(&hub.take_back(face, &session, to, conflicts).await?)
        }
    }
}

/// Shows what is watched until it is over, and says why it is.
async fn show(watch: u64, mut watched: Watched, lines: mpsc::Sender<Vec<u8>>, hub: Arc<Hub>) {
    let reason = match frames(watch, &mut watched.frames, &lines).await {
        Shown::All if hub.is_leaving() => {
            // Where another host goes on with it, its watcher goes there.
            let leaving = wire::notice(method::LEAVING, &wire::Watched { watch });
            // Whoever is gone wants to know nothing.
            let _ = lines.send(leaving).await;
            return;
        }
        Shown::All => watched.why_ended().await,
        Shown::TooLarge(reason) => reason,
        Shown::Unwanted => return,
    };
    let _ = lines
        .send(wire::notice(method::END, &wire::Ended { watch, reason }))
        .await;
}

/// How far something that is watched was shown.
enum Shown {
    /// To its end.
    All,
    /// Up to something that no message can hold.
    TooLarge(String),
    /// As far as somebody wanted to see it.
    Unwanted,
}

/// Sends what is watched, fragments of a moment together. Its lines wait for the one before them to be
/// taken, so that a face that reads slowly costs no memory.
async fn frames(
    watch: u64,
    frames: &mut BoxStream<'static, Frame>,
    lines: &mpsc::Sender<Vec<u8>>,
) -> Shown {
    let mut gathered = Gathered::default();
    loop {
        let moment = tokio::time::sleep_until(gathered.due().unwrap_or_else(Instant::now));
        let (fragment, record) = tokio::select! {
            biased;
            () = moment, if gathered.due().is_some() => (gathered.take(), None),
            frame = frames.next() => match frame {
                Some(Frame::Delta(delta)) => (gathered.add(delta), None),
                Some(record) => (gathered.take(), Some(record)),
                None => return Shown::All,
            },
        };
        for frame in fragment.map(Frame::Delta).into_iter().chain(record) {
            let line = wire::notice(method::FRAME, &wire::More { watch, frame });
            if line.len() > wire::LONGEST_TOLD {
                return Shown::TooLarge(format!(
                    "it holds an event of {} MiB, which is more than a message may have: `quire \
                     sessions show` shows it",
                    line.len() >> 20
                ));
            }
            if lines.send(line).await.is_err() {
                return Shown::Unwanted;
            }
        }
    }
}
