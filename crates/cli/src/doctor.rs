//! `quire doctor`: key, endpoint, sandbox, git, disk, and what to do about each.

use std::process::ExitCode;

use quire_config::Resolved;
use quire_headless::{Checkup, StoreFound as Kept};
use quire_protocol::Sandbox as _;
use quire_store::{Health, SqliteStore};

use crate::surroundings::Surroundings;
use crate::{assemble, terminal};

pub(crate) async fn doctor(
    model: Option<&str>,
    surroundings: &Surroundings,
) -> anyhow::Result<ExitCode> {
    let report = examine(model, surroundings).await?;
    terminal::print(report.text())?;
    Ok(ExitCode::from(u8::from(report.is_bad())))
}

/// Checks everything, for this model or the one that is set.
pub(crate) async fn examine(
    model: Option<&str>,
    surroundings: &Surroundings,
) -> anyhow::Result<Checkup> {
    let flag = model.map(|model| ("model", "--model", model.to_owned()));
    let resolved = surroundings.settings(flag)?;
    let mut report = Checkup::default();
    for notice in resolved.notices() {
        report.note(&notice.source.to_string(), &notice.message);
    }
    check_model(&mut report, surroundings, &resolved).await;
    let sandbox = assemble::sandbox(surroundings)?;
    report.sandbox(&sandbox.report(&resolved.policy()));
    let folders = surroundings.variable("PATH").unwrap_or_default();
    let workspace = &surroundings.workspace;
    let trying = report.try_git(&*sandbox, workspace, resolved.policy(), folders);
    trying.await;
    check_store(&mut report, surroundings);
    report.workspace(workspace);
    let (data, temporary) = (&surroundings.paths.data, std::env::temp_dir());
    report.space(data, &temporary, workspace);
    Ok(report)
}

async fn check_model(report: &mut Checkup, surroundings: &Surroundings, resolved: &Resolved) {
    let name = match resolved.model_name() {
        Ok(name) => name,
        Err(error) => return report.bad("model", &error.to_string()),
    };
    let (provider, model) = name.split_once('/').unwrap_or((&name, ""));
    let (_, catalogue) = assemble::models(surroundings, resolved);
    let facts = catalogue.facts(provider, model);
    if facts.known {
        report.good("model", &format!("{name}, window {} tokens", facts.window));
    } else {
        report.note(
            "model",
            &format!(
                "{name} is not in the catalogue: a window of {} tokens is assumed and no cost is \
                 shown; [models.NAME] in the config can say more",
                facts.window
            ),
        );
    }
    let Some(provider) = assemble::provider(surroundings, resolved, provider) else {
        return report.bad("provider", "it is not described in the config");
    };
    let what = format!("endpoint {}", provider.base_url);
    match quire_model::probe(&provider).await {
        Ok(_) => report.good(&what, "answers and takes the key"),
        Err(error) => report.bad(&what, &format!("{error}. {}", error.hint)),
    }
}

fn check_store(report: &mut Checkup, surroundings: &Surroundings) {
    let data = &surroundings.paths.data;
    let found = SqliteStore::check(data).map_err(|error| error.to_string());
    let kept = |health: &Health| Kept {
        sessions: health.sessions,
        events: health.events,
        bytes: health.bytes,
        problems: health.problems.join("; "),
    };
    report.store(data, found.map(|health| health.as_ref().map(kept)));
}
