//! Files found without following any symbolic link on the way, so that a path that was judged cannot
//! be bent afterwards by whoever may write one of its folders.
#![expect(unsafe_code, reason = "openat2 and its kin have no safe form in std")]

use std::ffi::CString;
use std::io::{self, Read as _};
use std::mem::{MaybeUninit, size_of};
use std::os::fd::{AsFd as _, AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use super::{check, number};

/// What a name in a folder stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Found {
    /// Device and inode.
    pub(crate) identity: (u64, u64),
    mode: libc::mode_t,
}

impl Found {
    /// Whether it is a regular file.
    pub(crate) fn is_file(self) -> bool {
        self.mode & libc::S_IFMT == libc::S_IFREG
    }

    /// Whether it is a folder.
    pub(crate) fn is_folder(self) -> bool {
        self.mode & libc::S_IFMT == libc::S_IFDIR
    }
}

/// A handle to what is at an absolute path, which may have no symbolic link in it.
pub(crate) fn open_straight(path: &Path) -> io::Result<OwnedFd> {
    open(libc::AT_FDCWD, path, libc::O_PATH)
}

/// A handle to what is at a path beneath a folder, as above.
pub(crate) fn open_straight_at(folder: BorrowedFd<'_>, path: &Path) -> io::Result<OwnedFd> {
    open(folder.as_raw_fd(), path, libc::O_PATH)
}

fn open(folder: RawFd, path: &Path, flags: libc::c_int) -> io::Result<OwnedFd> {
    let path = c_path(path)?;
    // SAFETY: an all-zero `open_how` is valid.
    let mut how: libc::open_how = unsafe { std::mem::zeroed() };
    how.flags = u64::from((flags | libc::O_CLOEXEC | libc::O_NOFOLLOW).cast_unsigned());
    how.resolve = libc::RESOLVE_NO_SYMLINKS;
    // SAFETY: `path` is a C string, and `how` has the size that is passed with it; the result is a
    // new descriptor.
    let handle = unsafe {
        let raw = check(libc::syscall(
            libc::SYS_openat2,
            folder,
            path.as_ptr(),
            &raw const how,
            size_of::<libc::open_how>(),
        ))?;
        OwnedFd::from_raw_fd(number(raw))
    };
    // A mere handle to a link can be had.
    if identify(handle.as_fd())?.mode & libc::S_IFMT == libc::S_IFLNK {
        return Err(io::Error::from_raw_os_error(libc::ELOOP));
    }
    Ok(handle)
}

/// What a handle leads to.
pub(crate) fn identify(handle: BorrowedFd<'_>) -> io::Result<Found> {
    stat(handle.as_raw_fd(), Path::new(""), libc::AT_EMPTY_PATH)
}

/// What a name in a folder stands for, a link for itself; none where it cannot be seen.
pub(crate) fn find(folder: BorrowedFd<'_>, name: &str) -> Option<Found> {
    stat(
        folder.as_raw_fd(),
        Path::new(name),
        libc::AT_SYMLINK_NOFOLLOW,
    )
    .ok()
}

/// Whether something is at a path beneath a folder, wherever links on the way lead.
pub(crate) fn is_there(folder: BorrowedFd<'_>, path: &Path) -> bool {
    stat(folder.as_raw_fd(), path, libc::AT_SYMLINK_NOFOLLOW).is_ok()
}

fn stat(folder: RawFd, path: &Path, flags: libc::c_int) -> io::Result<Found> {
    let path = c_path(path)?;
    let mut data = MaybeUninit::<libc::stat>::zeroed();
    // SAFETY: `path` is a C string, and the kernel writes one `stat` into `data`, which is valid
    // for any bytes.
    let data = unsafe {
        check(libc::fstatat(folder, path.as_ptr(), data.as_mut_ptr(), flags).into())?;
        data.assume_init()
    };
    Ok(Found {
        identity: (data.st_dev, data.st_ino),
        mode: data.st_mode,
    })
}

/// The first `most` bytes of a regular file beneath a folder. Waits for nobody.
pub(crate) fn read_start(folder: BorrowedFd<'_>, path: &str, most: u64) -> io::Result<Vec<u8>> {
    let flags = libc::O_RDONLY | libc::O_NONBLOCK;
    let file = open(folder.as_raw_fd(), Path::new(path), flags)?;
    let file = std::fs::File::from(file);
    if !file.metadata()?.is_file() {
        return Err(io::Error::other("it is not a regular file"));
    }
    let mut bytes = Vec::new();
    file.take(most).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// Renames something within a folder, unless the new name is taken.
pub(crate) fn rename(folder: BorrowedFd<'_>, from: &str, to: &str) -> io::Result<()> {
    let (from, to) = (CString::new(from)?, CString::new(to)?);
    let folder = folder.as_raw_fd();
    // SAFETY: both names are C strings that outlive the call.
    check(unsafe {
        libc::syscall(
            libc::SYS_renameat2,
            folder,
            from.as_ptr(),
            folder,
            to.as_ptr(),
            libc::RENAME_NOREPLACE,
        )
    })?;
    Ok(())
}

/// Removes a file or a link at a path beneath a folder, following no link on the way.
pub(crate) fn remove(folder: BorrowedFd<'_>, path: &Path) -> io::Result<()> {
    let name = path.file_name().ok_or(io::ErrorKind::InvalidInput)?;
    let name = c_path(Path::new(name))?;
    let parent = match path.parent() {
        Some(parent) if parent != Path::new("") => open_straight_at(folder, parent)?,
        _ => folder.try_clone_to_owned()?,
    };
    // SAFETY: `name` is a C string that outlives the call.
    check(unsafe { libc::unlinkat(parent.as_raw_fd(), name.as_ptr(), 0) }.into())?;
    Ok(())
}

fn c_path(path: &Path) -> io::Result<CString> {
    Ok(CString::new(path.as_os_str().as_bytes())?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_link_is_followed_anywhere() {
        let folder = tempfile::tempdir().expect("a folder");
        let root = folder.path().canonicalize().expect("a path");
        std::fs::create_dir_all(root.join("real/deep")).expect("folders");
        std::os::unix::fs::symlink("real", root.join("link")).expect("a link");
        assert!(open_straight(&root.join("real/deep")).is_ok());
        for bent in ["link", "link/deep", "real/../link/deep"] {
            assert!(open_straight(&root.join(bent)).is_err(), "{bent}");
        }
        let handle = open_straight(&root).expect("a handle");
        assert!(read_start(handle.as_fd(), "link/deep", 1).is_err());
        assert!(find(handle.as_fd(), "link").is_some_and(|it| !it.is_folder()));
    }
}
