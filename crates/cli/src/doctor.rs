//! `quire doctor`: key, endpoint, sandbox, git, disk, and what to do about each.

use std::fmt::Write as _;
use std::path::Path;
use std::process::ExitCode;

use quire_config::Resolved;
use quire_protocol::{
    Command, ProcessEnd, ProcessEvent, ProcessLimits, Sandbox, SandboxMode, Wall,
};
use quire_store::SqliteStore;

use crate::surroundings::Surroundings;
use crate::{assemble, terminal};

/// What was found, line by line.
#[derive(Default)]
struct Report {
    text: String,
    broken: bool,
}

impl Report {
    fn good(&mut self, what: &str, detail: &str) {
        let _ = writeln!(self.text, "ok    {what}: {detail}");
    }

    fn note(&mut self, what: &str, detail: &str) {
        let _ = writeln!(self.text, "note  {what}: {detail}");
    }

    fn bad(&mut self, what: &str, detail: &str) {
        let _ = writeln!(self.text, "BAD   {what}: {detail}");
        self.broken = true;
    }
}

pub(crate) async fn doctor(
    model: Option<&str>,
    surroundings: &Surroundings,
) -> anyhow::Result<ExitCode> {
    let flag = model.map(|model| ("model", "--model", model.to_owned()));
    let resolved = surroundings.settings(flag)?;
    let mut report = Report::default();
    for notice in resolved.notices() {
        report.note(&notice.source.to_string(), &notice.message);
    }
    check_model(&mut report, surroundings, &resolved).await;
    let sandbox = assemble::sandbox(surroundings)?;
    check_sandbox(&mut report, &resolved, &*sandbox);
    check_git(&mut report, surroundings, &resolved, &*sandbox).await;
    check_store(&mut report, surroundings);
    check_folder(&mut report, &surroundings.workspace);
    terminal::print(&report.text)?;
    Ok(ExitCode::from(u8::from(report.broken)))
}

async fn check_model(report: &mut Report, surroundings: &Surroundings, resolved: &Resolved) {
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

fn check_sandbox(report: &mut Report, resolved: &Resolved, sandbox: &dyn Sandbox) {
    let policy = resolved.policy();
    let found = sandbox.report(&policy);
    for layer in &found.layers {
        let what = format!("sandbox layer {}", layer.name);
        if layer.holds {
            report.good(&what, &layer.detail);
        } else {
            report.note(&what, &layer.detail);
        }
    }
    match found.wall {
        Wall::Refused => report.bad(
            "sandbox",
            "none can be built, so no command will run. Allow user namespaces, install bubblewrap, \
             or, inside a container that confines it anyway, use --sandbox off",
        ),
        Wall::Off => report.note("sandbox", "off: commands may do everything you may"),
        Wall::Landlock => report.note(
            "sandbox",
            "Landlock and seccomp only: weaker than a cell; see the layers above for what is lost",
        ),
        wall => report.good("sandbox", &format!("{wall:?} for {:?}", policy.sandbox)),
    }
}

async fn check_git(
    report: &mut Report,
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
    };
    let process = match sandbox.spawn(command).await {
        Ok(process) => process,
        Err(error) => {
            return report.note(
                "git",
                &format!("{error}; install git to work on repositories"),
            );
        }
    };
    let mut output = Vec::new();
    loop {
        match process.next().await {
            ProcessEvent::Output(bytes) => output.extend(bytes),
            ProcessEvent::Ended(ProcessEnd::Exited(0)) => {
                let version = String::from_utf8_lossy(&output);
                return report.good("git", &format!("{} runs in the sandbox", version.trim()));
            }
            ProcessEvent::Ended(end) => {
                return report.note("git", &format!("it does not run: {end:?}"));
            }
        }
    }
}

fn check_store(report: &mut Report, surroundings: &Surroundings) {
    let data = &surroundings.paths.data;
    let what = format!("store {}", data.display());
    match SqliteStore::check(data) {
        Ok(None) => report.good(&what, "not there yet; the first session makes it"),
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

/// Whether files can be made where the work is and where the data goes.
fn check_folder(report: &mut Report, workspace: &Path) {
    let probe = workspace.join(format!(".quire-doctor-{}", std::process::id()));
    let what = format!("folder {}", workspace.display());
    let written = std::fs::write(&probe, vec![0; 1 << 20]);
    let removed = std::fs::remove_file(&probe);
    match written.and(removed) {
        Ok(()) => report.good(&what, "can be written"),
        Err(error) => report.bad(
            &what,
            &format!("cannot be written ({error}): check permissions and free space"),
        ),
    }
}
