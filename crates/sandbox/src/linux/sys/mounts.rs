//! Mounts, as the new mount calls make them: by descriptor, so that nothing is looked up twice.
#![expect(unsafe_code, reason = "mount calls have no safe form in std")]

use std::ffi::{CStr, CString};
use std::io;
use std::mem::size_of;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use super::{check, number};

pub(crate) const READ_ONLY: u64 = 1;
pub(crate) const NO_SETUID: u64 = 2;
pub(crate) const NO_DEVICES: u64 = 4;

const OPEN_TREE_CLONE: libc::c_uint = 1;
const MOVE_MOUNT_FROM_DESCRIPTOR: libc::c_uint = 4;
const MOVE_MOUNT_TO_DESCRIPTOR: libc::c_uint = 0x40;
const FSOPEN_CLOEXEC: libc::c_uint = 1;
const FSMOUNT_CLOEXEC: libc::c_uint = 1;
const FSCONFIG_SET_STRING: libc::c_uint = 1;
const FSCONFIG_CMD_CREATE: libc::c_uint = 6;

/// A copy of the mounts at a place, attached nowhere yet.
pub(crate) fn copy_tree(place: BorrowedFd<'_>) -> io::Result<OwnedFd> {
    let flags = OPEN_TREE_CLONE
        | (libc::O_CLOEXEC | libc::AT_RECURSIVE | libc::AT_EMPTY_PATH).cast_unsigned();
    // SAFETY: the path is a C string; the result is a new descriptor.
    unsafe {
        let raw = check(libc::syscall(
            libc::SYS_open_tree,
            place.as_raw_fd(),
            c"".as_ptr(),
            flags,
        ))?;
        Ok(OwnedFd::from_raw_fd(number(raw)))
    }
}

/// Attaches a tree at a place.
pub(crate) fn attach(tree: BorrowedFd<'_>, place: BorrowedFd<'_>) -> io::Result<()> {
    // SAFETY: both strings are C strings that outlive the call.
    check(unsafe {
        libc::syscall(
            libc::SYS_move_mount,
            tree.as_raw_fd(),
            c"".as_ptr(),
            place.as_raw_fd(),
            c"".as_ptr(),
            MOVE_MOUNT_FROM_DESCRIPTOR | MOVE_MOUNT_TO_DESCRIPTOR,
        )
    })?;
    Ok(())
}

/// A fresh `tmpfs` of at most `bytes` bytes, with this octal mode, attached nowhere yet.
pub(crate) fn new_temp(bytes: u64, mode: &str) -> io::Result<OwnedFd> {
    let inodes = (bytes / 4096).clamp(64, 1 << 20);
    let call = |result| check(result);
    // SAFETY: every string is a C string that outlives its call, and both results are new
    // descriptors.
    unsafe {
        let raw = call(libc::syscall(
            libc::SYS_fsopen,
            c"tmpfs".as_ptr(),
            FSOPEN_CLOEXEC,
        ))?;
        let context = OwnedFd::from_raw_fd(number(raw));
        let set = |key: &CStr, value: String| {
            let value = CString::new(value)?;
            call(libc::syscall(
                libc::SYS_fsconfig,
                context.as_raw_fd(),
                FSCONFIG_SET_STRING,
                key.as_ptr(),
                value.as_ptr(),
                0,
            ))
        };
        set(c"size", bytes.to_string())?;
        set(c"nr_inodes", inodes.to_string())?;
        set(c"mode", mode.to_owned())?;
        let none = std::ptr::null::<libc::c_char>();
        call(libc::syscall(
            libc::SYS_fsconfig,
            context.as_raw_fd(),
            FSCONFIG_CMD_CREATE,
            none,
            none,
            0,
        ))?;
        let raw = call(libc::syscall(
            libc::SYS_fsmount,
            context.as_raw_fd(),
            FSMOUNT_CLOEXEC,
            NO_SETUID | NO_DEVICES,
        ))?;
        Ok(OwnedFd::from_raw_fd(number(raw)))
    }
}

/// Adds attributes to a copied tree and everything mounted in it.
pub(crate) fn restrict_tree(tree: BorrowedFd<'_>, attributes: u64) -> io::Result<()> {
    set_attributes(
        tree.as_raw_fd(),
        c"",
        libc::AT_RECURSIVE | libc::AT_EMPTY_PATH,
        attributes,
    )
}

/// Adds attributes to every mount there is.
pub(crate) fn restrict_everything(attributes: u64) -> io::Result<()> {
    set_attributes(libc::AT_FDCWD, c"/", libc::AT_RECURSIVE, attributes)
}

/// Adds attributes to the one mount at a place.
pub(crate) fn restrict_one(place: BorrowedFd<'_>, attributes: u64) -> io::Result<()> {
    set_attributes(place.as_raw_fd(), c"", libc::AT_EMPTY_PATH, attributes)
}

fn set_attributes(base: RawFd, path: &CStr, flags: libc::c_int, set: u64) -> io::Result<()> {
    let attributes = libc::mount_attr {
        attr_set: set,
        attr_clr: 0,
        propagation: 0,
        userns_fd: 0,
    };
    // SAFETY: `path` is a C string and `attributes` has the size that is passed with it.
    check(unsafe {
        libc::syscall(
            libc::SYS_mount_setattr,
            base,
            path.as_ptr(),
            flags,
            &raw const attributes,
            size_of::<libc::mount_attr>(),
        )
    })?;
    Ok(())
}

/// Cuts this namespace off: no mount made elsewhere appears here, none made here elsewhere.
pub(crate) fn make_private() -> io::Result<()> {
    mount(c"none", c"/", c"none", libc::MS_REC | libc::MS_PRIVATE, c"")
}

/// Mounts the `proc` of this process's pid namespace, read-only.
pub(crate) fn mount_proc() -> io::Result<()> {
    let flags = libc::MS_NOSUID | libc::MS_NODEV | libc::MS_NOEXEC | libc::MS_RDONLY;
    mount(c"proc", c"/proc", c"proc", flags, c"")
}

/// Mounts a private set of pseudo-terminals.
pub(crate) fn mount_terminals(path: &Path) -> io::Result<()> {
    let flags = libc::MS_NOSUID | libc::MS_NOEXEC;
    let options = c"newinstance,ptmxmode=0666,mode=620";
    mount(c"devpts", &c_path(path)?, c"devpts", flags, options)
}

fn mount(
    source: &CStr,
    target: &CStr,
    kind: &CStr,
    flags: libc::c_ulong,
    options: &CStr,
) -> io::Result<()> {
    // SAFETY: all strings are C strings that outlive the call.
    let result = unsafe {
        libc::mount(
            source.as_ptr(),
            target.as_ptr(),
            kind.as_ptr(),
            flags,
            options.as_ptr().cast(),
        )
    };
    check(result.into())?;
    Ok(())
}

fn c_path(path: &Path) -> io::Result<CString> {
    Ok(CString::new(path.as_os_str().as_bytes())?)
}
