//! What a person wants to know before the work begins: a weaker wall, an effort the model lacks, a
//! budget that cannot be kept.

use std::sync::Arc;

use quire_catalogue::Catalogue;
use quire_config::Resolved;
use quire_protocol::{Content, Policy, Sandbox, Settings, Wall};

use crate::assemble::dialect;
use crate::surroundings::Surroundings;
use crate::{terminal, usage};

/// Refuses what the model cannot do at all; says what becomes of an effort that it lacks.
pub(crate) fn of_model(
    catalogue: &Catalogue,
    resolved: &Resolved,
    settings: &Settings,
    said: &[Content],
) -> anyhow::Result<()> {
    let (provider, name) = settings.model.split_once('/').unwrap_or_default();
    let Some(described) = resolved.providers().get(provider) else {
        return Ok(());
    };
    let facts = catalogue.facts(provider, name);
    let reviewed = facts.review(dialect(described.dialect), settings, said);
    if let Some(note) = reviewed.map_err(usage)? {
        terminal::complain(&note);
    }
    Ok(())
}

/// Says what of the settings does not count, and why.
pub(crate) fn of_settings(resolved: &Resolved) {
    for notice in resolved.notices() {
        terminal::complain(&format!("{}: {}", notice.source, notice.message));
    }
}

/// Says which instruction files the model does not see all of.
pub(crate) fn of_instructions(surroundings: &Surroundings, resolved: &Resolved) {
    if !resolved.reads_instructions() {
        return;
    }
    let personal = Some(surroundings.paths.config.as_path());
    for words in quire_instructions::left_out(personal, &surroundings.workspace) {
        terminal::complain(&words);
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
