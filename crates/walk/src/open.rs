//! Opening what was judged by its path, and nothing that took its place since.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

/// `O_NONBLOCK`: a pipe that took a file's place must not hold its reader up.
#[cfg(unix)]
const NONBLOCK: i32 = if cfg!(target_os = "linux") {
    0o4000
} else {
    0x4
};

/// `O_NOFOLLOW`: a link that took a file's place may lead to a device.
#[cfg(unix)]
const NOFOLLOW: i32 = if cfg!(not(target_os = "linux")) {
    0x100
} else if cfg!(any(
    target_arch = "arm",
    target_arch = "aarch64",
    target_arch = "powerpc64"
)) {
    0o100_000
} else {
    0o400_000
};

/// Opens what is at a real path, unless a link was put there since it was judged.
pub fn open_checked(real: &Path) -> io::Result<File> {
    let mut options = File::options();
    options.read(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::custom_flags(&mut options, NONBLOCK | NOFOLLOW);
    let open = options.open(real)?;
    if fs::canonicalize(handle_path(&open, real))? != real {
        return Err(io::Error::other("it changed while it was being opened"));
    }
    Ok(open)
}

/// A path that leads to an open file or folder whatever happens to its name.
#[cfg(target_os = "linux")]
pub fn handle_path(open: &File, path: &Path) -> PathBuf {
    use std::os::fd::AsRawFd as _;
    let handle = PathBuf::from(format!("/proc/self/fd/{}", open.as_raw_fd()));
    if handle.exists() {
        handle
    } else {
        path.to_owned()
    }
}

/// Without `/proc` the checked path itself has to do.
#[cfg(not(target_os = "linux"))]
pub fn handle_path(_: &File, path: &Path) -> PathBuf {
    path.to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_became_a_link_is_not_opened() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().canonicalize().unwrap();
        fs::write(root.join("secret"), "s").unwrap();
        fs::write(root.join("listed"), "l").unwrap();
        assert!(open_checked(&root.join("listed")).is_ok());
        fs::remove_file(root.join("listed")).unwrap();
        std::os::unix::fs::symlink(root.join("secret"), root.join("listed")).unwrap();
        assert!(open_checked(&root.join("listed")).is_err());
    }
}
