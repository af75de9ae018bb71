//! API keys. Anthropic's API cannot make them; this one can, and shows a secret once.

use quire_depot::{ApiKey, KeyFilter, KeyId};
use serde::Deserialize;
use serde_json::{Value, json};

use super::wire::{self, BudgetGiven, Change, LimitsGiven};
use super::{Answer, Call, paging};
use crate::clock::now_ms;
use crate::directory::NewKey;
use crate::keyring::KEY_PREFIX;
use crate::reply::Denial;

/// A key as a request gives it.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Given {
    name: Option<String>,
    /// When it is made, and never again.
    workspace_id: Option<String>,
    status: Option<String>,
    #[serde(default)]
    expires_at: Change<String>,
    models: Option<Vec<String>>,
    regions: Option<Vec<String>>,
    limits: Option<LimitsGiven>,
    #[serde(default)]
    budget: Change<BudgetGiven>,
}

/// What a key is fit for.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Status {
    Active,
    Inactive,
    Expired,
}

impl Status {
    const ALL: [Self; 3] = [Self::Active, Self::Inactive, Self::Expired];

    fn of(key: &ApiKey, now: i64) -> Self {
        match (key.revoked_at, key.expires_at) {
            (Some(_), _) => Self::Inactive,
            (None, Some(at)) if at <= now => Self::Expired,
            (None, Some(_) | None) => Self::Active,
        }
    }

    const fn name(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Inactive => "inactive",
            Self::Expired => "expired",
        }
    }
}

pub(super) async fn list(call: Call) -> Result<Answer, Denial> {
    let [after, before, limit] = paging::PARAMETERS;
    call.query
        .only(&[after, before, limit, "status", "workspace_id"])?;
    let status = call.query.one("status");
    if status.is_some_and(|status| {
        status != "archived" && !Status::ALL.iter().any(|one| one.name() == status)
    }) {
        let message = "it must be active, inactive, archived or expired";
        return Err(wire::wrong("status", message));
    }
    let filter = KeyFilter {
        workspace: call.query.one("workspace_id").map(Into::into),
    };
    let organisation = call.organisation().await?.id;
    let now = now_ms();
    let keep = |key: &ApiKey| status.is_none_or(|status| status == Status::of(key, now).name());
    let page = paging::full(&call.query, id, keep, |page| {
        let (access, organisation, filter) = (call.access(), organisation.clone(), filter.clone());
        async move { access.keys(&organisation, &filter, &page).await }
    });
    Ok(Answer::Json(page.await?.written(id, written)))
}

pub(super) async fn create(call: Call) -> Result<Answer, Denial> {
    let given: Given = call.read()?;
    if given.status.is_some() {
        return Err(wire::wrong("status", "a new key is active: leave it out"));
    }
    let required = |field| wire::wrong(field, "Field required");
    let id = given.workspace_id.as_deref();
    let workspace = call
        .workspace_named(id.ok_or_else(|| required("workspace_id"))?)
        .await?;
    if workspace.archived_at.is_some() {
        let message = "the workspace is archived: its keys open nothing";
        return Err(wire::wrong("workspace_id", message));
    }
    let mut new = NewKey {
        name: wire::name(given.name.as_deref().ok_or_else(|| required("name"))?)?,
        models: given.models.clone().unwrap_or_default(),
        regions: given.regions.clone().unwrap_or_default(),
        ..NewKey::default()
    };
    given.expiry()?.put_on(&mut new.expires_at);
    if let Some(given) = &given.limits {
        given.put_on(&mut new.limits);
    }
    let budget = given.budget.read(BudgetGiven::budget)?;
    budget.put_on(&mut new.budget);
    let (key, secret) = call.directory().add_key(&workspace, new).await?;
    call.changed().await;
    let mut written = written(&key);
    written["key"] = secret.reveal().into();
    Ok(Answer::Json(written))
}

pub(super) async fn get(call: Call) -> Result<Answer, Denial> {
    call.query.only(&[])?;
    Ok(Answer::Json(written(&call.key().await?)))
}

pub(super) async fn update(call: Call) -> Result<Answer, Denial> {
    let given: Given = call.read()?;
    let mut key = call.key().await?;
    given.put_on(&mut key)?;
    call.access().update_key(&key).await?;
    call.changed().await;
    Ok(Answer::Json(written(&key)))
}

impl Given {
    fn put_on(&self, key: &mut ApiKey) -> Result<(), Denial> {
        if self.workspace_id.is_some() {
            let message = "a key stays in its workspace: make another one";
            return Err(wire::wrong("workspace_id", message));
        }
        if let Some(name) = &self.name {
            key.name = wire::name(name)?;
        }
        match self.status.as_deref() {
            None => {}
            Some("active") => key.revoked_at = None,
            Some("inactive") => {
                key.revoked_at.get_or_insert_with(now_ms);
            }
            Some(_) => {
                let message = "it must be active or inactive; an inactive key opens nothing";
                return Err(wire::wrong("status", message));
            }
        }
        self.expiry()?.put_on(&mut key.expires_at);
        if let Some(models) = &self.models {
            key.models.clone_from(models);
        }
        if let Some(regions) = &self.regions {
            key.regions.clone_from(regions);
        }
        if let Some(limits) = &self.limits {
            limits.put_on(&mut key.limits);
        }
        self.budget
            .read(BudgetGiven::budget)?
            .put_on(&mut key.budget);
        Ok(())
    }

    fn expiry(&self) -> Result<Change<i64>, Denial> {
        self.expires_at.read(|text| {
            crate::time::read(text).ok_or_else(|| {
                let message = format!("`{text}` is no time: write it like 2026-11-25T00:00:00Z");
                wire::wrong("expires_at", message)
            })
        })
    }
}

fn id(key: &ApiKey) -> &str {
    key.id.as_str()
}

/// Anthropic's shape; what this server knows beyond it stands last.
fn written(key: &ApiKey) -> Value {
    json!({
        "id": key.id.as_str(),
        "type": "api_key",
        "name": key.name,
        "status": Status::of(key, now_ms()).name(),
        "partial_key_hint": format!("{KEY_PREFIX}...{}", key.hint),
        "created_at": wire::time(Some(key.created_at)),
        "created_by": null,
        "expires_at": wire::time(key.expires_at),
        "principal": null,
        "scope": {"type": "workspace", "workspace_id": key.workspace.as_str()},
        "workspace_id": key.workspace.as_str(),
        "revoked_at": wire::time(key.revoked_at),
        "models": key.models,
        "regions": key.regions,
        "limits": wire::limits(&key.limits),
        "budget": wire::budget(key.budget),
    })
}

impl Call {
    async fn key(&self) -> Result<ApiKey, Denial> {
        let organisation = self.organisation().await?.id;
        let id = self.part("api_key_id");
        let found = self.access().key(&organisation, &KeyId::from(id)).await?;
        found.ok_or_else(|| wire::missing("key", id))
    }
}
