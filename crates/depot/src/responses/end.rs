//! How a response ends: with what its conversation grows by, in one transaction. A server that is killed leaves both or
//! neither.

use super::{ResponseStatus, Responses, StoredItem, StoredResponse, change, insertion, there};
use crate::conversations::{appended, missing, twice};
use crate::{ConversationId, Error, ResponseId, WorkspaceId};

/// What a conversation grows by.
#[derive(Clone, Copy, Debug)]
pub struct Growth<'a> {
    /// The conversation.
    pub conversation: &'a ConversationId,
    /// Items behind all that are there.
    pub items: &'a [StoredItem],
}

impl Growth<'_> {
    /// What it means that one of its statements touched nothing.
    fn unmet(&self, index: usize) -> Error {
        match index.checked_sub(1) {
            None => missing(self.conversation),
            Some(item) => twice(item, self.items),
        }
    }
}

impl Responses {
    /// Stores a response that has ended, and what its conversation grows by: both or neither.
    pub async fn add_ended(
        &self,
        workspace: &WorkspaceId,
        response: &StoredResponse,
        growth: Growth<'_>,
    ) -> Result<(), Error> {
        let mut statements = vec![insertion(workspace, response)];
        statements.extend(appended(workspace, growth.conversation, growth.items));
        let done = self.database.transact(statements).await;
        done.map(drop).map_err(|error| {
            error.unmet(|index| match index.checked_sub(1) {
                None => there(&response.id),
                Some(index) => growth.unmet(index),
            })
        })
    }

    /// Writes how a response ended, and what its conversation grows by: both or neither. Says whether that was done: one
    /// that has ended stays as it is, and so does its conversation.
    pub async fn end(
        &self,
        workspace: &WorkspaceId,
        id: &ResponseId,
        status: ResponseStatus,
        response: &str,
        growth: Growth<'_>,
    ) -> Result<bool, Error> {
        let mut statements = vec![change(workspace, id, status, response).needs_a_row()];
        statements.extend(appended(workspace, growth.conversation, growth.items));
        match self.database.transact(statements).await {
            Ok(_) => Ok(true),
            Err(Error::Unmet(0)) => Ok(false),
            Err(error) => Err(error.unmet(|index| growth.unmet(index - 1))),
        }
    }
}
