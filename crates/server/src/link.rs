//! A face's end of the wire: a connection over which it asks, and one for each thing it watches.

use std::collections::HashMap;
use std::io;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use quire_protocol::{ClientError, Frame};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::value::RawValue;
use tokio::sync::oneshot;
use tokio::time::timeout;

use crate::pipe::{self, Reader, Writer};
use crate::socket;
use crate::web::Address;
use crate::wire::{self, Failure, Hello, Incoming, Watch, code, method};

/// How long a host may take to say who it is, or that it ends: it does nothing else meanwhile.
pub(crate) const GREETING: Duration = Duration::from_secs(10);

/// Why something asked has no answer.
#[derive(Debug)]
pub(crate) enum Unanswered {
    /// The connection is gone, or the host is about to be: another one may answer.
    Broken(io::Error),
    /// Somebody listens and says nothing.
    Silent,
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

/// Where a host is.
#[derive(Clone)]
pub(crate) enum Place {
    /// Its socket's folder.
    Socket(PathBuf),
    /// Its address.
    Web(Address),
}

/// A connection to a host.
struct Connection {
    reader: Reader,
    writer: Writer,
}

/// A connection over which both sides know each other.
struct Greeted {
    connection: Connection,
    /// The host's name and version.
    server: String,
}

/// Asks a host to end, whatever its version.
pub(crate) async fn stop(place: &Place, stop: &wire::Stop) -> Result<(), Unanswered> {
    let asking = async { connect(place).await?.ask(0, method::STOP, stop).await };
    timeout(GREETING, asking)
        .await
        .unwrap_or(Err(Unanswered::Silent))
}

async fn greet(place: &Place, hello: &Hello) -> Result<Greeted, Unanswered> {
    let greeting = async {
        let mut connection = connect(place).await?;
        let welcome: wire::Welcome = connection.ask(0, method::HELLO, hello).await?;
        Ok(Greeted {
            connection,
            server: welcome.server,
        })
    };
    timeout(GREETING, greeting)
        .await
        .unwrap_or(Err(Unanswered::Silent))
}

/// Whether a host that is connected still answers at all.
pub(crate) async fn is_silent(place: &Place, hello: &Hello) -> bool {
    matches!(greet(place, hello).await, Err(Unanswered::Silent))
}

/// Whether a host listens.
pub(crate) async fn is_there(place: &Place) -> bool {
    connect(place).await.is_ok()
}

async fn connect(place: &Place) -> Result<Connection, Unanswered> {
    let (reader, writer) = match place {
        Place::Socket(folder) => {
            pipe::of_socket(socket::connect(folder).await?, wire::LONGEST_TOLD)
        }
        Place::Web(address) => address.connect().await?,
    };
    Ok(Connection { reader, writer })
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
        self.writer.write(&[line]).await?;
        let mut line = Vec::new();
        if !self.reader.next(&mut line).await? {
            return Err(gone().into());
        }
        let incoming: Incoming<'_> = serde_json::from_slice(&line).map_err(|e| garbled(&e))?;
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
    serde_json::from_str(result.get()).map_err(|error| garbled(&error))
}

/// Whoever says what nobody understands says the same when he is asked again.
fn garbled(error: &serde_json::Error) -> Unanswered {
    let words = format!(
        "the process that hosts the sessions says what this one does not understand ({error}): it may be \
         of another version. `quire serve --stop` ends it, and the next start brings this one's"
    );
    Failure::from(ClientError::Unreachable(words)).into()
}

/// A connection over which things are asked, several at a time.
pub(crate) struct Link {
    writer: tokio::sync::Mutex<Writer>,
    waiting: Waiting,
    asked: AtomicU64,
    /// The name and version of the host at the other end.
    pub(crate) server: String,
}

impl Link {
    pub(crate) async fn open(place: &Place, hello: &Hello) -> Result<Self, Unanswered> {
        let Greeted { connection, server } = greet(place, hello).await?;
        let Connection { reader, writer } = connection;
        let waiting: Waiting = Arc::new(Mutex::new(Some(HashMap::new())));
        tokio::spawn(listen(reader, Arc::clone(&waiting)));
        Ok(Self {
            writer: tokio::sync::Mutex::new(writer),
            waiting,
            asked: AtomicU64::new(1),
            server,
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
        if line.len() > wire::LONGEST {
            let words = "this is more than the 64 MiB that a message may have: put it into a file, and \
                         say where that is";
            return Err(Failure::from(ClientError::Unreachable(words.to_owned())).into());
        }
        {
            let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
            waiting.as_mut().ok_or_else(gone)?.insert(id, sender);
        }
        self.writer.lock().await.write(&[line]).await?;
        let answer = answer.await.map_err(|_| gone())?;
        read(&answer?)
    }
}

/// Hands answers to whoever waits for them, until the connection ends.
async fn listen(mut reader: Reader, waiting: Waiting) {
    let mut line = Vec::new();
    while let Ok(true) = reader.next(&mut line).await {
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
    /// The session was closed or died, and why.
    End(String),
    /// The host ends in order: the next one is somebody else's to start.
    Leaving,
    /// The connection is gone: the session may be watched elsewhere.
    Broken,
}

impl Watching {
    pub(crate) async fn open(
        place: &Place,
        hello: &Hello,
        watch: &Watch,
    ) -> Result<Self, Unanswered> {
        let Greeted { mut connection, .. } = greet(place, hello).await?;
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
            #[serde(default)]
            reason: String,
        }
        loop {
            match self.connection.reader.next(&mut self.line).await {
                Ok(true) => {}
                Ok(false) | Err(_) => return Seen::Broken,
            }
            let Ok(told) = serde_json::from_slice::<Told>(&self.line) else {
                return Seen::Broken;
            };
            match (told.method.as_str(), told.params) {
                (
                    method::FRAME,
                    Some(Params {
                        frame: Some(frame), ..
                    }),
                ) => {
                    return Seen::Frame(Box::new(frame));
                }
                (method::END, params) => {
                    return Seen::End(params.map(|params| params.reason).unwrap_or_default());
                }
                (method::LEAVING, _) => return Seen::Leaving,
                // A newer host may tell more.
                _ => {}
            }
        }
    }
}
