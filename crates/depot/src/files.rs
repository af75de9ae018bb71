//! Files that clients upload: what is known of them, and their bytes, in pieces of a megabyte at most so
//! that none is ever in memory whole. Where the bytes lie (a folder, or the database that servers share)
//! is nobody's business but `content`'s.

mod content;
mod upload;

pub(crate) use content::Content;

use crate::page::Listing;
use crate::{Database, Error, FileId, Listed, Page, Row, Statement, Value, WorkspaceId};

pub use content::FileReader;
pub use upload::Upload;

/// What is known of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredFile {
    /// Its id.
    pub id: FileId,
    /// Its name, as the client sent it.
    pub filename: String,
    /// Its type, as the client sent it.
    pub mime_type: String,
    /// What it is for, where an API asks; otherwise empty.
    pub purpose: String,
    /// Whether its content may be fetched.
    pub downloadable: bool,
    /// How long it is.
    pub size_bytes: u64,
    /// When it was made.
    pub created_at: i64,
    /// When it is deleted.
    pub expires_at: Option<i64>,
}

/// Files.
#[derive(Clone, Debug)]
pub struct Files {
    database: Database,
    content: Content,
}

const COLUMNS: &str =
    "id, filename, mime_type, purpose, downloadable, size_bytes, created_at, expires_at";

impl Files {
    pub(crate) fn new(database: Database, content: Content) -> Self {
        Self { database, content }
    }

    /// Begins to take a file for a workspace. Its size is what is written; together with the workspace's
    /// other files it may not exceed the quota. An id is of letters, digits, `_` and `-`.
    pub async fn upload(
        &self,
        workspace: &WorkspaceId,
        file: StoredFile,
        quota: Option<u64>,
    ) -> Result<Upload, Error> {
        check_id(&file.id)?;
        let used = self.used(workspace).await?;
        let values = vec![
            Value::from(&file.id),
            Value::from(&file.filename),
            Value::from(&file.mime_type),
            Value::from(&file.purpose),
            file.downloadable.into(),
            0_u64.into(),
            file.created_at.into(),
            file.expires_at.into(),
            Value::from(workspace),
            "uploading".into(),
        ];
        let insert = Statement::rows(
            &format!("INSERT INTO files ({COLUMNS}, workspace, state)"),
            "",
            vec![values],
            "ON CONFLICT DO NOTHING",
        );
        if self.database.execute(insert).await? == 0 {
            let id = file.id.to_string();
            return Err(Error::Exists { kind: "file", id });
        }
        Ok(Upload::new(
            self.clone(),
            workspace.clone(),
            file,
            used,
            quota,
        ))
    }

    /// One file of a workspace.
    pub async fn get(
        &self,
        workspace: &WorkspaceId,
        id: &FileId,
    ) -> Result<Option<StoredFile>, Error> {
        let sql = format!(
            "SELECT {COLUMNS} FROM files WHERE id = $1 AND workspace = $2 AND state = 'kept'"
        );
        let asked = Statement::new(sql).bind(id).bind(workspace);
        let rows = self.database.query(asked).await?;
        rows.first().map(file).transpose()
    }

    /// One file of a workspace, and its content to be read.
    pub async fn open(
        &self,
        workspace: &WorkspaceId,
        id: &FileId,
    ) -> Result<Option<(StoredFile, FileReader)>, Error> {
        let Some(file) = self.get(workspace, id).await? else {
            return Ok(None);
        };
        let reader = self.content.open(&self.database, &file).await?;
        Ok(Some((file, reader)))
    }

    /// The files of a workspace in pages, all or those for one purpose.
    pub async fn list(
        &self,
        workspace: &WorkspaceId,
        purpose: Option<&str>,
        page: &Page,
    ) -> Result<Listed<StoredFile>, Error> {
        let mut equal = vec![("state", Value::from("kept"))];
        equal.extend(purpose.map(|purpose| ("purpose", Value::from(purpose))));
        let listing = Listing {
            kind: "file",
            table: "files",
            columns: COLUMNS,
            sorted_by: "created_at",
            scope: Some(("workspace", workspace.into())),
            equal,
            except: None,
        };
        listing.read(&self.database, page, file).await
    }

    /// How many bytes the files of a workspace take.
    pub async fn used(&self, workspace: &WorkspaceId) -> Result<u64, Error> {
        let asked = Statement::new("SELECT bytes FROM file_storage WHERE workspace = $1");
        let rows = self.database.query(asked.bind(workspace)).await?;
        rows.first().map_or(Ok(0), |row| row.count(0))
    }

    /// Deletes a file of a workspace and its content.
    pub async fn delete(&self, workspace: &WorkspaceId, id: &FileId) -> Result<(), Error> {
        let gone = "UPDATE files SET state = 'deleted' \
                    WHERE id = $1 AND workspace = $2 AND state = 'kept' RETURNING size_bytes";
        let less = "UPDATE file_storage SET bytes = bytes - \
                    (SELECT size_bytes FROM files WHERE id = $1) WHERE workspace = $2";
        let statements = vec![
            Statement::new(gone).bind(id).bind(workspace).needs_a_row(),
            Statement::new(less).bind(id).bind(workspace),
        ];
        let done = self.database.transact(statements).await;
        done.map_err(|error| {
            error.unmet(|_| Error::Missing {
                kind: "file",
                id: id.to_string(),
            })
        })?;
        self.erase(id).await
    }

    /// Deletes at most so many files that have expired and says how many. Call it every second or so.
    pub async fn expire(&self, now: i64, most: u32) -> Result<u64, Error> {
        let asked = "SELECT workspace, id FROM files \
                     WHERE expires_at <= $1 AND state = 'kept' ORDER BY expires_at LIMIT $2";
        let rows = self
            .database
            .query(Statement::new(asked).bind(now).bind(most))
            .await?;
        let mut count = 0;
        for row in &rows {
            match self
                .delete(&row.text(0)?.into(), &row.text(1)?.into())
                .await
            {
                Ok(()) => count += 1,
                // Another server was faster.
                Err(Error::Missing { .. }) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(count)
    }

    /// Clears away at most so many uploads that began before a time and never ended, and what a server
    /// that died did not delete to the end.
    pub async fn sweep(&self, began_before: i64, most: u32) -> Result<u64, Error> {
        let asked = "SELECT id FROM files WHERE state <> 'kept' AND created_at < $1 \
                     ORDER BY created_at LIMIT $2";
        let asked = Statement::new(asked).bind(began_before).bind(most);
        let rows = self.database.query(asked).await?;
        for row in &rows {
            self.erase(&row.text(0)?.into()).await?;
        }
        Ok(rows.len() as u64)
    }

    /// Deletes the content of a file that is not kept, then the row by which it is found.
    async fn erase(&self, id: &FileId) -> Result<(), Error> {
        // First it is made sure that no upload ends meanwhile.
        let closed = "UPDATE files SET state = 'deleted' WHERE id = $1 AND state <> 'kept'";
        if self
            .database
            .execute(Statement::new(closed).bind(id))
            .await?
            == 0
        {
            return Ok(());
        }
        self.content.delete(&self.database, id).await?;
        let row = "DELETE FROM files WHERE id = $1 AND state = 'deleted'";
        self.database.execute(Statement::new(row).bind(id)).await?;
        Ok(())
    }
}

/// Ids become names of files.
fn check_id(id: &FileId) -> Result<(), Error> {
    let plain = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
    let text = id.as_str();
    if (1..=128).contains(&text.len()) && text.chars().all(plain) {
        return Ok(());
    }
    Err(Error::Refused(format!(
        "`{text}` cannot be the id of a file: make it of at most 128 letters, digits, `_` and `-`"
    )))
}

fn file(row: &Row) -> Result<StoredFile, Error> {
    Ok(StoredFile {
        id: row.text(0)?.into(),
        filename: row.text(1)?.to_owned(),
        mime_type: row.text(2)?.to_owned(),
        purpose: row.text(3)?.to_owned(),
        downloadable: row.truth(4)?,
        size_bytes: row.count(5)?,
        created_at: row.integer(6)?,
        expires_at: row.maybe_integer(7)?,
    })
}
