//! Finding a session by the start of its id, and reading all of its journal.

use futures_util::StreamExt as _;
use quire_protocol::{
    Client, ClientError, Event, Frame, Record, Seq, SessionHead, SessionId, SessionQuery,
    TravelStep,
};

/// Why no session was found.
#[derive(Debug, thiserror::Error)]
pub enum FindError {
    /// None starts so.
    #[error("there is no session `{0}`: `quire sessions` lists them")]
    None(String),
    /// None works in this folder.
    #[error("there is no session in this folder yet: leave out --continue")]
    NoneHere,
    /// More than one starts so.
    #[error("several sessions start with `{0}`: write more of the id")]
    Several(String),
    /// It asks nothing that could be answered.
    #[error("session `{0}` asks nothing: `quire agents` shows what each one needs")]
    AsksNothing(String),
    /// The sessions cannot be listed.
    #[error(transparent)]
    Client(#[from] ClientError),
}

/// The one session whose id starts with `prefix`. An agent's is meant only where its name has begun, as in
/// `0199.tests`: what leads it may be cut as well.
pub async fn find_session(client: &dyn Client, prefix: &str) -> Result<SessionHead, FindError> {
    let wanted = SessionId::new(prefix);
    let query = SessionQuery {
        id_prefix: Some(wanted.root().to_string()),
        ..SessionQuery::default()
    };
    let mut found = client.sessions(query).await?;
    found.retain(|head| begins(&head.session, &wanted));
    if let Some(head) = found.iter().find(|head| head.session == wanted) {
        return Ok(head.clone());
    }
    match (found.pop(), found.pop()) {
        (Some(head), None) => Ok(head),
        (None, _) => Err(FindError::None(prefix.to_owned())),
        (Some(_), Some(_)) => Err(FindError::Several(prefix.to_owned())),
    }
}

/// Whether an id begins as is wanted, each part of it.
fn begins(session: &SessionId, wanted: &SessionId) -> bool {
    let mut parts = session.as_str().split('.');
    let mut wanted = wanted.as_str().split('.');
    loop {
        match (parts.next(), wanted.next()) {
            (None, None) => return true,
            (Some(part), Some(wanted)) if part.starts_with(wanted) => {}
            _ => return false,
        }
    }
}

/// The newest session of a folder in which something was said.
pub async fn newest_session(client: &dyn Client, folder: String) -> Result<SessionId, FindError> {
    let query = SessionQuery {
        workspace: Some(folder),
        ..SessionQuery::default()
    };
    let newest = used_sessions(client, query, 1).await?.into_iter().next();
    newest.map(|head| head.session).ok_or(FindError::NoneHere)
}

/// Sessions in which something was said, the newest first; at most so many, 0 for all.
pub async fn used_sessions(
    client: &dyn Client,
    query: SessionQuery,
    limit: usize,
) -> Result<Vec<SessionHead>, ClientError> {
    let mut heads = client.sessions(SessionQuery { limit: 0, ..query }).await?;
    heads.retain(SessionHead::is_listed);
    if limit > 0 {
        heads.truncate(limit);
    }
    Ok(heads)
}

/// A query for the one session whose id starts so, or for all, or all of a folder.
pub async fn sessions_asked(
    client: &dyn Client,
    prefix: Option<&str>,
    workspace: Option<String>,
) -> Result<SessionQuery, FindError> {
    let id_prefix = match prefix {
        Some(prefix) => Some(find_session(client, prefix).await?.session.to_string()),
        None => None,
    };
    Ok(SessionQuery {
        workspace,
        id_prefix,
        limit: 0,
    })
}

/// Everything recorded of a session that is not open; where the journal is damaged, what comes
/// before the damage.
pub async fn journal(client: &dyn Client, session: &SessionId) -> Vec<Record> {
    let frames = client.watch(session, Seq(0));
    let records = frames.filter_map(|frame| async {
        match frame {
            Frame::Record(record) => Some(record),
            Frame::Delta(_) => None,
        }
    });
    records.collect().await
}

/// The place after which a journal is the session's own: before it, that of a fork is another session's,
/// which paid for it too.
pub(crate) async fn own_after(client: &dyn Client, head: &SessionHead) -> Seq {
    if head.parent.is_none() {
        return Seq(0);
    }
    let records = journal(client, &head.session).await;
    let forks = records
        .iter()
        .rev()
        .find(|record| matches!(record.event, Event::Travel(TravelStep::Forked { .. })));
    forks.map_or(Seq(0), |record| record.seq)
}

/// What to tell a person when not all of a journal can be read, but so many events. `head` was read
/// before them: a session that another process works on may have more by then, which is no damage.
#[must_use]
pub fn damage(head: &SessionHead, read: u64) -> Option<String> {
    (read < head.events).then(|| {
        format!(
            "the journal is damaged: {read} of {} events can be read; `quire exec --resume {}` \
             repairs it and keeps the rest aside",
            head.events, head.session
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_may_be_cut_in_each_part_and_names_an_agent_only_where_it_says_so() {
        for (session, wanted, expected) in [
            ("0199-ab", "0199", true),
            ("0199-ab", "0199-ab", true),
            ("0199-ab", "0198", false),
            ("0199-ab.tests", "0199", false),
            ("0199-ab.tests", "0199-ab.tests", true),
            ("0199-ab.tests", "0199.te", true),
            ("0199-ab.tests", "0199.", true),
            ("0199-ab.tests", "0199.x", false),
            ("0199-ab", "0199.tests", false),
            ("0199-ab.tests.flaky", "0199.tests", false),
        ] {
            let (session, wanted) = (SessionId::new(session), SessionId::new(wanted));
            assert_eq!(begins(&session, &wanted), expected, "{session} {wanted}");
        }
    }

    #[test]
    fn a_journal_that_grows_while_it_is_read_is_not_damaged() {
        let head = SessionHead {
            session: SessionId::new("0199"),
            created_ms: 0,
            updated_ms: 0,
            workspace: String::new(),
            title: String::new(),
            events: 3,
            parent: None,
        };
        for (events, damaged) in [(2, true), (3, false), (5, false)] {
            let told = damage(&head, events);
            assert_eq!(told.is_some(), damaged, "{events}: {told:?}");
        }
        let told = damage(&head, 2).unwrap();
        assert!(told.contains("2 of 3 events"), "{told}");
    }
}
