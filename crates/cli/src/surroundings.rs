//! What the process finds around it: the environment, its folders, the clock. Nothing below `cli`
//! looks for itself.

use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::Context as _;
use quire_config::{Layers, Paths, Resolved};
use quire_server::Origin;

use crate::usage;

/// What the process found.
#[derive(Clone)]
pub(crate) struct Surroundings {
    /// The environment. Variables that are not UTF-8 are left out.
    pub(crate) variables: Vec<(String, String)>,
    /// Where config and data live.
    pub(crate) paths: Paths,
    /// The current folder, without links.
    pub(crate) workspace: PathBuf,
    /// This very program.
    pub(crate) program: PathBuf,
}

impl Surroundings {
    pub(crate) fn find() -> anyhow::Result<Self> {
        let variables: Vec<(String, String)> = std::env::vars_os()
            .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
            .collect();
        let find = |name: &str| lookup(&variables, name).map(str::to_owned);
        let paths = Paths::find(find).map_err(usage)?;
        let workspace = std::env::current_dir()
            .and_then(|folder| folder.canonicalize())
            .map_err(|error| {
                usage(format!(
                    "the current folder cannot be used ({error}): change to one that exists"
                ))
            })?;
        let program = own_program()?;
        Ok(Self {
            variables,
            paths,
            workspace,
            program,
        })
    }

    /// The value of a variable that is set and not empty.
    pub(crate) fn variable(&self, name: &str) -> Option<&str> {
        lookup(&self.variables, name).filter(|value| !value.is_empty())
    }

    /// The current folder, as sessions record it.
    pub(crate) fn folder(&self) -> String {
        self.workspace.to_string_lossy().into_owned()
    }

    /// What a host needs to know of a face from here.
    pub(crate) fn origin(&self) -> Origin {
        Origin::new(self.workspace.clone(), self.variables.iter().cloned())
    }

    /// The same process, as if it had been started there.
    pub(crate) fn of(&self, origin: &Origin) -> Self {
        Self {
            variables: origin.environment.clone().into_iter().collect(),
            workspace: origin.folder.clone(),
            ..self.clone()
        }
    }

    /// The same person in another folder, where it is one of this machine.
    pub(crate) fn at(&self, folder: &Path) -> Self {
        let workspace = if folder.is_dir() {
            folder.to_owned()
        } else {
            self.workspace.clone()
        };
        Self {
            workspace,
            ..self.clone()
        }
    }

    /// When the files were written that the settings come from.
    pub(crate) fn settings_written(&self) -> Vec<Option<SystemTime>> {
        let files = [
            self.paths.config_file(),
            Paths::project_file(&self.workspace),
        ];
        let written = |file: PathBuf| std::fs::metadata(file).and_then(|found| found.modified());
        files.into_iter().map(|file| written(file).ok()).collect()
    }

    /// The folder's own settings file, and what it holds if it is there.
    pub(crate) fn project_file(&self) -> anyhow::Result<(PathBuf, Option<Vec<u8>>)> {
        let path = Paths::project_file(&self.workspace);
        let bytes = quire_headless::read_if_there(&path).map_err(usage)?;
        Ok((path, bytes))
    }

    /// The settings, with flags over everything else: the key, the flag, its value.
    pub(crate) fn settings(
        &self,
        flags: impl IntoIterator<Item = (&'static str, &'static str, String)>,
    ) -> anyhow::Result<Resolved> {
        let user = quire_headless::read_if_there(&self.paths.config_file());
        self.settings_with(user.map_err(usage)?, flags)
    }

    /// The same with these bytes in the place of the person's own file.
    pub(crate) fn settings_with(
        &self,
        user: Option<Vec<u8>>,
        flags: impl IntoIterator<Item = (&'static str, &'static str, String)>,
    ) -> anyhow::Result<Resolved> {
        let mut layers = Layers::new(&self.workspace)
            .home(self.paths.home.clone())
            .environment(self.variables.iter().cloned());
        if let Some(bytes) = user {
            layers = layers.user(&self.paths.config_file(), bytes);
        }
        let project = Paths::project_file(&self.workspace);
        layers = match quire_headless::read_if_there(&project) {
            Ok(None) => layers,
            Ok(Some(bytes)) => layers.project(&project, bytes),
            Err(why) => layers.project_unread(&project, why),
        };
        for (key, flag, value) in flags {
            layers = layers.flag(key, flag, value);
        }
        layers.resolve().map_err(usage)
    }
}

/// This program's file. On Linux by a name that still works after an update has replaced it.
fn own_program() -> anyhow::Result<PathBuf> {
    if cfg!(target_os = "linux") {
        return Ok(PathBuf::from("/proc/self/exe"));
    }
    std::env::current_exe().context("cannot find this program's own file")
}

/// Milliseconds since the Unix epoch.
#[expect(
    clippy::disallowed_methods,
    reason = "the root reads the clock for its faces"
)]
pub(crate) fn now_ms() -> u64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| {
            u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
        })
}

fn lookup<'a>(variables: &'a [(String, String)], name: &str) -> Option<&'a str> {
    variables
        .iter()
        .find(|(known, _)| known == name)
        .map(|(_, value)| value.as_str())
}
