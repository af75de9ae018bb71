//! The replay log: bodies of requests and answers, kept for debugging where somebody asked for it, and
//! only as much of them as there is room for.

use crate::page::Listing;
use crate::{Database, Error, Listed, Page, RequestId, Row, Statement, Value, WorkspaceId};

/// A request and its answer, as they went over the wire.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Exchange {
    /// The request's id.
    pub id: RequestId,
    /// When it was made.
    pub created_at: i64,
    /// The body of the request.
    pub request: Vec<u8>,
    /// The body of the answer, or what came of it.
    pub response: Vec<u8>,
}

/// What the list shows of an exchange.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExchangeHead {
    /// The request's id.
    pub id: RequestId,
    /// When it was made.
    pub created_at: i64,
    /// How long both bodies are.
    pub bytes: u64,
}

/// The replay log.
#[derive(Clone, Debug)]
pub struct Replay {
    database: Database,
}

impl Replay {
    pub(crate) fn new(database: Database) -> Self {
        Self { database }
    }

    /// Keeps exchanges, each with the workspace that it belongs to.
    pub async fn add(&self, exchanges: &[(WorkspaceId, Exchange)]) -> Result<(), Error> {
        let insert = "INSERT INTO replay (id, workspace, created_at, bytes, request, response) \
                      VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT DO NOTHING";
        let inserts = exchanges.iter().map(|(workspace, exchange)| {
            let bytes = exchange.request.len() + exchange.response.len();
            Statement::new(insert)
                .bind(&exchange.id)
                .bind(workspace)
                .bind(exchange.created_at)
                .bind(bytes as u64)
                .bind(exchange.request.as_slice())
                .bind(exchange.response.as_slice())
        });
        self.database.transact(inserts.collect()).await.map(drop)
    }

    /// Deletes the oldest until all together take at most so many bytes, and says how many were deleted.
    /// Call it every minute or so.
    pub async fn trim(&self, most_bytes: u64) -> Result<u64, Error> {
        let held = "SELECT created_at, id, SUM(bytes) OVER (ORDER BY created_at DESC, id DESC) AS held \
                    FROM replay";
        let delete = format!(
            "DELETE FROM replay WHERE id IN (SELECT id FROM ({held}) AS all_of_them \
             WHERE held > CAST($1 AS BIGINT))"
        );
        let delete = Statement::new(delete).bind(most_bytes);
        self.database.execute(delete).await
    }

    /// One exchange of a workspace.
    pub async fn get(
        &self,
        workspace: &WorkspaceId,
        id: &RequestId,
    ) -> Result<Option<Exchange>, Error> {
        let asked = "SELECT id, created_at, request, response FROM replay \
                     WHERE id = $1 AND workspace = $2";
        let asked = Statement::new(asked).bind(id).bind(workspace);
        let rows = self.database.query(asked).await?;
        let exchange = rows.first().map(|row| {
            Ok(Exchange {
                id: row.text(0)?.into(),
                created_at: row.integer(1)?,
                request: row.bytes(2)?.to_vec(),
                response: row.bytes(3)?.to_vec(),
            })
        });
        exchange.transpose()
    }

    /// The exchanges of a workspace, in pages.
    pub async fn list(
        &self,
        workspace: &WorkspaceId,
        page: &Page,
    ) -> Result<Listed<ExchangeHead>, Error> {
        let listing = Listing {
            kind: "request",
            table: "replay",
            columns: "id, created_at, bytes",
            sorted_by: "created_at",
            scope: Some(("workspace", Value::from(workspace))),
            equal: Vec::new(),
            except: None,
        };
        let head = |row: &Row| {
            Ok(ExchangeHead {
                id: row.text(0)?.into(),
                created_at: row.integer(1)?,
                bytes: row.count(2)?,
            })
        };
        listing.read(&self.database, page, head).await
    }
}
