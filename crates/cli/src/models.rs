//! `quire models`: what is known of models, and where each value comes from.

use std::io::IsTerminal as _;
use std::process::ExitCode;

use quire_headless::{model_card, model_list};

use crate::args::ModelsCommand;
use crate::surroundings::Surroundings;
use crate::{assemble, terminal, usage};

pub(crate) fn models(
    command: Option<ModelsCommand>,
    surroundings: &Surroundings,
) -> anyhow::Result<ExitCode> {
    let style = terminal::style(surroundings, std::io::stdout().is_terminal());
    terminal::print(&match command.unwrap_or(ModelsCommand::List) {
        ModelsCommand::List => {
            let resolved = surroundings.settings([])?;
            let (_, catalogue) = assemble::models(surroundings, &resolved);
            let set = resolved.models().iter().map(|(name, entry)| {
                let model = format!("{}/{}", entry.provider, entry.name);
                catalogue.line(format!("{name} = {model}"), &model)
            });
            let builtin = catalogue.known();
            let builtin = builtin.map(|name| catalogue.line(name.clone(), &name));
            let lines = set.chain(builtin);
            model_list(lines.collect(), style)
        }
        ModelsCommand::Show { name } => {
            let name = quire_catalogue::Catalogue::builtin().meant(name);
            let resolved = surroundings.settings([("model", "the name", name)])?;
            let model = resolved.model_name().map_err(usage)?;
            let (_, catalogue) = assemble::models(surroundings, &resolved);
            let (provider, name) = model.split_once('/').unwrap_or_default();
            let described = resolved.providers().get(provider).map(|one| one.dialect);
            let dialect = assemble::dialect(described.unwrap_or(quire_config::Dialect::Chat));
            let lines = catalogue.card(provider, name, dialect).into_iter();
            let lines = lines.map(|line| [line.about, line.origin.name().to_owned(), line.value]);
            model_card(&model, lines.collect(), style)
        }
    })?;
    Ok(ExitCode::SUCCESS)
}
