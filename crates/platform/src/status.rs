//! The status page: what the server does now and what it cost today, drawn on the server. Nothing on it runs, and
//! nothing comes from elsewhere.

use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, Response, StatusCode, header};
use axum::routing::get;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use quire_depot::{Dimension, Report, UsageFilter, Width};
use quire_protocol::Money;
use sha2::{Digest as _, Sha256};

use crate::admin;
use crate::app::App;
use crate::clock::now_ms;
use crate::directory::FIRST_ORGANISATION;
use crate::routing::State as Health;

mod page;
mod picture;

use page::{Page, UpstreamLine};

const DAY_MS: i64 = 86_400_000;

/// The page's path.
pub(crate) fn routes() -> Router<Arc<App>> {
    Router::new().route("/status", get(status))
}

async fn status(State(app): State<Arc<App>>, headers: HeaderMap) -> Response<Body> {
    if let Err(closed) = admin::unlocked(&app) {
        return plain(StatusCode::FORBIDDEN, closed.message);
    }
    if !password(&headers).is_some_and(|password| admin::is_admin(&app, &password)) {
        let message = "Any user name, and the admin key as the password.\n".to_owned();
        let mut response = plain(StatusCode::UNAUTHORIZED, message);
        response.headers_mut().insert(
            header::WWW_AUTHENTICATE,
            HeaderValue::from_static("Basic realm=\"quire\", charset=\"UTF-8\""),
        );
        return response;
    }
    let page = read(&app).await;
    let mut response = plain(StatusCode::OK, page.html());
    let headers = response.headers_mut();
    headers.insert(
        header::CONTENT_TYPE,
        HeaderValue::from_static("text/html; charset=utf-8"),
    );
    if let Ok(policy) = HeaderValue::try_from(policy()) {
        headers.insert(header::CONTENT_SECURITY_POLICY, policy);
    }
    response
}

/// The password of HTTP's basic authentication.
fn password(headers: &HeaderMap) -> Option<String> {
    let value = headers.get(header::AUTHORIZATION)?.to_str().ok()?;
    let (scheme, encoded) = value.split_once(' ')?;
    if !scheme.eq_ignore_ascii_case("basic") {
        return None;
    }
    let decoded = String::from_utf8(STANDARD.decode(encoded.trim()).ok()?).ok()?;
    decoded
        .split_once(':')
        .map(|(_, password)| password.to_owned())
}

/// Nothing may be loaded and nothing may run; of styles, the page's own text alone.
fn policy() -> String {
    let style = STANDARD.encode(Sha256::digest(page::STYLE.as_bytes()));
    format!(
        "default-src 'none'; style-src 'sha256-{style}'; base-uri 'none'; form-action 'none'; \
         frame-ancestors 'none'"
    )
}

fn plain(status: StatusCode, text: String) -> Response<Body> {
    let mut response = Response::new(Body::from(text));
    *response.status_mut() = status;
    for (name, value) in [
        (header::CONTENT_TYPE, "text/plain; charset=utf-8"),
        (header::CACHE_CONTROL, "no-store"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::REFERRER_POLICY, "no-referrer"),
    ] {
        response
            .headers_mut()
            .insert(name, HeaderValue::from_static(value));
    }
    response
}

async fn read(app: &App) -> Page {
    let now = now_ms();
    let live = app.live();
    let upstreams = live.nodes().map(|node| {
        let (state, at_work) = node.state(now);
        UpstreamLine {
            name: node.name.clone(),
            dialect: node.config.dialect.name(),
            healthy: state == Health::Healthy,
            at_work,
            concurrency: node.config.concurrency,
        }
    });
    Page {
        now,
        slots: app.metrics().recent(),
        upstreams: upstreams.collect(),
        cost: cost_today(app, now).await,
    }
}

/// What today cost, by model, the dearest first; none where the store does not say.
async fn cost_today(app: &App, now: i64) -> Option<Vec<(String, Money)>> {
    let report = Report {
        organisation: FIRST_ORGANISATION.into(),
        filter: UsageFilter {
            starting_at: now / DAY_MS * DAY_MS,
            ending_at: now + 1,
            ..UsageFilter::default()
        },
        width: Width::Day,
        group_by: vec![Dimension::Model],
        limit: 1,
    };
    let report = app.depot().metering().report(&report).await.ok()?;
    let groups = report.buckets.into_iter().flat_map(|bucket| bucket.groups);
    let mut costs: Vec<(String, Money)> = groups
        .map(|mut group| (group.values.pop().unwrap_or_default(), group.sums.cost))
        .collect();
    costs.sort_by_key(|(_, cost)| std::cmp::Reverse(*cost));
    Some(costs)
}

#[cfg(test)]
mod tests {
    use axum::http::Method;
    use serde_json::json;

    use super::*;
    use crate::testing::{ADMIN, Peer, World, config, http, reply};

    fn basic(user: &str, password: &str) -> String {
        format!("Basic {}", STANDARD.encode(format!("{user}:{password}")))
    }

    #[tokio::test]
    async fn the_admin_key_opens_it_as_a_password_and_nothing_else_does() {
        let world = World::new(&config("127.0.0.1:9".parse().unwrap(), "")).await;
        let key = world.key("w").await;
        for wrong in [
            String::new(),
            format!("Bearer {ADMIN}"),
            basic(ADMIN, ""),
            basic("me", "wrong"),
            basic("me", &key),
            "Basic !".to_owned(),
            format!("Basic {}", STANDARD.encode(ADMIN)),
        ] {
            let headers = [("authorization", wrong.as_str()), ("x-api-key", ADMIN)];
            let path = format!("/status?key={}", ADMIN.replace(' ', "%20"));
            let came = world.send(&Method::GET, &path, &headers, "").await;
            assert_eq!(came.status, StatusCode::UNAUTHORIZED, "{wrong}");
            assert!(came.headers.contains_key("www-authenticate"));
        }
        let right = basic("anybody", ADMIN);
        let headers = [("authorization", right.as_str())];
        let came = world.send(&Method::GET, "/status", &headers, "").await;
        assert_eq!(came.status, StatusCode::OK);
        let closed = World::with(&config("127.0.0.1:9".parse().unwrap(), ""), &[]).await;
        let empty = basic("anybody", "");
        let headers = [("authorization", empty.as_str())];
        let came = closed.send(&Method::GET, "/status", &headers, "").await;
        assert_eq!(came.status, StatusCode::FORBIDDEN);
    }

    #[tokio::test]
    async fn what_happened_is_drawn_within_a_strict_policy() {
        let peer = Peer::new(&[reply(), http("500 No", "text/plain", "no")]);
        let world = World::new(&config(peer.address, "")).await;
        let key = world.key("w").await;
        let body = json!({"model": "claude-opus-5", "max_tokens": 9, "messages": []});
        for _ in 0..2 {
            world.messages(&key, &[], &body).await;
        }
        world.messages("qk-wrong", &[], &body).await;
        world.app.tidy(1).await;
        let right = basic("me", ADMIN);
        let headers = [("authorization", right.as_str())];
        let came = world.send(&Method::GET, "/status", &headers, "").await;
        let html = came.text();
        for word in [
            ">500</text>",
            ">401</text>",
            ">claude-opus-5</text>",
            "healthy",
            "0 of 4096",
        ] {
            assert!(html.contains(word), "{word}: {html}");
        }
        let policy = came.headers["content-security-policy"].to_str().unwrap();
        assert!(
            policy.starts_with("default-src 'none'; style-src 'sha256-"),
            "{policy}"
        );
        assert!(!policy.contains("unsafe"), "{policy}");
        // The policy lets through exactly what stands in the page.
        let style = html
            .split_once("<style>")
            .unwrap()
            .1
            .split_once("</style>")
            .unwrap()
            .0;
        let hash = STANDARD.encode(Sha256::digest(style.as_bytes()));
        assert!(policy.contains(&hash), "{policy}");
        assert_eq!(came.headers["cache-control"], "no-store");
    }
}
