//! The macOS sandbox: each command under `sandbox-exec` with a profile of its own.

pub(crate) mod seatbelt;
#[cfg(target_os = "macos")]
mod spawner;

#[cfg(target_os = "macos")]
pub use spawner::{Spawner, run_if_spawner};
