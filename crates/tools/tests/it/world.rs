//! A temporary workspace with a toolbox, a sandbox that confines nothing and a store in memory.

use std::collections::HashMap;
use std::io::Read as _;
use std::os::unix::process::{CommandExt as _, ExitStatusExt as _};
use std::path::PathBuf;
use std::process::{Child, Stdio};
use std::sync::{Arc, Mutex};

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use quire_protocol::*;
use quire_tools::{ToolDialect, Toolbox, ToolboxOptions};
use tokio::sync::{mpsc, watch};

/// A workspace and its tools.
pub(crate) struct World {
    folder: tempfile::TempDir,
    pub(crate) tools: Toolbox,
    pub(crate) policy: Policy,
    pub(crate) live: Arc<Mutex<Vec<String>>>,
    pub(crate) spawned: Arc<Mutex<Vec<Command>>>,
    /// What the journal holds.
    pub(crate) past: Vec<Record>,
    calls: std::cell::Cell<u32>,
}

/// A journal in memory.
struct Past(Vec<Record>);

impl Journal for Past {
    fn read(&self, after: Seq, limit: usize) -> BoxFuture<'_, Result<Vec<Record>, StoreError>> {
        let later = self.0.iter().filter(|record| record.seq > after);
        let page = later.take(limit).cloned().collect();
        async move { Ok(page) }.boxed()
    }
}

pub(crate) fn policy(sandbox: SandboxMode) -> Policy {
    Policy {
        sandbox,
        approvals: ApprovalMode::Auto,
        rules: Vec::new(),
        domains: Vec::new(),
        writable: Vec::new(),
        environment: Vec::new(),
        phase: Phase::Work,
    }
}

impl World {
    pub(crate) fn new(dialect: ToolDialect) -> Self {
        Self::with(dialect, None)
    }

    pub(crate) fn with(dialect: ToolDialect, servers: Option<Arc<dyn ToolServers>>) -> Self {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join("work")).unwrap();
        std::fs::create_dir(folder.path().join("secret")).unwrap();
        std::fs::create_dir(folder.path().join("people")).unwrap();
        std::os::unix::fs::symlink("people", folder.path().join("home")).unwrap();
        let spawned = Arc::default();
        let tools = Toolbox::with_options(
            dialect,
            folder.path().join("work"),
            Arc::new(Bare {
                spawned: Arc::clone(&spawned),
            }),
            Arc::new(Memory::default()),
            ToolboxOptions {
                hidden: vec![
                    folder.path().join("secret"),
                    folder.path().join("home/.config/gh"),
                ],
                servers,
            },
        );
        Self {
            folder,
            tools,
            policy: policy(SandboxMode::WorkspaceWrite),
            live: Arc::default(),
            spawned,
            past: Vec::new(),
            calls: std::cell::Cell::new(0),
        }
    }

    pub(crate) fn claude() -> Self {
        Self::new(ToolDialect::ClaudeLike)
    }

    pub(crate) fn gpt() -> Self {
        Self::new(ToolDialect::GptLike)
    }

    /// A path in the workspace.
    pub(crate) fn at(&self, path: &str) -> PathBuf {
        self.folder.path().join("work").join(path)
    }

    pub(crate) fn put(&self, path: &str, content: impl AsRef<[u8]>) {
        let path = self.at(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, content).unwrap();
    }

    pub(crate) fn get(&self, path: &str) -> String {
        std::fs::read_to_string(self.at(path)).unwrap()
    }

    /// A call with the next number.
    pub(crate) fn call(&self, name: &str, arguments: impl ToString) -> ToolCall {
        self.calls.set(self.calls.get() + 1);
        ToolCall {
            call: CallId(self.calls.get()),
            provider_id: format!("p{}", self.calls.get()),
            name: name.to_owned(),
            arguments: arguments.to_string(),
        }
    }

    pub(crate) fn start(&self, call: ToolCall) -> BoxFuture<'static, ToolOutcome> {
        let live = Arc::clone(&self.live);
        self.tools.run(
            call,
            ToolContext {
                session: SessionId::new("s"),
                workspace: self.at(""),
                policy: self.policy.clone(),
                progress: Arc::new(move |delta| {
                    if let Delta::ToolOutput { text, .. } = delta {
                        live.lock().unwrap().push(text);
                    }
                }),
                team: None,
                journal: Arc::new(Past(self.past.clone())),
            },
        )
    }

    pub(crate) async fn run(&self, name: &str, arguments: impl ToString) -> ToolOutcome {
        self.start(self.call(name, arguments)).await
    }

    /// Runs a call that must be done; returns its text.
    pub(crate) async fn done(&self, name: &str, arguments: impl ToString) -> String {
        let outcome = self.run(name, arguments).await;
        assert_eq!(outcome.status, ToolStatus::Done, "{outcome:?}");
        text(&outcome)
    }

    /// Runs a call that must fail; returns its text.
    pub(crate) async fn failed(&self, name: &str, arguments: impl ToString) -> String {
        let outcome = self.run(name, arguments).await;
        assert_eq!(outcome.status, ToolStatus::Failed, "{outcome:?}");
        text(&outcome)
    }
}

pub(crate) fn text(outcome: &ToolOutcome) -> String {
    outcome.content[0].as_text().unwrap().to_owned()
}

/// The most memory this process ever had, in bytes.
#[cfg(target_os = "linux")]
pub(crate) fn peak_memory() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status
        .lines()
        .find(|line| line.starts_with("VmHWM:"))
        .unwrap();
    let kilobytes: u64 = line.split_whitespace().nth(1).unwrap().parse().unwrap();
    kilobytes * 1024
}

/// Starts processes unconfined.
struct Bare {
    spawned: Arc<Mutex<Vec<Command>>>,
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
        async move {
            match BareProcess::start(&command) {
                Ok(process) => Ok(Arc::new(process) as Arc<dyn Process>),
                Err(error) => Err(SandboxError::Broken(error.to_string())),
            }
        }
        .boxed()
    }
}

struct BareProcess {
    events: tokio::sync::Mutex<mpsc::Receiver<Vec<u8>>>,
    end: watch::Receiver<Option<ProcessEnd>>,
    group: u32,
}

#[expect(
    clippy::disallowed_methods,
    reason = "this double stands in for the sandbox"
)]
fn command(program: &str) -> std::process::Command {
    std::process::Command::new(program)
}

fn kill_group(group: u32) {
    let _ = command("kill")
        .args(["-9", "--", &format!("-{group}")])
        .stderr(Stdio::null())
        .status();
}

impl BareProcess {
    fn start(wanted: &Command) -> std::io::Result<Self> {
        let (mut output, writer) = std::io::pipe()?;
        let child = command(&wanted.argv[0])
            .args(&wanted.argv[1..])
            .current_dir(&wanted.directory)
            .stdin(Stdio::null())
            .stdout(writer.try_clone()?)
            .stderr(writer)
            .process_group(0)
            .spawn()?;
        let group = child.id();
        let (send, events) = mpsc::channel(4);
        let (set_end, end) = watch::channel(None);
        std::thread::spawn(move || {
            let waiter = std::thread::spawn(move || wait(child));
            let mut buffer = vec![0; 64 * 1024];
            while let Ok(count) = output.read(&mut buffer) {
                if count == 0 || send.blocking_send(buffer[..count].to_vec()).is_err() {
                    break;
                }
            }
            set_end.send_replace(Some(waiter.join().unwrap()));
        });
        Ok(Self {
            events: tokio::sync::Mutex::new(events),
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
        async move {
            match self.events.lock().await.recv().await {
                Some(bytes) => ProcessEvent::Output(bytes),
                None => ProcessEvent::Ended(self.ended().await),
            }
        }
        .boxed()
    }

    fn kill(&self) -> BoxFuture<'_, ()> {
        async move {
            if self.end.borrow().is_none() {
                kill_group(self.group);
            }
            self.ended().await;
        }
        .boxed()
    }
}

/// Keeps blobs in memory and nothing else.
#[derive(Default)]
struct Memory {
    blobs: Mutex<HashMap<BlobId, Vec<u8>>>,
}

fn no_journal<T>() -> BoxFuture<'static, T> {
    panic!("tools keep blobs only")
}

impl Store for Memory {
    fn put_blob(&self, _: &SessionId, bytes: Vec<u8>) -> BoxFuture<'_, Result<BlobId, StoreError>> {
        let mut blobs = self.blobs.lock().unwrap();
        let id = BlobId::new(format!("{:012x}{:052x}", blobs.len() + 0xabc, bytes.len()));
        blobs.insert(id.clone(), bytes);
        async move { Ok(id) }.boxed()
    }

    fn blob(&self, id: &BlobId) -> BoxFuture<'_, Result<Option<Vec<u8>>, StoreError>> {
        let found = self.blobs.lock().unwrap().get(id).cloned();
        async move { Ok(found) }.boxed()
    }

    fn create(&self, _: SessionHead) -> BoxFuture<'_, Result<Lease, StoreError>> {
        no_journal()
    }

    fn fork(
        &self,
        _: SessionHead,
        _: &SessionId,
        _: Seq,
        _: Vec<Entry>,
    ) -> BoxFuture<'_, Result<Lease, StoreError>> {
        no_journal()
    }

    fn lease(&self, _: &SessionId) -> BoxFuture<'_, Result<Lease, StoreError>> {
        no_journal()
    }

    fn release(&self, _: Lease) -> BoxFuture<'_, Result<(), StoreError>> {
        no_journal()
    }

    fn append(&self, _: &Lease, _: Seq, _: Vec<Entry>) -> BoxFuture<'_, Result<(), StoreError>> {
        no_journal()
    }

    fn sync(&self) -> BoxFuture<'_, Result<(), StoreError>> {
        no_journal()
    }

    fn read(
        &self,
        _: &SessionId,
        _: Seq,
        _: usize,
    ) -> BoxFuture<'_, Result<Vec<Entry>, StoreError>> {
        no_journal()
    }

    fn sessions(&self, _: SessionQuery) -> BoxFuture<'_, Result<Vec<SessionHead>, StoreError>> {
        no_journal()
    }

    fn search(&self, _: &str, _: usize) -> BoxFuture<'_, Result<Vec<Hit>, StoreError>> {
        no_journal()
    }

    fn remove(&self, _: &SessionId) -> BoxFuture<'_, Result<(), StoreError>> {
        no_journal()
    }
}
