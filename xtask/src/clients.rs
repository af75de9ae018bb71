//! Real clients of the developer platform: the official SDKs of both vendors in two generations, which
//! `cargo xtask test` installs, and their agents, which only `cargo xtask test clients` does, because of their size; with
//! them it installs the official servers of the Model Context Protocol, to which the agent is a client.
//!
//! What is there already is left as it is. What cannot be had is said, and its tests skip themselves.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};

use crate::cargo::{self, cargo, run, text};

/// A folder of packages of one registry, with the versions that tests were written for.
struct Folder {
    name: &'static str,
    from: From,
    packages: &'static [&'static str],
}

#[derive(Clone, Copy)]
enum From {
    /// Into an environment of Python's own.
    Python,
    /// Beside a Node, which is one of the packages: the newest SDKs need a newer one than Debian has.
    Node,
}

/// The newest generation of SDKs, and the one before it.
const SDKS: &[Folder] = &[
    Folder {
        name: "newest-js",
        from: From::Node,
        packages: &[
            "@anthropic-ai/sdk@1.12.0",
            "openai@7.57.0",
            "zod@4.6.7",
            "node@22.23.3",
        ],
    },
    Folder {
        name: "before-js",
        from: From::Node,
        packages: &["@anthropic-ai/sdk@0.137.0", "openai@6.49.0", "zod@4.6.7"],
    },
    Folder {
        name: "newest-py",
        from: From::Python,
        packages: &["anthropic==2.12.0", "openai==3.54.0", "websockets==17.4"],
    },
    Folder {
        name: "before-py",
        from: From::Python,
        packages: &["anthropic==1.17.0", "openai==2.54.0", "websockets==17.4"],
    },
];

/// The vendors' agents.
const AGENTS: &[Folder] = &[Folder {
    name: "agents",
    from: From::Node,
    packages: &["@openai/codex@0.169.0", "@anthropic-ai/claude-code@2.1.330"],
}];

/// Servers of the Model Context Protocol: of both generations of its SDK for Python, and of the one for JavaScript.
const SERVERS: &[Folder] = &[
    Folder {
        name: "servers-js",
        from: From::Node,
        packages: &[
            "@modelcontextprotocol/server-everything@2026.8.31",
            "@modelcontextprotocol/server-filesystem@2026.8.31",
        ],
    },
    Folder {
        name: "servers-py",
        from: From::Python,
        packages: &["mcp==2.3.0"],
    },
    Folder {
        name: "servers-before-py",
        from: From::Python,
        packages: &["mcp==1.30.0"],
    },
];

/// What runs the Open Responses suite.
const RUNNER: &[Folder] = &[Folder {
    name: "bun",
    from: From::Node,
    packages: &["bun@1.4.5"],
}];

/// The file in a folder that says what was installed there, whole.
const DONE: &str = "installed";

/// Runs the tests of the SDKs, of the agents and of the servers of the Model Context Protocol. `extra` goes to the test runner.
pub(crate) fn command(extra: &[String]) -> Result<()> {
    ensure!(
        install(SDKS) && install(AGENTS) && install(SERVERS),
        "not every client could be installed; what is missing is said above"
    );
    run(cargo()
        .args(["nextest", "run", "--locked", "--package", "quire-cli"])
        .args(["--package", "quire-mcp"])
        .args(["--success-output", "immediate", "clients::", "official::"])
        .args(extra))
}

/// Runs the public Open Responses suite, which is no part of this repository: `--suite PATH` says where it lies, with
/// what it needs installed there. The rest of `extra` goes to the test runner.
pub(crate) fn open_responses(extra: &[String]) -> Result<()> {
    let [option, suite, extra @ ..] = extra else {
        bail!("say where the suite lies: `cargo xtask test open-responses --suite PATH`");
    };
    ensure!(
        option == "--suite",
        "`--suite PATH` comes first, not `{option}`"
    );
    let suite = fs::canonicalize(suite).with_context(|| format!("there is no suite at {suite}"))?;
    ensure!(
        install(RUNNER),
        "what runs the suite could not be installed; why is said above"
    );
    run(cargo()
        .env("OPEN_RESPONSES_SUITE", suite)
        .args(["nextest", "run", "--locked", "--package", "quire-cli"])
        .args([
            "--success-output",
            "immediate",
            "--no-fail-fast",
            "clients::open_responses",
        ])
        .args(extra))
}

/// Installs the SDKs, where this machine lets us; says so loudly where not.
pub(crate) fn install_sdks() {
    install(SDKS);
}

/// Whether all of them are there now.
fn install(folders: &[Folder]) -> bool {
    let place = match place() {
        Ok(place) => place,
        Err(error) => {
            println!("NOTE: there is no place for the clients of the platform: {error:#}");
            return false;
        }
    };
    // Most of the time goes to the network, so all of them are fetched at once.
    let outcomes: Vec<_> = thread::scope(|scope| {
        let started: Vec<_> = folders
            .iter()
            .map(|folder| (folder, scope.spawn(|| folder.install(&place))))
            .collect();
        started
            .into_iter()
            .map(|(folder, thread)| (folder, thread.join()))
            .collect()
    });
    let mut all = true;
    for (folder, outcome) in outcomes {
        match outcome {
            Ok(Ok(State::There)) => {}
            Ok(Ok(State::Installed(took))) => println!(
                "{}: {} in {} s",
                folder.name,
                folder.packages.join(", "),
                took.as_secs()
            ),
            Ok(Err(error)) => {
                all = false;
                println!(
                    "NOTE: {} cannot be installed; what needs it is not tested here: {error:#}",
                    folder.packages.join(", ")
                );
            }
            Err(_) => all = false,
        }
    }
    all
}

enum State {
    There,
    Installed(Duration),
}

impl Folder {
    fn install(&self, place: &Path) -> Result<State> {
        let folder = place.join(self.name);
        let wanted = self.packages.join("\n");
        if fs::read_to_string(folder.join(DONE)).is_ok_and(|found| found == wanted) {
            return Ok(State::There);
        }
        let started = Instant::now();
        // Another version, or an installation that was cut short.
        if folder.exists() {
            fs::remove_dir_all(&folder).with_context(|| folder.display().to_string())?;
        }
        match self.from {
            From::Python => python(&folder, self.packages)?,
            From::Node => node(&folder, self.packages)?,
        }
        fs::write(folder.join(DONE), wanted)?;
        Ok(State::Installed(started.elapsed()))
    }
}

fn python(folder: &Path, packages: &[&str]) -> Result<()> {
    let environment = || {
        let mut command = Command::new("python3");
        command.args(["-m", "venv", "--clear"]).arg(folder);
        command
    };
    // Debian's Python comes without the module.
    if quiet(&mut environment()).is_err() {
        quiet(
            Command::new("apt-get")
                .args(["install", "-y", "-qq", "--no-install-recommends"])
                .args(["-o", "DPkg::Lock::Timeout=120", "python3-venv"])
                .env("DEBIAN_FRONTEND", "noninteractive"),
        )?;
        quiet(&mut environment())?;
    }
    quiet(
        Command::new(folder.join("bin/python"))
            .args(["-m", "pip", "install", "--quiet", "--no-compile"])
            .args(["--disable-pip-version-check", "--no-input"])
            .args(packages),
    )
}

fn node(folder: &Path, packages: &[&str]) -> Result<()> {
    fs::create_dir_all(folder)?;
    fs::write(folder.join("package.json"), "{\"private\":true}\n")?;
    quiet(
        Command::new("npm")
            .args(["install", "--no-audit", "--no-fund", "--no-package-lock"])
            .args(["--no-save", "--no-update-notifier", "--loglevel", "error"])
            .args(packages)
            .current_dir(folder),
    )
}

/// Runs a command that is only heard when it fails.
fn quiet(command: &mut Command) -> Result<()> {
    let shown = format!("{command:?}");
    let output = command
        .stdin(Stdio::null())
        .output()
        .with_context(|| format!("cannot start {shown}"))?;
    let complaints = String::from_utf8_lossy(&output.stderr);
    let last: Vec<&str> = complaints.trim().lines().rev().take(5).collect();
    ensure!(
        output.status.success(),
        "failed ({}): {shown}: {}",
        output.status,
        last.into_iter().rev().collect::<Vec<_>>().join(" / ")
    );
    Ok(())
}

/// Where clients lie: the folder in which the tests look for them.
fn place() -> Result<PathBuf> {
    let metadata = cargo::metadata(&["--no-deps"])?;
    Ok(PathBuf::from(text(&metadata, "target_directory")).join("clients"))
}
