//! Message channels that carry bytes and file descriptors, and waiting on descriptors.
#![expect(
    unsafe_code,
    reason = "SCM_RIGHTS, poll and seqpacket sockets have no safe form in std"
)]

use std::io::{self, Read as _};
use std::mem::size_of;
use std::os::fd::{AsFd as _, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};

use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

use super::check;
use super::process::inherited_file;

/// The longest message, in bytes. An unprivileged socket buffer takes no more than this.
pub(crate) const MESSAGE_BYTES: usize = 200 * 1024;

/// The most descriptors in one message.
const MESSAGE_DESCRIPTORS: usize = 4;

/// Room for the control part of a message; aligned as the kernel's header needs it.
#[repr(C, align(8))]
struct Control([u8; 64]);

/// Whether a call waits for its turn.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Wait {
    /// Until it can be done.
    Block,
    /// Not at all: it fails with `WouldBlock`.
    Never,
}

impl Wait {
    fn flag(self) -> libc::c_int {
        match self {
            Self::Block => 0,
            Self::Never => libc::MSG_DONTWAIT,
        }
    }
}

/// A message as it arrived.
pub(crate) struct Message {
    /// Its bytes.
    pub(crate) bytes: Vec<u8>,
    /// The descriptors that came with it, in order.
    pub(crate) descriptors: Vec<OwnedFd>,
}

/// Two connected ends that keep message boundaries; closed on exec.
pub(crate) fn pair() -> io::Result<(OwnedFd, OwnedFd)> {
    let mut ends = [-1; 2];
    let kind = libc::SOCK_SEQPACKET | libc::SOCK_CLOEXEC;
    // SAFETY: the kernel writes two descriptors into `ends`, which has room for two.
    let result = unsafe { libc::socketpair(libc::AF_UNIX, kind, 0, ends.as_mut_ptr()) };
    check(result.into())?;
    // SAFETY: both descriptors are new and owned by nobody else.
    Ok(unsafe { (OwnedFd::from_raw_fd(ends[0]), OwnedFd::from_raw_fd(ends[1])) })
}

/// Sends one message.
///
/// # Errors
/// `InvalidInput` for a message over [`MESSAGE_BYTES`], else the kernel's.
pub(crate) fn send(
    to: BorrowedFd<'_>,
    bytes: &[u8],
    descriptors: &[BorrowedFd<'_>],
    wait: Wait,
) -> io::Result<()> {
    if bytes.len() > MESSAGE_BYTES || descriptors.len() > MESSAGE_DESCRIPTORS {
        return Err(io::Error::from(io::ErrorKind::InvalidInput));
    }
    let mut part = libc::iovec {
        iov_base: bytes.as_ptr().cast_mut().cast(),
        iov_len: bytes.len(),
    };
    let mut control = Control([0; 64]);
    // SAFETY: an all-zero `msghdr` is a valid empty one.
    let mut header: libc::msghdr = unsafe { std::mem::zeroed() };
    header.msg_iov = &raw mut part;
    header.msg_iovlen = 1;
    if !descriptors.is_empty() {
        attach(&mut header, &mut control, descriptors);
    }
    let flags = libc::MSG_NOSIGNAL | wait.flag();
    retrying(|| {
        // SAFETY: `header` points at `part` and `control`, which live until the call returns.
        check(unsafe { libc::sendmsg(to.as_raw_fd(), &raw const header, flags) } as libc::c_long)
    })?;
    Ok(())
}

fn attach(header: &mut libc::msghdr, control: &mut Control, descriptors: &[BorrowedFd<'_>]) {
    let payload = u32::try_from(size_of::<libc::c_int>() * descriptors.len())
        .expect("a handful of descriptors fits");
    header.msg_control = control.0.as_mut_ptr().cast();
    // SAFETY: CMSG_SPACE only computes a size; four descriptors fit into 64 bytes, so
    // CMSG_FIRSTHDR and CMSG_DATA point into `control`, which is aligned for them.
    unsafe {
        header.msg_controllen = libc::CMSG_SPACE(payload) as _;
        let first = libc::CMSG_FIRSTHDR(header);
        (*first).cmsg_level = libc::SOL_SOCKET;
        (*first).cmsg_type = libc::SCM_RIGHTS;
        (*first).cmsg_len = libc::CMSG_LEN(payload) as _;
        let data = libc::CMSG_DATA(first);
        for (place, descriptor) in descriptors.iter().enumerate() {
            let raw = descriptor.as_raw_fd().to_ne_bytes();
            std::ptr::copy_nonoverlapping(raw.as_ptr(), data.add(place * raw.len()), raw.len());
        }
    }
}

/// Stands for a message that is too long to be one: its bytes are in the last descriptor.
const LONG: &[u8] = b"long";

/// Sends one message of any length.
pub(crate) fn send_long(
    to: BorrowedFd<'_>,
    bytes: &[u8],
    descriptors: &[BorrowedFd<'_>],
    wait: Wait,
) -> io::Result<()> {
    if bytes.len() <= MESSAGE_BYTES {
        return send(to, bytes, descriptors, wait);
    }
    let file = inherited_file(bytes)?;
    let mut descriptors = descriptors.to_vec();
    descriptors.push(file.as_fd());
    send(to, LONG, &descriptors, wait)
}

impl Message {
    /// What [`send_long`] sent.
    pub(crate) fn whole(mut self) -> io::Result<Self> {
        if self.bytes == LONG
            && let Some(file) = self.descriptors.pop()
        {
            self.bytes.clear();
            std::fs::File::from(file).read_to_end(&mut self.bytes)?;
        }
        Ok(self)
    }
}

/// The longest status message, in bytes.
pub(crate) const STATUS_BYTES: usize = 4096;

/// Receives one message of at most `room` bytes, or `None` when the other end is gone.
///
/// # Errors
/// `WouldBlock` under [`Wait::Never`], `InvalidData` for a message that was cut, else the
/// kernel's.
pub(crate) fn receive(
    from: BorrowedFd<'_>,
    room: usize,
    wait: Wait,
) -> io::Result<Option<Message>> {
    let mut bytes = vec![0; room];
    let mut part = libc::iovec {
        iov_base: bytes.as_mut_ptr().cast(),
        iov_len: bytes.len(),
    };
    let mut control = Control([0; 64]);
    // SAFETY: an all-zero `msghdr` is a valid empty one.
    let mut header: libc::msghdr = unsafe { std::mem::zeroed() };
    header.msg_iov = &raw mut part;
    header.msg_iovlen = 1;
    header.msg_control = control.0.as_mut_ptr().cast();
    header.msg_controllen = control.0.len() as _;
    let flags = libc::MSG_CMSG_CLOEXEC | wait.flag();
    let mut length = || {
        // SAFETY: `header` points at `part` and `control`, which live until the call returns.
        check(unsafe { libc::recvmsg(from.as_raw_fd(), &raw mut header, flags) } as libc::c_long)
    };
    let length = match retrying(&mut length) {
        // The other end went without reading everything. That is told once, before what it said.
        Err(error) if error.raw_os_error() == Some(libc::ECONNRESET) => retrying(&mut length)?,
        other => other?,
    };
    let descriptors = attached(&header);
    if header.msg_flags & (libc::MSG_TRUNC | libc::MSG_CTRUNC) != 0 {
        return Err(io::Error::from(io::ErrorKind::InvalidData));
    }
    if length == 0 && descriptors.is_empty() {
        return Ok(None);
    }
    bytes.truncate(usize::try_from(length).expect("a checked result is not negative"));
    Ok(Some(Message { bytes, descriptors }))
}

fn attached(header: &libc::msghdr) -> Vec<OwnedFd> {
    let mut descriptors = Vec::new();
    // SAFETY: the kernel filled `header` and its control buffer, so the CMSG walk stays inside
    // it, and each descriptor of an SCM_RIGHTS part is new and owned by nobody else.
    unsafe {
        let mut part = libc::CMSG_FIRSTHDR(header);
        while !part.is_null() {
            if (*part).cmsg_level == libc::SOL_SOCKET && (*part).cmsg_type == libc::SCM_RIGHTS {
                let data = libc::CMSG_DATA(part);
                let end = part.cast::<u8>().add((*part).cmsg_len as _);
                let size = size_of::<libc::c_int>();
                let mut place = data;
                while place.add(size) <= end {
                    let raw = std::ptr::read_unaligned(place.cast::<libc::c_int>());
                    descriptors.push(OwnedFd::from_raw_fd(raw));
                    place = place.add(size);
                }
            }
            part = libc::CMSG_NXTHDR(header, part);
        }
    }
    descriptors
}

/// Waits until one of the descriptors can be read or has lost its other end, or `timeout_ms` has
/// passed (-1: for ever). Tells which.
pub(crate) fn poll(descriptors: &[BorrowedFd<'_>], timeout_ms: i32) -> io::Result<Vec<bool>> {
    let mut entries: Vec<libc::pollfd> = descriptors
        .iter()
        .map(|descriptor| libc::pollfd {
            fd: descriptor.as_raw_fd(),
            events: libc::POLLIN,
            revents: 0,
        })
        .collect();
    let count = entries.len() as libc::nfds_t;
    retrying(|| {
        // SAFETY: `entries` has `count` valid entries.
        check(unsafe { libc::poll(entries.as_mut_ptr(), count, timeout_ms) }.into())
    })?;
    Ok(entries.iter().map(|entry| entry.revents != 0).collect())
}

/// Has the runtime watch a descriptor. Must be called in a runtime with IO.
pub(crate) fn register(descriptor: OwnedFd, interest: Interest) -> io::Result<AsyncFd<OwnedFd>> {
    // SAFETY: `OwnedFd` owns a valid descriptor, and nothing replaces or closes it while the
    // result owns it.
    let watched = unsafe { AsyncFd::register_with_interest(descriptor, interest) };
    watched.map_err(io::Error::from)
}

/// Ends a channel for both sides, whoever else holds a copy of this end.
pub(crate) fn shut(channel: BorrowedFd<'_>) {
    // SAFETY: the call only takes the descriptor, which is open.
    unsafe { libc::shutdown(channel.as_raw_fd(), libc::SHUT_RDWR) };
}

/// Repeats a call that a signal interrupted.
fn retrying(mut call: impl FnMut() -> io::Result<libc::c_long>) -> io::Result<libc::c_long> {
    loop {
        match call() {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            other => return other,
        }
    }
}
