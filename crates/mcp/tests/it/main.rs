//! Servers as real processes: shell scripts behind a sandbox that confines nothing.

#![expect(clippy::unwrap_used, reason = "a test world fails by panicking")]

mod bare;
mod calls;
mod handshake;
mod life;
mod official;
mod world;
