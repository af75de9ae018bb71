//! Reports: sums of requests by time and group.

use std::fmt::Write as _;

use quire_protocol::{CostSplit, Money, Usage};

use super::{ContextWindow, columns};
use crate::{Database, Error, KeyId, OrganisationId, Row, Statement, Value, WorkspaceId};

/// By what a report may be grouped.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Dimension {
    /// The model that served.
    Model,
    /// The workspace.
    Workspace,
    /// The key.
    Key,
    /// The service tier.
    ServiceTier,
    /// Where it was computed.
    InferenceGeo,
    /// The length of the prompt.
    ContextWindow,
    /// The speed.
    Speed,
}

/// The width of a report's buckets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Width {
    /// `1m`.
    Minute,
    /// `1h`.
    Hour,
    /// `1d`, by UTC.
    Day,
}

impl Width {
    /// In milliseconds.
    pub const fn ms(self) -> i64 {
        match self {
            Self::Minute => 60_000,
            Self::Hour => 3_600_000,
            Self::Day => 86_400_000,
        }
    }
}

/// Which requests count. An empty list lets all through.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct UsageFilter {
    /// From this time on.
    pub starting_at: i64,
    /// Before this time.
    pub ending_at: i64,
    /// Those of these models.
    pub models: Vec<String>,
    /// Those of these workspaces.
    pub workspaces: Vec<WorkspaceId>,
    /// Those of these keys.
    pub keys: Vec<KeyId>,
    /// Those of these service tiers.
    pub service_tiers: Vec<String>,
    /// Those computed there.
    pub inference_geos: Vec<String>,
    /// Those with prompts of these lengths.
    pub context_windows: Vec<ContextWindow>,
    /// Those of these speeds.
    pub speeds: Vec<String>,
}

/// What a report is to show.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    /// Whose.
    pub organisation: OrganisationId,
    /// Which requests; the time is widened to whole buckets.
    pub filter: UsageFilter,
    /// The width of its buckets.
    pub width: Width,
    /// What each bucket is divided by.
    pub group_by: Vec<Dimension>,
    /// At most so many buckets, those without requests among them.
    pub limit: u32,
}

/// Sums over requests.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sums {
    /// How many requests.
    pub requests: u64,
    /// Tokens.
    pub usage: Usage,
    /// Web searches.
    pub web_searches: u64,
    /// What they cost.
    pub cost: Money,
    /// As much of it as is known by the kinds of tokens.
    pub split: CostSplit,
}

/// A group within a bucket.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Group {
    /// What it is the group of, in the order of the report's `group_by`.
    pub values: Vec<String>,
    /// Its sums.
    pub sums: Sums,
}

/// A bucket of time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bucket {
    /// Its beginning.
    pub starting_at: i64,
    /// Its end, which is the beginning of the next.
    pub ending_at: i64,
    /// Its groups, in the order of their values; none if there were no requests.
    pub groups: Vec<Group>,
}

/// A page of a report.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UsageReport {
    /// Its buckets, oldest first.
    pub buckets: Vec<Bucket>,
    /// Where the next page starts, if there is more: the `starting_at` of the next call.
    pub next: Option<i64>,
}

impl Dimension {
    const fn column(self) -> &'static str {
        match self {
            Self::Model => "model_served",
            Self::Workspace => "workspace",
            Self::Key => "api_key",
            Self::ServiceTier => "service_tier",
            Self::InferenceGeo => "inference_geo",
            Self::ContextWindow => "context_window",
            Self::Speed => "speed",
        }
    }
}

impl UsageFilter {
    /// The conditions of a query over usage, with their values.
    pub(super) fn conditions(
        &self,
        organisation: &OrganisationId,
        from: i64,
        to: i64,
    ) -> (String, Vec<Value>) {
        let mut sql = String::from("organisation = $1 AND at >= $2 AND at < $3");
        let mut values = vec![Value::from(organisation), from.into(), to.into()];
        let windows = self.context_windows.iter();
        let lists: [(&str, Vec<Value>); 7] = [
            (
                "model_served",
                self.models.iter().map(Value::from).collect(),
            ),
            (
                "workspace",
                self.workspaces.iter().map(Value::from).collect(),
            ),
            ("api_key", self.keys.iter().map(Value::from).collect()),
            (
                "service_tier",
                self.service_tiers.iter().map(Value::from).collect(),
            ),
            (
                "inference_geo",
                self.inference_geos.iter().map(Value::from).collect(),
            ),
            (
                "context_window",
                windows.map(|window| window.as_str().into()).collect(),
            ),
            ("speed", self.speeds.iter().map(Value::from).collect()),
        ];
        for (column, wanted) in lists {
            if wanted.is_empty() {
                continue;
            }
            let first = values.len() + 1;
            values.extend(wanted);
            let places: Vec<_> = (first..=values.len()).map(|n| format!("${n}")).collect();
            let _ = write!(sql, " AND {column} IN ({})", places.join(", "));
        }
        (sql, values)
    }
}

/// The year 10000, in milliseconds: no report goes beyond.
const END_OF_TIME: i64 = 253_402_300_800_000;

pub(super) async fn run(database: &Database, report: &Report) -> Result<UsageReport, Error> {
    let width = report.width.ms();
    let from = report.filter.starting_at.clamp(0, END_OF_TIME) / width * width;
    let end = report.filter.ending_at.clamp(from, END_OF_TIME);
    let end = (end + width - 1) / width * width;
    let most = from + width * i64::from(report.limit.max(1));
    let to = end.min(most);
    let rows = database.query(statement(report, from, to)).await?;
    let mut rows = rows.iter().peekable();
    let mut buckets = Vec::new();
    let mut starting_at = from;
    while starting_at < to {
        let mut groups = Vec::new();
        while let Some(row) = rows.peek()
            && row.integer(0)? == starting_at
        {
            groups.push(group(row, report.group_by.len())?);
            rows.next();
        }
        buckets.push(Bucket {
            starting_at,
            ending_at: starting_at + width,
            groups,
        });
        starting_at += width;
    }
    let next = (most < end).then_some(most);
    Ok(UsageReport { buckets, next })
}

fn statement(report: &Report, from: i64, to: i64) -> Statement {
    let (conditions, values) = report.filter.conditions(&report.organisation, from, to);
    let width = report.width.ms();
    let mut dimensions = String::new();
    for dimension in &report.group_by {
        dimensions.push_str(dimension.column());
        dimensions.push_str(", ");
    }
    let mut columns: Vec<String> = [
        "input",
        "cache_read",
        "cache_write_5m",
        "cache_write_1h",
        "output",
        "thinking",
        "web_searches",
    ]
    .map(str::to_owned)
    .to_vec();
    // Money is added in two parts, so that no sum leaves the range of its column.
    for cost in ["cost"].iter().chain(&columns::SPLIT) {
        columns.extend([format!("{cost} / 1000000"), format!("{cost} % 1000000")]);
    }
    let sums = columns
        .iter()
        .map(|column| format!("CAST(COALESCE(SUM({column}), 0) AS BIGINT)"));
    let sums: Vec<_> = sums.collect();
    let numbers: Vec<_> = (1..=report.group_by.len() + 1)
        .map(|number| number.to_string())
        .collect();
    let numbers = numbers.join(", ");
    let sql = format!(
        "SELECT at / {width} * {width}, {dimensions}COUNT(*), {} FROM usage WHERE {conditions} \
         GROUP BY {numbers} ORDER BY {numbers}",
        sums.join(", ")
    );
    values
        .into_iter()
        .fold(Statement::new(sql), Statement::bind)
}

fn group(row: &Row, dimensions: usize) -> Result<Group, Error> {
    let values = (1..=dimensions).map(|column| row.text(column).map(str::to_owned));
    let first = dimensions + 1;
    let mut split = [Money::ZERO; columns::SPLIT.len()];
    for (part, column) in split.iter_mut().zip((first + 10..).step_by(2)) {
        *part = columns::money(row, column)?;
    }
    Ok(Group {
        values: values.collect::<Result<_, _>>()?,
        sums: Sums {
            requests: row.count(first)?,
            usage: columns::usage(row, first + 1)?,
            web_searches: row.count(first + 7)?,
            cost: columns::money(row, first + 8)?,
            split: CostSplit::from_parts(split),
        },
    })
}
