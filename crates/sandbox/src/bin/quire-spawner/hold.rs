//! A main process that starts one command behind each kind of wall, lets another one end, so that
//! a supervisor waits for the next, and then waits to be killed.

use std::path::PathBuf;
use std::process::ExitCode;

use quire_protocol::{
    ApprovalMode, Command, Phase, Policy, ProcessEvent, ProcessLimits, Sandbox, SandboxError,
    SandboxMode, Streams,
};
use quire_sandbox::{Options, Spawner};

/// Starts sleepers and never ends by itself unless that fails.
pub(crate) fn hold(workspace: &str, seconds: &str) -> ExitCode {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    let held = runtime.map(|runtime| runtime.block_on(start(workspace.into(), seconds)));
    match held {
        Ok(Ok(())) => ExitCode::SUCCESS,
        Ok(Err(_)) | Err(_) => ExitCode::FAILURE,
    }
}

async fn start(workspace: PathBuf, seconds: &str) -> Result<(), SandboxError> {
    let spawner = Spawner::start(Options {
        program: "/proc/self/exe".into(),
        environment: Vec::new(),
        protected: Vec::new(),
        hidden: Vec::new(),
        temp_root: std::env::temp_dir(),
        force: None,
    })?;
    let script = format!("(setsid sleep {seconds} &); exec sleep {seconds}");
    let mut started = Vec::new();
    for mode in [SandboxMode::WorkspaceWrite, SandboxMode::Off] {
        let mut command = Command {
            argv: vec!["sh".to_owned(), "-c".to_owned(), script.clone()],
            directory: workspace.clone(),
            workspace: workspace.clone(),
            policy: Policy {
                sandbox: mode,
                approvals: ApprovalMode::Never,
                rules: Vec::new(),
                domains: Vec::new(),
                writable: Vec::new(),
                environment: Vec::new(),
                phase: Phase::Work,
            },
            limits: ProcessLimits::default(),
            distrusted: Vec::new(),
            variables: Vec::new(),
            streams: Streams::Merged,
        };
        started.push(spawner.spawn(command.clone()).await?);
        command.argv = vec!["true".to_owned()];
        let short = spawner.spawn(command).await?;
        while !matches!(short.next().await, ProcessEvent::Ended(_)) {}
    }
    std::future::pending().await
}
