//! What faces ask about the past of a session.

use std::sync::Arc;

use quire_protocol::{ClientError, Conflicts, FileChange, MessageId, Point, SessionId, TakenBack};

use super::{Face, Hub};

impl Hub {
    /// Forks a session, which is opened if it is not.
    pub(crate) async fn fork(
        self: &Arc<Self>,
        face: &Face,
        session: &SessionId,
        before: Option<MessageId>,
    ) -> Result<SessionId, ClientError> {
        let client = self.at_hand(face, session).await?;
        let fork = client.fork(session, before).await?;
        let opened = client.open(&fork).await?;
        self.keep(face, &fork, client, opened.settings.model, opened.last);
        Ok(fork)
    }

    /// What a session made of files.
    pub(crate) async fn changes(
        self: &Arc<Self>,
        face: &Face,
        session: &SessionId,
        since: Point,
    ) -> Result<Vec<FileChange>, ClientError> {
        let client = self.at_hand(face, session).await?;
        client.changes(session, since).await
    }

    /// Takes changes of files back.
    pub(crate) async fn take_back(
        self: &Arc<Self>,
        face: &Face,
        session: &SessionId,
        to: Point,
        conflicts: Conflicts,
    ) -> Result<TakenBack, ClientError> {
        let client = self.at_hand(face, session).await?;
        client.take_back(session, to, conflicts).await
    }
}
