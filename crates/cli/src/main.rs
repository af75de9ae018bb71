//! The `quire` binary: arguments → config → parts → face. It wires; it decides nothing.

mod args;
mod assemble;
mod demo;
mod doctor;
mod exec;
mod first;
mod generate;
mod host;
mod machine;
mod mcp;
mod models;
mod platform;
mod reckon;
mod sessions;
mod settings;
mod surroundings;
mod talk;
mod terminal;
mod warnings;
mod workbench;

use std::process::ExitCode;

use clap::Parser as _;

use crate::args::{Cli, Command};
use crate::surroundings::Surroundings;

#[global_allocator]
static ALLOCATOR: quire_allocator::Allocator = quire_allocator::Allocator;

/// The exit code of wrong usage or settings, which `clap` uses too.
const USAGE: u8 = 2;

/// A command line or settings that cannot work; everything else that fails exits with 1.
#[derive(Debug)]
struct Usage(String);

impl std::fmt::Display for Usage {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Usage {}

/// An error about usage or settings.
fn usage(message: impl std::fmt::Display) -> anyhow::Error {
    Usage(message.to_string()).into()
}

fn main() -> ExitCode {
    quire_allocator::give_back_soon();
    quire_sandbox::run_if_spawner();
    let cli = Cli::parse();
    match run(cli) {
        Ok(code) => code,
        Err(error) => {
            terminal::complain(&format!("{error:#}"));
            let wrong_usage = error
                .chain()
                .any(<dyn std::error::Error + 'static>::is::<Usage>);
            ExitCode::from(if wrong_usage { USAGE } else { 1 })
        }
    }
}

fn run(cli: Cli) -> anyhow::Result<ExitCode> {
    match cli.command {
        Some(Command::Completions { shell }) => return generate::completions(shell),
        Some(Command::Man { folder }) => return generate::manual(folder.as_deref()),
        _ => {}
    }
    let surroundings = Surroundings::find()?;
    // A server for many uses all cores; whatever serves one person is at rest most of the time.
    let runtime = match &cli.command {
        Some(Command::Platform { .. }) => tokio::runtime::Builder::new_multi_thread(),
        _ => tokio::runtime::Builder::new_current_thread(),
    }
    .enable_all()
    .build()?;
    let code = runtime.block_on(async {
        let Some(command) = cli.command else {
            return talk::talk(cli.talk, &surroundings).await;
        };
        match command {
            Command::Exec(args) => exec::exec(*args, &surroundings).await,
            Command::Demo => demo::demo(&surroundings).await,
            Command::Serve(args) => host::serve(args, &surroundings).await,
            Command::Platform { config, command } => {
                platform::platform(command, config, &surroundings).await
            }
            Command::Agents { host, command } => {
                host::agents(command, host.as_deref(), &surroundings).await
            }
            Command::Sessions(args) => sessions::sessions(args, &surroundings).await,
            Command::Cost(args) => reckon::cost(args, &surroundings).await,
            Command::Stats(args) => reckon::stats(args, &surroundings).await,
            Command::Cache { command } => reckon::cache(command, &surroundings).await,
            Command::Models { command } => models::models(command, &surroundings),
            Command::Mcp { name } => mcp::mcp(name.as_deref(), &surroundings).await,
            Command::Doctor { model } => doctor::doctor(model.as_deref(), &surroundings).await,
            Command::Config(args) => settings::config(args, &surroundings),
            Command::Completions { .. } | Command::Man { .. } => unreachable!("handled above"),
        }
    });
    // A thread that still reads standard input must not hold the process.
    runtime.shutdown_background();
    code
}
