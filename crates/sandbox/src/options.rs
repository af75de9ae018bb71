//! What the sandbox must be told about the machine and the person; it looks up none of it.

use std::path::PathBuf;

use quire_protocol::Wall;

/// What a sandbox is started with.
#[derive(Clone, Debug)]
pub struct Options {
    /// This program, absolute, to be started again as the spawner; `/proc/self/exe` on Linux.
    pub program: PathBuf,
    /// The environment of this process, as name and value.
    pub environment: Vec<(String, String)>,
    /// Quire's own folders: commands see them empty.
    pub protected: Vec<PathBuf>,
    /// Folders and files with secrets (`~/.ssh`, `~/.aws`, …): commands see them empty.
    pub hidden: Vec<PathBuf>,
    /// Where private temp folders are made when the kernel cannot mount one.
    pub temp_root: PathBuf,
    /// Use this wall and no other, instead of the strongest; for tests and diagnosis.
    pub force: Option<Wall>,
}
