//! Where sessions work: what runs them for the face that opens them.

use std::path::PathBuf;
use std::sync::Arc;

use quire_protocol::{Client, ClientError, SessionId, SessionQuery};

use super::{Face, Hub};
use crate::origin::Origin;

impl Hub {
    /// Whether a session that is at hand for nobody would work elsewhere for this face: where the settings
    /// or the environment are others than those of whoever left it, such as a key that was wrong.
    pub(super) async fn would_open_elsewhere(&self, face: &Face, session: &SessionId) -> bool {
        let Some((held, _)) = self.unused(session) else {
            return false;
        };
        // Whoever works for a session is where that is.
        let root = session.root();
        let others = |other: &SessionId| other != session && other.root() == root;
        if self.hosted().keys().any(others) {
            return false;
        }
        let Ok(folder) = self.folder_of(face, session).await else {
            return false;
        };
        // Where settings are broken, what was made of better ones works on.
        let new = self.host(face, folder);
        new.is_ok_and(|new| !Arc::ptr_eq(&new, &held))
    }

    pub(super) async fn folder_of(
        &self,
        face: &Face,
        session: &SessionId,
    ) -> Result<PathBuf, ClientError> {
        let query = SessionQuery {
            id_prefix: Some(session.as_str().to_owned()),
            ..SessionQuery::default()
        };
        let heads = self.sessions(face, query).await?;
        let head = heads.iter().find(|head| head.session == *session);
        Ok(head.map_or_else(
            || face.origin.folder.clone(),
            |head| PathBuf::from(&head.workspace),
        ))
    }

    pub(super) fn host(
        &self,
        face: &Face,
        folder: PathBuf,
    ) -> Result<Arc<dyn Client>, ClientError> {
        let origin = Origin {
            folder,
            environment: face.origin.environment.clone(),
        };
        self.hosts.host(&origin).map_err(ClientError::Settings)
    }

    /// Where others of a session's tree are hosted, if any is: they work for each other there, and each holds its
    /// journal.
    pub(super) fn near(&self, session: &SessionId) -> Option<Arc<dyn Client>> {
        let (root, hosted) = (session.root(), self.hosted());
        let mut near = hosted.iter().filter(|(other, _)| other.is_within(&root));
        near.next().map(|(_, hosted)| Arc::clone(&hosted.client))
    }

    /// What can look at every session: whoever needs to stop one must not have to mend his settings
    /// first.
    pub(super) fn any_host(&self, face: &Face) -> Result<Arc<dyn Client>, ClientError> {
        self.host(face, face.origin.folder.clone())
            .or_else(|error| {
                let hosted = self.hosted();
                let any = hosted.values().next();
                any.map(|hosted| Arc::clone(&hosted.client)).ok_or(error)
            })
    }
}
