//! Rate limits in Anthropic's shapes. Here they hold for all models together, so there is one group of them.

use quire_depot::{Limits, Workspace};
use serde::Deserialize;
use serde_json::{Value, json};

use super::wire;
use super::{Answer, Call};
use crate::reply::Denial;

/// The one group: every model.
const GROUP: &str = "rlg_all_models";

/// The place of a kind of limits.
type Place = fn(&mut Limits) -> &mut Option<u64>;

/// The kinds of limits that this server has, each with its place.
const KINDS: [(&str, Place); 3] = [
    ("requests_per_minute", |limits| {
        &mut limits.requests_per_minute
    }),
    ("input_tokens_per_minute", |limits| {
        &mut limits.input_tokens_per_minute
    }),
    ("output_tokens_per_minute", |limits| {
        &mut limits.output_tokens_per_minute
    }),
];

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Update {
    limits: Vec<Given>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Given {
    r#type: String,
    value: Option<u64>,
}

pub(super) async fn of_organisation(call: Call) -> Result<Answer, Denial> {
    call.query.only(&["group_type", "limit", "page"])?;
    let mut organisation = call.organisation().await?;
    let limits: Vec<Value> = KINDS
        .into_iter()
        .filter_map(|(kind, of)| {
            let value = (*of(&mut organisation.limits))?;
            Some(json!({"type": kind, "value": value}))
        })
        .collect();
    let entry = json!({
        "type": "rate_limit",
        "id": GROUP,
        "group": group(),
        "limits": limits,
        "models": models(&call),
    });
    Ok(page(&call, entry))
}

pub(super) async fn of_workspace(call: Call) -> Result<Answer, Denial> {
    call.query
        .only(&["group_type", "include_inherited", "limit", "page"])?;
    let inherited = call.query.flag("include_inherited")?;
    let entry = written(&call, call.workspace().await?, inherited).await?;
    let is_empty = entry["limits"].as_array().is_some_and(Vec::is_empty);
    if is_empty && !inherited {
        return Ok(Answer::Json(json!({"data": [], "next_page": null})));
    }
    Ok(page(&call, entry))
}

pub(super) async fn update(call: Call) -> Result<Answer, Denial> {
    let group = call.part("rate_limit_id");
    if group != GROUP {
        return Err(wire::missing("rate limit", group));
    }
    let given: Update = call.read()?;
    let mut workspace = call.workspace().await?;
    for given in &given.limits {
        let found = KINDS.iter().find(|(kind, _)| *kind == given.r#type);
        let (_, of) = found.ok_or_else(|| {
            let known = KINDS.map(|(kind, _)| kind).join(", ");
            let message = format!(
                "this server has no limit `{}`; it has {known}",
                given.r#type
            );
            wire::wrong("limits", message)
        })?;
        *of(&mut workspace.limits) = given.value;
    }
    call.access().update_workspace(&workspace).await?;
    call.changed().await;
    Ok(Answer::Json(written(&call, workspace, false).await?))
}

async fn written(call: &Call, mut workspace: Workspace, inherited: bool) -> Result<Value, Denial> {
    let mut organisation = call.organisation().await?;
    let limits: Vec<Value> = KINDS
        .into_iter()
        .filter_map(|(kind, of)| {
            let (own, above) = (*of(&mut workspace.limits), *of(&mut organisation.limits));
            let (value, source) = match own {
                Some(own) => (own, "workspace"),
                None => (above.filter(|_| inherited)?, "organization"),
            };
            Some(json!({
                "type": kind,
                "value": value,
                "org_limit": above,
                "source": {"type": source},
            }))
        })
        .collect();
    Ok(json!({
        "type": "workspace_rate_limit",
        "rate_limit_id": GROUP,
        "workspace_id": workspace.id.as_str(),
        "group": group(),
        "limits": limits,
        "models": models(call),
    }))
}

fn group() -> Value {
    json!({"type": "model_group", "id": GROUP, "display_name": "All models"})
}

/// Models by the names under which they are configured.
fn models(call: &Call) -> Vec<String> {
    call.app.live().config.models.keys().cloned().collect()
}

/// The only page, unless another kind of group is asked for.
fn page(call: &Call, entry: Value) -> Answer {
    let is_asked = call
        .query
        .one("group_type")
        .is_none_or(|kind| kind == "model_group");
    let data = if is_asked { vec![entry] } else { Vec::new() };
    Answer::Json(json!({"data": data, "next_page": null}))
}
