//! The layers, and how one value comes out of them.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use crate::error::Error;
use crate::file::{ConfigFile, parse};
use crate::key::{self, KEYS, Key};
use crate::mcp;
use crate::paths::expand;
use crate::provider::{self, ModelEntry};
use crate::resolved::{Notice, Resolved};
use crate::source::{Layer, Source, Sourced};
use crate::trust::Standing;
use crate::value::{self, Value};

/// Everything that may set something. Filled by whoever can read files and the environment.
#[derive(Clone, Debug, Default)]
pub struct Layers {
    workspace: PathBuf,
    home: Option<PathBuf>,
    user: Option<(PathBuf, Vec<u8>)>,
    project: Option<(PathBuf, Vec<u8>)>,
    /// Why the workspace's file cannot be read, where it cannot.
    unread: Option<(PathBuf, String)>,
    environment: BTreeMap<String, String>,
    flags: Vec<(&'static str, String, String)>,
}

impl Layers {
    /// Defaults only, for a workspace (absolute, with no link in it).
    #[must_use]
    pub fn new(workspace: impl Into<PathBuf>) -> Self {
        Self {
            workspace: workspace.into(),
            ..Self::default()
        }
    }

    /// What `~/` stands for.
    #[must_use]
    pub fn home(mut self, home: Option<PathBuf>) -> Self {
        self.home = home;
        self
    }

    /// The user's file.
    #[must_use]
    pub fn user(mut self, path: &Path, bytes: Vec<u8>) -> Self {
        self.user = Some((path.to_path_buf(), bytes));
        self
    }

    /// The workspace's file. It counts only when the user's file trusts the workspace with just
    /// this content.
    #[must_use]
    pub fn project(mut self, path: &Path, bytes: Vec<u8>) -> Self {
        self.project = Some((path.to_path_buf(), bytes));
        self
    }

    /// There is a workspace's file, and it cannot be read. It counts for nothing, and is told of.
    #[must_use]
    pub fn project_unread(mut self, path: &Path, why: String) -> Self {
        self.unread = Some((path.to_path_buf(), why));
        self
    }

    /// The environment. Variables that set a key are `QUIRE_` and its name in capitals
    /// (`QUIRE_MAX_TURNS`, `QUIRE_NETWORK_DOMAINS`); those of providers are looked up by name.
    #[must_use]
    pub fn environment(mut self, pairs: impl IntoIterator<Item = (String, String)>) -> Self {
        self.environment.extend(pairs);
        self
    }

    /// A flag of the command line: the key it sets, how it is written, its value. The last one of
    /// a key counts.
    #[must_use]
    pub fn flag(
        mut self,
        key: &'static str,
        written: impl Into<String>,
        value: impl Into<String>,
    ) -> Self {
        self.flags.push((key, written.into(), value.into()));
        self
    }

    /// What comes out. An unusable value in any layer that counts is an error, also when a higher
    /// layer hides it.
    pub fn resolve(&self) -> Result<Resolved, Error> {
        let user = match &self.user {
            Some((path, bytes)) => parse(Layer::User, path, bytes)?,
            None => ConfigFile::default(),
        };
        let mut notices = user.notices.clone();
        let standing = self.project.as_ref().map(|(_, bytes)| {
            let (trusted, refused) = (&user.trusted, &user.refused);
            Standing::of(trusted, refused, &self.workspace, bytes)
        });
        notices.extend(self.unread.iter().map(|(path, why)| Notice {
            source: Source::first_line(Layer::Project, path),
            message: format!("ignored: {why}"),
        }));
        let project = self.project_file(standing, &mut notices)?;
        let mut values = defaults();
        for (key, value) in user.values.into_iter().chain(project.values) {
            values.insert(key.name, value);
        }
        self.apply_environment(&mut values, &mut notices)?;
        self.apply_flags(&mut values)?;
        let mut models = user.models;
        models.extend(project.models);
        notices.extend(same_models(&models));
        let servers = mcp::resolve(
            user.servers,
            project.servers,
            &|path| expand(self.home.as_deref(), path),
            &|name| self.variable(name),
            &mut notices,
        );
        Ok(Resolved {
            home: self.home.clone(),
            values,
            rules: user.rules.into_iter().chain(project.rules).collect(),
            providers: provider::resolve(&user.providers, &|name| self.variable(name)),
            models,
            servers,
            standing,
            notices,
        })
    }

    /// The workspace's file if it is trusted; otherwise nothing, and a notice that says so.
    fn project_file(
        &self,
        standing: Option<Standing>,
        notices: &mut Vec<Notice>,
    ) -> Result<ConfigFile, Error> {
        let (Some((path, bytes)), Some(standing)) = (&self.project, standing) else {
            return Ok(ConfigFile::default());
        };
        let parsed = parse(Layer::Project, path, bytes);
        let Some(objection) = standing.objection() else {
            let mut file = parsed?;
            notices.append(&mut file.notices);
            file.trusted.clear();
            file.refused.clear();
            return Ok(file);
        };
        let broken = parsed
            .err()
            .map_or(String::new(), |error| format!(" ({error})"));
        notices.push(Notice {
            source: Source::first_line(Layer::Project, path),
            message: format!("{objection}{broken}"),
        });
        Ok(ConfigFile::default())
    }

    fn variable(&self, name: &str) -> Option<String> {
        self.environment
            .get(name)
            .filter(|value| !value.trim().is_empty())
            .cloned()
    }

    fn apply_environment(
        &self,
        values: &mut BTreeMap<&'static str, Sourced<Value>>,
        notices: &mut Vec<Notice>,
    ) -> Result<(), Error> {
        for key in KEYS {
            let variable = key::variable(key);
            if let Some(text) = self.variable(&variable) {
                let value =
                    value::from_text(key.kind, &text).map_err(|message| Error::Environment {
                        variable: variable.clone(),
                        message,
                    })?;
                let source = Source::Environment(variable);
                values.insert(key.name, Sourced { value, source });
            }
        }
        notices.extend(
            self.environment
                .keys()
                .filter_map(|name| unknown_variable(name)),
        );
        Ok(())
    }

    fn apply_flags(
        &self,
        values: &mut BTreeMap<&'static str, Sourced<Value>>,
    ) -> Result<(), Error> {
        for (name, flag, text) in &self.flags {
            let wrong = |message: String| Error::Flag {
                flag: flag.clone(),
                message,
            };
            let key = key::find(name).ok_or_else(|| wrong(format!("sets no key `{name}`")))?;
            let value = value::from_text(key.kind, text).map_err(wrong)?;
            let source = Source::Flag(flag.clone());
            values.insert(key.name, Sourced { value, source });
        }
        Ok(())
    }
}

fn defaults() -> BTreeMap<&'static str, Sourced<Value>> {
    let value = |key: &Key| {
        if key.default.is_empty() {
            return Value::Unset;
        }
        value::from_text(key.kind, key.default).unwrap_or(Value::Unset)
    };
    KEYS.iter()
        .map(|key| {
            let sourced = Sourced {
                value: value(key),
                source: Source::Default,
            };
            (key.name, sourced)
        })
        .collect()
}

/// The variable that holds the token of a host elsewhere: no setting, since it belongs to that host.
const HOST_TOKEN: &str = "QUIRE_HOST_TOKEN";

/// A notice for a variable that looks like one of ours and is a near miss.
fn unknown_variable(name: &str) -> Option<Notice> {
    let known: Vec<String> = KEYS
        .iter()
        .map(key::variable)
        .chain(["QUIRE_HOME".to_owned(), HOST_TOKEN.to_owned()])
        .collect();
    if !name.starts_with("QUIRE_") || known.iter().any(|variable| variable == name) {
        return None;
    }
    let near = key::nearest(name, known.iter().map(String::as_str))?;
    Some(Notice {
        source: Source::Environment(name.to_owned()),
        message: format!("sets nothing; did you mean `{near}`?"),
    })
}

/// Notices for models that have several names, with other facts under each. What is known of a model
/// belongs to what its provider calls it, so that the last of them counts for all.
fn same_models(models: &BTreeMap<String, ModelEntry>) -> Vec<Notice> {
    let mut named: BTreeMap<(&str, &str), (&str, &ModelEntry)> = BTreeMap::new();
    let mut notices = Vec::new();
    for (name, entry) in models {
        let Some((other, before)) = named.insert((&entry.provider, &entry.name), (name, entry))
        else {
            continue;
        };
        let same = ModelEntry {
            source: entry.source.clone(),
            ..before.clone()
        };
        if same != *entry {
            notices.push(Notice {
                source: entry.source.clone(),
                message: format!(
                    "[models.{other}] and [models.{name}] are both {}/{}, and what is said of a model holds \
                     for all its names: where they differ, [models.{name}] counts. Say it in one of them",
                    entry.provider, entry.name
                ),
            });
        }
    }
    notices
}
