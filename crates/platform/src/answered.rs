//! A request that is answered here, in the name of whoever calls.

use std::sync::Arc;

use axum::body::Body;
use axum::http::{HeaderMap, HeaderValue, Response};
use quire_depot::OrganisationId;
use quire_dialect::Dialect;
use serde_json::Value;

use crate::app::{App, denied};
use crate::clock::new_id;
use crate::keyring::Caller;
use crate::reply::{self, Denial};

/// Answers a request: who calls is looked up first, and what is refused is told in the API's words. What serves it
/// gets the caller and the request's id.
pub(crate) async fn answered(
    app: &Arc<App>,
    api: Dialect,
    headers: &HeaderMap,
    serve: impl AsyncFnOnce(Arc<Caller>, String) -> Result<Response<Body>, Denial>,
) -> Response<Body> {
    let request_id = new_id("req_");
    let mut organisation = None;
    let served = async {
        let caller = app.caller(headers).await?;
        organisation = Some(caller.key.organisation.clone());
        serve(caller, request_id.clone()).await
    };
    let served: Result<Response<Body>, Denial> = served.await;
    let mut response = served.unwrap_or_else(|denial| denied(app, &denial, api, &request_id));
    let organisation = organisation.as_ref().map(OrganisationId::as_str);
    reply::sign(response.headers_mut(), &request_id, organisation);
    response
}

/// An answer of JSON.
pub(crate) fn json(value: &Value) -> Response<Body> {
    let mut response = Response::new(Body::from(value.to_string()));
    response
        .headers_mut()
        .insert("content-type", HeaderValue::from_static("application/json"));
    response
}
