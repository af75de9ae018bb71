//! What was used and what it cost: one row for each request, sums and reports over them.

mod columns;
mod csv;
mod report;

use quire_protocol::{CostSplit, Day, Money, Usage};

use crate::{Database, Error, KeyId, OrganisationId, RequestId, Statement, Value, WorkspaceId};

pub use csv::CsvRows;
pub use report::{Bucket, Dimension, Group, Report, Sums, UsageFilter, UsageReport, Width};

/// One request, as it is billed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UsageRow {
    /// Its id. Recording it twice is recording it once.
    pub request: RequestId,
    /// When it was made.
    pub at: i64,
    /// Who pays.
    pub organisation: OrganisationId,
    /// For which workspace.
    pub workspace: WorkspaceId,
    /// With which key.
    pub key: KeyId,
    /// The model that was asked for.
    pub model_asked: String,
    /// The model that served.
    pub model_served: String,
    /// The upstream that served.
    pub upstream: String,
    /// The API by which it came: `messages`, `responses`, `chat`, `batches`.
    pub api: String,
    /// Tokens.
    pub usage: Usage,
    /// Web searches that the upstream made and bills.
    pub web_searches: u64,
    /// What it cost.
    pub cost: Money,
    /// The same by the kinds of tokens; none where nobody noted it.
    pub split: Option<CostSplit>,
    /// `standard`, `priority`, `batch`, `flex`…
    pub service_tier: String,
    /// `global`, `us`… as reported.
    pub inference_geo: String,
    /// `standard` or `fast`, as reported.
    pub speed: String,
    /// Whether it was part of a batch.
    pub batch: bool,
    /// How long its prompt was.
    pub context_window: ContextWindow,
    /// The HTTP status of the answer.
    pub status: u16,
    /// Whether the answer was streamed.
    pub streamed: bool,
    /// From the request's arrival to the answer's end, in milliseconds.
    pub latency_ms: u64,
    /// Whether the counts are our own estimate: nobody reported the true ones.
    pub estimated: bool,
}

/// The length of a prompt, as reports tell it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ContextWindow {
    /// `0-200k`.
    Short,
    /// `200k-1M`.
    Long,
}

impl ContextWindow {
    /// That of a prompt of so many tokens.
    pub const fn of(prompt_tokens: u64) -> Self {
        if prompt_tokens > 200_000 {
            Self::Long
        } else {
            Self::Short
        }
    }

    pub(crate) fn from_text(text: &str) -> Option<Self> {
        [Self::Short, Self::Long]
            .into_iter()
            .find(|window| window.as_str() == text)
    }

    /// As reports write it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Short => "0-200k",
            Self::Long => "200k-1M",
        }
    }
}

/// Whose spending.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Scope {
    /// An organisation's.
    Organisation(OrganisationId),
    /// A workspace's.
    Workspace(WorkspaceId),
    /// A key's.
    Key(KeyId),
}

/// Usage and cost.
#[derive(Clone, Debug)]
pub struct Metering {
    database: Database,
}

impl Metering {
    pub(crate) fn new(database: Database) -> Self {
        Self { database }
    }

    /// Records requests in one transaction and says how many were new. Those recorded before are left
    /// as they are.
    ///
    /// What is beyond all sense (more than $10,000 or 10¹² tokens for one request) is cut down to that,
    /// so that sums stay within what a database can add.
    pub async fn record(&self, rows: &[UsageRow]) -> Result<u64, Error> {
        if rows.is_empty() {
            return Ok(0);
        }
        let mut statements = vec![Statement::new(columns::NEXT_INTAKE)];
        statements.extend(Statement::inserts(
            columns::INSERT,
            columns::INTAKE,
            rows.iter().map(columns::of_row).collect(),
            "ON CONFLICT (request) DO NOTHING",
        ));
        statements.push(Statement::new(columns::ADD_UP));
        let outcomes = self.database.transact(statements).await?;
        let inserts = &outcomes[1..outcomes.len() - 1];
        Ok(inserts.iter().map(|outcome| outcome.changed).sum())
    }

    /// What was spent since the beginning of a day, or ever. Quick: it reads sums of days.
    pub async fn spent(&self, scope: &Scope, since: Option<Day>) -> Result<Money, Error> {
        let (column, id): (_, Value) = match scope {
            Scope::Organisation(id) => ("organisation", id.into()),
            Scope::Workspace(id) => ("workspace", id.into()),
            Scope::Key(id) => ("api_key", id.into()),
        };
        let sql = format!(
            "SELECT CAST(COALESCE(SUM(micros), 0) AS BIGINT), \
             CAST(COALESCE(SUM(picos), 0) AS BIGINT) \
             FROM spending WHERE {column} = $1 AND day >= $2"
        );
        let statement = Statement::new(sql)
            .bind(id)
            .bind(since.map_or(0, |day| day.0));
        match self.database.query(statement).await?.first() {
            Some(row) => columns::money(row, 0),
            None => Ok(Money::ZERO),
        }
    }

    /// Sums by time and group.
    pub async fn report(&self, report: &Report) -> Result<UsageReport, Error> {
        report::run(&self.database, report).await
    }

    /// Single requests as CSV, oldest first, piece by piece.
    pub fn csv(&self, organisation: &OrganisationId, filter: UsageFilter) -> CsvRows {
        CsvRows::new(self.database.clone(), organisation.clone(), filter)
    }
}
