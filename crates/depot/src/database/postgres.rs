//! PostgreSQL: a small pool of connections, statements prepared once on each.

use std::borrow::Cow;
use std::collections::HashMap;
use std::error::Error as _;
use std::str::FromStr;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::{Semaphore, SemaphorePermit};
use tokio_postgres::config::{Host, SslMode};
use tokio_postgres::error::SqlState;
use tokio_postgres::types::private::BytesMut;
use tokio_postgres::types::{FromSql, IsNull, ToSql, Type, to_sql_checked};
use tokio_postgres::{Client, Config, NoTls};

use super::tls::{self, Tls};
use super::{Outcome, Row, Statement, Value};
use crate::Error;

/// So many connections at once, for each process.
const CONNECTIONS: usize = 8;
/// So many prepared statements on each before they are let go.
const PREPARED: usize = 256;
/// A connection is made within this time, or not.
const PATIENCE: Duration = Duration::from_secs(10);
/// Nothing is heard from the server's machine for so long before its connections are given up.
const SILENCE: Duration = Duration::from_secs(30);
/// A transaction that two servers kept each other from is tried so often.
const TRIES: usize = 5;

type BoxError = Box<dyn std::error::Error + Sync + Send>;

/// A PostgreSQL database.
#[derive(Debug)]
pub(super) struct Postgres {
    config: Config,
    tls: Option<Tls>,
    permits: Semaphore,
    idle: Mutex<Vec<Session>>,
}

/// A connection and what is prepared on it.
#[derive(Debug)]
struct Session {
    client: Client,
    prepared: HashMap<Cow<'static, str>, tokio_postgres::Statement>,
}

/// A session in use. One that is dropped is closed, which undoes what it had begun.
struct Lease<'a> {
    session: Session,
    fresh: bool,
    _permit: SemaphorePermit<'a>,
}

impl Lease<'_> {
    /// Whether the server has closed this connection since it was last used, as when it was started anew:
    /// what was asked was not done, and another connection is tried.
    fn is_stale(&self, error: &tokio_postgres::Error) -> bool {
        let ends = [
            SqlState::ADMIN_SHUTDOWN,
            SqlState::CRASH_SHUTDOWN,
            SqlState::IDLE_SESSION_TIMEOUT,
        ];
        let ended = error.code().is_some_and(|code| ends.contains(code));
        !self.fresh && (ended || error.is_closed() || self.session.client.is_closed())
    }
}

impl Postgres {
    pub(super) fn new(url: &str) -> Result<Self, Error> {
        let (url, roots) = tls::split_roots(url);
        let mut config = Config::from_str(&url).map_err(|error| {
            Error::Address(format!(
                "the address of the database cannot be read: {error}; write it like \
                 postgres://user:password@host:5432/database?sslmode=require"
            ))
        })?;
        let tls = match config.get_ssl_mode() {
            SslMode::Require => Some(Tls::new(roots.as_deref())?),
            SslMode::Disable => None,
            _ if is_near(&config) => {
                config.ssl_mode(SslMode::Disable);
                None
            }
            _ => {
                return Err(Error::Address(
                    "the database is on another machine and its address does not say whether to \
                     use TLS: add sslmode=require, or sslmode=disable on a network that you trust"
                        .to_owned(),
                ));
            }
        };
        // A server that vanished from the network is found out in half a minute, not in hours.
        config.connect_timeout(PATIENCE);
        config.keepalives_idle(SILENCE);
        config.tcp_user_timeout(SILENCE);
        config.application_name("quire");
        Ok(Self {
            config,
            tls,
            permits: Semaphore::new(CONNECTIONS),
            idle: Mutex::default(),
        })
    }

    pub(super) async fn query(&self, statement: &Statement) -> Result<Vec<Row>, Error> {
        loop {
            let mut lease = self.lease().await?;
            match lease.session.run(statement).await {
                Ok(outcome) => {
                    self.give(lease);
                    return Ok(outcome.rows);
                }
                Err(error) if lease.is_stale(&error) => {}
                Err(error) => {
                    self.give(lease);
                    return Err(fault(&error));
                }
            }
        }
    }

    pub(super) async fn transact(&self, statements: &[Statement]) -> Result<Vec<Outcome>, Error> {
        let mut tries = 0;
        loop {
            let mut lease = self.lease().await?;
            match lease.session.client.batch_execute("BEGIN").await {
                Ok(()) => {}
                Err(error) if lease.is_stale(&error) => continue,
                Err(error) => return Err(fault(&error)),
            }
            tries += 1;
            match lease.session.attempt(statements).await {
                Ok(outcomes) => {
                    self.give(lease);
                    return Ok(outcomes);
                }
                Err(Attempt::Collided(_)) if tries < TRIES => {
                    lease.session.undo().await?;
                    self.give(lease);
                }
                Err(Attempt::Collided(error) | Attempt::Failed(error)) => {
                    if !lease.session.client.is_closed() {
                        lease.session.undo().await?;
                        self.give(lease);
                    }
                    return Err(error);
                }
            }
        }
    }

    async fn lease(&self) -> Result<Lease<'_>, Error> {
        let permit = self.permits.acquire().await;
        let permit = permit.map_err(|_| Error::Unavailable("it is closed".to_owned()))?;
        let idle = loop {
            let last = self.lock().pop();
            match last {
                Some(session) if session.client.is_closed() => {}
                other => break other,
            }
        };
        let fresh = idle.is_none();
        let session = match idle {
            Some(session) => session,
            None => tokio::time::timeout(PATIENCE, self.connect())
                .await
                .map_err(|_| Error::Unavailable("it does not answer".to_owned()))??,
        };
        Ok(Lease {
            session,
            fresh,
            _permit: permit,
        })
    }

    fn give(&self, lease: Lease<'_>) {
        if !lease.session.client.is_closed() {
            self.lock().push(lease.session);
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<Session>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn connect(&self) -> Result<Session, Error> {
        // Each way has a type of its own for what drives the connection.
        let client = if let Some(tls) = &self.tls {
            let connected = self.config.connect(tls.clone()).await;
            let (client, connection) = connected.map_err(|error| fault(&error))?;
            tokio::spawn(connection);
            client
        } else {
            let connected = self.config.connect(NoTls).await;
            let (client, connection) = connected.map_err(|error| fault(&error))?;
            tokio::spawn(connection);
            client
        };
        Ok(Session {
            client,
            prepared: HashMap::new(),
        })
    }
}

/// Whether every host is this machine.
fn is_near(config: &Config) -> bool {
    config.get_hosts().iter().all(|host| match host {
        Host::Tcp(name) => {
            let address = name.parse::<std::net::IpAddr>();
            name == "localhost" || address.is_ok_and(|address| address.is_loopback())
        }
        Host::Unix(_) => true,
    })
}

/// Why a transaction came to nothing.
enum Attempt {
    /// Two servers were in each other's way: it is tried again.
    Collided(Error),
    Failed(Error),
}

impl From<tokio_postgres::Error> for Attempt {
    fn from(error: tokio_postgres::Error) -> Self {
        let collisions = [
            SqlState::T_R_SERIALIZATION_FAILURE,
            SqlState::T_R_DEADLOCK_DETECTED,
        ];
        match error.code() {
            Some(code) if collisions.contains(code) => Self::Collided(fault(&error)),
            Some(_) | None => Self::Failed(fault(&error)),
        }
    }
}

impl Session {
    /// The statements of a transaction that was begun, and its commit.
    async fn attempt(&mut self, statements: &[Statement]) -> Result<Vec<Outcome>, Attempt> {
        let mut outcomes = Vec::with_capacity(statements.len());
        for (index, statement) in statements.iter().enumerate() {
            let outcome = self.run(statement).await?;
            outcomes.push(statement.judge(index, outcome).map_err(Attempt::Failed)?);
        }
        self.client.batch_execute("COMMIT").await?;
        Ok(outcomes)
    }

    async fn undo(&self) -> Result<(), Error> {
        let undone = self.client.batch_execute("ROLLBACK").await;
        undone.map_err(|error| fault(&error))
    }

    async fn run(&mut self, statement: &Statement) -> Result<Outcome, tokio_postgres::Error> {
        let prepared = self.prepare(statement).await?;
        let values: Vec<&(dyn ToSql + Sync)> = statement
            .values
            .iter()
            .map(|value| value as &(dyn ToSql + Sync))
            .collect();
        if prepared.columns().is_empty() {
            let changed = self.client.execute(&prepared, &values).await?;
            return Ok(Outcome {
                changed,
                rows: Vec::new(),
            });
        }
        let rows = self.client.query(&prepared, &values).await?;
        let rows = rows.iter().map(|row| {
            let values = (0..row.len()).map(|column| row.try_get(column));
            Ok(Row(values.collect::<Result<_, tokio_postgres::Error>>()?))
        });
        let rows = rows.collect::<Result<Vec<_>, tokio_postgres::Error>>()?;
        Ok(Outcome {
            changed: rows.len() as u64,
            rows,
        })
    }

    async fn prepare(
        &mut self,
        statement: &Statement,
    ) -> Result<tokio_postgres::Statement, tokio_postgres::Error> {
        if let Some(prepared) = self.prepared.get(&statement.sql) {
            return Ok(prepared.clone());
        }
        if self.prepared.len() >= PREPARED {
            self.prepared.clear();
        }
        let prepared = self.client.prepare(&statement.sql).await?;
        self.prepared
            .insert(statement.sql.clone(), prepared.clone());
        Ok(prepared)
    }
}

impl ToSql for Value {
    fn to_sql(&self, kind: &Type, out: &mut BytesMut) -> Result<IsNull, BoxError> {
        match self {
            Self::Null => Ok(IsNull::Yes),
            Self::Integer(number) if *kind == Type::INT4 => {
                i32::try_from(*number)?.to_sql(kind, out)
            }
            Self::Integer(number) if *kind == Type::INT8 => number.to_sql(kind, out),
            Self::Text(text) if <&str as ToSql>::accepts(kind) => text.to_sql(kind, out),
            Self::Bytes(bytes) if *kind == Type::BYTEA => bytes.to_sql(kind, out),
            Self::Integer(_) | Self::Text(_) | Self::Bytes(_) => {
                Err(format!("a value of another kind than {kind}").into())
            }
        }
    }

    fn accepts(_: &Type) -> bool {
        true
    }

    to_sql_checked!();
}

impl<'a> FromSql<'a> for Value {
    fn from_sql(kind: &Type, raw: &'a [u8]) -> Result<Self, BoxError> {
        match *kind {
            Type::INT8 => i64::from_sql(kind, raw).map(Self::Integer),
            Type::INT4 => i32::from_sql(kind, raw).map(|number| Self::Integer(number.into())),
            Type::BYTEA => Vec::from_sql(kind, raw).map(Self::Bytes),
            _ => String::from_sql(kind, raw).map(Self::Text),
        }
    }

    fn from_sql_null(_: &Type) -> Result<Self, BoxError> {
        Ok(Self::Null)
    }

    fn accepts(kind: &Type) -> bool {
        [Type::INT8, Type::INT4, Type::BYTEA].contains(kind) || <String as FromSql>::accepts(kind)
    }
}

fn fault(error: &tokio_postgres::Error) -> Error {
    let Some(said) = error.as_db_error() else {
        let cause = error.source().map(|cause| format!(": {cause}"));
        return Error::Unavailable(format!("{error}{}", cause.unwrap_or_default()));
    };
    // Classes: 08 connection, 28 authorization, 3D no such database, 53 resources, 57 intervention,
    // 58 system, 40 collisions; 25006 a standby that only reads.
    let code = said.code().code();
    let away = ["08", "28", "3D", "53", "57", "58", "40"];
    if away.iter().any(|class| code.starts_with(class)) || code == "25006" {
        return Error::Unavailable(said.message().to_owned());
    }
    Error::Statement(format!("{} ({code})", said.message()))
}
