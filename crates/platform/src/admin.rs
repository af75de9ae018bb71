//! The admin API: organisations, workspaces, keys, limits and reports in Anthropic's shapes, and this server's own
//! paths under `/admin`. One table says which there are; nothing gets past the gate in front of it.

use std::pin::Pin;
use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, Method, Request, Response, header};
use axum::routing::{MethodFilter, on};
use bytes::Bytes;
use quire_dialect::Dialect;
use serde_json::Value;

use crate::app::{self, App};
use crate::clock::new_id;
use crate::path::Path;
use crate::peek;
use crate::query::Query;
use crate::reply::{self, Denial};

mod analytics;
mod gate;
mod keys;
mod limits;
mod organisation;
mod paging;
mod replays;
mod reports;
mod server;
mod spending;
mod wire;
mod workspaces;

pub(crate) use gate::{is_admin, unlocked};

/// A request that the gate let through.
struct Call {
    app: Arc<App>,
    request_id: String,
    path: Vec<(String, String)>,
    query: Query,
    headers: HeaderMap,
    body: Bytes,
}

/// What a request is answered with.
enum Answer {
    Json(Value),
    /// Something else than JSON.
    Whole(Response<Body>),
}

type Acted = Pin<Box<dyn Future<Output = Result<Answer, Denial>> + Send>>;

/// A path of the API with what is done there.
struct Entry {
    method: Method,
    path: &'static str,
    act: fn(Call) -> Acted,
}

macro_rules! table {
    ($($method:ident $path:literal => $act:path;)*) => {
        [$(Entry {
            method: Method::$method,
            path: $path,
            act: |call| Box::pin($act(call)),
        }),*]
    };
}

/// Every path of the API.
const TABLE: &[Entry] = &table! {
    GET "/v1/organizations/me" => organisation::me;
    GET "/v1/organizations/workspaces" => workspaces::list;
    POST "/v1/organizations/workspaces" => workspaces::create;
    GET "/v1/organizations/workspaces/{workspace_id}" => workspaces::get;
    POST "/v1/organizations/workspaces/{workspace_id}" => workspaces::update;
    POST "/v1/organizations/workspaces/{workspace_id}/archive" => workspaces::archive;
    GET "/v1/organizations/workspaces/{workspace_id}/rate_limits" => limits::of_workspace;
    POST "/v1/organizations/workspaces/{workspace_id}/rate_limits/{rate_limit_id}" => limits::update;
    GET "/v1/organizations/rate_limits" => limits::of_organisation;
    GET "/v1/organizations/spend_limits" => spending::list;
    POST "/v1/organizations/spend_limits" => spending::set;
    GET "/v1/organizations/spend_limits/{spend_limit_id}" => spending::get;
    DELETE "/v1/organizations/spend_limits/{spend_limit_id}" => spending::delete;
    GET "/v1/organizations/api_keys" => keys::list;
    POST "/v1/organizations/api_keys" => keys::create;
    GET "/v1/organizations/api_keys/{api_key_id}" => keys::get;
    POST "/v1/organizations/api_keys/{api_key_id}" => keys::update;
    GET "/v1/organizations/usage_report/messages" => reports::usage;
    GET "/v1/organizations/cost_report" => reports::cost;
    GET "/v1/organizations/analytics/usage" => analytics::usage;
    GET "/v1/organizations/analytics/cost" => analytics::cost;
    GET "/admin/organization" => organisation::get;
    POST "/admin/organization" => organisation::update;
    GET "/admin/upstreams" => server::upstreams;
    GET "/admin/models" => server::models;
    POST "/admin/reload" => server::reload;
    GET "/admin/openapi.json" => server::openapi;
    GET "/admin/replays" => replays::list;
    GET "/admin/replays/{request_id}" => replays::get;
    POST "/admin/replays/{request_id}/replay" => replays::replay;
};

/// The API's paths.
pub(crate) fn routes() -> Router<Arc<App>> {
    let mut router = Router::new();
    for entry in TABLE {
        let filter = MethodFilter::try_from(entry.method.clone());
        let filter = filter.expect("the table has common methods only");
        let handler =
            async |State(app): State<Arc<App>>,
                   Path(path): Path<Vec<(String, String)>>,
                   request: Request<Body>| { serve(app, entry, path, request).await };
        router = router.route(entry.path, on(filter, handler));
    }
    router.method_not_allowed_fallback(app::nothing_here)
}

/// Serves a request of the API. Its errors are in Anthropic's words.
async fn serve(
    app: Arc<App>,
    entry: &Entry,
    path: Vec<(String, String)>,
    request: Request<Body>,
) -> Response<Body> {
    let request_id = new_id("req_");
    let (head, body) = request.into_parts();
    let acted = async {
        gate::admin(&app, &head.headers).await?;
        let call = Call {
            request_id: request_id.clone(),
            path,
            query: Query::read(&head.uri)?,
            body: app::take_in(&app, &head.headers, body).await?,
            headers: head.headers,
            app: Arc::clone(&app),
        };
        (entry.act)(call).await
    };
    let acted: Result<Answer, Denial> = acted.await;
    let mut response = match acted {
        Ok(Answer::Json(value)) => {
            let mut response = Response::new(Body::from(value.to_string()));
            let kind = header::HeaderValue::from_static("application/json");
            response.headers_mut().insert(header::CONTENT_TYPE, kind);
            response
        }
        Ok(Answer::Whole(response)) => response,
        Err(denial) => denial.answer(Dialect::Messages, &request_id),
    };
    // Keys are shown once; no cache keeps them.
    let unkept = header::HeaderValue::from_static("no-store");
    response.headers_mut().insert(header::CACHE_CONTROL, unkept);
    reply::sign(
        response.headers_mut(),
        &request_id,
        Some(crate::directory::FIRST_ORGANISATION),
    );
    response
}

impl Call {
    /// A part of the path.
    fn part(&self, name: &str) -> &str {
        let found = self.path.iter().find(|(part, _)| part == name);
        found.map_or("", |(_, value)| value)
    }

    /// The body as what it should be.
    fn read<'a, T: serde::Deserialize<'a>>(&'a self) -> Result<T, Denial> {
        let body: &[u8] = if self.body.is_empty() {
            b"{}"
        } else {
            &self.body
        };
        Ok(peek::object(body)?)
    }
}

#[cfg(test)]
mod tests;
