//! The person's own settings file on the disk: written whole or not at all, and never readable for
//! more people than before.

use std::fs::{self, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::Path;

/// Most bytes of a settings file.
const MOST: u64 = 1 << 20;

/// The bytes of a file; none where it is not there. The error says why it cannot be read.
pub fn read_if_there(path: &Path) -> Result<Option<Vec<u8>>, String> {
    match fs::metadata(path) {
        // A pipe of that name would never end.
        Ok(found) if !found.is_file() => return Err(format!("{} is no file", path.display())),
        Ok(found) if found.len() > MOST => {
            return Err(format!(
                "{} is too large for settings: more than {MOST} bytes",
                path.display()
            ));
        }
        Ok(_) | Err(_) => {}
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

/// Lets nobody but its owner read a file, if it is there. The error says what could not be done.
pub fn make_private(path: &Path) -> Result<(), String> {
    match fs::set_permissions(path, fs::Permissions::from_mode(0o600)) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            Err(format!("cannot make {} private: {error}", path.display()))
        }
        Ok(()) | Err(_) => Ok(()),
    }
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
    let written =
        written(&beside, text, fs::metadata(path).ok()).and_then(|()| fs::rename(&beside, path));
    written.map_err(|error| {
        // What was there is as it was.
        let _ = fs::remove_file(&beside);
        format!("cannot write {}: {error}", path.display())
    })
}

/// Writes a new file, for those who may read the one that it is to replace.
fn written(new: &Path, text: &str, old: Option<fs::Metadata>) -> io::Result<()> {
    new.parent().map_or(Ok(()), fs::create_dir_all)?;
    // One that a crash has left may be open for others.
    match fs::remove_file(new) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut options = OpenOptions::new();
    let mut file = options.write(true).create_new(true).mode(0o600).open(new)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()?;
    old.map_or(Ok(()), |old| file.set_permissions(old.permissions()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_settings_file_is_not_read() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("config.toml");
        assert_eq!(read_if_there(&path), Ok(None));
        fs::create_dir(&path).unwrap();
        let error = read_if_there(&path).unwrap_err();
        assert!(error.ends_with("is no file"), "{error}");
        fs::remove_dir(&path).unwrap();
        fs::File::create(&path).unwrap().set_len(MOST + 1).unwrap();
        let error = read_if_there(&path).unwrap_err();
        assert!(error.contains("too large"), "{error}");
    }
}
