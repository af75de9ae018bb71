//! `quire doctor`: key, endpoint, sandbox, git, disk, and what to do about each.

use std::path::Path;
use std::process::ExitCode;

use quire_config::Resolved;
use quire_headless::Checkup;
use quire_protocol::{Command, ProcessEnd, ProcessLimits, Sandbox, SandboxMode};
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
    check_folder(&mut report, &surroundings.workspace);
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
    match trial::run(sandbox, command).await {
        Ok((ProcessEnd::Exited(0), version)) => {
            report.good("git", &format!("{} runs as commands do", version.trim()));
        }
        Ok((end, _)) => report.note("git", &format!("it does not run: {end:?}")),
        Err(error) => report.note(
            "git",
            &format!("{error}; install git to work on repositories"),
        ),
    }
}

fn check_store(report: &mut Checkup, surroundings: &Surroundings) {
    let data = &surroundings.paths.data;
    let what = format!("store {}", data.display());
    match SqliteStore::check(data) {
        Ok(None) => match write_in(data.ancestors().find(|folder| folder.exists())) {
            Ok(()) => report.good(&what, "not there yet; the first session makes it"),
            Err(error) => report.bad(
                &what,
                &format!("cannot be made ({error}): set QUIRE_HOME to a folder that you can write"),
            ),
        },
        Ok(Some(health)) if health.problems.is_empty() => report.good(
            &what,
            &format!(
                "{} sessions, {} events, {} bytes, intact",
                health.sessions, health.events, health.bytes
            ),
        ),
        Ok(Some(health)) => report.bad(&what, &health.problems.join("; ")),
        Err(error) => report.bad(&what, &error.to_string()),
    }
}

/// Writes a megabyte into a folder, and takes it away again.
fn write_in(folder: Option<&Path>) -> std::io::Result<()> {
    let folder = folder.ok_or(std::io::ErrorKind::NotFound)?;
    let probe = folder.join(format!(".quire-doctor-{}", std::process::id()));
    let written = std::fs::write(&probe, vec![0; 1 << 20]);
    let removed = std::fs::remove_file(&probe);
    written.and(removed)
}

/// Whether files can be made where the work is.
fn check_folder(report: &mut Checkup, workspace: &Path) {
    let what = format!("folder {}", workspace.display());
    match write_in(Some(workspace)) {
        Ok(()) => report.good(&what, "can be written"),
        Err(error) => report.bad(
            &what,
            &format!("cannot be written ({error}): check permissions and free space"),
        ),
    }
}
