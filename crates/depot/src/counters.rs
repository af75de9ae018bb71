//! Counts that several servers share: so much of something within a window of time.

use std::collections::BTreeMap;

use crate::{Database, Error, Statement, Value};

/// What is counted, and when its window began.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Window {
    /// What is counted, as the caller names it: `requests/key_1`.
    pub name: String,
    /// The beginning of the window.
    pub start: i64,
}

/// Shared counts.
#[derive(Clone, Debug)]
pub struct Counters {
    database: Database,
}

impl Counters {
    pub(crate) fn new(database: Database) -> Self {
        Self { database }
    }

    /// Adds to counts, or takes back, and returns each total of all servers. One statement for all, so
    /// gather what a few milliseconds bring.
    pub async fn add(&self, more: &BTreeMap<Window, i64>) -> Result<BTreeMap<Window, i64>, Error> {
        if more.is_empty() {
            return Ok(BTreeMap::new());
        }
        // In the order of their names, so that no two servers wait for each other.
        let rows = more.iter().map(|(window, count)| {
            vec![
                Value::from(&window.name),
                window.start.into(),
                (*count).into(),
            ]
        });
        let upsert = Statement::rows(
            "INSERT INTO counters (name, window_start, count)",
            "",
            rows.collect(),
            "ON CONFLICT (name, window_start) DO UPDATE SET count = counters.count + excluded.count \
             RETURNING name, window_start, count",
        );
        let outcomes = self.database.transact(vec![upsert]).await?;
        let rows = outcomes.iter().flat_map(|outcome| &outcome.rows);
        let totals = rows.map(|row| {
            let window = Window {
                name: row.text(0)?.to_owned(),
                start: row.integer(1)?,
            };
            Ok((window, row.integer(2)?))
        });
        totals.collect()
    }

    /// Forgets windows that began before a time.
    pub async fn forget(&self, before: i64) -> Result<u64, Error> {
        let delete = Statement::new("DELETE FROM counters WHERE window_start < $1");
        self.database.execute(delete.bind(before)).await
    }
}
