//! The upstream: a process of its own that speaks Messages, Responses and Chat, as cheaply as it can. What
//! it answers stands in the path, so that whoever is in between need not know of it.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::io::{self, Read as _};
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::{Context as _, Result};
use tokio::net::{TcpListener, TcpSocket};
use tokio::task::LocalSet;

use super::answers::{Answers, Streamed};
use super::faults::Fault;
use super::http::{Framing, Wire, find};

/// The ends of a body in which is looked for whether a stream is wanted.
const ENDS: usize = 4096;
const NOT_FOUND: &[u8] = b"HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n";

/// Serves until standard input ends, with whoever started it.
pub(crate) fn serve() -> Result<()> {
    std::thread::spawn(|| {
        let _ = io::stdin().read(&mut [0]);
        #[expect(clippy::exit, reason = "its parent is gone or done with it")]
        std::process::exit(0);
    });
    let runtime = super::runtime()?;
    LocalSet::new().block_on(&runtime, async {
        // More than ever wait: one that finds no room is asked for anew after a second only.
        let socket = TcpSocket::new_v4()?;
        socket.bind(SocketAddr::from(([127, 0, 0, 1], 0)))?;
        let listener = socket.listen(4_096)?;
        println!("listening on http://{}", listener.local_addr()?);
        accept(listener).await
    })
}

/// Serves whoever connects; within a set of local tasks.
pub(super) async fn accept(listener: TcpListener) -> Result<()> {
    let shared = Rc::new(Shared::default());
    loop {
        let (stream, _) = listener.accept().await.context("no more connections")?;
        let shared = Rc::clone(&shared);
        tokio::task::spawn_local(async move {
            // A client that goes away in the middle ends its connection, nothing else.
            let _ = converse(Wire::new(stream)?, &shared).await;
            io::Result::Ok(())
        });
    }
}

#[derive(Default)]
struct Shared {
    answers: RefCell<HashMap<String, Option<Rc<Answers>>>>,
    answered: Cell<u64>,
}

impl Shared {
    fn answers(&self, path: &str) -> Option<Rc<Answers>> {
        if let Some(known) = self.answers.borrow().get(path) {
            return known.clone();
        }
        let made = Answers::of(path).map(Rc::new);
        self.answers
            .borrow_mut()
            .insert(path.to_owned(), made.clone());
        made
    }
}

async fn converse(mut wire: Wire, shared: &Shared) -> io::Result<()> {
    let mut text = Vec::new();
    while let Some((first, framing)) = wire.head(Framing::Length(0)).await? {
        let path = first.split(' ').nth(1).unwrap_or_default();
        let (fault, path) = Fault::split(path);
        let answers = shared.answers(path);
        let streamed = streamed(&mut wire, framing).await?;
        let Some(answers) = answers else {
            wire.send(NOT_FOUND).await?;
            continue;
        };
        let number = shared.answered.get() + 1;
        shared.answered.set(number);
        if let Some(fault) = fault {
            fault.commit(&mut wire, &answers, streamed, number).await?;
            continue;
        }
        if streamed == Streamed::No {
            answers.whole.write(&mut text, number, &[]);
            wire.send(&text).await?;
            continue;
        }
        let mut times = Vec::new();
        for (index, part) in answers.stream.iter().enumerate() {
            // The end goes out right behind the last piece and says all of them again.
            if index > 0 && index + 1 == answers.stream.len() {
                part.write(&mut text, number, &times);
            } else {
                if index > 0 {
                    tokio::time::sleep(Duration::from_millis(answers.pause_ms)).await;
                }
                times.push(now());
                part.write(&mut text, number, &times[index..]);
            }
            wire.send(&text).await?;
        }
    }
    Ok(())
}

/// Reads a body to its end, and says whether it asks for a stream.
async fn streamed(wire: &mut Wire, framing: Framing) -> io::Result<Streamed> {
    let mut start = Vec::new();
    let mut end = Vec::new();
    let take = |bytes: &[u8]| {
        let room = ENDS.saturating_sub(start.len()).min(bytes.len());
        start.extend_from_slice(&bytes[..room]);
        let rest = &bytes[room..];
        if rest.len() >= ENDS {
            end.clear();
        }
        end.extend_from_slice(&rest[rest.len().saturating_sub(ENDS)..]);
        if end.len() > 2 * ENDS {
            end.drain(..end.len() - ENDS);
        }
    };
    wire.body(framing, take).await?;
    let asks = |text: &[u8]| {
        find(text, b"\"stream\":true").is_some() || find(text, b"\"stream\": true").is_some()
    };
    Ok(if asks(&start) || asks(&end) {
        Streamed::Yes
    } else {
        Streamed::No
    })
}

/// Nanoseconds on the clock that all processes of this machine share.
pub(super) fn now() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.map_or(0, |since| u64::try_from(since.as_nanos()).unwrap_or(0))
}
