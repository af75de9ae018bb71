//! Requests by the thousand: at a fixed rate, whatever becomes of them, or as fast as they are answered.

use std::cell::{Cell, RefCell};
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};
use tokio::net::{TcpSocket, TcpStream};
use tokio::task::{JoinSet, LocalSet};

use super::answers::{Streamed, ask, check};
use super::http::{Framing, Wire};
use crate::bench::memory::{on_cpu, tree};
use crate::bench::wire::Dialect;

/// Where requests go.
#[derive(Clone, Debug)]
pub(super) struct Target {
    pub(super) name: String,
    pub(super) address: SocketAddr,
    /// What it knows us by.
    pub(super) key: String,
    /// The server's processes, of which those that they started are part.
    pub(super) processes: Vec<u32>,
}

/// One request, ready to be sent again and again.
pub(super) struct Ask {
    bytes: Vec<u8>,
    dialect: Dialect,
    streamed: Streamed,
    address: SocketAddr,
}

impl Ask {
    /// A request in a dialect to a model; `under` is what stands before the path of the API.
    pub(super) fn new(
        target: &Target,
        under: &str,
        dialect: Dialect,
        model: &str,
        streamed: Streamed,
        bytes: usize,
    ) -> Self {
        let body = ask(dialect, model, streamed, bytes);
        let path = match dialect {
            Dialect::Messages => "/v1/messages",
            Dialect::Responses => "/v1/responses",
            Dialect::Chat => "/v1/chat/completions",
        };
        let version = match dialect {
            Dialect::Messages => "anthropic-version: 2023-06-01\r\n",
            Dialect::Responses | Dialect::Chat => "",
        };
        let head = format!(
            "POST {under}{path} HTTP/1.1\r\nhost: {}\r\nauthorization: Bearer {}\r\n{version}\
             content-type: application/json\r\naccept: */*\r\nuser-agent: bench\r\n\
             content-length: {}\r\n\r\n",
            target.address,
            target.key,
            body.len()
        );
        Self {
            bytes: [head.into_bytes(), body].concat(),
            dialect,
            streamed,
            address: target.address,
        }
    }

    pub(super) async fn connect(&self) -> Result<Wire> {
        let stream = TcpStream::connect(self.address).await;
        Ok(Wire::new(stream.context("cannot connect")?)?)
    }

    /// A connection with room for so many bytes that nobody has read yet.
    pub(super) async fn connect_narrow(&self, room: u32) -> Result<Wire> {
        let socket = TcpSocket::new_v4()?;
        socket.set_recv_buffer_size(room)?;
        let stream = socket.connect(self.address).await;
        Ok(Wire::new(stream.context("cannot connect")?)?)
    }

    /// What it is answered in, and how.
    pub(super) const fn wants(&self) -> (Dialect, Streamed) {
        (self.dialect, self.streamed)
    }

    /// Whether an answer is one, to its end.
    pub(super) fn check(&self, answer: &[u8]) -> Result<()> {
        check(self.dialect, self.streamed, answer)
    }

    /// Sends it, and reads the head of its answer: the first line, unless it says that all is well.
    pub(super) async fn begin(&self, wire: &mut Wire) -> Result<(Option<String>, Framing)> {
        wire.send(&self.bytes).await?;
        let head = wire.head(Framing::Open).await?;
        let (first, framing) = head.context("the connection ended instead of an answer")?;
        let is_good = first.split(' ').nth(1) == Some("200");
        Ok(((!is_good).then(|| first.to_owned()), framing))
    }

    /// Sends it and reads the answer into `answer`, which is seen after each read.
    pub(super) async fn exchange(
        &self,
        wire: &mut Wire,
        answer: &mut Vec<u8>,
        mut seen: impl FnMut(&mut Vec<u8>),
    ) -> Result<()> {
        answer.clear();
        let (first, framing) = self.begin(wire).await?;
        wire.body(framing, |bytes| {
            answer.extend_from_slice(bytes);
            seen(answer);
        })
        .await?;
        if let Some(first) = first {
            answer.truncate(400);
            bail!("{first}: {}", String::from_utf8_lossy(answer));
        }
        self.check(answer)
    }
}

/// What became of requests.
#[derive(Debug, Default)]
pub(super) struct Loaded {
    /// How long each answer took, from the first byte sent to the last one read.
    pub(super) latencies: Vec<Duration>,
    /// Why the others failed.
    pub(super) failures: Vec<String>,
    /// Over what time answers were counted.
    pub(super) over: Duration,
    /// How long the server was on a CPU meanwhile.
    pub(super) cpu: Duration,
}

impl Loaded {
    /// The same, or why it does not count.
    pub(super) fn whole(self) -> Result<Self> {
        let (failed, all) = (
            self.failures.len(),
            self.failures.len() + self.latencies.len(),
        );
        ensure!(
            failed == 0,
            "{failed} of {all} requests failed: {}",
            self.failures[0]
        );
        Ok(self)
    }

    /// The latency that a share of the answers did not exceed, in milliseconds.
    pub(super) fn quantile(&self, share: f64) -> f64 {
        let mut all: Vec<f64> = self
            .latencies
            .iter()
            .copied()
            .map(crate::bench::ms)
            .collect();
        all.sort_by(f64::total_cmp);
        crate::bench::table::quantile(&all, share)
    }

    /// Answers in a second.
    #[expect(clippy::cast_precision_loss, reason = "counts are small")]
    pub(super) fn per_second(&self) -> f64 {
        self.latencies.len() as f64 / self.over.as_secs_f64()
    }

    /// How long the server was on a CPU for each answer.
    pub(super) fn cpu_each(&self) -> Duration {
        let answers = u32::try_from(self.latencies.len()).unwrap_or(u32::MAX);
        self.cpu / answers.max(1)
    }

    fn count(&mut self, sent: Instant, outcome: Result<()>) {
        match outcome {
            Ok(()) => self.latencies.push(sent.elapsed()),
            Err(error) => self.failures.push(format!("{error:#}")),
        }
    }
}

/// Connections that rest, with room for an answer.
type Resting = Rc<RefCell<Vec<(Wire, Vec<u8>)>>>;

/// Sends a request every so often for a while and waits for none of them before the next; then waits for
/// all. A connection is opened where none rests.
pub(super) fn at_rate(ask: Ask, per_second: u32, lasting: Duration) -> Result<Loaded> {
    let ask = Rc::new(ask);
    let loaded = Rc::new(RefCell::new(Loaded::default()));
    let resting = Resting::default();
    LocalSet::new().block_on(&super::runtime()?, async {
        let began = tokio::time::Instant::now();
        let mut under_way = JoinSet::new();
        let gap = Duration::from_secs(1) / per_second;
        let mut due = began;
        while due < began + lasting {
            tokio::time::sleep_until(due).await;
            due += gap;
            let (ask, loaded) = (Rc::clone(&ask), Rc::clone(&loaded));
            let resting = Rc::clone(&resting);
            under_way.spawn_local(async move {
                let rested = resting.borrow_mut().pop();
                let sent = Instant::now();
                let outcome = once(&ask, rested).await;
                let outcome = outcome.map(|connection| resting.borrow_mut().push(connection));
                loaded.borrow_mut().count(sent, outcome);
            });
            while under_way.try_join_next().is_some() {}
        }
        while under_way.join_next().await.is_some() {}
        loaded.borrow_mut().over = began.elapsed();
    });
    Ok(loaded.take())
}

async fn once(ask: &Ask, rested: Option<(Wire, Vec<u8>)>) -> Result<(Wire, Vec<u8>)> {
    let (mut wire, mut answer) = match rested {
        Some(connection) => connection,
        None => (ask.connect().await?, Vec::new()),
    };
    ask.exchange(&mut wire, &mut answer, |_| {}).await?;
    Ok((wire, answer))
}

/// Keeps so many connections busy for a while; answers within the first fifth of it are not counted.
pub(super) fn as_fast_as_may_be(
    target: &Target,
    ask: Ask,
    connections: usize,
    lasting: Duration,
) -> Result<Loaded> {
    let ask = Rc::new(ask);
    let loaded = Rc::new(RefCell::new(Loaded::default()));
    let goes_on = Rc::new(Cell::new(true));
    LocalSet::new().block_on(&super::runtime()?, async {
        let mut under_way = JoinSet::new();
        for _ in 0..connections {
            let (ask, loaded) = (Rc::clone(&ask), Rc::clone(&loaded));
            let goes_on = Rc::clone(&goes_on);
            under_way.spawn_local(async move {
                let mut connection = None;
                while goes_on.get() {
                    let sent = Instant::now();
                    let outcome = once(&ask, connection.take()).await;
                    let outcome = outcome.map(|open| connection = Some(open));
                    loaded.borrow_mut().count(sent, outcome);
                }
            });
        }
        tokio::time::sleep(lasting / 5).await;
        let failures = std::mem::take(&mut *loaded.borrow_mut()).failures;
        let (began, spent) = (Instant::now(), on_cpu(&tree(&target.processes)));
        tokio::time::sleep(lasting * 4 / 5).await;
        let mut counted = std::mem::take(&mut *loaded.borrow_mut());
        counted.over = began.elapsed();
        counted.cpu = on_cpu(&tree(&target.processes)).saturating_sub(spent);
        counted.failures.extend(failures);
        goes_on.set(false);
        while under_way.join_next().await.is_some() {}
        Ok(counted)
    })
}

/// Sends a request so often, one after the other, and says how long each answer took.
pub(super) fn one_by_one(ask: &Ask, times: usize) -> Result<Loaded> {
    super::runtime()?.block_on(async {
        let mut loaded = Loaded::default();
        let mut connection = None;
        for _ in 0..times {
            let sent = Instant::now();
            let outcome = once(ask, connection.take()).await;
            let outcome = outcome.map(|open| connection = Some(open));
            loaded.count(sent, outcome);
        }
        Ok(loaded)
    })
}
