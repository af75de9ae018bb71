//! The port to confined processes.

use std::path::PathBuf;
use std::sync::Arc;

use futures_core::future::BoxFuture;
use serde::{Deserialize, Serialize};

use crate::Policy;

/// Starts processes, confined as their policy says, and bounded.
pub trait Sandbox: Send + Sync {
    /// Which layers hold for commands under this policy, found out by trying them.
    fn report(&self, policy: &Policy) -> SandboxReport;

    /// Starts a process. Fails closed: an error means that nothing runs.
    fn spawn(&self, command: Command) -> BoxFuture<'_, Result<Arc<dyn Process>, SandboxError>>;
}

/// A process and everything it started.
pub trait Process: Send + Sync {
    /// The next piece of what it prints, or how it ended. After `Ended` it answers `Ended` again.
    /// One reader at a time.
    fn next(&self) -> BoxFuture<'_, ProcessEvent>;

    /// Hands these bytes to its stdin, waiting for room; one writer at a time. Fails where it reads
    /// no more, and for one whose [`Streams`] are not apart.
    fn write(&self, bytes: Vec<u8>) -> BoxFuture<'_, std::io::Result<()>> {
        drop(bytes);
        Box::pin(std::future::ready(Err(
            std::io::ErrorKind::Unsupported.into()
        )))
    }

    /// Kills the whole tree and returns when it is dead; does nothing to a dead one.
    fn kill(&self) -> BoxFuture<'_, ()>;
}

/// What a process does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ProcessEvent {
    /// It printed something: on stdout, or on stderr too where the two are one stream.
    Output(Vec<u8>),
    /// It printed this on stderr, which is apart from its stdout.
    Errors(Vec<u8>),
    /// The whole tree is dead.
    Ended(ProcessEnd),
}

/// How a process ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ProcessEnd {
    /// It exited with this code.
    Exited(i32),
    /// This signal killed it.
    Signalled(i32),
    /// It used more memory, processes or time than its limits allow.
    OverLimit,
}

/// A process to start.
#[derive(Clone, Debug)]
pub struct Command {
    /// Program and arguments.
    pub argv: Vec<String>,
    /// Where it starts, absolute.
    pub directory: PathBuf,
    /// The workspace, absolute.
    pub workspace: PathBuf,
    /// What confines it.
    pub policy: Policy,
    /// What bounds it.
    pub limits: ProcessLimits,
    /// Folders that confined commands may write, for one that leaves the sandbox: nothing beneath
    /// them is named to it as a place of programs.
    pub distrusted: Vec<PathBuf>,
    /// Variables it has besides those that its policy names: name and value.
    pub variables: Vec<(String, String)>,
    /// Where it reads and prints.
    pub streams: Streams,
}

/// Where a process reads and prints.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Streams {
    /// It reads nothing; stdout and stderr are one stream, in order.
    #[default]
    Merged,
    /// Somebody talks to it: it reads what is written to it, and stderr is a stream of its own.
    Apart,
}

/// What bounds a process tree.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProcessLimits {
    /// Memory of the tree, in bytes.
    pub memory_bytes: u64,
    /// Processes and threads alive at once.
    pub processes: u32,
    /// CPU seconds of one process.
    pub cpu_seconds: u64,
    /// The largest file it may write, in bytes.
    pub file_bytes: u64,
}

impl Default for ProcessLimits {
    fn default() -> Self {
        Self {
            memory_bytes: 8 << 30,
            processes: 1024,
            cpu_seconds: 3600,
            file_bytes: 16 << 30,
        }
    }
}

/// Which wall stands. Ordered from strongest to none.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Wall {
    /// Own namespaces, Landlock and seccomp.
    Cell,
    /// bubblewrap, with seccomp inside.
    Bubblewrap,
    /// Landlock and seccomp without namespaces.
    Landlock,
    /// macOS Seatbelt.
    Seatbelt,
    /// None: the policy says `off`.
    Off,
    /// None can be had: commands are refused.
    Refused,
}

/// What the sandbox can do on this machine under a policy.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SandboxReport {
    /// The wall that is used.
    pub wall: Wall,
    /// Every layer that was tried.
    pub layers: Vec<Layer>,
}

/// One layer of the sandbox.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Layer {
    /// Its name: `namespaces`, `landlock`, `seccomp`, `cgroup`, …
    pub name: String,
    /// Whether it holds.
    pub holds: bool,
    /// What it is, or what is lost without it and what to do.
    pub detail: String,
}

/// Why a process could not be started.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SandboxError {
    /// No wall can be built here; nothing was run.
    #[error("no sandbox can be built on this machine: {0}")]
    Refused(String),
    /// The program does not exist or may not be executed.
    #[error("cannot start `{program}`: {reason}")]
    NotStarted {
        /// The program.
        program: String,
        /// The system's reason.
        reason: String,
    },
    /// The spawner died or its channel broke.
    #[error("the sandbox's spawner failed: {0}")]
    Broken(String),
}
