//! The developer platform beside LiteLLM's proxy and beside nothing at all, over loopback, in one run: what
//! each adds to a request's time, how many it takes, and what it costs in processor time and memory.

use std::path::Path;
use std::time::Duration;

use anyhow::{Result, bail};

use self::answers::Streamed;
use self::cases::{Case, Pace};
use self::litellm::Setup;
use self::load::{Ask, Loaded, Target};
use super::memory::{on_cpu, tree};
use super::ms;
use super::of_1024;
use super::table::{Row, Unit, lines, median};
use super::wire::Dialect;

mod answers;
mod cases;
mod faults;
mod http;
mod litellm;
mod load;
mod mock;
mod servers;
pub(crate) mod soak;
mod streams;

pub(crate) use mock::serve as serve_upstream;

/// Requests a second at which latency is measured, and how long each time.
const RATE: u32 = 500;
/// The same for LiteLLM, which cannot hold [`RATE`].
const LITELLM_RATE: u32 = 10;
const LATENCY_OVER: Duration = Duration::from_secs(5);
/// Connections that are kept busy to measure throughput, and how long each time.
const BUSY: usize = 64;
const BUSY_OVER: Duration = Duration::from_secs(3);
/// Streams that are open at once.
const CROWD: usize = 1_000;
/// Streams that are read one after the other to see how late their pieces come.
const STREAMS: usize = 60;
/// Bytes of a request of a million tokens, and how many of them are sent.
const LARGE: usize = 4 << 20;
const LARGE_ONES: usize = 10;
/// Opens the server's admin API, which is not measured.
const ADMIN_KEY: &str = "the-admin-key-of-a-bench";
/// Bytes of a small request's conversation.
const SMALL: usize = 0;

/// Whose figures are taken; those of no server in between always are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Contestant {
    /// `quire platform`.
    Platform,
    /// LiteLLM's proxy.
    LiteLlm,
}

impl Contestant {
    pub(crate) const ALL: [Self; 2] = [Self::Platform, Self::LiteLlm];

    pub(crate) fn from_name(name: &str) -> Result<Self> {
        Ok(match name {
            "platform" => Self::Platform,
            "litellm" => Self::LiteLlm,
            _ => bail!("`{name}` is nobody: platform or litellm"),
        })
    }
}

/// What is measured of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Topic {
    /// What is added to the time of a request.
    Latency,
    /// How many requests are taken in a second.
    Throughput,
    /// How late pieces of a stream come.
    Forwarding,
    /// What a request of a million tokens costs.
    Large,
    /// What many streams at once cost.
    Crowd,
}

impl Topic {
    pub(crate) const ALL: [Self; 5] = [
        Self::Latency,
        Self::Throughput,
        Self::Forwarding,
        Self::Large,
        Self::Crowd,
    ];

    pub(crate) fn from_name(name: &str) -> Result<Self> {
        Ok(match name {
            "latency" => Self::Latency,
            "throughput" => Self::Throughput,
            "forwarding" => Self::Forwarding,
            "large" => Self::Large,
            "crowd" => Self::Crowd,
            _ => bail!("`{name}` is no topic: latency, throughput, forwarding, large or crowd"),
        })
    }
}

/// What is measured, and how often.
pub(crate) struct Plan {
    pub(crate) contestants: Vec<Contestant>,
    pub(crate) topics: Vec<Topic>,
    pub(crate) runs: usize,
}

/// Measures all of it.
pub(crate) fn measure(binary: &Path, plan: &Plan) -> Result<Vec<Row>> {
    let (upstream, direct) = servers::upstream()?;
    let contestants = &plan.contestants;
    let bench = Bench { direct, plan };
    let folder = tempfile::tempdir()?;
    let mut rows = bench.floor()?;
    let mut ours = None;
    if contestants.contains(&Contestant::Platform) {
        let config = cases::platform_config(&bench.direct);
        let (server, target) = servers::platform(binary, folder.path(), &config, ADMIN_KEY)?;
        settle(&target);
        let (more, same) = bench.platform(&target)?;
        rows.extend(more);
        ours = Some(same);
        drop(server);
    }
    if contestants.contains(&Contestant::LiteLlm) {
        let program = litellm::install()?;
        let mut best: f64 = 0.0;
        for setup in [Setup::Default, Setup::Fastest] {
            let models = cases::litellm_models(&bench.direct);
            let (server, target) = litellm::start(&program, folder.path(), &models, setup)?;
            settle(&target);
            let (more, most) = bench.litellm(&target)?;
            rows.extend(more);
            best = best.max(most);
            drop(server);
        }
        let ours = ours.filter(|ours| ours.is_finite());
        rows.extend(ours.map(|ours| {
            let what = "Messages, the platform ÷ the best of LiteLLM's: requests";
            Row::new(what, Unit::Times, vec![ours / best]).with_least(20.0)
        }));
    }
    drop(upstream);
    Ok(rows)
}

/// A runtime on this thread alone.
fn runtime() -> Result<tokio::runtime::Runtime> {
    let mut builder = tokio::runtime::Builder::new_current_thread();
    Ok(builder.enable_all().build()?)
}

/// Waits until a server that has just started has nothing to do any more.
fn settle(target: &Target) {
    const MOMENT: Duration = Duration::from_millis(500);
    let mut quiet = 0;
    let mut spent = on_cpu(&tree(&target.processes));
    while quiet < 3 {
        std::thread::sleep(MOMENT);
        let now = on_cpu(&tree(&target.processes));
        let is_quiet = now.saturating_sub(spent) < MOMENT / 20;
        quiet = if is_quiet { quiet + 1 } else { 0 };
        spent = now;
    }
}

struct Bench<'a> {
    direct: Target,
    plan: &'a Plan,
}

/// What may be added to the latency, in milliseconds.
#[derive(Clone, Copy)]
struct Limits {
    p50: f64,
    p99: f64,
}

impl Bench<'_> {
    fn skips(&self, topic: Topic) -> bool {
        !self.plan.topics.contains(&topic)
    }

    fn ask(
        &self,
        target: &Target,
        case: Case,
        pace: Pace,
        streamed: Streamed,
        bytes: usize,
    ) -> Ask {
        let model = cases::model(case.upstream, pace);
        let under = if target.address == self.direct.address {
            cases::manner(case.upstream, pace).path()
        } else {
            String::new()
        };
        Ask::new(target, &under, case.client, model, streamed, bytes)
    }

    fn small(&self, target: &Target, case: Case) -> Ask {
        self.ask(target, case, Pace::AtOnce, Streamed::No, SMALL)
    }

    /// What it costs with nobody in between.
    fn floor(&self) -> Result<Vec<Row>> {
        let case = Case::same(Dialect::Messages);
        let mut rows = self.throughput(&self.direct, case, None)?;
        if self.skips(Topic::Latency) {
            return Ok(rows);
        }
        let mut all = Vec::new();
        for _ in 0..self.plan.runs {
            all.push(self.steady(&self.direct, case, RATE)?);
        }
        let row = |what: &str, share| {
            let samples = all.iter().map(|loaded| loaded.quantile(share)).collect();
            Row::new(
                format!("{RATE}/s, Messages, direct: {what}"),
                Unit::Ms,
                samples,
            )
        };
        rows.extend([row("p50", 0.5), row("p99", 0.99)]);
        Ok(rows)
    }

    /// The platform's rows, and how many requests of Messages it takes in a second.
    fn platform(&self, target: &Target) -> Result<(Vec<Row>, f64)> {
        let limits = Some(Limits { p50: 0.3, p99: 2.0 });
        let messages = Case::same(Dialect::Messages);
        let over_chat = Case::across(Dialect::Messages, Dialect::Chat);
        let mut rows = self.latency(target, messages, RATE, limits)?;
        rows.extend(self.latency(target, over_chat, RATE, limits)?);
        let mut ours = f64::NAN;
        for case in cases::same() {
            let measured = self.throughput(target, case, Some(5_000.0))?;
            if case == messages {
                ours = measured.first().map_or(f64::NAN, Row::median);
            }
            rows.extend(measured);
        }
        for case in cases::across() {
            rows.extend(self.throughput(target, case, Some(2_500.0))?);
        }
        for case in [messages, over_chat] {
            rows.extend(self.forwarding(target, case, Some(0.2))?);
            rows.extend(self.crowd(target, case, Some(120.0))?);
        }
        for case in [messages, over_chat] {
            rows.extend(self.large(target, case, Some(15.0))?);
        }
        Ok((rows, ours))
    }

    /// LiteLLM's rows, and the most requests that it takes in a second.
    fn litellm(&self, target: &Target) -> Result<(Vec<Row>, f64)> {
        let messages = Case::same(Dialect::Messages);
        let chat = Case::same(Dialect::Chat);
        let across = Case::across(Dialect::Chat, Dialect::Messages);
        for case in [messages, chat, across] {
            // Much of it is loaded with the first requests.
            load::as_fast_as_may_be(target, self.small(target, case), 8, BUSY_OVER)?.whole()?;
        }
        let mut rows = self.latency(target, messages, LITELLM_RATE, None)?;
        let mut best: f64 = 0.0;
        for case in [messages, chat, across] {
            let measured = self.throughput(target, case, None)?;
            best = measured.first().map_or(best, |row| best.max(row.median()));
            rows.extend(measured);
        }
        rows.extend(self.forwarding(target, messages, None)?);
        rows.extend(self.large(target, messages, None)?);
        rows.extend(self.crowd(target, messages, None)?);
        Ok((rows, best))
    }

    fn steady(&self, target: &Target, case: Case, rate: u32) -> Result<Loaded> {
        load::at_rate(self.small(target, case), rate, LATENCY_OVER)?.whole()
    }

    /// What a server adds to the time of requests that come at a rate, right after the same without it.
    fn latency(
        &self,
        target: &Target,
        case: Case,
        rate: u32,
        limits: Option<Limits>,
    ) -> Result<Vec<Row>> {
        if self.skips(Topic::Latency) {
            return Ok(Vec::new());
        }
        eprintln!("measuring: latency of {}, {}", case.name(), target.name);
        self.steady(target, case, rate)?;
        let (mut p50, mut p99) = (Vec::new(), Vec::new());
        for _ in 0..self.plan.runs {
            let direct = self.steady(&self.direct, case, rate)?;
            let through = self.steady(target, case, rate)?;
            p50.push(through.quantile(0.5) - direct.quantile(0.5));
            p99.push(through.quantile(0.99) - direct.quantile(0.99));
        }
        let row = |what: &str, samples, limit| {
            let what = format!("{rate}/s, {}, {}: added {what}", case.name(), target.name);
            aimed(Row::new(what, Unit::Ms, samples), limit)
        };
        Ok(told(vec![
            row("p50", p50, limits.map(|limits| limits.p50)),
            row("p99", p99, limits.map(|limits| limits.p99)),
        ]))
    }

    /// How many requests a server takes in a second, and what each costs it.
    fn throughput(&self, target: &Target, case: Case, least: Option<f64>) -> Result<Vec<Row>> {
        if self.skips(Topic::Throughput) {
            return Ok(Vec::new());
        }
        eprintln!("measuring: throughput of {}, {}", case.name(), target.name);
        let (mut rates, mut costs) = (Vec::new(), Vec::new());
        for _ in 0..self.plan.runs {
            let ask = self.small(target, case);
            let loaded = load::as_fast_as_may_be(target, ask, BUSY, BUSY_OVER)?.whole()?;
            rates.push(loaded.per_second());
            costs.push(ms(loaded.cpu_each()) * 1000.0);
        }
        let name = format!("{BUSY} at a time, {}, {}", case.name(), target.name);
        let rates = Row::new(format!("{name}: requests"), Unit::PerSecond, rates);
        let costs = Row::new(format!("{name}: CPU of each"), Unit::Us, costs);
        Ok(told(vec![aimed(rates, least), costs]))
    }

    /// What a server adds to the way of a piece from the upstream to the client.
    fn forwarding(&self, target: &Target, case: Case, limit: Option<f64>) -> Result<Vec<Row>> {
        if self.skips(Topic::Forwarding) {
            return Ok(Vec::new());
        }
        eprintln!("measuring: forwarding of {}, {}", case.name(), target.name);
        let (mut first, mut later) = (Vec::new(), Vec::new());
        for _ in 0..self.plan.runs {
            let of = |target| {
                let ask = self.ask(target, case, Pace::Brisk, Streamed::Yes, SMALL);
                streams::delays(&ask, STREAMS, Pace::Brisk.pieces())
            };
            let (direct, through) = (of(&self.direct)?, of(target)?);
            first.push(median(&through.first) - median(&direct.first));
            later.push(median(&through.later) - median(&direct.later));
        }
        let row = |what: &str, samples| {
            let what = format!(
                "{what} of a stream, {}, {}: added",
                case.name(),
                target.name
            );
            Row::new(what, Unit::Ms, samples)
        };
        Ok(told(vec![
            aimed(row("first bytes", first), limit),
            row("later pieces", later),
        ]))
    }

    /// What a request of a million tokens costs a server.
    fn large(&self, target: &Target, case: Case, limit: Option<f64>) -> Result<Vec<Row>> {
        if self.skips(Topic::Large) {
            return Ok(Vec::new());
        }
        eprintln!(
            "measuring: large requests of {}, {}",
            case.name(),
            target.name
        );
        let ask = |target| self.ask(target, case, Pace::AtOnce, Streamed::No, LARGE);
        let (direct, through) = (ask(&self.direct), ask(target));
        load::one_by_one(&through, 2)?.whole()?;
        let times = u32::try_from(LARGE_ONES).unwrap_or(u32::MAX);
        let (mut costs, mut added) = (Vec::new(), Vec::new());
        for _ in 0..self.plan.runs {
            let floor = load::one_by_one(&direct, LARGE_ONES)?.whole()?;
            let before = on_cpu(&tree(&target.processes));
            let loaded = load::one_by_one(&through, LARGE_ONES)?.whole()?;
            let spent = on_cpu(&tree(&target.processes)).saturating_sub(before);
            costs.push(ms(spent / times));
            added.push(loaded.quantile(0.5) - floor.quantile(0.5));
        }
        let name = format!("a request of 4 MB, {}, {}", case.name(), target.name);
        let costs = Row::new(format!("{name}: CPU"), Unit::Ms, costs);
        let added = Row::new(format!("{name}: added"), Unit::Ms, added);
        Ok(told(vec![aimed(costs, limit), added]))
    }

    /// What many streams at once cost a server.
    fn crowd(&self, target: &Target, case: Case, limit: Option<f64>) -> Result<Vec<Row>> {
        if self.skips(Topic::Crowd) {
            return Ok(Vec::new());
        }
        eprintln!(
            "measuring: {CROWD} streams of {}, {}",
            case.name(),
            target.name
        );
        let ask = self.ask(target, case, Pace::Slow, Streamed::Yes, SMALL);
        let crowd = streams::crowd(target, ask, CROWD, Pace::Slow.pieces())?;
        let name = format!("{CROWD} streams, {}, {}", case.name(), target.name);
        if let Some(failure) = crowd.failures.first() {
            let failed = crowd.failures.len();
            eprintln!("{name}: {failed} failed: {failure}");
        }
        #[expect(clippy::cast_precision_loss, reason = "a thousand")]
        let open = crowd.open as f64 / CROWD as f64 * 100.0;
        let memory = vec![of_1024(crowd.peak_kib)];
        let memory = Row::new(format!("{name}: memory"), Unit::Mib, memory);
        let cost = vec![ms(crowd.cpu_each) * 1000.0];
        let open = Row::new(format!("{name}: open at once"), Unit::Percent, vec![open]);
        let cost = Row::new(format!("{name}: CPU of each piece"), Unit::Us, cost);
        Ok(told(vec![
            aimed(open, limit.map(|_| 100.0)),
            aimed(memory, limit),
            cost,
        ]))
    }
}

/// A row with what is to be reached, if anything is.
fn aimed(row: Row, target: Option<f64>) -> Row {
    match target {
        Some(target) => row.with_target(target),
        None => row,
    }
}

/// Shows rows as soon as they are there: all of it takes its time.
fn told(rows: Vec<Row>) -> Vec<Row> {
    eprint!("{}", lines(&rows));
    rows
}
