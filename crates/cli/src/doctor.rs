//! `quire doctor`: key, endpoint, sandbox, git, disk, and what to do about each.

use std::process::ExitCode;

use quire_config::Resolved;
use quire_headless::{Checkup, program, size, writable};
use quire_protocol::{
    Command, CommandEnd, ProcessEnd, ProcessLimits, Sandbox, SandboxMode, counted,
};
use quire_store::SqliteStore;

use crate::surroundings::Surroundings;
use crate::{assemble, terminal, trial};

pub(crate) async fn doctor(
    model: Option<&str>,
    surroundings: &Surroundings,
) -> anyhow::Result<ExitCode> {
    let flag = model.map(|model| ("model", "--model", model.to_owned()));
    let resolved = surroundings.settings(flag)?;
    let mut report = Checkup::default();
    for notice in resolved.notices() {
        report.note(&notice.source.to_string(), &notice.message);
    }
    check_model(&mut report, surroundings, &resolved).await;
    let sandbox = assemble::sandbox(surroundings)?;
    report.sandbox(&sandbox.report(&resolved.policy()));
    check_git(&mut report, surroundings, &resolved, &*sandbox).await;
    check_store(&mut report, surroundings);
    report.workspace(&surroundings.workspace);
    let temporary = std::env::temp_dir();
    report.space(
        &surroundings.paths.data,
        &temporary,
        &surroundings.workspace,
    );
    terminal::print(report.text())?;
    Ok(ExitCode::from(u8::from(report.is_bad())))
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

async fn check_git(
    report: &mut Checkup,
    surroundings: &Surroundings,
    resolved: &Resolved,
    sandbox: &dyn Sandbox,
) {
    let mut policy = resolved.policy();
    if policy.sandbox == SandboxMode::WorkspaceWrite {
        policy.sandbox = SandboxMode::ReadOnly;
    }
    let command = Command {
        argv: vec!["git".to_owned(), "--version".to_owned()],
        directory: surroundings.workspace.clone(),
        workspace: surroundings.workspace.clone(),
        policy,
        limits: ProcessLimits::default(),
        distrusted: Vec::new(),
    };
    let tried = match trial::run(sandbox, command).await {
        Ok((ProcessEnd::Exited(0), version)) => Ok(version),
        Ok((end, _)) => Err(CommandEnd::from(end).to_string()),
        Err(error) => Err(error.to_string()),
    };
    let folders = surroundings.variable("PATH").unwrap_or_default();
    report.git(program(folders, "git").as_deref(), tried);
}

fn check_store(report: &mut Checkup, surroundings: &Surroundings) {
    let data = &surroundings.paths.data;
    let what = format!("store {}", data.display());
    match SqliteStore::check(data) {
        Ok(None) => match writable(data) {
            Ok(()) => report.good(&what, "not there yet; the first session makes it"),
            Err(error) => report.bad(
                &what,
                &format!("cannot be made ({error}): set QUIRE_HOME to a folder that you can write"),
            ),
        },
        Ok(Some(health)) if health.problems.is_empty() => report.good(
            &what,
            &format!(
                "{}, {}, {}, intact",
                counted(health.sessions, "session"),
                counted(health.events, "event"),
                size(health.bytes)
            ),
        ),
        Ok(Some(health)) => report.bad(&what, &health.problems.join("; ")),
        Err(error) => report.bad(&what, &error.to_string()),
    }
}
