//! Everything that is set, as lines for a person: the value, and where it came from.

use std::fmt::Write as _;

use crate::resolved::Resolved;

/// Columns that values may widen the table to.
const WIDEST: usize = 48;

impl Resolved {
    /// Every key, rule, provider, model and MCP server, a line each with its source; then what is odd.
    /// Keys of providers, and what servers are given in confidence, are never shown.
    #[must_use]
    pub fn table(&self) -> String {
        let mut text = self.keys();
        for rule in self.rules() {
            let action = format!("{:?}", rule.value.action).to_lowercase();
            let prefix = rule.value.prefix.join(" ");
            let _ = writeln!(text, "rule: {action} `{prefix}`  {}", rule.source);
        }
        for (name, provider) in self.providers() {
            let key = match &provider.key {
                Some(key) => format!("key from {}", key.source),
                None if provider.key_env.is_empty() => "no key".to_owned(),
                None => format!("no key ({} is not set)", provider.key_env),
            };
            let (dialect, url) = (provider.dialect.name(), &provider.base_url);
            let _ = writeln!(
                text,
                "provider {name}: {dialect} at {} ({}), {key}",
                url.value, url.source
            );
        }
        for (name, model) in self.models() {
            let _ = writeln!(
                text,
                "model {name}: {}/{}  {}",
                model.provider, model.name, model.source
            );
        }
        for (name, server) in self.mcp_servers() {
            let _ = writeln!(text, "mcp {name}: {}  {}", server.line(), server.source);
        }
        for notice in self.notices() {
            let _ = writeln!(text, "note: {}: {}", notice.source, notice.message);
        }
        text
    }

    fn keys(&self) -> String {
        let rows: Vec<[String; 3]> = self
            .rows()
            .map(|row| {
                [
                    row.key.name.to_owned(),
                    row.value.to_string(),
                    row.source.to_string(),
                ]
            })
            .collect();
        let width = |column: usize| {
            let cells = rows.iter().map(|row| row[column].chars().count());
            cells.max().unwrap_or(0).min(WIDEST)
        };
        let (names, values) = (width(0), width(1));
        let mut text = String::new();
        for [name, value, source] in &rows {
            let _ = writeln!(text, "{name:names$}  {value:values$}  {source}");
        }
        text
    }
}
