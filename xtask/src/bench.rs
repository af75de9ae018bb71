//! `cargo xtask bench`: what the house promises about speed and memory, measured.

use anyhow::Result;

/// Runs the benches.
pub(crate) fn command(_args: &[String]) -> Result<()> {
    anyhow::bail!("not here yet")
}
