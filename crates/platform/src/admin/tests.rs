//! The admin API against its own description, and as an operator uses it.

use axum::http::{Method, StatusCode};
use jsonschema::Validator;
use serde_json::{Value, json};

use super::TABLE;
use super::server::OPENAPI;
use crate::testing::{ADMIN, Came, World};

mod keys;
mod limits;
mod refused;
mod replays;
mod reports;

const QUIET: &str = "[upstreams.up]\ndialect = \"chat\"\nbase_url = \"http://me:secret@127.0.0.1:9/v1\"\n\
    headers = { x-own = \"hush\" }\n[models.small]\nroutes = [{ upstream = \"up\", model = \"m\" }]\n";

fn document() -> Value {
    serde_json::from_str(OPENAPI).unwrap()
}

/// The validator of a schema of the document.
fn validator(schema: &Value) -> Validator {
    let mut whole = json!({"components": document()["components"]});
    let members = schema.as_object().unwrap().clone();
    whole.as_object_mut().unwrap().extend(members);
    jsonschema::validator_for(&whole).unwrap()
}

#[track_caller]
fn fits(schema: &Value, value: &Value) {
    let validator = validator(schema);
    let errors: Vec<String> = validator
        .iter_errors(value)
        .map(|error| format!("{error} at {}", error.instance_path()))
        .collect();
    assert!(errors.is_empty(), "{value:#}: {errors:#?}");
}

/// An answer, which fits what the document says of it.
#[track_caller]
fn fitting(came: &Came, method: &Method, path: &str) -> Value {
    let document = document();
    let operation = &document["paths"][path][method.as_str().to_lowercase()];
    let status = if came.status == StatusCode::OK {
        "200"
    } else {
        "default"
    };
    let schema = &operation["responses"][status]["content"]["application/json"]["schema"];
    let value = came.json();
    fits(schema, &value);
    value
}

/// Asks, and checks the answer against the document. The template's parts are put in.
async fn ask(world: &World, method: Method, template: &str, parts: &[&str], body: Value) -> Value {
    let mut path = template.to_owned();
    for part in parts {
        let from = path.find('{').unwrap();
        let to = path.find('}').unwrap();
        path.replace_range(from..=to, part);
    }
    let came = world.admin(method.clone(), &path, body).await;
    let text = came.text();
    assert_eq!(came.status, StatusCode::OK, "{method} {path}: {text}");
    fitting(&came, &method, template)
}

async fn get(world: &World, template: &str, parts: &[&str]) -> Value {
    ask(world, Method::GET, template, parts, Value::Null).await
}

async fn post(world: &World, template: &str, parts: &[&str], body: Value) -> Value {
    ask(world, Method::POST, template, parts, body).await
}

/// Gets a path that has a query.
async fn query(world: &World, template: &str, query: &str) -> Value {
    let path = format!("{template}?{query}");
    let came = world.admin(Method::GET, &path, Value::Null).await;
    assert_eq!(came.status, StatusCode::OK, "{path}: {}", came.text());
    fitting(&came, &Method::GET, template)
}

/// Makes a workspace; its id.
async fn workspace(world: &World, name: &str) -> String {
    let made = post(world, WORKSPACES, &[], json!({"name": name})).await;
    made["id"].as_str().unwrap().to_owned()
}

const WORKSPACES: &str = "/v1/organizations/workspaces";
const WORKSPACE: &str = "/v1/organizations/workspaces/{workspace_id}";
const ARCHIVE: &str = "/v1/organizations/workspaces/{workspace_id}/archive";
const KEYS: &str = "/v1/organizations/api_keys";
const KEY: &str = "/v1/organizations/api_keys/{api_key_id}";

async fn refused(world: &World, method: Method, path: &str, body: Value) -> (u16, String) {
    let came = world.admin(method, path, body).await;
    fits(&json!({"$ref": "#/components/schemas/Error"}), &came.json());
    assert_eq!(
        came.headers["request-id"],
        came.json()["request_id"].as_str().unwrap()
    );
    let message = came.json()["error"]["message"].as_str().unwrap().to_owned();
    (came.status.as_u16(), message)
}

#[test]
fn the_document_has_every_path_and_nothing_else() {
    let document = document();
    let mut described: Vec<String> = Vec::new();
    for (path, operations) in document["paths"].as_object().unwrap() {
        for (method, operation) in operations.as_object().unwrap() {
            described.push(format!("{} {path}", method.to_uppercase()));
            let parts = path.matches('{').count();
            let parameters = operation["parameters"].as_array();
            let named = parameters
                .into_iter()
                .flatten()
                .filter(|one| one["in"] == "path");
            assert_eq!(named.count(), parts, "{path}");
        }
    }
    let mut served: Vec<String> = TABLE
        .iter()
        .map(|entry| format!("{} {}", entry.method, entry.path))
        .collect();
    described.sort_unstable();
    served.sort_unstable();
    assert_eq!(described, served);
    let mut ids: Vec<&str> = Vec::new();
    for operations in document["paths"].as_object().unwrap().values() {
        let each = operations.as_object().unwrap().values();
        ids.extend(each.map(|operation| operation["operationId"].as_str().unwrap()));
    }
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), served.len());
}

#[test]
fn examples_fit_their_schemas() {
    let document = document();
    let mut count = 0;
    for (name, schema) in document["components"]["schemas"].as_object().unwrap() {
        // Every schema can be used at all, its references among them.
        let reference = json!({"$ref": format!("#/components/schemas/{name}")});
        drop(validator(&reference));
        for example in schema["examples"].as_array().into_iter().flatten() {
            fits(&reference, example);
            count += 1;
        }
    }
    assert!(count > 15, "{count}");
}

#[tokio::test]
async fn nobody_gets_past_the_gate() {
    let world = World::new(QUIET).await;
    let key = world.key("w").await;
    let closed = World::with(QUIET, &[]).await;
    for entry in TABLE {
        let path = entry.path.replace(['{', '}'], "");
        for (headers, status) in [
            (&[][..], 401),
            (&[("x-api-key", "")], 401),
            (&[("x-api-key", "wrong")], 401),
            (&[("authorization", "Bearer qk-wrong")], 401),
            (&[("authorization", "Basic YTpi")], 401),
            (&[("x-api-key", key.as_str())], 403),
        ] {
            let came = world.send(&entry.method, &path, headers, "{}").await;
            assert_eq!(
                came.status.as_u16(),
                status,
                "{} {path} {headers:?}",
                entry.method
            );
            fits(&json!({"$ref": "#/components/schemas/Error"}), &came.json());
        }
        // Without a key in the environment not even an empty one opens it.
        for key in ["", ADMIN] {
            let headers = [("x-api-key", key)];
            let came = closed.send(&entry.method, &path, &headers, "{}").await;
            assert_eq!(came.status.as_u16(), 403);
            assert!(came.text().contains("QUIRE_ADMIN_KEY"), "{}", came.text());
        }
    }
    let bearer = format!("Bearer {ADMIN}");
    let headers = [("authorization", bearer.as_str())];
    let came = world
        .send(&Method::GET, "/v1/organizations/me?beta=true", &headers, "")
        .await;
    assert_eq!(came.status, StatusCode::OK);
    let wrong = world
        .send(&Method::PUT, "/v1/organizations/me", &headers, "")
        .await;
    assert_eq!(wrong.status, StatusCode::NOT_FOUND);
}
