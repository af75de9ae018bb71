//! The processes that are measured, and the upstream behind them. All end when they are dropped.

use std::fs::File;
use std::io::{BufRead as _, BufReader};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use anyhow::{Context as _, Result, ensure};

use super::load::Target;
use crate::bench::memory::tree;

/// How a server says on standard output where it is.
const LISTENING: &str = "listening on http://";

/// A process and what it started.
pub(super) struct Server {
    child: Child,
}

impl Server {
    /// Starts a process.
    pub(super) fn start(command: &mut Command) -> Result<Self> {
        let shown = format!("{command:?}");
        let child = command.spawn();
        let child = child.with_context(|| format!("cannot start {shown}"))?;
        Ok(Self { child })
    }

    /// Starts a process that says on standard output where it listens.
    fn listening(command: &mut Command) -> Result<(Self, SocketAddr)> {
        let shown = format!("{command:?}");
        let mut server = Self::start(command.stdout(Stdio::piped()))?;
        let output = server.child.stdout.take().context("no standard output")?;
        let mut lines = BufReader::new(output).lines();
        let is_it = |line: &String| line.contains(LISTENING);
        let line = lines.by_ref().map_while(Result::ok).find(is_it);
        let line = line.with_context(|| format!("it never said where it listens: {shown}"))?;
        // What it says later is of no interest, but must not stop it.
        std::thread::spawn(move || lines.for_each(drop));
        let (_, at) = line.split_once(LISTENING).unwrap_or_default();
        let at = at.split_whitespace().next().unwrap_or_default();
        let address = at.trim_end_matches('/').parse();
        Ok((server, address.with_context(|| format!("`{line}`"))?))
    }

    pub(super) fn id(&self) -> u32 {
        self.child.id()
    }

    /// Fails where it has ended by itself.
    pub(super) fn still_runs(&mut self) -> Result<()> {
        let ended = self.child.try_wait()?;
        ensure!(ended.is_none(), "it ended: {ended:?}");
        Ok(())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let all = tree(&[self.child.id()]);
        let all = all.iter().map(u32::to_string);
        let _ = Command::new("kill").arg("-9").args(all).output();
        let _ = self.child.wait();
    }
}

/// The upstream, in a process of its own.
pub(super) fn upstream() -> Result<(Server, Target)> {
    let this = std::env::current_exe()?;
    // Its standard input ends with this process, and it with that.
    let (server, address) = Server::listening(
        Command::new(this)
            .arg("bench-upstream")
            .stdin(Stdio::piped()),
    )?;
    let target = Target {
        name: "direct".to_owned(),
        address,
        key: "none".to_owned(),
        processes: vec![server.id()],
    };
    Ok((server, target))
}

/// `quire platform` in front of the upstream, with a key of its own.
pub(super) fn platform(
    binary: &Path,
    folder: &Path,
    models: &str,
    admin_key: &str,
) -> Result<(Server, Target)> {
    let config = folder.join("platform.toml");
    let store = folder.join("platform.db");
    let text = format!(
        "listen = \"127.0.0.1:0\"\nstore = \"sqlite://{}\"\n{models}",
        store.display()
    );
    std::fs::write(&config, text)?;
    let quire = |arguments: &[&str]| {
        let mut command = Command::new(binary);
        command
            .arg("platform")
            .args(arguments)
            .arg("--config")
            .arg(&config)
            .env("QUIRE_HOME", folder)
            .env("QUIRE_ADMIN_KEY", admin_key)
            .current_dir(folder)
            .stdin(Stdio::null());
        command
    };
    let made = quire(&[
        "keys",
        "create",
        "--workspace",
        "default",
        "--name",
        "bench",
    ])
    .output()?;
    ensure!(
        made.status.success(),
        "`quire platform keys create` failed: {}",
        String::from_utf8_lossy(&made.stderr)
    );
    let key = String::from_utf8(made.stdout)?.trim().to_owned();
    let log = folder.join("platform.log");
    let mut serving = quire(&["serve"]);
    let started = Server::listening(serving.stderr(File::create(&log)?));
    let said = || std::fs::read_to_string(&log).unwrap_or_default();
    let (server, address) =
        started.with_context(|| format!("the platform did not start: {}", said()))?;
    let target = Target {
        name: "the platform".to_owned(),
        address,
        key,
        processes: vec![server.id()],
    };
    Ok((server, target))
}
