//! What sessions cost: a fold of their journals into a table by session, day, model or project. It
//! holds sums, not journals.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::ops::AddAssign;
use std::str::FromStr;

use futures_util::StreamExt as _;
use quire_protocol::{
    Bill, Client, ClientError, Day, Frame, Purpose, Seq, SessionHead, SessionQuery, Usage,
    unique_length,
};
use serde_json::{Value, json};

use crate::Style;
use crate::report::Report;
use crate::requests::{Request, RequestEnd, Requests};
use crate::sessions::{WORKSPACE, tail};
use crate::table::Side::{Left, Right};
use crate::table::table;
use crate::text::{counted, cut_id, first_line, thousands};

/// What the rows of a table of costs are about.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum CostBy {
    /// One session each.
    #[default]
    Session,
    /// One day each, in UTC.
    Day,
    /// One model each.
    Model,
    /// One folder each.
    Project,
}

impl CostBy {
    /// All of them.
    const ALL: [Self; 4] = [Self::Session, Self::Day, Self::Model, Self::Project];

    /// Its name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Session => "session",
            Self::Day => "day",
            Self::Model => "model",
            Self::Project => "project",
        }
    }

    /// What its column is called for a person.
    const fn heading(self) -> &'static str {
        match self {
            Self::Session => "SESSION",
            Self::Day => "DAY (UTC)",
            Self::Model => "MODEL",
            Self::Project => "PROJECT",
        }
    }
}

impl FromStr for CostBy {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        let found = Self::ALL.into_iter().find(|by| by.name() == name);
        found.ok_or_else(|| format!("`{name}` is none of session, day, model and project"))
    }
}

/// Which sessions are counted, and how.
#[derive(Clone, Debug, Default)]
pub struct CostQuery {
    /// What the rows are about.
    pub by: CostBy,
    /// The sessions.
    pub sessions: SessionQuery,
    /// Only requests from this day on.
    pub since: Option<Day>,
    /// Only requests up to this day.
    pub until: Option<Day>,
}

/// What requests used and cost.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Spent {
    pub(crate) requests: u64,
    pub(crate) usage: Usage,
    pub(crate) bill: Bill,
    /// Attempts that failed and were followed by another; what they used is in the rest.
    pub(crate) retries: u64,
}

impl AddAssign for Spent {
    fn add_assign(&mut self, other: Self) {
        self.requests += other.requests;
        self.usage += other.usage;
        self.bill += other.bill;
        self.retries += other.retries;
    }
}

/// What a request was spent on.
const SPENT_ON: [&str; 4] = ["work", "compaction", "judging", "failed"];

/// A row: what was spent, and on what, in the order of [`SPENT_ON`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Row {
    all: Spent,
    on: [Spent; SPENT_ON.len()],
}

impl Row {
    fn add(&mut self, request: &Request) {
        let spent = Spent {
            requests: 1,
            usage: request.usage,
            bill: request.bill,
            retries: request.retries,
        };
        self.all += spent;
        let [work, compaction, judging, failed] = &mut self.on;
        *match (request.end, &request.purpose) {
            (RequestEnd::Failed | RequestEnd::Open, _) => failed,
            (RequestEnd::Answered(_), Purpose::Work) => work,
            (RequestEnd::Answered(_), Purpose::Summary | Purpose::Compact { .. }) => compaction,
            (RequestEnd::Answered(_), Purpose::Judge) => judging,
        } += spent;
    }

    fn json(&self) -> Value {
        let mut row = spent_json(&self.all);
        for (name, spent) in SPENT_ON.iter().zip(&self.on) {
            row[*name] = spent_json(spent);
        }
        row
    }
}

fn spent_json(spent: &Spent) -> Value {
    json!({
        "requests": spent.requests,
        "usage": spent.usage,
        "cost_usd": spent.bill.exact(),
        "known_cost_usd": spent.bill.known,
        "unpriced_requests": spent.bill.unpriced,
        "retries": spent.retries,
    })
}

/// What sessions cost.
#[derive(Clone, Debug, Default)]
pub struct CostTable {
    by: CostBy,
    rows: BTreeMap<String, Row>,
    /// Titles of sessions, by their ids.
    titles: BTreeMap<String, String>,
    total: Row,
    damaged: Vec<String>,
}

/// Adds up what sessions cost. Each journal is read once, in pages.
pub async fn cost(client: &dyn Client, query: &CostQuery) -> Result<CostTable, ClientError> {
    let mut table = CostTable {
        by: query.by,
        ..CostTable::default()
    };
    for head in client.sessions(query.sessions.clone()).await? {
        // Nothing was recorded in it on these days. A clock may have been put right in between, so the
        // days around them count as well.
        let (first, last) = (Day::of(head.created_ms).0, Day::of(head.updated_ms).0);
        let late = query
            .until
            .is_some_and(|day| first > day.0.saturating_add(1));
        let early = query
            .since
            .is_some_and(|day| last.saturating_add(1) < day.0);
        if !late && !early {
            table.read(client, query, &head).await;
        }
    }
    Ok(table)
}

impl CostTable {
    async fn read(&mut self, client: &dyn Client, query: &CostQuery, head: &SessionHead) {
        let mut frames = client.watch(&head.session, Seq(0));
        let own = crate::find::own_after(client, head).await;
        let mut requests = Requests::default();
        let mut read = 0;
        while let Some(frame) = frames.next().await {
            let Frame::Record(record) = frame else {
                continue;
            };
            read += 1;
            let request = requests.add(&record);
            if let Some(request) = request.filter(|_| record.seq > own) {
                self.add(query, head, &request);
            }
        }
        if let Some(request) = requests.rest().filter(|request| request.seq > own) {
            self.add(query, head, &request);
        }
        self.damaged.extend(crate::find::damage(head, read));
    }

    fn add(&mut self, query: &CostQuery, head: &SessionHead, request: &Request) {
        let day = Day::of(request.ended_ms);
        if query.since.is_some_and(|since| day < since)
            || query.until.is_some_and(|until| day > until)
        {
            return;
        }
        let key = match self.by {
            CostBy::Session => {
                let id = head.session.as_str();
                self.titles
                    .entry(id.to_owned())
                    .or_insert_with(|| first_line(&head.title).0);
                id.to_owned()
            }
            CostBy::Day => day.to_string(),
            CostBy::Model => request.model.clone(),
            CostBy::Project => request.project.clone(),
        };
        self.rows.entry(key).or_default().add(request);
        self.total.add(request);
    }

    fn shown(&self, key: &str, short: usize) -> String {
        match self.by {
            CostBy::Session => cut_id(key, short),
            CostBy::Project => tail(&first_line(key).0, WORKSPACE),
            CostBy::Day | CostBy::Model => first_line(key).0,
        }
    }

    /// What it was spent on, a line each, and what is not known.
    fn spent_on(&self) -> String {
        let names = [
            "work",
            "compaction",
            "judging goals",
            "failed, stopped or lost",
        ];
        let mut text = String::new();
        for (name, spent) in names.iter().zip(&self.total.on) {
            if spent.requests > 0 {
                let requests = counted(spent.requests, "request");
                let _ = writeln!(text, "{name}: {}, {requests}", exact(spent.bill));
            }
        }
        let all = &self.total.all;
        if all.retries > 0 {
            let retries = counted(all.retries, "attempt");
            let _ = writeln!(
                text,
                "{retries} failed and were made again; the above has what they used"
            );
        }
        if all.bill.unpriced > 0 {
            let requests = counted(all.bill.unpriced, "request");
            let _ = writeln!(
                text,
                "the cost of {requests} is not known, or not all of it: the model has no known price, its \
                 tokens were not reported, or it was cut off half-way"
            );
        }
        text
    }
}

impl Report for CostTable {
    /// As a table for a person, exact to the last digit.
    fn text(&self, style: Style) -> String {
        if self.rows.is_empty() {
            return "nothing was asked of a model\n".to_owned();
        }
        let ids: Vec<&str> = self.rows.keys().map(String::as_str).collect();
        let short = unique_length(&ids);
        let mut rows: Vec<_> = self
            .rows
            .iter()
            .map(|(key, row)| cells(self.shown(key, short), &row.all, self.titles.get(key)))
            .collect();
        if rows.len() > 1 {
            rows.push(cells("total".to_owned(), &self.total.all, None));
        }
        let columns = [
            (self.by.heading(), Left),
            ("REQUESTS", Right),
            ("INPUT", Right),
            ("CACHE READ", Right),
            ("WRITTEN 5M", Right),
            ("1H", Right),
            ("OUTPUT", Right),
            ("THINKING", Right),
            ("COST", Right),
            ("", Left),
        ];
        format!("{}\n{}", table(columns, rows, style), self.spent_on())
    }

    /// As JSON: a `rows` entry for each row of the table, and the `total`.
    fn json(&self) -> String {
        let by = self.by.name();
        let rows = self.rows.iter().map(|(key, row)| {
            let mut line = json!({ by: key });
            if let (Some(line), Value::Object(row)) = (line.as_object_mut(), row.json()) {
                line.extend(row);
            }
            line
        });
        let rows: Vec<Value> = rows.collect();
        crate::json::line(&json!({ "by": by, "rows": rows, "total": self.total.json() }))
    }

    fn damage(&self) -> &[String] {
        &self.damaged
    }
}

/// An amount to its last digit.
pub(crate) fn exact(bill: Bill) -> String {
    bill.in_words(|cost| cost.to_string())
}

fn cells(key: String, spent: &Spent, title: Option<&String>) -> [String; 10] {
    let usage = &spent.usage;
    [
        key,
        thousands(spent.requests),
        thousands(usage.input),
        thousands(usage.cache_read),
        thousands(usage.cache_write_5m),
        thousands(usage.cache_write_1h),
        thousands(usage.output),
        thousands(usage.thinking),
        exact(spent.bill),
        title.cloned().unwrap_or_default(),
    ]
}
