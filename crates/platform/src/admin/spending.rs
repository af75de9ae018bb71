//! Spend limits in Anthropic's shapes: the budgets of the organisation and its workspaces.

use quire_depot::{Budget, Organisation, Page, Period, Workspace};
use quire_protocol::Money;
use serde::Deserialize;
use serde_json::{Value, json};

use super::wire::{self, CENT};
use super::{Answer, Call};
use crate::reply::Denial;

/// How ids of spend limits begin; whose it is follows.
const PREFIX: &str = "spl_";

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Set {
    amount: Option<String>,
    scope: Scope,
    #[serde(default = "monthly")]
    period: String,
}

#[derive(Deserialize)]
#[serde(tag = "type", rename_all = "snake_case", deny_unknown_fields)]
enum Scope {
    Organization,
    Workspace { workspace_id: String },
}

/// Whose a budget is.
enum Owner {
    Organisation(Organisation),
    Workspace(Workspace),
}

pub(super) async fn list(call: Call) -> Result<Answer, Denial> {
    call.query
        .only(&["limit", "page", "scope_type", "workspace_id"])?;
    let limit = call.query.limit(20, 1_000)? as usize;
    let scopes = call.query.all("scope_type");
    let is_asked = |scope: &str| scopes.is_empty() || scopes.contains(&scope);
    let mut owners = Vec::new();
    if let Some(id) = call.query.one("workspace_id") {
        owners.push(Owner::Workspace(call.workspace_named(id).await?));
    } else {
        owners.push(Owner::Organisation(call.organisation().await?));
        owners.extend(workspaces(&call).await?.into_iter().map(Owner::Workspace));
    }
    let all: Vec<(String, Value)> = owners
        .iter()
        .filter(|owner| is_asked(owner.kind()))
        .filter_map(|owner| Some((owner.id().to_owned(), owner.written(owner.budget()?))))
        .collect();
    let begins = match call.query.one("page") {
        None => 0,
        Some(page) => {
            let found = all.iter().position(|(id, _)| id == page);
            found.ok_or_else(|| wire::wrong("page", "it is no page of this list"))?
        }
    };
    let next = all.get(begins + limit).map(|(id, _)| id.clone());
    let page = all.into_iter().skip(begins).take(limit);
    let data: Vec<Value> = page.map(|(_, limit)| limit).collect();
    Ok(Answer::Json(json!({"data": data, "next_page": next})))
}

pub(super) async fn set(call: Call) -> Result<Answer, Denial> {
    let given: Set = call.read()?;
    let mut owner = match &given.scope {
        Scope::Organization => Owner::Organisation(call.organisation().await?),
        Scope::Workspace { workspace_id } => {
            Owner::Workspace(call.workspace_named(workspace_id).await?)
        }
    };
    let period = match given.period.as_str() {
        "daily" => Period::Day,
        "monthly" => Period::Month,
        "total" => Period::Total,
        _ => return Err(wire::wrong("period", "it must be daily, monthly or total")),
    };
    let budget = given.amount.as_deref().map(amount).transpose()?;
    owner.put(budget.map(|amount| Budget { amount, period }));
    call.keep(&owner).await?;
    let written = owner.written(owner.budget().unwrap_or(Budget {
        amount: Money::ZERO,
        period,
    }));
    Ok(Answer::Json(match budget {
        Some(_) => written,
        None => no_cap(written),
    }))
}

pub(super) async fn get(call: Call) -> Result<Answer, Denial> {
    call.query.only(&[])?;
    let (owner, budget) = call.owner().await?;
    Ok(Answer::Json(owner.written(budget)))
}

pub(super) async fn delete(call: Call) -> Result<Answer, Denial> {
    let (mut owner, _) = call.owner().await?;
    owner.put(None);
    call.keep(&owner).await?;
    let id = format!("{PREFIX}{}", owner.id());
    Ok(Answer::Json(
        json!({"id": id, "type": "spend_limit_deleted"}),
    ))
}

/// A limit that was taken away.
fn no_cap(mut written: Value) -> Value {
    written["amount"] = Value::Null;
    written
}

/// Whole cents.
fn amount(text: &str) -> Result<Money, Denial> {
    let is_whole = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let cents: Option<i64> = text.parse().ok().filter(|_| is_whole);
    let picos = cents.and_then(|cents| cents.checked_mul(CENT));
    picos.map(Money::from_picos).ok_or_else(|| {
        let message = "it must be a whole number of cents, as a text: \"50000\" is $500";
        wire::wrong("amount", message)
    })
}

fn monthly() -> String {
    "monthly".to_owned()
}

/// Every workspace that is not archived.
async fn workspaces(call: &Call) -> Result<Vec<Workspace>, Denial> {
    let organisation = call.organisation().await?.id;
    let (mut all, mut page) = (Vec::new(), Page::first(1_000));
    loop {
        let listed = call.access().workspaces(&organisation, &page).await?;
        page.after = listed.items.last().map(|last| last.id.to_string());
        let is_open = |workspace: &Workspace| workspace.archived_at.is_none();
        all.extend(listed.items.into_iter().filter(is_open));
        if !listed.more || page.after.is_none() {
            return Ok(all);
        }
    }
}

impl Owner {
    fn id(&self) -> &str {
        match self {
            Self::Organisation(organisation) => organisation.id.as_str(),
            Self::Workspace(workspace) => workspace.id.as_str(),
        }
    }

    fn kind(&self) -> &'static str {
        match self {
            Self::Organisation(_) => "organization",
            Self::Workspace(_) => "workspace",
        }
    }

    fn budget(&self) -> Option<Budget> {
        match self {
            Self::Organisation(organisation) => organisation.budget,
            Self::Workspace(workspace) => workspace.budget,
        }
    }

    fn put(&mut self, budget: Option<Budget>) {
        match self {
            Self::Organisation(organisation) => organisation.budget = budget,
            Self::Workspace(workspace) => workspace.budget = budget,
        }
    }

    fn written(&self, budget: Budget) -> Value {
        let (scope, created_at) = match self {
            Self::Organisation(organisation) => {
                (json!({"type": "organization"}), organisation.created_at)
            }
            Self::Workspace(workspace) => {
                let id = workspace.id.as_str();
                (
                    json!({"type": "workspace", "workspace_id": id}),
                    workspace.created_at,
                )
            }
        };
        let period = match budget.period {
            Period::Day => "daily",
            Period::Month => "monthly",
            Period::Total => "total",
        };
        // When it was set is not kept.
        let at = wire::time(Some(created_at));
        json!({
            "type": "spend_limit",
            "id": format!("{PREFIX}{}", self.id()),
            "amount": wire::cents(budget.amount),
            "currency": "USD",
            "period": period,
            "is_enabled": true,
            "scope": scope,
            "created_at": at,
            "updated_at": at,
        })
    }
}

impl Call {
    /// Whose limit the path names.
    async fn owner(&self) -> Result<(Owner, Budget), Denial> {
        let id = self.part("spend_limit_id");
        let missing = || wire::missing("spend limit", id);
        let named = id.strip_prefix(PREFIX).ok_or_else(missing)?;
        let organisation = self.organisation().await?;
        let owner = if organisation.id.as_str() == named {
            Owner::Organisation(organisation)
        } else {
            let found = self
                .access()
                .workspace(&organisation.id, &named.into())
                .await?;
            Owner::Workspace(found.ok_or_else(missing)?)
        };
        let budget = owner.budget().ok_or_else(missing)?;
        Ok((owner, budget))
    }

    async fn keep(&self, owner: &Owner) -> Result<(), Denial> {
        match owner {
            Owner::Organisation(organisation) => {
                self.access().update_organisation(organisation).await?;
            }
            Owner::Workspace(workspace) => self.access().update_workspace(workspace).await?,
        }
        self.changed().await;
        Ok(())
    }
}
