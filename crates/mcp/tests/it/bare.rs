//! A sandbox that confines nothing and counts what runs.

use std::io::{Read, Write as _};
use std::os::unix::process::{CommandExt as _, ExitStatusExt as _};
use std::process::{Child, ChildStdin, Stdio};
use std::sync::{Arc, Mutex};

use futures_core::future::BoxFuture;
use quire_protocol::*;
use tokio::sync::{mpsc, oneshot, watch};

/// Starts processes unconfined.
#[derive(Default)]
pub(crate) struct Bare {
    /// What was started.
    pub(crate) spawned: Mutex<Vec<Command>>,
    /// How many processes run.
    pub(crate) running: watch::Sender<usize>,
}

impl Sandbox for Bare {
    fn report(&self, _: &Policy) -> SandboxReport {
        SandboxReport {
            wall: Wall::Off,
            layers: Vec::new(),
        }
    }

    fn spawn(&self, command: Command) -> BoxFuture<'_, Result<Arc<dyn Process>, SandboxError>> {
        self.spawned.lock().unwrap().push(command.clone());
        Box::pin(async move {
            match BareProcess::start(&command, self.running.clone()) {
                Ok(process) => Ok(Arc::new(process) as Arc<dyn Process>),
                Err(error) => Err(SandboxError::NotStarted {
                    program: command.argv[0].clone(),
                    reason: error.to_string(),
                }),
            }
        })
    }
}

type Write = (Vec<u8>, oneshot::Sender<std::io::Result<()>>);

struct BareProcess {
    events: tokio::sync::Mutex<mpsc::UnboundedReceiver<ProcessEvent>>,
    writes: mpsc::Sender<Write>,
    end: watch::Receiver<Option<ProcessEnd>>,
    group: u32,
}

#[expect(
    clippy::disallowed_methods,
    reason = "this double stands in for the sandbox, and servers elsewhere run without one"
)]
pub(crate) fn command(program: &str) -> std::process::Command {
    std::process::Command::new(program)
}

fn kill_group(group: u32) {
    let _ = command("kill")
        .args(["-9", "--", &format!("-{group}")])
        .stderr(Stdio::null())
        .status();
}

impl BareProcess {
    fn start(wanted: &Command, running: watch::Sender<usize>) -> std::io::Result<Self> {
        assert_eq!(wanted.streams, Streams::Apart);
        let mut child = command(&wanted.argv[0])
            .args(&wanted.argv[1..])
            .current_dir(&wanted.directory)
            .envs(wanted.variables.iter().cloned())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .process_group(0)
            .spawn()?;
        running.send_modify(|running| *running += 1);
        let group = child.id();
        let (send, events) = mpsc::unbounded_channel();
        let (set_end, end) = watch::channel(None);
        let (writes, take) = mpsc::channel(1);
        let stdin = child.stdin.take().unwrap();
        std::thread::spawn(move || write(stdin, take));
        let output = pump(child.stdout.take().unwrap(), &send, ProcessEvent::Output);
        let errors = pump(child.stderr.take().unwrap(), &send, ProcessEvent::Errors);
        std::thread::spawn(move || {
            let end = wait(child);
            output.join().unwrap();
            errors.join().unwrap();
            running.send_modify(|running| *running -= 1);
            set_end.send_replace(Some(end));
        });
        Ok(Self {
            events: tokio::sync::Mutex::new(events),
            writes,
            end,
            group,
        })
    }

    async fn ended(&self) -> ProcessEnd {
        let mut end = self.end.clone();
        let end = end.wait_for(Option::is_some).await.unwrap();
        end.unwrap()
    }
}

fn pump(
    mut from: impl Read + Send + 'static,
    to: &mpsc::UnboundedSender<ProcessEvent>,
    event: fn(Vec<u8>) -> ProcessEvent,
) -> std::thread::JoinHandle<()> {
    let to = to.clone();
    std::thread::spawn(move || {
        let mut buffer = vec![0; 64 * 1024];
        while let Ok(count) = from.read(&mut buffer) {
            if count == 0 {
                break;
            }
            // Reads on where nobody listens, so that it ends.
            let _ = to.send(event(buffer[..count].to_vec()));
        }
    })
}

fn write(mut stdin: ChildStdin, mut take: mpsc::Receiver<Write>) {
    while let Some((bytes, written)) = take.blocking_recv() {
        let _ = written.send(stdin.write_all(&bytes));
    }
}

/// Waits for a process, then kills what it left behind.
fn wait(mut child: Child) -> ProcessEnd {
    let group = child.id();
    let status = child.wait().unwrap();
    kill_group(group);
    match status.code() {
        Some(code) => ProcessEnd::Exited(code),
        None => ProcessEnd::Signalled(status.signal().unwrap()),
    }
}

impl Process for BareProcess {
    fn next(&self) -> BoxFuture<'_, ProcessEvent> {
        Box::pin(async move {
            match self.events.lock().await.recv().await {
                Some(event) => event,
                None => ProcessEvent::Ended(self.ended().await),
            }
        })
    }

    fn write(&self, bytes: Vec<u8>) -> BoxFuture<'_, std::io::Result<()>> {
        Box::pin(async move {
            let (written, done) = oneshot::channel();
            let _ = self.writes.send((bytes, written)).await;
            done.await
                .unwrap_or(Err(std::io::ErrorKind::BrokenPipe.into()))
        })
    }

    fn kill(&self) -> BoxFuture<'_, ()> {
        Box::pin(async move {
            if self.end.borrow().is_none() {
                kill_group(self.group);
            }
            self.ended().await;
        })
    }
}

impl Drop for BareProcess {
    fn drop(&mut self) {
        if self.end.borrow().is_none() {
            kill_group(self.group);
        }
    }
}
