//! Looks through a folder for what differs from what is known of it: by kind, size, times and number of
//! each file, as git does. Reads no file.

use std::collections::{HashMap, HashSet};
use std::io;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use quire_protocol::FileKind;
use quire_walk::{EntryKind, Ignored};
use rustix::fs::{AtFlags, FileType, Mode, Stat};

use crate::files::{Hash, kind, open_folder, open_top};
use crate::folder::{Name, names};

/// Files that are kept at most, and their bytes.
const MOST_FILES: usize = 200_000;
const MOST_BYTES: u64 = 4 << 30;
/// Bytes of a file that is kept at most.
pub(crate) const LARGEST: u64 = 32 << 20;
/// Bytes of a file that is kept though it is ignored: one that a person wrote, as an `.env`.
const LARGEST_IGNORED: u64 = 1 << 20;
/// From so many known files on it is worth another thread.
const WORTH_A_THREAD: usize = 1_000;
/// Threads at most: the disk's own knowledge of files is what they wait for.
const MOST_THREADS: usize = 4;
/// Folders in each other at most.
const DEEPEST: usize = 128;

/// What a file looks like from outside.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Stamp {
    pub(crate) kind: FileKind,
    pub(crate) size: u64,
    pub(crate) modified_ns: i64,
    pub(crate) changed_ns: i64,
    pub(crate) number: u64,
}

impl Stamp {
    /// None for what is neither a file nor a link.
    pub(crate) fn of(found: &Stat) -> Option<Self> {
        let kind = match FileType::from_raw_mode(found.st_mode) {
            FileType::Symlink => FileKind::Link,
            FileType::RegularFile => kind(Mode::from_raw_mode(found.st_mode)),
            _ => return None,
        };
        let nanoseconds = |seconds: i64, rest: u64| {
            let rest = i64::try_from(rest).unwrap_or(0);
            seconds.saturating_mul(1_000_000_000).saturating_add(rest)
        };
        #[expect(clippy::allow_attributes, reason = "systems differ in these types")]
        #[allow(
            clippy::unnecessary_cast,
            clippy::cast_sign_loss,
            reason = "systems differ in these types"
        )]
        Some(Self {
            kind,
            size: u64::try_from(found.st_size).unwrap_or(0),
            modified_ns: nanoseconds(found.st_mtime, found.st_mtime_nsec as u64),
            changed_ns: nanoseconds(found.st_ctime, found.st_ctime_nsec as u64),
            number: found.st_ino as u64,
        })
    }
}

/// What is known of a file.
#[derive(Debug)]
pub(crate) struct Known {
    pub(crate) stamp: Stamp,
    pub(crate) hash: Hash,
    /// It was written so shortly before it was read that it may have been written again since, with
    /// the same times.
    pub(crate) is_fresh: bool,
    /// The number of the last scan that saw it.
    pub(crate) seen: AtomicU64,
}

/// What a workspace is known to hold.
#[derive(Default)]
pub(crate) struct Knowledge {
    pub(crate) files: HashMap<String, Known>,
    /// What git's ignore files leave out, and the folders that they do not. What is known stays so: a
    /// folder that becomes ignored still holds it.
    left_out: HashSet<String>,
    entered: HashSet<String>,
    scans: u64,
}

/// What differs from what was known.
#[derive(Default)]
pub(crate) struct Found {
    /// What is new, or looks different; it may hold the same.
    pub(crate) candidates: Vec<(String, Stamp)>,
    /// What is there no more.
    pub(crate) gone: Vec<String>,
}

/// Why a folder cannot be kept.
pub(crate) enum Unfit {
    /// It holds too much.
    TooMuch(String),
    Failed(io::Error),
}

impl From<io::Error> for Unfit {
    fn from(error: io::Error) -> Self {
        Self::Failed(error)
    }
}

impl Knowledge {
    /// Learns of a file.
    pub(crate) fn learn(&mut self, path: String, known: Known) {
        let folders = path.match_indices('/').map(|(end, _)| &path[..end]);
        for folder in folders {
            if !self.entered.contains(folder) {
                self.entered.insert(folder.to_owned());
            }
        }
        self.files.insert(path, known);
    }

    /// Looks through a workspace.
    pub(crate) fn scan(&mut self, workspace: &Path) -> Result<Found, Unfit> {
        self.scans += 1;
        let top = Arc::new(open_top(workspace)?);
        let mut seen = self.look_through(vec![Task::top(top)]);
        // What nobody has met before is judged in the order of a walk.
        while !seen.strangers.is_empty() {
            let strangers = std::mem::take(&mut seen.strangers);
            let folders = self.judge(workspace, strangers, &mut seen);
            seen.add(self.look_through(folders));
            check_size(&seen)?;
        }
        check_size(&seen)?;
        let gone = self.gone(&seen);
        let tells_what_is_ignored = |path: &str| path.ends_with("ignore");
        if gone.iter().any(|path| tells_what_is_ignored(path))
            || seen
                .candidates
                .iter()
                .any(|(path, _)| tells_what_is_ignored(path))
        {
            self.left_out.clear();
        }
        let candidates = seen.candidates;
        Ok(Found { candidates, gone })
    }

    /// Looks through folders and those in them that are known, on as many threads as it is worth.
    fn look_through(&self, folders: Vec<Task>) -> Seen {
        let queue = Queue::new(folders);
        if self.files.len() < WORTH_A_THREAD {
            return self.work(&queue);
        }
        let threads = std::thread::available_parallelism()
            .map_or(1, usize::from)
            .min(MOST_THREADS);
        std::thread::scope(|scope| {
            let others: Vec<_> = (1..threads)
                .map(|_| scope.spawn(|| self.work(&queue)))
                .collect();
            let mut seen = self.work(&queue);
            for other in others {
                match other.join() {
                    Ok(more) => seen.add(more),
                    Err(panic) => std::panic::resume_unwind(panic),
                }
            }
            seen
        })
    }

    fn work(&self, queue: &Queue) -> Seen {
        let mut seen = Seen::default();
        let mut buffer = Vec::new();
        while let Some(task) = queue.next() {
            self.folder(task, queue, &mut seen, &mut buffer);
            queue.done();
        }
        seen
    }

    fn folder(&self, task: Task, queue: &Queue, seen: &mut Seen, buffer: &mut Vec<u8>) {
        let Task {
            above,
            name,
            path,
            depth,
        } = task;
        let opened = if name.is_empty() {
            Ok(above)
        } else {
            open_folder(&above, &*name).map(Arc::new)
        };
        let folder = match opened {
            Ok(folder) if depth < DEEPEST => folder,
            // It went away meanwhile.
            Err(error) if error.kind() == io::ErrorKind::NotFound => return,
            Ok(_) | Err(_) => return seen.unread.push(path),
        };
        let mut here = path.clone();
        let read = names(&folder, buffer, |name, kind| {
            here.truncate(path.len());
            if !here.is_empty() {
                here.push('/');
            }
            here.push_str(name);
            let kind = match kind {
                Name::Folder => EntryKind::Folder,
                Name::File => EntryKind::Other,
                Name::Unknown => match rustix::fs::statat(&folder, name, AtFlags::SYMLINK_NOFOLLOW)
                {
                    Ok(found) if FileType::from_raw_mode(found.st_mode) == FileType::Directory => {
                        EntryKind::Folder
                    }
                    _ => EntryKind::Other,
                },
            };
            let met = Met {
                folder: &folder,
                name,
                path: &here,
                depth,
            };
            match kind {
                EntryKind::Folder => self.meet_folder(&met, queue, seen),
                EntryKind::Other => self.meet_file(&met, seen),
            }
        });
        if read.is_err() {
            seen.unread.push(path);
        }
    }

    fn meet_folder(&self, met: &Met<'_>, queue: &Queue, seen: &mut Seen) {
        if self.entered.contains(met.path) {
            queue.add(met.task());
        } else if !self.left_out.contains(met.path) {
            let kind = EntryKind::Folder;
            seen.strangers.push(Stranger {
                task: met.task(),
                kind,
                stamp: None,
            });
        }
    }

    fn meet_file(&self, met: &Met<'_>, seen: &mut Seen) {
        let found = match rustix::fs::statat(met.folder, met.name, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(found) => found,
            // It went away meanwhile.
            Err(rustix::io::Errno::NOENT) => return,
            // A folder whose names can be read, and nothing else.
            Err(_) => return seen.unread.push(met.above().to_owned()),
        };
        let Some(stamp) = Stamp::of(&found) else {
            return;
        };
        if let Some(known) = self.files.get(met.path) {
            known.seen.store(self.scans, Ordering::Relaxed);
            seen.known += 1;
            seen.count(&stamp);
            if known.stamp != stamp || known.is_fresh {
                seen.candidates.push((met.path.to_owned(), stamp));
            }
        } else if stamp.size <= LARGEST
            && (stamp.size <= LARGEST_IGNORED || !self.left_out.contains(met.path))
        {
            let kind = EntryKind::Other;
            seen.strangers.push(Stranger {
                task: met.task(),
                kind,
                stamp: Some(stamp),
            });
        }
    }

    /// Decides about what nobody has met before; returns the folders that are to be looked through.
    fn judge(
        &mut self,
        workspace: &Path,
        mut strangers: Vec<Stranger>,
        seen: &mut Seen,
    ) -> Vec<Task> {
        strangers.sort_unstable_by(|a, b| a.task.path.cmp(&b.task.path));
        let mut ignored = Ignored::beneath(workspace);
        let mut folders = Vec::new();
        for Stranger { task, kind, stamp } in strangers {
            // A small file is kept though it is ignored.
            let is_small = stamp.is_some_and(|stamp| stamp.size <= LARGEST_IGNORED);
            let is_out = !is_small && ignored.leaves_out(&workspace.join(&task.path), kind);
            match (is_out, stamp) {
                (true, _) => drop(self.left_out.insert(task.path)),
                (false, Some(stamp)) => {
                    seen.count(&stamp);
                    seen.candidates.push((task.path, stamp));
                }
                (false, None) => {
                    self.entered.insert(task.path.clone());
                    folders.push(task);
                }
            }
        }
        folders
    }

    fn gone(&self, seen: &Seen) -> Vec<String> {
        if seen.known == self.files.len() {
            return Vec::new();
        }
        let within = |path: &str, folder: &String| {
            let rest = path.strip_prefix(folder.as_str());
            folder.is_empty() || rest.is_some_and(|rest| rest.starts_with('/'))
        };
        let missing = self.files.iter().filter(|(path, known)| {
            known.seen.load(Ordering::Relaxed) != self.scans
                && !seen.unread.iter().any(|folder| within(path, folder))
        });
        let mut gone: Vec<String> = missing.map(|(path, _)| path.clone()).collect();
        gone.sort_unstable();
        gone
    }
}

fn check_size(seen: &Seen) -> Result<(), Unfit> {
    if seen.files <= MOST_FILES && seen.bytes <= MOST_BYTES {
        return Ok(());
    }
    Err(Unfit::TooMuch(format!(
        "the folder holds more than {MOST_FILES} files or {} GiB that git would not ignore",
        MOST_BYTES >> 30
    )))
}

/// What a look through folders has seen.
#[derive(Default)]
struct Seen {
    candidates: Vec<(String, Stamp)>,
    /// What is neither known nor known to be left out.
    strangers: Vec<Stranger>,
    /// Folders that could not be read: what is known to be in them counts as there.
    unread: Vec<String>,
    files: usize,
    known: usize,
    bytes: u64,
}

impl Seen {
    fn count(&mut self, stamp: &Stamp) {
        self.files += 1;
        self.bytes += stamp.size;
    }

    fn add(&mut self, more: Self) {
        self.candidates.extend(more.candidates);
        self.strangers.extend(more.strangers);
        self.unread.extend(more.unread);
        self.files += more.files;
        self.known += more.known;
        self.bytes += more.bytes;
    }
}

/// An entry at hand.
struct Met<'a> {
    folder: &'a Arc<OwnedFd>,
    name: &'a str,
    path: &'a str,
    depth: usize,
}

impl Met<'_> {
    /// The path of its folder.
    fn above(&self) -> &str {
        self.path.rsplit_once('/').map_or("", |(above, _)| above)
    }

    fn task(&self) -> Task {
        Task {
            above: Arc::clone(self.folder),
            name: self.name.into(),
            path: self.path.to_owned(),
            depth: self.depth + 1,
        }
    }
}

/// An entry that nobody has met before; with a stamp where it is a file.
struct Stranger {
    task: Task,
    kind: EntryKind,
    stamp: Option<Stamp>,
}

/// A folder to be looked through, by its name in the one above; the top has none.
struct Task {
    above: Arc<OwnedFd>,
    name: Box<str>,
    path: String,
    depth: usize,
}

impl Task {
    fn top(top: Arc<OwnedFd>) -> Self {
        Self {
            above: top,
            name: "".into(),
            path: String::new(),
            depth: 0,
        }
    }
}

/// Folders that wait, the last first, so that few are open at a time.
struct Queue {
    state: Mutex<Waiting>,
    changed: Condvar,
}

struct Waiting {
    tasks: Vec<Task>,
    /// How many are waiting or at work.
    open: usize,
}

impl Queue {
    fn new(tasks: Vec<Task>) -> Self {
        let open = tasks.len();
        Self {
            state: Mutex::new(Waiting { tasks, open }),
            changed: Condvar::new(),
        }
    }

    fn state(&self) -> MutexGuard<'_, Waiting> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn add(&self, task: Task) {
        let mut state = self.state();
        state.tasks.push(task);
        state.open += 1;
        self.changed.notify_one();
    }

    /// The next folder; none once all are done.
    fn next(&self) -> Option<Task> {
        let mut state = self.state();
        loop {
            if let Some(task) = state.tasks.pop() {
                return Some(task);
            }
            if state.open == 0 {
                return None;
            }
            state = self
                .changed
                .wait(state)
                .unwrap_or_else(PoisonError::into_inner);
        }
    }

    fn done(&self) {
        let mut state = self.state();
        state.open -= 1;
        if state.open == 0 {
            self.changed.notify_all();
        }
    }
}
