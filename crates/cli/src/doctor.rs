//! `quire doctor`: key, endpoint, sandbox, git, disk, and what to do about each.

use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use quire_config::Resolved;
use quire_headless::{Checkup, counted, size};
use quire_protocol::{Command, CommandEnd, ProcessEnd, ProcessLimits, Sandbox, SandboxMode};
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
    check_space(&mut report, surroundings);
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
    let Some(program) = program(surroundings, "git") else {
        return report.note(
            "git",
            "it is not in PATH: install git to work on repositories",
        );
    };
    let there = format!("{} is there, but", program.display());
    match trial::run(sandbox, command).await {
        Ok((ProcessEnd::Exited(0), version)) => {
            report.good("git", &format!("{} runs as commands do", version.trim()));
        }
        Ok((end, _)) => {
            let end = CommandEnd::from(end);
            report.note(
                "git",
                &format!("{there} does not run as commands do: {end}"),
            );
        }
        Err(error) => report.note("git", &format!("{there} {error}")),
    }
}

/// Where a program is that commands would find.
fn program(surroundings: &Surroundings, name: &str) -> Option<PathBuf> {
    let runs = |program: &PathBuf| {
        let found = std::fs::metadata(program);
        found.is_ok_and(|found| found.is_file() && found.permissions().mode() & 0o111 != 0)
    };
    let folders = surroundings.variable("PATH").unwrap_or_default();
    std::env::split_paths(folders)
        .map(|folder| folder.join(name))
        .find(runs)
}

fn check_store(report: &mut Checkup, surroundings: &Surroundings) {
    let data = &surroundings.paths.data;
    let what = format!("store {}", data.display());
    match SqliteStore::check(data) {
        Ok(None) => match write_in(existing(data)) {
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

/// The folder itself, or the nearest above it that is there.
fn existing(folder: &Path) -> Option<&Path> {
    folder.ancestors().find(|folder| folder.exists())
}

/// How much room there is where sessions, temporary files and the work are kept.
fn check_space(report: &mut Checkup, surroundings: &Surroundings) {
    let temporary = std::env::temp_dir();
    let places = [
        (
            "sessions",
            &surroundings.paths.data,
            "set QUIRE_HOME to a folder with more",
        ),
        (
            "temporary files",
            &temporary,
            "set TMPDIR to a folder with more",
        ),
        (
            "the work",
            &surroundings.workspace,
            "move it to where there is more",
        ),
    ];
    for (what, folder, remedy) in places {
        // A folder that cannot be used has been told of.
        let Some(Ok(found)) = existing(folder).map(rustix::fs::statvfs) else {
            continue;
        };
        let what = format!("{what} {}", folder.display());
        let free = found.f_bavail.saturating_mul(found.f_frsize);
        report.space(&what, free, remedy);
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
