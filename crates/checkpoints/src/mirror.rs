//! A copy of a workspace's files as they were when last looked at, in a database of its own: what a file
//! held before it changed is found here. A cache: what is damaged is begun anew.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicU64;
use std::time::{SystemTime, UNIX_EPOCH};

use quire_protocol::FileKind;
use rusqlite::{Connection, OptionalExtension as _, Transaction, TransactionBehavior};

use crate::files::{Content, Hash, Spot};
use crate::scan::{Found, Knowledge, Known, LARGEST, Stamp, Unfit};
use crate::unrecorded;

const SCHEMA: &str = "
    PRAGMA journal_mode = WAL;
    PRAGMA synchronous = OFF;
    PRAGMA cache_size = -1024;
    CREATE TABLE IF NOT EXISTS files (
        id INTEGER PRIMARY KEY,
        path TEXT NOT NULL UNIQUE,
        kind INTEGER NOT NULL,
        size INTEGER NOT NULL,
        modified_ns INTEGER NOT NULL,
        changed_ns INTEGER NOT NULL,
        number INTEGER NOT NULL,
        fresh INTEGER NOT NULL,
        hash BLOB NOT NULL
    ) STRICT;
    CREATE TABLE IF NOT EXISTS contents (id INTEGER PRIMARY KEY, bytes BLOB NOT NULL) STRICT;
    CREATE TABLE IF NOT EXISTS settled (once INTEGER PRIMARY KEY) STRICT;
";
/// Bytes that are written in one commit, and that are held between a look and its note.
const BATCH: u64 = 64 << 20;
/// A file that was written so shortly before it was read may have been written again with the same
/// times: clocks of file systems tick slowly.
const FRESH_NS: i64 = 50_000_000;
/// How long another process that writes is waited for.
const PATIENCE: std::time::Duration = std::time::Duration::from_secs(10);

/// What can go wrong with a mirror.
pub(crate) enum Fault {
    Unfit(Unfit),
    Database(rusqlite::Error),
    /// A content does not match its hash.
    Damaged,
    /// Versions could not be kept elsewhere.
    Told(String),
}

impl From<Unfit> for Fault {
    fn from(unfit: Unfit) -> Self {
        Self::Unfit(unfit)
    }
}

impl From<rusqlite::Error> for Fault {
    fn from(error: rusqlite::Error) -> Self {
        Self::Database(error)
    }
}

/// A file that changed.
pub(crate) struct Change {
    pub(crate) path: String,
    pub(crate) before: Option<Content>,
    pub(crate) after: Option<Content>,
    /// When it changed last, in nanoseconds since the Unix epoch, where that is known.
    pub(crate) at_ns: Option<i64>,
}

/// What a look found, to be noted.
struct Pending {
    path: String,
    /// Nothing for a file that is gone.
    now: Option<(Known, Option<Content>)>,
}

/// The mirror of a workspace.
pub(crate) struct Mirror {
    workspace: PathBuf,
    connection: Connection,
    knowledge: Knowledge,
    pending: Vec<Pending>,
    is_settled: bool,
}

impl Mirror {
    /// Opens the mirror of a workspace in a file, or begins one.
    pub(crate) fn open(workspace: &Path, file: &Path) -> Result<Self, Fault> {
        match Self::load(workspace, file) {
            Err(Fault::Database(error)) if is_damage(&error) => {
                discard(file);
                Self::load(workspace, file)
            }
            opened => opened,
        }
    }

    fn load(workspace: &Path, file: &Path) -> Result<Self, Fault> {
        // Only its owner may read it.
        let mut options = fs::File::options();
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let made = options.create(true).append(true).open(file);
        made.map_err(|error| Fault::Unfit(Unfit::Failed(error)))?;
        let connection = Connection::open(file)?;
        connection.busy_timeout(PATIENCE)?;
        connection.execute_batch(SCHEMA)?;
        connection.execute_batch(unrecorded::SCHEMA)?;
        let mut knowledge = Knowledge::default();
        {
            let mut rows = connection.prepare(
                "SELECT path, kind, size, modified_ns, changed_ns, number, fresh, hash FROM files",
            )?;
            let mut rows = rows.query([])?;
            while let Some(row) = rows.next()? {
                let known = Known {
                    stamp: Stamp {
                        kind: kind_of(row.get(1)?),
                        size: row.get::<_, i64>(2)?.cast_unsigned(),
                        modified_ns: row.get(3)?,
                        changed_ns: row.get(4)?,
                        number: row.get::<_, i64>(5)?.cast_unsigned(),
                    },
                    is_fresh: row.get(6)?,
                    hash: row.get(7)?,
                    seen: AtomicU64::new(0),
                };
                knowledge.learn(row.get(0)?, known);
            }
        }
        let settled = connection.query_row("SELECT once FROM settled", [], |_| Ok(()));
        Ok(Self {
            workspace: workspace.to_owned(),
            is_settled: settled.optional()?.is_some(),
            connection,
            knowledge,
            pending: Vec::new(),
        })
    }

    /// What sessions would lose with the process, read or written.
    pub(crate) fn with_unrecorded<T>(
        &self,
        work: impl FnOnce(&Connection) -> rusqlite::Result<T>,
    ) -> Result<T, Fault> {
        Ok(work(&self.connection)?)
    }

    /// Takes what is there for what is known.
    pub(crate) fn settle(&mut self) -> Result<(), Fault> {
        self.pending.clear();
        let Found { candidates, gone } = self.knowledge.scan(&self.workspace)?;
        let (mut batch, mut bytes) = (Vec::new(), 0);
        for path in gone {
            batch.push(Pending { path, now: None });
        }
        for (path, stamp) in candidates {
            let Some((known, content)) = self.examine(&path, stamp) else {
                continue;
            };
            bytes += content
                .as_ref()
                .map_or(0, |content| content.bytes.len() as u64);
            let now = Some((known, content));
            batch.push(Pending { path, now });
            if bytes >= BATCH {
                self.write(std::mem::take(&mut batch))?;
                bytes = 0;
            }
        }
        self.write(batch)?;
        if !self.is_settled {
            self.connection
                .execute("INSERT OR IGNORE INTO settled VALUES (1)", [])?;
            self.is_settled = true;
        }
        Ok(())
    }

    /// Hands on what changed since the last look. Nothing of it is known before it is noted.
    pub(crate) fn look(
        &mut self,
        mut each: impl FnMut(Change) -> Result<(), Fault>,
    ) -> Result<(), Fault> {
        if !self.is_settled {
            return self.settle();
        }
        self.pending.clear();
        let Found { candidates, gone } = self.knowledge.scan(&self.workspace)?;
        let mut held = 0;
        for path in gone {
            let before = self.kept(&path)?;
            if before.is_some() {
                each(Change {
                    path: path.clone(),
                    before,
                    after: None,
                    at_ns: None,
                })?;
            }
            self.pending.push(Pending { path, now: None });
        }
        for (path, stamp) in candidates {
            let Some((known, content)) = self.examine(&path, stamp) else {
                continue;
            };
            let mut content = content;
            if let Some(after) = &content {
                let before = self.kept(&path)?;
                // Another process may have noted it already.
                if before.as_ref() != Some(after) {
                    let after = Some(after.clone());
                    each(Change {
                        path: path.clone(),
                        before,
                        after,
                        at_ns: Some(stamp.modified_ns.max(stamp.changed_ns)),
                    })?;
                }
                held += content
                    .as_ref()
                    .map_or(0, |content| content.bytes.len() as u64);
                content = content.filter(|_| held < BATCH);
            }
            self.pending.push(Pending {
                path,
                now: Some((known, content)),
            });
        }
        Ok(())
    }

    /// What the last look found is known from here on.
    pub(crate) fn note(&mut self) -> Result<(), Fault> {
        let pending = std::mem::take(&mut self.pending);
        if pending.is_empty() {
            return Ok(());
        }
        self.write(pending)
    }

    /// What is to be known of a file, and what it holds if that differs; nothing if it cannot be read,
    /// or went away.
    fn examine(&self, path: &str, stamp: Stamp) -> Option<(Known, Option<Content>)> {
        let now_ns = now_ns();
        let spot = Spot::find(&self.workspace, path).ok()??;
        let content = spot.read(LARGEST).ok()??;
        let hash = content.hash();
        let age = now_ns.saturating_sub(stamp.modified_ns.max(stamp.changed_ns));
        // What was written between the look from outside and the reading is looked at again.
        let is_fresh = age < FRESH_NS || stamp.size != content.bytes.len() as u64;
        let known = Known {
            stamp: Stamp {
                kind: content.kind,
                ..stamp
            },
            hash,
            is_fresh,
            seen: AtomicU64::new(0),
        };
        let same = self
            .knowledge
            .files
            .get(path)
            .is_some_and(|before| before.hash == hash && before.stamp.kind == content.kind);
        Some((known, (!same).then_some(content)))
    }

    /// What a file held when it was last known.
    fn kept(&self, path: &str) -> Result<Option<Content>, Fault> {
        let mut statement = self.connection.prepare_cached(
            "SELECT f.kind, f.hash, c.bytes FROM files f JOIN contents c ON c.id = f.id
             WHERE f.path = ?1",
        )?;
        let found = statement.query_row([path], |row| {
            let content = Content {
                kind: kind_of(row.get(0)?),
                bytes: row.get(2)?,
            };
            Ok((row.get::<_, Hash>(1)?, content))
        });
        match found.optional()? {
            Some((hash, content)) if content.hash() != hash => Err(Fault::Damaged),
            found => Ok(found.map(|(_, content)| content)),
        }
    }

    fn write(&mut self, batch: Vec<Pending>) -> Result<(), Fault> {
        if batch.is_empty() {
            return Ok(());
        }
        let transaction =
            Transaction::new_unchecked(&self.connection, TransactionBehavior::Immediate)?;
        for Pending { path, now } in &batch {
            match now {
                None => remove(&transaction, path)?,
                Some((known, Some(content))) => replace(&transaction, path, known, content)?,
                Some((known, None)) => {
                    let same = self.knowledge.files.get(path).is_some_and(|before| {
                        before.hash == known.hash && before.stamp.kind == known.stamp.kind
                    });
                    if same {
                        restamp(&transaction, path, known)?;
                    }
                }
            }
        }
        transaction.commit()?;
        for Pending { path, now } in batch {
            match now {
                None => drop(self.knowledge.files.remove(&path)),
                Some((known, Some(_))) => self.knowledge.learn(path, known),
                Some((known, None)) => {
                    // What was too much to hold is found again by the next look.
                    if let Some(before) = self.knowledge.files.get_mut(&path)
                        && before.hash == known.hash
                    {
                        *before = known;
                    }
                }
            }
        }
        Ok(())
    }
}

fn remove(connection: &Connection, path: &str) -> rusqlite::Result<()> {
    let mut statement =
        connection.prepare_cached("DELETE FROM files WHERE path = ?1 RETURNING id")?;
    let id: Option<i64> = statement.query_row([path], |row| row.get(0)).optional()?;
    if let Some(id) = id {
        connection
            .prepare_cached("DELETE FROM contents WHERE id = ?1")?
            .execute([id])?;
    }
    Ok(())
}

fn replace(
    connection: &Connection,
    path: &str,
    known: &Known,
    content: &Content,
) -> rusqlite::Result<()> {
    let mut statement = connection.prepare_cached(
        "INSERT INTO files (path, kind, size, modified_ns, changed_ns, number, fresh, hash)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)
         ON CONFLICT (path) DO UPDATE SET (kind, size, modified_ns, changed_ns, number, fresh, hash)
             = (excluded.kind, excluded.size, excluded.modified_ns, excluded.changed_ns,
                excluded.number, excluded.fresh, excluded.hash)
         RETURNING id",
    )?;
    let Known {
        stamp,
        hash,
        is_fresh,
        ..
    } = known;
    let id: i64 = statement.query_row(
        (
            path,
            number_of(stamp.kind),
            stamp.size.cast_signed(),
            stamp.modified_ns,
            stamp.changed_ns,
            stamp.number.cast_signed(),
            is_fresh,
            hash,
        ),
        |row| row.get(0),
    )?;
    let mut statement =
        connection.prepare_cached("INSERT OR REPLACE INTO contents VALUES (?1, ?2)")?;
    statement.execute((id, &content.bytes))?;
    Ok(())
}

fn restamp(connection: &Connection, path: &str, known: &Known) -> rusqlite::Result<()> {
    let mut statement = connection.prepare_cached(
        "UPDATE files SET size = ?2, modified_ns = ?3, changed_ns = ?4, number = ?5, fresh = ?6
         WHERE path = ?1 AND hash = ?7",
    )?;
    let Known {
        stamp,
        hash,
        is_fresh,
        ..
    } = known;
    statement.execute((
        path,
        stamp.size.cast_signed(),
        stamp.modified_ns,
        stamp.changed_ns,
        stamp.number.cast_signed(),
        is_fresh,
        hash,
    ))?;
    Ok(())
}

pub(crate) fn kind_of(number: i64) -> FileKind {
    match number {
        4 => FileKind::PrivateExecutable,
        3 => FileKind::Private,
        2 => FileKind::Link,
        1 => FileKind::Executable,
        _ => FileKind::Plain,
    }
}

pub(crate) fn number_of(kind: FileKind) -> i64 {
    match kind {
        FileKind::Plain => 0,
        FileKind::Executable => 1,
        FileKind::Link => 2,
        FileKind::Private => 3,
        FileKind::PrivateExecutable => 4,
    }
}

/// Whether a database cannot be used any more.
pub(crate) fn is_damage(error: &rusqlite::Error) -> bool {
    matches!(
        error.sqlite_error_code(),
        Some(rusqlite::ErrorCode::DatabaseCorrupt | rusqlite::ErrorCode::NotADatabase)
    )
}

/// Removes a mirror.
pub(crate) fn discard(file: &Path) {
    for end in ["", "-wal", "-shm"] {
        let mut name = file.as_os_str().to_owned();
        name.push(end);
        match fs::remove_file(&name) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return,
            _ => {}
        }
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "whether a file was written a moment ago is a question of the clock"
)]
pub(crate) fn now_ns() -> i64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| {
            i64::try_from(since.as_nanos()).unwrap_or(i64::MAX)
        })
}
