//! Starting commands under a profile, reading them, and ending them.

use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::PathBuf;
use std::pin::Pin;
use std::process::{ExitStatus, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use quire_protocol::{
    Command, Layer, Policy, Process, ProcessEnd, ProcessEvent, Sandbox, SandboxError, SandboxMode,
    SandboxReport, Wall,
};
use tokio::sync::{Mutex, watch};

use super::seatbelt::{self, Wishes};
use crate::Options;
use crate::environment::command_environment;
use crate::streams::{self, Ends, Input, Reader, TheirEnds};

const LAUNCHER: &str = "/usr/bin/sandbox-exec";

/// Bounds a process before it becomes the command. Sizes of files count 512-byte blocks.
const BOUNDS: &str = "ulimit -c 0; ulimit -t \"$1\"; ulimit -f \"$2\"; shift 2; exec \"$@\"";

/// Does nothing: on this system commands are started by the main process.
pub fn run_if_spawner() {}

/// Starts confined processes. Its futures need a tokio runtime with IO.
pub struct Spawner {
    options: Options,
    count: AtomicU64,
}

impl Spawner {
    /// Gets ready; starts nothing.
    ///
    /// # Errors
    /// None on this system.
    pub fn start(options: Options) -> Result<Self, SandboxError> {
        Ok(Self {
            options,
            count: AtomicU64::new(0),
        })
    }

    fn wall(&self, policy: &Policy) -> Wall {
        match policy.sandbox {
            SandboxMode::Off => Wall::Off,
            _ if self
                .options
                .force
                .is_some_and(|wall| wall != Wall::Seatbelt) =>
            {
                Wall::Refused
            }
            _ if std::path::Path::new(LAUNCHER).is_file() => Wall::Seatbelt,
            _ => Wall::Refused,
        }
    }

    fn begin(&self, command: &Command) -> Result<Running, SandboxError> {
        let program = command.argv.first().cloned().unwrap_or_default();
        let failed = |error: std::io::Error| SandboxError::NotStarted {
            program: program.clone(),
            reason: error.to_string(),
        };
        let environment =
            command_environment(&self.options.environment, command).map_err(|reason| {
                let program = program.clone();
                SandboxError::NotStarted { program, reason }
            })?;
        let wall = self.wall(&command.policy);
        if wall == Wall::Refused {
            return Err(SandboxError::Refused(format!("{LAUNCHER} is missing")));
        }
        let number = self.count.fetch_add(1, Ordering::Relaxed);
        let name = format!("{}-{number}", std::process::id());
        let temp = self.options.temp_root.join(name);
        std::fs::create_dir_all(&temp).map_err(failed)?;
        let temp = temp.canonicalize().map_err(failed)?;
        let mut words = Vec::new();
        if wall == Wall::Seatbelt {
            words.extend([LAUNCHER.to_owned(), "-p".to_owned()]);
            words.push(self.profile(command, &temp).map_err(failed)?);
        }
        let blocks = command.limits.file_bytes.div_ceil(512).to_string();
        let seconds = command.limits.cpu_seconds.to_string();
        let shell = ["/bin/sh", "-c", BOUNDS, "sh", &seconds, &blocks];
        words.extend(shell.map(str::to_owned));
        words.extend(command.argv.iter().cloned());
        let (ends, theirs) = streams::pipes(command.streams).map_err(failed)?;
        let [stdin, stdout, stderr] = standard(theirs).map_err(failed)?;
        #[expect(clippy::disallowed_methods, reason = "this is where processes begin")]
        let child = std::process::Command::new(&words[0])
            .args(&words[1..])
            .env_clear()
            .envs(environment)
            .env("TMPDIR", &temp)
            .current_dir(&command.directory)
            .process_group(0)
            .stdin(stdin)
            .stdout(stdout)
            .stderr(stderr)
            .spawn()
            .map_err(failed)?;
        Running::new(child, ends, temp).map_err(failed)
    }

    fn profile(&self, command: &Command, temp: &std::path::Path) -> std::io::Result<String> {
        let secret = self.options.protected.iter().chain(&self.options.hidden);
        let unseen: Vec<PathBuf> = secret.filter_map(|path| path.canonicalize().ok()).collect();
        let mut policy = command.policy.clone();
        let writable = policy.writable.iter();
        policy.writable = writable
            .filter_map(|path| path.canonicalize().ok())
            .collect();
        Ok(seatbelt::profile(&Wishes {
            workspace: &command.workspace.canonicalize()?,
            policy: &policy,
            temp,
            unseen: &unseen,
        }))
    }
}

impl Sandbox for Spawner {
    fn report(&self, policy: &Policy) -> SandboxReport {
        let wall = self.wall(policy);
        let layer = |name: &str, holds, detail: &str| Layer {
            name: name.to_owned(),
            holds,
            detail: detail.to_owned(),
        };
        let confined = wall == Wall::Seatbelt;
        let layers = vec![
            layer(
                "seatbelt",
                confined,
                "profile for files, network and other processes",
            ),
            layer("network", confined, "none; allowed domains need Linux"),
            layer(
                "processes",
                false,
                "one that leaves its process group outlives its command",
            ),
            layer("memory", false, "not bounded on this system"),
        ];
        SandboxReport { wall, layers }
    }

    fn spawn(
        &self,
        command: Command,
    ) -> Pin<Box<dyn Future<Output = Result<Arc<dyn Process>, SandboxError>> + Send + '_>> {
        Box::pin(async move { Ok(Arc::new(self.begin(&command)?) as Arc<dyn Process>) })
    }
}

/// A command's stdin, stdout and stderr.
fn standard(theirs: TheirEnds) -> std::io::Result<[Stdio; 3]> {
    Ok(match theirs {
        TheirEnds::Merged(printed) => [Stdio::null(), printed.try_clone()?.into(), printed.into()],
        TheirEnds::Apart {
            output,
            errors,
            input,
        } => [input.into(), output.into(), errors.into()],
    })
}

/// A command that was started. Dropping it kills its process group.
struct Running {
    group: u32,
    ended: watch::Receiver<Option<ProcessEnd>>,
    reader: Mutex<Reader>,
    /// Its stdin, where somebody talks to it.
    input: Option<Input>,
    temp: PathBuf,
}

impl Running {
    fn new(mut child: std::process::Child, ends: Ends, temp: PathBuf) -> std::io::Result<Self> {
        let group = child.id();
        let (tell, ended) = watch::channel(None);
        std::thread::spawn(move || {
            let end = child.wait().map_or(ProcessEnd::Signalled(9), how);
            kill_group(group);
            tell.send_replace(Some(end));
        });
        let (reader, input) = ends.watched()?;
        Ok(Self {
            group,
            ended,
            reader: Mutex::new(reader),
            input,
            temp,
        })
    }

    async fn end(&self) -> ProcessEnd {
        let mut ended = self.ended.clone();
        let end = ended.wait_for(Option::is_some).await;
        end.ok()
            .and_then(|end| *end)
            .unwrap_or(ProcessEnd::Signalled(9))
    }

    async fn read(&self) -> ProcessEvent {
        let mut reader = self.reader.lock().await;
        match reader.next(self.dead()).await {
            Some(piece) => piece,
            None => ProcessEvent::Ended(self.end().await),
        }
    }

    async fn dead(&self) {
        self.end().await;
    }
}

fn how(status: ExitStatus) -> ProcessEnd {
    match (status.code(), status.signal()) {
        (_, Some(libc::SIGXCPU | libc::SIGXFSZ)) => ProcessEnd::OverLimit,
        (Some(code), _) => ProcessEnd::Exited(code),
        (None, signal) => ProcessEnd::Signalled(signal.unwrap_or(9)),
    }
}

fn kill_group(group: u32) {
    #[expect(clippy::disallowed_methods, reason = "a signal without unsafe code")]
    let mut kill = std::process::Command::new("/bin/kill");
    let _ = kill
        .args(["-9", "--", &format!("-{group}")])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status();
}

impl Process for Running {
    fn next(&self) -> Pin<Box<dyn Future<Output = ProcessEvent> + Send + '_>> {
        Box::pin(self.read())
    }

    fn write(
        &self,
        bytes: Vec<u8>,
    ) -> Pin<Box<dyn Future<Output = std::io::Result<()>> + Send + '_>> {
        Box::pin(async move {
            let input = self.input.as_ref();
            let input = input.ok_or(std::io::ErrorKind::Unsupported)?;
            input.write(&bytes, self.dead()).await
        })
    }

    fn kill(&self) -> Pin<Box<dyn Future<Output = ()> + Send + '_>> {
        Box::pin(async {
            if self.ended.borrow().is_none() {
                kill_group(self.group);
            }
            self.end().await;
        })
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if self.ended.borrow().is_none() {
            kill_group(self.group);
        }
        let _ = std::fs::remove_dir_all(&self.temp);
    }
}
