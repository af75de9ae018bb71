//! Reports of usage and cost, over rows that are known.

use axum::http::Method;
use quire_depot::{ContextWindow, KeyFilter, Page, UsageRow};
use quire_protocol::{CostSplit, Usage};
use serde_json::{Value, json};

use super::{QUIET, query};
use crate::testing::{ADMIN, World};

async fn report(world: &World, path: &str, more: &str) -> Value {
    let range = "starting_at=2026-11-20T00:00:00Z&ending_at=2026-11-22T00:00:00Z";
    query(world, path, &format!("{range}&{more}")).await
}

/// 2026-11-20, noon.
const NOON: i64 = 1_795_176_000_000;

async fn used(world: &World) -> [String; 2] {
    world.key("a").await;
    world.key("b").await;
    let access = world.app.depot().access();
    let keys = access
        .keys(
            &"org_default".into(),
            &KeyFilter::default(),
            &Page::first(10),
        )
        .await
        .unwrap()
        .items;
    let row = |n: u8, key: usize, model: &str, at: i64| UsageRow {
        request: format!("req_{n}").into(),
        at,
        organisation: "org_default".into(),
        workspace: keys[key].workspace.clone(),
        key: keys[key].id.clone(),
        model_asked: "asked".to_owned(),
        model_served: model.to_owned(),
        upstream: "up".to_owned(),
        api: "messages".to_owned(),
        usage: Usage {
            input: 100,
            cache_read: 10,
            cache_write_5m: 5,
            cache_write_1h: 3,
            output: 20,
            thinking: 0,
        },
        web_searches: 1,
        cost: "0.0425".parse().unwrap(),
        // The first is of an earlier version, which noted none.
        split: (n > 1).then(|| {
            let parts = ["0.01", "0.001", "0.0005", "0.011", "0.02"];
            CostSplit::from_parts(parts.map(|part| part.parse().unwrap()))
        }),
        service_tier: if n == 3 { "batch" } else { "standard" }.to_owned(),
        inference_geo: "global".to_owned(),
        speed: "standard".to_owned(),
        batch: false,
        context_window: ContextWindow::Short,
        status: 200,
        streamed: false,
        latency_ms: 5,
        estimated: false,
    };
    let rows = [
        row(1, 0, "opus", NOON),
        row(2, 0, "opus", NOON + 60_000),
        row(3, 1, "haiku", NOON + 3_600_000),
        row(4, 1, "opus", NOON + 86_400_000),
    ];
    world.app.depot().metering().record(&rows).await.unwrap();
    [keys[0].id.to_string(), keys[1].workspace.to_string()]
}

#[tokio::test]
async fn reports_in_buckets() {
    let world = World::new(QUIET).await;
    let [key, workspace] = used(&world).await;
    let path = "/v1/organizations/usage_report/messages";
    let whole = report(&world, path, "").await;
    let first = &whole["data"][0];
    assert_eq!(first["starting_at"], "2026-11-20T00:00:00Z");
    assert_eq!(first["ending_at"], "2026-11-21T00:00:00Z");
    assert_eq!(first["results"][0]["uncached_input_tokens"], 300);
    assert_eq!(
        first["results"][0]["cache_creation"]["ephemeral_1h_input_tokens"],
        9
    );
    assert_eq!(first["results"][0]["model"], Value::Null);
    assert_eq!(whole["data"][1]["results"][0]["requests"], 1);
    // Grouped, filtered, in hours, in pages.
    let grouped = report(
        &world,
        path,
        "group_by[]=model&group_by[]=api_key_id&limit=1",
    )
    .await;
    let results = grouped["data"][0]["results"].as_array().unwrap();
    assert_eq!(results.len(), 2);
    assert!(
        results
            .iter()
            .any(|result| result["api_key_id"] == key.as_str() && result["model"] == "opus")
    );
    let page = grouped["next_page"].as_str().unwrap();
    let next = report(&world, path, &format!("limit=1&page={page}")).await;
    assert_eq!(next["data"][0]["starting_at"], "2026-11-21T00:00:00Z");
    assert_eq!(next["has_more"], false);
    let hours = report(&world, path, "bucket_width=1h&limit=168").await;
    let of = |hour: usize| hours["data"][hour]["results"][0]["requests"].clone();
    assert_eq!((of(12), of(13), of(14)), (2.into(), 1.into(), Value::Null));
    for (query, requests) in [
        ("models[]=haiku", 1),
        (&format!("api_key_ids[]={key}"), 2),
        (&format!("workspace_ids[]={workspace}"), 1),
        ("service_tiers[]=batch", 1),
        ("context_window[]=0-200k", 3),
        ("speeds[]=standard&inference_geos[]=global", 3),
    ] {
        let found = report(&world, path, query).await;
        assert_eq!(
            found["data"][0]["results"][0]["requests"], requests,
            "{query}"
        );
    }
    let none = report(&world, path, "models[]=none").await;
    assert_eq!(none["data"][0]["results"], json!([]));
}

#[tokio::test]
async fn cost_in_buckets() {
    let world = World::new(QUIET).await;
    let [_, workspace] = used(&world).await;
    let path = "/v1/organizations/cost_report";
    let cost = report(&world, path, "").await;
    assert_eq!(cost["data"][0]["results"][0]["amount"], "12.75");
    assert_eq!(cost["data"][0]["results"][0]["token_type"], Value::Null);
    let cost = report(
        &world,
        path,
        "group_by[]=description&group_by[]=workspace_id",
    )
    .await;
    let results = cost["data"][0]["results"].as_array().unwrap();
    let described = |text: &str| {
        results
            .iter()
            .find(|result| result["description"] == text)
            .unwrap()
    };
    let opus = [
        ("opus usage, input tokens", "uncached_input_tokens", "1"),
        ("opus usage, cache reads", "cache_read_input_tokens", "0.1"),
        (
            "opus usage, cache writes, 5 minutes",
            "cache_creation.ephemeral_5m_input_tokens",
            "0.05",
        ),
        (
            "opus usage, cache writes, 1 hour",
            "cache_creation.ephemeral_1h_input_tokens",
            "1.1",
        ),
        ("opus usage, output tokens", "output_tokens", "2"),
    ];
    for (text, kind, amount) in opus {
        let found = described(text);
        assert_eq!(
            (&found["cost_type"], &found["token_type"], &found["amount"]),
            (&"tokens".into(), &kind.into(), &amount.into())
        );
    }
    // What was recorded before costs were split.
    let rest = described("opus usage");
    assert_eq!(
        (&rest["token_type"], &rest["amount"]),
        (&Value::Null, &"4.25".into())
    );
    assert_eq!(
        described("haiku usage, batch, output tokens")["workspace_id"],
        workspace.as_str()
    );
    assert_eq!(results.len(), 11);
}

#[tokio::test]
async fn reports_in_rows() {
    let world = World::new(QUIET).await;
    let [key, workspace] = used(&world).await;
    let path = "/v1/organizations/analytics/usage";
    let whole = report(&world, path, "").await;
    assert_eq!(whole["data"].as_array().unwrap().len(), 1);
    assert_eq!(whole["data"][0]["usage"]["total_tokens"], 4 * 138);
    assert_eq!(whole["data"][0]["starting_at"], "2026-11-20T00:00:00Z");
    assert_eq!(whole["data"][0]["ending_at"], "2026-11-22T00:00:00Z");
    let ranked = report(&world, path, "group_by[]=model").await;
    assert_eq!(ranked["data"][0]["group"]["model"], "opus");
    let turned = report(&world, path, "group_by[]=model&order=asc&order_by=requests").await;
    assert_eq!(turned["data"][0]["group"]["model"], "haiku");
    let first = report(&world, path, "group_by[]=api_key_id&limit=1").await;
    assert_eq!(first["has_more"], true);
    let page = first["next_page"].as_str().unwrap();
    let next = report(
        &world,
        path,
        &format!("group_by[]=api_key_id&limit=1&page={page}"),
    )
    .await;
    assert_ne!(
        first["data"][0]["group"]["api_key_id"],
        next["data"][0]["group"]["api_key_id"]
    );
    assert_eq!(next["next_page"], Value::Null);
    let days = report(
        &world,
        path,
        "time_bucket_width=1d&order_by=time&group_by[]=workspace_id",
    )
    .await;
    assert_eq!(days["data"][0]["starting_at"], "2026-11-21T00:00:00Z");
    assert_eq!(days["data"].as_array().unwrap().len(), 3);

    let path = "/v1/organizations/analytics/cost";
    let cost = report(
        &world,
        path,
        &format!("workspace_ids[]={workspace}&group_by[]=model"),
    )
    .await;
    assert_eq!(cost["data"][0]["cost"]["amount"], "4.25");
    let cost = report(&world, path, &format!("api_key_ids[]={key}")).await;
    assert_eq!(cost["data"][0]["cost"]["amount"], "8.5");
}

#[tokio::test]
async fn the_requests_themselves_as_csv() {
    let world = World::new(QUIET).await;
    let [key, _] = used(&world).await;
    for path in [
        "usage_report/messages",
        "cost_report",
        "analytics/usage",
        "analytics/cost",
    ] {
        let query = format!("starting_at=2026-11-20T00:00:00Z&api_key_ids[]={key}");
        let path = format!("/v1/organizations/{path}?{query}");
        let by_query = world
            .admin(Method::GET, &format!("{path}&format=csv"), Value::Null)
            .await;
        let headers = [("x-api-key", ADMIN), ("accept", "text/csv")];
        let by_header = world.send(&Method::GET, &path, &headers, "").await;
        assert_eq!(by_query.body, by_header.body);
        let kind = by_query.headers["content-type"].to_str().unwrap();
        assert!(kind.starts_with("text/csv"), "{kind}");
        let lines: Vec<&str> = by_query.text().lines().collect();
        assert_eq!(lines.len(), 3);
        assert!(lines[0].starts_with("time,request,") && lines[1].contains("req_1"));
    }
}
