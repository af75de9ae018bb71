//! A folder with a workspace and things outside of it, and a sandbox over them.

use std::os::unix::fs::MetadataExt as _;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use quire_protocol::{
    ApprovalMode, Command, Phase, Policy, Process, ProcessEnd, ProcessEvent, ProcessLimits,
    Sandbox, SandboxError, SandboxMode, Streams, Wall,
};
use quire_sandbox::{Options, Spawner};
use std::sync::Arc;
use tempfile::TempDir;

/// The helper program, which is also the spawner.
pub(crate) const PROGRAM: &str = env!("CARGO_BIN_EXE_quire-spawner");

/// Folders of which commands have one of their own.
const PRIVATE: [&str; 2] = ["/tmp/", "/var/tmp/"];

/// Long enough for a loaded machine; nothing waits for it unless it fails.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

pub(crate) struct World {
    pub(crate) spawner: Spawner,
    pub(crate) policy: Policy,
    pub(crate) limits: ProcessLimits,
    force: Option<Wall>,
    root: TempDir,
}

/// What a command did.
#[derive(Debug)]
pub(crate) struct Outcome {
    pub(crate) end: ProcessEnd,
    pub(crate) text: String,
}

impl World {
    pub(crate) fn new() -> Self {
        Self::with_wall(None)
    }

    pub(crate) fn with_wall(force: Option<Wall>) -> Self {
        let person = person();
        let place = person.clone();
        let place = place.unwrap_or_else(|| env!("CARGO_TARGET_TMPDIR").into());
        let root = tempfile::tempdir_in(place).expect("a folder");
        let path = root.path();
        for folder in ["workspace", "outside", "home/.ssh", "quire"] {
            std::fs::create_dir_all(path.join(folder)).expect("a folder");
        }
        std::fs::write(path.join("home/.ssh/id"), "SECRET").expect("a file");
        std::fs::write(path.join("quire/config.toml"), "SECRET").expect("a file");
        std::fs::write(path.join("outside/file"), "outside").expect("a file");
        let variable = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        let options = Options {
            program: person.map_or_else(|| PROGRAM.into(), |folder| folder.join("spawner")),
            environment: vec![
                variable("PATH", "/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin"),
                variable("HOME", &path.join("home").to_string_lossy()),
                variable("API_KEY", "SECRET"),
                variable("LD_PRELOAD", "/no-such-library.so"),
                variable("PYTHONPATH", &path.join("workspace/lib").to_string_lossy()),
            ],
            protected: vec![path.join("quire")],
            hidden: vec![path.join("home/.ssh"), path.join("home/.token")],
            temp_root: path.join("temp"),
            force,
        };
        let policy = Policy {
            sandbox: SandboxMode::WorkspaceWrite,
            approvals: ApprovalMode::Never,
            rules: Vec::new(),
            domains: Vec::new(),
            writable: Vec::new(),
            environment: Vec::new(),
            phase: Phase::Work,
        };
        Self {
            spawner: Spawner::start(options).expect("a spawner"),
            policy,
            limits: ProcessLimits::default(),
            force,
            root,
        }
    }

    /// The helper program as commands see it: a copy in the workspace where the build itself lies
    /// in a folder that commands do not see.
    pub(crate) fn program(&self) -> String {
        if !PRIVATE.iter().any(|folder| PROGRAM.starts_with(folder)) {
            return PROGRAM.to_owned();
        }
        let copy = self.workspace().join(".program");
        if !copy.exists() {
            std::fs::copy(PROGRAM, &copy).expect("a copy");
        }
        copy.to_string_lossy().into_owned()
    }

    /// Ends the sandbox; what it left on the disk is still there.
    pub(crate) fn close(self) -> TempDir {
        let Self { spawner, root, .. } = self;
        drop(spawner);
        root
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.root.path().join(name)
    }

    pub(crate) fn workspace(&self) -> PathBuf {
        self.path("workspace")
    }

    pub(crate) fn command(&self, argv: &[&str]) -> Command {
        Command {
            argv: argv.iter().map(|word| (*word).to_owned()).collect(),
            directory: self.workspace(),
            workspace: self.workspace(),
            policy: self.policy.clone(),
            limits: self.limits,
            distrusted: Vec::new(),
            variables: Vec::new(),
            streams: Streams::Merged,
        }
    }

    pub(crate) async fn spawn(&self, argv: &[&str]) -> Result<Arc<dyn Process>, SandboxError> {
        self.spawner.spawn(self.command(argv)).await
    }

    pub(crate) async fn run(&self, argv: &[&str]) -> Outcome {
        let process = self.spawn(argv).await.expect("the command starts");
        finish(&*process).await
    }

    pub(crate) async fn shell(&self, script: &str) -> Outcome {
        self.run(&["sh", "-c", script]).await
    }

    /// Runs a script in this workspace as a later session would, with a cell of its own.
    pub(crate) async fn later(&self, script: &str) -> Outcome {
        let other = Self::with_wall(self.force);
        let mut command = other.command(&["sh", "-c", script]);
        command.policy.clone_from(&self.policy);
        command.workspace = self.workspace();
        command.directory = self.workspace();
        match other.spawner.spawn(command).await {
            Ok(process) => finish(&*process).await,
            Err(refused) => Outcome {
                end: ProcessEnd::Exited(127),
                text: refused.to_string(),
            },
        }
    }

    /// Makes an escape attempt; true when it worked.
    pub(crate) async fn escapes(&self, words: &[&str]) -> bool {
        let program = self.program();
        let mut argv = vec![program.as_str(), "try"];
        argv.extend(words);
        let outcome = self.run(&argv).await;
        match outcome.end {
            ProcessEnd::Exited(0) => true,
            ProcessEnd::Exited(1) | ProcessEnd::Signalled(_) => false,
            end => panic!("{words:?} ended with {end:?}: {}", outcome.text),
        }
    }
}

/// Reads a command's output to its end.
pub(crate) async fn finish(process: &dyn Process) -> Outcome {
    let mut bytes = Vec::new();
    loop {
        match tokio::time::timeout(PATIENCE, process.next())
            .await
            .expect("it ends in time")
        {
            ProcessEvent::Output(more) | ProcessEvent::Errors(more) => bytes.extend(more),
            ProcessEvent::Ended(end) => {
                let text = String::from_utf8_lossy(&bytes).into_owned();
                return Outcome { end, text };
            }
        }
    }
}

/// Waits for a condition that another process brings about.
pub(crate) async fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let start = std::time::Instant::now();
    while !holds() {
        assert!(start.elapsed() < PATIENCE, "{what} did not come about");
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}

/// Runs a test's body.
pub(crate) fn run(body: impl Future<Output = ()>) {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime")
        .block_on(body);
}

pub(crate) fn read(path: &Path) -> String {
    std::fs::read_to_string(path).unwrap_or_default()
}

/// Names the folder of a test that runs as an ordinary person.
const PERSON: &str = "QUIRE_TEST_PERSON";

/// Whom root becomes to be an ordinary person: nobody.
const NOBODY: u32 = 65534;

/// The folder of a test that runs as an ordinary person because root started it.
#[expect(clippy::disallowed_methods, reason = "a test tells itself who it is")]
fn person() -> Option<PathBuf> {
    std::env::var_os(PERSON).map(PathBuf::from)
}

/// Runs the body of the test of this name as an ordinary person: root sees through modes, so where
/// it is root that tests, the test is started once more as nobody.
#[expect(clippy::disallowed_methods, reason = "a test starts itself once more")]
pub(crate) fn run_as_person(test: &str, body: impl Future<Output = ()>) {
    let folder = tempfile::tempdir().expect("a folder");
    let is_root = std::fs::metadata(folder.path()).expect("a folder").uid() == 0;
    if !is_root {
        return run(body);
    }
    let copy = |from: &Path, name: &str| {
        let to = folder.path().join(name);
        std::fs::copy(from, &to).expect("a copy");
        to
    };
    copy(Path::new(PROGRAM), "spawner");
    let own = std::env::current_exe().expect("a program");
    let own = copy(&own, "tests");
    std::os::unix::fs::chown(folder.path(), Some(NOBODY), Some(NOBODY)).expect("given away");
    let done = std::process::Command::new(own)
        .args(["--exact", test, "--nocapture"])
        .env(PERSON, folder.path())
        .env("HOME", folder.path())
        .current_dir(folder.path())
        .uid(NOBODY)
        .gid(NOBODY)
        .output()
        .expect("it starts");
    let said = String::from_utf8_lossy(&done.stdout);
    let errors = String::from_utf8_lossy(&done.stderr);
    assert!(done.status.success(), "{said}\n{errors}");
    assert!(said.contains("1 passed"), "no test is named {test}: {said}");
}

/// Opens a folder that a command closed, as the person does who wonders.
pub(crate) fn open(folder: &Path) {
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    std::fs::set_permissions(folder, mode).expect("it is the person's");
}
