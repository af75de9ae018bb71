//! Limits and budgets.

use axum::http::Method;
use serde_json::{Value, json};

use super::{QUIET, WORKSPACE, ask, get, post, query, refused, workspace};
use crate::testing::World;

const LIMITS: &str = "/v1/organizations/workspaces/{workspace_id}/rate_limits";
const LIMIT: &str = "/v1/organizations/workspaces/{workspace_id}/rate_limits/{rate_limit_id}";
const SPENDING: &str = "/v1/organizations/spend_limits";
const SPEND: &str = "/v1/organizations/spend_limits/{spend_limit_id}";

/// An organisation with a limit and a budget.
async fn organisation(world: &World) -> Value {
    let given = json!({
        "name": "us", "limits": {"requests_per_minute": 100},
        "budget": {"amount_usd": "10", "period": "total"},
    });
    post(world, "/admin/organization", &[], given).await
}

#[tokio::test]
async fn a_workspace_has_limits_of_its_own_or_its_organisations() {
    let world = World::new(QUIET).await;
    let made = organisation(&world).await;
    assert_eq!(get(&world, "/admin/organization", &[]).await, made);
    let all = get(&world, "/v1/organizations/rate_limits", &[]).await;
    let limits = &all["data"][0]["limits"];
    assert_eq!(
        *limits,
        json!([{"type": "requests_per_minute", "value": 100}])
    );

    let id = workspace(&world, "w").await;
    assert_eq!(get(&world, LIMITS, &[&id]).await["data"], json!([]));
    let set = json!({"limits": [
        {"type": "requests_per_minute", "value": 7},
        {"type": "output_tokens_per_minute", "value": 9},
    ]});
    let came = post(&world, LIMIT, &[&id, "rlg_all_models"], set).await;
    assert_eq!(came["limits"][0]["org_limit"], 100);
    let unset = json!({"limits": [{"type": "requests_per_minute", "value": null}]});
    let came = post(&world, LIMIT, &[&id, "rlg_all_models"], unset).await;
    assert_eq!(came["limits"].as_array().unwrap().len(), 1);
    let path = format!("/v1/organizations/workspaces/{id}/rate_limits?include_inherited=true");
    let came = world.admin(Method::GET, &path, Value::Null).await.json();
    let source = |n: usize| came["data"][0]["limits"][n]["source"]["type"].clone();
    assert_eq!(
        (source(0), source(1)),
        ("organization".into(), "workspace".into())
    );
}

#[tokio::test]
async fn budgets_are_spend_limits() {
    let world = World::new(QUIET).await;
    organisation(&world).await;
    let id = workspace(&world, "w").await;
    let set = json!({"amount": "50000", "scope": {"type": "workspace", "workspace_id": id}});
    let made = post(&world, SPENDING, &[], set).await;
    assert_eq!(
        (&made["amount"], &made["period"]),
        (&"50000".into(), &"monthly".into())
    );
    let listed = get(&world, SPENDING, &[]).await;
    assert_eq!(listed["data"].as_array().unwrap().len(), 2);
    let first = query(&world, SPENDING, "limit=1").await;
    let next = first["next_page"].as_str().unwrap();
    let second = query(&world, SPENDING, &format!("limit=1&page={next}")).await;
    assert_eq!(second["data"], json!([made]));
    let ours = query(&world, SPENDING, "scope_type[]=organization").await;
    assert_eq!(ours["data"][0]["amount"], "1000");

    let spend = made["id"].as_str().unwrap();
    assert_eq!(get(&world, SPEND, &[spend]).await, made);
    let budget = get(&world, WORKSPACE, &[&id]).await["budget"].clone();
    assert_eq!(budget, json!({"amount_usd": "500", "period": "month"}));
    ask(&world, Method::DELETE, SPEND, &[spend], Value::Null).await;
    let path = format!("{SPENDING}/{spend}");
    assert_eq!(
        refused(&world, Method::GET, &path, Value::Null).await.0,
        404
    );
    let unset = json!({"amount": null, "scope": {"type": "organization"}, "period": "daily"});
    assert_eq!(
        post(&world, SPENDING, &[], unset).await["amount"],
        Value::Null
    );
}
