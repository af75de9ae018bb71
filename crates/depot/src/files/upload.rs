//! A file on its way in.

use super::content::CHUNK_BYTES;
use super::{Files, StoredFile};
use crate::{Error, Statement, Value, WorkspaceId};

/// A file that is being taken. Nobody sees it before [`Upload::finish`]; one that is dropped before is
/// cleared away by [`Files::sweep`].
#[derive(Debug)]
pub struct Upload {
    files: Files,
    workspace: WorkspaceId,
    file: StoredFile,
    /// What the workspace's other files took when this began.
    used: u64,
    quota: Option<u64>,
    /// What was not written yet: less than a chunk.
    rest: Vec<u8>,
    /// How many chunks were written.
    chunks: u64,
}

impl Upload {
    pub(super) fn new(
        files: Files,
        workspace: WorkspaceId,
        file: StoredFile,
        used: u64,
        quota: Option<u64>,
    ) -> Self {
        Self {
            files,
            workspace,
            file: StoredFile {
                size_bytes: 0,
                ..file
            },
            used,
            quota,
            rest: Vec::new(),
            chunks: 0,
        }
    }

    /// Says what it is for.
    pub fn set_purpose(&mut self, purpose: &str) {
        purpose.clone_into(&mut self.file.purpose);
    }

    /// Says when it is deleted.
    pub fn set_expiry(&mut self, at: i64) {
        self.file.expires_at = Some(at);
    }

    /// Takes more of its content. After an error the upload is of no use any more.
    pub async fn write(&mut self, mut bytes: &[u8]) -> Result<(), Error> {
        self.file.size_bytes += bytes.len() as u64;
        if self
            .quota
            .is_some_and(|quota| self.used + self.file.size_bytes > quota)
        {
            return Err(self.full(self.used));
        }
        while !bytes.is_empty() {
            let room = CHUNK_BYTES - self.rest.len();
            let (now, later) = bytes.split_at(room.min(bytes.len()));
            self.rest.extend_from_slice(now);
            bytes = later;
            if self.rest.len() == CHUNK_BYTES {
                self.write_chunk().await?;
            }
        }
        Ok(())
    }

    /// Ends the upload: from now on the file is there.
    pub async fn finish(mut self) -> Result<StoredFile, Error> {
        if !self.rest.is_empty() {
            self.write_chunk().await?;
        }
        let files = &self.files;
        files.content.seal(&self.file.id, self.chunks).await?;
        let size = Value::from(self.file.size_bytes);
        let quota = self.quota.unwrap_or(u64::MAX);
        let first =
            "INSERT INTO file_storage (workspace, bytes) VALUES ($1, 0) ON CONFLICT DO NOTHING";
        let more = "UPDATE file_storage SET bytes = bytes + $1 \
                    WHERE workspace = $2 AND bytes <= CAST($3 AS BIGINT) - $1";
        let kept = "UPDATE files SET state = 'kept', size_bytes = $1, purpose = $2, expires_at = $3 \
                    WHERE id = $4 AND workspace = $5 AND state = 'uploading'";
        let statements = vec![
            Statement::new(first).bind(&self.workspace),
            Statement::new(more)
                .bind(size.clone())
                .bind(&self.workspace)
                .bind(quota)
                .needs_a_row(),
            Statement::new(kept)
                .bind(size)
                .bind(self.file.purpose.as_str())
                .bind(self.file.expires_at)
                .bind(&self.file.id)
                .bind(&self.workspace)
                .needs_a_row(),
        ];
        match files.database.transact(statements).await {
            Ok(_) => Ok(self.file),
            Err(Error::Unmet(1)) => {
                let used = files.used(&self.workspace).await?;
                files.erase(&self.file.id).await?;
                Err(self.full(used))
            }
            Err(error) => Err(error.unmet(|_| {
                let id = &self.file.id;
                Error::Refused(format!("the upload of `{id}` took too long; send it again"))
            })),
        }
    }

    /// Gives the upload up and deletes what was written.
    pub async fn abandon(self) -> Result<(), Error> {
        self.files.erase(&self.file.id).await
    }

    async fn write_chunk(&mut self) -> Result<(), Error> {
        let chunk = std::mem::take(&mut self.rest);
        let files = &self.files;
        files
            .content
            .write(&files.database, &self.file.id, self.chunks, chunk)
            .await?;
        self.chunks += 1;
        Ok(())
    }

    fn full(&self, used: u64) -> Error {
        Error::Full {
            needed: self.file.size_bytes,
            used,
            quota: self.quota.unwrap_or(u64::MAX),
        }
    }
}
