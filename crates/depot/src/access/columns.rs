//! The columns of organisations, workspaces and keys, and what they mean.

use quire_protocol::Money;

use super::{ApiKey, Budget, KeyHash, Limits, Organisation, Period, Workspace};
use crate::page::Listing;
use crate::{Error, Row, Value};

/// A table of things that servers keep in memory and learn the changes of.
pub(super) struct Table {
    pub(super) kind: &'static str,
    pub(super) name: &'static str,
    /// All columns but the version, in the order of the values.
    pub(super) columns: &'static str,
    /// Whose it is, which never changes.
    pub(super) owner: Option<&'static str>,
    /// What never changes either.
    pub(super) fixed: &'static [&'static str],
}

impl Table {
    pub(super) fn listing(
        &self,
        scope: Option<(&'static str, Value)>,
        equal: Vec<(&'static str, Value)>,
    ) -> Listing {
        Listing {
            kind: self.kind,
            table: self.name,
            columns: self.columns,
            sorted_by: "created_at",
            scope,
            equal,
            except: None,
        }
    }
}

pub(super) const ORGANISATIONS: Table = Table {
    kind: "organisation",
    name: "organisations",
    columns: "id, name, created_at, requests_per_minute, input_tokens_per_minute, \
              output_tokens_per_minute, budget, budget_period",
    owner: None,
    fixed: &["created_at"],
};

pub(super) const WORKSPACES: Table = Table {
    kind: "workspace",
    name: "workspaces",
    columns: "id, organisation, name, created_at, archived_at, file_quota, requests_per_minute, \
              input_tokens_per_minute, output_tokens_per_minute, budget, budget_period",
    owner: Some("organisation"),
    fixed: &["created_at"],
};

pub(super) const API_KEYS: Table = Table {
    kind: "key",
    name: "api_keys",
    columns: "id, organisation, workspace, name, hash, hint, created_at, expires_at, revoked_at, \
              models, regions, requests_per_minute, input_tokens_per_minute, \
              output_tokens_per_minute, budget, budget_period",
    owner: Some("organisation"),
    fixed: &["workspace", "hash", "hint", "created_at"],
};

pub(super) fn of_organisation(organisation: &Organisation) -> Vec<Value> {
    let mut values = vec![
        Value::from(&organisation.id),
        Value::from(&organisation.name),
        organisation.created_at.into(),
    ];
    values.extend(of_bounds(&organisation.limits, organisation.budget));
    values
}

pub(super) fn organisation(row: &Row) -> Result<Organisation, Error> {
    let (limits, budget) = bounds(row, 3)?;
    Ok(Organisation {
        id: row.text(0)?.into(),
        name: row.text(1)?.to_owned(),
        created_at: row.integer(2)?,
        limits,
        budget,
    })
}

pub(super) fn of_workspace(workspace: &Workspace) -> Vec<Value> {
    let mut values = vec![
        Value::from(&workspace.id),
        Value::from(&workspace.organisation),
        Value::from(&workspace.name),
        workspace.created_at.into(),
        workspace.archived_at.into(),
        workspace.file_quota.into(),
    ];
    values.extend(of_bounds(&workspace.limits, workspace.budget));
    values
}

pub(super) fn workspace(row: &Row) -> Result<Workspace, Error> {
    let (limits, budget) = bounds(row, 6)?;
    Ok(Workspace {
        id: row.text(0)?.into(),
        organisation: row.text(1)?.into(),
        name: row.text(2)?.to_owned(),
        created_at: row.integer(3)?,
        archived_at: row.maybe_integer(4)?,
        file_quota: row.maybe_count(5)?,
        limits,
        budget,
    })
}

pub(super) fn of_api_key(key: &ApiKey) -> Vec<Value> {
    let mut values = vec![
        Value::from(&key.id),
        Value::from(&key.organisation),
        Value::from(&key.workspace),
        Value::from(&key.name),
        key.hash.0.as_slice().into(),
        Value::from(&key.hint),
        key.created_at.into(),
        key.expires_at.into(),
        key.revoked_at.into(),
        of_list(&key.models),
        of_list(&key.regions),
    ];
    values.extend(of_bounds(&key.limits, key.budget));
    values
}

pub(super) fn api_key(row: &Row) -> Result<ApiKey, Error> {
    let (limits, budget) = bounds(row, 11)?;
    let hash = row.bytes(4)?.try_into();
    let hash = hash.map_err(|_| Error::Damaged("the hash of a key is not 32 bytes".to_owned()))?;
    Ok(ApiKey {
        id: row.text(0)?.into(),
        organisation: row.text(1)?.into(),
        workspace: row.text(2)?.into(),
        name: row.text(3)?.to_owned(),
        hash: KeyHash(hash),
        hint: row.text(5)?.to_owned(),
        created_at: row.integer(6)?,
        expires_at: row.maybe_integer(7)?,
        revoked_at: row.maybe_integer(8)?,
        models: list(row.text(9)?)?,
        regions: list(row.text(10)?)?,
        limits,
        budget,
    })
}

fn of_bounds(limits: &Limits, budget: Option<Budget>) -> [Value; 5] {
    let period = budget.map(|budget| match budget.period {
        Period::Day => "day",
        Period::Month => "month",
        Period::Total => "total",
    });
    [
        limits.requests_per_minute.into(),
        limits.input_tokens_per_minute.into(),
        limits.output_tokens_per_minute.into(),
        budget.map(|budget| budget.amount).into(),
        period.into(),
    ]
}

fn bounds(row: &Row, first: usize) -> Result<(Limits, Option<Budget>), Error> {
    let limits = Limits {
        requests_per_minute: row.maybe_count(first)?,
        input_tokens_per_minute: row.maybe_count(first + 1)?,
        output_tokens_per_minute: row.maybe_count(first + 2)?,
    };
    let Some(picos) = row.maybe_integer(first + 3)? else {
        return Ok((limits, None));
    };
    let period = match row.text(first + 4)? {
        "day" => Period::Day,
        "month" => Period::Month,
        "total" => Period::Total,
        other => {
            return Err(Error::Damaged(format!(
                "`{other}` is no period of a budget"
            )));
        }
    };
    let amount = Money::from_picos(picos);
    Ok((limits, Some(Budget { amount, period })))
}

/// A list of texts is kept as JSON.
fn of_list(texts: &[String]) -> Value {
    serde_json::Value::from(texts).to_string().into()
}

fn list(json: &str) -> Result<Vec<String>, Error> {
    let wrong = |error: serde_json::Error| Error::Damaged(format!("a list of texts: {error}"));
    serde_json::from_str(json).map_err(wrong)
}
