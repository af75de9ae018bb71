//! The clients of a soak: a request every so often, whatever becomes of those before, each read as its kind is.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::rc::Rc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use tokio::task::JoinSet;

use super::mix::{KINDS, Kind, Outcome, Reading};
use crate::bench::platform::answers::Streamed;
use crate::bench::platform::http::{Framing, Wire, find};
use crate::bench::platform::load::{Ask, Target};
use crate::bench::wire::Dialect;

/// Requests in a second.
const RATE: u32 = 200;
/// What a slow reader has room for, and how long it does not read.
const NARROW: u32 = 16 * 1024;
const PAUSE: Duration = Duration::from_millis(1_500);
/// How long a connection may rest before it is used again. Servers close those that rest too long, as clients know.
const RESTED: Duration = Duration::from_secs(5);
/// How long an answer may take before it counts as none.
const PATIENCE: Duration = Duration::from_secs(30);

/// What became of all requests, by their kinds.
#[derive(Debug, Default)]
pub(super) struct Tally {
    pub(super) sent: u64,
    pub(super) by_kind: BTreeMap<(usize, Outcome), u64>,
}

/// A small generator: a soak is to differ from request to request, not from run to run.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: u64) -> u64 {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % sides
    }

    fn kind(&mut self) -> usize {
        let mut rolled = self.roll(KINDS.iter().map(|kind| kind.share).sum());
        let is_it = |kind: &Kind| match rolled.checked_sub(kind.share) {
            Some(less) => {
                rolled = less;
                false
            }
            None => true,
        };
        KINDS.iter().position(is_it).unwrap_or(0)
    }

    fn pick<'a, T>(&mut self, from: &'a [T]) -> &'a T {
        let at = self.roll(from.len() as u64);
        &from[usize::try_from(at).unwrap_or(0)]
    }
}

/// Connections that rest, and since when.
#[derive(Default)]
struct Resting(RefCell<Vec<(Wire, Instant)>>);

impl Resting {
    fn put(&self, wire: Wire) {
        self.0.borrow_mut().push((wire, Instant::now()));
    }

    /// The one that rested least; those that rested too long are closed.
    fn take(&self) -> Option<Wire> {
        let mut resting = self.0.borrow_mut();
        resting.retain(|(_, since)| since.elapsed() < RESTED);
        resting.pop().map(|(wire, _)| wire)
    }
}

/// Asks for so long, then waits for what is under way; within a set of local tasks.
pub(super) async fn load(target: &Target, lasting: Duration, goes_on: &Cell<bool>) -> Tally {
    let asks: Vec<Vec<Rc<Ask>>> = KINDS
        .iter()
        .map(|kind| kind.asks(target).into_iter().map(Rc::new).collect())
        .collect();
    let tally = Rc::new(RefCell::new(Tally::default()));
    let resting: Rc<Resting> = Rc::default();
    let mut dice = Dice(7);
    let mut under_way = JoinSet::new();
    let began = tokio::time::Instant::now();
    let mut due = began;
    while due < began + lasting && goes_on.get() {
        tokio::time::sleep_until(due).await;
        due += Duration::from_secs(1) / RATE;
        let kind = dice.kind();
        let ask = Rc::clone(dice.pick(&asks[kind]));
        let (tally, resting) = (Rc::clone(&tally), Rc::clone(&resting));
        tally.borrow_mut().sent += 1;
        under_way.spawn_local(async move {
            let read = read(&KINDS[kind], &ask, &resting);
            let outcome = match tokio::time::timeout(PATIENCE, read).await {
                Ok(Ok(outcome)) => outcome,
                Ok(Err(error)) => Outcome::Wrong(format!("{error:#}")),
                Err(_) => Outcome::Wrong(format!("nothing for {} s", PATIENCE.as_secs())),
            };
            *tally
                .borrow_mut()
                .by_kind
                .entry((kind, outcome))
                .or_default() += 1;
        });
        while under_way.try_join_next().is_some() {}
    }
    while under_way.join_next().await.is_some() {}
    tally.take()
}

async fn read(kind: &Kind, ask: &Ask, resting: &Resting) -> Result<Outcome> {
    let rested = match kind.reading {
        Reading::Slowly => Some(ask.connect_narrow(NARROW).await?),
        Reading::ToTheEnd | Reading::NotToTheEnd => resting.take(),
    };
    let mut wire = match rested {
        Some(wire) => wire,
        None => ask.connect().await?,
    };
    let (first, framing) = ask.begin(&mut wire).await?;
    match kind.reading {
        Reading::ToTheEnd => {}
        Reading::Slowly => tokio::time::sleep(PAUSE).await,
        Reading::NotToTheEnd => return Ok(Outcome::Left),
    }
    let mut answer = Vec::new();
    let taken = wire.body(framing, |bytes| answer.extend_from_slice(bytes));
    taken.await.context("the answer broke off")?;
    if framing != Framing::Open {
        resting.put(wire);
    }
    heard(ask, first.as_deref(), &answer)
}

/// What an answer is.
fn heard(ask: &Ask, first: Option<&str>, answer: &[u8]) -> Result<Outcome> {
    if let Some(first) = first {
        let status = first.split(' ').nth(1).unwrap_or_default();
        let told: serde_json::Value =
            serde_json::from_slice(answer).with_context(|| format!("{first}: it is no JSON"))?;
        if !told["error"]["message"].is_string() {
            bail!("{first}: it names no error: {told}");
        }
        return Ok(Outcome::Refused(status.to_owned()));
    }
    if ask.check(answer).is_ok() {
        return Ok(Outcome::Answered);
    }
    let (dialect, streamed) = ask.wants();
    let errors: &[&[u8]] = match dialect {
        Dialect::Messages => &[b"event: error"],
        Dialect::Responses => &[b"event: error", b"event: response.failed"],
        Dialect::Chat => &[b"data: {\"error\":"],
    };
    if errors.iter().any(|error| find(answer, error).is_some()) {
        return Ok(Outcome::BrokeOff);
    }
    match streamed {
        Streamed::No => Ok(Outcome::PassedOn),
        Streamed::Yes => {
            let end = String::from_utf8_lossy(&answer[answer.len().saturating_sub(300)..]);
            bail!("a stream without an end: …{end}")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_come_as_often_as_they_are_to() {
        let mut dice = Dice(7);
        let mut counts = vec![0_u64; KINDS.len()];
        for _ in 0..100_000 {
            counts[dice.kind()] += 1;
        }
        for (count, kind) in counts.iter().zip(&KINDS) {
            let expected = kind.share * 100;
            assert!(
                count.abs_diff(expected) < 200 + expected / 10,
                "{}: {count}",
                kind.name
            );
        }
    }
}
