//! The sandbox against real processes: what commands can do, what they cannot, and how they end.
#![cfg(target_os = "linux")]

mod closed;
mod escapes;
mod git;
mod ladder;
mod later;
mod life;
mod limits;
mod network;
mod replaced;
mod spare;
mod talk;
mod traps;
mod world;
