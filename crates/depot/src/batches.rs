//! Batches: many requests handed in at once and worked on by whichever server has time. An item is leased
//! to a worker; when its lease runs out another may take it, and whoever is first writes its result.

mod work;

use crate::page::Listing;
use crate::{BatchId, Database, Error, KeyId, Listed, Page, Row, Statement, Value, WorkspaceId};

pub use work::ClaimedItem;

/// Where a batch is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BatchState {
    /// Its items are worked on.
    InProgress,
    /// It was cancelled; what had begun is brought to its end.
    Cancelling,
    /// All its items have ended.
    Ended,
}

/// How many items of a batch are where.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct BatchCounts {
    /// Waiting, or worked on.
    pub processing: u64,
    /// Answered.
    pub succeeded: u64,
    /// Ended by an error.
    pub errored: u64,
    /// Cancelled before they began.
    pub cancelled: u64,
    /// Not begun before the batch expired.
    pub expired: u64,
}

/// What is known of a batch when it is handed in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewBatch {
    /// Its id.
    pub id: BatchId,
    /// The key that it was handed in with, which pays.
    pub key: KeyId,
    /// The API that it came by, whose lists show it: `messages`, `openai`.
    pub api: String,
    /// What else that API keeps of it, as JSON.
    pub details: String,
    /// When it was made.
    pub created_at: i64,
    /// What has not begun by then expires.
    pub expires_at: i64,
}

/// A batch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Batch {
    /// What it was handed in as.
    pub head: NewBatch,
    /// Where it is.
    pub state: BatchState,
    /// Its items.
    pub counts: BatchCounts,
    /// When it was cancelled.
    pub cancelled_at: Option<i64>,
    /// When its last item ended.
    pub ended_at: Option<i64>,
    /// When its results were let go.
    pub archived_at: Option<i64>,
}

/// A request of a batch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewItem {
    /// The client's own id for it, unique in its batch.
    pub custom_id: String,
    /// The request, as JSON.
    pub params: String,
}

/// How an item ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ItemState {
    /// It has not.
    Processing,
    /// With an answer.
    Succeeded,
    /// With an error.
    Errored,
    /// It never began: the batch was cancelled.
    Cancelled,
    /// It never began: the batch expired.
    Expired,
}

/// An item that ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ItemResult {
    /// Its place in the batch, from 0 on.
    pub position: u64,
    /// The client's own id for it.
    pub custom_id: String,
    /// How it ended.
    pub state: ItemState,
    /// The answer or the error, as JSON.
    pub result: Option<String>,
}

/// Batches.
#[derive(Clone, Debug)]
pub struct Batches {
    database: Database,
}

const COLUMNS: &str = "id, api_key, api, details, created_at, expires_at, state, processing, succeeded, \
    errored, cancelled, expired, cancelled_at, ended_at, archived_at";

impl Batches {
    pub(crate) fn new(database: Database) -> Self {
        Self { database }
    }

    /// Begins a batch of a workspace. Nobody sees it before [`Batches::start`]; one that never starts is
    /// deleted once it expires.
    pub async fn begin(&self, workspace: &WorkspaceId, batch: &NewBatch) -> Result<(), Error> {
        let values = vec![
            Value::from(&batch.id),
            Value::from(&batch.key),
            Value::from(&batch.api),
            Value::from(&batch.details),
            batch.created_at.into(),
            batch.expires_at.into(),
            Value::from(workspace),
        ];
        let insert = Statement::rows(
            "INSERT INTO batches (state, processing, succeeded, errored, cancelled, expired, id, \
             api_key, api, details, created_at, expires_at, workspace)",
            "'preparing', 0, 0, 0, 0, 0",
            vec![values],
            "ON CONFLICT DO NOTHING",
        );
        if self.database.execute(insert).await? == 0 {
            let id = batch.id.to_string();
            return Err(Error::Exists { kind: "batch", id });
        }
        Ok(())
    }

    /// Adds items to a batch that has not started. A `custom_id` that is there already is refused.
    pub async fn add(
        &self,
        workspace: &WorkspaceId,
        batch: &BatchId,
        items: &[NewItem],
    ) -> Result<(), Error> {
        let count = items.len() as u64;
        let grow = "UPDATE batches SET processing = processing + $1 \
                    WHERE id = $2 AND workspace = $3 AND state = 'preparing' RETURNING processing";
        let grow = Statement::new(grow).bind(count).bind(batch).bind(workspace);
        let mut statements = vec![grow.needs_a_row()];
        // The count tells where these begin; the row is locked until the commit.
        let asked = "SELECT processing FROM batches WHERE id = $1";
        let rows = self
            .database
            .query(Statement::new(asked).bind(batch))
            .await?;
        let first = rows.first().map_or(Ok(0), |row| row.count(0))?;
        let rows = items.iter().zip(first..).map(|(item, position)| {
            vec![
                Value::from(batch),
                position.into(),
                Value::from(&item.custom_id),
                Value::from(&item.params),
            ]
        });
        statements.extend(Statement::inserts(
            "INSERT INTO batch_items (state, lease_until, attempts, batch, position, custom_id, params)",
            "'processing', 0, 0",
            rows.collect(),
            "ON CONFLICT DO NOTHING",
        ));
        // Everything is undone unless all items were new.
        let whole = "SELECT 1 FROM batches WHERE id = $1 AND processing = \
                     (SELECT COUNT(*) FROM batch_items WHERE batch = $1)";
        statements.push(Statement::new(whole).bind(batch).needs_a_row());
        let done = self.database.transact(statements).await;
        done.map(drop).map_err(|error| {
            error.unmet(|index| match index {
                0 => missing(batch),
                _ => Error::Refused(
                    "two requests of the batch have the same custom_id: make them differ"
                        .to_owned(),
                ),
            })
        })
    }

    /// Starts a batch: its items are worked on from now on.
    pub async fn start(&self, workspace: &WorkspaceId, batch: &BatchId) -> Result<Batch, Error> {
        let start = "UPDATE batches SET state = 'in_progress' \
                     WHERE id = $1 AND workspace = $2 AND state = 'preparing'";
        let start = Statement::new(start).bind(batch).bind(workspace);
        if self.database.execute(start).await? == 0 {
            return Err(missing(batch));
        }
        self.get(workspace, batch)
            .await?
            .ok_or_else(|| missing(batch))
    }

    /// One batch of a workspace.
    pub async fn get(&self, workspace: &WorkspaceId, id: &BatchId) -> Result<Option<Batch>, Error> {
        let sql = format!(
            "SELECT {COLUMNS} FROM batches WHERE id = $1 AND workspace = $2 AND state <> 'preparing'"
        );
        let asked = Statement::new(sql).bind(id).bind(workspace);
        let rows = self.database.query(asked).await?;
        rows.first().map(batch).transpose()
    }

    /// The batches of a workspace that came by an API, in pages.
    pub async fn list(
        &self,
        workspace: &WorkspaceId,
        api: &str,
        page: &Page,
    ) -> Result<Listed<Batch>, Error> {
        let listing = Listing {
            kind: "batch",
            table: "batches",
            columns: COLUMNS,
            sorted_by: "created_at",
            scope: Some(("workspace", workspace.into())),
            equal: vec![("api", api.into())],
            except: Some("state <> 'preparing'"),
        };
        listing.read(&self.database, page, batch).await
    }

    /// Cancels a batch. What nobody works on ends at once, the rest when it does.
    pub async fn cancel(
        &self,
        workspace: &WorkspaceId,
        id: &BatchId,
        now: i64,
    ) -> Result<Batch, Error> {
        let cancel = "UPDATE batches SET state = 'cancelling', cancelled_at = $1 \
                      WHERE id = $2 AND workspace = $3 AND state = 'in_progress'";
        let cancel = Statement::new(cancel).bind(now).bind(id).bind(workspace);
        if self.database.execute(cancel).await? > 0 {
            self.settle_one(id, now).await?;
        }
        self.get(workspace, id).await?.ok_or_else(|| missing(id))
    }

    /// The items that ended, in their order, from behind a position on: at most so many.
    pub async fn results(
        &self,
        workspace: &WorkspaceId,
        id: &BatchId,
        behind: Option<u64>,
        most: u32,
    ) -> Result<Vec<ItemResult>, Error> {
        let asked = "SELECT position, custom_id, state, result FROM batch_items \
                     WHERE batch = (SELECT id FROM batches WHERE id = $1 AND workspace = $2) \
                     AND position > $3 AND state <> 'processing' ORDER BY position LIMIT $4";
        let asked = Statement::new(asked)
            .bind(id)
            .bind(workspace)
            .bind(behind.map_or(Value::Integer(-1), Value::from))
            .bind(most);
        let rows = self.database.query(asked).await?;
        rows.iter().map(item_result).collect()
    }

    /// Deletes a batch that has ended.
    pub async fn delete(&self, workspace: &WorkspaceId, id: &BatchId) -> Result<(), Error> {
        let row = "DELETE FROM batches WHERE id = $1 AND workspace = $2 AND state = 'ended'";
        let items = "DELETE FROM batch_items WHERE batch = $1";
        let statements = vec![
            Statement::new(row).bind(id).bind(workspace).needs_a_row(),
            Statement::new(items).bind(id),
        ];
        match self.database.transact(statements).await {
            Ok(_) => Ok(()),
            Err(Error::Unmet(_)) => match self.get(workspace, id).await? {
                Some(_) => Err(Error::Refused(format!(
                    "the batch `{id}` has not ended: cancel it, wait for its end, then delete it"
                ))),
                None => Err(missing(id)),
            },
            Err(error) => Err(error),
        }
    }
}

fn missing(id: &BatchId) -> Error {
    Error::Missing {
        kind: "batch",
        id: id.to_string(),
    }
}

impl ItemState {
    /// The word in the table, which is the column of the count too.
    const fn word(self) -> &'static str {
        match self {
            Self::Processing => "processing",
            Self::Succeeded => "succeeded",
            Self::Errored => "errored",
            Self::Cancelled => "cancelled",
            Self::Expired => "expired",
        }
    }
}

fn batch(row: &Row) -> Result<Batch, Error> {
    let state = match row.text(6)? {
        "in_progress" => BatchState::InProgress,
        "cancelling" => BatchState::Cancelling,
        "ended" => BatchState::Ended,
        other => return Err(Error::Damaged(format!("`{other}` is no state of a batch"))),
    };
    Ok(Batch {
        head: NewBatch {
            id: row.text(0)?.into(),
            key: row.text(1)?.into(),
            api: row.text(2)?.to_owned(),
            details: row.text(3)?.to_owned(),
            created_at: row.integer(4)?,
            expires_at: row.integer(5)?,
        },
        state,
        counts: BatchCounts {
            processing: row.count(7)?,
            succeeded: row.count(8)?,
            errored: row.count(9)?,
            cancelled: row.count(10)?,
            expired: row.count(11)?,
        },
        cancelled_at: row.maybe_integer(12)?,
        ended_at: row.maybe_integer(13)?,
        archived_at: row.maybe_integer(14)?,
    })
}

fn item_result(row: &Row) -> Result<ItemResult, Error> {
    let word = row.text(2)?;
    let states = [
        ItemState::Processing,
        ItemState::Succeeded,
        ItemState::Errored,
        ItemState::Cancelled,
        ItemState::Expired,
    ];
    let state = states.into_iter().find(|state| state.word() == word);
    Ok(ItemResult {
        position: row.count(0)?,
        custom_id: row.text(1)?.to_owned(),
        state: state.ok_or_else(|| Error::Damaged(format!("`{word}` is no state of an item")))?,
        result: row.maybe_text(3)?.map(str::to_owned),
    })
}
