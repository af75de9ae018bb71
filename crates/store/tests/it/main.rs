//! The store as the engine uses it: real files, real processes, real deaths.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod bad;
mod blobs;
mod cost;
mod crash;
mod damage;
mod lease;
mod model;
mod removal;
mod search;

use std::future::Future;
use std::path::Path;

use quire_protocol::{Entry, Lease, Seq, SessionHead, SessionId, Store};
use quire_store::{Durability, SqliteStore};

fn wait<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread()
        .build()
        .expect("a runtime starts")
        .block_on(future)
}

fn open(folder: &Path) -> SqliteStore {
    SqliteStore::open(folder, Durability::Background).expect("the store opens")
}

fn id(session: &str) -> SessionId {
    SessionId::new(session)
}

fn head(session: &str) -> SessionHead {
    SessionHead {
        session: id(session),
        created_ms: 1_000,
        updated_ms: 1_000,
        workspace: "/work".to_owned(),
        title: String::new(),
        events: 0,
        parent: None,
    }
}

fn entry(seq: u64, payload: &str) -> Entry {
    Entry {
        seq: Seq(seq),
        at_ms: 1_000 + seq,
        payload: payload.into(),
        text: None,
    }
}

fn said(seq: u64, text: &str) -> Entry {
    Entry {
        text: Some(text.to_owned()),
        ..entry(seq, "{}")
    }
}

/// Creates a session with entries that say these things.
fn session(store: &SqliteStore, name: &str, texts: &[&str]) -> Lease {
    wait(async {
        let lease = store.create(head(name)).await.unwrap();
        let entries = (1..)
            .zip(texts)
            .map(|(seq, text)| said(seq, text))
            .collect();
        store.append(&lease, Seq(0), entries).await.unwrap();
        lease
    })
}
