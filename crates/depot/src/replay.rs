//! The replay log: requests as they came, kept for debugging where somebody asked for it, and only as many of them as
//! there is room for. It is for whoever runs the server: no workspace reads it.

use crate::{Database, Error, KeyId, RequestId, Row, Statement, WorkspaceId};

/// A request as it came, without its key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeptRequest {
    /// What a list shows of it.
    pub head: KeptHead,
    /// Another path of its API than that for answers.
    pub path: Option<String>,
    /// Its headers, as the caller writes them.
    pub headers: String,
    /// Its body.
    pub body: Vec<u8>,
}

/// What a list shows of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeptHead {
    /// Its id.
    pub id: RequestId,
    /// When it was made.
    pub created_at: i64,
    /// For which workspace.
    pub workspace: WorkspaceId,
    /// With which key: its id.
    pub key: KeyId,
    /// The API by which it came.
    pub api: String,
    /// The model that was asked for.
    pub model: String,
    /// How long its body is.
    pub body_bytes: u64,
}

/// How much is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Room {
    /// So many bytes, those beside bodies included.
    pub bytes: u64,
    /// So many requests.
    pub count: u64,
    /// None that were made before this time.
    pub since: i64,
}

impl Room {
    /// None at all.
    pub const NONE: Self = Self {
        bytes: 0,
        count: 0,
        since: i64::MAX,
    };
}

/// What a request takes besides its body and its headers, about, in bytes.
const BESIDES: u64 = 1_024;

/// The columns of a head.
const HEAD: &str = "id, created_at, workspace, api_key, api, model, body_bytes";

impl KeptRequest {
    /// What it takes of the room, in bytes.
    pub fn bytes(&self) -> u64 {
        (self.body.len() + self.headers.len()) as u64 + BESIDES
    }
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

    /// Keeps requests, all or none.
    pub async fn add(&self, requests: &[KeptRequest]) -> Result<(), Error> {
        let insert = format!(
            "INSERT INTO replay ({HEAD}, path, headers, body, bytes) \
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11) ON CONFLICT DO NOTHING"
        );
        let inserts = requests.iter().map(|request| {
            let head = &request.head;
            Statement::new(insert.clone())
                .bind(&head.id)
                .bind(head.created_at)
                .bind(&head.workspace)
                .bind(&head.key)
                .bind(&head.api)
                .bind(&head.model)
                .bind(head.body_bytes)
                .bind(request.path.as_deref())
                .bind(&request.headers)
                .bind(request.body.as_slice())
                .bind(request.bytes())
        });
        self.database.transact(inserts.collect()).await.map(drop)
    }

    /// Deletes what there is no room for, the oldest first, and says how many were deleted. Call it every minute or so.
    pub async fn trim(&self, room: Room) -> Result<u64, Error> {
        let newer = "OVER (ORDER BY created_at DESC, id DESC)";
        let delete = format!(
            "DELETE FROM replay WHERE created_at < $1 OR id IN (SELECT id FROM (SELECT id, \
             SUM(bytes) {newer} AS held, ROW_NUMBER() {newer} AS place FROM replay) AS all_of_them \
             WHERE held > CAST($2 AS BIGINT) OR place > CAST($3 AS BIGINT))"
        );
        let delete = Statement::new(delete)
            .bind(room.since)
            .bind(room.bytes)
            .bind(room.count);
        self.database.execute(delete).await
    }

    /// One request.
    pub async fn get(&self, id: &RequestId) -> Result<Option<KeptRequest>, Error> {
        let asked = format!("SELECT {HEAD}, path, headers, body FROM replay WHERE id = $1");
        let rows = self.database.query(Statement::new(asked).bind(id)).await?;
        let request = rows.first().map(|row| {
            Ok(KeptRequest {
                head: head(row)?,
                path: row.maybe_text(7)?.map(str::to_owned),
                headers: row.text(8)?.to_owned(),
                body: row.bytes(9)?.to_vec(),
            })
        });
        request.transpose()
    }

    /// The newest ones, at most so many, the newest first.
    pub async fn newest(&self, most: u32) -> Result<Vec<KeptHead>, Error> {
        let asked = format!(
            "SELECT {HEAD} FROM replay ORDER BY created_at DESC, id DESC LIMIT CAST($1 AS BIGINT)"
        );
        let rows = self
            .database
            .query(Statement::new(asked).bind(most))
            .await?;
        rows.iter().map(head).collect()
    }
}

fn head(row: &Row) -> Result<KeptHead, Error> {
    Ok(KeptHead {
        id: row.text(0)?.into(),
        created_at: row.integer(1)?,
        workspace: row.text(2)?.into(),
        key: row.text(3)?.into(),
        api: row.text(4)?.to_owned(),
        model: row.text(5)?.to_owned(),
        body_bytes: row.count(6)?,
    })
}
