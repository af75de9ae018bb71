//! The working side of batches: claims, results, and the ends of what nobody works on.

use super::{Batches, ItemState};
use crate::{BatchId, Error, KeyId, Statement, WorkspaceId};

/// An item that a worker has leased.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClaimedItem {
    /// Whose it is.
    pub workspace: WorkspaceId,
    /// Its batch.
    pub batch: BatchId,
    /// Its place in the batch.
    pub position: u64,
    /// The key that pays.
    pub key: KeyId,
    /// The API that it came by.
    pub api: String,
    /// What that API keeps of the batch, as JSON.
    pub details: String,
    /// The client's own id for it.
    pub custom_id: String,
    /// The request, as JSON.
    pub params: String,
    /// How often it was claimed, this time included.
    pub attempt: u64,
}

impl Batches {
    /// Leases at most so many items to a worker until a time: first those whose lease has run out, then
    /// new ones, by the ids of their batches. No two workers get the same one, and no worker gets what it has
    /// already, however late it is with it: see [`Batches::let_go`].
    pub async fn claim(
        &self,
        most: u32,
        worker: &str,
        now: i64,
        lease_until: i64,
    ) -> Result<Vec<ClaimedItem>, Error> {
        let mut items = Vec::new();
        for from in [1, 0] {
            let left = u32::try_from(items.len()).map_or(0, |had| most.saturating_sub(had));
            if left > 0 {
                // New ones have the lease 0.
                let to = if from == 0 { 0 } else { now };
                items.extend(
                    self.claim_leased(from, to, left, worker, now, lease_until)
                        .await?,
                );
            }
        }
        items.sort_by(|a, b| (&a.batch, a.position).cmp(&(&b.batch, b.position)));
        Ok(items)
    }

    /// Claims items whose lease lies between two times.
    async fn claim_leased(
        &self,
        from: i64,
        to: i64,
        most: u32,
        worker: &str,
        now: i64,
        lease_until: i64,
    ) -> Result<Vec<ClaimedItem>, Error> {
        let claim = "UPDATE batch_items SET worker = $1, lease_until = $2, attempts = attempts + 1 \
             WHERE (batch, position) IN (SELECT i.batch, i.position FROM batch_items AS i \
             WHERE i.state = 'processing' AND i.lease_until >= $3 AND i.lease_until <= $4 \
             AND (i.worker IS NULL OR i.worker <> $1) \
             AND EXISTS (SELECT 1 FROM batches \
             WHERE id = i.batch AND batches.state = 'in_progress' AND expires_at > $5) \
             ORDER BY i.lease_until, i.batch, i.position LIMIT $6 FOR UPDATE SKIP LOCKED) \
             RETURNING batch, position, custom_id, params, attempts, \
             (SELECT workspace FROM batches WHERE id = batch_items.batch), \
             (SELECT api_key FROM batches WHERE id = batch_items.batch), \
             (SELECT api FROM batches WHERE id = batch_items.batch), \
             (SELECT details FROM batches WHERE id = batch_items.batch)";
        let claim = Statement::new(claim)
            .bind(worker)
            .bind(lease_until)
            .bind(from)
            .bind(to)
            .bind(now)
            .bind(most);
        let outcomes = self.database.transact(vec![claim]).await?;
        let rows = outcomes.iter().flat_map(|outcome| &outcome.rows);
        let items = rows.map(|row| {
            Ok(ClaimedItem {
                batch: row.text(0)?.into(),
                position: row.count(1)?,
                custom_id: row.text(2)?.to_owned(),
                params: row.text(3)?.to_owned(),
                attempt: row.count(4)?,
                workspace: row.text(5)?.into(),
                key: row.text(6)?.into(),
                api: row.text(7)?.to_owned(),
                details: row.text(8)?.to_owned(),
            })
        });
        items.collect()
    }

    /// Leases what a worker still works on for longer.
    pub async fn renew(&self, worker: &str, lease_until: i64) -> Result<u64, Error> {
        let renew = "UPDATE batch_items SET lease_until = $1 \
                     WHERE worker = $2 AND state = 'processing'";
        let renew = Statement::new(renew).bind(lease_until).bind(worker);
        self.database.execute(renew).await
    }

    /// Lets go of one item that a worker could not finish: once its lease has run out, it is claimed again, perhaps
    /// by the same worker.
    pub async fn let_go(&self, worker: &str, item: &ClaimedItem) -> Result<(), Error> {
        let let_go = "UPDATE batch_items SET worker = NULL \
                      WHERE batch = $1 AND position = $2 AND worker = $3";
        let let_go = Statement::new(let_go)
            .bind(&item.batch)
            .bind(item.position)
            .bind(worker);
        self.database.execute(let_go).await.map(drop)
    }

    /// Gives back what a worker has not finished, as when it goes down in order.
    pub async fn release(&self, worker: &str) -> Result<u64, Error> {
        let release = "UPDATE batch_items SET lease_until = 0, worker = NULL \
                       WHERE worker = $1 AND state = 'processing'";
        self.database
            .execute(Statement::new(release).bind(worker))
            .await
    }

    /// Writes the result of an item, and says whether this was the one that counts: the first does.
    pub async fn finish(
        &self,
        item: &ClaimedItem,
        state: ItemState,
        result: &str,
        now: i64,
    ) -> Result<bool, Error> {
        if state == ItemState::Processing {
            return Err(Error::Refused(
                "a result is no result while it is processing".to_owned(),
            ));
        }
        // The batch's row first, as everywhere: two servers never wait for each other.
        let count = format!(
            "UPDATE batches SET {word} = {word} + 1, processing = processing - 1, \
             state = CASE WHEN processing = 1 THEN 'ended' ELSE state END, \
             ended_at = CASE WHEN processing = 1 THEN CAST($1 AS BIGINT) ELSE ended_at END \
             WHERE id = $2 AND state <> 'ended'",
            word = state.word()
        );
        let write = "UPDATE batch_items SET state = $1, result = $2, worker = NULL \
                     WHERE batch = $3 AND position = $4 AND state = 'processing'";
        let statements = vec![
            Statement::new(count)
                .bind(now)
                .bind(&item.batch)
                .needs_a_row(),
            Statement::new(write)
                .bind(state.word())
                .bind(result)
                .bind(&item.batch)
                .bind(item.position)
                .needs_a_row(),
        ];
        match self.database.transact(statements).await {
            Ok(_) => Ok(true),
            Err(Error::Unmet(_)) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Ends what nobody will work on: items of batches that have expired or were cancelled, but for those
    /// that a worker has. Deletes what never started. Call it every second or so; at most so many batches.
    pub async fn settle(&self, now: i64, most: u32) -> Result<u64, Error> {
        let asked = "SELECT id FROM batches WHERE state <> 'ended' \
                     AND (expires_at <= $1 OR state = 'cancelling' \
                     OR (state = 'in_progress' AND processing = 0)) \
                     ORDER BY expires_at LIMIT $2";
        let asked = Statement::new(asked).bind(now).bind(most);
        let rows = self.database.query(asked).await?;
        for row in &rows {
            self.settle_one(&row.text(0)?.into(), now).await?;
        }
        Ok(rows.len() as u64)
    }

    pub(super) async fn settle_one(&self, id: &BatchId, now: i64) -> Result<(), Error> {
        let lock = "UPDATE batches SET processing = processing WHERE id = $1";
        let items = "UPDATE batch_items SET worker = NULL, state = CASE WHEN \
                     (SELECT state FROM batches WHERE id = $1) = 'cancelling' \
                     THEN 'cancelled' ELSE 'expired' END \
                     WHERE batch = $1 AND state = 'processing' AND lease_until <= $2 \
                     AND EXISTS (SELECT 1 FROM batches WHERE id = $1 \
                     AND (state = 'cancelling' OR expires_at <= $2))";
        let one = |word: &str| {
            format!(
                "{word} = (SELECT COUNT(*) FROM batch_items WHERE batch = $1 AND state = '{word}')"
            )
        };
        let count = format!(
            "UPDATE batches SET {}, {}, {} WHERE id = $1 AND state IN ('in_progress', 'cancelling')",
            one("processing"),
            one("cancelled"),
            one("expired")
        );
        let end = "UPDATE batches SET state = 'ended', ended_at = $2 WHERE id = $1 \
                   AND state IN ('in_progress', 'cancelling') AND processing = 0";
        let unstarted = "state = 'preparing' AND expires_at <= $2";
        let orphans = format!(
            "DELETE FROM batch_items WHERE batch = \
             (SELECT id FROM batches WHERE id = $1 AND {unstarted})"
        );
        let never = format!("DELETE FROM batches WHERE id = $1 AND {unstarted}");
        let statements = vec![
            Statement::new(lock).bind(id),
            Statement::new(items).bind(id).bind(now),
            Statement::new(count).bind(id),
            Statement::new(end).bind(id).bind(now),
            Statement::new(orphans).bind(id).bind(now),
            Statement::new(never).bind(id).bind(now),
        ];
        self.database.transact(statements).await.map(drop)
    }

    /// Lets the results go of at most so many ended batches that were made before a time.
    pub async fn archive(&self, now: i64, made_before: i64, most: u32) -> Result<u64, Error> {
        let asked = "SELECT id FROM batches WHERE archived_at IS NULL AND created_at < $1 \
                     AND state = 'ended' ORDER BY created_at LIMIT $2";
        let asked = Statement::new(asked).bind(made_before).bind(most);
        let rows = self.database.query(asked).await?;
        for row in &rows {
            let id = row.text(0)?;
            let mark = "UPDATE batches SET archived_at = $1 WHERE id = $2 AND archived_at IS NULL";
            let items = "DELETE FROM batch_items WHERE batch = $1";
            let statements = vec![
                Statement::new(mark).bind(now).bind(id),
                Statement::new(items).bind(id),
            ];
            self.database.transact(statements).await?;
        }
        Ok(rows.len() as u64)
    }
}
