//! The platform as its clients meet it: over real sockets, with upstreams made up by each test.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]
#![allow(
    dead_code,
    unreachable_pub,
    unused_imports,
    reason = "the world is for all tests, whichever are there"
)]

mod additions;
mod background;
mod batches;
mod compliance;
mod conversations;
mod count;
mod failures;
mod faults;
mod files;
mod large;
mod models;
mod passing;
mod replays;
mod silent;
mod socket;
mod stored;
mod versions;
mod workspaces;
mod world;
