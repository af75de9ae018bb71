//! The names in an open folder, with the system's own call where that is leaner.

use std::io;
use std::os::fd::OwnedFd;

use rustix::fs::FileType;

use crate::files::LEFT_ALONE;

/// What kind of entry a name is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Name {
    Folder,
    /// A file or a link.
    File,
    /// The file system does not tell.
    Unknown,
}

impl Name {
    /// None for what is neither folder nor file nor link.
    fn of(kind: FileType) -> Option<Self> {
        match kind {
            FileType::Directory => Some(Self::Folder),
            FileType::RegularFile | FileType::Symlink => Some(Self::File),
            FileType::Unknown => Some(Self::Unknown),
            _ => None,
        }
    }
}

/// Bytes of names that are read at a time.
#[cfg(target_os = "linux")]
const BUFFER: usize = 32 * 1024;

/// Hands on the names in a folder that concern anybody. What is not text has no place in a journal.
#[cfg(target_os = "linux")]
pub(crate) fn names(
    folder: &OwnedFd,
    buffer: &mut Vec<u8>,
    mut each: impl FnMut(&str, Name),
) -> io::Result<()> {
    buffer.reserve(BUFFER);
    let mut entries = rustix::fs::RawDir::new(folder, buffer.spare_capacity_mut());
    while let Some(entry) = entries.next() {
        let entry = entry?;
        give(entry.file_name(), entry.file_type(), &mut each);
    }
    Ok(())
}

/// Hands on the names in a folder that concern anybody. What is not text has no place in a journal.
#[cfg(not(target_os = "linux"))]
pub(crate) fn names(
    folder: &OwnedFd,
    _: &mut Vec<u8>,
    mut each: impl FnMut(&str, Name),
) -> io::Result<()> {
    for entry in rustix::fs::Dir::read_from(folder)? {
        let entry = entry?;
        give(entry.file_name(), entry.file_type(), &mut each);
    }
    Ok(())
}

fn give(name: &std::ffi::CStr, kind: FileType, each: &mut impl FnMut(&str, Name)) {
    let Ok(name) = name.to_str() else { return };
    if matches!(name, "." | "..") || LEFT_ALONE.contains(&name) {
        return;
    }
    if let Some(kind) = Name::of(kind) {
        each(name, kind);
    }
}
