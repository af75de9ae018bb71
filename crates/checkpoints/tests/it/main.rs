//! Checkpoints over real folders: what is found, what goes back, and what is left alone.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod git;
mod mirrors;
mod ways_back;
mod world;
