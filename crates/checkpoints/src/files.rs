//! Files of a workspace by their relative paths, without ever being led out of it: each folder on the way
//! is opened by its name in the one before, and no link is followed.

use std::ffi::OsStr;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Component, Path};

use std::fs::File;
use std::io::{Read as _, Write as _};

use quire_protocol::{BlobId, FileKind, FileVersion};
use rustix::fs::{AtFlags, FileType, Mode, OFlags};
use sha2::{Digest as _, Sha256};

/// A hash of what a file holds.
pub(crate) type Hash = [u8; 32];

/// Names that are never looked at nor changed: what they hold decides what runs later.
pub(crate) const LEFT_ALONE: [&str; 2] = [".git", ".quire"];

const FOLDER: OFlags = OFlags::RDONLY
    .union(OFlags::DIRECTORY)
    .union(OFlags::NOFOLLOW)
    .union(OFlags::CLOEXEC);

/// What a file holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Content {
    pub(crate) kind: FileKind,
    pub(crate) bytes: Vec<u8>,
}

impl Content {
    pub(crate) fn hash(&self) -> Hash {
        Sha256::digest(&self.bytes).into()
    }

    /// As it is named in journals.
    pub(crate) fn version(&self) -> FileVersion {
        version(&self.hash(), self.bytes.len() as u64, self.kind)
    }
}

/// What is named so in journals.
pub(crate) fn version(hash: &Hash, bytes: u64, kind: FileKind) -> FileVersion {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let digit = |half: u8| char::from(DIGITS[usize::from(half)]);
    let name: String = hash
        .iter()
        .flat_map(|byte| [digit(byte >> 4), digit(byte & 15)])
        .collect();
    FileVersion {
        content: BlobId::new(name),
        bytes,
        kind,
    }
}

/// What kind of file has these permissions.
pub(crate) fn kind(mode: Mode) -> FileKind {
    let private = !mode.intersects(Mode::RWXG | Mode::RWXO);
    match (mode.contains(Mode::XUSR), private) {
        (false, false) => FileKind::Plain,
        (true, false) => FileKind::Executable,
        (false, true) => FileKind::Private,
        (true, true) => FileKind::PrivateExecutable,
    }
}

/// Opens the folder at the top.
pub(crate) fn open_top(workspace: &Path) -> io::Result<OwnedFd> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    Ok(rustix::fs::open(workspace, flags, Mode::empty())?)
}

/// Opens a folder in another one.
pub(crate) fn open_folder(folder: &OwnedFd, name: impl rustix::path::Arg) -> io::Result<OwnedFd> {
    Ok(rustix::fs::openat(folder, name, FOLDER, Mode::empty())?)
}

/// What a file in a folder holds; nothing where there is none, or where it is neither a file nor a link.
/// One with more bytes than `most` is an error.
pub(crate) fn read(folder: &OwnedFd, name: &OsStr, most: u64) -> io::Result<Option<Content>> {
    let found = match rustix::fs::statat(folder, name, AtFlags::SYMLINK_NOFOLLOW) {
        Ok(found) => found,
        Err(rustix::io::Errno::NOENT | rustix::io::Errno::NOTDIR) => return Ok(None),
        Err(error) => return Err(error.into()),
    };
    match FileType::from_raw_mode(found.st_mode) {
        FileType::Symlink => {
            let target = rustix::fs::readlinkat(folder, name, Vec::new())?;
            Ok(Some(Content {
                kind: FileKind::Link,
                bytes: target.into_bytes(),
            }))
        }
        FileType::RegularFile => read_plain(folder, name, most).map(Some),
        _ => Ok(None),
    }
}

fn read_plain(folder: &OwnedFd, name: &OsStr, most: u64) -> io::Result<Content> {
    // What took its place since may be a pipe, which must hold nobody up.
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let file = File::from(rustix::fs::openat(folder, name, flags, Mode::empty())?);
    let found = rustix::fs::fstat(&file)?;
    if FileType::from_raw_mode(found.st_mode) != FileType::RegularFile {
        return Err(io::Error::other("it changed while it was being opened"));
    }
    let expected = u64::try_from(found.st_size).unwrap_or(0).min(most);
    let mut bytes = Vec::with_capacity(usize::try_from(expected).unwrap_or(0));
    file.take(most.saturating_add(1)).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > most {
        return Err(io::Error::new(
            io::ErrorKind::FileTooLarge,
            "it is too large to be kept",
        ));
    }
    let kind = kind(Mode::from_raw_mode(found.st_mode));
    Ok(Content { kind, bytes })
}

/// A file by its path in a workspace: its folder, open, and its name.
pub(crate) struct Spot {
    folder: OwnedFd,
    name: std::ffi::OsString,
}

impl Spot {
    /// Finds it; nothing where a folder on the way is missing.
    pub(crate) fn find(workspace: &Path, path: &str) -> io::Result<Option<Self>> {
        match Self::reach(workspace, path, |_, _| Ok(())) {
            Ok(spot) => Ok(Some(spot)),
            Err(error)
                if matches!(
                    error.kind(),
                    io::ErrorKind::NotFound | io::ErrorKind::NotADirectory
                ) =>
            {
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }

    /// Finds it, making the folders on the way that are missing.
    pub(crate) fn make(workspace: &Path, path: &str) -> io::Result<Self> {
        Self::reach(workspace, path, |folder, name| {
            match rustix::fs::mkdirat(folder, name, Mode::from_raw_mode(0o777)) {
                Ok(()) | Err(rustix::io::Errno::EXIST) => Ok(()),
                Err(error) => Err(error.into()),
            }
        })
    }

    fn reach(
        workspace: &Path,
        path: &str,
        prepare: impl Fn(&OwnedFd, &OsStr) -> io::Result<()>,
    ) -> io::Result<Self> {
        let refused = || io::Error::other(format!("{path} is not a path in the workspace"));
        let mut names = Vec::new();
        for component in Path::new(path).components() {
            match component {
                Component::Normal(name)
                    if !LEFT_ALONE
                        .iter()
                        .any(|left| name.eq_ignore_ascii_case(left)) =>
                {
                    names.push(name);
                }
                _ => return Err(refused()),
            }
        }
        let name = names.pop().ok_or_else(refused)?;
        let mut folder = open_top(workspace)?;
        for above in names {
            prepare(&folder, above)?;
            folder = open_folder(&folder, above).map_err(|error| {
                // A link where a folder was.
                if error.raw_os_error() == Some(rustix::io::Errno::LOOP.raw_os_error()) {
                    io::Error::from(io::ErrorKind::NotADirectory)
                } else {
                    error
                }
            })?;
        }
        Ok(Self {
            folder,
            name: name.to_owned(),
        })
    }

    /// What it holds.
    pub(crate) fn read(&self, most: u64) -> io::Result<Option<Content>> {
        read(&self.folder, &self.name, most)
    }

    /// Replaces it in one step. A file keeps its permissions but for those to run it, and those of others
    /// where it was its owner's only.
    pub(crate) fn write(&self, content: &Content) -> io::Result<()> {
        let aside = self.aside();
        // What an earlier attempt left behind.
        let _ = rustix::fs::unlinkat(&self.folder, &aside, AtFlags::empty());
        let made = self.write_aside(&aside, content).and_then(|()| {
            rustix::fs::renameat(&self.folder, &aside, &self.folder, &self.name)?;
            Ok(())
        });
        if made.is_err() {
            let _ = rustix::fs::unlinkat(&self.folder, &aside, AtFlags::empty());
        }
        made
    }

    fn aside(&self) -> String {
        let hash: Hash = Sha256::digest(self.name.as_encoded_bytes()).into();
        format!(
            ".quire-back-{:02x}{:02x}{:02x}{:02x}",
            hash[0], hash[1], hash[2], hash[3]
        )
    }

    fn write_aside(&self, aside: &str, content: &Content) -> io::Result<()> {
        if content.kind == FileKind::Link {
            let target = OsStr::from_bytes(&content.bytes);
            return Ok(rustix::fs::symlinkat(target, &self.folder, aside)?);
        }
        let replaced = rustix::fs::statat(&self.folder, &self.name, AtFlags::SYMLINK_NOFOLLOW).ok();
        let replaced = replaced
            .filter(|found| FileType::from_raw_mode(found.st_mode) == FileType::RegularFile);
        let flags =
            OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let (executable, private) = match content.kind {
            FileKind::Plain | FileKind::Link => (false, false),
            FileKind::Executable => (true, false),
            FileKind::Private => (false, true),
            FileKind::PrivateExecutable => (true, true),
        };
        let fresh = if executable { 0o777 } else { 0o666 };
        let owners = if private { 0o700 } else { 0o777 };
        // Nobody else may look into it before it is as closed as the one it replaces.
        let mode = if replaced.is_some() {
            0o600
        } else {
            fresh & owners
        };
        let file = rustix::fs::openat(&self.folder, aside, flags, Mode::from_raw_mode(mode))?;
        let mut file = File::from(file);
        file.write_all(&content.bytes)?;
        if let Some(replaced) = replaced {
            let kept = Mode::from_raw_mode(replaced.st_mode & 0o777).bits();
            let readable = (kept & 0o444) >> 2;
            let mode = if executable {
                kept | readable
            } else {
                kept & !0o111
            };
            rustix::fs::fchmod(&file, Mode::from_raw_mode(mode & owners))?;
        }
        Ok(())
    }

    /// Removes it.
    pub(crate) fn remove(&self) -> io::Result<()> {
        match rustix::fs::unlinkat(&self.folder, &self.name, AtFlags::empty()) {
            Ok(()) | Err(rustix::io::Errno::NOENT) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }
}

/// Removes the folders above a path that are empty now, up to the workspace.
pub(crate) fn remove_empty(workspace: &Path, path: &str) {
    for above in Path::new(path).ancestors().skip(1) {
        let Some(text) = above.to_str().filter(|text| !text.is_empty()) else {
            return;
        };
        let Ok(Some(spot)) = Spot::find(workspace, text) else {
            return;
        };
        if rustix::fs::unlinkat(&spot.folder, &spot.name, AtFlags::REMOVEDIR).is_err() {
            return;
        }
    }
}
