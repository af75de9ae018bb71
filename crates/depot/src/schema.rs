//! The tables, as numbered steps. A step is never changed once it was released: another is added.

use crate::{Database, Error, Statement};

/// The steps, from 1 on. Each ends its statements with `;` at the end of a line.
const STEPS: &[&str] = &[
    include_str!("schema/01-access.sql"),
    include_str!("schema/02-usage.sql"),
    include_str!("schema/03-files.sql"),
    include_str!("schema/04-batches.sql"),
    include_str!("schema/05-responses.sql"),
    include_str!("schema/06-replay.sql"),
    include_str!("schema/07-debts.sql"),
    include_str!("schema/08-costs.sql"),
    include_str!("schema/09-replay.sql"),
];

/// Brings the tables up to date. Several processes may do so at once: each step is done by one of them.
pub(crate) async fn migrate(database: &Database) -> Result<(), Error> {
    let first = vec![
        database.schema_lock(),
        Statement::new(
            "CREATE TABLE IF NOT EXISTS versions (name TEXT PRIMARY KEY, version BIGINT NOT NULL)",
        ),
        Statement::new(
            "INSERT INTO versions (name, version) VALUES ('schema', 0) ON CONFLICT DO NOTHING",
        ),
    ];
    database.transact(first).await?;
    loop {
        let found = version(database).await?;
        let known = STEPS.len();
        let done = usize::try_from(found).unwrap_or(usize::MAX);
        if done == known {
            return Ok(());
        }
        let Some(step) = STEPS.get(done) else {
            return Err(Error::Newer { found, known });
        };
        match database.transact(statements(database, found, step)).await {
            // Another process was faster.
            Ok(_) | Err(Error::Unmet(_)) => {}
            Err(error) => return Err(error),
        }
    }
}

async fn version(database: &Database) -> Result<i64, Error> {
    let asked = Statement::new("SELECT version FROM versions WHERE name = 'schema'");
    let rows = database.query(asked).await?;
    match rows.first() {
        Some(row) => row.integer(0),
        None => Err(Error::Damaged(
            "the number of the schema is missing".to_owned(),
        )),
    }
}

fn statements(database: &Database, found: i64, step: &'static str) -> Vec<Statement> {
    let mut statements = vec![
        database.schema_lock(),
        Statement::new(
            "UPDATE versions SET version = version + 1 WHERE name = 'schema' AND version = $1",
        )
        .bind(found)
        .needs_a_row(),
    ];
    let texts = step.split(";\n").map(str::trim);
    let texts = texts.filter(|text| !text.is_empty());
    statements.extend(texts.map(|text| Statement::new(database.table_text(text))));
    statements
}
