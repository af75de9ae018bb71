//! Organisations, workspaces and API keys: who may use what, within which limits.

mod columns;

use quire_protocol::Money;

use columns::{API_KEYS, ORGANISATIONS, Table, WORKSPACES};

use crate::{
    Database, Error, KeyId, Listed, OrganisationId, Page, Row, Statement, Value, WorkspaceId,
};

/// Who pays. Everything belongs to one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Organisation {
    /// Its id.
    pub id: OrganisationId,
    /// Its name.
    pub name: String,
    /// When it was made.
    pub created_at: i64,
    /// What all its workspaces together may use.
    pub limits: Limits,
    /// What all its workspaces together may spend.
    pub budget: Option<Budget>,
}

/// A part of an organisation. What is stored belongs to one and is seen by no other.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Workspace {
    /// Its id.
    pub id: WorkspaceId,
    /// Whose it is.
    pub organisation: OrganisationId,
    /// Its name.
    pub name: String,
    /// When it was made.
    pub created_at: i64,
    /// When it was archived: its keys open nothing from then on.
    pub archived_at: Option<i64>,
    /// What its keys together may use.
    pub limits: Limits,
    /// What its keys together may spend.
    pub budget: Option<Budget>,
    /// Bytes that its files may take; `None` for no bound.
    pub file_quota: Option<u64>,
}

/// A key that programs use. Its secret is never kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ApiKey {
    /// Its id, which is no secret.
    pub id: KeyId,
    /// Whose it is.
    pub organisation: OrganisationId,
    /// The workspace that it opens.
    pub workspace: WorkspaceId,
    /// Its name.
    pub name: String,
    /// The SHA-256 of its secret.
    pub hash: KeyHash,
    /// The last four characters of its secret, so that people know it again.
    pub hint: String,
    /// When it was made.
    pub created_at: i64,
    /// When it ceases to open anything.
    pub expires_at: Option<i64>,
    /// When it was taken back.
    pub revoked_at: Option<i64>,
    /// Patterns of the models that it may ask for; none for all.
    pub models: Vec<String>,
    /// Regions that it may be served from; none for all.
    pub regions: Vec<String>,
    /// What it may use.
    pub limits: Limits,
    /// What it may spend.
    pub budget: Option<Budget>,
}

/// The SHA-256 of a key's secret.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct KeyHash(pub [u8; 32]);

impl std::fmt::Debug for KeyHash {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("KeyHash(…)")
    }
}

/// What may be used within a minute; `None` for no bound.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Limits {
    /// Requests.
    pub requests_per_minute: Option<u64>,
    /// Tokens of prompts.
    pub input_tokens_per_minute: Option<u64>,
    /// Tokens of replies.
    pub output_tokens_per_minute: Option<u64>,
}

/// What may be spent within a period.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Budget {
    /// So much.
    pub amount: Money,
    /// Within this time.
    pub period: Period,
}

/// The time over which a budget counts; days and months are those of UTC.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Period {
    /// The day.
    Day,
    /// The calendar month.
    Month,
    /// From the beginning.
    Total,
}

/// Which keys are listed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct KeyFilter {
    /// Those of this workspace alone.
    pub workspace: Option<WorkspaceId>,
}

/// What changed since a server last asked.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Changes {
    /// What to ask with the next time.
    pub version: u64,
    /// Organisations that are new or were changed.
    pub organisations: Vec<Organisation>,
    /// Workspaces that are new or were changed.
    pub workspaces: Vec<Workspace>,
    /// Keys that are new or were changed; one that was revoked is among them.
    pub keys: Vec<ApiKey>,
}

/// Organisations, workspaces and keys.
#[derive(Clone, Debug)]
pub struct Access {
    database: Database,
}

impl Access {
    pub(crate) fn new(database: Database) -> Self {
        Self { database }
    }

    /// Adds an organisation.
    pub async fn add_organisation(&self, organisation: &Organisation) -> Result<(), Error> {
        let values = columns::of_organisation(organisation);
        self.add(&ORGANISATIONS, organisation.id.as_str(), values, None)
            .await
    }

    /// One organisation.
    pub async fn organisation(&self, id: &OrganisationId) -> Result<Option<Organisation>, Error> {
        let found = self.find(&ORGANISATIONS, "id = $1", &[id.into()]).await?;
        found.as_ref().map(columns::organisation).transpose()
    }

    /// All organisations, in pages.
    pub async fn organisations(&self, page: &Page) -> Result<Listed<Organisation>, Error> {
        let listing = ORGANISATIONS.listing(None, Vec::new());
        listing
            .read(&self.database, page, columns::organisation)
            .await
    }

    /// Replaces what is known of an organisation, but for its id and its time of creation.
    pub async fn update_organisation(&self, organisation: &Organisation) -> Result<(), Error> {
        let values = columns::of_organisation(organisation);
        self.update(&ORGANISATIONS, organisation.id.as_str(), values)
            .await
    }

    /// Adds a workspace.
    pub async fn add_workspace(&self, workspace: &Workspace) -> Result<(), Error> {
        let owner = Statement::new("SELECT 1 FROM organisations WHERE id = $1")
            .bind(&workspace.organisation)
            .needs_a_row();
        let owner = (owner, "organisation", workspace.organisation.to_string());
        let values = columns::of_workspace(workspace);
        self.add(&WORKSPACES, workspace.id.as_str(), values, Some(owner))
            .await
    }

    /// One workspace of an organisation.
    pub async fn workspace(
        &self,
        organisation: &OrganisationId,
        id: &WorkspaceId,
    ) -> Result<Option<Workspace>, Error> {
        let values = [id.into(), organisation.into()];
        let found = self
            .find(&WORKSPACES, "id = $1 AND organisation = $2", &values)
            .await?;
        found.as_ref().map(columns::workspace).transpose()
    }

    /// The workspaces of an organisation, archived ones too, in pages.
    pub async fn workspaces(
        &self,
        organisation: &OrganisationId,
        page: &Page,
    ) -> Result<Listed<Workspace>, Error> {
        let listing = WORKSPACES.listing(Some(("organisation", organisation.into())), Vec::new());
        listing.read(&self.database, page, columns::workspace).await
    }

    /// Replaces what is known of a workspace, but for its id, owner and time of creation.
    pub async fn update_workspace(&self, workspace: &Workspace) -> Result<(), Error> {
        let values = columns::of_workspace(workspace);
        self.update(&WORKSPACES, workspace.id.as_str(), values)
            .await
    }

    /// Adds a key to a workspace of its organisation.
    pub async fn add_key(&self, key: &ApiKey) -> Result<(), Error> {
        let owner = Statement::new("SELECT 1 FROM workspaces WHERE id = $1 AND organisation = $2")
            .bind(&key.workspace)
            .bind(&key.organisation)
            .needs_a_row();
        let owner = (owner, "workspace", key.workspace.to_string());
        let values = columns::of_api_key(key);
        self.add(&API_KEYS, key.id.as_str(), values, Some(owner))
            .await
    }

    /// One key of an organisation.
    pub async fn key(
        &self,
        organisation: &OrganisationId,
        id: &KeyId,
    ) -> Result<Option<ApiKey>, Error> {
        let values = [id.into(), organisation.into()];
        let found = self
            .find(&API_KEYS, "id = $1 AND organisation = $2", &values)
            .await?;
        found.as_ref().map(columns::api_key).transpose()
    }

    /// The key whose secret has this hash, whatever its state.
    pub async fn key_by_hash(&self, hash: &KeyHash) -> Result<Option<ApiKey>, Error> {
        let values = [hash.0.as_slice().into()];
        let found = self.find(&API_KEYS, "hash = $1", &values).await?;
        found.as_ref().map(columns::api_key).transpose()
    }

    /// The keys of an organisation, revoked ones too, in pages.
    pub async fn keys(
        &self,
        organisation: &OrganisationId,
        filter: &KeyFilter,
        page: &Page,
    ) -> Result<Listed<ApiKey>, Error> {
        let workspace = filter.workspace.as_ref();
        let equal = workspace.map(|id| ("workspace", Value::from(id)));
        let scope = Some(("organisation", organisation.into()));
        let listing = API_KEYS.listing(scope, equal.into_iter().collect());
        listing.read(&self.database, page, columns::api_key).await
    }

    /// Replaces what is known of a key, but for its id, owner, workspace, hash, hint and time of
    /// creation.
    pub async fn update_key(&self, key: &ApiKey) -> Result<(), Error> {
        self.update(&API_KEYS, key.id.as_str(), columns::of_api_key(key))
            .await
    }

    /// What was added or changed since a version; everything since version 0. One small query when
    /// nothing did.
    pub async fn changed_since(&self, version: u64) -> Result<Changes, Error> {
        let asked = Statement::new("SELECT version FROM versions WHERE name = 'access'");
        let now = match self.database.query(asked).await?.first() {
            Some(row) => row.count(0)?,
            None => {
                return Err(Error::Damaged(
                    "the version of access is missing".to_owned(),
                ));
            }
        };
        if now == version {
            return Ok(Changes {
                version,
                ..Changes::default()
            });
        }
        // What changes while this is read is read again the next time.
        let since = async |table: &Table| {
            let sql = format!(
                "SELECT {} FROM {} WHERE version > $1 ORDER BY version, id",
                table.columns, table.name
            );
            self.database.query(Statement::new(sql).bind(version)).await
        };
        // What a key belongs to is read after it: whoever learns of the key learns of that too.
        let keys = since(&API_KEYS).await?;
        let workspaces = since(&WORKSPACES).await?;
        let organisations = since(&ORGANISATIONS).await?;
        Ok(Changes {
            version: now,
            organisations: each(&organisations, columns::organisation)?,
            workspaces: each(&workspaces, columns::workspace)?,
            keys: each(&keys, columns::api_key)?,
        })
    }

    async fn find(
        &self,
        table: &Table,
        condition: &str,
        values: &[Value],
    ) -> Result<Option<Row>, Error> {
        let sql = format!(
            "SELECT {} FROM {} WHERE {condition}",
            table.columns, table.name
        );
        let statement = values
            .iter()
            .cloned()
            .fold(Statement::new(sql), Statement::bind);
        Ok(self.database.query(statement).await?.pop())
    }

    /// Inserts a row that others learn of, if its owner is there.
    async fn add(
        &self,
        table: &Table,
        id: &str,
        values: Vec<Value>,
        owner: Option<(Statement, &'static str, String)>,
    ) -> Result<(), Error> {
        let insert = Statement::rows(
            &format!("INSERT INTO {} (version, {})", table.name, table.columns),
            VERSION,
            vec![values],
            "ON CONFLICT DO NOTHING",
        );
        let mut statements = vec![Statement::new(NEXT_VERSION), insert.needs_a_row()];
        let mut missing = None;
        if let Some((statement, kind, id)) = owner {
            statements.push(statement);
            missing = Some(Error::Missing { kind, id });
        }
        let done = self.database.transact(statements).await;
        done.map(drop).map_err(|error| {
            error.unmet(|index| match (index, missing) {
                (2, Some(missing)) => missing,
                (_, Some(_) | None) => Error::Exists {
                    kind: table.kind,
                    id: id.to_owned(),
                },
            })
        })
    }

    /// Writes the columns that may change, so that others learn of it.
    async fn update(&self, table: &Table, id: &str, values: Vec<Value>) -> Result<(), Error> {
        let owner = table.owner.iter();
        let (mut sets, mut kept, mut bound) = (Vec::new(), Vec::new(), Vec::new());
        for (column, value) in table.columns.split(", ").zip(values) {
            let equal = format!("{column} = ${}", bound.len() + 1);
            if column == "id" || owner.clone().any(|owner| *owner == column) {
                kept.push(equal);
            } else if table.fixed.contains(&column) {
                continue;
            } else {
                sets.push(equal);
            }
            bound.push(value);
        }
        let sql = format!(
            "UPDATE {} SET version = {VERSION}, {} WHERE {}",
            table.name,
            sets.join(", "),
            kept.join(" AND ")
        );
        let update = bound.into_iter().fold(Statement::new(sql), Statement::bind);
        let statements = vec![Statement::new(NEXT_VERSION), update.needs_a_row()];
        let done = self.database.transact(statements).await;
        done.map(drop).map_err(|error| {
            error.unmet(|_| Error::Missing {
                kind: table.kind,
                id: id.to_owned(),
            })
        })
    }
}

/// The next version is taken first in a transaction: it keeps others from taking one until the commit,
/// so that versions become visible in their order.
const NEXT_VERSION: &str = "UPDATE versions SET version = version + 1 WHERE name = 'access'";
const VERSION: &str = "(SELECT version FROM versions WHERE name = 'access')";

fn each<T>(rows: &[Row], read: impl Fn(&Row) -> Result<T, Error>) -> Result<Vec<T>, Error> {
    rows.iter().map(read).collect()
}
