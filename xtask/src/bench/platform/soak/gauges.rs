//! What a server shows of itself: memory, open files, its own counters, and what it billed.

use std::cell::Cell;
use std::collections::{BTreeMap, HashSet};
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use tokio::net::TcpStream;

use crate::bench::memory::kib;
use crate::bench::platform::http::{Framing, Wire};
use crate::bench::platform::load::Target;

/// The key of the server's admin API.
pub(super) const ADMIN_KEY: &str = "the-admin-key-of-a-soak";

/// A look at a process.
#[derive(Clone, Copy, Debug)]
pub(super) struct Look {
    pub(super) memory_kib: u64,
    pub(super) files: usize,
}

impl Look {
    pub(super) fn at(target: &Target) -> Self {
        let open = |process: &u32| {
            std::fs::read_dir(format!("/proc/{process}/fd")).map_or(0, Iterator::count)
        };
        Self {
            memory_kib: kib(&target.processes),
            files: target.processes.iter().map(open).sum(),
        }
    }
}

/// Looks at a server every second, until it is told to stop or the server has died.
pub(super) async fn watch(target: &Target, goes_on: &Cell<bool>) -> Vec<Look> {
    let mut looks = Vec::new();
    let mut second = tokio::time::interval(Duration::from_secs(1));
    while goes_on.get() {
        second.tick().await;
        let look = Look::at(target);
        if look.files == 0 {
            goes_on.set(false);
            break;
        }
        looks.push(look);
    }
    looks
}

/// The middle of some looks at memory, in KiB.
pub(super) fn middle(looks: &[Look]) -> u64 {
    let mut all: Vec<u64> = looks.iter().map(|look| look.memory_kib).collect();
    all.sort_unstable();
    all.get(all.len() / 2).copied().unwrap_or_default()
}

/// Asks for something of the server's own, which is handed over as it comes.
async fn get(target: &Target, path: &str, take: impl FnMut(&[u8])) -> Result<()> {
    let mut wire = Wire::new(TcpStream::connect(target.address).await?)?;
    let head = format!(
        "GET {path} HTTP/1.1\r\nhost: {}\r\nx-api-key: {ADMIN_KEY}\r\nconnection: close\r\n\r\n",
        target.address
    );
    wire.send(head.as_bytes()).await?;
    let head = wire.head(Framing::Open).await?;
    let (first, framing) = head.context("the connection ended instead of an answer")?;
    ensure!(first.contains(" 200 "), "{path}: {first}");
    wire.body(framing, take).await?;
    Ok(())
}

/// What the server says is under way: requests, connections but for the one that asks, and requests upstream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct UnderWay {
    pub(super) requests: u64,
    pub(super) connections: u64,
    pub(super) upstream: u64,
}

impl UnderWay {
    pub(super) const NOTHING: Self = Self {
        requests: 0,
        connections: 0,
        upstream: 0,
    };

    pub(super) async fn of(target: &Target) -> Result<Self> {
        let mut text = Vec::new();
        get(target, "/metrics", |bytes| text.extend_from_slice(bytes)).await?;
        let text = String::from_utf8(text)?;
        let sum = |name: &str| -> Result<u64> {
            let is_it = |line: &&str| {
                let rest = line.strip_prefix(name);
                rest.is_some_and(|rest| rest.starts_with([' ', '{']))
            };
            let figure = |line: &str| line.rsplit(' ').next()?.parse::<u64>().ok();
            let figures: Option<Vec<u64>> = text.lines().filter(is_it).map(figure).collect();
            let figures = figures.filter(|figures| !figures.is_empty());
            Ok(figures
                .with_context(|| format!("no figure of {name}"))?
                .iter()
                .sum())
        };
        Ok(Self {
            requests: sum("quire_requests")?,
            connections: sum("quire_connections")?.saturating_sub(1),
            upstream: sum("quire_upstream_requests")?,
        })
    }
}

/// What was billed: rows, those of them that are another one's again, and how many of each status.
#[derive(Debug, Default)]
pub(super) struct Billed {
    pub(super) rows: u64,
    pub(super) twice: u64,
    pub(super) by_status: BTreeMap<String, u64>,
}

impl Billed {
    pub(super) async fn by(target: &Target) -> Result<Self> {
        let path =
            "/v1/organizations/usage_report/messages?starting_at=2020-01-01T00:00:00Z&format=csv";
        let (mut billed, mut seen) = (Self::default(), HashSet::new());
        let (mut rest, mut places) = (Vec::new(), None);
        let mut line = |line: &str| {
            let fields: Vec<&str> = line.split(',').collect();
            let place = |name: &str| fields.iter().position(|field| *field == name);
            let Some((request, status)) = places else {
                places = place("request").zip(place("status"));
                return;
            };
            let field = |at: usize| fields.get(at).copied().unwrap_or_default().to_owned();
            billed.rows += 1;
            billed.twice += u64::from(!seen.insert(field(request)));
            *billed.by_status.entry(field(status)).or_default() += 1;
        };
        get(target, path, |bytes| {
            rest.extend_from_slice(bytes);
            while let Some(end) = rest.iter().position(|byte| *byte == b'\n') {
                let whole: Vec<u8> = rest.drain(..=end).collect();
                line(String::from_utf8_lossy(&whole).trim_end());
            }
        })
        .await?;
        Ok(billed)
    }
}
