//! Servers as real processes, shell scripts behind a sandbox that confines nothing, and as real sites of HTTP.

#![expect(clippy::unwrap_used, reason = "a test world fails by panicking")]

mod bare;
mod broken;
mod calls;
mod handshake;
mod life;
mod official;
mod remote;
mod site;
mod world;
