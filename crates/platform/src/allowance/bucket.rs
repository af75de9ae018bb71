//! A minute's worth of something, which fills steadily and may be owed. Several servers share it by telling each other
//! now and then what they took.

use quire_depot::{Debt, MINUTE_MS, MOST_CAPACITY, MOST_DEBT, MOST_PAID_MS, Used};

use super::Gauge;

/// A minute's worth of something, as this server knows it.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Bucket {
    /// For a minute; no bound when absent.
    capacity: Option<u64>,
    /// What is missing until it is full, in units × 60,000.
    debt: i64,
    /// When the debt was right, in milliseconds.
    at: i64,
    /// What this server took and the others have not been told.
    untold: i64,
    /// Since when.
    since: i64,
    /// As much of that as they are being told now.
    telling: i64,
    /// When they began to be told.
    told_at: i64,
}

impl Bucket {
    /// Takes over another capacity. What was taken stays taken.
    pub(super) fn set(&mut self, capacity: Option<u64>) {
        self.capacity = capacity;
    }

    /// Pays off what time has paid off.
    fn fill(&mut self, now: i64) {
        let Some(capacity) = self.capacity() else {
            return;
        };
        let passed = (now - self.at).clamp(0, MOST_PAID_MS);
        self.at = self.at.max(now);
        self.debt = (self.debt - passed * capacity).max(0);
    }

    /// Fails with the milliseconds after which there is room. What is more than a minute's worth fits a full bucket.
    pub(super) fn wait(&mut self, wanted: u64, now: i64) -> Result<(), i64> {
        self.fill(now);
        let Some(capacity) = self.capacity() else {
            return Ok(());
        };
        let wanted = as_signed(wanted).min(capacity).max(1);
        let missing = self.debt - (capacity - wanted) * MINUTE_MS;
        if missing <= 0 {
            return Ok(());
        }
        let rate = capacity.max(1).unsigned_abs();
        Err(as_signed(missing.unsigned_abs().div_ceil(rate)).clamp(1, MOST_PAID_MS))
    }

    /// Takes so many units, or gives them back.
    pub(super) fn take(&mut self, units: i64, now: i64) {
        self.fill(now);
        if self.capacity.is_none() {
            return;
        }
        let taken = units.clamp(-MOST_CAPACITY, MOST_CAPACITY) * MINUTE_MS;
        self.debt = (self.debt + taken).clamp(0, MOST_DEBT);
        if self.untold == 0 {
            self.since = now;
        }
        self.untold = (self.untold + taken).clamp(-MOST_DEBT, MOST_DEBT);
    }

    pub(super) fn gauge(&self) -> Option<Gauge> {
        let limit = self.capacity?;
        let capacity = self.capacity()?;
        let left = (capacity * MINUTE_MS - self.debt).div_euclid(MINUTE_MS);
        Some(Gauge {
            limit,
            remaining: left.max(0).unsigned_abs(),
            full_in: self.debt / capacity.max(1),
        })
    }

    /// What the others are to be told; where they are not told after all, it is part of what they are told next.
    pub(super) fn tell(&mut self, name: impl FnOnce() -> String, now: i64) -> Option<Used> {
        (self.telling, self.told_at) = (self.untold, now);
        let capacity = self.capacity()?;
        (self.untold != 0).then(|| Used {
            name: name(),
            capacity,
            units: self.untold,
            since: self.since,
        })
    }

    /// The others were told.
    pub(super) fn told(&mut self) {
        self.untold -= std::mem::take(&mut self.telling);
        // What is left was taken in the meantime.
        self.since = self.told_at;
    }

    /// Takes over what all servers together owe, but for what they have not been told yet.
    pub(super) fn learn(&mut self, debt: &Debt, now: i64) {
        self.debt = debt.units;
        // Another server's clock may be ahead.
        self.at = debt.at.min(now);
        self.fill(now);
        self.debt = (self.debt + self.untold).clamp(0, MOST_DEBT);
    }

    fn capacity(&self) -> Option<i64> {
        self.capacity
            .map(|capacity| as_signed(capacity).min(MOST_CAPACITY))
    }
}

pub(super) fn as_signed(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const CAPACITY: i64 = 600;
    /// How often servers exchange, at least.
    const OFTEN: i64 = 1_000;
    /// How long that takes.
    const SLOW: i64 = 100;

    fn bucket() -> Bucket {
        Bucket {
            capacity: Some(CAPACITY.unsigned_abs()),
            ..Bucket::default()
        }
    }

    /// What the depot does, as its own tests show it.
    fn add(row: &mut Debt, used: &Used) {
        let passed = (used.since - row.at).max(0);
        row.units = (row.units - passed * used.capacity).max(0) + used.units;
        row.at = row.at.max(used.since);
    }

    /// Servers, what they share, and a bucket that knows everything at once.
    struct Fleet {
        servers: Vec<Server>,
        row: Debt,
        ideal: Bucket,
    }

    struct Server {
        bucket: Bucket,
        /// When it exchanges next.
        next: i64,
        /// What it has read and not taken over yet, and what others told since it read that.
        read: Option<(Debt, i64)>,
        /// What others told since it read what it took over last.
        unknown: i64,
    }

    impl Fleet {
        fn new(servers: i64, now: i64) -> Self {
            let server = |number| Server {
                bucket: bucket(),
                next: now + number * 300,
                read: None,
                unknown: 0,
            };
            Self {
                servers: (0..servers).map(server).collect(),
                row: Debt {
                    name: String::new(),
                    units: 0,
                    at: 0,
                },
                ideal: bucket(),
            }
        }

        /// A request of so many units, if there is room.
        fn ask(&mut self, server: usize, units: u64, now: i64) {
            let bucket = &mut self.servers[server].bucket;
            if bucket.wait(units, now).is_ok() {
                bucket.take(as_signed(units), now);
                self.ideal.take(as_signed(units), now);
            }
        }

        /// Those exchange whose time it is, and take over a little later what they read.
        fn pass(&mut self, now: i64) {
            for number in 0..self.servers.len() {
                loop {
                    let next = self.servers[number].next;
                    let reads = self.servers[number].read.is_none();
                    let at = if reads { next } else { next + SLOW };
                    if at > now {
                        break;
                    }
                    if reads {
                        self.exchange(number, next);
                    } else {
                        self.servers[number].take_over();
                    }
                }
            }
        }

        fn exchange(&mut self, number: usize, now: i64) {
            let told = self.servers[number].bucket.tell(String::new, now);
            let units = told.as_ref().map_or(0, |told| told.units);
            if let Some(told) = told {
                add(&mut self.row, &told);
            }
            for (_, other) in (0..)
                .zip(&mut self.servers)
                .filter(|(other, _)| *other != number)
            {
                other.unknown += units;
                if let Some((_, since)) = &mut other.read {
                    *since += units;
                }
            }
            let row = Debt {
                units: self.row.units.max(0),
                ..self.row.clone()
            };
            self.servers[number].read = Some((row, 0));
        }

        fn check(&mut self, now: i64) {
            self.ideal.fill(now);
            let slack = CAPACITY * (OFTEN + SLOW);
            for number in 0..self.servers.len() {
                let others = self.servers.iter().enumerate();
                let others = others.filter(|(other, _)| *other != number);
                let untold: i64 = others.map(|(_, other)| other.untold()).sum();
                let server = &mut self.servers[number];
                server.bucket.fill(now);
                let (debt, ideal) = (server.bucket.debt, self.ideal.debt);
                let known = debt + untold + server.unknown;
                assert!(
                    known >= ideal - slack,
                    "{number} at {now}: {known} < {ideal}"
                );
                assert!(debt <= ideal + slack, "{number} at {now}: {debt} > {ideal}");
            }
        }
    }

    impl Server {
        fn take_over(&mut self) {
            if let Some((row, since)) = self.read.take() {
                self.bucket.told();
                self.bucket.learn(&row, self.next);
                self.unknown = since;
                self.next += OFTEN;
            }
        }

        fn untold(&self) -> i64 {
            let told = if self.read.is_some() {
                self.bucket.telling
            } else {
                0
            };
            self.bucket.untold - told
        }
    }

    proptest! {
        /// However requests fall on servers, each knows of all but what the others took since the last exchange and
        /// what a second pays back; and of no more than there is, but for the latter.
        #[test]
        fn servers_share_a_limit_but_for_a_second(
            servers in 1_i64..4,
            steps in proptest::collection::vec((0_usize..4, 1_u64..300, 0_i64..400), 1..200),
        ) {
            let mut now = 1_000_000;
            let mut fleet = Fleet::new(servers, now);
            for (server, units, passed) in steps {
                now += passed;
                fleet.pass(now);
                fleet.check(now);
                fleet.ask(server % fleet.servers.len(), units, now);
            }
            // When it is quiet all know the same.
            for _ in 0..3 * OFTEN / SLOW {
                now += SLOW;
                fleet.pass(now);
                fleet.check(now);
            }
            let all: Vec<_> = fleet.servers.iter().map(|server| server.bucket.gauge()).collect();
            prop_assert!(all.iter().all(|gauge| *gauge == all[0]));
        }
    }

    #[test]
    fn what_could_not_be_told_is_told_later() {
        let mut bucket = bucket();
        bucket.take(100, 0);
        let first = bucket.tell(String::new, 500).unwrap();
        // The depot was out of reach; own counts go on.
        bucket.take(50, 700);
        let second = bucket.tell(String::new, 1_500).unwrap();
        assert_eq!(
            (first.units, second.units, second.since),
            (100 * MINUTE_MS, 150 * MINUTE_MS, 0)
        );
        bucket.take(7, 1_600);
        bucket.told();
        let third = bucket.tell(String::new, 2_500).unwrap();
        assert_eq!((third.units, third.since), (7 * MINUTE_MS, 1_500));
        bucket.told();
        assert_eq!(bucket.tell(String::new, 3_500), None);
    }
}
