//! The columns of usage, and the sums of days that are kept with it.

use quire_protocol::{CostSplit, Money, Usage};

use super::{ContextWindow, UsageRow};
use crate::{Error, Row, Value};

/// Each transaction that records has a number, which it takes first: others wait for its commit.
pub(super) const NEXT_INTAKE: &str =
    "UPDATE versions SET version = version + 1 WHERE name = 'intake'";
pub(super) const INTAKE: &str = "(SELECT version FROM versions WHERE name = 'intake')";

/// The columns of a row, in the order of its values.
pub(super) const COLUMNS: &str = "request, at, organisation, workspace, api_key, model_asked, \
    model_served, upstream, api, input, cache_read, cache_write_5m, cache_write_1h, output, thinking, \
    web_searches, cost, service_tier, inference_geo, speed, batch, context_window, status, streamed, \
    latency_ms, estimated, cost_input, cost_cache_read, cost_cache_write_5m, cost_cache_write_1h, \
    cost_output";

/// The columns of a cost by the kinds of tokens.
pub(super) const SPLIT: [&str; 5] = [
    "cost_input",
    "cost_cache_read",
    "cost_cache_write_5m",
    "cost_cache_write_1h",
    "cost_output",
];

pub(super) const INSERT: &str = "INSERT INTO usage (intake, request, at, organisation, workspace, \
    api_key, model_asked, model_served, upstream, api, input, cache_read, cache_write_5m, \
    cache_write_1h, output, thinking, web_searches, cost, service_tier, inference_geo, speed, batch, \
    context_window, status, streamed, latency_ms, estimated, cost_input, cost_cache_read, \
    cost_cache_write_5m, cost_cache_write_1h, cost_output)";

/// Adds what this transaction inserted to the sums of days. Money is added in two parts, so that no
/// sum leaves the range of its column.
pub(super) const ADD_UP: &str = "INSERT INTO spending (api_key, workspace, organisation, day, requests, \
    micros, picos) \
    SELECT api_key, workspace, organisation, at / 86400000, COUNT(*), \
    CAST(SUM(cost / 1000000) AS BIGINT), CAST(SUM(cost % 1000000) AS BIGINT) \
    FROM usage WHERE intake = (SELECT version FROM versions WHERE name = 'intake') \
    GROUP BY api_key, workspace, organisation, at / 86400000 \
    ON CONFLICT (api_key, workspace, organisation, day) DO UPDATE SET \
    requests = spending.requests + excluded.requests, \
    micros = spending.micros + excluded.micros, \
    picos = spending.picos + excluded.picos";

/// No request costs more: $10,000.
const MOST_PICOS: i64 = 10_000_000_000_000_000;
/// No request has more tokens of a kind.
const MOST_TOKENS: u64 = 1_000_000_000_000;

/// From the two parts in which money is summed.
pub(super) fn money(row: &Row, column: usize) -> Result<Money, Error> {
    let micros = i128::from(row.integer(column)?);
    let picos = micros * 1_000_000 + i128::from(row.integer(column + 1)?);
    let end = if picos < 0 { i64::MIN } else { i64::MAX };
    Ok(Money::from_picos(i64::try_from(picos).unwrap_or(end)))
}

pub(super) fn of_row(row: &UsageRow) -> Vec<Value> {
    let tokens = |count: u64| Value::from(count.min(MOST_TOKENS));
    let bounded = |cost: Money| Money::from_picos(cost.picos().clamp(-MOST_PICOS, MOST_PICOS));
    let split = row.split.map(|split| split.changed(bounded).parts());
    let mut values = vec![
        Value::from(&row.request),
        row.at.max(0).into(),
        Value::from(&row.organisation),
        Value::from(&row.workspace),
        Value::from(&row.key),
        Value::from(&row.model_asked),
        Value::from(&row.model_served),
        Value::from(&row.upstream),
        Value::from(&row.api),
        tokens(row.usage.input),
        tokens(row.usage.cache_read),
        tokens(row.usage.cache_write_5m),
        tokens(row.usage.cache_write_1h),
        tokens(row.usage.output),
        tokens(row.usage.thinking),
        tokens(row.web_searches),
        bounded(row.cost).into(),
        Value::from(&row.service_tier),
        Value::from(&row.inference_geo),
        Value::from(&row.speed),
        row.batch.into(),
        row.context_window.as_str().into(),
        row.status.into(),
        row.streamed.into(),
        row.latency_ms.into(),
        row.estimated.into(),
    ];
    values.extend((0..SPLIT.len()).map(|part| split.map(|parts| parts[part]).into()));
    values
}

pub(super) fn row(row: &Row) -> Result<UsageRow, Error> {
    let window = row.text(21)?;
    let text = |column: usize| row.text(column).map(str::to_owned);
    Ok(UsageRow {
        request: row.text(0)?.into(),
        at: row.integer(1)?,
        organisation: row.text(2)?.into(),
        workspace: row.text(3)?.into(),
        key: row.text(4)?.into(),
        model_asked: text(5)?,
        model_served: text(6)?,
        upstream: text(7)?,
        api: text(8)?,
        usage: usage(row, 9)?,
        web_searches: row.count(15)?,
        cost: Money::from_picos(row.integer(16)?),
        split: split(row, 26)?,
        service_tier: text(17)?,
        inference_geo: text(18)?,
        speed: text(19)?,
        batch: row.truth(20)?,
        context_window: ContextWindow::from_text(window)
            .ok_or_else(|| Error::Damaged(format!("`{window}` is no context window")))?,
        status: u16::try_from(row.integer(22)?)
            .map_err(|_| Error::Damaged("a status is out of range".to_owned()))?,
        streamed: row.truth(23)?,
        latency_ms: row.count(24)?,
        estimated: row.truth(25)?,
    })
}

/// A cost by the kinds of tokens, from a column on; rows of earlier versions have none.
fn split(row: &Row, first: usize) -> Result<Option<CostSplit>, Error> {
    let mut parts = [Money::ZERO; SPLIT.len()];
    for (part, column) in parts.iter_mut().zip(first..) {
        match row.maybe_integer(column)? {
            Some(picos) => *part = Money::from_picos(picos),
            None => return Ok(None),
        }
    }
    Ok(Some(CostSplit::from_parts(parts)))
}

/// Six counts, from a column on.
pub(super) fn usage(row: &Row, first: usize) -> Result<Usage, Error> {
    Ok(Usage {
        input: row.count(first)?,
        cache_read: row.count(first + 1)?,
        cache_write_5m: row.count(first + 2)?,
        cache_write_1h: row.count(first + 3)?,
        output: row.count(first + 4)?,
        thinking: row.count(first + 5)?,
    })
}
