//! Full-text search. Texts are kept with their entries and indexed a little later, in slices: an
//! index that grew with every append would write several pages each time.

use quire_protocol::{Hit, Seq, SessionId};
use rusqlite::Connection;

use crate::fault::Fault;
use crate::journal::Key;

/// A slice of indexing takes texts of about so many bytes, a few milliseconds of work.
const SLICE_BYTES: usize = 64 * 1024;

/// A snippet has about so many words.
const SNIPPET_WORDS: i64 = 12;

/// Of what a person looks for, so much counts: each word costs a query a term, and there may be millions.
const LETTERS: usize = 1_000;
/// The same in words.
const WORDS: usize = 64;

/// What a slice of indexing left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Slice {
    /// Every text of the session is indexed.
    Done,
    /// There is more.
    More,
}

/// Keeps the text of an entry, to be indexed later.
pub(crate) fn keep(connection: &Connection, id: i64, text: &str) -> Result<(), Fault> {
    let mut statement =
        connection.prepare_cached("INSERT INTO texts (id, text) VALUES (?1, ?2)")?;
    statement.execute((id, text))?;
    Ok(())
}

/// The sessions with texts that are not indexed yet, whoever wrote them.
pub(crate) fn pending(connection: &Connection) -> Result<Vec<Key>, Fault> {
    let mut statement = connection.prepare_cached(
        "SELECT key FROM sessions WHERE indexed <
             (SELECT max(id) FROM texts WHERE id > key << 32 AND id < (key + 1) << 32) & 0xffffffff",
    )?;
    let rows = statement.query_map([], |row| row.get(0).map(Key))?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// Indexes some texts of a session, in the transaction of the caller.
pub(crate) fn slice(connection: &Connection, key: Key) -> Result<Slice, Fault> {
    let mut texts = connection
        .prepare_cached("SELECT id, text FROM texts WHERE id > ?1 AND id <= ?2 ORDER BY id")?;
    let mut insert =
        connection.prepare_cached("INSERT INTO search (rowid, text) VALUES (?1, ?2)")?;
    let mut rows = texts.query((key.place(indexed(connection, key)?), key.end()))?;
    let mut bytes = 0;
    let mut last = None;
    let outcome = loop {
        if bytes >= SLICE_BYTES {
            break Slice::More;
        }
        let Some(row) = rows.next()? else {
            break Slice::Done;
        };
        let id: i64 = row.get(0)?;
        let text = row.get_ref(1)?.as_str().map_err(rusqlite::Error::from)?;
        insert.execute((id, text))?;
        bytes += text.len();
        last = Some(id);
    };
    if let Some(id) = last {
        set_indexed(connection, key, Key::split(id).1)?;
    }
    Ok(outcome)
}

/// Forgets the texts of a session after a place, in the transaction of the caller.
pub(crate) fn forget(connection: &Connection, key: Key, after: Seq) -> Result<(), Fault> {
    let indexed = indexed(connection, key)?;
    let from = key.place(after);
    connection.execute(
        "INSERT INTO search (search, rowid, text)
         SELECT 'delete', id, text FROM texts WHERE id > ?1 AND id <= ?2",
        (from, key.place(indexed)),
    )?;
    connection.execute(
        "DELETE FROM texts WHERE id > ?1 AND id <= ?2",
        (from, key.end()),
    )?;
    set_indexed(connection, key, indexed.min(after))
}

/// Forgets the texts of a session and leaves no trace of them, in the transaction of the caller. Words
/// that are deleted from an index stay in it, as marks of what is gone and in the directory of its
/// pages; so all of it is emptied, and filled again by the next search.
pub(crate) fn forget_for_good(connection: &Connection, key: Key) -> Result<(), Fault> {
    connection.execute("INSERT INTO search (search) VALUES ('delete-all')", [])?;
    connection.execute("UPDATE sessions SET indexed = 0", [])?;
    forget(connection, key, Seq(0))
}

/// The last place whose text is indexed; 0 too for a session that is gone.
fn indexed(connection: &Connection, key: Key) -> Result<Seq, Fault> {
    let mut statement = connection
        .prepare_cached("SELECT coalesce(max(indexed), 0) FROM sessions WHERE key = ?1")?;
    let seq: i64 = statement.query_row([key.0], |row| row.get(0))?;
    Ok(Seq(seq.cast_unsigned()))
}

fn set_indexed(connection: &Connection, key: Key, seq: Seq) -> Result<(), Fault> {
    let mut statement =
        connection.prepare_cached("UPDATE sessions SET indexed = ?2 WHERE key = ?1")?;
    statement.execute((key.0, seq.0.cast_signed()))?;
    Ok(())
}

/// Finds entries, best first.
pub(crate) fn search(connection: &Connection, text: &str, limit: usize) -> Result<Vec<Hit>, Fault> {
    let Some(query) = quote(text) else {
        return Ok(Vec::new());
    };
    let mut statement = connection.prepare_cached(
        "SELECT s.id, search.rowid, snippet(search, 0, '«', '»', '…', ?2)
         FROM search JOIN sessions s ON s.key = search.rowid >> 32
         WHERE search MATCH ?1 ORDER BY search.rank LIMIT ?3",
    )?;
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    let rows = statement.query_map((query, SNIPPET_WORDS, limit), |row| {
        Ok(Hit {
            session: SessionId::new(row.get::<_, String>(0)?),
            seq: Key::split(row.get(1)?).1,
            snippet: row.get(2)?,
        })
    })?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// A person's words as a query that has no syntax: all words must be there, and the last one may
/// be just a beginning. `None` if there is nothing to look for. What is too much is left out.
fn quote(text: &str) -> Option<String> {
    let end = text.char_indices().nth(LETTERS).map(|(end, _)| end);
    let words: Vec<String> = text[..end.unwrap_or(text.len())]
        .split(|c: char| c.is_whitespace() || c == '\0')
        .filter(|word| word.chars().any(char::is_alphanumeric))
        .take(WORDS)
        .map(|word| format!("\"{}\"", word.replace('"', "\"\"")))
        .collect();
    (!words.is_empty()).then(|| format!("{}*", words.join(" ")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_of_a_person_are_quoted() {
        let cases = [
            ("", None),
            (" - * \" ", None),
            ("fix", Some("\"fix\"*")),
            ("fix the bug", Some("\"fix\" \"the\" \"bug\"*")),
            ("say \"hi\" OR", Some("\"say\" \"\"\"hi\"\"\" \"OR\"*")),
            ("a\0b", Some("\"a\" \"b\"*")),
        ];
        for (text, expected) in cases {
            assert_eq!(quote(text).as_deref(), expected, "{text:?}");
        }
    }

    #[test]
    fn a_query_has_no_more_words_than_a_person_types() {
        let words = quote(&"ä ".repeat(10 << 20)).unwrap();
        assert_eq!(words, format!("{}*", vec!["\"ä\""; WORDS].join(" ")));
        let word = quote(&"ä".repeat(10 << 20)).unwrap();
        assert_eq!(word, format!("\"{}\"*", "ä".repeat(LETTERS)));
    }
}
