//! One run of the binary against the loopback server, in a home and a workspace of its own.

use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};

use super::memory::{Watch, waited_cpu_seconds};
use super::server::{Exchange, Pace, Server};
use super::wire::{Dialect, Reply};

/// Whether commands are confined.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Walls {
    /// `--sandbox off`.
    Off,
    /// `--sandbox workspace-write`, as users have it.
    On,
}

/// Whether memory is watched, which costs the run some time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Memory {
    /// Not.
    Ignored,
    /// Every few milliseconds.
    Watched,
}

/// What is run.
#[derive(Clone, Debug)]
pub(crate) struct Subject {
    /// The binary.
    pub(crate) binary: PathBuf,
    /// What the server speaks.
    pub(crate) dialect: Dialect,
}

/// What a run showed.
#[derive(Clone, Debug)]
pub(crate) struct Outcome {
    /// From the start of the process to its first request, fully in.
    pub(crate) start: Duration,
    /// From the last answer's last byte to the end of the process.
    pub(crate) end: Duration,
    /// From each answer's last byte to the next request, fully in.
    pub(crate) gaps: Vec<Duration>,
    /// CPU seconds of the process and what it started.
    pub(crate) cpu_s: f64,
    /// Peak memory of the tree, in KiB; 0 when it was not watched.
    pub(crate) peak_kib: u64,
    /// Bytes of the first request's body.
    pub(crate) first_bytes: u64,
    /// The smallest share of a body that the next one started with.
    pub(crate) kept: f64,
}

impl Subject {
    /// Runs `quire exec` once, in a fresh home; the server follows the script.
    pub(crate) fn run(&self, script: Vec<Reply>, walls: Walls, memory: Memory) -> Result<Outcome> {
        let home = Home::new(self.dialect, WINDOW)?;
        let arguments = ["exec", "Run the commands.", "--max-turns", "1000"];
        self.run_in(&home, &arguments, script, walls, memory, Pace::AtOnce)
    }

    /// Runs the binary once in a home that was perhaps used before.
    pub(crate) fn run_in(
        &self,
        home: &Home,
        arguments: &[&str],
        script: Vec<Reply>,
        walls: Walls,
        memory: Memory,
        pace: Pace,
    ) -> Result<Outcome> {
        let expected = script.len();
        let server = Server::start_at(self.dialect, script, pace)?;
        let mut command = self.command(home, &server.url(), walls);
        command.args(arguments);
        let cpu_before = waited_cpu_seconds();
        let started = Instant::now();
        let child = command
            .spawn()
            .with_context(|| self.binary.display().to_string())?;
        let watch = (memory == Memory::Watched).then(|| Watch::start(child.id()));
        let output = child.wait_with_output()?;
        let ended = Instant::now();
        let cpu_s = waited_cpu_seconds() - cpu_before;
        let peak_kib = watch.map_or(0, Watch::peak_kib);
        ensure!(
            output.status.success(),
            "quire failed ({}):\n{}",
            output.status,
            String::from_utf8_lossy(&output.stderr)
        );
        let exchanges = server.exchanges();
        check(&exchanges, expected)?;
        Ok(Outcome {
            start: exchanges[0].asked - started,
            end: ended.saturating_duration_since(exchanges[exchanges.len() - 1].answered),
            gaps: gaps(&exchanges),
            cpu_s,
            peak_kib,
            first_bytes: exchanges[0].bytes,
            kept: exchanges
                .iter()
                .filter_map(|exchange| exchange.kept)
                .fold(1.0, f64::min),
        })
    }

    /// The id of the newest session in a home.
    pub(crate) fn newest_session(&self, home: &Home) -> Result<String> {
        let listed = self.plain(home, &["sessions", "list", "--limit", "1"])?;
        let is_id = |word: &&str| word.len() >= 8 && word.starts_with("01");
        let id = listed.split_whitespace().find(is_id);
        id.map(str::to_owned).context("no session is listed")
    }

    /// Runs the binary without a model, and returns what it prints.
    pub(crate) fn plain(&self, home: &Home, arguments: &[&str]) -> Result<String> {
        let mut command = self.command(home, "http://127.0.0.1:9", Walls::Off);
        let output = command.args(arguments).stdout(Stdio::piped()).output()?;
        let said = String::from_utf8_lossy(&output.stderr);
        ensure!(output.status.success(), "{arguments:?} failed: {said}");
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    }

    /// The binary in a home, before a server, without arguments.
    pub(crate) fn command(&self, home: &Home, url: &str, walls: Walls) -> Command {
        let workspace = home.workspace();
        let home = home.folder.path().join("home");
        let mut command = Command::new(&self.binary);
        command
            .current_dir(&workspace)
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("HOME", &home)
            .env("QUIRE_HOME", home.join("quire"))
            .env("QUIRE_MODEL", model(self.dialect))
            .env("QUIRE_APPROVALS", "auto")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped());
        match self.dialect {
            Dialect::Messages => command
                .env("ANTHROPIC_BASE_URL", url)
                .env("ANTHROPIC_API_KEY", "x"),
            Dialect::Responses | Dialect::Chat => command
                .env("OPENAI_BASE_URL", format!("{url}/v1"))
                .env("OPENAI_API_KEY", "x"),
        };
        match walls {
            Walls::Off => command.env("QUIRE_SANDBOX", "off"),
            Walls::On => command.env("QUIRE_SANDBOX", "workspace-write"),
        };
        command
    }
}

/// A window that no run fills.
pub(crate) const WINDOW: u64 = 2_000_000;

/// Whether changes of files are kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Files {
    /// As users have it.
    Kept,
    /// Not.
    NotKept,
}

/// A home and a workspace, with settings that say how large the model's window is.
pub(crate) struct Home {
    folder: tempfile::TempDir,
    dialect: Dialect,
}

impl Home {
    pub(crate) fn new(dialect: Dialect, window: u64) -> Result<Self> {
        let folder = tempfile::tempdir()?;
        std::fs::create_dir_all(folder.path().join("home/quire"))?;
        std::fs::create_dir(folder.path().join("workspace"))?;
        let home = Self { folder, dialect };
        home.set_window(window)?;
        Ok(home)
    }

    /// The folder that is worked in.
    pub(crate) fn workspace(&self) -> PathBuf {
        self.folder.path().join("workspace")
    }

    /// The process that hosts this home's sessions, if there is one.
    pub(crate) fn host(&self) -> Option<u32> {
        let lock = self.folder.path().join("home/quire/data/host/lock");
        std::fs::read_to_string(lock).ok()?.trim().parse().ok()
    }

    /// Where sessions are kept.
    pub(crate) fn data(&self) -> PathBuf {
        self.folder.path().join("home/quire/data")
    }

    /// Says whether changes of files are kept from here on.
    pub(crate) fn keep_files(&self, files: Files) -> Result<()> {
        let kept = files == Files::Kept;
        self.set_window(WINDOW)?;
        let path = self.folder.path().join("home/quire/config.toml");
        let text = std::fs::read_to_string(&path)?;
        std::fs::write(&path, format!("checkpoints = {kept}\n{text}"))?;
        Ok(())
    }

    /// Says how large the model's window is from here on.
    pub(crate) fn set_window(&self, window: u64) -> Result<()> {
        let (provider, name) = model(self.dialect).split_once('/').unwrap_or_default();
        let text = format!(
            "[models.bench]\nprovider = \"{provider}\"\nname = \"{name}\"\nwindow = {window}\n\
             max_output = 128000\n"
        );
        std::fs::write(self.folder.path().join("home/quire/config.toml"), text)?;
        Ok(())
    }
}

fn model(dialect: Dialect) -> &'static str {
    match dialect {
        Dialect::Messages => "anthropic/bench",
        Dialect::Responses => "openai/bench",
        Dialect::Chat => "chat/bench",
    }
}

/// Time in which nothing but the harness and its tools did anything.
fn gaps(exchanges: &[Exchange]) -> Vec<Duration> {
    exchanges
        .windows(2)
        .map(|pair| pair[1].asked.saturating_duration_since(pair[0].answered))
        .collect()
}

/// A run counts only when every step happened and every tool call worked.
fn check(exchanges: &[Exchange], expected: usize) -> Result<()> {
    ensure!(
        exchanges.len() == expected,
        "{} requests came, {expected} were expected",
        exchanges.len()
    );
    let failed = exchanges.iter().position(|exchange| exchange.failed_call);
    ensure!(
        failed.is_none(),
        "the tool call before request {} failed",
        failed.unwrap_or_default() + 1
    );
    Ok(())
}
