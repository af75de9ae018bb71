//! A settings file: bytes in, what it says with its lines out. Never panics, whatever the bytes.

use std::collections::BTreeMap;
use std::ops::Range;
use std::path::{Path, PathBuf};

use quire_protocol::{Rule, RuleAction};
use toml_edit::{Document, Item, TableLike, Value as Toml};

use crate::error::Error;
use crate::key::{self, KEYS, Key};
use crate::mcp::McpServer;
use crate::provider::{Described, ModelEntry};
use crate::resolved::Notice;
use crate::source::{Layer, Source, Sourced};
use crate::trust::Trusted;
use crate::value::{self, Value};

mod mcp;
mod tables;

/// What one file says.
#[derive(Clone, Debug, Default)]
pub struct ConfigFile {
    pub(crate) values: Vec<(&'static Key, Sourced<Value>)>,
    pub(crate) rules: Vec<Sourced<Rule>>,
    pub(crate) providers: BTreeMap<String, Described>,
    pub(crate) models: BTreeMap<String, ModelEntry>,
    pub(crate) servers: BTreeMap<String, McpServer>,
    pub(crate) trusted: Vec<Trusted>,
    /// Like `trusted`: what was looked at and is not to count.
    pub(crate) refused: Vec<Trusted>,
    /// What is odd in it but does no harm: unknown keys.
    pub notices: Vec<Notice>,
}

impl ConfigFile {
    /// Whether it sets nothing at all.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.values.is_empty()
            && self.rules.is_empty()
            && self.providers.is_empty()
            && self.models.is_empty()
            && self.servers.is_empty()
            && self.trusted.is_empty()
            && self.refused.is_empty()
    }
}

/// Reads the bytes of a settings file. `layer` and `path` are remembered as where values came
/// from. Unknown keys are notices; a value that does not fit its key is an error with its place.
pub fn parse(layer: Layer, path: &Path, bytes: &[u8]) -> Result<ConfigFile, Error> {
    let text = std::str::from_utf8(bytes).map_err(|error| {
        let valid = bytes.get(..error.valid_up_to()).unwrap_or_default();
        let text = String::from_utf8_lossy(valid);
        let at = text.len();
        Reader::new(layer, path, &text).error(at..at, "this is not UTF-8 text; save it as UTF-8")
    })?;
    let mut reader = Reader::new(layer, path, text);
    let document = Document::parse(text)
        .map_err(|error| reader.error(error.span().unwrap_or(0..0), error.message()))?;
    reader.table("", document.as_table())?;
    Ok(reader.file)
}

/// Tables whose keys are settings.
const SECTIONS: &[&str] = &["network", "context", "store"];
/// What a file may hold besides settings with one value.
const SPECIAL: &[&str] = &["trusted", "refused", "rule", "providers", "models", "mcp"];

/// Walks one document and gathers what it says.
struct Reader<'a> {
    layer: Layer,
    path: &'a Path,
    text: &'a str,
    file: ConfigFile,
}

impl<'a> Reader<'a> {
    fn new(layer: Layer, path: &'a Path, text: &'a str) -> Self {
        Self {
            layer,
            path,
            text,
            file: ConfigFile::default(),
        }
    }

    fn table(&mut self, prefix: &str, table: &dyn TableLike) -> Result<(), Error> {
        for (name, item) in table.iter() {
            let full = match prefix {
                "" => name.to_owned(),
                _ => format!("{prefix}.{name}"),
            };
            let at = key_span(table, name);
            if let Some(key) = key::find(&full) {
                self.setting(key, item, at)?;
            } else if SECTIONS.contains(&full.as_str()) {
                let section = self.table_like(&full, item, &at)?;
                self.table(&full, section)?;
            } else {
                match full.as_str() {
                    "trusted" | "refused" => self.trusted(&full, item, at)?,
                    "rule" => self.rules(item, &at)?,
                    "providers" => self.providers(item, &at)?,
                    "models" => self.models(item, &at)?,
                    "mcp" => self.servers(item, &at)?,
                    _ => self.unknown(&full, &at),
                }
            }
        }
        Ok(())
    }

    fn setting(&mut self, key: &'static Key, item: &Item, at: Range<usize>) -> Result<(), Error> {
        let source = self.source(&at);
        let Some(toml) = item.as_value() else {
            return Err(self.misfit(key.name, &key.kind.expected(), at));
        };
        let span = toml.span().unwrap_or(at);
        let raw = self.text.get(span.clone()).unwrap_or_default();
        let value = value::from_toml(key.kind, toml, raw)
            .map_err(|message| self.error(span, &format!("`{}`: {message}", key.name)))?;
        self.file.values.push((key, Sourced { value, source }));
        Ok(())
    }

    fn trusted(&mut self, name: &str, item: &Item, at: Range<usize>) -> Result<(), Error> {
        let entries: Option<Vec<Trusted>> = item
            .as_array()
            .and_then(|entries| entries.iter().map(trusted_entry).collect());
        let expected = "a list of folders as `quire config trust` writes it";
        let entries = entries.ok_or_else(|| self.misfit(name, expected, at))?;
        let known = match name {
            "refused" => &mut self.file.refused,
            _ => &mut self.file.trusted,
        };
        known.extend(entries);
        Ok(())
    }

    fn rules(&mut self, item: &Item, at: &Range<usize>) -> Result<(), Error> {
        let rules: Vec<&dyn TableLike> = if let Some(tables) = item.as_array_of_tables() {
            tables.iter().map(|table| table as &dyn TableLike).collect()
        } else {
            item.as_array()
                .map(|array| array.iter().map(Toml::as_inline_table))
                .and_then(|tables| tables.map(|table| Some(table? as &dyn TableLike)).collect())
                .ok_or_else(|| {
                    let expected = "[[rule]] tables with prefix = [\"git\", \"push\"] and \
                                    action = \"allow\", \"ask\" or \"deny\"";
                    self.misfit("rule", expected, at.clone())
                })?
        };
        for rule in rules {
            self.rule(rule, at)?;
        }
        Ok(())
    }

    fn rule(&mut self, table: &dyn TableLike, at: &Range<usize>) -> Result<(), Error> {
        self.only(table, "rule", &["prefix", "action"]);
        let first = table.iter().next().map(|(name, _)| key_span(table, name));
        let at = first.unwrap_or_else(|| at.clone());
        let prefix = table
            .get("prefix")
            .and_then(texts)
            .filter(|words| !words.is_empty() && words.iter().all(|word| !word.is_empty()))
            .ok_or_else(|| {
                let at = span_of(table, "prefix", &at);
                self.misfit(
                    "rule.prefix",
                    "a list of words like [\"git\", \"push\"]",
                    at,
                )
            })?;
        let action = match table.get("action").and_then(Item::as_str) {
            Some("allow") => RuleAction::Allow,
            Some("ask") => RuleAction::Ask,
            Some("deny") => RuleAction::Deny,
            _ => {
                let at = span_of(table, "action", &at);
                return Err(self.misfit("rule.action", "\"allow\", \"ask\" or \"deny\"", at));
            }
        };
        let source = self.source(&at);
        let value = Rule { prefix, action };
        self.file.rules.push(Sourced { value, source });
        Ok(())
    }

    fn table_like<'t>(
        &self,
        name: &str,
        item: &'t Item,
        at: &Range<usize>,
    ) -> Result<&'t dyn TableLike, Error> {
        item.as_table_like()
            .ok_or_else(|| self.misfit(name, "a table", at.clone()))
    }

    /// Notes the keys of a table that are not among the known ones.
    fn only(&mut self, table: &dyn TableLike, prefix: &str, known: &[&str]) {
        for (name, _) in table.iter().filter(|(name, _)| !known.contains(name)) {
            let near = key::nearest(name, known.iter().copied());
            self.notice(&format!("{prefix}.{name}"), near, &key_span(table, name));
        }
    }

    fn unknown(&mut self, name: &str, at: &Range<usize>) {
        let known = KEYS.iter().map(|key| key.name);
        let near = key::nearest(name, known.chain(SPECIAL.iter().copied()));
        self.notice(name, near, at);
    }

    fn notice(&mut self, name: &str, near: Option<&str>, at: &Range<usize>) {
        let hint = near.map_or(String::new(), |near| format!("; did you mean `{near}`?"));
        self.file.notices.push(Notice {
            source: self.source(at),
            message: format!("there is no setting `{}`{hint}", short(name)),
        });
    }

    fn misfit(&self, name: &str, expected: &str, at: Range<usize>) -> Error {
        self.error(at, &format!("`{}`: expected {expected}", short(name)))
    }

    fn error(&self, span: Range<usize>, message: &str) -> Error {
        let (line, column) = position(self.text, span.start);
        Error::File {
            path: self.path.to_path_buf(),
            line,
            column,
            message: message.to_owned(),
        }
    }

    fn source(&self, span: &Range<usize>) -> Source {
        Source::File {
            layer: self.layer,
            path: self.path.to_path_buf(),
            line: position(self.text, span.start).0,
        }
    }
}

/// A trusted folder: `{ folder = "/…", sha256 = "…" }`, or the folder alone.
pub(crate) fn trusted_entry(entry: &Toml) -> Option<Trusted> {
    let (folder, sha256) = match entry {
        Toml::InlineTable(table) => (
            table.get("folder")?.as_str()?,
            Some(table.get("sha256")?.as_str()?.to_owned()),
        ),
        entry => (entry.as_str()?, None),
    };
    folder.starts_with('/').then(|| Trusted {
        folder: PathBuf::from(folder),
        sha256,
    })
}

/// A list of texts, if that is what it is.
fn texts(item: &Item) -> Option<Vec<String>> {
    let text = |value: &Toml| value.as_str().map(str::to_owned);
    item.as_array()?.iter().map(text).collect()
}

fn key_span(table: &dyn TableLike, name: &str) -> Range<usize> {
    table
        .key(name)
        .and_then(toml_edit::Key::span)
        .unwrap_or_default()
}

/// Where the value of a key is, or `otherwise` when it is missing.
fn span_of(table: &dyn TableLike, name: &str, otherwise: &Range<usize>) -> Range<usize> {
    table
        .get(name)
        .and_then(Item::span)
        .unwrap_or_else(|| otherwise.clone())
}

/// A name of any length and content, fit to be shown in a line.
fn short(name: &str) -> String {
    name.chars().take(60).flat_map(char::escape_debug).collect()
}

/// Line and column, counted from 1, of a byte.
fn position(text: &str, offset: usize) -> (u32, u32) {
    let before = &text[..text.floor_char_boundary(offset)];
    let line = before.matches('\n').count() + 1;
    let column = before
        .rsplit('\n')
        .next()
        .unwrap_or_default()
        .chars()
        .count()
        + 1;
    let count = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
    (count(line), count(column))
}
