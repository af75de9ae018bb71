//! The table of sessions: finding, listing, naming, adding and removing them.

use std::path::Path;

use quire_protocol::{Seq, SessionHead, SessionId, SessionQuery, StoreError};
use rusqlite::{Connection, OptionalExtension, Row};

use crate::blobs;
use crate::fault::Fault;
use crate::index;
use crate::journal::Key;

/// A title has at most so many characters.
const TITLE_CHARS: usize = 80;

/// What an append and a lease need to know of a session.
pub(crate) struct Found {
    pub(crate) key: Key,
    pub(crate) epoch: u64,
    pub(crate) holder: u32,
    pub(crate) untitled: bool,
}

/// Looks a session up.
pub(crate) fn find(connection: &Connection, session: &SessionId) -> Result<Found, Fault> {
    let mut statement = connection
        .prepare_cached("SELECT key, epoch, holder, title = '' FROM sessions WHERE id = ?1")?;
    let found = statement
        .query_row([session.as_str()], |row| {
            Ok(Found {
                key: Key(row.get(0)?),
                epoch: row.get::<_, i64>(1)?.cast_unsigned(),
                holder: row.get(2)?,
                untitled: row.get(3)?,
            })
        })
        .optional()?;
    found.ok_or_else(|| StoreError::NoSession(session.clone()).into())
}

/// Adds a session whose first lease has epoch 1.
pub(crate) fn add(connection: &Connection, head: &SessionHead, holder: u32) -> Result<Key, Fault> {
    let added = connection.execute(
        "INSERT INTO sessions
             (id, created_ms, updated_ms, workspace, title, epoch, holder, indexed, parent)
         VALUES (?1, ?2, ?3, ?4, ?5, 1, ?6, 0, ?7) ON CONFLICT DO NOTHING",
        (
            head.session.as_str(),
            head.created_ms.cast_signed(),
            head.updated_ms.cast_signed(),
            &head.workspace,
            title(&head.title),
            holder,
            head.parent.as_ref().map(SessionId::as_str),
        ),
    )?;
    if added == 0 {
        return Err(StoreError::Unusable {
            path: connection.path().unwrap_or_default().to_owned(),
            reason: format!("there is already a session {}", head.session),
        }
        .into());
    }
    Ok(Key(connection.last_insert_rowid()))
}

/// Counts a new lease and remembers who has it.
pub(crate) fn next_epoch(
    connection: &Connection,
    session: &SessionId,
    holder: u32,
) -> Result<u64, Fault> {
    let epoch = connection
        .query_row(
            "UPDATE sessions SET epoch = epoch + 1, holder = ?2 WHERE id = ?1 RETURNING epoch",
            (session.as_str(), holder),
            |row| row.get::<_, i64>(0),
        )
        .optional()?;
    epoch
        .map(i64::cast_unsigned)
        .ok_or_else(|| StoreError::NoSession(session.clone()).into())
}

/// Names a session after its first words.
pub(crate) fn set_title(connection: &Connection, key: Key, text: &str) -> Result<(), Fault> {
    let mut statement =
        connection.prepare_cached("UPDATE sessions SET title = ?2 WHERE key = ?1")?;
    statement.execute((key.0, title(text)))?;
    Ok(())
}

/// The first line that says something, cut.
fn title(text: &str) -> String {
    let line = text.lines().map(str::trim).find(|line| !line.is_empty());
    let line = line.unwrap_or_default();
    if line.chars().count() <= TITLE_CHARS {
        return line.to_owned();
    }
    line.chars().take(TITLE_CHARS - 1).chain(['…']).collect()
}

/// Lists sessions, newest activity first.
pub(crate) fn list(
    connection: &Connection,
    query: &SessionQuery,
) -> Result<Vec<SessionHead>, Fault> {
    let mut statement = connection.prepare_cached(
        "SELECT s.id, s.created_ms, coalesce(e.at_ms, s.updated_ms) AS updated_ms, s.workspace,
                s.title, coalesce(e.id & 0xffffffff, 0), s.parent
         FROM sessions s LEFT JOIN events e ON e.id =
             (SELECT max(id) FROM events WHERE id > s.key << 32 AND id < (s.key + 1) << 32)
         WHERE (?1 IS NULL OR s.workspace = ?1)
           AND (?2 IS NULL OR substr(s.id, 1, length(?2)) = ?2)
         ORDER BY updated_ms DESC, s.key DESC LIMIT ?3",
    )?;
    let limit = match query.limit {
        0 => -1,
        limit => i64::try_from(limit).unwrap_or(-1),
    };
    let rows = statement.query_map((&query.workspace, &query.id_prefix, limit), head)?;
    Ok(rows.collect::<Result<_, _>>()?)
}

fn head(row: &Row<'_>) -> rusqlite::Result<SessionHead> {
    Ok(SessionHead {
        session: SessionId::new(row.get::<_, String>(0)?),
        created_ms: row.get::<_, i64>(1)?.cast_unsigned(),
        updated_ms: row.get::<_, i64>(2)?.cast_unsigned(),
        workspace: row.get(3)?,
        title: row.get(4)?,
        events: row.get::<_, i64>(5)?.cast_unsigned(),
        parent: row.get::<_, Option<String>>(6)?.map(SessionId::new),
    })
}

/// Removes a session with its entries, what search knew of them, what was cut from it, and the blobs
/// that only it used.
pub(crate) fn remove(
    connection: &Connection,
    directory: &Path,
    session: &SessionId,
    key: Key,
) -> Result<(), Fault> {
    index::forget_for_good(connection, key)?;
    connection.execute(
        "DELETE FROM events WHERE id > ?1 AND id <= ?2",
        (key.place(Seq(0)), key.end()),
    )?;
    connection.execute("DELETE FROM damaged WHERE session = ?1", [session.as_str()])?;
    connection.execute("DELETE FROM sessions WHERE key = ?1", [key.0])?;
    blobs::forget(connection, directory, key)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn titles_are_one_short_line() {
        let long = "é".repeat(100);
        let cut = format!("{}…", "é".repeat(79));
        let cases = [
            ("", ""),
            (" \n\t\n", ""),
            ("fix it", "fix it"),
            ("\n  fix it \r\nplease", "fix it"),
            (&long, &cut),
        ];
        for (text, expected) in cases {
            assert_eq!(title(text), expected, "{text:?}");
        }
    }
}
