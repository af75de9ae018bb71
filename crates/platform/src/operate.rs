//! What an operator does with a platform: checks its config, runs it, makes keys. The words of `quire platform`.

use std::fmt::Write as _;
use std::fs::OpenOptions;
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use quire_catalogue::Catalogue;
use quire_depot::{Depot, Place, Spool};

use crate::app::{App, Secrets};
use crate::config::{Config, ConfigError, Severity};
use crate::directory::{Directory, KeySecret, NewKey};
use crate::reply::rfc3339;
use crate::{ServeError, Server};

/// A platform that is to be run or changed: its config file, and what surrounds the process.
#[derive(Clone, Debug)]
pub struct Operator {
    /// The config file.
    pub file: PathBuf,
    /// Where data lie that the config gives no place.
    pub data: PathBuf,
    /// What comes from the environment.
    pub secrets: Secrets,
    /// What is known of models.
    pub catalogue: Arc<Catalogue>,
}

/// What `check` found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Checked {
    /// It, in lines.
    pub text: String,
    /// Whether the server would start.
    pub usable: bool,
}

impl Operator {
    /// Reads the config.
    pub fn config(&self) -> Result<Config, ConfigError> {
        let text = std::fs::read_to_string(&self.file).map_err(|error| {
            ConfigError(format!(
                "{}: {error}. Write one as docs/guide/platform.md shows, or name another with --config",
                self.file.display()
            ))
        })?;
        Config::parse(&text)
            .map_err(|error| ConfigError(format!("{}: {error}", self.file.display())))
    }

    /// Says everything that is wrong with the config.
    pub fn check(&self) -> Result<Checked, ConfigError> {
        let config = self.config()?;
        let findings = config.check(|name| self.secrets.variables.get(name).cloned());
        let mut text = String::new();
        for finding in &findings {
            let _ = writeln!(text, "{finding}");
        }
        let usable = findings
            .iter()
            .all(|finding| finding.severity == Severity::Warning);
        let count = |what: &str, count: usize| {
            format!("{count} {what}{}", if count == 1 { "" } else { "s" })
        };
        let verdict = if usable {
            "can be used"
        } else {
            "cannot be used"
        };
        let _ = writeln!(
            text,
            "{}: {verdict}: {}, {}",
            self.file.display(),
            count("upstream", config.upstreams.len()),
            count("model", config.models.len())
        );
        Ok(Checked { text, usable })
    }

    /// Reads the config again and puts it to work. One that cannot be used changes nothing.
    pub fn reload(&self, app: &App) -> Result<Checked, ConfigError> {
        let mut checked = self.check()?;
        if !checked.usable {
            checked.text.push_str("nothing was changed\n");
            return Ok(checked);
        }
        let (before, config) = (app.live(), self.config()?);
        for (place, differs) in config.fixed_that_differ(&before.config) {
            if differs {
                let _ = writeln!(checked.text, "{place}: counts from the next start on");
            }
        }
        app.reload(config)?;
        Ok(checked)
    }

    /// Makes a server that listens; it serves once it is run.
    pub async fn server(&self) -> Result<(Arc<App>, Server), ServeError> {
        let config = self.config()?;
        let found = config.check(|name| self.secrets.variables.get(name).cloned());
        if let Some(error) = found
            .iter()
            .find(|finding| finding.severity == Severity::Error)
        {
            return Err(ConfigError(format!("{}: {error}", self.file.display())).into());
        }
        let depot = self.depot(&config).await?;
        let spool = Spool::open(
            &config
                .spool
                .clone()
                .unwrap_or_else(|| self.data.join("spool")),
        )?;
        let secret = self.seal_secret(&config)?;
        let secrets = self.secrets.clone();
        let app = App::new(
            config,
            secrets,
            depot,
            spool,
            Arc::clone(&self.catalogue),
            &secret,
        )
        .await?;
        let operator = self.clone();
        app.reread_by(move |app| operator.reload(app));
        let server = Server::listen(Arc::clone(&app)).await?;
        Ok((app, server))
    }

    /// Makes a key for a workspace, which is made too if it is not there. Its secret is shown this once.
    pub async fn add_key(&self, workspace: &str, new: NewKey) -> Result<KeySecret, ServeError> {
        let directory = self.directory().await?;
        let workspace = match directory.workspace(workspace).await? {
            Some(workspace) => workspace,
            None => directory.add_workspace(workspace).await?,
        };
        Ok(directory.add_key(&workspace, new).await?.1)
    }

    /// All keys, one on a line.
    pub async fn keys(&self) -> Result<String, ServeError> {
        let mut text = String::new();
        for key in self.directory().await?.keys().await? {
            let state = match (key.revoked_at, key.expires_at) {
                (Some(at), _) => format!("revoked {}", rfc3339(at)),
                (None, Some(at)) => format!("expires {}", rfc3339(at)),
                (None, None) => "active".to_owned(),
            };
            let _ = writeln!(
                text,
                "{}  …{}  {}  {}  {state}",
                key.id, key.hint, key.workspace, key.name
            );
        }
        Ok(text)
    }

    /// Takes a key back.
    pub async fn revoke(&self, id: &str) -> Result<(), ServeError> {
        self.directory().await?.revoke(id).await?;
        Ok(())
    }

    async fn directory(&self) -> Result<Directory, ServeError> {
        let depot = self.depot(&self.config()?).await?;
        Ok(Directory(depot.access()))
    }

    async fn depot(&self, config: &Config) -> Result<Depot, ServeError> {
        Ok(Depot::open(&self.place(config)).await?)
    }

    fn place(&self, config: &Config) -> Place {
        match config.store.as_deref() {
            None => Place::Folder(self.data.clone()),
            Some(url) if url.starts_with("postgres://") || url.starts_with("postgresql://") => {
                Place::Postgres(url.to_owned())
            }
            Some(path) => Place::Folder(PathBuf::from(
                path.strip_prefix("sqlite://").unwrap_or(path),
            )),
        }
    }

    /// The secret by which opaque texts are sealed: the environment's, or one that is made once and kept.
    fn seal_secret(&self, config: &Config) -> Result<Vec<u8>, ServeError> {
        if let Some(name) = &config.seal_secret_env {
            return Ok(self
                .secrets
                .variables
                .get(name)
                .cloned()
                .unwrap_or_default()
                .into_bytes());
        }
        let file = self.data.join("seal.key");
        kept_secret(&file)
            .map_err(|error| ConfigError(format!("{}: {error}", file.display())).into())
    }
}

/// A secret in a file that its owner alone reads; it is made if it is not there.
fn kept_secret(file: &Path) -> io::Result<Vec<u8>> {
    let read = |file: &Path| {
        let mut secret = Vec::new();
        std::fs::File::open(file)?.read_to_end(&mut secret)?;
        if secret.len() < 32 {
            return Err(io::Error::new(
                io::ErrorKind::InvalidData,
                "it is no secret of 32 bytes; remove it and another one is made",
            ));
        }
        Ok(secret)
    };
    match read(file) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        read => return read,
    }
    if let Some(folder) = file.parent() {
        std::fs::create_dir_all(folder)?;
    }
    let mut secret = vec![0; 32];
    getrandom::fill(&mut secret).map_err(|error| io::Error::other(error.to_string()))?;
    // Whole or not at all: of two that make one at the same time, the first wins.
    let fresh = file.with_extension(format!("{}.new", std::process::id()));
    let mut open = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(&fresh)?;
    open.write_all(&secret)?;
    open.sync_all()?;
    let linked = std::fs::hard_link(&fresh, file);
    std::fs::remove_file(&fresh)?;
    match linked {
        Ok(()) => Ok(secret),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => read(file),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_made_once_and_is_nobody_elses() {
        use std::os::unix::fs::PermissionsExt as _;
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("deep/seal.key");
        let first = kept_secret(&file).unwrap();
        assert_eq!(kept_secret(&file).unwrap(), first);
        assert_eq!(file.metadata().unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(
            std::fs::read_dir(file.parent().unwrap()).unwrap().count(),
            1
        );
        std::fs::write(&file, "short").unwrap();
        assert!(kept_secret(&file).is_err());
    }
}
