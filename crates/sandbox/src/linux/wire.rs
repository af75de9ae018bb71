//! What the main process, the spawner, its cells and their commands say to each other. One
//! message of JSON each; both ends are the same program.

use std::path::PathBuf;

use quire_protocol::{ProcessEnd, ProcessLimits};
use serde::{Deserialize, Serialize};

use crate::linux::mounted::{Breach, Guarded};
use crate::linux::plan::{Mount, Placeholder};
use crate::linux::traps::Traps;

/// The first argument that turns the program into the spawner.
pub(crate) const MARKER: &str = "--quire-spawner";

/// What confines the commands of a cell.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub(crate) enum Ground {
    /// Own namespaces with these mounts, Landlock and seccomp.
    Namespaces {
        mounts: Vec<Mount>,
        /// Whether commands reach the network through a proxy that listens inside.
        proxy: bool,
    },
    /// `bwrap` at this path, with these arguments before the command, and seccomp.
    Bubblewrap {
        program: PathBuf,
        arguments: Vec<String>,
    },
    /// Landlock and seccomp.
    Landlock,
    /// Nothing.
    Open,
}

/// Main process → spawner: make a cell. The cell's end of its channel comes with it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct CellOrder {
    pub(crate) ground: Ground,
    /// Mount points that must exist first; removed again, if still empty, when the cell ends.
    pub(crate) placeholders: Vec<Placeholder>,
    /// Paths that Landlock lets commands read and execute.
    pub(crate) readable: Vec<PathBuf>,
    /// Paths that Landlock lets commands change.
    pub(crate) writable: Vec<PathBuf>,
    /// Bounds for the whole cell, where a cgroup can be had.
    pub(crate) limits: ProcessLimits,
    /// What no command may bring about.
    pub(crate) traps: Traps,
    /// What is mounted over, so that no command can change or see it.
    pub(crate) guarded: Vec<Guarded>,
}

/// Cell → main process, once. With a proxy, the listening socket comes with it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) enum CellAnswer {
    Ready {
        /// Which cgroup bounds it, or why none does.
        cgroup: Result<String, String>,
        /// What Landlock enforces.
        landlock: Result<String, String>,
    },
    Failed(String),
}

/// Main process → cell: make a supervisor. Its channel comes with it.
pub(crate) const SUPERVISOR: &[u8] = b"supervisor";

/// Main process → supervisor, on its channel: run this. The ends of its pipes come with it: of the
/// one on which it prints, or of stdout, stderr and stdin.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct CommandOrder {
    pub(crate) argv: Vec<String>,
    /// `NAME=value` each.
    pub(crate) environment: Vec<String>,
    pub(crate) directory: PathBuf,
    pub(crate) limits: ProcessLimits,
}

/// Command → its supervisor, when it is about to start its program.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Begun {
    pub(crate) limits: ProcessLimits,
    /// How many processes of the cell had been killed for memory before.
    pub(crate) kills: u64,
}

/// Command or supervisor → main process.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum CommandAnswer {
    /// The process that holds the command's tree exists; a handle to it comes with this.
    Placed,
    /// The program runs.
    Started,
    /// Nothing ran.
    Failed(String),
    /// The command ended, perhaps because of a breach.
    Ended {
        end: ProcessEnd,
        rest: Rest,
        #[serde(default)]
        breach: Option<Breach>,
    },
}

/// What is left running of a command's tree when the command itself has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Rest {
    /// Nothing.
    Gone,
    /// Perhaps something, which is dead when the supervisor is.
    Dying,
}

/// A message as bytes.
pub(crate) fn encode(message: &impl Serialize) -> Result<Vec<u8>, String> {
    serde_json::to_vec(message).map_err(|error| error.to_string())
}

/// A message from bytes.
pub(crate) fn decode<'a, T: Deserialize<'a>>(bytes: &'a [u8]) -> Result<T, String> {
    serde_json::from_slice(bytes).map_err(|error| error.to_string())
}
