//! Runs one command confined in the current folder and prints the sandbox's report, what the
//! command says, and how it ends. Takes the path of `quire-spawner`, then the command.
#![expect(clippy::print_stdout, reason = "an example prints what happens")]

use std::io::Write;

use quire_protocol::{
    ApprovalMode, Command, Phase, Policy, ProcessEvent, ProcessLimits, Sandbox, SandboxMode,
    Streams,
};
use quire_sandbox::{Options, Spawner};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut words = std::env::args().skip(1);
    let program = words
        .next()
        .ok_or("usage: confine PATH/quire-spawner COMMAND...")?;
    #[expect(
        clippy::disallowed_methods,
        reason = "an example reads its own environment"
    )]
    let environment = std::env::vars().collect();
    let folder = std::env::current_dir()?;
    let spawner = Spawner::start(Options {
        program: program.into(),
        environment,
        protected: Vec::new(),
        hidden: Vec::new(),
        temp_root: std::env::temp_dir(),
        force: None,
    })?;
    let policy = Policy {
        sandbox: SandboxMode::WorkspaceWrite,
        approvals: ApprovalMode::Never,
        rules: Vec::new(),
        domains: Vec::new(),
        writable: Vec::new(),
        environment: Vec::new(),
        phase: Phase::Work,
    };
    for layer in spawner.report(&policy).layers {
        let mark = if layer.holds { "yes" } else { "no " };
        println!("{mark} {}: {}", layer.name, layer.detail);
    }
    let command = Command {
        argv: words.collect(),
        directory: folder.clone(),
        workspace: folder,
        policy,
        limits: ProcessLimits::default(),
        distrusted: Vec::new(),
        variables: Vec::new(),
        streams: Streams::Merged,
    };
    let process = spawner.spawn(command).await?;
    loop {
        match process.next().await {
            ProcessEvent::Output(bytes) | ProcessEvent::Errors(bytes) => {
                std::io::stdout().write_all(&bytes)?;
            }
            ProcessEvent::Ended(end) => {
                println!("{end:?}");
                return Ok(());
            }
        }
    }
}
