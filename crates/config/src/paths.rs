//! Where the user's files are, computed from what the environment says.

use std::path::{Path, PathBuf};

/// Folders of the user.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Paths {
    /// Holds `config.toml` and the user's own `AGENTS.md`.
    pub config: PathBuf,
    /// Holds the store.
    pub data: PathBuf,
    /// The home folder, which `~/` stands for; absent when the environment does not say.
    pub home: Option<PathBuf>,
}

/// Why the folders are not known.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PathsError {
    /// `QUIRE_HOME` is not absolute.
    #[error("QUIRE_HOME is `{0}`; set it to an absolute path")]
    NotAbsolute(String),
    /// Neither `QUIRE_HOME` nor `HOME` is set.
    #[error(
        "neither QUIRE_HOME nor HOME is set, so there is no place for config and data; set QUIRE_HOME"
    )]
    NoHome,
}

impl Paths {
    /// The folders, from environment variables by name. `QUIRE_HOME` moves both; otherwise
    /// `XDG_CONFIG_HOME` and `XDG_DATA_HOME` count when they are absolute, then `HOME`.
    pub fn find(variable: impl Fn(&str) -> Option<String>) -> Result<Self, PathsError> {
        let set = |name: &str| variable(name).filter(|value| !value.is_empty());
        let home = set("HOME").map(PathBuf::from);
        if let Some(root) = set("QUIRE_HOME") {
            let path = PathBuf::from(&root);
            if !path.is_absolute() {
                return Err(PathsError::NotAbsolute(root));
            }
            return Ok(Self {
                data: path.join("data"),
                config: path,
                home,
            });
        }
        let folder = |name: &str, below_home: &str| {
            set(name)
                .map(PathBuf::from)
                .filter(|path| path.is_absolute())
                .or_else(|| Some(home.as_ref()?.join(below_home)))
                .map(|path| path.join("quire"))
                .ok_or(PathsError::NoHome)
        };
        Ok(Self {
            config: folder("XDG_CONFIG_HOME", ".config")?,
            data: folder("XDG_DATA_HOME", ".local/share")?,
            home,
        })
    }

    /// The user's settings.
    #[must_use]
    pub fn config_file(&self) -> PathBuf {
        self.config.join("config.toml")
    }

    /// A workspace's settings.
    #[must_use]
    pub fn project_file(workspace: &Path) -> PathBuf {
        workspace.join(".quire").join("config.toml")
    }
}

/// A folder of settings, where `~/` stands for the home folder.
pub(crate) fn expand(home: Option<&Path>, path: &str) -> PathBuf {
    match (path.strip_prefix('~'), home) {
        (Some(rest), Some(home)) => home.join(rest.trim_start_matches('/')),
        _ => PathBuf::from(path),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn find(pairs: &[(&str, &str)]) -> Result<(String, String), PathsError> {
        let paths = Paths::find(|name| {
            let pair = pairs.iter().find(|(key, _)| *key == name)?;
            Some(pair.1.to_owned())
        })?;
        let text = |path: PathBuf| path.display().to_string();
        Ok((text(paths.config_file()), text(paths.data)))
    }

    #[test]
    fn folders_follow_the_environment() {
        let ok = |config: &str, data: &str| Ok((config.to_owned(), data.to_owned()));
        let home = ("HOME", "/home/me");
        assert_eq!(
            find(&[home]),
            ok(
                "/home/me/.config/quire/config.toml",
                "/home/me/.local/share/quire"
            )
        );
        assert_eq!(
            find(&[
                home,
                ("XDG_CONFIG_HOME", "/c"),
                ("XDG_DATA_HOME", "relative")
            ]),
            ok("/c/quire/config.toml", "/home/me/.local/share/quire")
        );
        assert_eq!(
            find(&[home, ("QUIRE_HOME", "/q")]),
            ok("/q/config.toml", "/q/data")
        );
        assert_eq!(
            find(&[home, ("QUIRE_HOME", "q")]),
            Err(PathsError::NotAbsolute("q".to_owned()))
        );
        assert_eq!(find(&[("HOME", "")]), Err(PathsError::NoHome));
    }
}
