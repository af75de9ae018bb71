//! What is wrong with a request is told, by its field.

use axum::http::Method;
use serde_json::Value;

use super::{QUIET, refused, workspace};
use crate::testing::World;

/// Requests, their bodies, the status they are refused with, and a word of why. `@` is `/v1/organizations/`, `%` the
/// id of a workspace that is there.
const CASES: &str = r#"
GET @workspaces/wrkspc_none |  | 404 | wrkspc_none
GET @workspaces?limit=0 |  | 400 | limit
GET @workspaces?after_id=wrkspc_none |  | 404 | wrkspc_none
GET @workspaces?after_id=a&before_id=b |  | 400 | before_id
GET @workspaces?colour=red |  | 400 | colour
GET @api_keys?status=lost |  | 400 | status
GET @api_keys?created_by_user_id=u |  | 400 | created_by_user_id
POST @workspaces | {} | 400 | name
POST @workspaces | {"name": " \n"} | 400 | name
POST @workspaces | {"name": "w", "tags": {"a": "b"}} | 400 | tags
POST @workspaces | {"name": "w", "budget": {"amount_usd": "-1", "period": "day"}} | 400 | amount_usd
POST @workspaces | {"name": "w", "budget": {"amount_usd": "1", "period": "week"}} | 400 | period
POST @workspaces | [] | 400 | body
POST @api_keys | {"name": "k"} | 400 | workspace_id
POST @api_keys | {"name": "k", "workspace_id": "no"} | 404 | no
POST @api_keys | {"name": "k", "workspace_id": "%", "expires_at": "soon"} | 400 | expires_at
POST @api_keys | {"name": "k", "workspace_id": "%", "status": "active"} | 400 | status
POST @spend_limits | {"amount": "1.5", "scope": {"type": "organization"}} | 400 | amount
POST @spend_limits | {"amount": "1", "period": "weekly", "scope": {"type": "organization"}} | 400 | period
POST @spend_limits | {"amount": "1", "scope": {"type": "user"}} | 400 | user
POST @workspaces/%/rate_limits/rlg_other | {"limits": []} | 404 | rlg_other
POST @workspaces/%/rate_limits/rlg_all_models | {"limits": [{"type": "fast_otpm", "value": 1}]} | 400 | fast_otpm
GET @usage_report/messages |  | 400 | starting_at
GET @usage_report/messages?starting_at=x |  | 400 | starting_at
GET @usage_report/messages?starting_at=2026-01-02T00:00:00Z&limit=32 |  | 400 | limit
GET @usage_report/messages?starting_at=2026-01-02T00:00:00Z&group_by[]=actor |  | 400 | actor
GET @usage_report/messages?starting_at=2026-01-02T00:00:00Z&page=page_x |  | 400 | page
GET @usage_report/messages?starting_at=2026-01-02T00:00:00Z&bucket_width=1w |  | 400 | bucket_width
GET @usage_report/messages?starting_at=2026-01-02T00:00:00Z&format=xml |  | 400 | format
GET @cost_report?starting_at=2026-01-02T00:00:00Z&ending_at=2026-01-01T00:00:00Z |  | 400 | ending_at
GET @analytics/usage?starting_at=2026-01-02T00:00:00Z&ending_at=2026-03-02T00:00:00Z |  | 400 | 31 days
GET @analytics/usage?starting_at=2026-01-02T00:00:00Z&time_bucket_width=1d |  | 400 | ending_at
GET @analytics/cost?starting_at=2026-01-02T00:00:00Z&group_by[]=token_type |  | 400 | token_type
GET @analytics/cost?starting_at=2026-01-02T00:00:00Z&order_by=luck |  | 400 | order_by
GET /admin/replays/req_none |  | 404 | req_none
POST /admin/reload |  | 409 | file
"#;

#[tokio::test]
async fn what_is_wrong_is_told_by_its_field() {
    let world = World::new(QUIET).await;
    let id = workspace(&world, "w").await;
    for case in CASES.trim().lines() {
        let case = case.replace('@', "/v1/organizations/").replace('%', &id);
        let [request, body, status, told] = case.split(" | ").collect::<Vec<_>>()[..] else {
            panic!("{case}");
        };
        let (method, path) = request.split_once(' ').unwrap();
        let body = if body.trim().is_empty() {
            Value::Null
        } else {
            serde_json::from_str(body).unwrap()
        };
        let method = Method::from_bytes(method.as_bytes()).unwrap();
        let (found, message) = refused(&world, method, path, body).await;
        assert_eq!(found.to_string(), status, "{case}: {message}");
        assert!(message.contains(told), "{case}: {message}");
    }
}
