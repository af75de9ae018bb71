//! The Linux sandbox: a spawner, its cells, and one supervisor per command.

mod bubblewrap;
mod cell;
mod cgroup;
mod command;
mod descendants;
mod domains;
mod git;
mod handle;
mod held;
mod host;
mod ladder;
mod landmarks;
mod links;
mod mounted;
mod plan;
mod proxy;
mod running;
mod spare;
mod spawner;
mod submodules;
mod supervisor;
mod sys;
mod traps;
mod trial;
mod wall;
mod watching;
mod wire;

pub use handle::Spawner;
pub use spawner::run_if_spawner;

/// Where the proxy listens, inside a cell.
pub(crate) const PROXY_PORT: u16 = 3128;
