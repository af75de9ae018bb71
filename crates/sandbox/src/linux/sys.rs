//! Every system call that the standard library does not offer, each behind a safe function.
//! Nothing here decides anything. The functions that make or change processes are meant for the
//! spawner and its children, which have one thread each.

pub(crate) mod channel;
pub(crate) mod files;
pub(crate) mod mounts;
pub(crate) mod process;
pub(crate) mod watch;

use std::io;
use std::os::fd::RawFd;

/// Turns the C convention (-1 and `errno`) into a result.
fn check(result: libc::c_long) -> io::Result<libc::c_long> {
    if result < 0 {
        Err(io::Error::last_os_error())
    } else {
        Ok(result)
    }
}

/// A descriptor or process id among the results of a call.
fn number(result: libc::c_long) -> RawFd {
    RawFd::try_from(result).expect("descriptors and process ids are ints")
}
