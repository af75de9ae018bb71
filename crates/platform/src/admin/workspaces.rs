//! Workspaces.

use quire_depot::{Workspace, WorkspaceId};
use serde::Deserialize;
use serde_json::{Value, json};

use super::wire::{self, BudgetGiven, Change, LimitsGiven};
use super::{Answer, Call, paging};
use crate::clock::now_ms;
use crate::reply::Denial;

/// A workspace as a request gives it.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Given {
    name: Option<String>,
    limits: Option<LimitsGiven>,
    #[serde(default)]
    budget: Change<BudgetGiven>,
    #[serde(default)]
    file_quota_bytes: Change<u64>,
}

impl Given {
    fn put_on(&self, workspace: &mut Workspace) -> Result<(), Denial> {
        if let Some(name) = &self.name {
            workspace.name = wire::name(name)?;
        }
        if let Some(limits) = &self.limits {
            limits.put_on(&mut workspace.limits);
        }
        self.budget
            .read(BudgetGiven::budget)?
            .put_on(&mut workspace.budget);
        self.file_quota_bytes.put_on(&mut workspace.file_quota);
        Ok(())
    }
}

pub(super) async fn list(call: Call) -> Result<Answer, Denial> {
    let [after, before, limit] = paging::PARAMETERS;
    call.query
        .only(&[after, before, limit, "include_archived", "ids"])?;
    let archived = call.query.flag("include_archived")?;
    let ids = call.query.texts("ids");
    let organisation = call.organisation().await?.id;
    let keep = |workspace: &Workspace| {
        let is_asked = ids.is_empty() || ids.iter().any(|id| id == workspace.id.as_str());
        is_asked && (archived || workspace.archived_at.is_none())
    };
    let page = paging::full(&call.query, id, keep, |page| {
        let (access, organisation) = (call.access(), organisation.clone());
        async move { access.workspaces(&organisation, &page).await }
    });
    Ok(Answer::Json(page.await?.written(id, written)))
}

pub(super) async fn create(call: Call) -> Result<Answer, Denial> {
    let given: Given = call.read()?;
    let name = given.name.as_deref();
    let name = wire::name(name.ok_or_else(|| wire::wrong("name", "Field required"))?)?;
    let mut fresh = call.directory().new_workspace(&name).await?;
    given.put_on(&mut fresh)?;
    call.access().add_workspace(&fresh).await?;
    call.changed().await;
    Ok(Answer::Json(written(&fresh)))
}

pub(super) async fn get(call: Call) -> Result<Answer, Denial> {
    call.query.only(&[])?;
    Ok(Answer::Json(written(&call.workspace().await?)))
}

pub(super) async fn update(call: Call) -> Result<Answer, Denial> {
    let given: Given = call.read()?;
    let mut workspace = call.workspace().await?;
    given.put_on(&mut workspace)?;
    call.access().update_workspace(&workspace).await?;
    call.changed().await;
    Ok(Answer::Json(written(&workspace)))
}

pub(super) async fn archive(call: Call) -> Result<Answer, Denial> {
    let mut workspace = call.workspace().await?;
    workspace.archived_at.get_or_insert_with(now_ms);
    call.access().update_workspace(&workspace).await?;
    call.changed().await;
    Ok(Answer::Json(written(&workspace)))
}

fn id(workspace: &Workspace) -> &str {
    workspace.id.as_str()
}

/// Anthropic's shape; what this server knows beyond it stands last.
fn written(workspace: &Workspace) -> Value {
    json!({
        "id": workspace.id.as_str(),
        "type": "workspace",
        "name": workspace.name,
        "created_at": wire::time(Some(workspace.created_at)),
        "archived_at": wire::time(workspace.archived_at),
        "display_color": "#6C5BB9",
        "compartment_id": workspace.id.as_str(),
        "data_residency": {
            "workspace_geo": null,
            "allowed_inference_geos": "unrestricted",
            "default_inference_geo": "global",
        },
        "external_key_id": null,
        "user_profile_id": null,
        "tags": {},
        "limits": wire::limits(&workspace.limits),
        "budget": wire::budget(workspace.budget),
        "file_quota_bytes": workspace.file_quota,
    })
}

impl Call {
    /// The workspace that the path names.
    pub(super) async fn workspace(&self) -> Result<Workspace, Denial> {
        self.workspace_named(self.part("workspace_id")).await
    }

    pub(super) async fn workspace_named(&self, id: &str) -> Result<Workspace, Denial> {
        let organisation = self.organisation().await?.id;
        let found = self
            .access()
            .workspace(&organisation, &WorkspaceId::from(id))
            .await?;
        found.ok_or_else(|| wire::missing("workspace", id))
    }
}
