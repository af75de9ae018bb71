//! Servers of the Model Context Protocol that a person, or a trusted folder, describes: how each is
//! started or reached, what it is given, and which of its tools are offered.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use crate::provider::Secret;
use crate::resolved::Notice;
use crate::source::{Layer, Source, Sourced};
use crate::url;

/// A server of tools.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct McpServer {
    /// How it is talked to.
    pub transport: McpTransport,
    /// Which of its tools are offered, each a name or the beginning of names with `*` behind it; absent
    /// where all are.
    pub tools: Option<Vec<String>>,
    /// How long it may take until it has told its tools.
    pub start: Duration,
    /// How long one call may take.
    pub timeout: Duration,
    /// Whether it is used; otherwise it is described and nothing else.
    pub enabled: bool,
    /// Where it is described.
    pub source: Source,
}

/// How a server is talked to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum McpTransport {
    /// It is a process, by its stdin and stdout.
    Process(McpProcess),
    /// It runs elsewhere, by streamable HTTP.
    Http(McpHttp),
}

/// A server that is started as a process.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct McpProcess {
    /// The program and its arguments; never empty.
    pub command: Vec<String>,
    /// Where it is started, absolute; absent for the folder that is worked in. One of the person's own file
    /// that has more than commands have starts at `/` unless something else is said: a folder that
    /// nobody trusted may hold what such a program loads from where it starts.
    pub directory: Option<PathBuf>,
    /// Names of the person's variables that it gets besides those that commands get. None of them is
    /// in `variables`.
    pub environment: Vec<String>,
    /// Variables that it gets, with their values.
    pub variables: BTreeMap<String, Secret>,
    /// Domains that it may reach besides those that commands may, written as for those.
    pub domains: Vec<String>,
    /// Folders that it may write besides those that commands may; absolute where the home folder is known.
    pub writable: Vec<PathBuf>,
    /// Whether it runs in the sandbox. One that does not is described in the person's own file.
    pub confined: bool,
}

/// A server that is reached by HTTP.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct McpHttp {
    /// Where it is: `http://…` or `https://…`, with a host and without a name, a password or a `#`.
    pub url: String,
    /// Headers sent with each request. None is `Authorization` where there is a `key_env`.
    pub headers: BTreeMap<String, Secret>,
    /// The environment variable that holds its token.
    pub key_env: Option<String>,
    /// The token from that variable, sent as `Authorization: Bearer …`. Absent where the variable is not set.
    pub key: Option<Sourced<Secret>>,
}

impl McpServer {
    /// What it is, in a line for a person: no value of a variable, a header or a query.
    pub(crate) fn line(&self) -> String {
        let mut parts = match &self.transport {
            McpTransport::Process(process) => process.parts(),
            McpTransport::Http(http) => http.parts(),
        };
        if let Some(tools) = &self.tools {
            parts.push(format!("tools {tools:?}"));
        }
        if !self.enabled {
            parts.push("not enabled".to_owned());
        }
        parts.join(", ")
    }

    /// What it lets happen, for a person who is to trust the file that describes it.
    pub(crate) fn loosens(&self) -> Option<&'static str> {
        match &self.transport {
            _ if !self.enabled => None,
            McpTransport::Process(_) => Some("this program is started whenever you work here"),
            McpTransport::Http(_) => Some("what the model gives to its tools is sent there"),
        }
    }
}

impl McpProcess {
    /// Whether it has something that commands may not have.
    fn has_more(&self) -> bool {
        let more = [self.environment.len(), self.variables.len()];
        let more = more
            .into_iter()
            .chain([self.domains.len(), self.writable.len()]);
        !self.confined || more.sum::<usize>() > 0
    }

    /// Where it is started in the end.
    fn started_in(&self, is_own: bool, expand: &dyn Fn(&str) -> PathBuf) -> Option<PathBuf> {
        match &self.directory {
            Some(here) if here.as_os_str() == "." => None,
            Some(path) => Some(expand(&path.to_string_lossy())),
            None => (is_own && self.has_more()).then(|| PathBuf::from("/")),
        }
    }

    fn parts(&self) -> Vec<String> {
        let mut parts = vec![format!("starts {:?}", self.command)];
        let mut part = |what: &str, list: String| {
            if list != "[]" {
                parts.push(format!("{what} {list}"));
            }
        };
        let variables: Vec<&String> = self
            .environment
            .iter()
            .chain(self.variables.keys())
            .collect();
        part("with variables", format!("{variables:?}"));
        part("reaches", format!("{:?}", self.domains));
        part("writes", format!("{:?}", self.writable));
        if let Some(directory) = &self.directory {
            parts.push(format!("in {:?}", directory.to_string_lossy()));
        }
        if !self.confined {
            parts.push("without a sandbox".to_owned());
        }
        parts
    }
}

impl McpHttp {
    fn parts(&self) -> Vec<String> {
        let mut parts = vec![format!("at {}", url::shown(&self.url))];
        if !self.headers.is_empty() {
            let names: Vec<&String> = self.headers.keys().collect();
            parts.push(format!("with headers {names:?}"));
        }
        match (&self.key, &self.key_env) {
            (Some(key), _) => parts.push(format!("key from {}", key.source)),
            (None, Some(key_env)) => parts.push(format!("no key ({key_env} is not set)")),
            (None, None) => {}
        }
        parts
    }
}

/// Whether a server may be called so. Its tools are `mcp__NAME__TOOL` to the model, so that the name
/// must end where it seems to.
pub(crate) fn name_fits(name: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    (1..=32).contains(&name.len())
        && name
            .bytes()
            .all(|byte| plain(byte) || b"_-".contains(&byte))
        && name.bytes().next().is_some_and(plain)
        && !name.contains("__")
        && !name.ends_with('_')
}

/// All servers: those of the person's own file, and those of the folder's that have other names. Paths
/// are made absolute by `expand`, keys looked up by `variable`.
pub(crate) fn resolve(
    mut servers: BTreeMap<String, McpServer>,
    folder: BTreeMap<String, McpServer>,
    expand: &dyn Fn(&str) -> PathBuf,
    variable: &dyn Fn(&str) -> Option<String>,
    notices: &mut Vec<Notice>,
) -> BTreeMap<String, McpServer> {
    for (name, server) in folder {
        if let Some(own) = servers.get(&name) {
            notices.push(Notice {
                source: server.source,
                message: format!(
                    "ignored: the server {name} of your own file counts ({})",
                    own.source
                ),
            });
        } else {
            servers.insert(name, server);
        }
    }
    for server in servers.values_mut() {
        let is_own =
            !matches!(&server.source, Source::File { layer, .. } if *layer == Layer::Project);
        match &mut server.transport {
            McpTransport::Process(process) => {
                process.directory = process.started_in(is_own, expand);
                for path in &mut process.writable {
                    *path = expand(&path.to_string_lossy());
                }
            }
            McpTransport::Http(http) => {
                let found = http
                    .key_env
                    .as_ref()
                    .and_then(|name| Some((name, variable(name)?)));
                http.key = found.map(|(name, text)| Sourced {
                    value: Secret::new(text.trim()),
                    source: Source::Environment(name.clone()),
                });
            }
        }
    }
    servers
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_taken_or_refused() {
        let long = "a".repeat(32);
        for name in ["a", "7", "github", "my-server_2", "a-", &long] {
            assert!(name_fits(name), "{name}");
        }
        let longer = "a".repeat(33);
        for name in [
            "", "_a", "-a", "a__b", "a_", "A", "a b", "a.b", "ä", "a\n", &longer,
        ] {
            assert!(!name_fits(name), "{name}");
        }
    }
}
