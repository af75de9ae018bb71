//! Escapes, each by name. The exit code tells: 0 it worked, 1 it was refused, 2 no such name.
#![expect(
    unsafe_code,
    reason = "an escape makes the system calls that nothing wraps"
)]
#![expect(clippy::print_stdout, reason = "a test reads why it was refused")]

use std::io::{self, Write};
use std::net::{TcpStream, UdpSocket};
use std::os::fd::AsRawFd;
use std::os::unix::net::{SocketAddr, UnixDatagram, UnixStream};
use std::process::ExitCode;
use std::time::Duration;

/// Makes the attempt that the first word names, with the rest as its arguments.
pub(crate) fn attempt(words: &[String]) -> ExitCode {
    let word = |place: usize| words.get(place).map_or("", String::as_str);
    let number = |place: usize| word(place).parse::<i64>().unwrap_or(0);
    let result = match word(0) {
        "ptrace" => call(
            libc::SYS_ptrace,
            [libc::PTRACE_ATTACH.into(), number(1), 0, 0],
        ),
        "read-memory" => read_memory(number(1)),
        "signal" => call(libc::SYS_kill, [number(1), libc::SIGTERM.into(), 0, 0]),
        "socket" => call(libc::SYS_socket, [number(1), number(2), number(3), 0]),
        "tcp" => connect(word(1)),
        "udp" => {
            UdpSocket::bind("0.0.0.0:0").and_then(|socket| socket.send_to(b"x", word(1)).map(drop))
        }
        "unix-path" => UnixStream::connect(word(1)).map(drop),
        "unix-abstract" => abstract_socket(word(1)),
        "unix-datagram" => {
            UnixDatagram::unbound().and_then(|socket| socket.send_to(b"x", word(1)).map(drop))
        }
        "unix-pair" => send_from_pair(word(1), word(2)),
        "io-uring" => call(libc::SYS_io_uring_setup, [1, 0, 0, 0]),
        "keyctl" => call(libc::SYS_keyctl, [0, -4, 1, 0]),
        "bpf" => call(libc::SYS_bpf, [0, 0, 0, 0]),
        "unshare" => call(libc::SYS_unshare, [libc::CLONE_NEWUSER.into(), 0, 0, 0]),
        "clone-user" => clone_namespace(),
        "clone3" => call(libc::SYS_clone3, [0, 0, 0, 0]),
        "x32" => call(0x4000_0000 | libc::SYS_getpid, [0, 0, 0, 0]),
        "setns" => set_namespace(word(1)),
        "chroot" => call(libc::SYS_chroot, [c"/".as_ptr() as i64, 0, 0, 0]),
        "mount" => mount(c"/tmp", 0),
        "remount" => mount(c"/", libc::MS_REMOUNT | libc::MS_BIND),
        "unmount" => call(
            libc::SYS_umount2,
            [c"/tmp".as_ptr() as i64, libc::MNT_DETACH.into(), 0, 0],
        ),
        "open-tree" => call(
            libc::SYS_open_tree,
            [libc::AT_FDCWD.into(), c"/".as_ptr() as i64, 1, 0],
        ),
        "type" => type_into_terminal(),
        "become-root" => call(libc::SYS_setuid, [0, 0, 0, 0]).and_then(|()| capability()),
        "device" => call(
            libc::SYS_mknod,
            [
                c"/tmp/disk".as_ptr() as i64,
                (libc::S_IFBLK | 0o600).into(),
                0xfe00,
                0,
            ],
        ),
        "forks" => fork_for_ever(),
        "memory" => {
            fill_memory(number(1));
            Ok(())
        }
        "daemon" => daemon(word(1)),
        _ => return ExitCode::from(2),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            println!("{error}");
            ExitCode::FAILURE
        }
    }
}

fn call(number: i64, arguments: [i64; 4]) -> io::Result<()> {
    let [first, second, third, fourth] = arguments;
    // SAFETY: pointers among the arguments are to static strings or null, which the kernel checks.
    let result = unsafe { libc::syscall(number, first, second, third, fourth, 0_i64) };
    if result < 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(())
}

fn read_memory(pid: i64) -> io::Result<()> {
    let mut room = [0_u8; 8];
    let here = libc::iovec {
        iov_base: room.as_mut_ptr().cast(),
        iov_len: room.len(),
    };
    let there = libc::iovec {
        iov_base: 0x1000 as *mut libc::c_void,
        iov_len: room.len(),
    };
    // SAFETY: the kernel writes at most `room.len()` bytes to `room`.
    let result = unsafe {
        libc::process_vm_readv(
            i32::try_from(pid).unwrap_or(1),
            &raw const here,
            1,
            &raw const there,
            1,
            0,
        )
    };
    // A bad address means that access itself was granted.
    match io::Error::last_os_error() {
        error if result < 0 && error.raw_os_error() != Some(libc::EFAULT) => Err(error),
        _ => Ok(()),
    }
}

fn connect(address: &str) -> io::Result<()> {
    let address = address.parse().map_err(io::Error::other)?;
    TcpStream::connect_timeout(&address, Duration::from_secs(2)).map(drop)
}

fn abstract_socket(name: &str) -> io::Result<()> {
    use std::os::linux::net::SocketAddrExt;
    UnixStream::connect_addr(&SocketAddr::from_abstract_name(name)?).map(drop)
}

fn clone_namespace() -> io::Result<()> {
    let flags = i64::from(libc::CLONE_NEWUSER | libc::SIGCHLD);
    // SAFETY: without CLONE_VM this forks; the child ends at once.
    let pid = unsafe { libc::syscall(libc::SYS_clone, flags, 0, 0, 0, 0) };
    if pid == 0 {
        // SAFETY: takes no pointers.
        unsafe { libc::_exit(0) };
    }
    if pid < 0 {
        Err(io::Error::last_os_error())
    } else {
        Ok(())
    }
}

fn set_namespace(path: &str) -> io::Result<()> {
    let file = std::fs::File::open(path)?;
    call(libc::SYS_setns, [file.as_raw_fd().into(), 0, 0, 0])
}

fn mount(target: &std::ffi::CStr, flags: libc::c_ulong) -> io::Result<()> {
    let kind = c"tmpfs".as_ptr();
    // SAFETY: all strings are static.
    let result = unsafe { libc::mount(kind, target.as_ptr(), kind, flags, std::ptr::null()) };
    if result < 0 {
        Err(io::Error::last_os_error())
    } else {
        Ok(())
    }
}

/// Types a character into its own new terminal.
fn type_into_terminal() -> io::Result<()> {
    let file = std::fs::OpenOptions::new()
        .read(true)
        .write(true)
        .open("/dev/ptmx")?;
    let byte = b'x';
    // SAFETY: TIOCSTI reads one byte.
    let result = unsafe { libc::ioctl(file.as_raw_fd(), libc::TIOCSTI, &raw const byte) };
    if result < 0 {
        Err(io::Error::last_os_error())
    } else {
        Ok(())
    }
}

/// Whether any capability is held, also one that an exec would give.
fn capability() -> io::Result<()> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let held = status
        .lines()
        .filter(|line| line.starts_with("Cap"))
        .any(|line| line.split('\t').nth(1) != Some("0000000000000000"));
    if held {
        Ok(())
    } else {
        Err(io::Error::other("no capability"))
    }
}

fn fork_for_ever() -> io::Result<()> {
    loop {
        // SAFETY: this process has one thread.
        if unsafe { libc::fork() } < 0 {
            std::thread::sleep(Duration::from_millis(1));
        }
    }
}

/// Fills memory and holds it for a while.
fn fill_memory(mebibytes: i64) {
    let mut held = Vec::new();
    for _ in 0..mebibytes {
        let mut block = vec![0_u8; 1 << 20];
        for place in (0..block.len()).step_by(4096) {
            block[place] = 1;
        }
        held.push(std::hint::black_box(block));
    }
    std::thread::sleep(Duration::from_secs(10));
}

/// Leaves its process group and its parent, then writes to a file for ever.
fn daemon(path: &str) -> io::Result<()> {
    let mut file = std::fs::File::create(path)?;
    // SAFETY: this process has one thread.
    unsafe {
        if libc::fork() != 0 {
            return Ok(());
        }
        libc::setsid();
        if libc::fork() != 0 {
            libc::_exit(0);
        }
    }
    loop {
        file.write_all(b".")?;
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// Sends to a path from one end of a pair.
fn send_from_pair(path: &str, kind: &str) -> io::Result<()> {
    use std::os::fd::FromRawFd;
    let kind = match kind {
        "raw" => libc::SOCK_RAW,
        _ => libc::SOCK_DGRAM,
    };
    let mut ends = [-1; 2];
    // SAFETY: the kernel writes two new descriptors into `ends`; one is owned by the socket, the
    // other is left to the end of this process.
    let socket = unsafe {
        if libc::socketpair(libc::AF_UNIX, kind, 0, ends.as_mut_ptr()) < 0 {
            return Err(io::Error::last_os_error());
        }
        UnixDatagram::from_raw_fd(ends[0])
    };
    socket.send_to(b"x", path).map(drop)
}
