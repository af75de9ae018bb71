//! The depot on real databases: each case runs on SQLite by itself, and all of them on PostgreSQL in one
//! test, so that one server is enough.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod access;
mod batches;
mod cases;
mod crash;
mod database;
mod debts;
mod files;
mod metering;
mod postgres;
mod responses;
mod spool;

use quire_depot::{
    ApiKey, ContextWindow, Depot, KeyHash, Limits, Organisation, Place, UsageRow, Workspace,
};
use quire_protocol::{Money, Usage};

/// Waits for a future on a runtime of its own.
fn wait<T>(future: impl Future<Output = T>) -> T {
    let mut builder = tokio::runtime::Builder::new_current_thread();
    builder.enable_all().build().unwrap().block_on(future)
}

async fn in_folder(folder: &std::path::Path) -> Depot {
    let place = Place::Folder(folder.to_owned());
    Depot::open(&place).await.unwrap()
}

fn organisation(id: &str) -> Organisation {
    Organisation {
        id: id.into(),
        name: format!("the name of {id}"),
        created_at: 1_000,
        limits: Limits::default(),
        budget: None,
    }
}

fn workspace(organisation: &str, id: &str, created_at: i64) -> Workspace {
    Workspace {
        id: id.into(),
        organisation: organisation.into(),
        name: format!("the name of {id}"),
        created_at,
        archived_at: None,
        limits: Limits::default(),
        budget: None,
        file_quota: None,
    }
}

fn key(organisation: &str, workspace: &str, id: &str, created_at: i64) -> ApiKey {
    let mut hash = [0; 32];
    for (to, from) in hash.iter_mut().zip(id.bytes()) {
        *to = from;
    }
    ApiKey {
        id: id.into(),
        organisation: organisation.into(),
        workspace: workspace.into(),
        name: "for tests".to_owned(),
        hash: KeyHash(hash),
        hint: "a1b2".to_owned(),
        created_at,
        expires_at: None,
        revoked_at: None,
        models: Vec::new(),
        regions: Vec::new(),
        limits: Limits::default(),
        budget: None,
    }
}

fn used(request: &str, at: i64) -> UsageRow {
    UsageRow {
        request: request.into(),
        at,
        organisation: "org_1".into(),
        workspace: "wrkspc_1".into(),
        key: "key_1".into(),
        model_asked: "opus".to_owned(),
        model_served: "claude-opus-5-5".to_owned(),
        upstream: "anthropic".to_owned(),
        api: "messages".to_owned(),
        usage: Usage {
            input: 100,
            cache_read: 20,
            cache_write_5m: 3,
            cache_write_1h: 4,
            output: 50,
            thinking: 10,
        },
        web_searches: 1,
        cost: Money::from_picos(1_234_567_890_123),
        split: None,
        service_tier: "standard".to_owned(),
        inference_geo: "global".to_owned(),
        speed: "standard".to_owned(),
        batch: false,
        context_window: ContextWindow::Short,
        status: 200,
        streamed: true,
        latency_ms: 900,
        estimated: false,
    }
}
