//! Making, changing, watching and ending processes.
#![expect(
    unsafe_code,
    reason = "clone3, capabilities, limits and pidfds have no safe form in std"
)]

use std::ffi::CString;
use std::io;
use std::mem::size_of;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};

use super::{check, number};

/// Which half of a process that split this is.
pub(crate) enum Fork {
    /// The new one.
    Child,
    /// The old one, with the new one's id (in its own namespace) and a handle to it.
    Parent { pid: i32, handle: OwnedFd },
}

/// How a child ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Status {
    Exited(i32),
    Signalled(i32),
}

/// The flags of a cell's namespaces: user, mount, pid, network, IPC and host name.
pub(crate) const CELL: i32 = libc::CLONE_NEWUSER
    | libc::CLONE_NEWNS
    | libc::CLONE_NEWPID
    | libc::CLONE_NEWNET
    | libc::CLONE_NEWIPC
    | libc::CLONE_NEWUTS;

/// The flags of a command's own namespaces in a cell: mount and pid.
pub(crate) const COMMAND: i32 = libc::CLONE_NEWNS | libc::CLONE_NEWPID;

/// Splits this process, which must have one thread, into new namespaces.
pub(crate) fn fork(namespaces: i32) -> io::Result<Fork> {
    match clone3(namespaces) {
        // What a container's filter says of a call whose flags it cannot see. The older call does.
        Err(error) if error.raw_os_error() == Some(libc::ENOSYS) => clone(namespaces),
        split => split,
    }
}

fn clone(namespaces: i32) -> io::Result<Fork> {
    let mut handle: libc::c_int = -1;
    let flags = namespaces | libc::CLONE_PIDFD | libc::SIGCHLD;
    // SAFETY: as in `clone3`; with CLONE_PIDFD the third argument is where the descriptor goes, and
    // a stack of 0 is the old one, of which the child has a copy.
    unsafe {
        let pid = check(libc::syscall(
            libc::SYS_clone,
            libc::c_long::from(flags.cast_unsigned()),
            0,
            &raw mut handle,
            0,
            0,
        ))?;
        Ok(half(pid, handle))
    }
}

/// Which half this is.
///
/// # Safety
/// In the parent `handle` must be a new descriptor that nobody else owns.
unsafe fn half(pid: libc::c_long, handle: RawFd) -> Fork {
    match pid {
        0 => Fork::Child,
        pid => Fork::Parent {
            pid: number(pid),
            // SAFETY: the caller's promise.
            handle: unsafe { OwnedFd::from_raw_fd(handle) },
        },
    }
}

fn clone3(namespaces: i32) -> io::Result<Fork> {
    let mut handle: libc::c_int = -1;
    let flags = namespaces | libc::CLONE_PIDFD;
    let arguments = libc::clone_args {
        flags: u64::from(flags.cast_unsigned()),
        pidfd: &raw mut handle as u64,
        child_tid: 0,
        parent_tid: 0,
        exit_signal: libc::SIGCHLD as u64,
        stack: 0,
        stack_size: 0,
        tls: 0,
        set_tid: 0,
        set_tid_size: 0,
        cgroup: 0,
    };
    // SAFETY: without CLONE_VM this is a fork: the child gets a copy of the memory. The process
    // has one thread, so no lock is held by a thread that the copy lacks. `handle` outlives the
    // call and receives a new descriptor that nobody else owns.
    unsafe {
        let size = size_of::<libc::clone_args>();
        let pid = check(libc::syscall(libc::SYS_clone3, &raw const arguments, size))?;
        Ok(half(pid, handle))
    }
}

/// Ends this process now, without running anything else.
pub(crate) fn end(code: i32) -> ! {
    // SAFETY: takes no pointers and does not return.
    unsafe { libc::_exit(code) }
}

/// Replaces this process's program; returns only when that failed.
pub(crate) fn exec(program: &CString, arguments: &[CString], environment: &[CString]) -> io::Error {
    let pointers = |strings: &[CString]| -> Vec<*const libc::c_char> {
        let ends = std::iter::once(std::ptr::null());
        strings.iter().map(|s| s.as_ptr()).chain(ends).collect()
    };
    let (arguments, environment) = (pointers(arguments), pointers(environment));
    // SAFETY: both arrays end with a null pointer and point at C strings that outlive the call.
    unsafe { libc::execve(program.as_ptr(), arguments.as_ptr(), environment.as_ptr()) };
    io::Error::last_os_error()
}

/// Sends SIGKILL through a handle; a dead process is no error.
pub(crate) fn kill(handle: BorrowedFd<'_>) {
    // SAFETY: a null `siginfo` is allowed and means the ordinary one.
    unsafe {
        libc::syscall(
            libc::SYS_pidfd_send_signal,
            handle.as_raw_fd(),
            libc::SIGKILL,
            std::ptr::null::<libc::siginfo_t>(),
            0,
        );
    }
}

/// Sends SIGKILL to a process id.
pub(crate) fn kill_id(pid: i32) {
    // SAFETY: takes no pointers.
    unsafe { libc::kill(pid, libc::SIGKILL) };
}

/// Kills every process that this one may, but itself: in a pid namespace of its own, all others.
pub(crate) fn kill_others() {
    if std::process::id() == 1 {
        kill_id(-1);
    }
}

/// Collects one ended child. `None` when none has ended yet, an error when there is none at all.
pub(crate) fn collect() -> io::Result<Option<(i32, Status)>> {
    let mut raw = 0;
    // SAFETY: `raw` outlives the call.
    let pid = unsafe { libc::waitpid(-1, &raw mut raw, libc::WNOHANG | libc::__WALL) };
    let pid = number(check(pid.into())?);
    if pid == 0 {
        return Ok(None);
    }
    let status = if libc::WIFSIGNALED(raw) {
        Status::Signalled(libc::WTERMSIG(raw))
    } else {
        Status::Exited(libc::WEXITSTATUS(raw))
    };
    Ok(Some((pid, status)))
}

/// Whether this process has no children at all, neither running nor ended. Collects ended ones.
pub(crate) fn is_childless() -> bool {
    loop {
        match collect() {
            Ok(Some(_)) => {}
            Ok(None) => return false,
            Err(error) => return error.raw_os_error() == Some(libc::ECHILD),
        }
    }
}

/// Has the kernel collect ended children without being asked.
pub(crate) fn forget_children() {
    // SAFETY: SIG_IGN is a valid disposition for SIGCHLD.
    unsafe { libc::signal(libc::SIGCHLD, libc::SIG_IGN) };
}

/// A descriptor that can be read when a child has ended. Blocks the signal itself.
pub(crate) fn watch_children() -> io::Result<OwnedFd> {
    // SAFETY: the set is initialised by `sigemptyset` before it is used; the result is a new
    // descriptor.
    unsafe {
        libc::signal(libc::SIGCHLD, libc::SIG_DFL);
        let mut set: libc::sigset_t = std::mem::zeroed();
        libc::sigemptyset(&raw mut set);
        libc::sigaddset(&raw mut set, libc::SIGCHLD);
        libc::sigprocmask(libc::SIG_BLOCK, &raw const set, std::ptr::null_mut());
        let flags = libc::SFD_CLOEXEC | libc::SFD_NONBLOCK;
        let raw = check(libc::signalfd(-1, &raw const set, flags).into())?;
        Ok(OwnedFd::from_raw_fd(number(raw)))
    }
}

/// Takes what [`watch_children`] reported, so that it can report again.
pub(crate) fn take_signals(watch: BorrowedFd<'_>) {
    let mut room = [0_u8; size_of::<libc::signalfd_siginfo>() * 8];
    // SAFETY: the kernel writes at most `room.len()` bytes.
    unsafe { libc::read(watch.as_raw_fd(), room.as_mut_ptr().cast(), room.len()) };
}

/// Gives every signal its default action and blocks none.
pub(crate) fn reset_signals() {
    // SAFETY: SIG_DFL is valid for every signal; the set is initialised before it is used.
    unsafe {
        for signal in 1..=libc::SIGRTMAX() {
            libc::signal(signal, libc::SIG_DFL);
        }
        let mut none: libc::sigset_t = std::mem::zeroed();
        libc::sigemptyset(&raw mut none);
        libc::sigprocmask(libc::SIG_SETMASK, &raw const none, std::ptr::null_mut());
    }
}

/// Leaves the terminal and the process group.
pub(crate) fn new_session() {
    // SAFETY: takes no pointers.
    unsafe { libc::setsid() };
}

/// Has the kernel kill this process when its parent dies.
pub(crate) fn die_with_parent() {
    control(libc::PR_SET_PDEATHSIG, libc::SIGKILL as libc::c_ulong);
}

/// Undoes [`die_with_parent`].
pub(crate) fn outlive_parent() {
    control(libc::PR_SET_PDEATHSIG, 0);
}

/// Makes this process the parent of its orphaned descendants.
pub(crate) fn adopt_orphans() {
    control(libc::PR_SET_CHILD_SUBREAPER, 1);
}

/// Never again more rights than now, whatever is executed.
pub(crate) fn renounce_privileges() -> io::Result<()> {
    check(control(libc::PR_SET_NO_NEW_PRIVS, 1)).map(drop)
}

fn control(option: libc::c_int, value: libc::c_ulong) -> libc::c_long {
    let zero: libc::c_ulong = 0;
    // SAFETY: the options used here take numbers, no pointers.
    unsafe { libc::prctl(option, value, zero, zero, zero) }.into()
}

/// Gives up every capability, also those that a program started later would get.
pub(crate) fn drop_capabilities() -> io::Result<()> {
    #[repr(C)]
    struct Header {
        version: u32,
        pid: i32,
    }
    for capability in 0..64 {
        if control(libc::PR_CAPBSET_DROP, capability) < 0 {
            break;
        }
    }
    let all = libc::PR_CAP_AMBIENT_CLEAR_ALL as libc::c_ulong;
    control(libc::PR_CAP_AMBIENT, all);
    let header = Header {
        version: 0x2008_0522,
        pid: 0,
    };
    let none = [0_u32; 6];
    // SAFETY: version 3 reads the header and two sets of three words, which `none` holds.
    check(unsafe { libc::syscall(libc::SYS_capset, &raw const header, none.as_ptr()) })?;
    Ok(())
}

/// A bound that the kernel keeps on one process.
#[derive(Clone, Copy)]
pub(crate) enum Limit {
    Core,
    CpuSeconds,
    Data,
    FileBytes,
    OpenFiles,
    Processes,
}

/// Sets a bound, at most to the one that is there already.
pub(crate) fn limit(which: Limit, value: u64) {
    let resource = match which {
        Limit::Core => libc::RLIMIT_CORE,
        Limit::CpuSeconds => libc::RLIMIT_CPU,
        Limit::Data => libc::RLIMIT_DATA,
        Limit::FileBytes => libc::RLIMIT_FSIZE,
        Limit::OpenFiles => libc::RLIMIT_NOFILE,
        Limit::Processes => libc::RLIMIT_NPROC,
    };
    let mut now = libc::rlimit {
        rlim_cur: 0,
        rlim_max: 0,
    };
    // SAFETY: `now` and `new` outlive the calls.
    unsafe {
        libc::getrlimit(resource, &raw mut now);
        // At the hard bound on CPU time the signal is SIGKILL; the soft one must come before it.
        let hard = match which {
            Limit::CpuSeconds => value.saturating_add(1),
            _ => value,
        };
        let new = libc::rlimit {
            rlim_cur: value.min(now.rlim_max),
            rlim_max: hard.min(now.rlim_max),
        };
        libc::setrlimit(resource, &raw const new);
    }
}

/// Makes `target` (0, 1 or 2) the same file as `descriptor`, and keeps it over exec.
pub(crate) fn redirect(descriptor: BorrowedFd<'_>, target: RawFd) -> io::Result<()> {
    // SAFETY: the standard descriptors are owned by nobody in particular.
    check(unsafe { libc::dup2(descriptor.as_raw_fd(), target) }.into()).map(drop)
}

/// Takes standard input as an owned descriptor and puts `/dev/null` in its place.
pub(crate) fn take_input() -> io::Result<OwnedFd> {
    // SAFETY: duplicating descriptor 0 gives a new one that nobody else owns.
    let taken = unsafe {
        let raw = check(libc::fcntl(0, libc::F_DUPFD_CLOEXEC, 3).into())?;
        OwnedFd::from_raw_fd(number(raw))
    };
    let null = std::fs::File::open("/dev/null")?;
    redirect(std::os::fd::AsFd::as_fd(&null), 0)?;
    Ok(taken)
}

/// Closes every descriptor from 3 on at the next exec.
pub(crate) fn close_on_exec() {
    const CLOSE_ON_EXEC: libc::c_uint = 4;
    // SAFETY: takes no pointers and closes nothing now.
    unsafe { libc::syscall(libc::SYS_close_range, 3, libc::c_uint::MAX, CLOSE_ON_EXEC) };
}

/// A file without a name that a program started later inherits, holding these bytes.
pub(crate) fn inherited_file(bytes: &[u8]) -> io::Result<OwnedFd> {
    use std::io::{Seek, Write};
    // SAFETY: the name is a C string; the result is a new descriptor.
    let raw = check(unsafe { libc::memfd_create(c"filter".as_ptr(), 0) }.into())?;
    // SAFETY: as above.
    let mut file = unsafe { std::fs::File::from_raw_fd(number(raw)) };
    file.write_all(bytes)?;
    file.rewind()?;
    Ok(file.into())
}

/// This process's user and group.
pub(crate) fn identity() -> (u32, u32) {
    // SAFETY: neither call takes anything or can fail.
    unsafe { (libc::geteuid(), libc::getegid()) }
}

/// Brings the loopback interface of this network namespace up.
pub(crate) fn loopback_up() -> io::Result<()> {
    const UP: libc::c_short = 0x41; // IFF_UP, IFF_RUNNING
    let socket = std::net::UdpSocket::bind("0.0.0.0:0")?;
    // SAFETY: an all-zero `ifreq` is valid; the kernel reads the name and the flags from it.
    unsafe {
        let mut request: libc::ifreq = std::mem::zeroed();
        request.ifr_name[0] = b'l'.cast_signed() as libc::c_char;
        request.ifr_name[1] = b'o'.cast_signed() as libc::c_char;
        request.ifr_ifru.ifru_flags = UP;
        let result = libc::ioctl(
            socket.as_raw_fd(),
            libc::SIOCSIFFLAGS as _,
            &raw mut request,
        );
        check(result.into()).map(drop)
    }
}

/// The version of Landlock that the kernel offers; 0 for none.
pub(crate) fn landlock_version() -> u32 {
    const ASK_VERSION: libc::c_uint = 1;
    // SAFETY: asking the version takes a null pointer of size 0.
    let version = unsafe {
        libc::syscall(
            libc::SYS_landlock_create_ruleset,
            std::ptr::null::<u8>(),
            0_usize,
            ASK_VERSION,
        )
    };
    u32::try_from(version).unwrap_or(0)
}
