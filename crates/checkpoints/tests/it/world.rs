//! A workspace with a session in it.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::fs;
use std::future::Future;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use futures_core::future::BoxFuture;
use quire_checkpoints::Keeper;
use quire_protocol::*;
use sha2::{Digest as _, Sha256};

/// Keeps blobs in memory and nothing else.
#[derive(Default)]
struct Blobs(Mutex<HashMap<BlobId, Vec<u8>>>);

fn no_journal<T>() -> BoxFuture<'static, T> {
    panic!("checkpoints keep blobs only")
}

impl Store for Blobs {
    fn put_blob(&self, _: &SessionId, bytes: Vec<u8>) -> BoxFuture<'_, Result<BlobId, StoreError>> {
        let mut name = String::new();
        for byte in Sha256::digest(&bytes) {
            let _ = write!(name, "{byte:02x}");
        }
        let id = BlobId::new(name);
        self.0.lock().unwrap().insert(id.clone(), bytes);
        Box::pin(async move { Ok(id) })
    }

    fn blob(&self, id: &BlobId) -> BoxFuture<'_, Result<Option<Vec<u8>>, StoreError>> {
        let found = self.0.lock().unwrap().get(id).cloned();
        Box::pin(async move { Ok(found) })
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

/// A workspace, a keeper, and what the agent did there so far.
pub(crate) struct World {
    _folder: tempfile::TempDir,
    pub(crate) workspace: PathBuf,
    pub(crate) mirrors: PathBuf,
    store: Arc<dyn Store>,
    pub(crate) keeper: Keeper,
    pub(crate) steps: Vec<FileStep>,
    runtime: tokio::runtime::Runtime,
}

pub(crate) fn session(name: &str) -> SessionId {
    SessionId::new(name)
}

impl World {
    pub(crate) fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let workspace = folder.path().join("work");
        let mirrors = folder.path().join("mirrors");
        fs::create_dir(&workspace).unwrap();
        let store: Arc<dyn Store> = Arc::new(Blobs::default());
        Self {
            keeper: Keeper::new(mirrors.clone(), Arc::clone(&store)),
            _folder: folder,
            workspace,
            mirrors,
            store,
            steps: Vec::new(),
            runtime: tokio::runtime::Builder::new_current_thread()
                .build()
                .unwrap(),
        }
    }

    /// Another process with the same data.
    pub(crate) fn restart(&mut self) {
        self.keeper = Keeper::new(self.mirrors.clone(), Arc::clone(&self.store));
    }

    pub(crate) fn wait<T>(&self, make: impl FnOnce(&Keeper) -> BoxFuture<'static, T>) -> T {
        let running: BoxFuture<'static, T> = {
            let _inside = self.runtime.enter();
            make(&self.keeper)
        };
        self.block(running)
    }

    fn block<T>(&self, future: impl Future<Output = T>) -> T {
        self.runtime.block_on(future)
    }

    /// The agent does something; what it changed, as words.
    pub(crate) fn agent(&mut self, work: impl FnOnce(&Path)) -> Vec<String> {
        let of = session("one");
        self.wait(|keeper| keeper.settle(&of, &self.workspace))
            .unwrap();
        work(&self.workspace);
        let looked = self
            .wait(|keeper| keeper.look(&of, &self.workspace))
            .unwrap();
        self.wait(|keeper| keeper.note(&of, &self.workspace))
            .unwrap();
        let words = looked
            .files
            .iter()
            .map(|step| format!("{:?} {}", step.kind(), step.path));
        let words = words.collect();
        self.steps.extend(looked.files);
        words
    }

    /// What would lead back to before all that the agent did.
    pub(crate) fn goals(&self) -> Vec<FileGoal> {
        let mut goals: Vec<FileGoal> = Vec::new();
        for step in &self.steps {
            match goals.iter_mut().find(|goal| goal.path == step.path) {
                Some(goal) => {
                    if goal.left != step.before {
                        goal.doubt = Some(Doubt::ChangedBetween);
                    }
                    goal.left.clone_from(&step.after);
                }
                None => goals.push(FileGoal {
                    path: step.path.clone(),
                    target: step.before.clone(),
                    left: step.after.clone(),
                    doubt: None,
                }),
            }
        }
        goals
    }

    /// Goes back to before all of it; what became of the files, as words.
    pub(crate) fn back(&mut self, conflicts: Conflicts) -> Vec<String> {
        let goals = self.goals();
        let of = session("one");
        let taken = self.wait(|keeper| keeper.take_back(&of, &self.workspace, goals, conflicts));
        let (taken, _) = taken.unwrap();
        let words = taken.files.iter().map(|file| {
            let fate = match &file.fate {
                Fate::Back => "back".to_owned(),
                Fate::Conflict { reason, .. } => format!("conflict: {reason}"),
                Fate::Left => "left".to_owned(),
                Fate::Merged { conflicts } => format!("merged with {conflicts} conflicts"),
                Fate::Overwritten => "overwritten".to_owned(),
                Fate::Failed { reason } => format!("failed: {reason}"),
            };
            format!("{} {fate}", file.path)
        });
        let words = words.collect();
        if taken.done {
            self.steps.clear();
        }
        words
    }

    pub(crate) fn write(&self, path: &str, text: &str) {
        write(&self.workspace, path, text);
    }

    pub(crate) fn read(&self, path: &str) -> String {
        fs::read_to_string(self.workspace.join(path)).unwrap()
    }
}

pub(crate) fn write(workspace: &Path, path: &str, text: &str) {
    let path = workspace.join(path);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, text).unwrap();
}
