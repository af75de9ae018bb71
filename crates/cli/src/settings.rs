//! `quire config`: every setting and where it comes from.

use std::fmt::Write as _;
use std::io::ErrorKind;
use std::process::ExitCode;

use anyhow::Context as _;
use quire_config::{Resolved, set, trust};

use crate::args::{ConfigArgs, ConfigCommand};
use crate::surroundings::Surroundings;
use crate::{terminal, usage};

pub(crate) fn config(args: ConfigArgs, surroundings: &Surroundings) -> anyhow::Result<ExitCode> {
    match args.command.unwrap_or(ConfigCommand::Show) {
        ConfigCommand::Show => {
            let resolved = surroundings.settings([])?;
            terminal::print(&shown(surroundings, &resolved))?;
        }
        ConfigCommand::Set { key, value } => {
            edit(surroundings, |path, text| set(path, text, &key, &value))?
        }
        ConfigCommand::Trust => edit(surroundings, |path, text| {
            trust(path, text, &surroundings.workspace)
        })?,
    }
    Ok(ExitCode::SUCCESS)
}

fn shown(surroundings: &Surroundings, resolved: &Resolved) -> String {
    let mut text = String::new();
    let rows: Vec<[String; 3]> = resolved
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
        cells.max().unwrap_or(0).min(48)
    };
    let (names, values) = (width(0), width(1));
    for [name, value, source] in &rows {
        let _ = writeln!(text, "{name:names$}  {value:values$}  {source}");
    }
    for rule in resolved.rules() {
        let action = format!("{:?}", rule.value.action).to_lowercase();
        let _ = writeln!(
            text,
            "rule: {action} `{}`  {}",
            rule.value.prefix.join(" "),
            rule.source
        );
    }
    for (name, provider) in resolved.providers() {
        let key = match &provider.key {
            Some(key) => format!("key from {}", key.source),
            None if provider.key_env.is_empty() => "no key".to_owned(),
            None => format!("no key ({} is not set)", provider.key_env),
        };
        let _ = writeln!(
            text,
            "provider {name}: {} at {} ({}), {key}",
            provider.dialect.name(),
            provider.base_url.value,
            provider.base_url.source
        );
    }
    for (name, model) in resolved.models() {
        let _ = writeln!(
            text,
            "model {name}: {}/{}  {}",
            model.provider, model.name, model.source
        );
    }
    let _ = writeln!(
        text,
        "config file: {}",
        surroundings.paths.config_file().display()
    );
    let _ = writeln!(text, "data folder: {}", surroundings.paths.data.display());
    for notice in resolved.notices() {
        let _ = writeln!(text, "note: {}: {}", notice.source, notice.message);
    }
    text
}

/// Changes the person's own file, keeping its comments; written beside it and moved over it.
fn edit(
    surroundings: &Surroundings,
    change: impl FnOnce(&std::path::Path, &str) -> Result<String, quire_config::Error>,
) -> anyhow::Result<()> {
    let path = surroundings.paths.config_file();
    let text = match std::fs::read_to_string(&path) {
        Ok(text) => text,
        Err(error) if error.kind() == ErrorKind::NotFound => String::new(),
        Err(error) => return Err(usage(format!("cannot read {}: {error}", path.display()))),
    };
    let changed = change(&path, &text).map_err(usage)?;
    let cannot = || format!("cannot write {}", path.display());
    std::fs::create_dir_all(&surroundings.paths.config).with_context(cannot)?;
    let beside = path.with_extension("toml.new");
    std::fs::write(&beside, changed).with_context(cannot)?;
    std::fs::rename(&beside, &path).with_context(cannot)?;
    terminal::complain(&format!("wrote {}", path.display()));
    Ok(())
}
