//! Runs against a scripted client: what is printed, what is asked, how it ends.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]
#![allow(clippy::result_large_err, reason = "the port's error is what it is")]
#![allow(
    clippy::needless_raw_string_hashes,
    reason = "snapshots are written so"
)]

mod asks;
mod costs;
mod double;
mod ends;
mod events;
mod explains;
mod guide;
mod journals;
mod last_words;
mod prints;
mod resumes;
mod upkeep;

use std::sync::Arc;
use std::time::Duration;

use quire_headless::*;
use quire_protocol::*;
use tokio::sync::watch;

use double::{Paper, Script};

pub(crate) fn settings() -> Settings {
    Settings {
        model: "test/m-1".into(),
        effort: Effort::High,
        workspace: "/src/parser".into(),
        policy: Policy {
            sandbox: SandboxMode::WorkspaceWrite,
            approvals: ApprovalMode::Auto,
            rules: Vec::new(),
            domains: Vec::new(),
            writable: Vec::new(),
            environment: Vec::new(),
            phase: Phase::Work,
        },
        limits: Limits::default(),
        output_schema: None,
        context: ContextLimits::default(),
        effort_choice: EffortChoice::default(),
        region: None,
    }
}

pub(crate) fn task(output: Output) -> Task {
    Task {
        goal: None,
        content: vec![Content::text("fix it")],
        start: Start::New(settings()),
        output,
        style: Style::default(),
        approvals: Approver::Nobody,
        timeout: None,
    }
}

pub(crate) fn resume(content: Vec<Content>) -> Task {
    Task {
        content,
        start: Start::Open {
            session: double::session(),
            adapt: Box::new(Ok),
        },
        ..task(Output::Progress)
    }
}

/// How a run went.
pub(crate) struct Ran {
    pub(crate) result: Result<Outcome, Error>,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl Ran {
    pub(crate) fn outcome(&self) -> Outcome {
        *self.result.as_ref().expect("no error")
    }
}

/// Runs a task with Ctrl-C pressed so often.
pub(crate) async fn pressed(script: &Arc<Script>, task: Task, presses: u32) -> Ran {
    let (_sender, interrupts) = watch::channel(presses);
    on_paper(script, task, Paper::new(), interrupts).await
}

pub(crate) async fn ran(script: &Arc<Script>, task: Task) -> Ran {
    pressed(script, task, 0).await
}

/// Runs a task to its end; one that hangs fails the test.
pub(crate) async fn on_paper(
    script: &Arc<Script>,
    task: Task,
    out: Paper,
    interrupts: watch::Receiver<u32>,
) -> Ran {
    let err = Paper::new();
    let client: Arc<dyn Client> = script.clone();
    let run = run(client, task, out.clone(), err.clone(), interrupts);
    let result = tokio::time::timeout(Duration::from_hours(1), run)
        .await
        .unwrap_or_else(|_| panic!("it hangs; so far:\n{}{}", err.text(), out.text()));
    Ran {
        result,
        out: out.text(),
        err: err.text(),
    }
}
