//! Conversations: lists of items that responses go on from.

use crate::page::Listing;
use crate::responses::{StoredItem, item};
use crate::{ConversationId, Database, Error, Listed, Page, Row, Statement, WorkspaceId};

/// A conversation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Conversation {
    /// Its id.
    pub id: ConversationId,
    /// When it was made.
    pub created_at: i64,
    /// What the client notes of it, as JSON.
    pub metadata: String,
}

/// Where items are put into a conversation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Put {
    /// Behind all that are there.
    Last,
    /// Behind the one with this id.
    Behind(String),
}

/// Conversations.
#[derive(Clone, Debug)]
pub struct Conversations {
    database: Database,
}

impl Conversations {
    pub(crate) fn new(database: Database) -> Self {
        Self { database }
    }

    /// Adds a conversation with its first items.
    pub async fn add(
        &self,
        workspace: &WorkspaceId,
        conversation: &Conversation,
        items: &[StoredItem],
    ) -> Result<(), Error> {
        let insert = "INSERT INTO conversations (id, workspace, created_at, metadata, next) \
                      VALUES ($1, $2, $3, $4, 0) ON CONFLICT DO NOTHING";
        let insert = Statement::new(insert)
            .bind(&conversation.id)
            .bind(workspace)
            .bind(conversation.created_at)
            .bind(&conversation.metadata);
        let mut statements = vec![insert.needs_a_row()];
        statements.extend(appended(workspace, &conversation.id, items));
        let done = self.database.transact(statements).await;
        done.map(drop).map_err(|error| {
            error.unmet(|index| match index {
                0 => Error::Exists {
                    kind: "conversation",
                    id: conversation.id.to_string(),
                },
                _ => twice(index - 2, items),
            })
        })
    }

    /// One conversation of a workspace.
    pub async fn get(
        &self,
        workspace: &WorkspaceId,
        id: &ConversationId,
    ) -> Result<Option<Conversation>, Error> {
        let asked = "SELECT id, created_at, metadata FROM conversations \
                     WHERE id = $1 AND workspace = $2";
        let asked = Statement::new(asked).bind(id).bind(workspace);
        let rows = self.database.query(asked).await?;
        rows.first().map(conversation).transpose()
    }

    /// Replaces what a client notes of a conversation.
    pub async fn set_metadata(
        &self,
        workspace: &WorkspaceId,
        id: &ConversationId,
        metadata: &str,
    ) -> Result<(), Error> {
        let update = "UPDATE conversations SET metadata = $1 WHERE id = $2 AND workspace = $3";
        let update = Statement::new(update)
            .bind(metadata)
            .bind(id)
            .bind(workspace);
        match self.database.execute(update).await? {
            0 => Err(missing(id)),
            _ => Ok(()),
        }
    }

    /// Deletes a conversation of a workspace and its items.
    pub async fn delete(&self, workspace: &WorkspaceId, id: &ConversationId) -> Result<(), Error> {
        let row = "DELETE FROM conversations WHERE id = $1 AND workspace = $2";
        let items = "DELETE FROM conversation_items WHERE conversation = $1";
        let statements = vec![
            Statement::new(row).bind(id).bind(workspace).needs_a_row(),
            Statement::new(items).bind(id),
        ];
        let done = self.database.transact(statements).await;
        done.map(drop).map_err(|error| error.unmet(|_| missing(id)))
    }

    /// Puts items into a conversation, all or none.
    pub async fn put(
        &self,
        workspace: &WorkspaceId,
        id: &ConversationId,
        place: &Put,
        items: &[StoredItem],
    ) -> Result<(), Error> {
        let (statements, before) = match place {
            Put::Last => (appended(workspace, id, items), 1),
            Put::Behind(other) => (inserted(workspace, id, other, items), 3),
        };
        let done = self.database.transact(statements).await;
        done.map(drop).map_err(|error| {
            error.unmet(|index| match (index, place) {
                (0, _) => missing(id),
                (1, Put::Behind(other)) => no_item(other),
                (_, Put::Last | Put::Behind(_)) => twice(index - before, items),
            })
        })
    }

    /// One item of a conversation.
    pub async fn item(
        &self,
        workspace: &WorkspaceId,
        conversation: &ConversationId,
        id: &str,
    ) -> Result<Option<StoredItem>, Error> {
        let asked = "SELECT id, item FROM conversation_items \
                     WHERE conversation = $1 AND workspace = $2 AND id = $3";
        let asked = Statement::new(asked)
            .bind(conversation)
            .bind(workspace)
            .bind(id);
        let rows = self.database.query(asked).await?;
        rows.first().map(item).transpose()
    }

    /// The items of a conversation, in pages, by their order in it.
    pub async fn items(
        &self,
        workspace: &WorkspaceId,
        conversation: &ConversationId,
        page: &Page,
    ) -> Result<Listed<StoredItem>, Error> {
        let listing = Listing {
            kind: "item",
            table: "conversation_items",
            columns: "id, item",
            sorted_by: "position",
            scope: Some(("conversation", conversation.into())),
            equal: vec![("workspace", workspace.into())],
            except: None,
        };
        listing.read(&self.database, page, item).await
    }

    /// Deletes one item of a conversation.
    pub async fn delete_item(
        &self,
        workspace: &WorkspaceId,
        conversation: &ConversationId,
        id: &str,
    ) -> Result<(), Error> {
        let delete = "DELETE FROM conversation_items \
                      WHERE conversation = $1 AND workspace = $2 AND id = $3";
        let delete = Statement::new(delete)
            .bind(conversation)
            .bind(workspace)
            .bind(id);
        match self.database.execute(delete).await? {
            0 => Err(no_item(id)),
            _ => Ok(()),
        }
    }
}

/// Takes places for items: what comes later waits for the commit. First of all, it finds out whether the
/// conversation is there.
fn places(workspace: &WorkspaceId, id: &ConversationId, count: usize) -> Statement {
    let take = "UPDATE conversations SET next = next + $1 WHERE id = $2 AND workspace = $3";
    Statement::new(take)
        .bind(count as u64)
        .bind(id)
        .bind(workspace)
        .needs_a_row()
}

/// Puts items behind all that are there; see [`twice`] for what a statement behind the first needs.
pub(crate) fn appended(
    workspace: &WorkspaceId,
    id: &ConversationId,
    items: &[StoredItem],
) -> Vec<Statement> {
    let insert = "INSERT INTO conversation_items (conversation, workspace, position, id, item) \
                  SELECT id, workspace, next - $1, CAST($2 AS TEXT), CAST($3 AS TEXT) \
                  FROM conversations WHERE id = $4 ON CONFLICT DO NOTHING";
    let inserts = items.iter().enumerate().map(|(index, item)| {
        Statement::new(insert)
            .bind((items.len() - index) as u64)
            .bind(&item.id)
            .bind(&item.item)
            .bind(id)
            .needs_a_row()
    });
    let first = places(workspace, id, items.len());
    std::iter::once(first).chain(inserts).collect()
}

fn inserted(
    workspace: &WorkspaceId,
    id: &ConversationId,
    other: &str,
    items: &[StoredItem],
) -> Vec<Statement> {
    let there = "SELECT 1 FROM conversation_items WHERE conversation = $1 AND id = $2";
    let shift = "UPDATE conversation_items SET position = position + $1 WHERE conversation = $2 \
                 AND position > (SELECT position FROM conversation_items \
                 WHERE conversation = $2 AND id = $3)";
    let insert = "INSERT INTO conversation_items (conversation, workspace, position, id, item) \
                  SELECT conversation, workspace, position + $1, CAST($2 AS TEXT), CAST($3 AS TEXT) \
                  FROM conversation_items WHERE conversation = $4 AND id = $5 \
                  ON CONFLICT DO NOTHING";
    let mut statements = vec![
        places(workspace, id, items.len()),
        Statement::new(there).bind(id).bind(other).needs_a_row(),
        Statement::new(shift)
            .bind(items.len() as u64)
            .bind(id)
            .bind(other),
    ];
    statements.extend(items.iter().enumerate().map(|(index, item)| {
        Statement::new(insert)
            .bind(index as u64 + 1)
            .bind(&item.id)
            .bind(&item.item)
            .bind(id)
            .bind(other)
            .needs_a_row()
    }));
    statements
}

fn conversation(row: &Row) -> Result<Conversation, Error> {
    Ok(Conversation {
        id: row.text(0)?.into(),
        created_at: row.integer(1)?,
        metadata: row.text(2)?.to_owned(),
    })
}

pub(crate) fn missing(id: &ConversationId) -> Error {
    Error::Missing {
        kind: "conversation",
        id: id.to_string(),
    }
}

fn no_item(id: &str) -> Error {
    Error::Missing {
        kind: "item",
        id: id.to_owned(),
    }
}

/// The item that is there already.
pub(crate) fn twice(index: usize, items: &[StoredItem]) -> Error {
    Error::Exists {
        kind: "item",
        id: items
            .get(index)
            .map(|item| item.id.clone())
            .unwrap_or_default(),
    }
}
