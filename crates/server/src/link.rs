//! A face's end of the wire: a connection over which it asks, and one for each thing it watches.

use std::collections::HashMap;
use std::io;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use quire_protocol::Frame;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::value::RawValue;
use tokio::io::{AsyncWriteExt as _, BufReader};
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};
use tokio::sync::oneshot;

use crate::connection::next_line;
use crate::socket;
use crate::wire::{self, Failure, Hello, Incoming, Watch, code, method};

/// Why something asked has no answer.
#[derive(Debug)]
pub(crate) enum Unanswered {
    /// The connection is gone, or the host is about to be: another one may answer.
    Broken(io::Error),
    /// The host said no.
    Refused(Failure),
}

impl From<io::Error> for Unanswered {
    fn from(error: io::Error) -> Self {
        Self::Broken(error)
    }
}

impl From<Failure> for Unanswered {
    fn from(failure: Failure) -> Self {
        match failure.code {
            code::LEAVING => Self::Broken(io::Error::other(failure.message)),
            _ => Self::Refused(failure),
        }
    }
}

type Answer = Result<Box<RawValue>, Failure>;
/// Who waits for which answer; none any more once the connection is gone.
type Waiting = Arc<Mutex<Option<HashMap<u64, oneshot::Sender<Answer>>>>>;

/// A connection to a host.
struct Connection {
    reader: BufReader<OwnedReadHalf>,
    writer: OwnedWriteHalf,
}

/// Asks a host to end, whatever its version.
pub(crate) async fn stop(place: &Path, stop: &wire::Stop) -> Result<(), Unanswered> {
    connect(place).await?.ask(0, method::STOP, stop).await
}

async fn greet(place: &Path, hello: &Hello) -> Result<Connection, Unanswered> {
    let mut connection = connect(place).await?;
    let _: wire::Welcome = connection.ask(0, method::HELLO, hello).await?;
    Ok(connection)
}

/// Whether a host listens.
pub(crate) async fn is_there(place: &Path) -> io::Result<()> {
    connect(place).await.map(drop)
}

async fn connect(place: &Path) -> io::Result<Connection> {
    let stream = socket::connect(place).await?;
    let (reader, writer) = stream.into_split();
    Ok(Connection {
        reader: BufReader::new(reader),
        writer,
    })
}

impl Connection {
    /// Asks while nothing else is said.
    async fn ask<T: DeserializeOwned>(
        &mut self,
        id: u64,
        method: &str,
        params: &impl Serialize,
    ) -> Result<T, Unanswered> {
        let line = wire::request(id, method, params);
        self.writer.write_all(&line).await?;
        let mut line = Vec::new();
        if !next_line(&mut self.reader, &mut line).await? {
            return Err(gone().into());
        }
        let incoming: Incoming<'_> = serde_json::from_slice(&line).map_err(io::Error::from)?;
        read(&answer_of(incoming)?)
    }
}

fn gone() -> io::Error {
    io::Error::new(
        io::ErrorKind::UnexpectedEof,
        "the host closed the connection",
    )
}

fn answer_of(incoming: Incoming<'_>) -> Answer {
    match (incoming.error, incoming.result) {
        (Some(failure), _) => Err(failure),
        (None, Some(result)) => Ok(result.to_owned()),
        (None, None) => Ok(RawValue::NULL.to_owned()),
    }
}

fn read<T: DeserializeOwned>(result: &RawValue) -> Result<T, Unanswered> {
    serde_json::from_str(result.get()).map_err(|error| io::Error::from(error).into())
}

/// A connection over which things are asked, several at a time.
pub(crate) struct Link {
    writer: tokio::sync::Mutex<OwnedWriteHalf>,
    waiting: Waiting,
    asked: AtomicU64,
}

impl Link {
    pub(crate) async fn open(place: &Path, hello: &Hello) -> Result<Self, Unanswered> {
        let Connection { reader, writer } = greet(place, hello).await?;
        let waiting: Waiting = Arc::new(Mutex::new(Some(HashMap::new())));
        tokio::spawn(listen(reader, Arc::clone(&waiting)));
        Ok(Self {
            writer: tokio::sync::Mutex::new(writer),
            waiting,
            asked: AtomicU64::new(1),
        })
    }

    /// Whether the host is still at the other end, as far as is known.
    pub(crate) fn is_open(&self) -> bool {
        let waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        waiting.is_some()
    }

    pub(crate) async fn ask<T: DeserializeOwned>(
        &self,
        method: &str,
        params: &impl Serialize,
    ) -> Result<T, Unanswered> {
        let id = self.asked.fetch_add(1, Ordering::Relaxed);
        let (sender, answer) = oneshot::channel();
        let line = wire::request(id, method, params);
        {
            let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
            waiting.as_mut().ok_or_else(gone)?.insert(id, sender);
        }
        self.writer.lock().await.write_all(&line).await?;
        let answer = answer.await.map_err(|_| gone())?;
        read(&answer?)
    }
}

/// Hands answers to whoever waits for them, until the connection ends.
async fn listen(mut reader: BufReader<OwnedReadHalf>, waiting: Waiting) {
    let mut line = Vec::new();
    while let Ok(true) = next_line(&mut reader, &mut line).await {
        let Ok(incoming) = serde_json::from_slice::<Incoming<'_>>(&line) else {
            break;
        };
        let id = incoming.id.and_then(|id| id.get().parse().ok());
        let mut waiting = waiting.lock().unwrap_or_else(PoisonError::into_inner);
        let asked = id.and_then(|id: u64| waiting.as_mut()?.remove(&id));
        if let Some(asked) = asked {
            // Whoever asked may not want to know any more.
            let _ = asked.send(answer_of(incoming));
        }
    }
    // Whoever waits still learns that nothing comes.
    waiting
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
        .take();
}

/// A connection over which one session is watched.
pub(crate) struct Watching {
    connection: Connection,
    line: Vec<u8>,
}

/// What a watch brings.
pub(crate) enum Seen {
    Frame(Box<Frame>),
    /// The session was closed or died.
    End,
    /// The host ends in order: the next one is somebody else's to start.
    Leaving,
    /// The connection is gone: the session may be watched elsewhere.
    Broken,
}

impl Watching {
    pub(crate) async fn open(
        place: &Path,
        hello: &Hello,
        watch: &Watch,
    ) -> Result<Self, Unanswered> {
        let mut connection = greet(place, hello).await?;
        let _: wire::Watched = connection.ask(1, method::WATCH, watch).await?;
        Ok(Self {
            connection,
            line: Vec::new(),
        })
    }

    pub(crate) async fn next(&mut self) -> Seen {
        #[derive(serde::Deserialize)]
        struct Told {
            method: String,
            #[serde(default)]
            params: Option<Params>,
        }
        #[derive(serde::Deserialize)]
        struct Params {
            #[serde(default)]
            frame: Option<Frame>,
        }
        loop {
            match next_line(&mut self.connection.reader, &mut self.line).await {
                Ok(true) => {}
                Ok(false) | Err(_) => return Seen::Broken,
            }
            let Ok(told) = serde_json::from_slice::<Told>(&self.line) else {
                return Seen::Broken;
            };
            match (told.method.as_str(), told.params) {
                (method::FRAME, Some(Params { frame: Some(frame) })) => {
                    return Seen::Frame(Box::new(frame));
                }
                (method::END, _) => return Seen::End,
                (method::LEAVING, _) => return Seen::Leaving,
                // A newer host may tell more.
                _ => {}
            }
        }
    }
}
