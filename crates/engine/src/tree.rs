//! A tree of sessions: what each of them has spent, and which of them work for others now.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, Weak};

use quire_protocol::{Event, Record, SessionId, SessionQuery, Spending, Store, StoreError};

use crate::effects::locked;
use crate::past::read_all;

/// Members of one tree that work at once.
const AT_WORK: usize = 8;

/// The sessions of one tree: what each has spent, and which of them work for others now.
#[derive(Default)]
pub(crate) struct Tree {
    sessions: Mutex<HashMap<SessionId, Used>>,
    at_work: Mutex<HashSet<SessionId>>,
}

/// What one session has used.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Used {
    pub(crate) spent: Spending,
    pub(crate) worked_ms: u64,
}

impl Used {
    pub(crate) fn follow(&mut self, event: &Event) {
        self.spent.follow(event);
        if let Event::ModelCalled { worked_ms, .. } | Event::TurnPaused { worked_ms, .. } = event {
            self.worked_ms = self.worked_ms.max(*worked_ms);
        }
    }
}

impl Tree {
    /// Takes down what a session has used by now.
    pub(crate) fn used(&self, session: &SessionId, used: Used) {
        let mut sessions = locked(&self.sessions);
        match sessions.get_mut(session) {
            Some(before) => *before = used,
            None => drop(sessions.insert(session.clone(), used)),
        }
    }

    /// What all but one of them have spent.
    pub(crate) fn others(&self, session: &SessionId) -> Spending {
        self.sum(|other| other != session)
    }

    /// What a session and those beneath it have spent.
    fn within(&self, top: &SessionId) -> Spending {
        self.sum(|session| session.is_within(top))
    }

    fn sum(&self, which: impl Fn(&SessionId) -> bool) -> Spending {
        let mut sum = Spending::default();
        for (session, used) in &*locked(&self.sessions) {
            if which(session) {
                sum += used.spent;
            }
        }
        sum
    }

    pub(crate) fn worked_ms(&self, session: &SessionId) -> u64 {
        let sessions = locked(&self.sessions);
        sessions.get(session).map_or(0, |used| used.worked_ms)
    }

    /// Lets a member work until what comes back is dropped.
    pub(crate) fn begin(self: &Arc<Self>, member: &SessionId) -> Result<AtWork, String> {
        let mut at_work = locked(&self.at_work);
        if at_work.contains(member) {
            return Err(format!(
                "the agent `{}` is at work already: wait for it, or give the task to another name",
                member.member_name().unwrap_or_default()
            ));
        }
        if at_work.len() >= AT_WORK {
            return Err(format!(
                "{AT_WORK} agents are at work already: wait for one of them, or do it yourself"
            ));
        }
        at_work.insert(member.clone());
        Ok(AtWork {
            tree: Arc::clone(self),
            member: member.clone(),
        })
    }
}

/// The trees of which a session is open, by the sessions that lead them.
#[derive(Default)]
pub(crate) struct Trees(Mutex<HashMap<SessionId, Weak<Tree>>>);

impl Trees {
    /// The tree of a session, with what all others of it have spent by their journals.
    pub(crate) async fn of(
        &self,
        session: &SessionId,
        store: &dyn Store,
    ) -> Result<Arc<Tree>, StoreError> {
        let root = session.root();
        if let Some(tree) = self.known(&root) {
            return Ok(tree);
        }
        let query = SessionQuery {
            id_prefix: Some(root.to_string()),
            ..SessionQuery::default()
        };
        let tree = Arc::new(Tree::default());
        for head in store.sessions(query).await? {
            let other = head.session;
            if other == *session || !other.is_within(&root) {
                continue;
            }
            let mut used = Used::default();
            let follow = |record: Record| used.follow(&record.event);
            // One that cannot be read to its end has cost what can be read of it.
            let _ = read_all(store, &other, follow).await;
            tree.used(&other, used);
        }
        let mut trees = locked(&self.0);
        // Whoever came first meanwhile has the one that counts.
        if let Some(first) = trees.get(&root).and_then(Weak::upgrade) {
            return Ok(first);
        }
        trees.insert(root, Arc::downgrade(&tree));
        Ok(tree)
    }

    fn known(&self, root: &SessionId) -> Option<Arc<Tree>> {
        let mut trees = locked(&self.0);
        trees.retain(|_, tree| tree.strong_count() > 0);
        trees.get(root).and_then(Weak::upgrade)
    }
}

/// A member that works.
pub(crate) struct AtWork {
    tree: Arc<Tree>,
    member: SessionId,
}

impl AtWork {
    /// What the member and those beneath it have spent.
    pub(crate) fn spent(&self) -> Spending {
        self.tree.within(&self.member)
    }
}

impl Drop for AtWork {
    fn drop(&mut self) {
        locked(&self.tree.at_work).remove(&self.member);
    }
}
