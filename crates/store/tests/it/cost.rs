//! What it costs: bytes on disk, syncs, time.

use std::fmt::Write;
use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use quire_protocol::{Entry, Seq, Store};
use quire_store::{Durability, SqliteStore};

use crate::{entry, head, id, open, session, wait};

/// A kilobyte that does not repeat, as words.
fn words(seed: u64) -> String {
    let mut state = seed;
    let mut text = String::with_capacity(1100);
    while text.len() < 1024 {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        write!(text, "w{} ", (state >> 40) % 20_000).unwrap();
    }
    text
}

/// How large a file is; one that is not there has nothing in it.
fn bytes(folder: &Path, name: &str) -> u64 {
    fs::metadata(folder.join(name)).map_or(0, |file| file.len())
}

/// How large the log may get. When it is written back depends on when it is looked at, and on who reads meanwhile.
const MOST_LOG: u64 = 32 << 20;

/// What many entries cost.
#[derive(Debug)]
struct Cost {
    /// Their own bytes.
    own: u64,
    /// The log's while they were appended; it is written over from its beginning, again and again.
    log: u64,
    /// Those on disk once the store is closed.
    disk: u64,
    syncs: u64,
}

/// Appends 10,000 entries one by one.
fn ten_thousand(folder: &Path, make: impl Fn(u64) -> Entry) -> Cost {
    let store = open(folder);
    let lease = session(&store, "a", &[]);
    let mut own = 0;
    wait(async {
        for seq in 1..=10_000 {
            let entry = make(seq);
            own += entry.payload.len() + entry.text.as_ref().map_or(0, String::len);
            store
                .append(&lease, Seq(seq - 1), vec![entry])
                .await
                .unwrap();
        }
        store.search("w1", 1).await.unwrap();
        store.sync().await.unwrap();
    });
    let syncs = store.stats().syncs;
    let log = bytes(folder, "store.db-wal");
    drop(store);
    Cost {
        own: own as u64,
        log,
        disk: bytes(folder, "store.db") + bytes(folder, "store.db-wal"),
        syncs,
    }
}

#[test]
fn ten_thousand_events_cost_few_syncs_and_about_their_own_bytes() {
    let folder = tempfile::tempdir().unwrap();
    let cost = ten_thousand(folder.path(), |seq| entry(seq, &words(seq)));
    println!("without text: {cost:?}");
    assert!(cost.disk < cost.own * 2, "{cost:?}");
    assert!(cost.log < MOST_LOG && cost.syncs < 100, "{cost:?}");
}

#[test]
fn ten_thousand_events_with_text_cost_few_syncs_and_about_their_own_bytes() {
    let folder = tempfile::tempdir().unwrap();
    let cost = ten_thousand(folder.path(), |seq| Entry {
        text: Some(words(seq)[..256].to_owned()),
        ..entry(seq, &words(seq))
    });
    println!("with text: {cost:?}");
    assert!(cost.disk < cost.own * 2, "{cost:?}");
    assert!(cost.log < MOST_LOG && cost.syncs < 150, "{cost:?}");
}

#[test]
fn a_write_is_synced_within_a_second_and_then_nothing_is() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    let lease = session(&store, "a", &["x"]);
    wait(store.sync()).unwrap();
    let before = store.stats();
    wait(store.append(&lease, Seq(1), vec![entry(2, "y")])).unwrap();
    let began = Instant::now();
    while store.stats().syncs == before.syncs {
        assert!(began.elapsed() < Duration::from_secs(5), "never synced");
        std::thread::yield_now();
    }
    println!("synced after {:?}", began.elapsed());
    let after = store.stats();
    assert_eq!(after.syncs, before.syncs + 1);
    wait(store.sync()).unwrap();
    assert_eq!(store.stats(), after, "nothing was left to sync");
}

#[test]
fn every_commit_is_synced_if_asked_for() {
    let folder = tempfile::tempdir().unwrap();
    let store = SqliteStore::open(folder.path(), Durability::EveryCommit).unwrap();
    let lease = session(&store, "a", &["x"]);
    let before = store.stats();
    wait(store.append(&lease, Seq(1), vec![entry(2, "y")])).unwrap();
    assert_eq!(store.stats().syncs, before.syncs + 1);
}

/// Prints how long things take; bounds only what is absurd, since machines differ.
#[test]
fn opening_and_appending_are_quick() {
    let folder = tempfile::tempdir().unwrap();
    let began = Instant::now();
    let store = open(folder.path());
    println!("first open: {:?}", began.elapsed());
    drop(store);
    let began = Instant::now();
    let store = open(folder.path());
    println!("open: {:?}", began.elapsed());
    let began = Instant::now();
    let lease = wait(store.create(head("a"))).unwrap();
    println!("create: {:?}", began.elapsed());
    let mut times: Vec<Duration> = wait(async {
        let mut times = Vec::new();
        for seq in 1..=1_000 {
            let began = Instant::now();
            let entry = entry(seq, r#"{"type":"small","with":"a few words in it"}"#);
            store
                .append(&lease, Seq(seq - 1), vec![entry])
                .await
                .unwrap();
            times.push(began.elapsed());
        }
        times
    });
    times.sort();
    println!("append: median {:?}, 99 % {:?}", times[500], times[990]);
    assert!(times[500] < Duration::from_millis(20));
    let began = Instant::now();
    let read = wait(store.read(&id("a"), Seq(0), usize::MAX)).unwrap();
    println!("read {}: {:?}", read.len(), began.elapsed());
    let began = Instant::now();
    drop(store);
    println!("close: {:?}", began.elapsed());
}
