//! Being told at once of new names in folders.
#![expect(unsafe_code, reason = "inotify has no safe form in std")]

use std::io::{self, Read as _};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};

use super::check;
use super::number;

/// The fixed part of an event; a name padded with zeros follows.
const HEAD_BYTES: usize = 16;

/// That a name comes to be.
const NAMES: u32 = libc::IN_CREATE | libc::IN_MOVED_TO;

/// That a name goes, or who may use it changes.
const PLACES: u32 = libc::IN_MOVED_FROM | libc::IN_DELETE | libc::IN_ATTRIB | libc::IN_ONLYDIR;

/// That what a name stands for is written where it lies.
const WRITES: u32 = libc::IN_MODIFY;

/// Something that happened to a name in a folder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Change {
    /// As the watch knows it.
    pub(crate) folder: i32,
    pub(crate) name: String,
    /// Whether the name came to be.
    pub(crate) comes: bool,
    /// Whether it was written where it lies.
    pub(crate) is_write: bool,
}

/// Folders that are watched. It can be read when something in one was made, moved, removed or
/// changed.
pub(crate) struct Watch(std::fs::File);

impl Watch {
    /// One that watches nothing yet.
    pub(crate) fn new() -> io::Result<Self> {
        // SAFETY: takes no pointers; the result is a new descriptor.
        let raw =
            check(unsafe { libc::inotify_init1(libc::IN_NONBLOCK | libc::IN_CLOEXEC) }.into())?;
        // SAFETY: as above.
        let handle = unsafe { OwnedFd::from_raw_fd(number(raw)) };
        Ok(Self(handle.into()))
    }

    /// Watches a folder, whatever becomes of its name. Returns what its changes are known by, which
    /// is the same for the same folder.
    pub(crate) fn add(&self, folder: BorrowedFd<'_>) -> io::Result<i32> {
        let path = std::ffi::CString::new(format!("/proc/self/fd/{}", folder.as_raw_fd()))?;
        let watch = self.0.as_raw_fd();
        // SAFETY: `path` is a C string that outlives the call.
        check(
            unsafe { libc::inotify_add_watch(watch, path.as_ptr(), NAMES | PLACES | WRITES) }
                .into(),
        )
        .map(number)
    }

    /// What changed since the last look. Some is missing when it was too much.
    pub(crate) fn changes(&self) -> Vec<Change> {
        let mut changes = Vec::new();
        let mut buffer = [0; 16 * 1024];
        while let Ok(length) = (&self.0).read(&mut buffer)
            && length > 0
        {
            let mut events = &buffer[..length];
            while let Some((head, rest)) = events.split_at_checked(HEAD_BYTES) {
                let number = |at: usize| -> [u8; 4] {
                    let bytes = head[at..at + 4].try_into();
                    bytes.expect("four bytes")
                };
                let mask = u32::from_ne_bytes(number(4));
                let size = usize::try_from(u32::from_ne_bytes(number(12))).unwrap_or(usize::MAX);
                let Some((name, next)) = rest.split_at_checked(size) else {
                    break;
                };
                let end = name.iter().position(|byte| *byte == 0).unwrap_or(size);
                let name = String::from_utf8_lossy(&name[..end]).into_owned();
                changes.push(Change {
                    folder: i32::from_ne_bytes(number(0)),
                    name,
                    comes: mask & NAMES != 0,
                    is_write: mask & WRITES != 0,
                });
                events = next;
            }
        }
        changes
    }
}

impl AsFd for Watch {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_come_also_of_what_is_gone_again() {
        let folder = tempfile::tempdir().expect("a folder");
        let handle = std::fs::File::open(folder.path()).expect("opens");
        let watch = Watch::new().expect("a watch");
        let known = watch.add(handle.as_fd()).expect("watched");
        assert_eq!(watch.add(handle.as_fd()).expect("again"), known);
        assert_eq!(watch.changes(), Vec::new());
        let (one, other) = (folder.path().join("one"), folder.path().join("another"));
        std::fs::write(&one, "").expect("written");
        std::fs::rename(&one, &other).expect("renamed");
        std::fs::write(&other, "more").expect("written");
        std::fs::remove_file(&other).expect("removed");
        let change = |(name, comes, is_write): (&str, _, _)| Change {
            folder: known,
            name: name.to_owned(),
            comes,
            is_write,
        };
        let (one, other) = ("one", "another");
        let made = [
            (one, true, false),
            (one, false, false),
            (other, true, false),
        ];
        let lost = [(other, false, true), (other, false, false)];
        let expected: Vec<Change> = made.into_iter().chain(lost).map(change).collect();
        let mut seen = watch.changes();
        // The kernel may tell of what happens to a file when its last name goes.
        seen.dedup();
        assert_eq!(seen, expected);
    }
}
