//! Stored responses: what was asked, what was answered, and for those in the background who works on them
//! and what was streamed so far.

mod background;
mod end;

use crate::page::Listing;
use crate::{
    ConversationId, Database, Error, KeyId, Listed, Page, ResponseId, Row, Statement, Value,
    WorkspaceId,
};

pub use background::ClaimedResponse;
pub use end::Growth;

/// A stored response.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredResponse {
    /// Its id.
    pub id: ResponseId,
    /// The key that asked for it.
    pub key: KeyId,
    /// When it was made.
    pub created_at: i64,
    /// When it is deleted.
    pub expires_at: Option<i64>,
    /// The response that it goes on from.
    pub previous: Option<ResponseId>,
    /// The conversation that it belongs to.
    pub conversation: Option<ConversationId>,
    /// Whether it is worked on without anybody waiting.
    pub background: bool,
    /// Its status.
    pub status: ResponseStatus,
    /// What was asked, as JSON.
    pub request: String,
    /// The response as it is now, as JSON.
    pub response: String,
}

/// The status of a response.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ResponseStatus {
    /// Nobody works on it yet.
    Queued,
    /// It is worked on.
    InProgress,
    /// It is complete.
    Completed,
    /// It was cut short.
    Incomplete,
    /// It failed.
    Failed,
    /// It was cancelled.
    Cancelled,
}

impl ResponseStatus {
    const ALL: [Self; 6] = [
        Self::Queued,
        Self::InProgress,
        Self::Completed,
        Self::Incomplete,
        Self::Failed,
        Self::Cancelled,
    ];

    /// As the API writes it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::InProgress => "in_progress",
            Self::Completed => "completed",
            Self::Incomplete => "incomplete",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
        }
    }

    /// Whether it may still change.
    pub const fn is_open(self) -> bool {
        match self {
            Self::Queued | Self::InProgress => true,
            Self::Completed | Self::Incomplete | Self::Failed | Self::Cancelled => false,
        }
    }
}

/// An item of a response's input or of a conversation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredItem {
    /// Its id, unique in its list.
    pub id: String,
    /// The item, as JSON.
    pub item: String,
}

/// Stored responses.
#[derive(Clone, Debug)]
pub struct Responses {
    database: Database,
}

const COLUMNS: &str = "id, api_key, created_at, expires_at, previous, conversation, background, status, \
    request, response";

impl Responses {
    pub(crate) fn new(database: Database) -> Self {
        Self { database }
    }

    /// Stores a response with the items of its input.
    pub async fn add(
        &self,
        workspace: &WorkspaceId,
        response: &StoredResponse,
        input: &[StoredItem],
    ) -> Result<(), Error> {
        let mut statements = vec![insertion(workspace, response)];
        let rows = input.iter().zip(0_u64..).map(|(item, position)| {
            vec![
                Value::from(&response.id),
                position.into(),
                Value::from(&item.id),
                Value::from(workspace),
                Value::from(&item.item),
            ]
        });
        statements.extend(Statement::inserts(
            "INSERT INTO response_inputs (response, position, id, workspace, item)",
            "",
            rows.collect(),
            "ON CONFLICT DO NOTHING",
        ));
        let done = self.database.transact(statements).await;
        done.map(drop)
            .map_err(|error| error.unmet(|_| there(&response.id)))
    }

    /// One response of a workspace.
    pub async fn get(
        &self,
        workspace: &WorkspaceId,
        id: &ResponseId,
    ) -> Result<Option<StoredResponse>, Error> {
        let sql = format!("SELECT {COLUMNS} FROM responses WHERE id = $1 AND workspace = $2");
        let asked = Statement::new(sql).bind(id).bind(workspace);
        let rows = self.database.query(asked).await?;
        rows.first().map(response).transpose()
    }

    /// A response and those that it goes on from, the oldest first: at most so many of the newest. The
    /// chain ends where one was deleted.
    pub async fn chain(
        &self,
        workspace: &WorkspaceId,
        id: &ResponseId,
        most: u32,
    ) -> Result<Vec<StoredResponse>, Error> {
        let sql = format!(
            "WITH RECURSIVE chain (link, before, depth) AS ( \
             SELECT id, previous, CAST(0 AS BIGINT) FROM responses \
             WHERE id = $1 AND workspace = $2 UNION ALL \
             SELECT r.id, r.previous, depth + 1 FROM chain JOIN responses AS r \
             ON r.id = chain.before AND r.workspace = $2 WHERE depth + 1 < $3) \
             SELECT {COLUMNS} FROM chain JOIN responses ON id = link \
             ORDER BY depth DESC"
        );
        let asked = Statement::new(sql).bind(id).bind(workspace).bind(most);
        let rows = self.database.query(asked).await?;
        rows.iter().map(response).collect()
    }

    /// Writes how a response is now, and says whether that was done: one that has ended stays as it is.
    pub async fn update(
        &self,
        workspace: &WorkspaceId,
        id: &ResponseId,
        status: ResponseStatus,
        response: &str,
    ) -> Result<bool, Error> {
        let update = change(workspace, id, status, response);
        Ok(self.database.execute(update).await? > 0)
    }

    /// The items of a response's input, in pages; the first was the first in the input.
    pub async fn input_items(
        &self,
        workspace: &WorkspaceId,
        id: &ResponseId,
        page: &Page,
    ) -> Result<Listed<StoredItem>, Error> {
        let listing = Listing {
            kind: "item",
            table: "response_inputs",
            columns: "id, item",
            sorted_by: "position",
            scope: Some(("response", id.into())),
            equal: vec![("workspace", workspace.into())],
            except: None,
        };
        listing.read(&self.database, page, item).await
    }

    /// Deletes a response of a workspace with all that belongs to it.
    pub async fn delete(&self, workspace: &WorkspaceId, id: &ResponseId) -> Result<(), Error> {
        let row = "DELETE FROM responses WHERE id = $1 AND workspace = $2";
        let mut statements = vec![Statement::new(row).bind(id).bind(workspace).needs_a_row()];
        statements.extend(remains(id));
        let done = self.database.transact(statements).await;
        done.map(drop).map_err(|error| error.unmet(|_| missing(id)))
    }

    /// Deletes at most so many responses that have expired and says how many.
    pub async fn expire(&self, now: i64, most: u32) -> Result<u64, Error> {
        let asked = "SELECT id FROM responses WHERE expires_at <= $1 ORDER BY expires_at LIMIT $2";
        let asked = Statement::new(asked).bind(now).bind(most);
        let rows = self.database.query(asked).await?;
        for row in &rows {
            let id = row.text(0)?.into();
            let gone = Statement::new("DELETE FROM responses WHERE id = $1").bind(&id);
            let statements = std::iter::once(gone).chain(remains(&id)).collect();
            self.database.transact(statements).await?;
        }
        Ok(rows.len() as u64)
    }
}

/// Puts a response there, which needs to be new.
fn insertion(workspace: &WorkspaceId, response: &StoredResponse) -> Statement {
    let previous = response.previous.as_ref().map(Value::from);
    let conversation = response.conversation.as_ref().map(Value::from);
    let values = vec![
        Value::from(&response.id),
        Value::from(&response.key),
        response.created_at.into(),
        response.expires_at.into(),
        previous.unwrap_or(Value::Null),
        conversation.unwrap_or(Value::Null),
        response.background.into(),
        response.status.as_str().into(),
        Value::from(&response.request),
        Value::from(&response.response),
        Value::from(workspace),
        response.status.is_open().into(),
    ];
    let insert = Statement::rows(
        &format!("INSERT INTO responses (lease_until, attempts, {COLUMNS}, workspace, open)"),
        "0, 0",
        vec![values],
        "ON CONFLICT DO NOTHING",
    );
    insert.needs_a_row()
}

/// Writes how a response is now, unless it has ended.
fn change(
    workspace: &WorkspaceId,
    id: &ResponseId,
    status: ResponseStatus,
    response: &str,
) -> Statement {
    let update = "UPDATE responses SET status = $1, open = $2, response = $3 \
                  WHERE id = $4 AND workspace = $5 AND open = 1";
    Statement::new(update)
        .bind(status.as_str())
        .bind(status.is_open())
        .bind(response)
        .bind(id)
        .bind(workspace)
}

/// What goes with a response.
fn remains(id: &ResponseId) -> [Statement; 2] {
    [
        Statement::new("DELETE FROM response_inputs WHERE response = $1").bind(id),
        Statement::new("DELETE FROM response_events WHERE response = $1").bind(id),
    ]
}

fn there(id: &ResponseId) -> Error {
    Error::Exists {
        kind: "response",
        id: id.to_string(),
    }
}

fn missing(id: &ResponseId) -> Error {
    Error::Missing {
        kind: "response",
        id: id.to_string(),
    }
}

/// From the columns `id, item`.
pub(crate) fn item(row: &Row) -> Result<StoredItem, Error> {
    Ok(StoredItem {
        id: row.text(0)?.to_owned(),
        item: row.text(1)?.to_owned(),
    })
}

fn response(row: &Row) -> Result<StoredResponse, Error> {
    let word = row.text(7)?;
    let status = ResponseStatus::ALL
        .into_iter()
        .find(|status| status.as_str() == word);
    Ok(StoredResponse {
        id: row.text(0)?.into(),
        key: row.text(1)?.into(),
        created_at: row.integer(2)?,
        expires_at: row.maybe_integer(3)?,
        previous: row.maybe_text(4)?.map(ResponseId::from),
        conversation: row.maybe_text(5)?.map(ConversationId::from),
        background: row.truth(6)?,
        status: status
            .ok_or_else(|| Error::Damaged(format!("`{word}` is no status of a response")))?,
        request: row.text(8)?.to_owned(),
        response: row.text(9)?.to_owned(),
    })
}
