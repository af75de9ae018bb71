//! Repositories that a command made where the person's git comes by. `git status` looks into every
//! folder that the index calls a submodule, and obeys the configuration there; so does git in a
//! folder with files of the project, once there is a `.git` in it. Commands write the index, and any
//! folder. So what the index names may have no `.git` but what was there before, or what the person
//! fetched meanwhile.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::fs;
use std::os::fd::{AsFd as _, AsRawFd as _, OwnedFd};
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde::{Deserialize, Serialize};

use crate::linux::links::Reach;
use crate::linux::sys::files;

/// The largest index that is looked at, in bytes.
const INDEX_BYTES: u64 = 256 << 20;

/// How much of a `.git` file is read.
const MARKER_BYTES: u64 = 8192;

/// What one index may name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Submodules {
    folder: PathBuf,
    git_folder: PathBuf,
    /// Those that had a `.git` before, by their paths' bytes.
    own: Vec<Vec<u8>>,
    #[serde(skip)]
    known: Known,
}

/// What an index said when it was read, so that it is read again only when it changed.
#[derive(Clone, Debug, Default)]
struct Known(Arc<Mutex<Said>>);

#[derive(Debug, Default)]
struct Said {
    states: Vec<State>,
    submodules: BTreeSet<Vec<u8>>,
    /// Those with files that it names, or ever named.
    folders: BTreeSet<Vec<u8>>,
}

impl PartialEq for Known {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl Eq for Known {}

/// What changes with a file: its name, and what the kernel says that nobody can set.
type State = (Vec<u8>, u64, u64, i64, i64);

/// A folder with a `.git` that a command may have made.
pub(crate) struct Made {
    pub(crate) path: PathBuf,
    pub(crate) folder: OwnedFd,
}

impl Submodules {
    /// Watches the index of a folder's git folder.
    pub(crate) fn of(folder: &Path, git_folder: &Path) -> Self {
        let mut submodules = Self {
            folder: folder.to_path_buf(),
            git_folder: git_folder.to_path_buf(),
            own: Vec::new(),
            known: Known::default(),
        };
        submodules.own = submodules.marked(Reach::All);
        submodules
    }

    /// Those that may be a command's.
    pub(crate) fn made(&self, reach: Reach) -> Vec<Made> {
        let mut marked = self.marked(reach);
        marked.retain(|path| !self.own.contains(path));
        let made = marked.iter().filter_map(|path| {
            let root = files::open_straight(&self.folder).ok()?;
            let path = Path::new(OsStr::from_bytes(path));
            // Git follows no link on the way either.
            let folder = files::open_straight_at(root.as_fd(), path).ok()?;
            files::find(folder.as_fd(), ".git")?;
            let path = self.folder.join(path).join(".git");
            (!self.was_fetched(&folder, &path)).then_some(Made { path, folder })
        });
        made.collect()
    }

    /// Reads the index, so that copies of this process need not.
    pub(crate) fn read(&self) {
        drop(self.known());
    }

    /// How many folders it takes to look at all of them.
    pub(crate) fn folders(&self) -> usize {
        let known = self.known.0.lock();
        known.unwrap_or_else(PoisonError::into_inner).folders.len()
    }

    /// What the index names and has a `.git`.
    fn marked(&self, reach: Reach) -> Vec<Vec<u8>> {
        let known = self.known();
        let Ok(root) = files::open_straight(&self.folder) else {
            return Vec::new();
        };
        let has_marker = |path: &&Vec<u8>| {
            let marker = Path::new(OsStr::from_bytes(path)).join(".git");
            files::is_there(root.as_fd(), &marker)
        };
        let folders = known.folders.iter().filter(|_| reach == Reach::All);
        let named = known.submodules.iter().chain(folders);
        named.filter(has_marker).cloned().collect()
    }

    /// Whether its `.git` leads to where commands can put no submodule.
    fn was_fetched(&self, folder: &OwnedFd, marker: &Path) -> bool {
        let read = files::read_start(folder.as_fd(), ".git", MARKER_BYTES);
        let text = read.map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
        let modules = self.git_folder.join("modules");
        let is_linked = self.git_folder.join("commondir").exists();
        let leads = |text: String| {
            let target = text.strip_prefix("gitdir:")?.trim().to_owned();
            let target = marker.parent()?.join(target).canonicalize().ok()?;
            Some(is_kept(&modules, &target))
        };
        !is_linked && text.ok().and_then(leads) == Some(true)
    }

    /// What the index names.
    fn known(&self) -> MutexGuard<'_, Said> {
        let mut known = self.known.0.lock().unwrap_or_else(PoisonError::into_inner);
        let Ok(handle) = files::open_straight(&self.git_folder) else {
            return known;
        };
        let states = states(&handle);
        if known.states != states {
            known.submodules.clear();
            for state in &states {
                let name = std::str::from_utf8(&state.0).unwrap_or_default();
                let read = files::read_start(handle.as_fd(), name, INDEX_BYTES);
                known.add(&read.unwrap_or_default());
            }
            known.states = states;
        }
        known
    }
}

/// Whether a folder lies where submodules are kept from commands: not in the git folder of one, but
/// for the folder of its own submodules.
fn is_kept(modules: &Path, folder: &Path) -> bool {
    let Ok(below) = folder.strip_prefix(modules) else {
        return false;
    };
    let (mut at, mut parts) = (modules.to_path_buf(), below.iter().peekable());
    while let Some(part) = parts.next() {
        at.push(part);
        if parts.peek().is_none() {
            return true;
        }
        if at.join("config").exists() {
            at.push("modules");
            if parts.next() != Some(OsStr::new("modules")) {
                return false;
            }
        }
    }
    false
}

/// The index, and those that it may be split into.
fn states(git_folder: &OwnedFd) -> Vec<State> {
    let root = PathBuf::from(format!("/proc/self/fd/{}", git_folder.as_raw_fd()));
    let entries = fs::read_dir(root).into_iter().flatten().flatten();
    let parts = entries.filter_map(|entry| {
        let name = entry.file_name().as_bytes().to_vec();
        if name != b"index" && !name.starts_with(b"sharedindex.") {
            return None;
        }
        let data = entry.metadata().ok()?;
        Some((
            name,
            data.ino(),
            data.size(),
            data.ctime(),
            data.ctime_nsec(),
        ))
    });
    let mut states: Vec<State> = parts.collect();
    states.sort();
    states
}

impl Said {
    /// Takes up what an index names, and perhaps some that means nothing: how long hashes are is
    /// said in the configuration. Where the usual length makes sense, the other is not tried.
    fn add(&mut self, index: &[u8]) {
        for hash in [20, 32] {
            let Some(mut entries) = Entries::of(index, hash) else {
                return;
            };
            let mut makes_sense = true;
            let mut last: Vec<u8> = Vec::new();
            while let Some((mode, path)) = entries.next() {
                makes_sense &= matches!(mode >> 12, 0o04 | 0o10 | 0o12 | 0o16);
                let end = path.iter().rposition(|byte| *byte == b'/').unwrap_or(0);
                if last != path[..end] {
                    last = path[..end].to_vec();
                    self.add_folder(&last);
                }
                if mode & 0o170_000 == 0o160_000 {
                    self.submodules.insert(path);
                }
            }
            if makes_sense && entries.left == 0 {
                return;
            }
        }
    }

    /// With those above it.
    fn add_folder(&mut self, mut folder: &[u8]) {
        while !folder.is_empty() && self.folders.insert(folder.to_vec()) {
            let end = folder.iter().rposition(|byte| *byte == b'/').unwrap_or(0);
            folder = &folder[..end];
        }
    }
}

/// The entries of an index, read as git reads them, which checks little.
struct Entries<'a> {
    index: &'a [u8],
    version: u32,
    left: u32,
    hash: usize,
    at: usize,
    name: Vec<u8>,
}

impl<'a> Entries<'a> {
    fn of(index: &'a [u8], hash: usize) -> Option<Self> {
        let mut entries = Self {
            index,
            version: 0,
            left: 0,
            hash,
            at: 12,
            name: Vec::new(),
        };
        entries.version = entries.number(4)?;
        entries.left = entries.number(8)?;
        index.starts_with(b"DIRC").then_some(entries)
    }

    fn number(&self, at: usize) -> Option<u32> {
        let bytes = self.index.get(at..at + 4)?;
        Some(u32::from_be_bytes(bytes.try_into().ok()?))
    }

    /// The mode and the path of the next one.
    fn next(&mut self) -> Option<(u32, Vec<u8>)> {
        const LONG: usize = 0xfff;
        self.left = self.left.checked_sub(1)?;
        let mode = self.number(self.at + 24)?;
        let at = self.at + 40 + self.hash;
        let flags = usize::from(*self.index.get(at)?) << 8 | usize::from(*self.index.get(at + 1)?);
        let mut start = at + if flags & 0x4000 == 0 { 2 } else { 4 };
        let mut kept = 0;
        if self.version == 4 {
            let (shared, length) = shared(self.index.get(start..)?, self.name.len())?;
            (kept, start) = (shared, start + length);
        }
        let rest = self.index.get(start..)?;
        let length = match flags & LONG {
            LONG => rest.iter().position(|byte| *byte == 0)?,
            length => length.checked_sub(kept)?,
        };
        self.name.truncate(kept);
        self.name.extend_from_slice(rest.get(..length)?);
        let end = start + length;
        // Padded to a multiple of eight from its start, by one zero at least.
        self.at = match self.version {
            4 => end + 1,
            _ => self.at + ((end - self.at + 8) & !7),
        };
        let path = self.name.split(|byte| *byte == 0).next()?.to_vec();
        Some((mode, path))
    }
}

/// How many bytes of the last name the next one begins with, and how many say so.
fn shared(bytes: &[u8], last: usize) -> Option<(usize, usize)> {
    let mut cut = 0_usize;
    for (number, byte) in bytes.iter().enumerate().take(8) {
        cut = (cut << 7) + usize::from(byte & 0x7f);
        if byte & 0x80 == 0 {
            return Some((last.checked_sub(cut)?, number + 1));
        }
        cut += 1;
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An entry as version 2 has it.
    fn entry(mode: u32, flags: u16, name: &[u8]) -> Vec<u8> {
        let mut bytes = vec![0; 24];
        bytes.extend(mode.to_be_bytes());
        bytes.extend([0; 32]);
        bytes.extend(flags.to_be_bytes());
        bytes.extend(name);
        bytes.resize((bytes.len() + 8) & !7, 0);
        bytes
    }

    fn index(entries: &[Vec<u8>]) -> Vec<u8> {
        let count = u32::try_from(entries.len()).expect("few");
        let head = [*b"DIRC", 2_u32.to_be_bytes(), count.to_be_bytes()].concat();
        [head, entries.concat()].concat()
    }

    #[test]
    fn a_submodule_s_git_folder_keeps_nothing_from_commands() {
        let folder = tempfile::tempdir().expect("a folder");
        let modules = folder.path().join("modules");
        for name in ["sub", "deep/sub", "sub/modules/sub"] {
            std::fs::create_dir_all(modules.join(name)).expect("a folder");
            std::fs::write(modules.join(name).join("config"), "").expect("a file");
        }
        for (name, expected) in [
            ("sub", true),
            ("deep/sub", true),
            ("sub/modules/sub", true),
            ("", false),
            ("sub/evil", false),
            ("sub/modules", false),
            ("sub/objects/evil", false),
            ("deep/sub/evil", false),
            ("sub/modules/sub/evil", false),
        ] {
            assert_eq!(is_kept(&modules, &modules.join(name)), expected, "{name}");
        }
    }

    #[test]
    fn what_git_takes_for_a_submodule_is_found() {
        let long = [b'a'; 5000];
        let named = |bytes: &[u8]| {
            let mut said = Said::default();
            said.add(bytes);
            let names = |set: BTreeSet<Vec<u8>>| {
                let names = set
                    .into_iter()
                    .map(|name| String::from_utf8_lossy(&name).into_owned());
                names.collect::<Vec<_>>().join(" ")
            };
            (names(said.submodules), names(said.folders))
        };
        let plain = index(&[
            entry(0o100_644, 3, b"a/b"),
            entry(0o100_644, 7, b"c/d/e/f"),
            entry(0o100_644, 5, b"c/d/g"),
        ]);
        assert_eq!(named(&plain), (String::new(), "a c c/d c/d/e".to_owned()));
        let bytes = index(&[
            entry(0, 3, b"odd"),
            entry(0o100_644, 0xfff, &long),
            entry(0o100_644, 5, b"a\0bcd"),
            entry(0o160_000, 3, b"sub"),
            entry(0o160_000, 7, b"end\0end"),
        ]);
        assert_eq!(named(&bytes).0, "end sub");
        for end in 0..bytes.len() {
            named(&bytes[..end]);
        }
    }
}
