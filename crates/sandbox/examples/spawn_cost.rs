//! What starting a command costs: the median and the 95th percentile of 300 runs of `true`,
//! without a wall and in a cell: with a pause before each, as a model makes one; one right after
//! another; and fifty at once. Takes the absolute path of `quire-spawner`; build it in release
//! first.
#![expect(clippy::print_stdout, reason = "an example prints what it measured")]

use std::time::{Duration, Instant};

use quire_protocol::{
    ApprovalMode, Command, Phase, Policy, ProcessEvent, ProcessLimits, Sandbox, SandboxMode,
    Streams,
};
use quire_sandbox::{Options, Spawner};

const RUNS: usize = 300;

/// How many commands run at once, and how often.
const CROWD: usize = 50;
const CROWDS: usize = 10;

/// Long enough for everything that follows from a command.
const PAUSE: Duration = Duration::from_millis(10);

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
            phase: Phase::Work,
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
            distrusted: Vec::new(),
            variables: Vec::new(),
            streams: Streams::Merged,
        };
        let first = run(&spawner, &command).await?;
        println!("{wall:?}: probe {probed:?}, first {first:?}");
        for (name, pause) in [("after a pause", PAUSE), ("in a row", Duration::ZERO)] {
            let mut times = Vec::with_capacity(RUNS);
            for _ in 0..RUNS {
                if !pause.is_zero() {
                    tokio::time::sleep(pause).await;
                }
                times.push(run(&spawner, &command).await?);
            }
            print(name, &mut times);
        }
        let mut times = Vec::with_capacity(CROWDS);
        for _ in 0..CROWDS {
            times.push(crowd(&spawner, &command).await?);
        }
        print("fifty at once, all of them", &mut times);
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
        std::thread::sleep(PAUSE);
        let start = Instant::now();
        #[expect(clippy::disallowed_methods, reason = "this measures a bare process")]
        std::process::Command::new("/bin/true").status()?;
        times.push(start.elapsed());
    }
    Ok(times)
}

/// From asking to start the first until the end of the last is known.
async fn crowd(
    spawner: &Spawner,
    command: &Command,
) -> Result<Duration, Box<dyn std::error::Error>> {
    let start = Instant::now();
    let mut running = Vec::with_capacity(CROWD);
    for _ in 0..CROWD {
        running.push(spawner.spawn(command.clone()).await?);
    }
    for process in running {
        while !matches!(process.next().await, ProcessEvent::Ended(_)) {}
    }
    Ok(start.elapsed())
}

/// From asking to start until the end is known.
async fn run(spawner: &Spawner, command: &Command) -> Result<Duration, Box<dyn std::error::Error>> {
    let start = Instant::now();
    let process = spawner.spawn(command.clone()).await?;
    while !matches!(process.next().await, ProcessEvent::Ended(_)) {}
    Ok(start.elapsed())
}
