//! The models that a key may ask for, as either vendor lists them.

use std::collections::BTreeSet;
use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, Response, Uri};
use axum::routing::get;
use quire_catalogue::{Images, ModelFacts, ThinkingKind};
use quire_dialect::Dialect;
use quire_protocol::Effort;
use quire_translate::{Reason, Refusal};
use serde_json::{Map, Value, json};

use crate::answered::{answered, json as answer_json};
use crate::app::App;
use crate::caller;
use crate::config::{Config, Upstream, pattern_covers};
use crate::keyring::Caller;
use crate::path::Path;
use crate::query::Query;
use crate::routing::no_model;

/// When a model was made, where nobody says.
const EPOCH: &str = "1970-01-01T00:00:00Z";

/// The paths of models.
pub(crate) fn routes() -> Router<Arc<App>> {
    Router::new()
        .route("/v1/models", get(list))
        .route("/v1/models/{*id}", get(retrieve))
}

async fn list(State(app): State<Arc<App>>, uri: Uri, headers: HeaderMap) -> Response<Body> {
    let api = caller::dialect(&headers);
    answered(&app, api, &headers, async |caller: Arc<Caller>, _| {
        let query = Query::read(&uri)?;
        let names = names(&app, &caller);
        Ok(answer_json(&match api {
            Dialect::Messages => page(&app, &names, &query)?,
            Dialect::Responses | Dialect::Chat => {
                let all: Vec<Value> = names.iter().map(|name| openai(&app, name)).collect();
                json!({"object": "list", "data": all})
            }
        }))
    })
    .await
}

async fn retrieve(
    State(app): State<Arc<App>>,
    Path(id): Path<String>,
    headers: HeaderMap,
) -> Response<Body> {
    let api = caller::dialect(&headers);
    answered(&app, api, &headers, async |caller: Arc<Caller>, _| {
        // A pattern covers names that no list shows.
        if !caller.may_use(&id) || app.live().config.model(&id).is_none() {
            return Err(no_model(&id).into());
        }
        Ok(answer_json(&match api {
            Dialect::Messages => anthropic(&app, &id),
            Dialect::Responses | Dialect::Chat => openai(&app, &id),
        }))
    })
    .await
}

/// The names that a key may ask for. A pattern stands for the known names that it covers.
fn names(app: &App, caller: &Caller) -> Vec<String> {
    let live = app.live();
    let known: Vec<String> = app
        .till()
        .catalogue
        .known()
        .filter_map(|name| name.split_once('/').map(|(_, bare)| bare.to_owned()))
        .collect();
    let mut names = BTreeSet::new();
    for pattern in live.config.models.keys() {
        if pattern.ends_with('*') {
            let covered = known.iter().filter(|name| pattern_covers(pattern, name));
            names.extend(covered.cloned());
        } else {
            names.insert(pattern.clone());
        }
    }
    names.retain(|name| caller.may_use(name));
    names.into_iter().collect()
}

/// A page, as Anthropic has them.
fn page(app: &App, names: &[String], query: &Query) -> Result<Value, Refusal> {
    let limit = usize::try_from(query.limit(20, 1_000)?).unwrap_or(20);
    let place = |field: &str| {
        let Some(id) = query.one(field) else {
            return Ok(None);
        };
        let at = names.iter().position(|name| name == id);
        at.map(Some).ok_or_else(|| {
            Refusal::new(
                Reason::Invalid,
                format!("{field}: there is no model `{id}` here"),
            )
            .about(field)
        })
    };
    let (after, before) = (place("after_id")?, place("before_id")?);
    let lifecycle = query.all("lifecycle");
    let is_active = lifecycle.is_empty() || lifecycle.contains(&"active");
    let rest = match before {
        Some(at) => &names[..at],
        None => &names[after.map_or(0, |at| at + 1)..],
    };
    let rest = if is_active { rest } else { &[] };
    // What comes before an id is read backwards from there.
    let shown = if before.is_some() {
        &rest[rest.len().saturating_sub(limit)..]
    } else {
        &rest[..rest.len().min(limit)]
    };
    let data: Vec<Value> = shown.iter().map(|name| anthropic(app, name)).collect();
    Ok(json!({"data": data, "has_more": shown.len() < rest.len(),
        "first_id": shown.first(), "last_id": shown.last()}))
}

fn openai(app: &App, name: &str) -> Value {
    let live = app.live();
    let owner = first_place(&live.config, name).map_or("quire", |(upstream, _)| upstream);
    json!({"id": name, "object": "model", "created": 0, "owned_by": owner})
}

/// Where a model is served first: the upstream's name, and the model's there.
fn first_place<'a>(config: &'a Config, name: &'a str) -> Option<(&'a str, &'a str)> {
    let routes = &config.model(name)?.routes;
    let route = routes.iter().min_by_key(|route| route.rank)?;
    Some((&route.upstream, route.model.as_deref().unwrap_or(name)))
}

fn anthropic(app: &App, name: &str) -> Value {
    let live = app.live();
    let config = &live.config;
    let place = first_place(config, name);
    let upstream = place.and_then(|(upstream, _)| config.upstreams.get(upstream));
    let provider = upstream.map_or("anthropic", Upstream::priced_as);
    let facts = app
        .till()
        .catalogue
        .facts(provider, place.map_or(name, |(_, model)| model));
    let model = config.model(name);
    let shown = model.and_then(|model| model.display_name.as_deref());
    let compacts = model.is_some_and(|model| {
        model
            .routes
            .iter()
            .any(|route| route.add.compaction.is_some())
    });
    let own = upstream.is_some_and(|upstream| upstream.dialect == Dialect::Messages);
    json!({"type": "model", "id": name, "display_name": shown.unwrap_or(name), "created_at": EPOCH,
        "max_input_tokens": facts.window, "max_tokens": facts.max_output, "lifecycle": "active",
        "deprecated_at": null, "retires_at": null, "line": null,
        "capabilities": capabilities(&facts, own, compacts)})
}

/// What a model can do, here. `own`: it is served by an upstream of the same API, which has tools of its own.
fn capabilities(facts: &ModelFacts, own: bool, compacts: bool) -> Value {
    let can = |supported: bool| json!({ "supported": supported });
    let mut effort = Map::new();
    effort.insert("supported".to_owned(), (!facts.efforts.is_empty()).into());
    for level in [
        Effort::Low,
        Effort::Medium,
        Effort::High,
        Effort::Xhigh,
        Effort::Max,
    ] {
        effort.insert(level.name().to_owned(), can(facts.efforts.contains(&level)));
    }
    let thinks = facts.thinking != ThinkingKind::Unset;
    let adaptive = facts.thinking == ThinkingKind::Adaptive;
    let images = facts.images == Images::Taken;
    json!({
        "batch": can(true),
        "citations": can(own),
        "code_execution": can(own),
        "image_input": can(images),
        "pdf_input": can(images && own),
        "structured_outputs": can(true),
        "effort": effort,
        "thinking": {"supported": thinks, "types": {"adaptive": can(adaptive),
            "enabled": can(facts.thinking == ThinkingKind::Budget), "disabled": can(thinks),
            "between_tools": can(false)}},
        "context_management": {"supported": own || compacts,
            "clear_tool_uses_20250919": can(own), "clear_thinking_20251015": can(own),
            "compact_20260112": can(own || compacts)},
        "server_tools": {"web_search": can(own), "code_execution": can(own)},
    })
}
