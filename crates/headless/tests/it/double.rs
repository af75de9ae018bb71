//! A scripted client: it answers each op with the frames that the test wrote for it.

use std::collections::VecDeque;
use std::io::{self, Write};
use std::sync::{Arc, Mutex};

use futures_core::future::BoxFuture;
use futures_core::stream::BoxStream;
use futures_util::StreamExt;
use quire_protocol::*;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

/// What an op leads to.
pub(crate) enum Step {
    Event(Box<Event>),
    Delta(Delta),
    /// The session's stream ends.
    End,
}

impl From<Event> for Step {
    fn from(event: Event) -> Self {
        Self::Event(Box::new(event))
    }
}

/// A client with one session.
pub(crate) struct Script {
    inner: Mutex<Inner>,
}

struct Inner {
    /// What the next ops lead to, in order.
    answers: VecDeque<Vec<Step>>,
    ops: Vec<Op>,
    closed: u32,
    past: Vec<Record>,
    /// Events of the past that opening the session records.
    recovery: u64,
    unfinished: bool,
    pause: Option<Pause>,
    seq: u64,
    frames: Option<UnboundedSender<Frame>>,
    watched: Arc<Mutex<Option<UnboundedReceiver<Frame>>>>,
}

pub(crate) fn session() -> SessionId {
    SessionId::new("01936f00-0000-7aaa-8000-000000000001")
}

impl Script {
    /// A client whose ops lead to these frames, one list per op; ops after them lead to nothing.
    pub(crate) fn new(answers: Vec<Vec<Step>>) -> Arc<Self> {
        Self::with_past(Vec::new(), answers)
    }

    /// The same with a session that has a past, in the middle of a turn if it is not empty.
    pub(crate) fn with_past(past: Vec<Event>, answers: Vec<Vec<Step>>) -> Arc<Self> {
        let (frames, watched) = unbounded_channel();
        let past: Vec<Record> = past
            .into_iter()
            .zip(1..)
            .map(|(event, seq)| record(seq, event))
            .collect();
        Arc::new(Self {
            inner: Mutex::new(Inner {
                answers: answers.into(),
                ops: Vec::new(),
                closed: 0,
                unfinished: !past.is_empty(),
                pause: None,
                seq: past.len() as u64,
                past,
                recovery: 0,
                frames: Some(frames),
                watched: Arc::new(Mutex::new(Some(watched))),
            }),
        })
    }

    /// The same, where opening the session recorded the last so many events of its past, and found
    /// it so.
    pub(crate) fn recovered(self: Arc<Self>, recovery: u64, unfinished: bool) -> Arc<Self> {
        let mut inner = self.inner.lock().unwrap();
        inner.recovery = recovery;
        inner.unfinished = unfinished;
        drop(inner);
        self
    }

    /// The same, where the turn waits at a limit.
    pub(crate) fn at_limit(self: Arc<Self>) -> Arc<Self> {
        self.inner.lock().unwrap().pause = Some(Pause::Limit);
        self
    }

    pub(crate) fn ops(&self) -> Vec<Op> {
        self.inner.lock().unwrap().ops.clone()
    }

    pub(crate) fn closed(&self) -> u32 {
        self.inner.lock().unwrap().closed
    }
}

fn record(seq: u64, event: Event) -> Record {
    Record {
        seq: Seq(seq),
        at_ms: 1_764_000_000_000 + seq * 250,
        event,
    }
}

/// The model with which a session never begins.
pub(crate) const NEVER: &str = "double/never";

impl Client for Script {
    fn start(&self, settings: Settings) -> BoxFuture<'_, Result<SessionId, ClientError>> {
        Box::pin(async move {
            if settings.model == NEVER {
                std::future::pending::<()>().await;
            }
            if settings.model.is_empty() {
                return Err(ClientError::Settings(
                    "no model: give one with --model".into(),
                ));
            }
            Ok(session())
        })
    }

    fn open(&self, session: &SessionId) -> BoxFuture<'_, Result<Opened, ClientError>> {
        let session = session.clone();
        Box::pin(async move {
            if session != self::session() {
                return Err(StoreError::NoSession(session).into());
            }
            let inner = self.inner.lock().unwrap();
            Ok(Opened {
                pause: inner.pause,
                has_goal: false,
                settings: crate::settings(),
                found: Seq(inner.seq - inner.recovery),
                last: Seq(inner.seq),
                unfinished: inner.unfinished,
                repaired: None,
            })
        })
    }

    fn submit(&self, _: &SessionId, op: Op) -> BoxFuture<'_, Result<(), ClientError>> {
        let mut inner = self.inner.lock().unwrap();
        inner.ops.push(op);
        for step in inner.answers.pop_front().unwrap_or_default() {
            let frame = match step {
                Step::Event(event) => {
                    inner.seq += 1;
                    Frame::Record(record(inner.seq, *event))
                }
                Step::Delta(delta) => Frame::Delta(delta),
                Step::End => {
                    inner.frames = None;
                    continue;
                }
            };
            if let Some(frames) = &inner.frames {
                let _ = frames.send(frame);
            }
        }
        Box::pin(async { Ok(()) })
    }

    fn watch(&self, _: &SessionId, after: Seq) -> BoxStream<'static, Frame> {
        let inner = self.inner.lock().unwrap();
        let past = inner
            .past
            .clone()
            .into_iter()
            .filter(move |r| r.seq > after);
        // Whoever comes to the end of the past gets what is live, and nobody after them.
        let watched = Arc::clone(&inner.watched);
        let live = futures_util::stream::unfold(None, move |live| {
            let live = live.or_else(|| watched.lock().unwrap().take());
            async move {
                let mut live: UnboundedReceiver<Frame> = live?;
                let frame = live.recv().await?;
                Some((frame, Some(live)))
            }
        });
        futures_util::stream::iter(past.map(Frame::Record))
            .chain(live)
            .boxed()
    }

    fn close(&self, _: &SessionId) -> BoxFuture<'_, Result<(), ClientError>> {
        let mut inner = self.inner.lock().unwrap();
        inner.closed += 1;
        let died = inner.frames.is_none().then(|| ClientError::Died {
            session: session(),
            reason: "the disk is full".into(),
        });
        Box::pin(async { died.map_or(Ok(()), Err) })
    }

    fn sessions(&self, _: SessionQuery) -> BoxFuture<'_, Result<Vec<SessionHead>, ClientError>> {
        let head = SessionHead {
            session: session(),
            created_ms: 0,
            updated_ms: 0,
            workspace: String::new(),
            title: String::new(),
            events: self.inner.lock().unwrap().seq,
            parent: None,
        };
        Box::pin(async { Ok(vec![head]) })
    }

    fn agents(&self) -> BoxFuture<'_, Result<Vec<Agent>, ClientError>> {
        unreachable!("nobody asks for agents")
    }

    fn search(&self, _: &str, _: usize) -> BoxFuture<'_, Result<Vec<Hit>, ClientError>> {
        Box::pin(async { Ok(Vec::new()) })
    }

    fn fork(
        &self,
        _: &SessionId,
        _: Option<MessageId>,
    ) -> BoxFuture<'_, Result<SessionId, ClientError>> {
        unreachable!("nothing is forked here")
    }

    fn changes(
        &self,
        _: &SessionId,
        _: Point,
    ) -> BoxFuture<'_, Result<Vec<FileChange>, ClientError>> {
        unreachable!("nobody asks what changed")
    }

    fn take_back(
        &self,
        _: &SessionId,
        _: Point,
        _: Conflicts,
    ) -> BoxFuture<'_, Result<TakenBack, ClientError>> {
        unreachable!("nothing is taken back here")
    }

    fn remove(&self, _: &SessionId) -> BoxFuture<'_, Result<(), ClientError>> {
        Box::pin(async { Ok(()) })
    }
}

/// A stream that keeps what is written, up to a point where it breaks.
#[derive(Clone)]
pub(crate) struct Paper {
    text: Arc<Mutex<Vec<u8>>>,
    breaks: Option<(usize, io::ErrorKind)>,
}

impl Paper {
    pub(crate) fn new() -> Self {
        Self {
            text: Arc::default(),
            breaks: None,
        }
    }

    /// Breaks with this error once it holds so many bytes.
    pub(crate) fn breaking(after: usize, kind: io::ErrorKind) -> Self {
        Self {
            breaks: Some((after, kind)),
            ..Self::new()
        }
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8(self.text.lock().unwrap().clone()).unwrap()
    }
}

impl Write for Paper {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut text = self.text.lock().unwrap();
        match self.breaks {
            Some((after, kind)) if text.len() >= after => Err(kind.into()),
            _ => {
                text.extend_from_slice(bytes);
                Ok(bytes.len())
            }
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
