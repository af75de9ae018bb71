//! `quire demo`: the main job without a key or a network. The model's side is a recording; the
//! loop, the sandbox, the tools and the repository's bug are real.

use std::io::IsTerminal as _;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, bail};
use quire_catalogue::Catalogue;
use quire_headless::{Approver, Outcome, Output, Start, Task};
use quire_model::{Pace, Recorded, Router};
use quire_protocol::{Client, Content, Sandbox as _, Store, Wall};

use crate::surroundings::{Surroundings, now_ms};
use crate::{assemble, exec, terminal};

const RECORDING: &str = include_str!("../demo/recording.jsonl");

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
        workspace: quire_headless::demo_folder(&std::env::temp_dir(), now_ms())?,
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
    if sandbox.report(&resolved.policy()).wall == Wall::Refused {
        bail!(
            "commands cannot be confined on this machine, and the demo runs none unconfined; \
             `quire doctor` says what is missing"
        );
    }
    let store = assemble::store(&surroundings, &resolved)? as Arc<dyn Store>;
    let attended = std::io::stderr().is_terminal();
    let mut recorded = Recorded::parse(RECORDING).context("the bundled recording")?;
    if attended {
        recorded = recorded.paced(PACE);
    }
    let router = Router::new().with("recorded", Arc::new(recorded));
    let catalogue = Arc::new(Catalogue::builtin());
    let engine: Arc<dyn Client> = assemble::engine(
        &surroundings,
        &resolved,
        Arc::clone(&store),
        (Arc::new(router), Arc::clone(&catalogue)),
        Arc::clone(&sandbox),
        assemble::keeper(&surroundings, store),
        Vec::new(),
    );
    let model = "recorded/demo".to_owned();
    let settings = assemble::session_settings(&surroundings, &resolved, &catalogue, model);
    let task = Task {
        goal: None,
        content: vec![Content::text(PROMPT)],
        start: Start::New(settings),
        output: Output::Progress,
        style: terminal::style(&surroundings, attended),
        approvals: Approver::Nobody,
        timeout: Some(TIMEOUT),
    };
    let (out, err) = (std::io::stdout(), std::io::stderr());
    let outcome = quire_headless::run(engine, task, out, err, exec::interrupts()?).await?;
    if outcome == Outcome::Done {
        let policy = resolved.policy();
        let verified = quire_headless::verify_demo(&*sandbox, &surroundings.workspace, policy);
        let (command, last) = verified.await?;
        terminal::complain(&format!(
            "demo: run once more to be sure: {command}: {last}"
        ));
    }
    Ok(ExitCode::from(outcome.exit_code()))
}
