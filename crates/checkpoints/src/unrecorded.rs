//! What sessions at work in a workspace would lose with the process: who is at work, and what was found
//! meanwhile and stands in no journal yet. Kept beside the mirror, in its database.

use quire_protocol::{BlobId, FileStep, FileVersion, SessionId};
use rusqlite::{Connection, Transaction, TransactionBehavior};

use crate::mirror::{kind_of, number_of};

pub(crate) const SCHEMA: &str = "
    CREATE TABLE IF NOT EXISTS working (session TEXT PRIMARY KEY) STRICT;
    CREATE TABLE IF NOT EXISTS found (
        session TEXT NOT NULL,
        path TEXT NOT NULL,
        before TEXT,
        after TEXT,
        PRIMARY KEY (session, path)
    ) STRICT;
";

/// The sessions that were at work when this was written last.
pub(crate) fn working(connection: &Connection) -> rusqlite::Result<Vec<SessionId>> {
    let mut statement = connection.prepare_cached("SELECT session FROM working")?;
    let sessions = statement.query_map([], |row| Ok(SessionId::new(row.get::<_, String>(0)?)))?;
    sessions.collect()
}

/// A session begins to do something.
pub(crate) fn begin(connection: &Connection, session: &SessionId) -> rusqlite::Result<()> {
    let mut statement =
        connection.prepare_cached("INSERT OR IGNORE INTO working (session) VALUES (?1)")?;
    statement.execute([session.as_str()]).map(drop)
}

/// A session is not at work any more.
pub(crate) fn leave(connection: &Connection, session: &SessionId) -> rusqlite::Result<()> {
    let mut statement = connection.prepare_cached("DELETE FROM working WHERE session = ?1")?;
    statement.execute([session.as_str()]).map(drop)
}

/// Keeps what was found while a session was at work, with what was found before.
pub(crate) fn keep(
    connection: &Connection,
    session: &SessionId,
    steps: &[FileStep],
) -> rusqlite::Result<()> {
    if steps.is_empty() {
        return Ok(());
    }
    let transaction = Transaction::new_unchecked(connection, TransactionBehavior::Immediate)?;
    for step in steps {
        let mut statement = transaction.prepare_cached(
            "INSERT INTO found VALUES (?1, ?2, ?3, ?4)
             ON CONFLICT (session, path) DO UPDATE SET after = excluded.after",
        )?;
        statement.execute((
            session.as_str(),
            &step.path,
            step.before.as_ref().map(written),
            step.after.as_ref().map(written),
        ))?;
    }
    transaction.execute(
        "DELETE FROM found WHERE session = ?1 AND before IS after",
        [session.as_str()],
    )?;
    transaction.commit()
}

/// What was found while a session was at work.
pub(crate) fn found(
    connection: &Connection,
    session: &SessionId,
) -> rusqlite::Result<Vec<FileStep>> {
    let mut statement = connection
        .prepare_cached("SELECT path, before, after FROM found WHERE session = ?1 ORDER BY path")?;
    let steps = statement.query_map([session.as_str()], |row| {
        let version = |text: Option<String>| text.as_deref().and_then(read);
        Ok(FileStep {
            path: row.get(0)?,
            before: version(row.get(1)?),
            after: version(row.get(2)?),
        })
    })?;
    steps.collect()
}

/// What was found while a session was at work stands in its journal.
pub(crate) fn recorded(connection: &Connection, session: &SessionId) -> rusqlite::Result<()> {
    leave(connection, session)?;
    let mut statement = connection.prepare_cached("DELETE FROM found WHERE session = ?1")?;
    statement.execute([session.as_str()]).map(drop)
}

fn written(version: &FileVersion) -> String {
    let kind = number_of(version.kind);
    format!("{kind} {} {}", version.bytes, version.content.as_str())
}

fn read(text: &str) -> Option<FileVersion> {
    let mut words = text.split(' ');
    Some(FileVersion {
        kind: kind_of(words.next()?.parse().ok()?),
        bytes: words.next()?.parse().ok()?,
        content: BlobId::new(words.next()?),
    })
}
