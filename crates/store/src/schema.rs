//! The database file: how it is created, opened and brought to the present schema.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use quire_protocol::StoreError;
use rusqlite::{Connection, OpenFlags};

use crate::fault::Fault;

/// The database's name in the data folder.
pub(crate) const FILE: &str = "store.db";

/// How long a connection waits for another process that writes.
pub(crate) const PATIENCE: Duration = Duration::from_secs(10);

/// The statements that lead from each version to the next; `user_version` counts those done.
/// Steps are only ever added at the end.
const STEPS: &[&str] = &[
    include_str!("schema/1.sql"),
    include_str!("schema/2.sql"),
    include_str!("schema/3.sql"),
];

/// The path of the write-ahead log.
pub(crate) fn log_path(directory: &Path) -> PathBuf {
    directory.join(format!("{FILE}-wal"))
}

/// Whether nothing was written to the write-ahead log since it came into being.
pub(crate) fn log_is_new(directory: &Path) -> bool {
    fs::metadata(log_path(directory)).is_ok_and(|log| log.len() == 0)
}

/// A connection that may write, and whether it had to create the database.
pub(crate) struct Opened {
    pub(crate) connection: Connection,
    pub(crate) created: bool,
}

/// Opens the database for writing, creating or migrating it first if need be. The connection syncs
/// nothing by itself until its owner says so, and leaves nothing behind of what it deletes or moves:
/// search moves texts at any time, and a removed session must be gone from all those places.
pub(crate) fn open_writer(directory: &Path) -> Result<Opened, Fault> {
    create_file(directory)?;
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(directory.join(FILE), flags)?;
    connection.busy_timeout(PATIENCE)?;
    connection.execute_batch(
        "PRAGMA synchronous = OFF;
         PRAGMA secure_delete = ON;
         PRAGMA cache_size = -2048;
         PRAGMA temp_store = MEMORY;
         PRAGMA wal_autocheckpoint = 0;",
    )?;
    let created = bring_up(&connection, directory, STEPS)?;
    Ok(Opened {
        connection,
        created,
    })
}

/// Opens the database for reading beside a writer. The file is opened for both: whoever closes
/// it last writes the log back.
pub(crate) fn open_reader(directory: &Path) -> Result<Connection, Fault> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(directory.join(FILE), flags)?;
    connection.busy_timeout(PATIENCE)?;
    connection.execute_batch(
        "PRAGMA query_only = ON; PRAGMA cache_size = -1024; PRAGMA temp_store = MEMORY;",
    )?;
    Ok(connection)
}

/// Opens the database without the means to change it.
pub(crate) fn open_to_look(directory: &Path) -> Result<Connection, Fault> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(directory.join(FILE), flags)?;
    connection.busy_timeout(PATIENCE)?;
    if version(&connection, STEPS)? < STEPS.len() {
        return Err(StoreError::Unusable {
            path: directory.join(FILE).display().to_string(),
            reason: "it has an older schema; any other command brings it up to date".to_owned(),
        }
        .into());
    }
    Ok(connection)
}

/// Creates a folder that only its owner may look into, with its parents.
pub(crate) fn create_folder(path: &Path) -> Result<(), Fault> {
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(path).map_err(Fault::io(path))
}

/// Options for a new file that only its owner may read.
pub(crate) fn private_file() -> OpenOptions {
    let mut options = File::options();
    options.write(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options
}

/// Creates an empty database file. An existing one is never opened here: closing such a handle
/// would drop the locks that SQLite holds on the file in this process.
fn create_file(directory: &Path) -> Result<(), Fault> {
    let path = directory.join(FILE);
    let create = || private_file().create_new(true).open(&path);
    let result = match create() {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            create_folder(directory)?;
            create()
        }
        other => other,
    };
    match result {
        Ok(_) => Ok(()),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        // A file system that is read-only may still hold a database; SQLite gives the verdict.
        Err(_) if path.is_file() => Ok(()),
        Err(error) => Err(Fault::io(directory)(error)),
    }
}

/// Does the steps that are missing, one process at a time. Says whether the database was empty.
fn bring_up(connection: &Connection, directory: &Path, steps: &[&str]) -> Result<bool, Fault> {
    if version(connection, steps)? == steps.len() {
        return Ok(false);
    }
    let path = directory.join("setup.lock");
    let lock = private_file()
        .create(true)
        .truncate(false)
        .open(&path)
        .map_err(Fault::io(&path))?;
    lock.lock().map_err(Fault::io(&path))?;
    let done = version(connection, steps)?;
    if done == 0 {
        connection.execute_batch("PRAGMA journal_mode = WAL;")?;
    } else {
        connection.execute_batch("PRAGMA synchronous = NORMAL;")?;
    }
    for (number, step) in steps.iter().enumerate().skip(done) {
        connection.execute_batch(&format!(
            "BEGIN IMMEDIATE;\n{step}\nPRAGMA user_version = {};\nCOMMIT;",
            number + 1
        ))?;
    }
    Ok(done == 0)
}

/// How many steps were done, refusing a database from the future.
fn version(connection: &Connection, steps: &[&str]) -> Result<usize, Fault> {
    let found: i64 = connection.query_row("PRAGMA user_version", [], |row| row.get(0))?;
    match usize::try_from(found) {
        Ok(done) if done <= steps.len() => Ok(done),
        _ => Err(StoreError::Unusable {
            path: connection.path().unwrap_or(FILE).to_owned(),
            reason: format!(
                "it has schema {found} and this program knows schema {}; a newer version of the \
                 program made it: update this one",
                steps.len()
            ),
        }
        .into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ONE: &str = "CREATE TABLE notes (text TEXT NOT NULL);";
    const TWO: &str = "ALTER TABLE notes ADD COLUMN stars INTEGER NOT NULL DEFAULT 3;";

    fn empty(folder: &Path) -> Connection {
        create_file(folder).unwrap();
        Connection::open(folder.join(FILE)).unwrap()
    }

    #[test]
    fn steps_are_done_once_and_keep_what_was_there() {
        let folder = tempfile::tempdir().unwrap();
        let connection = empty(folder.path());
        assert!(bring_up(&connection, folder.path(), &[ONE]).unwrap());
        connection
            .execute("INSERT INTO notes VALUES ('kept')", [])
            .unwrap();
        assert!(!bring_up(&connection, folder.path(), &[ONE, TWO]).unwrap());
        assert!(!bring_up(&connection, folder.path(), &[ONE, TWO]).unwrap());
        let row: (String, i64) = connection
            .query_row("SELECT text, stars FROM notes", [], |row| {
                Ok((row.get(0)?, row.get(1)?))
            })
            .unwrap();
        assert_eq!(row, ("kept".to_owned(), 3));
    }

    #[test]
    fn a_failing_step_changes_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let connection = empty(folder.path());
        bring_up(&connection, folder.path(), &[ONE]).unwrap();
        let broken = "DROP TABLE notes; CREATE TABLE;";
        assert!(bring_up(&connection, folder.path(), &[ONE, broken]).is_err());
        drop(connection);
        let connection = empty(folder.path());
        assert_eq!(version(&connection, &[ONE, TWO]).unwrap(), 1);
        connection.execute("DELETE FROM notes", []).unwrap();
    }

    #[test]
    fn a_newer_schema_is_refused_and_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        let opened = open_writer(folder.path()).unwrap();
        opened
            .connection
            .execute_batch("PRAGMA user_version = 99;")
            .unwrap();
        drop(opened);
        let Err(fault) = open_writer(folder.path()) else {
            panic!("a newer schema was opened");
        };
        let told = fault.tell(folder.path()).to_string();
        assert!(
            told.contains("schema 99") && told.contains("update"),
            "{told}"
        );
    }

    #[cfg(unix)]
    #[test]
    fn only_the_owner_can_read_it() {
        use std::os::unix::fs::PermissionsExt;
        let parent = tempfile::tempdir().unwrap();
        let folder = parent.path().join("a/b");
        let _opened = open_writer(&folder).unwrap();
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode(&folder), 0o700);
        assert_eq!(mode(&folder.join(FILE)), 0o600);
        assert_eq!(mode(&log_path(&folder)), 0o600);
    }
}
