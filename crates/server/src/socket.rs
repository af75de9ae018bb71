//! The socket's place: a folder that only its owner may enter, with one process that listens there.

use std::fs::{DirBuilder, File, OpenOptions, TryLockError};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use tokio::net::{UnixListener, UnixStream};

const SOCKET: &str = "socket";
const UNNAMED: &str = "socket.new";
const LOCK: &str = "lock";

/// The right to listen; it ends with the process.
#[derive(Debug)]
pub(crate) struct Place {
    folder: PathBuf,
    _lock: File,
}

impl Place {
    /// Takes the place; none while another process has it.
    pub(crate) fn take(folder: &Path) -> io::Result<Option<Self>> {
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(folder)?;
        std::fs::set_permissions(folder, std::fs::Permissions::from_mode(0o700))?;
        let lock = OpenOptions::new()
            .create(true)
            .append(true)
            .mode(0o600)
            .open(folder.join(LOCK))?;
        match lock.try_lock() {
            Ok(()) => {
                // For a person who looks for it.
                lock.set_len(0)?;
                writeln!(&lock, "{}", std::process::id())?;
                Ok(Some(Self {
                    folder: folder.to_owned(),
                    _lock: lock,
                }))
            }
            Err(TryLockError::WouldBlock) => Ok(None),
            Err(TryLockError::Error(error)) => Err(error),
        }
    }

    /// Listens. What a dead process left in the way is replaced: the lock says that it is dead.
    ///
    /// A socket comes into being open to whom the umask lets in. So it gets its name when it is closed to others.
    pub(crate) fn listen(&self) -> io::Result<UnixListener> {
        let path = self.folder.join(UNNAMED);
        match std::fs::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            Ok(()) | Err(_) => {}
        }
        let (short, _folder) = short(&self.folder, UNNAMED)?;
        let listener = UnixListener::bind(short)?;
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600))?;
        std::fs::rename(&path, self.folder.join(SOCKET))?;
        Ok(listener)
    }

    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }

    /// Nobody finds the socket from here on.
    pub(crate) fn leave(&self) {
        // One that is left is removed by the next process.
        let _ = std::fs::remove_file(self.folder.join(SOCKET));
    }
}

/// The process that has the place; none where nobody has it, or it is another user's.
pub(crate) fn holder(folder: &Path) -> Option<u32> {
    let path = folder.join(LOCK);
    let lock = File::open(&path).ok()?;
    match lock.try_lock_shared() {
        Err(TryLockError::WouldBlock) => std::fs::read_to_string(path).ok()?.trim().parse().ok(),
        Ok(()) | Err(TryLockError::Error(_)) => None,
    }
}

/// Connects to whoever listens there.
pub(crate) async fn connect(folder: &Path) -> io::Result<UnixStream> {
    let (short, _folder) = short(folder, SOCKET)?;
    UnixStream::connect(short).await
}

/// A name of the socket that the system takes however deep its folder is: socket names have about a
/// hundred bytes.
fn short(folder: &Path, name: &str) -> io::Result<(PathBuf, Option<File>)> {
    let path = folder.join(name);
    if path.as_os_str().len() < 100 {
        return Ok((path, None));
    }
    if cfg!(target_os = "linux") {
        use std::os::fd::AsRawFd as _;
        let open = File::open(folder)?;
        let path = format!("/proc/self/fd/{}/{name}", open.as_raw_fd());
        return Ok((path.into(), Some(open)));
    }
    Err(io::Error::new(
        io::ErrorKind::InvalidInput,
        format!(
            "{} is too long for a socket's name: set QUIRE_HOME to a shorter folder",
            path.display()
        ),
    ))
}
