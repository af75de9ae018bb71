//! The collector's end: spans in batches, by OTLP/HTTP.

use std::sync::Arc;
use std::time::Duration;

use axum::http::{Method, Request, header};
use bytes::Bytes;
use quire_net::{Options, Proxies, Segments, Transport};
use tokio::sync::mpsc;

use super::{Span, otlp};
use crate::metrics::Metrics;

/// Most spans of a batch.
const BATCH: usize = 512;
/// How long a batch waits to be filled.
const FILLING: Duration = Duration::from_secs(2);
/// How long a collector may take.
const PATIENCE: Duration = Duration::from_secs(10);

/// A collector.
pub(super) struct Collector {
    url: String,
    transport: Transport,
    metrics: Arc<Metrics>,
}

impl Collector {
    pub(super) fn new(otlp: &str, proxies: &Proxies, metrics: Arc<Metrics>) -> Self {
        let base = otlp.trim().trim_end_matches('/');
        let base = base.strip_suffix("/v1/traces").unwrap_or(base);
        Self {
            url: format!("{base}/v1/traces"),
            transport: Transport::new(proxies, Options::default()),
            metrics,
        }
    }

    /// Tells of spans until nobody sends any more.
    pub(super) async fn run(self, mut spans: mpsc::Receiver<Span>) {
        let mut batch = Vec::new();
        while let Some(first) = spans.recv().await {
            batch.push(first);
            let filling = async {
                while batch.len() < BATCH {
                    match spans.recv().await {
                        Some(span) => batch.push(span),
                        None => break,
                    }
                }
            };
            let _ = tokio::time::timeout(FILLING, filling).await;
            let taken = self.post(&batch).await || self.post(&batch).await;
            if !taken {
                self.metrics.spans_dropped(batch.len());
            }
            batch.clear();
        }
    }

    /// Whether the collector took a batch.
    async fn post(&self, batch: &[Span]) -> bool {
        let Ok(uri) = quire_net::address(&self.url) else {
            return false;
        };
        let body = Bytes::from(otlp::export(batch).to_string());
        let mut request = Request::new(Segments::from(vec![body]));
        *request.method_mut() = Method::POST;
        *request.uri_mut() = uri;
        request.headers_mut().insert(
            header::CONTENT_TYPE,
            header::HeaderValue::from_static("application/json"),
        );
        let sent = tokio::time::timeout(PATIENCE, self.transport.send(request)).await;
        matches!(sent, Ok(Ok(response)) if response.status().is_success())
    }
}
