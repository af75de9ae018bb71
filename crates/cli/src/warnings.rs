//! What a person wants to know before the work begins: a weaker wall, an effort the model lacks, a
//! budget that cannot be kept.

use std::path::Path;
use std::sync::Arc;

use quire_config::Resolved;
use quire_instructions::{Extent, instruction_files};
use quire_model::{Catalogue, Images, ModelFacts};
use quire_protocol::{Content, Policy, Sandbox, Settings, Wall};

use crate::assemble::dialect;
use crate::{terminal, usage};

/// Refuses a budget that nobody can price.
pub(crate) fn keepable_budget(catalogue: &Catalogue, settings: &Settings) -> Result<(), String> {
    let model = &settings.model;
    if settings.limits.budget.is_some() && !facts(catalogue, model).prices.is_known() {
        return Err(format!(
            "a budget cannot be kept: no price is known for {model}. Give it prices under \
             [models.NAME] in the config, or take the budget off with --budget-usd none"
        ));
    }
    Ok(())
}

/// Refuses an image that nobody can see; says what becomes of an effort that the model lacks.
pub(crate) fn of_model(
    catalogue: &Catalogue,
    resolved: &Resolved,
    settings: &Settings,
    said: &[Content],
) -> anyhow::Result<()> {
    let model = &settings.model;
    let facts = facts(catalogue, model);
    let has_image = said.iter().any(|part| part.as_text().is_none());
    if has_image && facts.images == Images::Refused {
        return Err(usage(format!(
            "{model} takes no images, as the settings say: leave --image out, or take another model"
        )));
    }
    let (provider, _) = model.split_once('/').unwrap_or(("", model));
    if let Some(provider) = resolved.providers().get(provider)
        && let (_, Some(note)) = facts.effort(settings.effort, dialect(provider.dialect))
    {
        terminal::complain(&note);
    }
    Ok(())
}

fn facts(catalogue: &Catalogue, model: &str) -> ModelFacts {
    let (provider, name) = model.split_once('/').unwrap_or(("", model));
    catalogue.facts(provider, name)
}

/// Says which instruction files the model does not see all of.
pub(crate) fn of_instructions(personal: &Path, workspace: &Path) {
    for file in instruction_files(Some(personal), workspace) {
        if file.extent == Extent::Cut {
            terminal::complain(&format!(
                "{} is cut: the instruction files say more than 32 KB together, and those nearest \
                 to the work count most",
                file.path.display()
            ));
        }
    }
}

/// Says which wall stands when it is not the strongest. Where none can be built, a person who is
/// there is asked whether commands may run without; the answer is whether they do. Without a
/// person the walls are tried while the work begins, and commands stay refused.
pub(crate) async fn goes_unconfined(
    sandbox: Arc<dyn Sandbox>,
    policy: Policy,
    attended: bool,
) -> anyhow::Result<bool> {
    let trying = tokio::task::spawn_blocking(move || {
        let wall = sandbox.report(&policy).wall;
        if let Some(words) = quire_headless::weaker_wall(wall) {
            terminal::complain(words);
        }
        wall
    });
    if !attended || trying.await? != Wall::Refused {
        return Ok(false);
    }
    terminal::confirms("Run commands without a sandbox? They may then do everything you may.")
}
