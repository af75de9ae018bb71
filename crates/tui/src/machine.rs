//! What a screen asks of the machine that it runs on. The root provides it; nothing here goes through
//! a session, and no model reaches it.

use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::Receiver;

use quire_protocol::{CommandEnd, Content};

/// The machine of the person at the screen, with the person's own rights. Every method may take long,
/// and is called where that holds nothing up. Errors are for the person.
pub trait Machine: Send + Sync {
    /// The same machine, with another folder for its workspace.
    fn at(&self, folder: &Path) -> Arc<dyn Machine>;

    /// Runs a command line with the person's shell, in the workspace, and waits for its end. What it
    /// prints is handed over as it comes; what comes by `stop`, or that nobody can stop it any more,
    /// stops it and all that it started.
    fn shell(
        &self,
        line: &str,
        stop: Receiver<()>,
        printed: &mut dyn FnMut(&[u8]),
    ) -> Result<CommandEnd, String>;

    /// What the person said in this folder before, oldest first.
    fn said(&self) -> Vec<String>;

    /// Keeps what the person says now. That it cannot be kept is no reason not to say it.
    fn keep(&self, text: &str);

    /// Gives a text to the person's editor, which has the terminal meanwhile, and what became of it.
    fn edit(&self, text: &str) -> Result<String, String>;

    /// The image of a file, whose path is relative to the workspace, absolute or from `~/`.
    fn image(&self, path: &str) -> Result<Content, String>;

    /// The image in the clipboard.
    fn clipboard(&self) -> Result<Content, String>;

    /// The settings file of the person's own in which rules are kept.
    fn rules_file(&self) -> String;

    /// Keeps a rule there that allows commands which begin so, in all folders and from the next session
    /// on.
    fn allow(&self, prefix: &[String]) -> Result<(), String>;

    /// What is in the workspace, as far as it is looked at: paths relative to it, folders with a slash
    /// at their end, without what git ignores.
    fn paths(&self) -> Vec<String>;
}
