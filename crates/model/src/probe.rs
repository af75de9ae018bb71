//! Asks a provider the cheapest of questions: is it there, does it take the key, what models has it?

use std::time::{Duration, Instant};

use http_body_util::{BodyExt as _, Limited};
use hyper::Method;
use quire_dialect::decode_error;
use quire_net::{Options, Transport};
use quire_protocol::{ModelError, ModelErrorKind};
use serde::Deserialize;

use crate::Provider;
use crate::failure::model_error;
use crate::wire::{lost, request};

/// What a probe found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Probe {
    /// The models that the provider lists; empty where it lists none.
    pub models: Vec<String>,
    /// How long it took, connecting included.
    pub took: Duration,
}

/// How long a probe may take.
const LIMIT: Duration = Duration::from_secs(10);

/// Asks for the list of models, which costs nothing; takes ten seconds at most. An error says what
/// is wrong and what to do.
pub async fn probe(provider: &Provider) -> Result<Probe, ModelError> {
    let began = Instant::now();
    let models = tokio::time::timeout(LIMIT, ask(provider))
        .await
        .unwrap_or_else(|_| {
            Err(model_error(
                ModelErrorKind::Network,
                format!(
                    "{} did not answer within {} s",
                    provider.base_url,
                    LIMIT.as_secs()
                ),
                "Check the base URL, the network and HTTPS_PROXY.",
            ))
        })?;
    Ok(Probe {
        models,
        took: began.elapsed(),
    })
}

async fn ask(provider: &Provider) -> Result<Vec<String>, ModelError> {
    let headers = provider.header_map()?;
    let url = provider.url(provider.models_path());
    let options = Options {
        connect_timeout: LIMIT,
        ..Options::default()
    };
    let transport = Transport::new(&provider.proxies, options);
    let request = request(Method::GET, &url, headers, Vec::new()).map_err(|e| lost(&e))?;
    let response = transport.send(request).await.map_err(|e| lost(&e))?;
    let status = response.status();
    let content_type = response.headers().get("content-type").cloned();
    let content_type = content_type
        .as_ref()
        .and_then(|value| value.to_str().ok())
        .unwrap_or("");
    let body = Limited::new(response.into_body(), 4 << 20).collect().await;
    let body = body
        .map(http_body_util::Collected::to_bytes)
        .unwrap_or_default();
    if content_type.starts_with("text/html") {
        return Err(not_an_api(provider, &url));
    }
    if status.is_success() {
        let list: List = serde_json::from_slice(&body).map_err(|_| not_an_api(provider, &url))?;
        return Ok(list.data.into_iter().map(|model| model.id).collect());
    }
    // Not every compatible server lists its models.
    if matches!(status.as_u16(), 404 | 405 | 501) {
        return Ok(Vec::new());
    }
    let error = decode_error(provider.dialect, status.as_u16(), Some(content_type), &body);
    Err(provider.explain(error))
}

fn not_an_api(provider: &Provider, url: &str) -> ModelError {
    model_error(
        ModelErrorKind::NotAnApi,
        format!("{url} is not the API of a model provider"),
        provider.base_url_hint(),
    )
}

#[derive(Deserialize)]
struct List {
    data: Vec<Listed>,
}

#[derive(Deserialize)]
struct Listed {
    id: String,
}
