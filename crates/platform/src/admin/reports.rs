//! Reports of usage and cost in buckets of time, in the shapes of Anthropic's older API, and what they are made of as CSV.

use axum::body::Body;
use axum::http::{HeaderValue, Response, header};
use quire_depot::{
    Bucket, ContextWindow, CsvRows, Dimension, Group, Report, Sums, UsageFilter, Width,
};
use quire_protocol::Money;
use serde_json::{Map, Value, json};

use super::{Answer, Call, wire};
use crate::clock::now_ms;
use crate::reply::{Denial, rfc3339};

/// Parameters that choose requests, in both generations of names.
pub(super) const FILTERS: [&str; 12] = [
    "starting_at",
    "ending_at",
    "models",
    "workspace_ids",
    "api_key_ids",
    "service_tiers",
    "inference_geos",
    "speeds",
    "context_window",
    "context_windows",
    "format",
    "page",
];

/// What a report can be grouped by, by its name.
pub(super) const DIMENSIONS: [(&str, Dimension); 7] = [
    ("model", Dimension::Model),
    ("workspace_id", Dimension::Workspace),
    ("api_key_id", Dimension::Key),
    ("service_tier", Dimension::ServiceTier),
    ("inference_geo", Dimension::InferenceGeo),
    ("context_window", Dimension::ContextWindow),
    ("speed", Dimension::Speed),
];

pub(super) async fn usage(call: Call) -> Result<Answer, Denial> {
    let Some(report) = call.report(&["bucket_width"]).await? else {
        return call.csv().await;
    };
    let group_by = call.grouped(&DIMENSIONS)?;
    let written = |group: &Group| {
        let mut result = tokens(&group.sums);
        for name in ["account_id", "service_account_id"] {
            result.insert(name.to_owned(), Value::Null);
        }
        result.extend(named(&DIMENSIONS, &group_by, &group.values));
        vec![result.into()]
    };
    call.buckets(report, &group_by, written).await
}

pub(super) async fn cost(call: Call) -> Result<Answer, Denial> {
    let Some(report) = call.report(&["bucket_width"]).await? else {
        return call.csv().await;
    };
    let mut group_by = call.grouped(&[
        ("workspace_id", Dimension::Workspace),
        ("description", Dimension::Model),
    ])?;
    if group_by.contains(&Dimension::Model) {
        // A description says all that makes a price.
        group_by.extend([
            Dimension::ServiceTier,
            Dimension::InferenceGeo,
            Dimension::ContextWindow,
        ]);
    }
    let written = |group: &Group| {
        let common = named(&DIMENSIONS, &group_by, &group.values);
        if group_by.contains(&Dimension::Model) {
            let parts = by_token_type(&group.sums).into_iter();
            parts
                .map(|(part, amount)| costed(common.clone(), part, amount))
                .collect()
        } else {
            vec![costed(common, None, group.sums.cost)]
        }
    };
    call.buckets(report, &group_by, written).await
}

/// A kind of tokens as cost reports name it: for programs and for people.
type TokenType = (&'static str, &'static str);

/// The kinds of tokens, in the order of the parts of a split cost.
const TOKEN_TYPES: [TokenType; 5] = [
    ("uncached_input_tokens", "input tokens"),
    ("cache_read_input_tokens", "cache reads"),
    (
        "cache_creation.ephemeral_5m_input_tokens",
        "cache writes, 5 minutes",
    ),
    (
        "cache_creation.ephemeral_1h_input_tokens",
        "cache writes, 1 hour",
    ),
    ("output_tokens", "output tokens"),
];

/// A cost by kinds of tokens; what is of no known kind, or nothing at all, comes without one.
fn by_token_type(sums: &Sums) -> Vec<(Option<TokenType>, Money)> {
    let parts = TOKEN_TYPES.into_iter().zip(sums.split.parts());
    let parts = parts.filter(|(_, amount)| *amount != Money::ZERO);
    let mut all: Vec<_> = parts.map(|(kind, amount)| (Some(kind), amount)).collect();
    let rest = sums.cost.picos().saturating_sub(sums.split.total().picos());
    if rest != 0 || all.is_empty() {
        all.push((None, Money::from_picos(rest)));
    }
    all
}

/// A result of a cost report.
fn costed(mut result: Map<String, Value>, part: Option<TokenType>, amount: Money) -> Value {
    let text = |name: &str| result.get(name).and_then(Value::as_str).map(str::to_owned);
    let (model, tier) = (text("model"), text("service_tier"));
    let description = model.as_ref().map(|model| {
        let tier = tier.filter(|tier| tier != "standard");
        let tier = tier.map_or(String::new(), |tier| format!(", {tier}"));
        let part = part.map_or(String::new(), |(_, words)| format!(", {words}"));
        format!("{model} usage{tier}{part}")
    });
    for name in ["api_key_id", "speed"] {
        result.remove(name);
    }
    result.extend(wire::fields(json!({
        "description": description,
        "cost_type": model.map(|_| "tokens"),
        "token_type": part.map(|(name, _)| name),
        "currency": "USD",
        "amount": wire::cents(amount),
    })));
    result.into()
}

/// Sums of tokens as reports have them.
pub(super) fn tokens(sums: &Sums) -> Map<String, Value> {
    let usage = &sums.usage;
    wire::fields(json!({
        "uncached_input_tokens": usage.input,
        "cache_creation": {
            "ephemeral_1h_input_tokens": usage.cache_write_1h,
            "ephemeral_5m_input_tokens": usage.cache_write_5m,
        },
        "cache_read_input_tokens": usage.cache_read,
        "output_tokens": usage.output,
        "server_tool_use": {"web_search_requests": sums.web_searches},
        "requests": sums.requests,
    }))
}

/// What a group is of: null where the report is not grouped by it.
pub(super) fn named(
    known: &[(&str, Dimension)],
    group_by: &[Dimension],
    values: &[String],
) -> Map<String, Value> {
    let value = |dimension| {
        let place = group_by.iter().position(|one| one == dimension);
        place.and_then(|place| values.get(place)).cloned()
    };
    known
        .iter()
        .map(|(name, dimension)| ((*name).to_owned(), value(dimension).into()))
        .collect()
}

impl Call {
    /// The report that is asked for; none where the requests themselves are wanted, as CSV.
    async fn report(&self, more: &[&str]) -> Result<Option<Report>, Denial> {
        let known: Vec<&str> = [&FILTERS[..], more, &["group_by", "limit"]].concat();
        self.query.only(&known)?;
        if self.wants_csv()? {
            return Ok(None);
        }
        let width = self.width("bucket_width")?.unwrap_or(Width::Day);
        let (usual, most) = match width {
            Width::Day => (7, 31),
            Width::Hour => (24, 168),
            Width::Minute => (60, 1_440),
        };
        let mut filter = self.filter()?;
        if let Some(page) = self.query.one("page") {
            let from = page.strip_prefix("page_").and_then(|at| at.parse().ok());
            filter.starting_at =
                from.ok_or_else(|| wire::wrong("page", "it is no page of this report"))?;
        }
        Ok(Some(Report {
            organisation: self.organisation().await?.id,
            filter,
            width,
            group_by: Vec::new(),
            limit: self.query.limit(usual, most)?,
        }))
    }

    /// Reads a report and writes its buckets.
    async fn buckets(
        &self,
        mut report: Report,
        group_by: &[Dimension],
        written: impl Fn(&Group) -> Vec<Value>,
    ) -> Result<Answer, Denial> {
        report.group_by = group_by.to_vec();
        let read = self.app.depot().metering().report(&report).await?;
        let bucket = |bucket: &Bucket| {
            json!({
                "starting_at": rfc3339(bucket.starting_at),
                "ending_at": rfc3339(bucket.ending_at),
                "results": bucket.groups.iter().flat_map(&written).collect::<Vec<_>>(),
            })
        };
        Ok(Answer::Json(json!({
            "data": read.buckets.iter().map(bucket).collect::<Vec<_>>(),
            "has_more": read.next.is_some(),
            "next_page": read.next.map(|at| format!("page_{at}")),
        })))
    }

    /// What it is to be grouped by.
    pub(super) fn grouped(&self, known: &[(&str, Dimension)]) -> Result<Vec<Dimension>, Denial> {
        let mut group_by = Vec::new();
        for name in self.query.all("group_by") {
            let found = known.iter().find(|(one, _)| *one == name);
            let (_, dimension) = found.ok_or_else(|| {
                let names: Vec<&str> = known.iter().map(|(name, _)| *name).collect();
                let message = format!(
                    "this server cannot group by `{name}` here; it can by {}",
                    names.join(", ")
                );
                wire::wrong("group_by", message)
            })?;
            if !group_by.contains(dimension) {
                group_by.push(*dimension);
            }
        }
        Ok(group_by)
    }

    /// Which requests count.
    pub(super) fn filter(&self) -> Result<UsageFilter, Denial> {
        let required = || wire::wrong("starting_at", "Field required");
        let starting_at = self.query.time("starting_at")?.ok_or_else(required)?;
        let ending_at = self.query.time("ending_at")?.unwrap_or_else(now_ms);
        if ending_at <= starting_at {
            return Err(wire::wrong(
                "ending_at",
                "it must be later than starting_at",
            ));
        }
        let mut windows = self.query.all("context_window");
        windows.extend(self.query.all("context_windows"));
        let window = |text: &str| {
            let all = [ContextWindow::Short, ContextWindow::Long];
            let found = all.into_iter().find(|window| window.as_str() == text);
            found.ok_or_else(|| wire::wrong("context_window", "it must be 0-200k or 200k-1M"))
        };
        Ok(UsageFilter {
            starting_at,
            ending_at,
            models: self.query.texts("models"),
            workspaces: self
                .query
                .all("workspace_ids")
                .into_iter()
                .map(Into::into)
                .collect(),
            keys: self
                .query
                .all("api_key_ids")
                .into_iter()
                .map(Into::into)
                .collect(),
            service_tiers: self.query.texts("service_tiers"),
            inference_geos: self.query.texts("inference_geos"),
            context_windows: windows.into_iter().map(window).collect::<Result<_, _>>()?,
            speeds: self.query.texts("speeds"),
        })
    }

    /// The width of buckets.
    pub(super) fn width(&self, name: &str) -> Result<Option<Width>, Denial> {
        match self.query.one(name) {
            None => Ok(None),
            Some("1m") => Ok(Some(Width::Minute)),
            Some("1h") => Ok(Some(Width::Hour)),
            Some("1d") => Ok(Some(Width::Day)),
            Some(_) => Err(wire::wrong(name, "it must be 1m, 1h or 1d")),
        }
    }

    pub(super) fn wants_csv(&self) -> Result<bool, Denial> {
        match self.query.one("format") {
            Some("csv") => Ok(true),
            Some("json") => Ok(false),
            Some(_) => Err(wire::wrong("format", "it must be json or csv")),
            None => {
                let accepted = self.headers.get(header::ACCEPT);
                let accepted = accepted.and_then(|value| value.to_str().ok());
                Ok(accepted.is_some_and(|kinds| kinds.trim_start().starts_with("text/csv")))
            }
        }
    }

    /// The requests that a report sums up, one a line, as they are read.
    pub(super) async fn csv(&self) -> Result<Answer, Denial> {
        let filter = self.filter()?;
        let organisation = self.organisation().await?.id;
        let rows = self.app.depot().metering().csv(&organisation, filter);
        let next = async |mut rows: CsvRows| {
            let piece = rows.next().await?;
            Ok::<_, quire_depot::Error>(piece.map(|piece| (piece, rows)))
        };
        let pieces = futures_util::stream::try_unfold(rows, next);
        let mut response = Response::new(Body::from_stream(pieces));
        for (name, value) in [
            (
                header::CONTENT_TYPE,
                "text/csv; charset=utf-8; header=present",
            ),
            (
                header::CONTENT_DISPOSITION,
                "attachment; filename=\"usage.csv\"",
            ),
        ] {
            let value = HeaderValue::from_static(value);
            response.headers_mut().insert(name, value);
        }
        Ok(Answer::Whole(response))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use quire_protocol::CostSplit;

    use super::*;

    proptest! {
        #[test]
        fn the_parts_of_a_cost_are_the_whole(
            parts in proptest::array::uniform5(0_i64..1_000_000_000_000),
            unsplit in 0_i64..1_000_000,
        ) {
            let split = CostSplit::from_parts(parts.map(Money::from_picos));
            let cost = split.total() + Money::from_picos(unsplit);
            let sums = Sums { cost, split, ..Sums::default() };
            let all = by_token_type(&sums);
            prop_assert_eq!(all.iter().map(|(_, amount)| *amount).sum::<Money>(), cost);
            prop_assert!(!all.is_empty());
            // Each kind comes once, and what has none last.
            let kinds: Vec<_> = all.iter().map(|(kind, _)| *kind).collect();
            let mut sorted = kinds.clone();
            sorted.sort_by_key(|kind| {
                let place = TOKEN_TYPES.iter().position(|one| Some(*one) == *kind);
                place.unwrap_or(TOKEN_TYPES.len())
            });
            sorted.dedup();
            prop_assert_eq!(kinds, sorted);
        }
    }
}
