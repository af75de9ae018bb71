//! The machine of the person at the screen: its shell, in the workspace.

use std::path::PathBuf;
use std::sync::mpsc::Receiver;

use quire_protocol::CommandEnd;
use quire_tui::Machine;

use crate::surroundings::Surroundings;

/// Paths of a workspace that are offered, at most.
const PATHS: usize = 50_000;

/// This machine.
pub(crate) struct OwnMachine {
    folder: PathBuf,
    shell: String,
}

impl OwnMachine {
    pub(crate) fn new(around: &Surroundings) -> Self {
        Self {
            folder: around.workspace.clone(),
            shell: around.variable("SHELL").unwrap_or("/bin/sh").to_owned(),
        }
    }
}

impl Machine for OwnMachine {
    fn shell(
        &self,
        line: &str,
        stop: Receiver<()>,
        printed: &mut dyn FnMut(&[u8]),
    ) -> Result<CommandEnd, String> {
        quire_sandbox::run_own(&self.shell, line, &self.folder, stop, printed)
            .map_err(|error| format!("{} cannot be started: {error}", self.shell))
    }

    fn paths(&self) -> Vec<String> {
        quire_tools::paths(&self.folder, PATHS)
    }
}
