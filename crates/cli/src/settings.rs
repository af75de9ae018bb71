//! `quire config`: every setting and where it comes from.

use std::process::ExitCode;

use quire_config::{Layer, parse, refuse, set, trust, untrust};
use quire_protocol::{clean, spelled};
use quire_tui::Trusting;

use crate::args::{ConfigArgs, ConfigCommand};
use crate::surroundings::Surroundings;
use crate::{terminal, usage};

pub(crate) fn config(args: ConfigArgs, surroundings: &Surroundings) -> anyhow::Result<ExitCode> {
    match args.command.unwrap_or(ConfigCommand::Show) {
        ConfigCommand::Show => {
            let table = surroundings.settings([])?.table();
            let (file, data) = (surroundings.paths.config_file(), &surroundings.paths.data);
            terminal::print(&format!(
                "{}config file: {}\ndata folder: {}\n",
                clean(&table),
                spelled(&file),
                spelled(data)
            ))?;
        }
        ConfigCommand::Set { key, value } => {
            edit(surroundings, |path, text| set(path, text, &key, &value))?;
        }
        ConfigCommand::Trust => trust_folder(surroundings)?,
        ConfigCommand::Untrust => {
            let folder = &surroundings.workspace;
            edit(surroundings, |path, text| untrust(path, text, folder))?;
            terminal::print(&format!("no longer trusted: {}\n", spelled(folder)))?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// Trusts the folder's settings as they are, and says what they are.
fn trust_folder(surroundings: &Surroundings) -> anyhow::Result<()> {
    let folder = &surroundings.workspace;
    let (file, bytes) = surroundings.project_file()?;
    let bytes = bytes.ok_or_else(|| {
        usage(format!(
            "there is nothing to trust here: {} is not there",
            spelled(&file)
        ))
    })?;
    let parsed = parse(Layer::Project, &file, &bytes).map_err(usage)?;
    let sets = clean(&parsed.summary());
    edit(surroundings, |path, text| trust(path, text, folder, &bytes))?;
    terminal::print(&format!(
        "trusted: {}, while {} stays as it is; `quire config untrust` takes it back\n{sets}",
        spelled(folder),
        spelled(&file)
    ))
}

/// Asks whether the folder's settings may count, and remembers the answer.
pub(crate) fn ask_trust(surroundings: &Surroundings) -> anyhow::Result<()> {
    let (folder, (file, bytes)) = (&surroundings.workspace, surroundings.project_file()?);
    let bytes = bytes.unwrap_or_default();
    let Ok(parsed) = parse(Layer::Project, &file, &bytes) else {
        // What is wrong with it is said with why it does not count.
        return Ok(());
    };
    let listing = parsed.listing();
    if listing.is_empty() {
        return Ok(());
    }
    match quire_tui::trusting(&file, &listing)? {
        Trusting::Trusted => edit(surroundings, |path, text| trust(path, text, folder, &bytes)),
        Trusting::Refused => edit(surroundings, |path, text| {
            refuse(path, text, folder, &bytes)
        }),
        Trusting::Undecided => Ok(()),
    }
}

/// Changes the person's own file, keeping its comments.
fn edit(
    surroundings: &Surroundings,
    change: impl FnOnce(&std::path::Path, &str) -> Result<String, quire_config::Error>,
) -> anyhow::Result<()> {
    let path = surroundings.paths.config_file();
    quire_headless::edit(&path, change).map_err(usage)?;
    terminal::complain(&format!("wrote {}", spelled(&path)));
    Ok(())
}
