//! The last half hour in slots of ten seconds: what the status page draws. It is lost with the process.

use std::collections::{BTreeMap, VecDeque};

use quire_depot::UsageRow;

/// How long a slot is.
pub(crate) const SLOT_MS: i64 = 10_000;
/// How many there are.
pub(crate) const SLOTS: usize = 180;
/// Latencies are counted in buckets whose ends grow by a fifth each, from a millisecond to beyond half an hour.
const BUCKETS: usize = 80;

/// The upper ends of the buckets, in milliseconds.
const ENDS: [u64; BUCKETS] = {
    let mut ends = [1; BUCKETS];
    let mut at = 1;
    while at < BUCKETS {
        let step = ends[at - 1] / 5;
        ends[at] = ends[at - 1] + if step == 0 { 1 } else { step };
        at += 1;
    }
    ends
};

/// The last half hour.
#[derive(Debug, Default)]
pub(crate) struct Recent(VecDeque<(i64, Slot)>);

/// Sums over ten seconds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Slot {
    /// Requests that ended, and those that were refused.
    pub(crate) requests: u64,
    /// Tokens of prompts.
    pub(crate) input: u64,
    /// Tokens of answers.
    pub(crate) output: u64,
    /// How many had each status that tells of an error.
    pub(crate) errors: BTreeMap<u16, u64>,
    latencies: [u32; BUCKETS],
}

impl Default for Slot {
    fn default() -> Self {
        Self {
            requests: 0,
            input: 0,
            output: 0,
            errors: BTreeMap::new(),
            latencies: [0; BUCKETS],
        }
    }
}

impl Recent {
    /// A request has ended.
    pub(super) fn ended(&mut self, row: &UsageRow, now: i64) {
        let slot = self.slot(now);
        slot.counted(row.status);
        slot.input = slot.input.saturating_add(row.usage.prompt());
        slot.output = slot.output.saturating_add(row.usage.output);
        slot.latencies[bucket(row.latency_ms)] += 1;
    }

    /// A request was refused.
    pub(super) fn refused(&mut self, status: u16, now: i64) {
        self.slot(now).counted(status);
    }

    /// All slots, those without requests too, the newest last.
    pub(super) fn slots(&self, now: i64) -> Vec<Slot> {
        let newest = now.div_euclid(SLOT_MS);
        let mut slots = vec![Slot::default(); SLOTS];
        for (at, slot) in &self.0 {
            let age = usize::try_from(newest - at).unwrap_or(0);
            if let Some(place) = slots.iter_mut().nth_back(age) {
                place.clone_from(slot);
            }
        }
        slots
    }

    fn slot(&mut self, now: i64) -> &mut Slot {
        let at = now.div_euclid(SLOT_MS);
        // A clock that was set back adds to the newest slot.
        let newest = self.0.back().map(|(newest, _)| *newest);
        if newest.is_none_or(|newest| newest < at) {
            self.0.push_back((at, Slot::default()));
        }
        while self.0.len() > SLOTS {
            self.0.pop_front();
        }
        let last = self.0.len() - 1;
        &mut self.0[last].1
    }
}

impl Slot {
    fn counted(&mut self, status: u16) {
        self.requests += 1;
        if status >= 400 {
            *self.errors.entry(status).or_default() += 1;
        }
    }

    /// Adds another slot's sums.
    pub(crate) fn add(&mut self, other: &Self) {
        self.requests += other.requests;
        self.input = self.input.saturating_add(other.input);
        self.output = self.output.saturating_add(other.output);
        for (status, count) in &other.errors {
            *self.errors.entry(*status).or_default() += count;
        }
        for (sum, count) in self.latencies.iter_mut().zip(other.latencies) {
            *sum += count;
        }
    }

    /// The latency that so many of a hundred requests did not exceed, in milliseconds, to a fifth of it.
    pub(crate) fn latency_ms(&self, percent: u64) -> Option<u64> {
        let all: u64 = self.latencies.iter().map(|count| u64::from(*count)).sum();
        let mut left = (all * percent).div_ceil(100);
        let found = self.latencies.iter().position(|count| {
            left = left.saturating_sub(u64::from(*count));
            left == 0
        });
        found.filter(|_| all > 0).map(|bucket| ENDS[bucket])
    }
}

/// The bucket of a latency.
fn bucket(ms: u64) -> usize {
    ENDS.partition_point(|end| *end < ms).min(BUCKETS - 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn half_an_hour_is_kept_and_no_more() {
        let mut recent = Recent::default();
        for second in 0..7_200 {
            recent.refused(if second % 2 == 0 { 429 } else { 401 }, second * 1_000);
        }
        assert_eq!(recent.0.len(), SLOTS);
        let slots = recent.slots(7_199_000);
        assert_eq!(slots.len(), SLOTS);
        assert!(slots.iter().all(|slot| slot.requests == 10));
        assert_eq!(slots[0].errors[&429], 5);
        // A minute without requests is seen as such.
        let slots = recent.slots(7_259_000);
        assert!(slots[SLOTS - 6..].iter().all(|slot| slot.requests == 0));
        assert_eq!(slots[SLOTS - 7].requests, 10);
        // A clock that jumps back loses nothing.
        recent.refused(401, 0);
        assert_eq!(recent.slots(7_199_000)[SLOTS - 1].requests, 11);
    }

    #[test]
    fn latencies_are_found_to_a_fifth() {
        let mut slot = Slot::default();
        assert_eq!(slot.latency_ms(50), None);
        for ms in 1..=1_000 {
            slot.latencies[bucket(ms)] += 1;
        }
        for (percent, exact) in [(50, 500), (95, 950), (100, 1_000)] {
            let found = slot.latency_ms(percent).unwrap();
            assert!(
                (exact..=exact * 6 / 5).contains(&found),
                "{percent}: {found}"
            );
        }
        assert!(ENDS[BUCKETS - 1] > 1_800_000);
        assert_eq!(bucket(u64::MAX), BUCKETS - 1);
    }
}
