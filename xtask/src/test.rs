//! `cargo xtask test`: everything a change has to pass, cheapest first, the test runner's summary
//! last. Needs nothing installed by hand; what is missing is installed or replaced, and said.

use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result, ensure};

use crate::cargo::{cargo, has_subcommand, root, run};
use crate::{clients, tidy};

/// Runs every check, then the tests. `extra` goes to the test runner.
pub(crate) fn command(extra: &[String]) -> Result<()> {
    prerequisites();
    match extra
        .split_first()
        .map(|(first, rest)| (first.as_str(), rest))
    {
        Some(("clients", extra)) => return clients::command(extra),
        Some(("open-responses", extra)) => return clients::open_responses(extra),
        Some(_) | None => {}
    }
    step("format");
    run(cargo().args(["fmt", "--all", "--check"]))?;
    step("lints");
    run(cargo().args([
        "clippy",
        "--workspace",
        "--all-targets",
        "--locked",
        "--",
        "-D",
        "warnings",
    ]))?;
    step("documentation");
    run(cargo().env("RUSTDOCFLAGS", "-D warnings").args([
        "doc",
        "--workspace",
        "--no-deps",
        "--locked",
    ]))?;
    step("documentation's examples");
    run(cargo().args(["test", "--doc", "--workspace", "--locked", "--quiet"]))?;
    step("tidy");
    tidy::command()?;
    deny()?;
    fuzz_seeds()?;
    simulation()?;
    step("clients of the platform");
    clients::install_sdks();
    step("tests");
    if has_subcommand("nextest") {
        run(cargo()
            .args(["nextest", "run", "--workspace", "--locked"])
            .args(extra))
    } else {
        println!("cargo-nextest is not installed; cargo's own runner does it");
        plain_tests(extra)
    }
}

/// A version that reads this repository's `deny.toml`.
const DENY_VERSION: &str = "0.20.2";

fn step(name: &str) {
    println!("\n== {name}");
}

/// Programs that tests run, with the Debian package each is in.
const PROGRAMS: &[(&str, &str)] = if cfg!(target_os = "linux") {
    &[
        ("git", "git"),
        ("bwrap", "bubblewrap"),
        ("postgres", "postgresql"),
        ("npm", "npm"),
        ("python3", "python3-venv"),
    ]
} else {
    &[("git", "git")]
};

/// Installs the programs that tests run, where this machine lets us; says so loudly where not.
fn prerequisites() {
    let missing: Vec<_> = PROGRAMS
        .iter()
        .filter(|(program, _)| !exists(program))
        .collect();
    if missing.is_empty() {
        return;
    }
    let packages: Vec<&str> = missing.iter().map(|(_, package)| *package).collect();
    step(&format!("installing {}", packages.join(", ")));
    let installed = exists("apt-get")
        && run(Command::new("apt-get").args(["update", "-qq"])).is_ok()
        && run(Command::new("apt-get")
            .args(["install", "-y", "-qq", "--no-install-recommends"])
            .args(&packages)
            .env("DEBIAN_FRONTEND", "noninteractive")
            // What is installed is run by tests; no service of the machine's own is started.
            .env("RUNLEVEL", "1")
            .stdin(Stdio::null()))
        .is_ok();
    if !installed {
        for (program, package) in missing {
            println!(
                "NOTE: `{program}` is missing and could not be installed; what needs it is not \
                 tested here. Install the package `{package}` to test all."
            );
        }
    }
}

fn exists(program: &str) -> bool {
    let answers = |program: &Path| {
        Command::new(program)
            .arg("--version")
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status()
            .is_ok()
    };
    answers(Path::new(program))
        || folders_outside_path()
            .iter()
            .any(|folder| answers(&folder.join(program)))
}

/// Debian keeps PostgreSQL's server out of the path, each version in a folder of its own.
fn folders_outside_path() -> Vec<PathBuf> {
    std::fs::read_dir("/usr/lib/postgresql")
        .into_iter()
        .flatten()
        .flatten()
        .map(|version| version.path().join("bin"))
        .collect()
}

/// The rules for dependencies in `deny.toml`.
fn deny() -> Result<()> {
    step("dependencies");
    if !has_subcommand("deny") && install_deny().is_err() {
        println!(
            "NOTE: cargo-deny cannot be installed: advisories are not checked here; licences and \
             sources were, by tidy"
        );
        return Ok(());
    }
    let check = ["deny", "--workspace", "--log-level", "error", "check"];
    if run(cargo().args(["deny", "fetch", "db"])).is_ok() {
        return run(cargo().args(check));
    }
    println!("NOTE: the advisory database cannot be had; advisories are not checked here");
    run(cargo().args(check).args(["bans", "licenses", "sources"]))
}

/// Compiles it without optimizing, which takes a minute or two instead of five.
fn install_deny() -> Result<()> {
    println!("cargo-deny is not installed; it is compiled once, which takes a minute or two");
    run(cargo()
        .args(["install", "--quiet", "--locked", "--debug"])
        .args(["cargo-deny", "--version", DENY_VERSION])
        .env("CARGO_PROFILE_DEV_DEBUG", "0"))
}

/// Where the inputs of a fuzz target lie besides its own seeds.
const RECORDED: &str = "crates/dialect/tests/golden";

/// Fuzz targets with the folders of their inputs.
const TARGETS: &[(&str, &[&str])] = &[
    ("sse", &["fuzz/corpus/sse", RECORDED]),
    ("messages", &["fuzz/corpus/messages", RECORDED]),
    ("responses", &["fuzz/corpus/responses", RECORDED]),
    ("chat", &["fuzz/corpus/chat", RECORDED]),
    ("answers", &["fuzz/corpus/answers", RECORDED]),
    ("patch", &["fuzz/corpus/patch"]),
    ("config", &["fuzz/corpus/config"]),
    ("wire", &["fuzz/corpus/wire"]),
    (
        "requests",
        &[
            "fuzz/corpus/requests",
            "crates/translate/tests/golden/requests",
        ],
    ),
];

/// Runs every fuzz target on its seeds, so that both stay good: `cargo fuzz` looks for more.
fn fuzz_seeds() -> Result<()> {
    step("fuzz targets, on their seeds");
    if !exists("c++") {
        println!(
            "NOTE: there is no C++ compiler, which libFuzzer needs; its targets are not tried"
        );
        return Ok(());
    }
    let fuzz = |verb: &str| {
        let mut command = cargo();
        command.args([
            verb,
            "--quiet",
            "--locked",
            "--manifest-path",
            "fuzz/Cargo.toml",
        ]);
        command.args(["--target-dir", "target/fuzz"]);
        command
    };
    run(fuzz("build").arg("--bins"))?;
    for (target, folders) in TARGETS {
        let mut files = Vec::new();
        for folder in *folders {
            collect(&root().join(folder), &mut files)?;
        }
        ensure!(!files.is_empty(), "the fuzz target {target} has no seeds");
        let output = fuzz("run")
            .args(["--bin", target, "--"])
            .args(&files)
            .output()
            .context("cannot start cargo")?;
        ensure!(
            output.status.success(),
            "the fuzz target {target} fails on a seed:\n{}",
            String::from_utf8_lossy(&output.stderr)
        );
        println!("{target}: {} seeds", files.len());
    }
    Ok(())
}

/// The files beneath a folder.
fn collect(folder: &Path, files: &mut Vec<PathBuf>) -> Result<()> {
    let entries = std::fs::read_dir(folder).with_context(|| folder.display().to_string())?;
    for entry in entries {
        let path = entry?.path();
        if path.is_dir() {
            collect(&path, files)?;
        } else {
            files.push(path);
        }
    }
    files.sort();
    Ok(())
}

/// Lives that no run before this one has lived; the tests live the same ones each time.
fn simulation() -> Result<()> {
    let from = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| since.as_secs());
    step(&format!("simulation, from seed {from}"));
    run(cargo()
        .args([
            "run",
            "--quiet",
            "--package",
            "quire-testkit",
            "--example",
            "simulate",
        ])
        .args([
            "--locked",
            "--",
            "--seeds",
            "1000",
            "--from",
            &from.to_string(),
        ]))
}

/// Cargo's own runner, with one summary line at the end.
fn plain_tests(extra: &[String]) -> Result<()> {
    let mut child = cargo()
        .args(["test", "--workspace", "--locked", "--no-fail-fast"])
        .args(["--lib", "--bins", "--tests", "--examples"])
        .args(extra)
        .stdout(Stdio::piped())
        .spawn()
        .context("cannot start cargo")?;
    let mut tally = Tally::default();
    let stdout = child.stdout.take().context("cargo has no output")?;
    for line in BufReader::new(stdout).lines() {
        let line = line?;
        tally.add(&line);
        writeln!(std::io::stdout(), "{line}")?;
    }
    let status = child.wait()?;
    println!("{} passed, {} failed", tally.passed, tally.failed);
    ensure!(status.success(), "tests failed");
    Ok(())
}

#[derive(Debug, Default, PartialEq)]
struct Tally {
    passed: u32,
    failed: u32,
}

impl Tally {
    /// Counts a line like `test result: ok. 3 passed; 0 failed; …`.
    fn add(&mut self, line: &str) {
        let Some(result) = line.strip_prefix("test result:") else {
            return;
        };
        let words: Vec<&str> = result.split([' ', ';', '.']).collect();
        for pair in words.windows(2) {
            match (pair[0].parse::<u32>(), pair[1]) {
                (Ok(count), "passed") => self.passed += count,
                (Ok(count), "failed") => self.failed += count,
                _ => {}
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_runners_lines_are_added_up() {
        let mut tally = Tally::default();
        for line in [
            "running 3 tests",
            "test result: ok. 3 passed; 0 failed; 0 ignored; 0 measured",
            "test result: FAILED. 10 passed; 2 failed; 0 ignored",
        ] {
            tally.add(line);
        }
        assert_eq!(
            tally,
            Tally {
                passed: 13,
                failed: 2
            }
        );
    }
}
