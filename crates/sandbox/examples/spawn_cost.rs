//! What starting a command costs: the median and the 95th percentile of 300 runs of `true`,
//! without a wall and in a cell. Takes the path of `quire-spawner`; build it in release first.
#![expect(clippy::print_stdout, reason = "an example prints what it measured")]

use std::time::{Duration, Instant};

use quire_protocol::{
    ApprovalMode, Command, Policy, ProcessEvent, ProcessLimits, Sandbox, SandboxMode,
};
use quire_sandbox::{Options, Spawner};

const RUNS: usize = 300;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let program = std::env::args()
        .nth(1)
        .ok_or("usage: spawn_cost PATH/quire-spawner")?;
    let folder = std::env::current_dir()?;
    let start = Instant::now();
    let spawner = Spawner::start(Options {
        program: program.into(),
        environment: vec![("PATH".to_owned(), "/usr/bin:/bin".to_owned())],
        protected: Vec::new(),
        hidden: Vec::new(),
        temp_root: std::env::temp_dir(),
        force: None,
    })?;
    println!("spawner started in {:?}", start.elapsed());
    print("bare", &mut bare()?);
    for mode in [SandboxMode::Off, SandboxMode::WorkspaceWrite] {
        let policy = Policy {
            sandbox: mode,
            approvals: ApprovalMode::Never,
            rules: Vec::new(),
            domains: Vec::new(),
            writable: Vec::new(),
            environment: Vec::new(),
        };
        let start = Instant::now();
        let wall = spawner.report(&policy).wall;
        let probed = start.elapsed();
        let command = Command {
            argv: vec!["/bin/true".to_owned()],
            directory: folder.clone(),
            workspace: folder.clone(),
            policy,
            limits: ProcessLimits::default(),
        };
        let first = run(&spawner, &command).await?;
        let mut times = Vec::with_capacity(RUNS);
        for _ in 0..RUNS {
            times.push(run(&spawner, &command).await?);
        }
        println!("{wall:?}: probe {probed:?}, first {first:?}");
        print("then", &mut times);
    }
    Ok(())
}

fn print(name: &str, times: &mut [Duration]) {
    times.sort_unstable();
    let at = |percent: usize| times[times.len() * percent / 100];
    println!(
        "  {name}: p10 {:?}, median {:?}, p95 {:?}",
        at(10),
        at(50),
        at(95)
    );
}

/// The same without any of this crate, to compare with.
fn bare() -> std::io::Result<Vec<Duration>> {
    let mut times = Vec::with_capacity(RUNS);
    for _ in 0..RUNS {
        let start = Instant::now();
        #[expect(clippy::disallowed_methods, reason = "this measures a bare process")]
        std::process::Command::new("/bin/true").status()?;
        times.push(start.elapsed());
    }
    Ok(times)
}

/// From asking to start until the end is known.
async fn run(spawner: &Spawner, command: &Command) -> Result<Duration, Box<dyn std::error::Error>> {
    let start = Instant::now();
    let process = spawner.spawn(command.clone()).await?;
    while !matches!(process.next().await, ProcessEvent::Ended(_)) {}
    Ok(start.elapsed())
}
