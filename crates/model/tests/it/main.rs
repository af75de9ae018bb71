//! Providers over real sockets: a server in the test's own process plays one scene per request.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod answers;
mod compaction;
mod connections;
mod refusals;
mod regions;
mod renewed;
mod retries;
mod server;
mod wire;
