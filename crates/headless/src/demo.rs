//! The repository of `quire demo`, with a real bug in it, and whether its tests pass.

use std::io;
use std::path::{Path, PathBuf};

use quire_protocol::{Command, Policy, ProcessEnd, ProcessLimits, Sandbox, SandboxError, Streams};

use crate::lay_out::lay_out;
use crate::trial;

/// The bundled repository.
const REPOSITORY: [(&str, &str); 3] = [
    ("README.md", include_str!("../demo/README.md")),
    ("versions.sh", include_str!("../demo/versions.sh")),
    ("tests/run.sh", include_str!("../demo/tests/run.sh")),
];

/// What runs its tests.
const TESTS: [&str; 2] = ["sh", "tests/run.sh"];

/// Why the demo is not what it looks like.
#[derive(Debug, thiserror::Error)]
pub enum DemoError {
    /// The tests could not be run.
    #[error(transparent)]
    Sandbox(#[from] SandboxError),
    /// They do not pass.
    #[error(
        "the recording says that the tests pass, but here `{command}` does not ({end:?}, {last}): \
         not all of what is above was really done. `quire doctor` may say why"
    )]
    Fails {
        /// What ran them.
        command: String,
        /// How it ended.
        end: ProcessEnd,
        /// The last line it printed.
        last: String,
    },
}

/// A fresh copy of the repository in a new folder below `parent`. It stays, to be looked at.
pub fn demo_folder(parent: &Path, now_ms: u64) -> io::Result<PathBuf> {
    let folder = parent.join(format!("quire-demo-{}-{now_ms}", std::process::id()));
    let failed = |error: io::Error| {
        let words = format!("cannot write the folder {}: {error}", folder.display());
        io::Error::new(error.kind(), words)
    };
    std::fs::create_dir(&folder).map_err(failed)?;
    lay_out(&folder, &REPOSITORY).map_err(failed)?;
    folder.canonicalize()
}

/// Runs the repository's tests: the recording says that they pass, whatever happened here. Gives the
/// command and the last line it printed.
pub async fn verify_demo(
    sandbox: &dyn Sandbox,
    workspace: &Path,
    policy: Policy,
) -> Result<(String, String), DemoError> {
    let command = Command {
        argv: TESTS.map(str::to_owned).into(),
        directory: workspace.to_owned(),
        workspace: workspace.to_owned(),
        policy,
        limits: ProcessLimits::default(),
        distrusted: Vec::new(),
        variables: Vec::new(),
        streams: Streams::Merged,
    };
    let (end, output) = trial::run(sandbox, command).await?;
    let last = output.lines().last().unwrap_or_default().to_owned();
    let command = TESTS.join(" ");
    match end {
        ProcessEnd::Exited(0) => Ok((command, last)),
        end => Err(DemoError::Fails { command, end, last }),
    }
}
