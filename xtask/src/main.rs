//! Repository automation: `cargo xtask tidy | schema | test | bench | release | picture`.
//!
//! A table of contents: each command lives in the module of its name.
#![expect(
    clippy::disallowed_methods,
    reason = "automation starts cargo and reads the environment it is called in"
)]
#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a command line program"
)]

use std::process::ExitCode;

mod bench;
mod cargo;
mod clients;
mod picture;
mod release;
mod schema;
mod test;
mod tidy;

const USAGE: &str = "\
cargo xtask <command>

  tidy              hold the rules of the house: edges between crates, sizes, budgets, licences
  schema            write what crosses the host's wire to schema/, as JSON Schema and TypeScript
  test [ARGS…]      everything a change has to pass, the tests last; ARGS go to the test runner
  test clients      the vendors' SDKs and agents at work through the platform, and official servers of tools at work
                    for the agent; the vendors' agents take half a gigabyte
  test open-responses --suite PATH
                    the public Open Responses suite, which lies at PATH, against the platform over each API
  bench [--help]    one table: start, time per step, memory, streaming, exact prefix, the screen
  soak [--help]     the platform for minutes under good requests and all that goes wrong: what grows, leaks or is lost
  release           gather the binary as it is shipped, with man pages, in target/dist-bundle/
  picture           draw docs/demo.svg, what a terminal shows of `quire demo`";

fn main() -> ExitCode {
    let mut args = std::env::args().skip(1);
    let command = args.next().unwrap_or_default();
    let rest: Vec<String> = args.collect();
    let outcome = match command.as_str() {
        "tidy" => tidy::command(),
        "schema" => schema::command(),
        "test" => test::command(&rest),
        "bench" => bench::command(&rest),
        "soak" => bench::soak(&rest),
        "bench-upstream" => bench::upstream(),
        "release" => release::command(),
        "picture" => picture::command(),
        "" | "help" | "-h" | "--help" => {
            println!("{USAGE}");
            return ExitCode::SUCCESS;
        }
        other => Err(anyhow::anyhow!("there is no command `{other}`\n\n{USAGE}")),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("xtask {command}: {error:#}");
            ExitCode::FAILURE
        }
    }
}
