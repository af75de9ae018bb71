//! Entries in the database: where they lie, how they are chained, appended, read, verified and cut.

use quire_protocol::{Entry, Lease, Seq, SessionId, StoreError};
use rusqlite::{Connection, OptionalExtension};

use crate::fault::Fault;
use crate::index;
use crate::sessions;

/// Places fit into this many bits of an entry's id.
const PLACE_BITS: u32 = 32;

/// The number of a session in the database. It is never given to another session.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Key(pub(crate) i64);

impl Key {
    /// The id of the entry at a place. Places past the last possible one count as that.
    pub(crate) fn place(self, seq: Seq) -> i64 {
        let place = u32::try_from(seq.0).unwrap_or(u32::MAX);
        (self.0 << PLACE_BITS) | i64::from(place)
    }

    /// The id of the last place that can be.
    pub(crate) fn end(self) -> i64 {
        self.place(Seq(u64::MAX))
    }

    /// Takes an id apart.
    pub(crate) fn split(id: i64) -> (Self, Seq) {
        let place = id.cast_unsigned() & u64::from(u32::MAX);
        (Self(id >> PLACE_BITS), Seq(place))
    }
}

/// The first thing wrong in a journal.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Flaw {
    /// The last good place before it.
    pub(crate) kept: Seq,
    /// What is wrong.
    pub(crate) reason: String,
}

/// An append as it waits for the writer.
pub(crate) struct Append {
    pub(crate) lease: Lease,
    pub(crate) after: Seq,
    pub(crate) entries: Vec<Entry>,
}

impl Append {
    /// About how many bytes it brings.
    pub(crate) fn bytes(&self) -> usize {
        let text = |entry: &Entry| entry.text.as_ref().map_or(0, String::len);
        self.entries
            .iter()
            .map(|entry| entry.payload.len() + text(entry))
            .sum()
    }
}

/// The checksum of an entry: CRC-32 over the checksum before it and all that reads return, so that
/// a changed, lost, swapped or strange entry breaks the chain.
fn checksum(previous: u32, session: &SessionId, seq: Seq, at_ms: u64, payload: &[u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(&previous.to_le_bytes());
    hasher.update(session.as_str().as_bytes());
    hasher.update(&seq.0.to_le_bytes());
    hasher.update(&at_ms.to_le_bytes());
    hasher.update(payload);
    hasher.finalize()
}

/// The last place of a journal and the checksum there.
pub(crate) fn tail(connection: &Connection, key: Key) -> Result<(Seq, u32), Fault> {
    let mut statement = connection.prepare_cached(
        "SELECT id, checksum FROM events WHERE id > ?1 AND id <= ?2 ORDER BY id DESC LIMIT 1",
    )?;
    let found = statement
        .query_row((key.place(Seq(0)), key.end()), |row| {
            Ok((row.get::<_, i64>(0)?, row.get(1)?))
        })
        .optional()?;
    Ok(found.map_or((Seq(0), 0), |(id, sum)| (Key::split(id).1, sum)))
}

/// Appends in the transaction of the caller. Everything is checked before anything is written.
pub(crate) fn append(connection: &Connection, work: &Append) -> Result<Key, Fault> {
    let session = &work.lease.session;
    let row = sessions::find(connection, session)?;
    let (last, mut sum) = tail(connection, row.key)?;
    if row.epoch != work.lease.epoch || last != work.after {
        return Err(StoreError::LeaseLost(session.clone()).into());
    }
    let mut insert = connection.prepare_cached(
        "INSERT INTO events (id, at_ms, checksum, payload) VALUES (?1, ?2, ?3, ?4)",
    )?;
    for entry in &work.entries {
        sum = checksum(sum, session, entry.seq, entry.at_ms, &entry.payload);
        insert.execute((
            row.key.place(entry.seq),
            entry.at_ms.cast_signed(),
            sum,
            &entry.payload,
        ))?;
        if let Some(text) = &entry.text {
            index::keep(connection, row.key.place(entry.seq), text)?;
        }
    }
    if row.untitled {
        let first = work.entries.iter().find_map(|entry| entry.text.as_deref());
        if let Some(text) = first {
            sessions::set_title(connection, row.key, text)?;
        }
    }
    Ok(row.key)
}

/// Begins a journal with the entries of another one up to a place, in the transaction of the caller. They
/// are found in the other one by search, not in both.
pub(crate) fn copy(
    connection: &Connection,
    from: (&SessionId, Key),
    upto: Seq,
    (session, key): (&SessionId, Key),
) -> Result<(), Fault> {
    let mut insert = connection.prepare_cached(
        "INSERT INTO events (id, at_ms, checksum, payload) VALUES (?1, ?2, ?3, ?4)",
    )?;
    let (mut sum, mut last, mut failed) = (0, Seq(0), None);
    let most = usize::try_from(upto.0).unwrap_or(usize::MAX);
    let flaw = walk(connection, from, (Seq(0), most), |seq, at_ms, payload| {
        sum = checksum(sum, session, seq, at_ms, payload);
        let row = (key.place(seq), at_ms.cast_signed(), sum, payload);
        if let Err(error) = insert.execute(row) {
            failed.get_or_insert(error);
        }
        last = seq;
    })?;
    if let Some(error) = failed {
        return Err(error.into());
    }
    if last == upto {
        return Ok(());
    }
    let reason = flaw.map_or_else(|| format!("it ends at {last}"), |flaw| flaw.reason);
    Err(StoreError::Damaged(format!(
        "session {} cannot be forked at {upto}: {reason}",
        from.0
    ))
    .into())
}

/// Hands the entries after a place to `each`, in order, as long as the chain holds.
fn walk(
    connection: &Connection,
    (session, key): (&SessionId, Key),
    (after, limit): (Seq, usize),
    mut each: impl FnMut(Seq, u64, &[u8]),
) -> Result<Option<Flaw>, Fault> {
    let Some(mut sum) = checksum_at(connection, key, after)? else {
        let (last, _) = tail(connection, key)?;
        let flaw = Flaw {
            kept: Seq(0),
            reason: format!("entry {after} is missing"),
        };
        return Ok((last > after).then_some(flaw));
    };
    let mut kept = after;
    let mut statement = connection.prepare_cached(
        "SELECT id, at_ms, checksum, payload FROM events
         WHERE id > ?1 AND id <= ?2 ORDER BY id LIMIT ?3",
    )?;
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    let mut rows = statement.query((key.place(after), key.end(), limit))?;
    while let Some(row) = rows.next()? {
        let (_, seq) = Key::split(row.get(0)?);
        if seq != kept.next() {
            let reason = format!("entry {} is missing", kept.next());
            return Ok(Some(Flaw { kept, reason }));
        }
        let at_ms = row.get::<_, i64>(1)?.cast_unsigned();
        let payload = row.get_ref(3)?.as_bytes().map_err(rusqlite::Error::from)?;
        sum = checksum(sum, session, seq, at_ms, payload);
        if row.get::<_, i64>(2)? != i64::from(sum) {
            let reason = format!("entry {seq} does not match its checksum");
            return Ok(Some(Flaw { kept, reason }));
        }
        each(seq, at_ms, payload);
        kept = seq;
    }
    Ok(None)
}

/// The stored checksum at a place, if there is an entry; before the first it is 0.
fn checksum_at(connection: &Connection, key: Key, seq: Seq) -> Result<Option<u32>, Fault> {
    if seq == Seq(0) {
        return Ok(Some(0));
    }
    let mut statement = connection.prepare_cached("SELECT checksum FROM events WHERE id = ?1")?;
    let found = statement.query_row([key.place(seq)], |row| row.get::<_, i64>(0));
    // A checksum out of range was not written by us; 0 makes the next entry fail.
    Ok(found
        .optional()?
        .map(|sum| u32::try_from(sum).unwrap_or_default()))
}

/// The entries after a place, verified: those before a flaw, or the flaw if there is none.
pub(crate) fn read(
    connection: &Connection,
    session: &SessionId,
    after: Seq,
    limit: usize,
) -> Result<Vec<Entry>, Fault> {
    let key = sessions::find(connection, session)?.key;
    let mut entries = Vec::new();
    let flaw = walk(
        connection,
        (session, key),
        (after, limit),
        |seq, at_ms, payload| {
            entries.push(Entry {
                seq,
                at_ms,
                payload: payload.to_vec(),
                text: None,
            });
        },
    )?;
    match flaw {
        Some(flaw) if entries.is_empty() => Err(StoreError::Damaged(format!(
            "{} of session {session}; opening the session for work again cuts its journal to the \
             last good entry and keeps the rest aside",
            flaw.reason
        ))
        .into()),
        _ => Ok(entries),
    }
}

/// The first flaw of a whole journal. That its last entries are missing altogether cannot be seen.
pub(crate) fn verify(
    connection: &Connection,
    session: &SessionId,
    key: Key,
) -> Result<Option<Flaw>, Fault> {
    walk(
        connection,
        (session, key),
        (Seq(0), usize::MAX),
        |_, _, _| {},
    )
}

/// Moves everything after a flaw aside, in the transaction of the caller, and counts it.
pub(crate) fn cut(connection: &Connection, lease: &Lease, flaw: &Flaw) -> Result<u64, Fault> {
    let row = sessions::find(connection, &lease.session)?;
    if row.epoch != lease.epoch {
        return Err(StoreError::LeaseLost(lease.session.clone()).into());
    }
    let (from, to) = (row.key.place(flaw.kept), row.key.end());
    let cut = connection.execute(
        "INSERT INTO damaged (session, epoch, seq, at_ms, checksum, payload, reason)
         SELECT ?1, ?2, id & 0xffffffff, at_ms, checksum, payload, ?3
         FROM events WHERE id > ?4 AND id <= ?5",
        (
            lease.session.as_str(),
            lease.epoch.cast_signed(),
            &flaw.reason,
            from,
            to,
        ),
    )?;
    connection.execute("DELETE FROM events WHERE id > ?1 AND id <= ?2", (from, to))?;
    index::forget(connection, row.key, flaw.kept)?;
    Ok(cut as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_keep_sessions_apart_and_places_in_order() {
        let cases = [
            (1, 0),
            (1, 1),
            (1, u64::from(u32::MAX)),
            (2, 0),
            (70_000, 7),
        ];
        let ids: Vec<i64> = cases.map(|(key, seq)| Key(key).place(Seq(seq))).into();
        assert!(ids.is_sorted());
        for ((key, seq), id) in cases.into_iter().zip(ids) {
            assert_eq!(Key::split(id), (Key(key), Seq(seq)));
        }
        assert_eq!(Key(1).end(), Key(1).place(Seq(u64::from(u32::MAX))));
    }

    #[test]
    fn every_part_of_an_entry_is_in_its_checksum() {
        let (a, b) = (SessionId::new("a"), SessionId::new("b"));
        let base = checksum(1, &a, Seq(1), 5, b"x");
        let others = [
            checksum(2, &a, Seq(1), 5, b"x"),
            checksum(1, &b, Seq(1), 5, b"x"),
            checksum(1, &a, Seq(2), 5, b"x"),
            checksum(1, &a, Seq(1), 6, b"x"),
            checksum(1, &a, Seq(1), 5, b"y"),
        ];
        assert!(!others.contains(&base));
    }
}
