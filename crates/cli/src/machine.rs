//! The machine of the person at the screen: its shell, in the workspace.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::Receiver;

use quire_headless::History;
use quire_protocol::{CommandEnd, Content};
use quire_tui::Machine;

use crate::surroundings::Surroundings;

/// Paths of a workspace that are offered, at most.
const PATHS: usize = 50_000;

/// This machine.
pub(crate) struct OwnMachine {
    around: Surroundings,
    folder: PathBuf,
    home: Option<PathBuf>,
    shell: String,
    editor: Option<String>,
    history: History,
}

impl OwnMachine {
    pub(crate) fn new(around: &Surroundings) -> Self {
        let editor = around.variable("VISUAL").or(around.variable("EDITOR"));
        Self {
            around: around.clone(),
            folder: around.workspace.clone(),
            home: around.variable("HOME").map(PathBuf::from),
            editor: editor.map(str::to_owned),
            history: History::new(&around.paths.data, &around.workspace),
            shell: around.variable("SHELL").unwrap_or("/bin/sh").to_owned(),
        }
    }
}

impl Machine for OwnMachine {
    fn at(&self, folder: &Path) -> Arc<dyn Machine> {
        Arc::new(Self::new(&self.around.at(folder)))
    }

    fn shell(
        &self,
        line: &str,
        stop: Receiver<()>,
        printed: &mut dyn FnMut(&[u8]),
    ) -> Result<CommandEnd, String> {
        quire_sandbox::run_own(&self.shell, line, &self.folder, stop, printed)
            .map_err(|error| format!("{} cannot be started: {error}", self.shell))
    }

    fn said(&self) -> Vec<String> {
        self.history.all()
    }

    fn keep(&self, text: &str) {
        let _ = self.history.add(text);
    }

    fn edit(&self, text: &str) -> Result<String, String> {
        let editor = self.editor.as_deref();
        let editor = editor.ok_or("no editor is named: set VISUAL or EDITOR, to vi say")?;
        quire_headless::edited(text, |file| quire_sandbox::edit_own(editor, file))
    }

    fn image(&self, path: &str) -> Result<Content, String> {
        quire_headless::named_image(path, &self.folder, self.home.as_deref())
    }

    fn clipboard(&self) -> Result<Content, String> {
        quire_headless::clipboard_image(|line, stop, printed| self.shell(line, stop, printed))
    }

    fn rules_file(&self) -> String {
        quire_protocol::spelled(&self.around.paths.config_file())
    }

    fn allow(&self, prefix: &[String]) -> Result<(), String> {
        let file = self.around.paths.config_file();
        quire_headless::edit(&file, |path, text| quire_config::allow(path, text, prefix))
    }

    fn paths(&self) -> Vec<String> {
        quire_tools::paths(&self.folder, PATHS)
    }
}
