//! What goes wrong inside, and how the port tells it: kind, place and what to do.

use std::io;
use std::path::{Path, PathBuf};

use quire_protocol::StoreError;
use rusqlite::ErrorCode;

use crate::schema;

/// An error before it is put into the words of the port.
#[derive(Debug)]
pub(crate) enum Fault {
    /// SQLite's.
    Sql(rusqlite::Error),
    /// The file system's.
    Io { path: PathBuf, error: io::Error },
    /// One that is already in the port's words.
    Told(StoreError),
}

impl From<rusqlite::Error> for Fault {
    fn from(error: rusqlite::Error) -> Self {
        Self::Sql(error)
    }
}

impl From<StoreError> for Fault {
    fn from(error: StoreError) -> Self {
        Self::Told(error)
    }
}

impl Fault {
    /// Wraps an error of the file system, for `map_err`.
    pub(crate) fn io(path: &Path) -> impl FnOnce(io::Error) -> Self {
        move |error| Self::Io {
            path: path.to_owned(),
            error,
        }
    }

    /// Puts the error into the port's words.
    pub(crate) fn tell(self, directory: &Path) -> StoreError {
        match self {
            Self::Told(error) => error,
            Self::Io { path, error } => tell_io(&path, directory, &error),
            Self::Sql(error) => tell_sql(directory, &error),
        }
    }
}

/// A thread that was to answer is gone, which only a bug can cause.
pub(crate) fn stopped(directory: &Path) -> StoreError {
    unusable(
        directory,
        "a thread of it has stopped; start the program again",
    )
}

fn unusable(path: &Path, reason: impl Into<String>) -> StoreError {
    StoreError::Unusable {
        path: path.display().to_string(),
        reason: reason.into(),
    }
}

fn full(directory: &Path) -> StoreError {
    StoreError::Full {
        path: directory.display().to_string(),
    }
}

fn tell_io(path: &Path, directory: &Path, error: &io::Error) -> StoreError {
    let hint = match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => return full(directory),
        io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => {
            "make it writable for this user, or choose another data folder with QUIRE_HOME"
        }
        io::ErrorKind::NotADirectory | io::ErrorKind::AlreadyExists => {
            "a file is where a folder must be: move it, or choose another data folder with QUIRE_HOME"
        }
        _ => "check the folder, or choose another data folder with QUIRE_HOME",
    };
    unusable(path, format!("{error}; {hint}"))
}

fn tell_sql(directory: &Path, error: &rusqlite::Error) -> StoreError {
    let file = directory.join(schema::FILE);
    let Some(failure) = error.sqlite_error() else {
        return unusable(&file, error.to_string());
    };
    match failure.code {
        ErrorCode::DiskFull => full(directory),
        _ if failure.extended_code == rusqlite::ffi::SQLITE_IOERR_SHMSIZE => full(directory),
        ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase => {
            let file = file.display();
            StoreError::Damaged(format!(
                "{file}: {error}. Nothing was changed. Copy the file somewhere safe, save what is \
                 readable with `sqlite3 {file} .recover`, then move it aside to start afresh"
            ))
        }
        ErrorCode::ReadOnly | ErrorCode::PermissionDenied | ErrorCode::CannotOpen => unusable(
            &file,
            format!("{error}; make the file and its folder writable for this user"),
        ),
        ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked => unusable(
            &file,
            "another process has kept it locked for ten seconds; end that process or try again",
        ),
        _ => unusable(&file, error.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use rusqlite::{Connection, OpenFlags};

    use super::*;

    fn told(error: io::ErrorKind) -> String {
        let fault = Fault::io(Path::new("/home/a/quire"))(io::Error::from(error));
        fault.tell(Path::new("/home/a/quire")).to_string()
    }

    #[test]
    fn io_errors_say_what_to_do() {
        assert!(told(io::ErrorKind::StorageFull).contains("free some space under /home/a/quire"));
        assert!(told(io::ErrorKind::ReadOnlyFilesystem).contains("choose another data folder"));
        assert!(told(io::ErrorKind::NotADirectory).contains("move it"));
    }

    #[test]
    fn a_read_only_database_says_so() {
        let folder = tempfile::tempdir().unwrap();
        drop(schema::open_writer(folder.path()).unwrap());
        let file = folder.path().join(schema::FILE);
        let connection =
            Connection::open_with_flags(file, OpenFlags::SQLITE_OPEN_READ_ONLY).unwrap();
        let error = connection.execute("DELETE FROM events", []).unwrap_err();
        let told = Fault::from(error).tell(folder.path());
        assert!(
            matches!(&told, StoreError::Unusable { reason, .. } if reason.contains("writable")),
            "{told}"
        );
    }
}
