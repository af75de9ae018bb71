//! Random uses of the store beside a plain vector that must agree.

use proptest::prelude::*;
use quire_protocol::{Entry, Lease, Seq, SessionId, Store, StoreError};
use quire_store::SqliteStore;
use tempfile::TempDir;

use crate::{head, id, open, wait};

const SESSIONS: usize = 3;

#[derive(Clone, Debug)]
enum Step {
    Append {
        session: usize,
        payloads: Vec<Vec<u8>>,
    },
    Read {
        session: usize,
        after: u64,
        limit: usize,
    },
    Release {
        session: usize,
    },
    Lease {
        session: usize,
    },
    Reopen,
}

fn step() -> impl Strategy<Value = Step> {
    let session = 0..SESSIONS;
    let payloads = prop::collection::vec(prop::collection::vec(any::<u8>(), 0..2_000), 0..4);
    prop_oneof![
        4 => (session.clone(), payloads)
            .prop_map(|(session, payloads)| Step::Append { session, payloads }),
        3 => (session.clone(), 0..20_u64, 0..20_usize)
            .prop_map(|(session, after, limit)| Step::Read { session, after, limit }),
        1 => session.clone().prop_map(|session| Step::Release { session }),
        2 => session.prop_map(|session| Step::Lease { session }),
        1 => Just(Step::Reopen),
    ]
}

/// A session as it should be.
#[derive(Default)]
struct Expected {
    entries: Vec<Entry>,
    lease: Option<Lease>,
    stale: Option<Lease>,
}

/// The store and what it should hold.
struct World {
    folder: TempDir,
    store: SqliteStore,
    expected: [Expected; SESSIONS],
}

impl World {
    async fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let store = open(folder.path());
        let mut expected: [Expected; SESSIONS] = Default::default();
        for (session, expected) in expected.iter_mut().enumerate() {
            let head = head(name(session).as_str());
            expected.lease = Some(store.create(head).await.unwrap());
        }
        Self {
            folder,
            store,
            expected,
        }
    }

    async fn step(&mut self, step: Step) {
        match step {
            Step::Append { session, payloads } => self.append(session, payloads).await,
            Step::Read {
                session,
                after,
                limit,
            } => self.read(session, after, limit).await,
            Step::Release { session } => {
                if let Some(lease) = self.expected[session].lease.take() {
                    self.store.release(lease.clone()).await.unwrap();
                    self.expected[session].stale = Some(lease);
                }
            }
            Step::Lease { session } => self.lease(session).await,
            Step::Reopen => self.reopen(),
        }
    }

    async fn append(&mut self, session: usize, payloads: Vec<Vec<u8>>) {
        let expected = &mut self.expected[session];
        let last = expected.entries.len() as u64;
        let entries: Vec<Entry> = (last + 1..)
            .zip(payloads)
            .map(|(seq, payload)| Entry {
                seq: Seq(seq),
                at_ms: seq.wrapping_mul(u64::MAX / 3),
                payload,
                text: None,
            })
            .collect();
        if let Some(stale) = &expected.stale {
            let refused = self.store.append(stale, Seq(last), entries.clone()).await;
            assert_eq!(refused, Err(StoreError::LeaseLost(name(session))));
        }
        if let Some(lease) = &expected.lease {
            let appended = self.store.append(lease, Seq(last), entries.clone());
            appended.await.unwrap();
            expected.entries.extend(entries);
        }
    }

    async fn read(&self, session: usize, after: u64, limit: usize) {
        let read = self.store.read(&name(session), Seq(after), limit).await;
        let expected = self.expected[session].entries.iter();
        let expected: Vec<_> = expected
            .filter(|entry| entry.seq.0 > after)
            .take(limit)
            .cloned()
            .collect();
        assert_eq!(read, Ok(expected));
    }

    async fn lease(&mut self, session: usize) {
        let leased = self.store.lease(&name(session)).await;
        let expected = &mut self.expected[session];
        if expected.lease.is_some() {
            assert!(matches!(leased, Err(StoreError::Leased { .. })));
        } else {
            let lease = leased.unwrap();
            assert_eq!(lease.last.0, expected.entries.len() as u64);
            assert_eq!(lease.repaired, None);
            expected.lease = Some(lease);
        }
    }

    /// Opens a second store and drops the first, whose leases then end.
    fn reopen(&mut self) {
        self.store = open(self.folder.path());
        for expected in &mut self.expected {
            expected.stale = expected.lease.take().or(expected.stale.take());
        }
    }
}

fn name(session: usize) -> SessionId {
    id(&format!("session-{session}"))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_store_agrees_with_a_vector(steps in prop::collection::vec(step(), 1..40)) {
        wait(async {
            let mut world = World::new().await;
            for step in steps {
                world.step(step).await;
            }
        });
    }
}
