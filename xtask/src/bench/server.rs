//! The model's side on loopback: HTTP/1.1 with keep-alive, answers from a script, no latency of
//! its own. Notes when each request was fully in and when its answer was fully out.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};

use super::wire::{self, Dialect, Reply};

/// Most bytes at the end of a body that are not part of what every later body starts with.
const TAIL: usize = 512;
/// Bytes of one chunk of an answer.
const CHUNK: usize = 16 * 1024;
/// How long a request may take that is waited for.
const PATIENCE: Duration = Duration::from_secs(30);
/// What stands before every answer.
const HEAD: &str = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\
                    transfer-encoding: chunked\r\ncache-control: no-cache\r\n\r\n";

/// One request and its answer.
#[derive(Clone, Debug)]
pub(crate) struct Exchange {
    /// When the request's last byte was in.
    pub(crate) asked: Instant,
    /// When the answer's last byte was out.
    pub(crate) answered: Instant,
    /// Bytes of the request's body.
    pub(crate) bytes: u64,
    /// Of the body before this one, without its tail, the share that this one starts with.
    pub(crate) kept: Option<f64>,
    /// Whether the request tells of a failed tool call.
    pub(crate) failed_call: bool,
}

/// When an answer goes out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Pace {
    /// All of it as soon as the request is in.
    AtOnce,
    /// Its events one by one, with this much time before each.
    Each(Duration),
    /// Never: the request hangs for as long as the server runs.
    Never,
}

/// A server that runs until it is dropped.
pub(crate) struct Server {
    address: SocketAddr,
    shared: Arc<Shared>,
}

struct Shared {
    dialect: Dialect,
    script: Vec<Reply>,
    pace: Pace,
    stopped: AtomicBool,
    log: Mutex<Log>,
    changed: Condvar,
}

#[derive(Default)]
struct Log {
    asked: usize,
    last_body: Vec<u8>,
    exchanges: Vec<Exchange>,
}

impl Shared {
    fn log(&self) -> MutexGuard<'_, Log> {
        self.log.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Server {
    /// Listens on a free port and answers with the script, in order; after its end, with `done`.
    pub(crate) fn start(dialect: Dialect, script: Vec<Reply>) -> Result<Self> {
        Self::start_at(dialect, script, Pace::AtOnce)
    }

    /// The same at a pace.
    pub(crate) fn start_at(dialect: Dialect, script: Vec<Reply>, pace: Pace) -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").context("cannot listen on loopback")?;
        let address = listener.local_addr()?;
        let shared = Arc::new(Shared {
            dialect,
            script,
            pace,
            stopped: AtomicBool::new(false),
            log: Mutex::default(),
            changed: Condvar::new(),
        });
        let for_thread = Arc::clone(&shared);
        std::thread::spawn(move || accept(&listener, &for_thread));
        Ok(Self { address, shared })
    }

    /// Where it listens, as a base URL without a path.
    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// What happened so far. Waits for an answer that is still on its way out.
    pub(crate) fn exchanges(&self) -> Vec<Exchange> {
        let log = self.shared.log();
        self.shared
            .changed
            .wait_while(log, |log| log.exchanges.len() < log.asked)
            .unwrap_or_else(PoisonError::into_inner)
            .exchanges
            .clone()
    }

    /// Waits until this many requests were fully in.
    pub(crate) fn wait_for(&self, requests: usize) -> Result<()> {
        let (log, waited) = self
            .shared
            .changed
            .wait_timeout_while(self.shared.log(), PATIENCE, |log| log.asked < requests)
            .unwrap_or_else(PoisonError::into_inner);
        let came = log.asked;
        ensure!(
            !waited.timed_out(),
            "{came} requests came, {requests} were waited for"
        );
        Ok(())
    }

    /// Whether the last request says this.
    pub(crate) fn was_told(&self, words: &str) -> bool {
        contains(&self.shared.log().last_body, words.as_bytes())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.shared.stopped.store(true, Ordering::SeqCst);
        // With the lock, so that no thread is between its look and its wait.
        let log = self.shared.log();
        self.shared.changed.notify_all();
        drop(log);
        // Wakes the thread that accepts.
        drop(TcpStream::connect(self.address));
    }
}

fn accept(listener: &TcpListener, shared: &Arc<Shared>) {
    for stream in listener.incoming() {
        if shared.stopped.load(Ordering::SeqCst) {
            return;
        }
        let shared = Arc::clone(shared);
        if let Ok(stream) = stream {
            std::thread::spawn(move || {
                // A client that goes away in the middle ends its connection, nothing else.
                let _ = converse(stream, &shared);
            });
        }
    }
}

fn converse(stream: TcpStream, shared: &Shared) -> Result<()> {
    stream.set_nodelay(true)?;
    let mut output = stream.try_clone()?;
    let mut input = BufReader::with_capacity(64 * 1024, stream);
    let mut body = Vec::new();
    while let Some(asks) = read_request(&mut input, &mut body)? {
        let asked = Instant::now();
        if asks == Asks::Model {
            answer(&mut output, shared, &mut body, asked)?;
        } else {
            output.write_all(b"HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n")?;
        }
    }
    Ok(())
}

/// Answers a request. Leaves the body before it in `body`, so that its memory is used again: fresh
/// pages for megabytes would cost as much as what is measured.
fn answer(
    output: &mut TcpStream,
    shared: &Shared,
    body: &mut Vec<u8>,
    asked: Instant,
) -> Result<()> {
    let bytes = body.len();
    let (number, kept, failed_call) = {
        let mut log = shared.log();
        log.asked += 1;
        let kept = (log.asked > 1).then(|| kept_share(&log.last_body, body));
        let fresh = &body[common_start(&log.last_body, body)..];
        let failed_call = contains(fresh, b"\"is_error\":true");
        std::mem::swap(&mut log.last_body, body);
        (log.asked, kept, failed_call)
    };
    shared.changed.notify_all();
    let done = Reply::Text(vec!["done".to_owned()]);
    let reply = shared.script.get(number - 1).unwrap_or(&done);
    let answer = wire::encode(shared.dialect, reply, number, bytes);
    let sent = match shared.pace {
        Pace::AtOnce => send(output, &answer),
        Pace::Each(gap) => send_slowly(output, &answer, gap, shared),
        Pace::Never => {
            hang(shared);
            return Ok(());
        }
    };
    shared.log().exchanges.push(Exchange {
        asked,
        answered: Instant::now(),
        bytes: bytes as u64,
        kept,
        failed_call,
    });
    shared.changed.notify_all();
    sent
}

fn send(output: &mut TcpStream, body: &[u8]) -> Result<()> {
    let mut message = HEAD.as_bytes().to_vec();
    for chunk in body.chunks(CHUNK) {
        write!(message, "{:x}\r\n", chunk.len())?;
        message.extend_from_slice(chunk);
        message.extend_from_slice(b"\r\n");
        if message.len() >= CHUNK {
            output.write_all(&message)?;
            message.clear();
        }
    }
    message.extend_from_slice(b"0\r\n\r\n");
    output.write_all(&message)?;
    Ok(())
}

/// Sends an event, waits, sends the next, until the server stops.
fn send_slowly(output: &mut TcpStream, body: &[u8], gap: Duration, shared: &Shared) -> Result<()> {
    output.write_all(HEAD.as_bytes())?;
    for event in std::str::from_utf8(body)?.split_inclusive("\n\n") {
        if shared.stopped.load(Ordering::SeqCst) {
            return Ok(());
        }
        std::thread::sleep(gap);
        output.write_all(format!("{:x}\r\n{event}\r\n", event.len()).as_bytes())?;
    }
    output.write_all(b"0\r\n\r\n")?;
    Ok(())
}

/// Waits until the server stops.
fn hang(shared: &Shared) {
    let goes_on = |_: &mut Log| !shared.stopped.load(Ordering::SeqCst);
    drop(shared.changed.wait_while(shared.log(), goes_on));
}

/// What a request is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Asks {
    /// A model's answer.
    Model,
    /// Something that is not here.
    Other,
}

/// Reads the next request of a connection into `body`; `None` when the client has closed it.
fn read_request(input: &mut impl BufRead, body: &mut Vec<u8>) -> Result<Option<Asks>> {
    let first = line(input)?;
    if first.is_empty() {
        return Ok(None);
    }
    let path = first.split(' ').nth(1).unwrap_or_default();
    let path = path.split('?').next().unwrap_or_default();
    let is_model = first.starts_with("POST ")
        && ["/messages", "/responses", "/chat/completions"]
            .iter()
            .any(|end| path.ends_with(end));
    let mut length = 0;
    let mut chunked = false;
    loop {
        let header = line(input)?.to_ascii_lowercase();
        match header.split_once(':') {
            None => break,
            Some(("content-length", value)) => length = value.trim().parse()?,
            Some(("transfer-encoding", value)) => chunked = value.contains("chunked"),
            Some(_) => {}
        }
    }
    if chunked {
        read_chunks(input, body)?;
    } else {
        body.resize(length, 0);
        input.read_exact(body)?;
    }
    Ok(Some(if is_model { Asks::Model } else { Asks::Other }))
}

fn read_chunks(input: &mut impl BufRead, body: &mut Vec<u8>) -> Result<()> {
    body.clear();
    loop {
        let size = usize::from_str_radix(line(input)?.trim(), 16)?;
        let read = input.by_ref().take(size as u64).read_to_end(body)?;
        ensure!(read == size, "a chunk ended early");
        line(input)?;
        if size == 0 {
            return Ok(());
        }
    }
}

/// A line without its end; empty at the end of the input, too.
fn line(input: &mut impl BufRead) -> Result<String> {
    let mut line = String::new();
    input.read_line(&mut line)?;
    line.truncate(line.trim_end_matches(['\r', '\n']).len());
    Ok(line)
}

/// Of `before` without its tail, the share that `after` starts with. The tail is what both end
/// with, at most [`TAIL`] bytes: what closes the JSON after the last item.
fn kept_share(before: &[u8], after: &[u8]) -> f64 {
    let ends = before.iter().rev().zip(after.iter().rev()).take(TAIL);
    let tail = ends.take_while(|(a, b)| a == b).count();
    let needed = before.len() - tail;
    share(common_start(before, after).min(needed), needed)
}

/// Bytes that both start with. Compares blocks first: bodies are megabytes.
fn common_start(a: &[u8], b: &[u8]) -> usize {
    const BLOCK: usize = 4096;
    let blocks = a.chunks_exact(BLOCK).zip(b.chunks_exact(BLOCK));
    let start = blocks.take_while(|(a, b)| a == b).count() * BLOCK;
    let rest = a[start..].iter().zip(&b[start..]);
    start + rest.take_while(|(a, b)| a == b).count()
}

#[expect(
    clippy::cast_precision_loss,
    reason = "bodies are far below 2^52 bytes"
)]
fn share(part: usize, whole: usize) -> f64 {
    if whole == 0 {
        1.0
    } else {
        part as f64 / whole as f64
    }
}

fn contains(haystack: &[u8], needle: &[u8]) -> bool {
    haystack
        .windows(needle.len())
        .any(|window| window == needle)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_kept_of_a_body() {
        for (before, after, expected) in [
            ("[a,b]}", "[a,b,c]}", "1.00"),
            ("[a,b]}", "[a,b]}", "1.00"),
            ("[a,b]}", "[x,b,c]}", "0.25"),
            ("[aaaaaaaa]}", "[aaaax]}", "0.56"),
        ] {
            let share = kept_share(before.as_bytes(), after.as_bytes());
            assert_eq!(format!("{share:.2}"), expected, "{before} {after}");
        }
    }

    #[test]
    fn it_speaks_http_and_follows_its_script() {
        let script = vec![Reply::Bash("true".to_owned())];
        let server = Server::start(Dialect::Messages, script).unwrap();
        let mut stream = TcpStream::connect(server.address).unwrap();
        let requests = "POST /v1/messages?beta=true HTTP/1.1\r\ncontent-length: 5\r\n\r\n[1,2]\
                        POST /v1/messages HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n\
                        3\r\n[1,\r\n4\r\n2,3]\r\n0\r\n\r\n\
                        GET /elsewhere HTTP/1.1\r\nconnection: close\r\n\r\n";
        stream.write_all(requests.as_bytes()).unwrap();
        stream.shutdown(std::net::Shutdown::Write).unwrap();
        let mut answers = String::new();
        stream.read_to_string(&mut answers).unwrap();
        let order = ["200 OK", "\"tool_use\"", "200 OK", "done", "404"];
        let mut rest = answers.as_str();
        for part in order {
            rest = rest
                .split_once(part)
                .unwrap_or_else(|| panic!("{part}: {answers}"))
                .1;
        }
        let exchanges = server.exchanges();
        assert_eq!(exchanges.len(), 2);
        assert_eq!(exchanges[1].bytes, 7);
        assert_eq!(exchanges[1].kept, Some(1.0));
    }

    #[test]
    fn a_request_that_hangs_is_counted_and_let_go_at_the_end() {
        let server = Server::start_at(Dialect::Messages, vec![], Pace::Never).unwrap();
        let mut stream = TcpStream::connect(server.address).unwrap();
        let request = "POST /v1/messages HTTP/1.1\r\ncontent-length: 5\r\n\r\n[1,2]";
        stream.write_all(request.as_bytes()).unwrap();
        server.wait_for(1).unwrap();
        assert!(server.was_told("1,2"));
        drop(server);
        let mut answer = String::new();
        stream.shutdown(std::net::Shutdown::Write).unwrap();
        stream.read_to_string(&mut answer).unwrap();
        assert_eq!(answer, "");
    }

    #[test]
    fn an_answer_that_comes_slowly_is_the_same_answer() {
        let answer = |pace| {
            let script = vec![Reply::pieces(3, 30)];
            let server = Server::start_at(Dialect::Messages, script, pace).unwrap();
            let mut stream = TcpStream::connect(server.address).unwrap();
            let request = "POST /v1/messages HTTP/1.1\r\ncontent-length: 5\r\n\r\n[1,2]";
            stream.write_all(request.as_bytes()).unwrap();
            stream.shutdown(std::net::Shutdown::Write).unwrap();
            let mut answer = String::new();
            stream.read_to_string(&mut answer).unwrap();
            let data = answer.lines().filter(|line| line.starts_with("data: "));
            data.map(str::to_owned).collect::<Vec<_>>()
        };
        let slowly = answer(Pace::Each(Duration::ZERO));
        assert_eq!(slowly, answer(Pace::AtOnce));
        assert!(slowly.len() > 5);
    }
}
