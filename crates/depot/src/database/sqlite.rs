//! SQLite: one thread writes and commits whatever waits in one transaction, another reads.

use std::borrow::Cow;
use std::fs;
use std::io;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;
use std::time::Duration;

use rusqlite::types::{ToSqlOutput, ValueRef};
use rusqlite::{Connection, ErrorCode, OpenFlags, ToSql, params_from_iter};
use tokio::sync::oneshot;

use super::{Outcome, Row, Statement, Value};
use crate::Error;

/// Another process may hold the database for so long before a write gives up.
const PATIENCE: Duration = Duration::from_secs(10);

/// So many transactions share a commit at most.
const GROUP: usize = 256;

type Answer<T> = oneshot::Sender<Result<T, Error>>;

/// A transaction and who waits for it.
type Write = (Vec<Statement>, Answer<Vec<Outcome>>);
/// A query and who waits for it.
type Read = (Statement, Answer<Vec<Row>>);

/// A SQLite database with its threads, which end when this is dropped.
#[derive(Debug)]
pub(super) struct Sqlite {
    writes: Sender<Write>,
    reads: Sender<Read>,
}

impl Sqlite {
    pub(super) fn open(path: &Path) -> Result<Self, Error> {
        create(path)?;
        let writing = connect(
            path,
            "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;",
        )?;
        let reading = connect(path, "PRAGMA query_only = ON;")?;
        let (writes, inbox) = channel();
        let (reads, questions) = channel();
        let (of_writer, of_reader) = (path.to_owned(), path.to_owned());
        start(path, "quire-depot-write", move || {
            write_all(&writing, &of_writer, &inbox);
        })?;
        start(path, "quire-depot-read", move || {
            read_all(&reading, &of_reader, &questions);
        })?;
        Ok(Self { writes, reads })
    }

    pub(super) async fn query(&self, statement: Statement) -> Result<Vec<Row>, Error> {
        let (answer, answered) = oneshot::channel();
        let sent = self.reads.send((statement, answer));
        sent.map_err(|_| ended())?;
        answered.await.map_err(|_| ended())?
    }

    pub(super) async fn transact(&self, statements: Vec<Statement>) -> Result<Vec<Outcome>, Error> {
        let (answer, answered) = oneshot::channel();
        let sent = self.writes.send((statements, answer));
        sent.map_err(|_| ended())?;
        answered.await.map_err(|_| ended())?
    }
}

/// Creates the file, readable for its owner alone, and the folder that it is in.
fn create(path: &Path) -> Result<(), Error> {
    if let Some(folder) = path.parent() {
        let mut builder = fs::DirBuilder::new();
        let made = builder.recursive(true).mode(0o700).create(folder);
        made.map_err(Error::disk(folder))?;
    }
    let mut options = fs::OpenOptions::new();
    let opened = options.create(true).append(true).mode(0o600).open(path);
    opened.map(drop).map_err(Error::disk(path))
}

fn connect(path: &Path, pragmas: &str) -> Result<Connection, Error> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let fault = |error: rusqlite::Error| fault(path, &error);
    let connection = Connection::open_with_flags(path, flags).map_err(fault)?;
    connection.busy_timeout(PATIENCE).map_err(fault)?;
    connection.set_prepared_statement_cache_capacity(256);
    connection.execute_batch(pragmas).map_err(fault)?;
    Ok(connection)
}

fn start(path: &Path, name: &str, work: impl FnOnce() + Send + 'static) -> Result<(), Error> {
    let thread = thread::Builder::new().name(name.to_owned());
    thread.spawn(work).map(drop).map_err(Error::disk(path))
}

fn ended() -> Error {
    Error::Unavailable("the thread that holds it has ended".to_owned())
}

fn read_all(connection: &Connection, path: &Path, inbox: &Receiver<Read>) {
    while let Ok((statement, answer)) = inbox.recv() {
        // Whoever asked may have gone away.
        if answer.is_closed() {
            continue;
        }
        let rows = run(connection, path, &statement).map(|outcome| outcome.rows);
        let _ = answer.send(rows);
    }
}

fn write_all(connection: &Connection, path: &Path, inbox: &Receiver<Write>) {
    while let Ok(first) = inbox.recv() {
        let mut group = vec![first];
        while group.len() < GROUP
            && let Ok(next) = inbox.try_recv()
        {
            group.push(next);
        }
        let results = commit(connection, path, &group);
        for ((_, answer), result) in group.into_iter().zip(results) {
            let _ = answer.send(result);
        }
    }
}

/// Commits a group; one that fails does not disturb the others.
fn commit(
    connection: &Connection,
    path: &Path,
    group: &[Write],
) -> Vec<Result<Vec<Outcome>, Error>> {
    let all = |error: &rusqlite::Error| group.iter().map(|_| Err(fault(path, error))).collect();
    if let Err(error) = connection.execute_batch("BEGIN IMMEDIATE") {
        return all(&error);
    }
    let mut results = Vec::with_capacity(group.len());
    for (index, (statements, _)) in group.iter().enumerate() {
        results.push(savepoint(connection, path, statements));
        // A full disk, for one, undoes the whole transaction.
        if connection.is_autocommit() {
            let undone = || Err(Error::Unavailable("its transaction was undone".to_owned()));
            let cause = results.pop();
            let mut all: Vec<_> = group.iter().map(|_| undone()).collect();
            if let (Some(cause), Some(its)) = (cause, all.get_mut(index)) {
                *its = cause;
            }
            return all;
        }
    }
    if let Err(error) = connection.execute_batch("COMMIT") {
        // What cannot be committed is undone; if that fails too, the next BEGIN says so.
        let _ = connection.execute_batch("ROLLBACK");
        return all(&error);
    }
    results
}

fn savepoint(
    connection: &Connection,
    path: &Path,
    statements: &[Statement],
) -> Result<Vec<Outcome>, Error> {
    let batch = |sql: &str| {
        let done = connection.execute_batch(sql);
        done.map_err(|error| fault(path, &error))
    };
    batch("SAVEPOINT one")?;
    let outcomes: Result<Vec<_>, _> = statements
        .iter()
        .enumerate()
        .map(|(index, statement)| statement.judge(index, run(connection, path, statement)?))
        .collect();
    if outcomes.is_err() && !connection.is_autocommit() {
        batch("ROLLBACK TO one")?;
    }
    if !connection.is_autocommit() {
        batch("RELEASE one")?;
    }
    outcomes
}

fn run(connection: &Connection, path: &Path, statement: &Statement) -> Result<Outcome, Error> {
    let fault = |error: rusqlite::Error| fault(path, &error);
    let sql = translate(&statement.sql);
    let mut prepared = connection.prepare_cached(&sql).map_err(fault)?;
    let columns = prepared.column_count();
    let values = params_from_iter(&statement.values);
    if columns == 0 {
        let changed = prepared.execute(values).map_err(fault)?;
        return Ok(Outcome {
            changed: changed as u64,
            rows: Vec::new(),
        });
    }
    let mut rows = prepared.query(values).map_err(fault)?;
    let mut read = Vec::new();
    while let Some(row) = rows.next().map_err(fault)? {
        let values = (0..columns).map(|column| value(row.get_ref(column).map_err(fault)?));
        read.push(Row(values.collect::<Result<_, _>>()?));
    }
    Ok(Outcome {
        changed: read.len() as u64,
        rows: read,
    })
}

/// SQLite's words for the common text.
fn translate(sql: &str) -> Cow<'_, str> {
    if !sql.contains(['$', 'F', 'B']) {
        return Cow::Borrowed(sql);
    }
    let sql = sql
        .replace('$', "?")
        .replace(" FOR UPDATE SKIP LOCKED", "")
        .replace(" FOR UPDATE", "")
        .replace(" BYTEA", " BLOB")
        .replace("GREATEST(", "MAX(")
        .replace("LEAST(", "MIN(");
    Cow::Owned(sql)
}

fn value(value: ValueRef<'_>) -> Result<Value, Error> {
    match value {
        ValueRef::Null => Ok(Value::Null),
        ValueRef::Integer(number) => Ok(Value::Integer(number)),
        ValueRef::Real(_) => Err(Error::Statement("a column holds a float".to_owned())),
        ValueRef::Text(text) => match std::str::from_utf8(text) {
            Ok(text) => Ok(Value::Text(text.to_owned())),
            Err(_) => Err(Error::Damaged("a text is not UTF-8".to_owned())),
        },
        ValueRef::Blob(bytes) => Ok(Value::Bytes(bytes.to_vec())),
    }
}

impl ToSql for Value {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(ToSqlOutput::Borrowed(match self {
            Self::Null => ValueRef::Null,
            Self::Integer(number) => ValueRef::Integer(*number),
            Self::Text(text) => ValueRef::Text(text.as_bytes()),
            Self::Bytes(bytes) => ValueRef::Blob(bytes),
        }))
    }
}

fn fault(path: &Path, error: &rusqlite::Error) -> Error {
    let place: PathBuf = path.to_owned();
    match error.sqlite_error_code() {
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => Error::Unavailable(format!(
            "another process has held {} for too long",
            place.display()
        )),
        Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => {
            Error::Damaged(format!("{}: {error}", place.display()))
        }
        Some(
            ErrorCode::DiskFull
            | ErrorCode::SystemIoFailure
            | ErrorCode::CannotOpen
            | ErrorCode::ReadOnly
            | ErrorCode::PermissionDenied,
        ) => Error::disk(&place)(io::Error::other(error.to_string())),
        _ => Error::Statement(error.to_string()),
    }
}
