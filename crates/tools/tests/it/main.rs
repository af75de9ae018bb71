//! The tools at work on real files and real processes.

#![expect(
    clippy::unwrap_used,
    clippy::needless_pass_by_value,
    reason = "a test world fails by panicking and takes arguments as they are written"
)]

mod files;
mod finding;
mod ignoring;
mod recall;
mod servers;
mod shell;
mod specs;
mod world;
