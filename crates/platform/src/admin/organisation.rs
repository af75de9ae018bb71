//! The organisation: Anthropic's few words of it, and what this server knows beyond.

use quire_depot::Organisation;
use serde::Deserialize;
use serde_json::{Value, json};

use super::wire::{self, BudgetGiven, Change, LimitsGiven};
use super::{Answer, Call};
use crate::directory::Directory;
use crate::reply::Denial;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Update {
    name: Option<String>,
    limits: Option<LimitsGiven>,
    #[serde(default)]
    budget: Change<BudgetGiven>,
}

pub(super) async fn me(call: Call) -> Result<Answer, Denial> {
    call.query.only(&[])?;
    let organisation = call.organisation().await?;
    Ok(Answer::Json(json!({
        "id": organisation.id.as_str(),
        "name": organisation.name,
        "type": "organization",
    })))
}

pub(super) async fn get(call: Call) -> Result<Answer, Denial> {
    call.query.only(&[])?;
    Ok(Answer::Json(written(&call.organisation().await?)))
}

pub(super) async fn update(call: Call) -> Result<Answer, Denial> {
    let given: Update = call.read()?;
    let mut organisation = call.organisation().await?;
    if let Some(name) = &given.name {
        organisation.name = wire::name(name)?;
    }
    if let Some(limits) = &given.limits {
        limits.put_on(&mut organisation.limits);
    }
    let budget = given.budget.read(BudgetGiven::budget)?;
    budget.put_on(&mut organisation.budget);
    call.access().update_organisation(&organisation).await?;
    call.changed().await;
    Ok(Answer::Json(written(&organisation)))
}

fn written(organisation: &Organisation) -> Value {
    json!({
        "id": organisation.id.as_str(),
        "type": "organization",
        "name": organisation.name,
        "created_at": wire::time(Some(organisation.created_at)),
        "limits": wire::limits(&organisation.limits),
        "budget": wire::budget(organisation.budget),
    })
}

impl Call {
    /// Whose API it is.
    pub(super) async fn organisation(&self) -> Result<Organisation, Denial> {
        Ok(self.directory().organisation().await?)
    }

    pub(super) fn directory(&self) -> Directory {
        Directory(self.access())
    }

    pub(super) fn access(&self) -> quire_depot::Access {
        self.app.depot().access()
    }

    /// Keys or limits were changed: this server knows at once, others within a second.
    pub(super) async fn changed(&self) {
        // What fails is tried again within a second.
        let _ = self.app.keyring().refresh().await;
    }
}
