//! Running the binary in a clean home.

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use crate::provider::Provider;

/// A clean home and a workspace.
pub(crate) struct Place {
    root: tempfile::TempDir,
}

impl Place {
    pub(crate) fn new() -> Self {
        let root = tempfile::tempdir().unwrap();
        std::fs::create_dir(root.path().join("home")).unwrap();
        std::fs::create_dir(root.path().join("work")).unwrap();
        Self { root }
    }

    pub(crate) fn home(&self) -> PathBuf {
        self.root.path().join("home")
    }

    pub(crate) fn work(&self) -> PathBuf {
        self.root.path().join("work")
    }

    pub(crate) fn write(&self, path: &str, bytes: impl AsRef<[u8]>) {
        let path = self.work().join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, bytes).unwrap();
    }

    /// The person's own settings.
    pub(crate) fn config(&self, text: &str) {
        let folder = self.home().join("quire");
        std::fs::create_dir_all(&folder).unwrap();
        std::fs::write(folder.join("config.toml"), text).unwrap();
    }

    pub(crate) fn read(&self, path: &str) -> String {
        std::fs::read_to_string(self.work().join(path)).unwrap()
    }

    /// The binary with nothing of this machine's environment but what it needs.
    #[expect(
        clippy::disallowed_methods,
        reason = "the test starts the program under test"
    )]
    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_quire"));
        command
            .args(arguments)
            .current_dir(self.work())
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("HOME", self.home())
            .env("QUIRE_HOME", self.home().join("quire"))
            .stdin(Stdio::null());
        command
    }

    /// Kills the host that the program started, if it did.
    #[expect(
        clippy::disallowed_methods,
        reason = "the test kills what the program under test started"
    )]
    pub(crate) fn kill_host(&self) {
        let process = self.host();
        if !process.is_empty() {
            // It may have ended by itself.
            let _ = Command::new("kill").args(["-9", &process]).output();
        }
    }

    /// The process that is the host, or was it last; empty where there was none.
    pub(crate) fn host(&self) -> String {
        let lock = self.home().join("quire/data/host/lock");
        let process = std::fs::read_to_string(lock).unwrap_or_default();
        process.trim().to_owned()
    }

    /// `quire exec` against a provider.
    pub(crate) fn exec(&self, provider: &Provider, arguments: &[&str]) -> Command {
        let mut all = vec!["exec", "--model", "anthropic/double"];
        all.extend(arguments);
        let mut command = self.command(&all);
        command
            .env("ANTHROPIC_BASE_URL", &provider.url)
            .env("ANTHROPIC_API_KEY", "key");
        command
    }
}

/// Nothing of a place works on once it is gone.
impl Drop for Place {
    fn drop(&mut self) {
        self.kill_host();
    }
}

/// What a finished run printed.
pub(crate) struct Ran {
    pub(crate) code: i32,
    pub(crate) out: String,
    pub(crate) err: String,
}

/// The same environment around another program.
#[expect(
    clippy::disallowed_methods,
    reason = "the test starts a shell around the program"
)]
pub(crate) fn with_program(like: &Command, program: &str, arguments: &[&str]) -> Command {
    let mut command = Command::new(program);
    command.args(arguments).env_clear();
    for (name, value) in like.get_envs() {
        if let Some(value) = value {
            command.env(name, value);
        }
    }
    if let Some(folder) = like.get_current_dir() {
        command.current_dir(folder);
    }
    command
}

/// Runs a script with the environment of `like`, in a mount namespace of its own in which
/// `$QUIRE_HOME` is an empty disk of that size. None, said on standard error, where this machine
/// does not allow that.
#[expect(clippy::print_stderr, reason = "a test that is skipped says so")]
pub(crate) fn on_small_disk(like: &Command, size: &str, script: &str) -> Option<Ran> {
    const MOUNT: &str =
        "mkdir -p \"$QUIRE_HOME\" && mount -t tmpfs -o size=$SIZE tmpfs \"$QUIRE_HOME\"";
    let run = |script: &str| {
        let mut command = with_program(like, "unshare", &["-rm", "sh", "-c", script]);
        command.env("SIZE", size).stdin(Stdio::null());
        command.output()
    };
    let tried = run(MOUNT);
    if !tried.as_ref().is_ok_and(|output| output.status.success()) {
        eprintln!("SKIPPED: this machine lets nobody mount a disk of his own: {tried:?}");
        return None;
    }
    run(&format!("{MOUNT}\n{script}"))
        .ok()
        .map(|output| Ran::of(&output))
}

pub(crate) fn finish(mut command: Command) -> Ran {
    Ran::of(&command.output().unwrap())
}

impl Ran {
    fn of(output: &Output) -> Self {
        Self {
            code: output.status.code().unwrap_or(-1),
            out: String::from_utf8_lossy(&output.stdout).into_owned(),
            err: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }

    /// Checks the exit code and that what a person reads has all of these words.
    #[track_caller]
    pub(crate) fn says(&self, code: i32, words: &[&str]) {
        let all = format!("{}\n{}", self.out, self.err);
        assert_eq!(self.code, code, "{all}");
        for word in words {
            assert!(all.contains(word), "missing {word:?} in:\n{all}");
        }
        assert!(!all.contains("panicked"), "{all}");
    }
}

pub(crate) fn exists(path: &Path) -> bool {
    path.symlink_metadata().is_ok()
}

/// Waits until something is so.
pub(crate) fn wait_until(what: &str, is_so: impl Fn() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(30);
    while !is_so() {
        assert!(Instant::now() < deadline, "never: {what}");
        std::thread::yield_now();
    }
}

/// Waits until a command has made a file in the workspace.
pub(crate) fn wait_for(place: &Place, file: &str) {
    wait_until(file, || place.work().join(file).exists());
}
