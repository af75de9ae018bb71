//! Streams: a thousand at once, and how long each piece takes from the upstream's hands to the client's.

use std::cell::Cell;
use std::rc::Rc;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use tokio::task::{JoinSet, LocalSet};

use super::answers::stamp;
use super::load::{Ask, Target};
use super::mock::now;
use crate::bench::memory::{Watch, on_cpu, tree};

/// How often memory is looked at. A look costs the server more, the more memory it has.
const LOOK: Duration = Duration::from_millis(200);

/// How late pieces came, in milliseconds.
#[derive(Debug, Default)]
pub(super) struct Delays {
    /// The first piece of each stream, with the head of the answer.
    pub(super) first: Vec<f64>,
    /// The others.
    pub(super) later: Vec<f64>,
}

/// Finds the pieces in a stream, each at its first sight.
#[derive(Default)]
struct Pieces {
    from: usize,
    newest: u64,
    count: usize,
}

impl Pieces {
    /// The times at which new pieces were sent.
    fn fresh(&mut self, text: &[u8]) -> Vec<u64> {
        let mut fresh = Vec::new();
        while let Some((sent, end)) = stamp(&text[self.from..]) {
            self.from += end;
            // At its end a stream repeats what it said.
            if sent > self.newest {
                self.newest = sent;
                self.count += 1;
                fresh.push(sent);
            }
        }
        fresh
    }
}

/// Reads streams of so many pieces, one after the other.
pub(super) fn delays(ask: &Ask, streams: usize, pieces: usize) -> Result<Delays> {
    super::runtime()?.block_on(async {
        let mut delays = Delays::default();
        let mut wire = ask.connect().await?;
        let mut answer = Vec::new();
        // The first one pays for a connection behind the server.
        for index in 0..=streams {
            let mut found = Pieces::default();
            let mut first = true;
            ask.exchange(&mut wire, &mut answer, |text| {
                let came = now();
                for sent in found.fresh(text) {
                    let late = late_ms(sent, came);
                    let place = if first {
                        &mut delays.first
                    } else {
                        &mut delays.later
                    };
                    first = false;
                    if index > 0 {
                        place.push(late);
                    }
                }
            })
            .await?;
            let came = found.count;
            ensure!(came == pieces, "{came} pieces of {pieces} came");
        }
        Ok(delays)
    })
}

#[expect(clippy::cast_precision_loss, reason = "nanoseconds of a moment")]
fn late_ms(sent: u64, came: u64) -> f64 {
    came.saturating_sub(sent) as f64 / 1e6
}

/// What many streams at once showed.
#[derive(Debug)]
pub(super) struct Crowd {
    /// How many were open at the same time.
    pub(super) open: usize,
    /// The peak of the server's memory, in KiB.
    pub(super) peak_kib: u64,
    /// What the server was on a CPU for, for each piece that it forwarded.
    pub(super) cpu_each: Duration,
    /// Streams that failed, and why the first did.
    pub(super) failures: Vec<String>,
}

/// Opens many streams of so many pieces at once and reads them to their ends.
pub(super) fn crowd(target: &Target, ask: Ask, streams: usize, pieces: usize) -> Result<Crowd> {
    let ask = Rc::new(ask);
    let (open, most) = (Rc::new(Cell::new(0)), Rc::new(Cell::new(0)));
    let processes = tree(&target.processes);
    let before = on_cpu(&processes);
    let watch = Watch::every(LOOK, target.processes.clone());
    let runtime = super::runtime()?;
    let failures = LocalSet::new().block_on(&runtime, async {
        let mut wires = Vec::new();
        for _ in 0..streams {
            wires.push(ask.connect().await?);
        }
        let mut under_way = JoinSet::new();
        for mut wire in wires {
            let ask = Rc::clone(&ask);
            let (open, most) = (Rc::clone(&open), Rc::clone(&most));
            under_way.spawn_local(async move {
                let mut found = Pieces::default();
                let mut began = false;
                let mut answer = Vec::new();
                let outcome = ask.exchange(&mut wire, &mut answer, |text| {
                    if !began {
                        began = true;
                        open.set(open.get() + 1);
                        most.set(most.get().max(open.get()));
                    }
                    found.fresh(text);
                });
                let outcome = outcome.await;
                open.set(open.get() - usize::from(began));
                outcome?;
                let came = found.count;
                ensure!(came == pieces, "{came} pieces of {pieces} came");
                Ok(())
            });
        }
        let mut failures = Vec::new();
        while let Some(ended) = under_way.join_next().await {
            if let Err(error) = ended.context("a stream's task")? {
                failures.push(format!("{error:#}"));
            }
        }
        anyhow::Ok(failures)
    })?;
    let spent = on_cpu(&tree(&target.processes)).saturating_sub(before);
    let each = u32::try_from(streams * pieces).unwrap_or(u32::MAX);
    Ok(Crowd {
        open: most.get(),
        peak_kib: watch.peak_kib(),
        cpu_each: spent / each.max(1),
        failures,
    })
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::*;
    use crate::bench::platform::answers::{Manner, Streamed};
    use crate::bench::platform::load::{as_fast_as_may_be, at_rate, one_by_one};
    use crate::bench::platform::{mock, runtime};
    use crate::bench::wire::Dialect;

    /// The upstream on a thread of this process.
    fn upstream() -> Target {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        let address = listener.local_addr().unwrap();
        std::thread::spawn(move || {
            LocalSet::new().block_on(&runtime().unwrap(), async {
                let listener = tokio::net::TcpListener::from_std(listener).unwrap();
                mock::accept(listener).await
            })
        });
        Target {
            name: "direct".to_owned(),
            address,
            key: "none".to_owned(),
            processes: vec![std::process::id()],
        }
    }

    fn request(target: &Target, dialect: Dialect, streamed: Streamed, bytes: usize) -> Ask {
        let manner = Manner {
            model: "m".to_owned(),
            pieces: 5,
            pause_ms: 1,
        };
        Ask::new(target, &manner.path(), dialect, "m", streamed, bytes)
    }

    #[test]
    fn every_kind_of_load_is_answered() {
        let target = upstream();
        let ask = |dialect| request(&target, dialect, Streamed::No, 0);
        let short = Duration::from_millis(60);
        let steady = at_rate(ask(Dialect::Messages), 500, short).unwrap();
        assert_eq!(steady.whole().unwrap().latencies.len(), 30);
        let fast = as_fast_as_may_be(&target, ask(Dialect::Responses), 4, short).unwrap();
        fast.whole().unwrap();
        let large = request(&target, Dialect::Chat, Streamed::No, 1 << 20);
        let large = one_by_one(&large, 3).unwrap().whole().unwrap();
        assert_eq!(large.latencies.len(), 3);
        let unknown = Ask::new(&target, "", Dialect::Chat, "m", Streamed::No, 0);
        let error = one_by_one(&unknown, 2).unwrap().whole().unwrap_err();
        assert!(
            error
                .to_string()
                .contains("2 of 2 requests failed: HTTP/1.1 404"),
            "{error}"
        );
    }

    #[test]
    fn every_piece_of_every_stream_is_seen_once() {
        let target = upstream();
        for dialect in [Dialect::Messages, Dialect::Responses, Dialect::Chat] {
            let ask = request(&target, dialect, Streamed::Yes, 0);
            let delays = delays(&ask, 3, 5).unwrap();
            assert_eq!((delays.first.len(), delays.later.len()), (3, 12));
            assert!(
                delays
                    .first
                    .iter()
                    .all(|late| (0.0..60_000.0).contains(late))
            );
            let crowd = crowd(&target, ask, 20, 5).unwrap();
            assert!(crowd.failures.is_empty(), "{:?}", crowd.failures);
            assert!((1..=20).contains(&crowd.open) && crowd.peak_kib > 0);
        }
    }
}
