//! What is owed to limits that several servers share: how much of a minute's worth is missing until it is whole again.
//!
//! A debt is paid off steadily, a capacity in a minute, and needs no window: what was used a minute ago counts for
//! as much as is left of it. Servers add what they used, all at once and now and then, and read what others added.

use crate::{Database, Error, Row, Statement, Value};

/// Milliseconds in which a debt of a whole capacity is paid off. Debts are counted in units × this, so that no
/// payment, however small, is lost.
pub const MINUTE_MS: i64 = 60_000;

/// No capacity of a minute is larger, in units; larger ones are taken for this.
pub const MOST_CAPACITY: i64 = 1_000_000_000_000;

/// No debt is larger, in units × [`MINUTE_MS`].
pub const MOST_DEBT: i64 = 1_000_000_000_000_000_000;

/// At most so many milliseconds are paid for at once.
pub const MOST_PAID_MS: i64 = 60 * MINUTE_MS;

/// What was used of a limit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Used {
    /// The limit, as the callers name it: `requests/key/apikey_1`. It is never forgotten, so there must not be more of
    /// them than there are keys and workspaces.
    pub name: String,
    /// What is paid off in a minute, in units.
    pub capacity: i64,
    /// What was used, in units × [`MINUTE_MS`]; less than nothing where more was given back than used.
    pub units: i64,
    /// Since when. It counts as used at that time.
    pub since: i64,
}

/// What is owed to a limit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Debt {
    /// The limit.
    pub name: String,
    /// What was owed, in units × [`MINUTE_MS`].
    pub units: i64,
    /// When that was right.
    pub at: i64,
}

/// Debts that changed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Exchanged {
    /// By this the next exchange begins.
    pub version: u64,
    /// They.
    pub debts: Vec<Debt>,
}

/// Shared debts.
#[derive(Clone, Debug)]
pub struct Debts {
    database: Database,
}

/// A debt after something was added to it: what was left of the old one when the use began, and what was used. Where
/// another server has added something of a later time, nothing is paid off.
const ADD: &str = "ON CONFLICT (name) DO UPDATE SET version = excluded.version, \
    capacity = excluded.capacity, at = GREATEST(debts.at, excluded.at), \
    units = LEAST(GREATEST(debts.units - excluded.capacity \
    * LEAST(GREATEST(excluded.at - debts.at, 0), 3600000), 0) + excluded.units, 1000000000000000000)";

/// The next version is taken first: others wait for the commit, so that versions become visible in their order.
const NEXT_VERSION: &str = "UPDATE versions SET version = version + 1 WHERE name = 'debts'";
const VERSION: &str = "(SELECT version FROM versions WHERE name = 'debts')";

impl Debts {
    pub(crate) fn new(database: Database) -> Self {
        Self { database }
    }

    /// Adds what was used, all or nothing, and says which debts changed since a version, those of this call among
    /// them; all since version 0. One small query where nothing was used. Call it about once a second.
    pub async fn exchange(&self, used: &[Used], version: u64) -> Result<Exchanged, Error> {
        let changed = "SELECT name, units, at, version FROM debts WHERE version > $1";
        let changed = Statement::new(changed).bind(version);
        if used.is_empty() {
            let rows = self.database.query(changed).await?;
            return exchanged(&rows, version);
        }
        let mut statements = vec![Statement::new(NEXT_VERSION)];
        let rows = used.iter().map(|used| {
            vec![
                Value::from(&used.name),
                used.capacity.clamp(1, MOST_CAPACITY).into(),
                used.units.clamp(-MOST_DEBT, MOST_DEBT).into(),
                used.since.max(0).into(),
            ]
        });
        let head = "INSERT INTO debts (version, name, capacity, units, at)";
        statements.extend(Statement::inserts(head, VERSION, rows.collect(), ADD));
        statements.push(changed);
        let outcomes = self.database.transact(statements).await?;
        exchanged(outcomes.last().map_or(&[], |last| &last.rows), version)
    }
}

fn exchanged(rows: &[Row], version: u64) -> Result<Exchanged, Error> {
    let mut exchanged = Exchanged {
        version,
        debts: Vec::with_capacity(rows.len()),
    };
    for row in rows {
        exchanged.version = exchanged.version.max(row.count(3)?);
        exchanged.debts.push(Debt {
            name: row.text(0)?.to_owned(),
            // More may have been given back than was used.
            units: row.integer(1)?.max(0),
            at: row.integer(2)?,
        });
    }
    Ok(exchanged)
}
