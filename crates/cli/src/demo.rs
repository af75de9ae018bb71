//! `quire demo`: the main job without a key or a network. The model's side is a recording; the
//! loop, the sandbox, the tools and the repository's bug are real.

use std::io::IsTerminal as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use quire_headless::{Approver, Output, Start, Task};
use quire_model::{Catalogue, Pace, Recorded, Router};
use quire_protocol::{Client, Content, Store};

use crate::surroundings::{Surroundings, now_ms};
use crate::{assemble, exec, terminal};

const RECORDING: &str = include_str!("../demo/recording.jsonl");

/// The bundled repository.
const REPOSITORY: [(&str, &str); 3] = [
    ("README.md", include_str!("../demo/repository/README.md")),
    (
        "versions.sh",
        include_str!("../demo/repository/versions.sh"),
    ),
    (
        "tests/run.sh",
        include_str!("../demo/repository/tests/run.sh"),
    ),
];

const PROMPT: &str = "The tests of this repository fail. Find out why and fix it.";

/// How fast the recording plays for a person; nobody waits when nobody watches.
const PACE: Pace = Pace {
    characters: 6,
    wait: Duration::from_millis(12),
};

/// Far more than it takes.
const TIMEOUT: Duration = Duration::from_mins(2);

pub(crate) async fn demo(surroundings: &Surroundings) -> anyhow::Result<ExitCode> {
    let surroundings = Surroundings {
        workspace: copy()?,
        ..surroundings.clone()
    };
    terminal::complain(&format!(
        "demo: the model's side is a recording; the loop, the tools and the sandbox are real.\n\
         A small repository with a real bug is in {}\n",
        surroundings.workspace.display()
    ));
    let resolved = surroundings.settings([
        ("sandbox", "quire demo", "workspace-write".to_owned()),
        ("approvals", "quire demo", "auto".to_owned()),
    ])?;
    let sandbox = assemble::sandbox(&surroundings)?;
    let store = assemble::store(&surroundings, &resolved)?;
    let attended = std::io::stderr().is_terminal();
    let mut recorded = Recorded::parse(RECORDING).context("the bundled recording")?;
    if attended {
        recorded = recorded.paced(PACE);
    }
    let router = Router::new().with("recorded", Arc::new(recorded));
    let engine: Arc<dyn Client> = Arc::new(assemble::engine(
        &surroundings,
        &resolved,
        store as Arc<dyn Store>,
        Arc::new(router),
        Arc::new(Catalogue::builtin()),
        sandbox,
    ));
    let settings = assemble::session_settings(&surroundings, &resolved, "recorded/demo".to_owned());
    let task = Task {
        content: vec![Content::text(PROMPT)],
        start: Start::New(settings),
        output: Output::Progress,
        style: terminal::style(&surroundings, attended),
        approvals: Approver::Nobody,
        timeout: Some(TIMEOUT),
    };
    let (out, err) = (std::io::stdout(), std::io::stderr());
    let outcome = quire_headless::run(engine, task, out, err, exec::interrupts()?).await?;
    Ok(ExitCode::from(outcome.exit_code()))
}

/// A fresh copy of the repository in the system's temporary folder. It stays, to be looked at.
fn copy() -> anyhow::Result<PathBuf> {
    let folder =
        std::env::temp_dir().join(format!("quire-demo-{}-{}", std::process::id(), now_ms()));
    std::fs::create_dir(&folder)
        .with_context(|| format!("cannot make the folder {}", folder.display()))?;
    for (name, text) in REPOSITORY {
        write(&folder.join(name), text)?;
    }
    Ok(folder.canonicalize()?)
}

fn write(path: &Path, text: &str) -> anyhow::Result<()> {
    let folder = path.parent().unwrap_or(path);
    std::fs::create_dir_all(folder)
        .and_then(|()| std::fs::write(path, text))
        .with_context(|| format!("cannot write {}", path.display()))
}
