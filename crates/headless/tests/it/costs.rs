//! What sessions cost.

use expect_test::expect;
use quire_headless::*;
use quire_protocol::*;
use serde_json::Value;

use crate::events::{reply, says};
use crate::journals::{DAY_ONE, Dice, Journals, called};
use crate::settings;

async fn table(journals: &Journals, query: &CostQuery) -> (CostTable, Value) {
    let table = cost(journals, query).await.unwrap();
    let json = serde_json::from_str(&table.json()).unwrap();
    (table, json)
}

fn picos(value: &Value) -> i64 {
    value.as_str().unwrap().parse::<Money>().unwrap().picos()
}

/// Exact cost, unpriced requests, requests, tokens.
type Sums = (i64, u64, u64, [u64; 6]);

fn sums(row: &Value) -> Sums {
    let count = |value: &Value| value.as_u64().unwrap();
    let usage = &row["usage"];
    (
        picos(&row["known_cost_usd"]),
        count(&row["unpriced_requests"]),
        count(&row["requests"]),
        [
            "input",
            "cache_read",
            "cache_write_5m",
            "cache_write_1h",
            "output",
            "thinking",
        ]
        .map(|kind| count(&usage[kind])),
    )
}

fn add(left: Sums, right: Sums) -> Sums {
    let tokens = std::array::from_fn(|kind| left.3[kind] + right.3[kind]);
    (left.0 + right.0, left.1 + right.1, left.2 + right.2, tokens)
}

fn all(rows: &[&Value]) -> Sums {
    rows.iter().map(|row| sums(row)).fold(Sums::default(), add)
}

/// What the events say, added up without any of the code under test.
fn steps(journals: &Journals) -> Sums {
    let mut total = Sums::default();
    for (_, records) in &journals.0 {
        let mut open = 0;
        for record in records {
            let (usage, cost, unknown) = match &record.event {
                Event::ModelCalled { .. } => {
                    open = 1;
                    continue;
                }
                Event::ModelReplied { usage, cost, .. } => (usage, cost, cost.is_none()),
                Event::ModelFailed {
                    error, usage, cost, ..
                } => {
                    let cut =
                        matches!(error.kind, ModelErrorKind::Cancelled | ModelErrorKind::Lost);
                    (
                        usage,
                        cost,
                        cut || cost.is_none() && *usage != Usage::default(),
                    )
                }
                _ => continue,
            };
            open = 0;
            let tokens = [
                usage.input,
                usage.cache_read,
                usage.cache_write_5m,
                usage.cache_write_1h,
                usage.output,
                usage.thinking,
            ];
            let cost = cost.unwrap_or_default().picos();
            total = add(total, (cost, u64::from(unknown), 1, tokens));
        }
        total = add(total, (0, open, open, [0; 6]));
    }
    total
}

#[tokio::test]
async fn the_same_sum_over_steps_sessions_days_models_and_projects() {
    for seed in 1..=60 {
        let mut dice = Dice(0x9e37_79b9_7f4a_7c15_u64.wrapping_mul(seed));
        let mut journals = Journals::default();
        for session in 0..dice.below(12) {
            let events = dice.journal();
            journals.add(&format!("session-{session}"), events);
        }
        let expected = steps(&journals);
        for by in [CostBy::Session, CostBy::Day, CostBy::Model, CostBy::Project] {
            let query = CostQuery {
                by,
                ..CostQuery::default()
            };
            let (_, json) = table(&journals, &query).await;
            let rows: Vec<&Value> = json["rows"].as_array().unwrap().iter().collect();
            assert_eq!(all(&rows), expected, "seed {seed}, {by:?}");
            assert_eq!(sums(&json["total"]), expected, "seed {seed}, {by:?}");
            for row in rows.iter().chain([&&json["total"]]) {
                let on = ["work", "compaction", "judging", "failed"].map(|on| &row[on]);
                assert_eq!(all(&on), sums(row), "seed {seed}, {by:?}");
            }
        }
    }
}

fn configured(model: &str) -> Event {
    Event::Configured {
        settings: Settings {
            model: model.into(),
            ..settings()
        },
    }
}

fn answered(request: u32, purpose: Purpose, cost: Option<&str>) -> [Event; 2] {
    let mut event = reply(vec![says("ok")]);
    if let Event::ModelReplied { cost: place, .. } = &mut event {
        *place = cost.map(|cost| cost.parse().unwrap());
    }
    [called(RequestId(request), purpose, 0), event]
}

fn failed(request: u32) -> [Event; 2] {
    let event = Event::ModelFailed {
        request: RequestId(request),
        error: ModelError {
            kind: ModelErrorKind::Lost,
            message: "lost".into(),
            hint: String::new(),
            status: None,
        },
        usage: Usage::default(),
        cost: None,
        retries: Vec::new(),
    };
    [called(RequestId(request), Purpose::Work, 0), event]
}

fn two_sessions() -> Journals {
    let mut journals = Journals::default();
    let mut events = vec![configured("p/dear")];
    events.extend(answered(1, Purpose::Work, Some("0.000000000001")));
    events.extend(answered(2, Purpose::Summary, Some("0.25")));
    events.extend(answered(3, Purpose::Judge, Some("0.01")));
    events.extend(failed(4));
    let timed = (0..).map(|at| DAY_ONE + at * 1_000);
    journals.add(
        "01936f00-0000-7aaa-8000-000000000001",
        timed.zip(events).collect(),
    );
    let mut events = vec![configured("p/unpriced")];
    events.extend(answered(1, Purpose::Work, None));
    let timed = (0..).map(|at| DAY_ONE + 86_400_000 + at * 1_000);
    journals.add(
        "01936f00-0001-7aaa-8000-000000000002",
        timed.zip(events).collect(),
    );
    journals
}

#[tokio::test]
async fn costs_in_a_table() {
    let (table, _) = table(&two_sessions(), &CostQuery::default()).await;
    expect![[r#"
        SESSION        REQUESTS  INPUT  CACHE READ  WRITTEN 5M  1H  OUTPUT  THINKING                      COST
        01936f00-0000         4    300       3,000           0   0     150         0  at least $0.260000000001  title of 01936f00-0…
        01936f00-0001         1    100       1,000           0   0      50         0                   unknown  title of 01936f00-0…
        total                 5    400       4,000           0   0     200         0  at least $0.260000000001

        work: at least $0.000000000001, 2 requests
        compaction: $0.25, 1 request
        judging goals: $0.01, 1 request
        failed, stopped or lost: unknown, 1 request
        the cost of 2 requests is not known, or not all of it: the model has no known price, its tokens were not reported, or it was cut off half-way
    "#]].assert_eq(&table.text(Style::default()));
}

#[tokio::test]
async fn only_the_days_that_are_asked_for() {
    let day = |text: &str| Some(text.parse::<Day>().unwrap());
    for (since, until, days) in [
        (None, None, 2),
        (day("2026-11-26"), None, 1),
        (None, day("2026-11-25"), 1),
        (day("2026-11-27"), None, 0),
    ] {
        let query = CostQuery {
            by: CostBy::Day,
            since,
            until,
            ..CostQuery::default()
        };
        let (table, json) = table(&two_sessions(), &query).await;
        assert_eq!(json["rows"].as_array().unwrap().len(), days, "{query:?}");
        let told = table.text(Style::default());
        assert_eq!(told.starts_with("DAY (UTC)"), days > 0, "{told}");
    }
}

#[tokio::test]
async fn what_has_no_price_is_unknown_and_not_nothing() {
    let query = CostQuery {
        by: CostBy::Model,
        ..CostQuery::default()
    };
    let (_, json) = table(&two_sessions(), &query).await;
    let [dear, unpriced] = [&json["rows"][0], &json["rows"][1]];
    assert_eq!(dear["work"]["cost_usd"], "0.000000000001");
    assert_eq!(dear["failed"]["cost_usd"], Value::Null);
    assert_eq!(dear["cost_usd"], Value::Null);
    assert_eq!(dear["known_cost_usd"], "0.260000000001");
    assert_eq!(unpriced["cost_usd"], Value::Null);
    assert_eq!(unpriced["unpriced_requests"], 1);
}
