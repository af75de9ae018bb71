//! `cargo xtask soak`: the release server for minutes on end under good requests and everything that goes wrong with
//! upstreams and clients. What must not be: memory or open files that grow, counters that do not come back to nothing,
//! a request that is billed twice or not at all, an answer that is none, a server that died.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};
use tokio::task::LocalSet;

use self::clients::Tally;
use self::gauges::{Billed, Look, UnderWay};
use self::mix::{KINDS, Outcome};
use super::{runtime, servers, settle};
use crate::bench::platform::load::Target;

mod clients;
mod gauges;
mod mix;

const USAGE: &str = "\
cargo xtask soak [--minutes N] [--binary PATH]

  --minutes N    how long requests come (10)
  --binary PATH  this server instead of one that is built";

/// What memory may grow by from the first minute to the last: a share of it, and so many KiB. The first minute has
/// what a server takes once: the pages of its code, its connections, the store's cache.
const GROWTH_PERCENT: u64 = 20;
const GROWTH_KIB: u64 = 16 * 1024;
/// Open files that may be more at the end: the store opens some when it needs them.
const FILES: usize = 8;
/// How long a server may take to come to rest, and to bill what it served.
const REST: Duration = Duration::from_secs(30);

/// Soaks a server and prints what came of it.
pub(crate) fn command(args: &[String], build: impl FnOnce() -> Result<PathBuf>) -> Result<()> {
    let (mut minutes, mut binary) = (10, None);
    let mut args = args.iter();
    while let Some(arg) = args.next() {
        let mut value = || args.next().with_context(|| format!("{arg} needs a value"));
        match arg.as_str() {
            "--help" | "-h" => {
                println!("{USAGE}");
                return Ok(());
            }
            "--minutes" => minutes = value()?.parse::<u64>()?.max(1),
            "--binary" => binary = Some(std::path::absolute(value()?)?),
            other => bail!("`{other}` is no option\n\n{USAGE}"),
        }
    }
    let binary = binary.map_or_else(build, Ok)?;
    let soaked = soak(&binary, Duration::from_secs(60 * minutes))?;
    print!("{}", soaked.table());
    let wrong = soaked.wrong();
    ensure!(
        wrong.is_empty(),
        "{} things are wrong:\n{}",
        wrong.len(),
        wrong.join("\n")
    );
    Ok(())
}

/// What came of it.
struct Soaked {
    tally: Tally,
    /// Before the first request.
    before: Look,
    /// One a second while requests came.
    looks: Vec<Look>,
    /// When all was quiet, and the upstream gone with its connections.
    after: Look,
    under_way: UnderWay,
    billed: Billed,
}

fn soak(binary: &Path, lasting: Duration) -> Result<Soaked> {
    let (upstream, direct) = servers::upstream()?;
    let folder = tempfile::tempdir()?;
    let config = mix::config(&direct);
    let (mut server, target) =
        servers::platform(binary, folder.path(), &config, gauges::ADMIN_KEY)?;
    settle(&target);
    let runtime = runtime()?;
    let before = Look::at(&target);
    eprintln!("soaking {} for {} s", binary.display(), lasting.as_secs());
    let goes_on = Cell::new(true);
    let (tally, looks) = LocalSet::new().block_on(&runtime, async {
        let load = async {
            let tally = clients::load(&target, lasting, &goes_on).await;
            goes_on.set(false);
            tally
        };
        tokio::join!(load, gauges::watch(&target, &goes_on))
    });
    server.still_runs().context("the server died")?;
    let (under_way, billed) = runtime.block_on(async {
        let under_way = rest(&target).await?;
        anyhow::Ok((under_way, billed(&target, tally.sent).await?))
    })?;
    // Connections that rest for the next request go with whom they lead to.
    drop(upstream);
    let after = runtime.block_on(closed(&target, before.files));
    server.still_runs().context("the server died")?;
    Ok(Soaked {
        tally,
        before,
        looks,
        after,
        under_way,
        billed,
    })
}

/// Waits until nothing is under way, or the time for it is over.
async fn rest(target: &Target) -> Result<UnderWay> {
    let until = tokio::time::Instant::now() + REST;
    loop {
        let now = UnderWay::of(target).await?;
        if now == UnderWay::NOTHING || tokio::time::Instant::now() > until {
            return Ok(now);
        }
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}

/// Waits until so many are billed, or the time for it is over.
async fn billed(target: &Target, sent: u64) -> Result<Billed> {
    let until = tokio::time::Instant::now() + REST;
    loop {
        let billed = Billed::by(target).await?;
        if billed.rows >= sent || tokio::time::Instant::now() > until {
            return Ok(billed);
        }
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
}

/// Waits until no more files are open than there were, or the time for it is over.
async fn closed(target: &Target, files: usize) -> Look {
    let until = tokio::time::Instant::now() + REST;
    loop {
        let look = Look::at(target);
        if look.files <= files || tokio::time::Instant::now() > until {
            return look;
        }
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}

impl Soaked {
    /// The looks of the first minute and those of the last; of a short soak, the first and last quarter.
    fn ends(&self) -> (&[Look], &[Look]) {
        let part = (self.looks.len() / 4).clamp(1, 60).min(self.looks.len());
        (&self.looks[..part], &self.looks[self.looks.len() - part..])
    }

    /// Everything that must not be.
    fn wrong(&self) -> Vec<String> {
        let mut wrong = Vec::new();
        for ((kind, outcome), count) in &self.tally.by_kind {
            if !KINDS[*kind].allows(outcome) {
                wrong.push(format!("{}: {count} × {outcome:?}", KINDS[*kind].name));
            }
        }
        let (first, last) = self.ends();
        let (first, last) = (gauges::middle(first), gauges::middle(last));
        let most = first + first * GROWTH_PERCENT / 100 + GROWTH_KIB;
        if last > most {
            wrong.push(format!(
                "memory grew from {first} KiB to {last} KiB; {most} KiB were allowed"
            ));
        }
        if self.after.files > self.before.files + FILES {
            wrong.push(format!(
                "{} files were open before, {} are after",
                self.before.files, self.after.files
            ));
        }
        if self.under_way != UnderWay::NOTHING {
            wrong.push(format!(
                "not everything came to its end: {:?}",
                self.under_way
            ));
        }
        if self.billed.rows != self.tally.sent || self.billed.twice > 0 {
            wrong.push(format!(
                "{} requests were sent, {} are billed, {} of them twice",
                self.tally.sent, self.billed.rows, self.billed.twice
            ));
        }
        wrong
    }

    fn table(&self) -> String {
        let mut text = String::from("| requests | sent | what came of them |\n|---|---|---|\n");
        for (index, kind) in KINDS.iter().enumerate() {
            let mut outcomes: BTreeMap<String, u64> = BTreeMap::new();
            for ((of, outcome), count) in &self.tally.by_kind {
                if *of == index {
                    *outcomes.entry(shown(outcome)).or_default() += count;
                }
            }
            let sent: u64 = outcomes.values().sum();
            let told: Vec<_> = outcomes
                .iter()
                .map(|(what, count)| format!("{what} {count}"))
                .collect();
            let _ = writeln!(text, "| {} | {sent} | {} |", kind.name, told.join(", "));
        }
        let _ = writeln!(
            text,
            "| all | {} | |\n\n| the server | |\n|---|---|",
            self.tally.sent
        );
        self.gauges(&mut text);
        text
    }

    fn gauges(&self, text: &mut String) {
        let mib = |kib: u64| format!("{:.1} MiB", super::super::of_1024(kib));
        let (first, last) = self.ends();
        let most = self.looks.iter().map(|look| look.memory_kib).max();
        let steps = self.looks.chunks((self.looks.len() / 10).max(1));
        let over_time: Vec<_> = steps.map(|looks| mib(gauges::middle(looks))).collect();
        let statuses = self.billed.by_status.iter();
        let statuses: Vec<_> = statuses
            .map(|(status, count)| format!("{status}: {count}"))
            .collect();
        let files = self
            .looks
            .iter()
            .map(|look| look.files)
            .max()
            .unwrap_or_default();
        for (what, figure) in [
            ("memory before", mib(self.before.memory_kib)),
            ("memory, first minute", mib(gauges::middle(first))),
            ("memory, last minute", mib(gauges::middle(last))),
            ("memory over time", over_time.join(", ")),
            ("memory, peak", mib(most.unwrap_or_default())),
            ("memory after", mib(self.after.memory_kib)),
            (
                "open files before, at most, after",
                format!("{}, {files}, {}", self.before.files, self.after.files),
            ),
            (
                "`quire_requests` after",
                self.under_way.requests.to_string(),
            ),
            (
                "`quire_connections` after",
                self.under_way.connections.to_string(),
            ),
            (
                "`quire_upstream_requests` after",
                self.under_way.upstream.to_string(),
            ),
            ("requests billed", self.billed.rows.to_string()),
            ("billed twice", self.billed.twice.to_string()),
            ("billed by status", statuses.join(", ")),
        ] {
            let _ = writeln!(text, "| {what} | {figure} |");
        }
    }
}

fn shown(outcome: &Outcome) -> String {
    match outcome {
        Outcome::Answered => "answered".to_owned(),
        Outcome::Refused(status) => status.clone(),
        Outcome::BrokeOff => "error in the stream".to_owned(),
        Outcome::PassedOn => "passed on".to_owned(),
        Outcome::Left => "left".to_owned(),
        Outcome::Wrong(_) => "WRONG".to_owned(),
    }
}
