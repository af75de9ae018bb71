//! What a doctor wants to know of a store. Looks only; repairs nothing.

use std::fs;
use std::path::{Path, PathBuf};

use quire_protocol::{SessionId, StoreError};
use rusqlite::Connection;

use crate::fault::Fault;
use crate::journal::{self, Key};
use crate::schema;

/// The state of a store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Health {
    /// The database.
    pub path: PathBuf,
    /// The size of the database and its log, in bytes, without the files of large blobs.
    pub bytes: u64,
    /// How many sessions there are.
    pub sessions: u64,
    /// How many events they have together.
    pub events: u64,
    /// How many events were cut from damaged journals and are kept aside.
    pub cut: u64,
    /// What is wrong, a sentence each; empty when all is well.
    pub problems: Vec<String>,
}

/// Examines the store of a folder: the database's structure and the checksum of every event.
pub(crate) fn check(directory: &Path) -> Result<Option<Health>, Fault> {
    let path = directory.join(schema::FILE);
    if !path.exists() {
        return Ok(None);
    }
    let connection = schema::open_to_look(directory)?;
    let size = |path: &Path| fs::metadata(path).map_or(0, |file| file.len());
    let mut health = Health {
        bytes: size(&path) + size(&schema::log_path(directory)),
        sessions: count(&connection, "SELECT count(*) FROM sessions")?,
        events: count(&connection, "SELECT count(*) FROM events")?,
        cut: count(&connection, "SELECT count(*) FROM damaged")?,
        problems: structure(&connection)?,
        path,
    };
    for (session, key) in sessions(&connection)? {
        if let Some(flaw) = journal::verify(&connection, &session, key)? {
            let told = format!(
                "session {session}: {}; opening it for work cuts its journal there",
                flaw.reason
            );
            health.problems.push(told);
        }
    }
    Ok(Some(health))
}

/// As [`check`], in the port's words.
pub(crate) fn examine(directory: &Path) -> Result<Option<Health>, StoreError> {
    check(directory).map_err(|fault| fault.tell(directory))
}

fn count(connection: &Connection, sql: &str) -> Result<u64, Fault> {
    let count: i64 = connection.query_row(sql, [], |row| row.get(0))?;
    Ok(count.cast_unsigned())
}

fn structure(connection: &Connection) -> Result<Vec<String>, Fault> {
    let mut statement = connection.prepare("PRAGMA quick_check(20)")?;
    let lines = statement.query_map([], |row| row.get::<_, String>(0))?;
    let lines: Vec<String> = lines.collect::<Result<_, _>>()?;
    Ok(lines.into_iter().filter(|line| line != "ok").collect())
}

fn sessions(connection: &Connection) -> Result<Vec<(SessionId, Key)>, Fault> {
    let mut statement = connection.prepare("SELECT id, key FROM sessions ORDER BY key")?;
    let rows = statement.query_map([], |row| {
        Ok((SessionId::new(row.get::<_, String>(0)?), Key(row.get(1)?)))
    })?;
    Ok(rows.collect::<Result<_, _>>()?)
}
