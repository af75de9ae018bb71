//! Event journal, blobs and search in one SQLite database. One thread writes and commits whatever
//! waits in one transaction; reads have connections of their own. The store never interprets what
//! it keeps.
//!
//! What survives what: an acknowledged append is in the write-ahead log, so it survives the death
//! of every process at once; a background sync makes it survive a power cut within a second, and
//! [`Durability::EveryCommit`] or [`quire_protocol::Store::sync`] at once. An idle store writes
//! nothing and never wakes up.

mod blobs;
mod fault;
mod health;
mod index;
mod journal;
mod leases;
mod locks;
mod readers;
mod schema;
mod sessions;
mod store;
mod writer;

pub use health::Health;
pub use store::{Durability, SqliteStore, Stats};
