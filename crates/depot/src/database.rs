//! One thin way to both databases: statements with `$1`, values of three kinds, rows by position, and
//! transactions that are lists of statements, so that no lock is held while a caller thinks.

mod postgres;
mod sqlite;
mod tls;
mod value;

use std::borrow::Cow;
use std::fmt::Write as _;
use std::path::Path;
use std::sync::Arc;

use postgres::Postgres;
use sqlite::Sqlite;

use crate::{Error, schema};

pub use value::{Row, Value};

/// A statement with its values.
///
/// The text is one for both databases: `$1` for values, `BYTEA` for bytes, a cast for every sum. What
/// SQLite neither knows nor needs (`FOR UPDATE`, `SKIP LOCKED`) is taken out for it, and `GREATEST` and `LEAST` get
/// the names that they have there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Statement {
    sql: Cow<'static, str>,
    values: Vec<Value>,
    needs: Rows,
}

/// How many rows a statement of a transaction must touch, lest everything is undone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Rows {
    Any,
    Some,
}

/// So many rows are inserted by one statement: PostgreSQL takes at most 65,535 values.
const MOST_ROWS: usize = 128;

impl Statement {
    /// A statement without values so far.
    pub fn new(sql: impl Into<Cow<'static, str>>) -> Self {
        Self {
            sql: sql.into(),
            values: Vec::new(),
            needs: Rows::Any,
        }
    }

    /// `INSERT`s of any number of rows, told as [`Statement::rows`] has it: most in statements of [`MOST_ROWS`], the rest
    /// in halves of that and halves of those. Each number of rows is a text of its own, which a database keeps prepared,
    /// and hundreds of different ones would take tens of megabytes.
    pub(crate) fn inserts(
        head: &str,
        lead: &str,
        mut rows: Vec<Vec<Value>>,
        tail: &str,
    ) -> Vec<Self> {
        let mut statements = Vec::new();
        let mut size = MOST_ROWS;
        while !rows.is_empty() {
            while size > rows.len() {
                size /= 2;
            }
            let rest = rows.split_off(size);
            statements.push(Self::rows(head, lead, rows, tail));
            rows = rest;
        }
        statements
    }

    /// One `INSERT` of many rows: `head` ends before `VALUES`, `tail` begins behind the last row. `lead`
    /// is an expression that comes first in each row, or nothing.
    pub(crate) fn rows(head: &str, lead: &str, rows: Vec<Vec<Value>>, tail: &str) -> Self {
        let mut sql = String::from(head);
        let mut number = 0;
        for (index, row) in rows.iter().enumerate() {
            sql.push_str(if index == 0 { " VALUES (" } else { ", (" });
            sql.push_str(lead);
            for column in 0..row.len() {
                number += 1;
                let comma = if column == 0 && lead.is_empty() {
                    ""
                } else {
                    ", "
                };
                let _ = write!(sql, "{comma}${number}");
            }
            sql.push(')');
        }
        sql.push(' ');
        sql.push_str(tail);
        Self {
            sql: sql.into(),
            values: rows.into_iter().flatten().collect(),
            needs: Rows::Any,
        }
    }

    /// The same with a value for the next `$`.
    #[must_use]
    pub fn bind(mut self, value: impl Into<Value>) -> Self {
        self.values.push(value.into());
        self
    }

    /// The same, which undoes its transaction if it touches no row: [`Error::Unmet`].
    #[must_use]
    pub fn needs_a_row(mut self) -> Self {
        self.needs = Rows::Some;
        self
    }

    /// The outcome, unless it needed a row and touched none.
    fn judge(&self, index: usize, outcome: Outcome) -> Result<Outcome, Error> {
        match self.needs {
            Rows::Some if outcome.changed == 0 => Err(Error::Unmet(index)),
            Rows::Some | Rows::Any => Ok(outcome),
        }
    }
}

/// What a statement did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Outcome {
    /// Rows that were written, or returned.
    pub changed: u64,
    /// Rows that it returned.
    pub rows: Vec<Row>,
}

/// A database, SQLite or PostgreSQL. Clones are handles of the same one.
#[derive(Clone, Debug)]
pub struct Database(Arc<Backend>);

#[derive(Debug)]
enum Backend {
    Sqlite(Sqlite),
    Postgres(Box<Postgres>),
}

impl Database {
    /// Opens or creates a SQLite database in a file and brings its schema up to date.
    pub async fn open_sqlite(path: &Path) -> Result<Self, Error> {
        let database = Self(Arc::new(Backend::Sqlite(Sqlite::open(path)?)));
        schema::migrate(&database).await?;
        Ok(database)
    }

    /// Connects to a PostgreSQL database by its URL and brings its schema up to date.
    pub async fn connect_postgres(url: &str) -> Result<Self, Error> {
        let database = Self(Arc::new(Backend::Postgres(Box::new(Postgres::new(url)?))));
        schema::migrate(&database).await?;
        Ok(database)
    }

    /// Reads. It never waits for writes, and sees all that were answered.
    pub async fn query(&self, statement: Statement) -> Result<Vec<Row>, Error> {
        match &*self.0 {
            Backend::Sqlite(sqlite) => sqlite.query(statement).await,
            Backend::Postgres(postgres) => postgres.query(&statement).await,
        }
    }

    /// Writes with one statement and says how many rows that touched.
    pub async fn execute(&self, statement: Statement) -> Result<u64, Error> {
        let outcomes = self.transact(vec![statement]).await?;
        Ok(outcomes.iter().map(|outcome| outcome.changed).sum())
    }

    /// Does all statements or none, in order; an outcome for each. What was answered survives a power
    /// cut.
    pub async fn transact(&self, statements: Vec<Statement>) -> Result<Vec<Outcome>, Error> {
        match &*self.0 {
            Backend::Sqlite(sqlite) => sqlite.transact(statements).await,
            Backend::Postgres(postgres) => postgres.transact(&statements).await,
        }
    }

    /// Whether the database answers.
    pub async fn ping(&self) -> Result<(), Error> {
        self.query(Statement::new("SELECT 1")).await.map(drop)
    }

    /// The text of a table as this database is told it. Texts are ordered by their bytes in both.
    pub(crate) fn table_text(&self, text: &'static str) -> Cow<'static, str> {
        match &*self.0 {
            Backend::Sqlite(_) => text.into(),
            Backend::Postgres(_) => text.replace(" TEXT", " TEXT COLLATE \"C\"").into(),
        }
    }

    /// A statement that, first in a transaction, lets one process at a time change the schema.
    pub(crate) fn schema_lock(&self) -> Statement {
        Statement::new(match &*self.0 {
            // A transaction that writes is alone there.
            Backend::Sqlite(_) => "SELECT 1",
            Backend::Postgres(_) => "SELECT 1 FROM pg_advisory_xact_lock(7162531)",
        })
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn any_number_of_rows_is_inserted_by_a_few_texts() {
        let mut texts = HashSet::new();
        for count in [0_u64, 1, 2, 3, 127, 128, 129, 300, 1_000] {
            let rows: Vec<_> = (0..count).map(|row| vec![Value::from(row)]).collect();
            let statements = Statement::inserts("INSERT INTO t (a)", "", rows, "");
            let values = statements.iter().flat_map(|statement| &statement.values);
            let wanted: Vec<_> = (0..count).map(Value::from).collect();
            assert_eq!(values.cloned().collect::<Vec<_>>(), wanted);
            texts.extend(statements.into_iter().map(|statement| statement.sql));
        }
        assert_eq!(texts.len(), 8);
    }
}
