//! The port: mirrors of workspaces, each looked into by one at a time, and the versions that sessions
//! keep.

use std::collections::{BTreeMap, HashMap};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use futures_core::future::BoxFuture;
use futures_util::future::try_join_all;
use quire_protocol::{
    CheckpointError, Checkpoints, Conflicts, FileChange, FileGoal, FileKind, FileStep, FileVersion,
    Looked, SessionId, Store, StoreError, TakenBack, Whose,
};
use sha2::{Digest as _, Sha256};
use tokio::runtime::Handle;

use crate::files::{self, Content};
use crate::mirror::{self, Change, Fault, Mirror};
use crate::restore;
use crate::scan::Unfit;
use crate::unrecorded;

/// A mirror that nobody used for so long is removed.
const KEPT: Duration = Duration::from_hours(30 * 24);
/// What was noted so shortly before a session begins to do something is not noted again: what changes in
/// between is told apart by when it changed.
const RECENT: Duration = Duration::from_secs(2);
/// How much earlier than it happened a change may be dated: clocks of file systems tick slowly.
const LATE_NS: i64 = 20_000_000;
/// Bytes of versions that are handed to the store before its answers are waited for.
const HANDED: usize = 8 << 20;

/// Of new files that are more, or larger, only the names and hashes are kept.
const MANY: usize = 1_000;
const LARGE: usize = 1 << 20;

/// Keeps what the files of workspaces were. Sessions that may work in one folder need clones of one: it
/// knows which of them are at work beside each other.
#[derive(Clone)]
pub struct Keeper {
    inner: Arc<Inner>,
}

struct Inner {
    /// Where mirrors lie.
    folder: PathBuf,
    store: Arc<dyn Store>,
    mirrors: Mutex<HashMap<PathBuf, Arc<Mutex<Slot>>>>,
}

/// A workspace that sessions work in.
struct Watched {
    mirror: Mirror,
    working: Vec<Working>,
    /// Who was at work when a process died, until it is told what changed by then.
    cut_short: Vec<SessionId>,
    /// When all that was there was taken for what is known, by both clocks.
    settled: Option<(Instant, i64)>,
}

/// A session that does something in a workspace.
struct Working {
    session: SessionId,
    /// Whether another one was at work too.
    whose: Whose,
    /// Whether it is done and what was found is only to be recorded yet.
    has_ended: bool,
    /// From when until when others may have changed what was noted before it began, in nanoseconds since
    /// the Unix epoch.
    before: Range<i64>,
}

/// The place of a mirror.
enum Slot {
    Closed,
    Open(Box<Watched>),
    /// The folder cannot be mirrored, and why.
    Unfit(String),
}

impl Keeper {
    /// A keeper whose mirrors lie in a folder, which nobody but this person may read; versions go to the
    /// store.
    pub fn new(folder: PathBuf, store: Arc<dyn Store>) -> Self {
        Self {
            inner: Arc::new(Inner {
                folder,
                store,
                mirrors: Mutex::default(),
            }),
        }
    }

    /// Does blocking work with a mirror where that may block.
    fn with_mirror<T: Send + 'static>(
        &self,
        workspace: &Path,
        work: impl FnOnce(&Inner, &mut Watched) -> Result<T, Fault> + Send + 'static,
    ) -> BoxFuture<'static, Result<T, CheckpointError>> {
        let (inner, workspace) = (Arc::clone(&self.inner), workspace.to_owned());
        blocking(move || inner.with_mirror(&workspace, work))
    }
}

fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, CheckpointError> + Send + 'static,
) -> BoxFuture<'static, Result<T, CheckpointError>> {
    let working = tokio::task::spawn_blocking(work);
    Box::pin(async move {
        working.await.unwrap_or_else(|_| {
            Err(CheckpointError(
                "looking at the files failed by a bug: please report it".to_owned(),
            ))
        })
    })
}

impl Inner {
    fn with_mirror<T>(
        &self,
        workspace: &Path,
        work: impl FnOnce(&Self, &mut Watched) -> Result<T, Fault>,
    ) -> Result<T, CheckpointError> {
        let slot = {
            let mut mirrors = self.mirrors.lock().unwrap_or_else(PoisonError::into_inner);
            let slot = mirrors.entry(workspace.to_owned());
            Arc::clone(slot.or_insert_with(|| Arc::new(Mutex::new(Slot::Closed))))
        };
        let mut slot = slot.lock().unwrap_or_else(|poisoned| {
            // Half a look is no look.
            let mut slot = poisoned.into_inner();
            *slot = Slot::Closed;
            slot
        });
        let file = self.file(workspace);
        if let Slot::Closed = *slot {
            let opened = self.open(workspace, &file)?;
            *slot = Slot::Open(Box::new(opened));
        }
        let done = match &mut *slot {
            Slot::Open(watched) => {
                let ready = watched.tell_cut_short(self);
                ready.and_then(|()| work(self, watched))
            }
            Slot::Unfit(why) => return Err(CheckpointError(why.clone())),
            Slot::Closed => unreachable!("it was opened just now"),
        };
        done.map_err(|fault| {
            match &fault {
                Fault::Unfit(Unfit::TooMuch(why)) => {
                    *slot = Slot::Unfit(why.clone());
                    mirror::discard(&file);
                }
                Fault::Damaged => {
                    *slot = Slot::Closed;
                    mirror::discard(&file);
                }
                Fault::Database(error) if mirror::is_damage(error) => {
                    *slot = Slot::Closed;
                    mirror::discard(&file);
                }
                Fault::Unfit(Unfit::Failed(_)) | Fault::Database(_) | Fault::Told(_) => {}
            }
            told(fault)
        })
    }

    fn open(&self, workspace: &Path, file: &Path) -> Result<Watched, CheckpointError> {
        let mut builder = std::fs::DirBuilder::new();
        builder.recursive(true);
        std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
        let made = builder.create(&self.folder);
        made.map_err(|error| told(Fault::Unfit(Unfit::Failed(error))))?;
        self.remove_unused(file);
        let mirror = Mirror::open(workspace, file).map_err(told)?;
        let cut_short = mirror.with_unrecorded(unrecorded::working).map_err(told)?;
        Ok(Watched {
            mirror,
            working: Vec::new(),
            cut_short,
            settled: None,
        })
    }

    /// The mirror's file, named by a hash of the workspace's path.
    fn file(&self, workspace: &Path) -> PathBuf {
        let hash = Sha256::digest(workspace.as_os_str().as_encoded_bytes());
        let hash = files::version(&hash.into(), 0, FileKind::Plain).content;
        let name = &hash.as_str()[..32];
        self.folder.join(format!("{name}.db"))
    }

    /// Removes mirrors that nobody used for long.
    fn remove_unused(&self, besides: &Path) {
        let Ok(entries) = std::fs::read_dir(&self.folder) else {
            return;
        };
        for entry in entries.flatten() {
            let path = entry.path();
            let modified = entry.metadata().and_then(|found| found.modified());
            let is_old = modified.is_ok_and(|at| at.elapsed().is_ok_and(|age| age > KEPT));
            let log = path.with_extension("db-wal");
            let in_use = log.metadata().is_ok_and(|found| found.len() > 0);
            if is_old
                && !in_use
                && path != besides
                && path.extension().is_some_and(|end| end == "db")
            {
                mirror::discard(&path);
            }
        }
    }

    /// Keeps versions for sessions.
    fn keep(&self, sessions: &[SessionId], contents: &[Vec<u8>]) -> Result<(), StoreError> {
        let each = sessions.iter().flat_map(|session| {
            let put = move |bytes: &Vec<u8>| self.store.put_blob(session, bytes.clone());
            contents.iter().map(put)
        });
        let handed: Vec<_> = each.collect();
        Handle::current().block_on(try_join_all(handed)).map(drop)
    }

    fn recall(&self, version: &FileVersion) -> Result<Content, String> {
        let found = Handle::current().block_on(self.store.blob(&version.content));
        match found {
            Ok(Some(bytes)) => Ok(Content {
                kind: version.kind,
                bytes,
            }),
            Ok(None) => Err("what it held is not kept any more".to_owned()),
            Err(error) => Err(error.to_string()),
        }
    }
}

impl Watched {
    /// Takes note of what is there while nobody does anything.
    fn prepare(&mut self) -> Result<(), Fault> {
        if self.working.is_empty() {
            let at_ns = mirror::now_ns();
            self.mirror.settle()?;
            self.settled = Some((Instant::now(), at_ns));
        }
        Ok(())
    }

    /// What changed until now may be the doing of those who were at work when the process before died:
    /// each has it with its next look.
    fn tell_cut_short(&mut self, inner: &Inner) -> Result<(), Fault> {
        if self.cut_short.is_empty() {
            return Ok(());
        }
        for session in self.cut_short.clone() {
            match self.find(inner, std::slice::from_ref(&session), &(0..0)) {
                Ok(found) => self.keep(&[session], &found)?,
                // Nothing is kept for a session that was removed.
                Err(Fault::Told(_)) => {}
                Err(fault) => return Err(fault),
            }
        }
        self.mirror.note()?;
        for session in std::mem::take(&mut self.cut_short) {
            self.mirror
                .with_unrecorded(|database| unrecorded::leave(database, &session))?;
        }
        Ok(())
    }

    /// A session begins to do something. What changed while others did is theirs.
    fn begin(&mut self, inner: &Inner, session: SessionId) -> Result<(), Fault> {
        self.working.retain(|working| working.session != session);
        let settled = self.settled.take();
        let recent = settled.filter(|(at, _)| at.elapsed() <= RECENT);
        if !self.working.is_empty() {
            self.hand_over(inner)?;
        } else if recent.is_none() {
            self.mirror.settle()?;
        }
        let whose = if self.working.is_empty() {
            Whose::Agent
        } else {
            Whose::Unclear
        };
        self.mirror
            .with_unrecorded(|database| unrecorded::begin(database, &session))?;
        self.working.push(Working {
            session,
            whose,
            has_ended: false,
            before: recent.map_or(0..0, |(_, at_ns)| at_ns..mirror::now_ns() - LATE_NS),
        });
        Ok(())
    }

    /// What changed until now is the doing of those who are at work, and from here on it is known.
    fn hand_over(&mut self, inner: &Inner) -> Result<(), Fault> {
        self.share(inner, None)?;
        self.mirror.note()?;
        for over in self.working.extract_if(.., |working| working.has_ended) {
            self.mirror
                .with_unrecorded(|database| unrecorded::leave(database, &over.session))?;
        }
        Ok(())
    }

    /// A session did something: what changed meanwhile.
    fn end(&mut self, inner: &Inner, session: &SessionId) -> Result<Looked, Fault> {
        let found = self.share(inner, Some(session))?;
        let earlier = self
            .mirror
            .with_unrecorded(|database| unrecorded::found(database, session))?;
        let mut at_work = self.working.iter_mut();
        let whose = match at_work.find(|working| working.session == *session) {
            Some(working) => {
                working.has_ended = true;
                working.whose
            }
            None => Whose::Unclear,
        };
        Ok(Looked {
            whose: if earlier.is_empty() {
                whose
            } else {
                Whose::Unclear
            },
            files: joined(earlier, found),
        })
    }

    /// What the last look found is known from here on; this session has recorded what it had of it.
    fn note(&mut self, session: &SessionId) -> Result<(), Fault> {
        self.mirror.note()?;
        let is_over = |working: &Working| working.has_ended && working.session == *session;
        self.working.retain(|working| !is_over(working));
        self.mirror
            .with_unrecorded(|database| unrecorded::recorded(database, session))
    }

    /// What changed since the last look may be the doing of any session that is at work: each has it. So
    /// has the one that asks.
    fn share(&mut self, inner: &Inner, asking: Option<&SessionId>) -> Result<Vec<FileStep>, Fault> {
        let at_work = self.working.iter().map(|working| &working.session);
        let others = at_work.filter(|session| Some(*session) != asking);
        let sessions: Vec<SessionId> = others.chain(asking).cloned().collect();
        let before = self.before(asking);
        let found = self.find(inner, &sessions, &before)?;
        // What only the one that asks has is found again until it is recorded.
        if asking.is_none() || sessions.len() > 1 {
            self.keep(&sessions, &found)?;
        }
        for working in &mut self.working {
            if Some(&working.session) != asking {
                working.whose = Whose::Unclear;
            }
        }
        Ok(found)
    }

    /// What changed since the last look but for what did at a time; the versions are kept for sessions.
    fn find(
        &mut self,
        inner: &Inner,
        sessions: &[SessionId],
        besides: &Range<i64>,
    ) -> Result<Vec<FileStep>, Fault> {
        let mut handing = Handing::new(inner, sessions);
        self.mirror.look(|change| {
            // What changed before is a person's.
            if change.at_ns.is_some_and(|at| besides.contains(&at)) {
                return Ok(());
            }
            handing.take(change).map_err(|error| refused(&error))
        })?;
        handing.hand().map_err(|error| refused(&error))?;
        let mut found = handing.steps;
        found.sort_unstable_by(|a, b| a.path.cmp(&b.path));
        Ok(found)
    }

    /// What was found is kept for sessions until they record it, also if the process dies.
    fn keep(&self, sessions: &[SessionId], found: &[FileStep]) -> Result<(), Fault> {
        sessions.iter().try_for_each(|session| {
            self.mirror
                .with_unrecorded(|database| unrecorded::keep(database, session, found))
        })
    }

    /// When changes were those of nobody at work: before the only one began, and after it was noted what
    /// there was.
    fn before(&self, asking: Option<&SessionId>) -> Range<i64> {
        match self.working.as_slice() {
            [only] if asking.is_none_or(|asking| only.session == *asking) => only.before.clone(),
            _ => 0..0,
        }
    }
}

/// Two looks as one.
fn joined(earlier: Vec<FileStep>, later: Vec<FileStep>) -> Vec<FileStep> {
    if earlier.is_empty() {
        return later;
    }
    let mut steps: BTreeMap<String, FileStep> = earlier
        .into_iter()
        .map(|step| (step.path.clone(), step))
        .collect();
    for step in later {
        match steps.get_mut(&step.path) {
            Some(first) => first.after = step.after,
            None => drop(steps.insert(step.path.clone(), step)),
        }
    }
    steps
        .into_values()
        .filter(|step| step.before != step.after)
        .collect()
}

/// Gathers versions and hands them to the store some at a time, for each of the sessions.
struct Handing<'a> {
    inner: &'a Inner,
    sessions: &'a [SessionId],
    contents: Vec<Vec<u8>>,
    bytes: usize,
    steps: Vec<FileStep>,
}

impl<'a> Handing<'a> {
    fn new(inner: &'a Inner, sessions: &'a [SessionId]) -> Self {
        Self {
            inner,
            sessions,
            contents: Vec::new(),
            bytes: 0,
            steps: Vec::new(),
        }
    }

    fn take(&mut self, change: Change) -> Result<(), StoreError> {
        let Change {
            path,
            before,
            after,
            ..
        } = change;
        let step = FileStep {
            path,
            before: before.as_ref().map(Content::version),
            after: after.as_ref().map(Content::version),
        };
        self.steps.push(step);
        // A new file goes back by being removed: what it holds is kept for merges only.
        let is_new = before.is_none();
        let are_many = self.steps.len() > MANY;
        let after = after.filter(|after| !is_new || (!are_many && after.bytes.len() <= LARGE));
        for content in [before, after].into_iter().flatten() {
            self.bytes += content.bytes.len();
            self.contents.push(content.bytes);
        }
        if self.bytes >= HANDED {
            self.hand()
        } else {
            Ok(())
        }
    }

    fn hand(&mut self) -> Result<(), StoreError> {
        self.bytes = 0;
        let contents = std::mem::take(&mut self.contents);
        self.inner.keep(self.sessions, &contents)
    }
}

fn told(fault: Fault) -> CheckpointError {
    CheckpointError(match fault {
        Fault::Unfit(Unfit::TooMuch(why)) | Fault::Told(why) => why,
        Fault::Unfit(Unfit::Failed(error)) => format!("the folder cannot be looked at: {error}"),
        Fault::Database(error) => format!("the copy of the folder's files cannot be used: {error}"),
        Fault::Damaged => {
            "the copy of the folder's files was damaged; it is begun anew with the next call"
                .to_owned()
        }
    })
}

fn refused(error: &StoreError) -> Fault {
    Fault::Told(error.to_string())
}

impl Checkpoints for Keeper {
    fn prepare(&self, workspace: &Path) -> BoxFuture<'static, Result<(), CheckpointError>> {
        self.with_mirror(workspace, |_, watched| watched.prepare())
    }

    fn settle(
        &self,
        session: &SessionId,
        workspace: &Path,
    ) -> BoxFuture<'static, Result<(), CheckpointError>> {
        let session = session.clone();
        self.with_mirror(workspace, move |inner, watched| {
            watched.begin(inner, session)
        })
    }

    fn look(
        &self,
        session: &SessionId,
        workspace: &Path,
    ) -> BoxFuture<'static, Result<Looked, CheckpointError>> {
        let session = session.clone();
        self.with_mirror(workspace, move |inner, watched| {
            watched.end(inner, &session)
        })
    }

    fn note(
        &self,
        session: &SessionId,
        workspace: &Path,
    ) -> BoxFuture<'static, Result<(), CheckpointError>> {
        let session = session.clone();
        self.with_mirror(workspace, move |_, watched| watched.note(&session))
    }

    fn compare(
        &self,
        workspace: &Path,
        goals: Vec<FileGoal>,
    ) -> BoxFuture<'static, Result<Vec<FileChange>, CheckpointError>> {
        let (inner, workspace) = (Arc::clone(&self.inner), workspace.to_owned());
        blocking(move || {
            Ok(restore::compare(&workspace, goals, &|version| {
                inner.recall(version)
            }))
        })
    }

    fn take_back(
        &self,
        session: &SessionId,
        workspace: &Path,
        goals: Vec<FileGoal>,
        conflicts: Conflicts,
    ) -> BoxFuture<'static, Result<(TakenBack, Vec<FileStep>), CheckpointError>> {
        let (session, folder) = (session.clone(), workspace.to_owned());
        self.with_mirror(workspace, move |inner, watched| {
            // What others have changed until now is theirs, and not a change of this way back.
            watched.working.retain(|working| working.session != session);
            if !watched.working.is_empty() {
                watched.hand_over(inner)?;
            }
            let sessions = [session];
            let mut handing = Handing::new(inner, &sessions);
            let mut keep = |change: &Change| {
                let Change {
                    path,
                    before,
                    after,
                    at_ns,
                } = change;
                let change = Change {
                    path: path.clone(),
                    before: before.clone(),
                    after: after.clone(),
                    at_ns: *at_ns,
                };
                // It is kept before the file is touched.
                handing
                    .take(change)
                    .and_then(|()| handing.hand())
                    .map_err(|error| error.to_string())
            };
            let recall = |version: &FileVersion| inner.recall(version);
            let taken = restore::take_back(&folder, goals, conflicts, &recall, &mut keep);
            let taken = taken.map_err(Fault::Told)?;
            if taken.done {
                watched.settled = None;
                watched.mirror.settle()?;
            }
            let mut steps = handing.steps;
            steps.retain(|step| !taken.failed().any(|path| *path == step.path));
            Ok((taken, steps))
        })
    }
}
