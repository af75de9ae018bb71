//! The depot as a whole: a database, and by what each part of it is reached.

use std::fmt;
use std::path::PathBuf;

use crate::files::Content;
use crate::{
    Access, Batches, Conversations, Database, Debts, Error, Files, Metering, Replay, Responses,
};

/// Where a depot lies.
#[derive(Clone, PartialEq, Eq)]
pub enum Place {
    /// A folder of this machine: `depot.db` (SQLite) and `files/` in it. It is created if need be.
    Folder(PathBuf),
    /// `postgres://user:password@host:port/database?sslmode=require`; several servers may share it.
    Postgres(String),
}

impl fmt::Debug for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Folder(folder) => f.debug_tuple("Folder").field(folder).finish(),
            // There is a password in it.
            Self::Postgres(_) => f.write_str("Postgres(…)"),
        }
    }
}

/// What the developer platform keeps. Clones are handles of the same depot.
#[derive(Clone, Debug)]
pub struct Depot {
    database: Database,
    content: Content,
}

impl Depot {
    /// Opens a depot and brings its schema up to date; several processes may do so at once.
    pub async fn open(place: &Place) -> Result<Self, Error> {
        let (database, content) = match place {
            Place::Folder(folder) => (
                Database::open_sqlite(&folder.join("depot.db")).await?,
                Content::Folder(folder.join("files").into()),
            ),
            Place::Postgres(url) => (Database::connect_postgres(url).await?, Content::Database),
        };
        Ok(Self { database, content })
    }

    /// Organisations, workspaces and keys.
    pub fn access(&self) -> Access {
        Access::new(self.database.clone())
    }

    /// What was used and what it cost.
    pub fn metering(&self) -> Metering {
        Metering::new(self.database.clone())
    }

    /// Files that clients upload.
    pub fn files(&self) -> Files {
        Files::new(self.database.clone(), self.content.clone())
    }

    /// Batches of requests.
    pub fn batches(&self) -> Batches {
        Batches::new(self.database.clone())
    }

    /// Stored responses.
    pub fn responses(&self) -> Responses {
        Responses::new(self.database.clone())
    }

    /// Conversations.
    pub fn conversations(&self) -> Conversations {
        Conversations::new(self.database.clone())
    }

    /// The replay log.
    pub fn replay(&self) -> Replay {
        Replay::new(self.database.clone())
    }

    /// What is owed to limits that several servers share.
    pub fn debts(&self) -> Debts {
        Debts::new(self.database.clone())
    }

    /// The database beneath, for health checks.
    pub fn database(&self) -> &Database {
        &self.database
    }
}
