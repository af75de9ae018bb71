//! The person's own settings file on the disk: written whole or not at all, and never readable for
//! more people than before.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

/// The bytes of a file; none where it is not there. The error says why it cannot be read.
pub fn read_if_there(path: &Path) -> Result<Option<Vec<u8>>, String> {
    // A pipe of that name would never end.
    if fs::metadata(path).is_ok_and(|found| !found.is_file()) {
        return Err(format!("{} is no file", path.display()));
    }
    match fs::read(path) {
        Ok(bytes) => Ok(Some(bytes)),
        Err(error)
            if matches!(
                error.kind(),
                io::ErrorKind::NotFound | io::ErrorKind::NotADirectory
            ) =>
        {
            Ok(None)
        }
        Err(error) => Err(format!("cannot read {}: {error}", path.display())),
    }
}

/// Writes a file that is not there yet, for its owner alone, with the folders above it. The error
/// says what could not be done.
pub fn write_first(path: &Path, text: &str) -> Result<(), String> {
    let written = folder_of(path).and_then(|()| {
        let mut options = OpenOptions::new();
        let mut file = options
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(path)?;
        whole(&mut file, text)
    });
    written.map_err(|error| format!("cannot write {}: {error}", path.display()))
}

/// Changes the text of a file, which is empty where it is not there. Who may read it stays as it is,
/// and a new one is its owner's alone.
pub fn edit<E: std::fmt::Display>(
    path: &Path,
    change: impl FnOnce(&Path, &str) -> Result<String, E>,
) -> Result<(), String> {
    let text = match fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => String::new(),
        Err(error) => return Err(format!("cannot read {}: {error}", path.display())),
    };
    let changed = change(path, &text).map_err(|error| error.to_string())?;
    replace(path, &changed)
}

fn replace(path: &Path, text: &str) -> Result<(), String> {
    let beside = path.with_extension("toml.new");
    let written = folder_of(path).and_then(|()| {
        // One that a crash has left may be open for others.
        match fs::remove_file(&beside) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let mut options = OpenOptions::new();
        let mut file = options
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&beside)?;
        whole(&mut file, text)?;
        if let Ok(before) = fs::metadata(path) {
            file.set_permissions(before.permissions())?;
        }
        fs::rename(&beside, path)
    });
    written.map_err(|error| format!("cannot write {}: {error}", path.display()))
}

fn folder_of(path: &Path) -> io::Result<()> {
    path.parent().map_or(Ok(()), fs::create_dir_all)
}

fn whole(file: &mut File, text: &str) -> io::Result<()> {
    file.write_all(text.as_bytes())?;
    file.sync_all()
}
