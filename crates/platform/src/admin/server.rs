//! The server itself: its upstreams and their health, its models, its config, and the description of this API.

use axum::body::Body;
use axum::http::{HeaderValue, Response, header};
use quire_translate::{Reason, Refusal};
use serde_json::{Value, json};

use super::{Answer, Call, wire};
use crate::clock::now_ms;
use crate::config::{Additions, Compaction, EffortBy, Route, ToolsBy};
use crate::reply::Denial;
use crate::routing::{Node, State};

/// This API, described for programs.
pub(super) const OPENAPI: &str = include_str!("../../../../schema/platform-admin.openapi.json");

pub(super) async fn upstreams(call: Call) -> Result<Answer, Denial> {
    call.query.only(&[])?;
    let (live, now) = (call.app.live(), now_ms());
    let data: Vec<Value> = live.nodes().map(|node| upstream(node, now)).collect();
    Ok(Answer::Json(json!({"data": data})))
}

/// An upstream without its secrets: of its headers the names alone, of its address no password.
fn upstream(node: &Node, now: i64) -> Value {
    let config = &node.config;
    let (state, at_work) = node.state(now);
    let names: Vec<&String> = config.headers.keys().collect();
    json!({
        "type": "upstream",
        "name": node.name,
        "dialect": config.dialect.name(),
        "base_url": without_password(&config.base_url),
        "key_env": config.key_env,
        "headers": names,
        "prices_of": config.priced_as(),
        "regions": config.regions,
        "placeable": config.placeable,
        "concurrency": config.concurrency,
        "state": match state {
            State::Healthy => "healthy",
            State::Resting => "resting",
        },
        "requests_at_work": at_work,
    })
}

fn without_password(url: &str) -> String {
    let Some((scheme, rest)) = url.split_once("://") else {
        return url.to_owned();
    };
    let (host, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
    let host = host.rsplit_once('@').map_or(host, |(_, host)| host);
    format!("{scheme}://{host}{path}")
}

pub(super) async fn models(call: Call) -> Result<Answer, Denial> {
    call.query.only(&[])?;
    let live = call.app.live();
    let models = live.config.models.iter();
    let data: Vec<Value> = models
        .map(|(name, model)| {
            json!({
                "type": "model",
                "name": name,
                "display_name": model.display_name,
                "routes": model.routes.iter().map(route).collect::<Vec<_>>(),
            })
        })
        .collect();
    Ok(Answer::Json(json!({"data": data})))
}

fn route(route: &Route) -> Value {
    json!({
        "upstream": route.upstream,
        "model": route.model,
        "weight": route.weight,
        "rank": route.rank,
        "add": additions(&route.add),
    })
}

fn additions(add: &Additions) -> Value {
    let effort = add.effort.map(|by| match by {
        EffortBy::Name => "name",
        EffortBy::Budget => "budget",
        EffortBy::Words => "words",
    });
    let tools = add.tools.map(|by| match by {
        ToolsBy::Name => "name",
        ToolsBy::Words => "words",
    });
    let compaction = add.compaction.as_ref().map(|compaction| {
        let Compaction {
            model,
            threshold,
            keep,
        } = compaction;
        json!({"model": model, "threshold": threshold, "keep": keep})
    });
    json!({
        "effort": effort,
        "adaptive_thinking": add.adaptive_thinking,
        "tools": tools,
        "schema_tries": add.schema_tries,
        "continue_output": add.continue_output,
        "compaction": compaction,
    })
}

pub(super) async fn reload(call: Call) -> Result<Answer, Denial> {
    let reread = call.app.reread().ok_or_else(|| {
        let message =
            "This server was not started from a file: start it anew to change its config.";
        Denial::from(Refusal::new(Reason::Conflict, message))
    })?;
    match reread {
        Ok(checked) if checked.usable => {
            let findings: Vec<&str> = checked.text.lines().collect();
            Ok(Answer::Json(
                json!({"reloaded": true, "findings": findings}),
            ))
        }
        Ok(checked) => Err(wire::invalid(checked.text.trim_end())),
        Err(error) => Err(wire::invalid(format!("nothing was changed: {error}"))),
    }
}

pub(super) async fn openapi(call: Call) -> Result<Answer, Denial> {
    call.query.only(&[])?;
    let mut response = Response::new(Body::from(OPENAPI));
    let kind = HeaderValue::from_static("application/json");
    response.headers_mut().insert(header::CONTENT_TYPE, kind);
    Ok(Answer::Whole(response))
}
