//! Where the bytes of files lie: in a folder beside the database, or in the database when several servers
//! share it. Chunks of a megabyte either way.

use std::fs;
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::StoredFile;
use crate::{Database, Error, FileId, Statement};

/// The length of every chunk but the last.
pub(super) const CHUNK_BYTES: usize = 1024 * 1024;

/// Where the bytes of files lie.
#[derive(Clone, Debug)]
pub(crate) enum Content {
    /// One file each, in this folder.
    Folder(Arc<Path>),
    /// Rows of the database.
    Database,
}

impl Content {
    /// Writes the next chunk of a file that is being taken.
    pub(super) async fn write(
        &self,
        database: &Database,
        id: &FileId,
        number: u64,
        chunk: Vec<u8>,
    ) -> Result<(), Error> {
        match self {
            Self::Folder(folder) => {
                let (folder, part) = (Arc::clone(folder), part(folder, id));
                blocking(move || append(&folder, &part, number, &chunk)).await
            }
            Self::Database => {
                let insert = "INSERT INTO file_chunks (file, number, bytes) VALUES ($1, $2, $3)";
                let insert = Statement::new(insert).bind(id).bind(number).bind(chunk);
                database.execute(insert).await.map(drop)
            }
        }
    }

    /// Makes what was written survive a power cut, under its own name.
    pub(super) async fn seal(&self, id: &FileId, chunks: u64) -> Result<(), Error> {
        let Self::Folder(folder) = self else {
            return Ok(());
        };
        if chunks == 0 {
            return Ok(());
        }
        let (folder, part, whole) = (Arc::clone(folder), part(folder, id), whole(folder, id));
        blocking(move || {
            let file = fs::File::open(&part).map_err(Error::disk(&part))?;
            file.sync_all().map_err(Error::disk(&part))?;
            fs::rename(&part, &whole).map_err(Error::disk(&whole))?;
            let synced = fs::File::open(&folder).and_then(|folder| folder.sync_all());
            synced.map_err(Error::disk(&folder))
        })
        .await
    }

    /// Begins to read a file.
    pub(super) async fn open(
        &self,
        database: &Database,
        file: &StoredFile,
    ) -> Result<FileReader, Error> {
        let source = match self {
            // Nothing was ever written of an empty file.
            Self::Folder(_) if file.size_bytes == 0 => Source::Empty,
            Self::Folder(folder) => {
                let path = whole(folder, &file.id);
                let opened = blocking(move || fs::File::open(&path).map_err(Error::disk(&path)));
                Source::File(opened.await?)
            }
            Self::Database => Source::Rows {
                database: database.clone(),
                next: 0,
            },
        };
        Ok(FileReader {
            id: file.id.clone(),
            left: file.size_bytes,
            source,
        })
    }

    /// Deletes what there is of a file.
    pub(super) async fn delete(&self, database: &Database, id: &FileId) -> Result<(), Error> {
        match self {
            Self::Folder(folder) => {
                let paths = [part(folder, id), whole(folder, id)];
                blocking(move || paths.iter().try_for_each(|path| remove(path))).await
            }
            Self::Database => {
                let delete = Statement::new("DELETE FROM file_chunks WHERE file = $1").bind(id);
                database.execute(delete).await.map(drop)
            }
        }
    }
}

fn whole(folder: &Path, id: &FileId) -> PathBuf {
    folder.join(id.as_str())
}

fn part(folder: &Path, id: &FileId) -> PathBuf {
    folder.join(format!("{id}.part"))
}

fn append(folder: &Path, part: &Path, number: u64, chunk: &[u8]) -> Result<(), Error> {
    let mut options = fs::OpenOptions::new();
    options.append(true).mode(0o600).create(number == 0);
    if number == 0 {
        let mut builder = fs::DirBuilder::new();
        let made = builder.recursive(true).mode(0o700).create(folder);
        made.map_err(Error::disk(folder))?;
    }
    let mut file = options.open(part).map_err(Error::disk(part))?;
    file.write_all(chunk).map_err(Error::disk(part))
}

fn remove(path: &Path) -> Result<(), Error> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(Error::disk(path)(error)),
        Ok(()) | Err(_) => Ok(()),
    }
}

/// Work on a thread where waiting for a disk holds up nobody.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, Error> + Send + 'static,
) -> Result<T, Error> {
    let done = tokio::task::spawn_blocking(work).await;
    done.unwrap_or_else(|_| Err(Error::Unavailable("work on a file was given up".to_owned())))
}

/// The content of a file, piece by piece.
#[derive(Debug)]
pub struct FileReader {
    id: FileId,
    left: u64,
    source: Source,
}

#[derive(Debug)]
enum Source {
    Empty,
    File(fs::File),
    Rows { database: Database, next: u64 },
}

impl FileReader {
    /// The next piece, of a megabyte at most; `None` at the end. A file that is deleted meanwhile may end
    /// with an error, and never looks as if it were complete.
    pub async fn next(&mut self) -> Result<Option<Vec<u8>>, Error> {
        if self.left == 0 {
            return Ok(None);
        }
        let chunk = match &mut self.source {
            Source::Empty => Vec::new(),
            Source::File(file) => {
                let handle = file
                    .try_clone()
                    .map_err(Error::disk(Path::new(self.id.as_str())))?;
                let id = self.id.clone();
                blocking(move || {
                    let mut chunk = Vec::with_capacity(CHUNK_BYTES);
                    let read = handle.take(CHUNK_BYTES as u64).read_to_end(&mut chunk);
                    read.map_err(Error::disk(Path::new(id.as_str())))?;
                    Ok(chunk)
                })
                .await?
            }
            Source::Rows { database, next } => {
                let asked = "SELECT bytes FROM file_chunks WHERE file = $1 AND number = $2";
                let asked = Statement::new(asked).bind(&self.id).bind(*next);
                *next += 1;
                let rows = database.query(asked).await?;
                rows.first()
                    .map_or(Ok(Vec::new()), |row| row.bytes(0).map(<[u8]>::to_vec))?
            }
        };
        if chunk.is_empty() || chunk.len() as u64 > self.left {
            return Err(Error::Damaged(format!(
                "the content of the file `{}` is not as long as it was",
                self.id
            )));
        }
        self.left -= chunk.len() as u64;
        Ok(Some(chunk))
    }
}
