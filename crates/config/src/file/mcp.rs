//! `[mcp.NAME]`.

use std::collections::BTreeMap;
use std::ops::Range;
use std::path::PathBuf;
use std::time::Duration;

use toml_edit::{Item, TableLike, Value as Toml};

use super::{Reader, key_span, span_of};
use crate::error::Error;
use crate::key::Kind;
use crate::mcp::{McpHttp, McpProcess, McpServer, McpTransport, name_fits};
use crate::provider::Secret;
use crate::resolved::Notice;
use crate::source::Layer;
use crate::url::Address;
use crate::value::{self, Value, entry_fits};

const SERVER: &[&str] = &[
    "command",
    "directory",
    "environment",
    "variables",
    "domains",
    "writable",
    "sandbox",
    "url",
    "headers",
    "key_env",
    "tools",
    "start_s",
    "timeout_s",
    "enabled",
];
/// What only the person's own file may say, and what it is that it says.
const OWN: &[(&str, &str)] = &[
    (
        "sandbox",
        "only your own file may take a server out of the sandbox",
    ),
    (
        "environment",
        "only your own file may give a server variables of yours",
    ),
    (
        "headers",
        "only your own file may say what is sent with requests",
    ),
    ("key_env", "only your own file may say where keys are sent"),
];
/// What is for a process, and for a server elsewhere.
const OF_PROCESS: &[&str] = &[
    "directory",
    "environment",
    "variables",
    "domains",
    "writable",
    "sandbox",
];
const OF_HTTP: &[&str] = &["headers", "key_env"];
/// Seconds that a server has to start, and that a call has, where nothing is said.
const START_S: u32 = 30;
const TIMEOUT_S: u32 = 300;

impl Reader<'_> {
    pub(super) fn servers(&mut self, item: &Item, at: &Range<usize>) -> Result<(), Error> {
        let all = self.table_like("mcp", item, at)?;
        for (name, item) in all.iter() {
            let at = key_span(all, name);
            let path = format!("mcp.{name}");
            if !name_fits(name) {
                let expected = "a name of 1 to 32 of a-z, 0-9, - and _, which begins with a letter or \
                                digit, does not end with _ and has no __ in it";
                return Err(self.misfit(&path, expected, at));
            }
            let mut item = item.clone();
            if let Some(table) = item.as_table_like_mut() {
                self.only(table, &path, SERVER);
                self.leave_out(&path, table);
            }
            let table = self.table_like(&path, &item, &at)?;
            let server = self.server(&path, table, &at)?;
            self.file.servers.insert(name.to_owned(), server);
        }
        Ok(())
    }

    /// Takes out what does not count in this file or for this kind of server, and notes it.
    fn leave_out(&mut self, path: &str, table: &mut dyn TableLike) {
        let mut out: Vec<(&str, &str)> = Vec::new();
        if self.layer == Layer::Project {
            out.extend(OWN);
        }
        if table.contains_key("url") {
            let why = "it is for a server that `command` starts";
            out.extend(OF_PROCESS.iter().map(|name| (*name, why)));
        }
        if table.contains_key("command") {
            let why = "it is for a server that has a `url`";
            out.extend(OF_HTTP.iter().map(|name| (*name, why)));
        }
        for (name, why) in out {
            self.leave_out_one(path, table, name, why);
        }
        if table.contains_key("sandbox") {
            for name in ["domains", "writable"] {
                let why = "without a sandbox it may do all that you may";
                self.leave_out_one(path, table, name, why);
            }
        }
    }

    fn leave_out_one(&mut self, path: &str, table: &mut dyn TableLike, name: &str, why: &str) {
        let at = key_span(table, name);
        if table.remove(name).is_some() {
            self.file.notices.push(Notice {
                source: self.source(&at),
                message: format!("`{path}.{name}` is ignored: {why}"),
            });
        }
    }

    fn server(
        &mut self,
        path: &str,
        table: &dyn TableLike,
        at: &Range<usize>,
    ) -> Result<McpServer, Error> {
        let transport = match (table.contains_key("command"), table.contains_key("url")) {
            (true, false) => McpTransport::Process(self.process(path, table, at)?),
            (false, true) => McpTransport::Http(self.http(path, table, at)?),
            _ => {
                let expected = "either command = [\"…\"] or url = \"https://…\"";
                return Err(self.misfit(path, expected, at.clone()));
            }
        };
        Ok(McpServer {
            transport,
            tools: self.tools_of(path, table)?,
            start: self.seconds_of(path, table, "start_s", START_S)?,
            timeout: self.seconds_of(path, table, "timeout_s", TIMEOUT_S)?,
            enabled: self.toggle_of(path, table, "enabled")?.unwrap_or(true),
            source: self.source(at),
        })
    }

    fn process(
        &mut self,
        path: &str,
        table: &dyn TableLike,
        at: &Range<usize>,
    ) -> Result<McpProcess, Error> {
        let off = |name: &str| (name == "off").then_some(());
        let expected = "\"off\"; leave it out, and the server is confined";
        let unconfined = self.word_of(path, table, "sandbox", expected, off)?;
        let variables = self.variables(path, table, at)?;
        let mut environment = self.list_of(path, table, "environment", Kind::Names)?;
        if let Some(name) = environment
            .iter()
            .find(|name| variables.contains_key(*name))
        {
            let at = span_of(table, "environment", at);
            self.file.notices.push(Notice {
                source: self.source(&at),
                message: format!(
                    "`{path}`: {name} is in variables too, and the value there counts"
                ),
            });
        }
        environment.retain(|name| !variables.contains_key(name));
        let writable = self.list_of(path, table, "writable", Kind::Folders)?;
        let folder = |text: &str| {
            let is_one = text == "." || text.starts_with('/') || text.starts_with("~/");
            (is_one && !text.contains('\0')).then(|| PathBuf::from(text))
        };
        let expected = "\".\" for the folder that is worked in, or a path from / or ~/";
        Ok(McpProcess {
            command: self.command(path, table)?,
            directory: self.word_of(path, table, "directory", expected, folder)?,
            environment,
            variables,
            domains: self.list_of(path, table, "domains", Kind::Domains)?,
            writable: writable.into_iter().map(PathBuf::from).collect(),
            confined: unconfined.is_none(),
        })
    }

    fn command(&self, path: &str, table: &dyn TableLike) -> Result<Vec<String>, Error> {
        let expected = "a program and its arguments like [\"npx\", \"-y\", \"server\"]";
        let words = self.field(path, table, "command", expected, |value, _| {
            let word = |word: &Toml| {
                let word = word.as_str()?;
                (!word.contains('\0')).then(|| word.to_owned())
            };
            let words: Vec<String> = value.as_array()?.iter().map(word).collect::<Option<_>>()?;
            words
                .first()?
                .chars()
                .any(|c| !c.is_whitespace())
                .then_some(words)
        })?;
        Ok(words.unwrap_or_default())
    }

    fn variables(
        &self,
        path: &str,
        table: &dyn TableLike,
        at: &Range<usize>,
    ) -> Result<BTreeMap<String, Secret>, Error> {
        let Some(item) = table.get("variables") else {
            return Ok(BTreeMap::new());
        };
        let at = span_of(table, "variables", at);
        let path = format!("{path}.variables");
        let variable = |(name, item): (&str, &Item)| {
            let value = item.as_str().filter(|value| !value.contains('\0'))?;
            entry_fits(Kind::Names, name).then(|| (name.to_owned(), Secret::new(value)))
        };
        let all = self.table_like(&path, item, &at)?;
        let all: Option<_> = all.iter().map(variable).collect();
        let expected = "variables with texts like { LOG_LEVEL = \"info\" }";
        all.ok_or_else(|| self.misfit(&path, expected, at))
    }

    fn http(
        &mut self,
        path: &str,
        table: &dyn TableLike,
        at: &Range<usize>,
    ) -> Result<McpHttp, Error> {
        let expected = "an address like https://example.org/mcp: http or https, a host, no name or \
                        password";
        let url = self.field(path, table, "url", expected, |value, _| {
            let url = value.as_str()?;
            Some((url.to_owned(), Address::of(url)?))
        })?;
        let (url, address) = url.ok_or_else(|| self.misfit(path, expected, at.clone()))?;
        if !address.encrypted && !address.loopback {
            let at = span_of(table, "url", at);
            self.file.notices.push(Notice {
                source: self.source(&at),
                message: format!(
                    "`{path}.url`: by http whoever is on the way reads and changes what is said, keys \
                     too; use https"
                ),
            });
        }
        let expected = "the name of a variable like GITHUB_TOKEN";
        let key_env = self.field(path, table, "key_env", expected, |value, _| {
            let name = value.as_str()?;
            entry_fits(Kind::Names, name).then(|| name.to_owned())
        })?;
        let headers = self.headers(path, table, at)?;
        let said = |name: &String| name.eq_ignore_ascii_case("authorization");
        if key_env.is_some() && headers.keys().any(said) {
            let at = span_of(table, "headers", at);
            let expected = "no Authorization beside key_env, which is sent as that";
            return Err(self.misfit(&format!("{path}.headers"), expected, at));
        }
        Ok(McpHttp {
            url,
            headers,
            key_env,
            key: None,
        })
    }

    fn tools_of(&self, path: &str, table: &dyn TableLike) -> Result<Option<Vec<String>>, Error> {
        let expected =
            "a list of names of tools like [\"search\", \"get_*\"]: a `*` stands at the end";
        self.field(path, table, "tools", expected, |value, _| {
            let tool = |tool: &Toml| {
                let tool = tool.as_str()?;
                let name = tool.strip_suffix('*').unwrap_or(tool);
                let fits = !tool.is_empty() && !name.contains(|c: char| c == '*' || c.is_control());
                fits.then(|| tool.to_owned())
            };
            value.as_array()?.iter().map(tool).collect()
        })
    }

    fn list_of(
        &self,
        path: &str,
        table: &dyn TableLike,
        name: &str,
        kind: Kind,
    ) -> Result<Vec<String>, Error> {
        let list =
            self.field(
                path,
                table,
                name,
                &kind.expected(),
                |value, raw| match value::from_toml(kind, value, raw) {
                    Ok(Value::List(list)) => Some(list),
                    _ => None,
                },
            )?;
        Ok(list.unwrap_or_default())
    }

    fn seconds_of(
        &self,
        path: &str,
        table: &dyn TableLike,
        name: &str,
        otherwise: u32,
    ) -> Result<Duration, Error> {
        let expected = "a time of at least a second like 30, 90s or 5m";
        let seconds = self.field(
            path,
            table,
            name,
            expected,
            |value, raw| match value::from_toml(Kind::Time, value, raw) {
                Ok(Value::Count(seconds)) => Some(seconds),
                _ => None,
            },
        )?;
        Ok(Duration::from_secs(seconds.unwrap_or(otherwise).into()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PAGE: &str = include_str!("../../../../docs/guide/mcp.md");

    #[test]
    fn the_guide_explains_every_key_and_no_other() {
        let rows = PAGE.lines().filter_map(|line| line.strip_prefix("| `"));
        let mut explained: Vec<&str> = rows
            .filter_map(|row| Some(row.split_once('`')?.0))
            .collect();
        let mut known = SERVER.to_vec();
        explained.sort_unstable();
        known.sort_unstable();
        assert_eq!(explained, known);
        for (name, seconds) in [("start_s", START_S), ("timeout_s", TIMEOUT_S)] {
            let row = PAGE
                .lines()
                .find(|line| line.starts_with(&format!("| `{name}` |")));
            assert!(
                row.is_some_and(|row| row.contains(&format!(": {seconds} unless set"))),
                "{name}"
            );
        }
    }

    #[test]
    fn what_the_guide_shows_is_taken_as_it_is() {
        let shown: Vec<&str> = PAGE
            .lines()
            .filter_map(|line| line.strip_prefix("    "))
            .collect();
        let file = crate::parse(Layer::User, "f".as_ref(), shown.join("\n").as_bytes());
        let file = file.unwrap_or_else(|error| panic!("{error}"));
        assert_eq!(file.notices, []);
        let names: Vec<&str> = file.servers.keys().map(String::as_str).collect();
        assert_eq!(names, ["github", "tracker"]);
        let prefixes: Vec<String> = file
            .rules
            .iter()
            .map(|rule| rule.value.prefix.join(" "))
            .collect();
        assert_eq!(prefixes, ["mcp:github get_issue", "mcp:tracker"]);
    }
}
