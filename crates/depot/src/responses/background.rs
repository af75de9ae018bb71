//! Responses that are worked on without anybody waiting: claims as for the items of batches, and the
//! events that were streamed so far, for whoever comes to read them later.

use super::{COLUMNS, ResponseStatus, Responses, StoredResponse, missing, response};
use crate::{Error, ResponseId, Statement, Value, WorkspaceId};

/// A background response that a worker has leased.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClaimedResponse {
    /// Whose it is.
    pub workspace: WorkspaceId,
    /// The response; its status is in progress now.
    pub response: StoredResponse,
    /// How often it was claimed, this time included. From the second time on a worker died with it: the
    /// events that were streamed by then are still there.
    pub attempt: u64,
}

impl Responses {
    /// Leases at most so many background responses to a worker until a time, the oldest first. Those whose
    /// lease has run out are claimed again; no two workers get the same one, and no worker gets what it has already,
    /// however late it is with it: see [`Responses::let_go`].
    pub async fn claim(
        &self,
        most: u32,
        worker: &str,
        now: i64,
        lease_until: i64,
    ) -> Result<Vec<ClaimedResponse>, Error> {
        let sql = format!(
            "UPDATE responses SET worker = $1, lease_until = $2, attempts = attempts + 1, \
             status = 'in_progress' WHERE id IN (SELECT id FROM responses \
             WHERE open = 1 AND background = 1 AND lease_until <= $3 \
             AND (worker IS NULL OR worker <> $1) \
             ORDER BY created_at, id LIMIT $4 FOR UPDATE SKIP LOCKED) \
             RETURNING {COLUMNS}, workspace, attempts"
        );
        let claim = Statement::new(sql)
            .bind(worker)
            .bind(lease_until)
            .bind(now)
            .bind(most);
        let outcomes = self.database.transact(vec![claim]).await?;
        let rows = outcomes.iter().flat_map(|outcome| &outcome.rows);
        let claimed = rows.map(|row| {
            Ok(ClaimedResponse {
                response: response(row)?,
                workspace: row.text(10)?.into(),
                attempt: row.count(11)?,
            })
        });
        let mut claimed = claimed.collect::<Result<Vec<_>, Error>>()?;
        claimed.sort_by(|a, b| {
            let of = |claimed: &ClaimedResponse| {
                (claimed.response.created_at, claimed.response.id.clone())
            };
            of(a).cmp(&of(b))
        });
        Ok(claimed)
    }

    /// Leases what a worker still works on for longer.
    pub async fn renew(&self, worker: &str, lease_until: i64) -> Result<u64, Error> {
        let renew = "UPDATE responses SET lease_until = $1 WHERE worker = $2 AND open = 1";
        let renew = Statement::new(renew).bind(lease_until).bind(worker);
        self.database.execute(renew).await
    }

    /// Lets go of one response that a worker could not finish: once its lease has run out, it is claimed again,
    /// perhaps by the same worker.
    pub async fn let_go(&self, worker: &str, claimed: &ClaimedResponse) -> Result<(), Error> {
        let let_go =
            "UPDATE responses SET worker = NULL WHERE id = $1 AND worker = $2 AND open = 1";
        let let_go = Statement::new(let_go)
            .bind(&claimed.response.id)
            .bind(worker);
        self.database.execute(let_go).await.map(drop)
    }

    /// Gives back what a worker has not finished, as when it goes down in order.
    pub async fn release(&self, worker: &str) -> Result<u64, Error> {
        let release = "UPDATE responses SET lease_until = 0, worker = NULL \
                       WHERE worker = $1 AND open = 1";
        self.database
            .execute(Statement::new(release).bind(worker))
            .await
    }

    /// Cancels a background response: `response` is how it is now. One that has ended stays as it is.
    /// Returns it as it is in the end; who works on it learns of it by [`Responses::update`].
    pub async fn cancel(
        &self,
        workspace: &WorkspaceId,
        id: &ResponseId,
        response: &str,
    ) -> Result<StoredResponse, Error> {
        let found = self.get(workspace, id).await?.ok_or_else(|| missing(id))?;
        if !found.background {
            return Err(Error::Refused(format!(
                "the response `{id}` is not in the background: only those can be cancelled"
            )));
        }
        self.update(workspace, id, ResponseStatus::Cancelled, response)
            .await?;
        self.get(workspace, id).await?.ok_or_else(|| missing(id))
    }

    /// Keeps events of a response, each with its sequence number. One that is kept already stays.
    pub async fn add_events(
        &self,
        workspace: &WorkspaceId,
        id: &ResponseId,
        events: &[(u64, String)],
    ) -> Result<(), Error> {
        let owned = "SELECT 1 FROM responses WHERE id = $1 AND workspace = $2";
        let owned = Statement::new(owned).bind(id).bind(workspace);
        let mut statements = vec![owned.needs_a_row()];
        let rows = events
            .iter()
            .map(|(sequence, event)| vec![Value::from(id), (*sequence).into(), event.into()]);
        statements.extend(Statement::inserts(
            "INSERT INTO response_events (response, sequence, event)",
            "",
            rows.collect(),
            "ON CONFLICT DO NOTHING",
        ));
        let done = self.database.transact(statements).await;
        done.map(drop).map_err(|error| error.unmet(|_| missing(id)))
    }

    /// The events of a response behind a sequence number, in order: at most so many.
    pub async fn events(
        &self,
        workspace: &WorkspaceId,
        id: &ResponseId,
        starting_after: Option<u64>,
        most: u32,
    ) -> Result<Vec<(u64, String)>, Error> {
        let asked = "SELECT sequence, event FROM response_events WHERE response = \
                     (SELECT id FROM responses WHERE id = $1 AND workspace = $2) \
                     AND sequence > $3 ORDER BY sequence LIMIT $4";
        let asked = Statement::new(asked)
            .bind(id)
            .bind(workspace)
            .bind(starting_after.map_or(Value::Integer(-1), Value::from))
            .bind(most);
        let rows = self.database.query(asked).await?;
        let events = rows
            .iter()
            .map(|row| Ok((row.count(0)?, row.text(1)?.to_owned())));
        events.collect()
    }
}
