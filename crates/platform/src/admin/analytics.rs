//! Usage and cost by the newer names: rows by group, ranked, with or without buckets of time.

use std::cmp::Reverse;
use std::collections::HashMap;

use quire_depot::{Dimension, Report, Sums, Width};
use serde_json::{Map, Value, json};

use super::reports::{DIMENSIONS, FILTERS, named, tokens};
use super::{Answer, Call, wire};
use crate::clock::now_ms;
use crate::reply::{Denial, rfc3339};

const DAY_MS: i64 = 86_400_000;
/// No report spans more.
const MOST_MS: i64 = 31 * DAY_MS;

/// A row before it is written.
struct Line {
    starting_at: i64,
    ending_at: i64,
    values: Vec<String>,
    sums: Sums,
}

/// By what rows are ranked.
type Rank = fn(&Sums) -> i128;

pub(super) async fn usage(call: Call) -> Result<Answer, Denial> {
    let ranks: [(&str, Rank); 4] = [
        ("total_tokens", |sums| total(sums).into()),
        ("output_tokens", |sums| sums.usage.output.into()),
        ("uncached_input_tokens", |sums| sums.usage.input.into()),
        ("requests", |sums| sums.requests.into()),
    ];
    let written = |sums: &Sums| {
        let mut usage = tokens(sums);
        usage.insert("total_tokens".to_owned(), total(sums).into());
        usage.into()
    };
    rows(&call, &ranks, "usage", written).await
}

pub(super) async fn cost(call: Call) -> Result<Answer, Denial> {
    let ranks: [(&str, Rank); 2] = [
        ("amount", |sums| sums.cost.picos().into()),
        ("list_amount", |sums| sums.cost.picos().into()),
    ];
    let written = |sums: &Sums| {
        let amount = wire::cents(sums.cost);
        json!({
            "amount": amount,
            "list_amount": amount,
            "currency": "USD",
            "requests": sums.requests,
        })
    };
    rows(&call, &ranks, "cost", written).await
}

fn total(sums: &Sums) -> u64 {
    sums.usage.prompt() + sums.usage.output
}

/// Reads, ranks and writes the rows of a page.
async fn rows(
    call: &Call,
    ranks: &[(&str, Rank)],
    what: &str,
    written: impl Fn(&Sums) -> Value,
) -> Result<Answer, Denial> {
    let own = [
        "group_by",
        "limit",
        "order",
        "order_by",
        "time_bucket_width",
    ];
    call.query.only(&[&FILTERS[..], &own].concat())?;
    if call.wants_csv()? {
        return call.csv().await;
    }
    let group_by = call.grouped(&DIMENSIONS)?;
    let mut lines = read(call, &group_by).await?;
    rank(call, ranks, &mut lines)?;
    let limit = call.query.limit(20, 1_000)? as usize;
    let begins: usize = match call.query.one("page") {
        None => 0,
        Some(page) => {
            let at = page.strip_prefix("page_").and_then(|at| at.parse().ok());
            at.ok_or_else(|| wire::wrong("page", "it is no page of this report"))?
        }
    };
    let more = lines.len() > begins.saturating_add(limit);
    let page = lines.iter().skip(begins).take(limit);
    let data: Vec<Value> = page
        .map(|line| {
            let mut row = Map::new();
            row.insert("starting_at".to_owned(), rfc3339(line.starting_at).into());
            row.insert("ending_at".to_owned(), rfc3339(line.ending_at).into());
            let group = named(&DIMENSIONS, &group_by, &line.values);
            row.insert("group".to_owned(), group.into());
            row.insert(what.to_owned(), written(&line.sums));
            row.into()
        })
        .collect();
    Ok(Answer::Json(json!({
        "data": data,
        "has_more": more,
        "next_page": more.then(|| format!("page_{}", begins + limit)),
        "data_refreshed_at": rfc3339(now_ms()),
    })))
}

/// The rows, in buckets if they are asked for, otherwise over the whole range.
async fn read(call: &Call, group_by: &[Dimension]) -> Result<Vec<Line>, Denial> {
    let mut filter = call.filter()?;
    let width = call.width("time_bucket_width")?;
    if width.is_some() && call.query.one("ending_at").is_none() {
        let message = "Field required where time_bucket_width is set";
        return Err(wire::wrong("ending_at", message));
    }
    if width.is_none() && call.query.one("ending_at").is_none() {
        filter.ending_at = filter.ending_at.min(filter.starting_at + MOST_MS);
    }
    let most = if width == Some(Width::Minute) {
        DAY_MS
    } else {
        MOST_MS
    };
    let span = filter.ending_at.saturating_sub(filter.starting_at);
    if span > most {
        let message = format!("the range may span at most {} days here", most / DAY_MS);
        return Err(wire::wrong("ending_at", message));
    }
    let report = Report {
        organisation: call.organisation().await?.id,
        width: width.unwrap_or(Width::Hour),
        filter,
        group_by: group_by.to_vec(),
        // More buckets than any range has.
        limit: 2_000,
    };
    let read = call.app.depot().metering().report(&report).await?;
    let whole = read.buckets.first().zip(read.buckets.last());
    let whole = whole.map(|(first, last)| (first.starting_at, last.ending_at));
    let lines = read.buckets.into_iter().flat_map(|bucket| {
        let bounds = (bucket.starting_at, bucket.ending_at);
        bucket.groups.into_iter().map(move |group| Line {
            starting_at: bounds.0,
            ending_at: bounds.1,
            values: group.values,
            sums: group.sums,
        })
    });
    Ok(match whole.filter(|_| width.is_none()) {
        None => lines.collect(),
        Some(bounds) => over_the_range(lines, bounds),
    })
}

/// One row for each group, whenever its requests were made.
fn over_the_range(lines: impl Iterator<Item = Line>, bounds: (i64, i64)) -> Vec<Line> {
    let mut sums: HashMap<Vec<String>, Sums> = HashMap::new();
    for line in lines {
        let sum = sums.entry(line.values).or_default();
        sum.requests += line.sums.requests;
        sum.usage += line.sums.usage;
        sum.web_searches += line.sums.web_searches;
        sum.cost += line.sums.cost;
        sum.split += line.sums.split;
    }
    let line = |(values, sums)| Line {
        starting_at: bounds.0,
        ending_at: bounds.1,
        values,
        sums,
    };
    sums.into_iter().map(line).collect()
}

/// Puts rows in the order that is asked for; equal ones by their groups, so that pages fit together.
fn rank(call: &Call, ranks: &[(&str, Rank)], lines: &mut [Line]) -> Result<(), Denial> {
    let ascending = match call.query.one("order") {
        None | Some("desc") => false,
        Some("asc") => true,
        Some(_) => return Err(wire::wrong("order", "it must be asc or desc")),
    };
    let (usual, first) = ranks[0];
    let name = call.query.one("order_by").unwrap_or(usual);
    let by_time = name == "time" && call.query.one("time_bucket_width").is_some();
    let found = ranks.iter().find(|(one, _)| *one == name);
    let by = match found {
        Some((_, by)) => *by,
        None if name == "time" => first,
        None => {
            let names: Vec<&str> = ranks.iter().map(|(name, _)| *name).collect();
            let message = format!("it must be time, {}", names.join(", "));
            return Err(wire::wrong("order_by", message));
        }
    };
    lines.sort_by_cached_key(|line| (line.values.clone(), line.starting_at));
    if by_time {
        lines.sort_by_key(|line| Reverse(first(&line.sums)));
        lines.sort_by_key(|line| {
            if ascending {
                line.starting_at
            } else {
                -line.starting_at
            }
        });
    } else {
        lines.sort_by_key(|line| {
            let rank = by(&line.sums);
            if ascending { rank } else { -rank }
        });
    }
    Ok(())
}
