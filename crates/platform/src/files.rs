//! Files that clients upload and requests refer to, as both vendors have them. They are this server's: a request
//! that refers to one goes upstream with the file in it.

mod inline;

use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::extract::multipart::{Field, Multipart, MultipartError};
use axum::extract::{DefaultBodyLimit, FromRequest as _, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Request, Response, Uri};
use axum::routing::get;
use bytes::Bytes;
use futures_util::stream;
use quire_depot::{FileId, Listed, Order, Page, StoredFile};
use quire_dialect::Dialect;
use quire_translate::{Reason, Refusal};
use serde_json::{Value, json};

use crate::answered::{answered, json as answer_json};
use crate::app::App;
use crate::caller;
use crate::clock::{new_id, now_ms};
use crate::keyring::Caller;
use crate::path::Path;
use crate::query::Query;
use crate::reply::{Denial, rfc3339};

pub(crate) use inline::inline;

/// The paths of files.
pub(crate) fn routes() -> Router<Arc<App>> {
    Router::new()
        .route("/v1/files", get(list).post(upload))
        .route("/v1/files/{id}", get(retrieve).delete(delete))
        .route("/v1/files/{id}/content", get(content))
        // Uploads have a bound of their own.
        .layer(DefaultBodyLimit::disable())
}

async fn upload(State(app): State<Arc<App>>, request: Request<Body>) -> Response<Body> {
    let headers = request.headers().clone();
    let api = caller::dialect(&headers);
    answered(&app, api, &headers, async |caller: Arc<Caller>, _| {
        let file = take(&app, &caller, api, request).await?;
        Ok(answer_json(&shown(api, &file)))
    })
    .await
}

/// Takes a form in. Its file is written as it comes.
async fn take(
    app: &App,
    caller: &Caller,
    api: Dialect,
    request: Request<Body>,
) -> Result<StoredFile, Denial> {
    let mut form = Multipart::from_request(request, &())
        .await
        .map_err(|error| wrong("file", &error.body_text()))?;
    let mut purpose = String::new();
    let mut expires_after = None;
    let mut kept = None;
    while let Some(field) = form.next_field().await.map_err(|error| broken(&error))? {
        match field.name() {
            Some("file") if kept.is_none() => kept = Some(write(app, caller, api, field).await?),
            Some("purpose") => purpose = field.text().await.map_err(|error| broken(&error))?,
            Some("expires_after[seconds]") => {
                let seconds = field.text().await.map_err(|error| broken(&error))?;
                let seconds = seconds.parse::<i64>().ok().filter(|seconds| *seconds > 0);
                expires_after = Some(
                    seconds
                        .ok_or_else(|| wrong("expires_after", "it must be a number of seconds"))?,
                );
            }
            // What is not known is read over.
            Some(_) | None => {}
        }
    }
    let Some(mut upload) = kept else {
        return Err(wrong("file", "Field required").into());
    };
    if api != Dialect::Messages {
        if purpose.is_empty() {
            upload.abandon().await?;
            return Err(wrong("purpose", "Field required").into());
        }
        upload.set_purpose(&purpose);
    }
    if let Some(seconds) = expires_after {
        upload.set_expiry(now_ms().saturating_add(seconds.saturating_mul(1_000)));
    }
    Ok(upload.finish().await?)
}

async fn write(
    app: &App,
    caller: &Caller,
    api: Dialect,
    mut field: Field<'_>,
) -> Result<quire_depot::Upload, Denial> {
    let most = app.live().config.bounds.file_bytes;
    let filename = field
        .file_name()
        .unwrap_or("file")
        .chars()
        .take(500)
        .collect();
    let kind = field
        .content_type()
        .unwrap_or("application/octet-stream")
        .to_owned();
    let file = StoredFile {
        id: FileId::from(new_id(if api == Dialect::Messages {
            "file_"
        } else {
            "file-"
        })),
        filename,
        mime_type: kind,
        purpose: String::new(),
        // As at the vendors: what is uploaded to Anthropic cannot be fetched again, what is uploaded to OpenAI can.
        downloadable: api != Dialect::Messages,
        size_bytes: 0,
        created_at: now_ms(),
        expires_at: None,
    };
    let mut upload = app
        .depot()
        .files()
        .upload(&caller.workspace.id, file, caller.workspace.file_quota)
        .await?;
    let mut size = 0_u64;
    loop {
        match field.chunk().await {
            Ok(None) => return Ok(upload),
            Ok(Some(chunk)) => {
                size += chunk.len() as u64;
                if size > most {
                    upload.abandon().await?;
                    let message = format!(
                        "The file is larger than {most} bytes, which is all this server takes."
                    );
                    return Err(Refusal::new(Reason::TooLarge, message).into());
                }
                if let Err(error) = upload.write(&chunk).await {
                    upload.abandon().await?;
                    return Err(full(error));
                }
            }
            Err(error) => {
                upload.abandon().await?;
                return Err(broken(&error).into());
            }
        }
    }
}

fn full(error: quire_depot::Error) -> Denial {
    let is_full = matches!(error, quire_depot::Error::Full { .. });
    let mut denial = Denial::from(error);
    if is_full {
        denial.refusal = denial.refusal.coded("storage_quota_exceeded");
    }
    denial
}

fn wrong(field: &str, what: &str) -> Refusal {
    Refusal::new(Reason::Invalid, format!("{field}: {what}")).about(field)
}

fn broken(error: &MultipartError) -> Refusal {
    Refusal::new(
        Reason::Invalid,
        format!("The form cannot be read: {}", error.body_text()),
    )
}

fn missing(id: &str) -> Refusal {
    Refusal::new(Reason::NotFound, format!("File not found: {id}"))
}

async fn list(State(app): State<Arc<App>>, uri: Uri, headers: HeaderMap) -> Response<Body> {
    let api = caller::dialect(&headers);
    answered(&app, api, &headers, async |caller: Arc<Caller>, _| {
        let query = Query::read(&uri)?;
        let (usual, most) = if api == Dialect::Messages {
            (20, 1_000)
        } else {
            (10_000, 10_000)
        };
        let page = Page {
            // Anthropic's newer lists have a cursor, its older ones and OpenAI's go by ids.
            after: query
                .one("page")
                .or(query.one("after_id"))
                .or(query.one("after"))
                .map(str::to_owned),
            before: query.one("before_id").map(str::to_owned),
            limit: query.limit(usual, most)?,
            order: if query.newest_first()? {
                Order::NewestFirst
            } else {
                Order::OldestFirst
            },
        };
        let purpose = query.one("purpose");
        let listed = app
            .depot()
            .files()
            .list(&caller.workspace.id, purpose, &page)
            .await?;
        Ok(answer_json(&shown_list(api, &listed)))
    })
    .await
}

async fn retrieve(
    State(app): State<Arc<App>>,
    Path(id): Path<String>,
    headers: HeaderMap,
) -> Response<Body> {
    let api = caller::dialect(&headers);
    answered(&app, api, &headers, async |caller: Arc<Caller>, _| {
        let file = app
            .depot()
            .files()
            .get(&caller.workspace.id, &FileId::from(id.as_str()))
            .await?;
        Ok(answer_json(&shown(api, &file.ok_or_else(|| missing(&id))?)))
    })
    .await
}

async fn delete(
    State(app): State<Arc<App>>,
    Path(id): Path<String>,
    headers: HeaderMap,
) -> Response<Body> {
    let api = caller::dialect(&headers);
    answered(&app, api, &headers, async |caller: Arc<Caller>, _| {
        let deleted = app
            .depot()
            .files()
            .delete(&caller.workspace.id, &FileId::from(id.as_str()))
            .await;
        deleted.map_err(|error| match error {
            quire_depot::Error::Missing { .. } => missing(&id).into(),
            other => Denial::from(other),
        })?;
        Ok(answer_json(&match api {
            Dialect::Messages => json!({"id": id, "type": "file_deleted"}),
            Dialect::Responses | Dialect::Chat => {
                json!({"id": id, "object": "file", "deleted": true})
            }
        }))
    })
    .await
}

async fn content(
    State(app): State<Arc<App>>,
    Path(id): Path<String>,
    headers: HeaderMap,
) -> Response<Body> {
    let api = caller::dialect(&headers);
    answered(&app, api, &headers, async |caller: Arc<Caller>, _| {
        let opened = app
            .depot()
            .files()
            .open(&caller.workspace.id, &FileId::from(id.as_str()))
            .await?;
        let (file, reader) = opened.ok_or_else(|| missing(&id))?;
        if !file.downloadable {
            let message =
                format!("File {id} is not downloadable: only files that were made for you are.");
            return Err(Refusal::new(Reason::Invalid, message)
                .coded("file_not_downloadable")
                .into());
        }
        let pieces = stream::unfold(reader, |mut reader| async move {
            // A reader that fails ends the answer before its announced length, which the client notices.
            let piece = reader.next().await.transpose()?;
            Some((piece.map(Bytes::from), reader))
        });
        let mut response = Response::new(Body::from_stream(pieces));
        let mut set = |name: &'static str, text: String| {
            if let Ok(value) = HeaderValue::try_from(text) {
                response
                    .headers_mut()
                    .insert(HeaderName::from_static(name), value);
            }
        };
        set("content-type", file.mime_type);
        set("content-length", file.size_bytes.to_string());
        // What a person uploaded is never a page of this server.
        set("content-disposition", "attachment".to_owned());
        set("x-content-type-options", "nosniff".to_owned());
        Ok(response)
    })
    .await
}

fn shown(api: Dialect, file: &StoredFile) -> Value {
    match api {
        Dialect::Messages => json!({
            "id": file.id.as_str(),
            "type": "file",
            "filename": file.filename,
            "mime_type": file.mime_type,
            "size_bytes": file.size_bytes,
            "created_at": rfc3339(file.created_at),
            "downloadable": file.downloadable,
            "expires_at": file.expires_at.map(rfc3339),
        }),
        Dialect::Responses | Dialect::Chat => json!({
            "id": file.id.as_str(),
            "object": "file",
            "bytes": file.size_bytes,
            "created_at": file.created_at / 1_000,
            "expires_at": file.expires_at.map(|at| at / 1_000),
            "filename": file.filename,
            "purpose": file.purpose,
            "status": "processed",
        }),
    }
}

fn shown_list(api: Dialect, listed: &Listed<StoredFile>) -> Value {
    let data: Vec<Value> = listed.items.iter().map(|file| shown(api, file)).collect();
    let id = |file: Option<&StoredFile>| file.map(|file| file.id.as_str().to_owned());
    let (first, last) = (id(listed.items.first()), id(listed.items.last()));
    match api {
        Dialect::Messages => json!({
            "data": data, "has_more": listed.more, "first_id": first, "last_id": last,
            "next_page": last.filter(|_| listed.more),
        }),
        Dialect::Responses | Dialect::Chat => json!({
            "object": "list", "data": data, "has_more": listed.more, "first_id": first, "last_id": last,
        }),
    }
}
