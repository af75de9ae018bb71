//! A session's team: other sessions that work on parts of its task.

use std::fmt;
use std::str::FromStr;

use futures_core::future::BoxFuture;

use crate::{CallId, Effort, SessionId, Spending, StopReason};

/// What stands between a session's id and the name of its member.
const MEMBER: char = '.';

/// The name of a member, unique in its lead's team: 1 to 32 of `a-z`, `0-9` and `-`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MemberName(String);

impl MemberName {
    /// The name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for MemberName {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        let allowed = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
        let fits = (1..=32).contains(&name.len()) && name.bytes().all(allowed);
        let told = || format!("`{name}` is no name of an agent: use 1 to 32 of a-z, 0-9 and -");
        fits.then(|| Self(name.to_owned())).ok_or_else(told)
    }
}

impl fmt::Display for MemberName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl SessionId {
    /// The session of this one's member of that name. Its id alone says whose it is.
    #[must_use]
    pub fn member(&self, name: &MemberName) -> Self {
        Self::new(format!("{self}{MEMBER}{name}"))
    }

    /// The session whose member this one is; none where it is nobody's.
    #[must_use]
    pub fn lead(&self) -> Option<Self> {
        let (lead, _) = self.as_str().rsplit_once(MEMBER)?;
        Some(Self::new(lead))
    }

    /// The session that leads all of its tree.
    #[must_use]
    pub fn root(&self) -> Self {
        let root = self.as_str().split(MEMBER).next();
        Self::new(root.unwrap_or_default())
    }

    /// How many leads are above it.
    #[must_use]
    pub fn depth(&self) -> usize {
        self.as_str().matches(MEMBER).count()
    }

    /// What it is called in its lead's team; none where it is nobody's member.
    #[must_use]
    pub fn member_name(&self) -> Option<&str> {
        let (_, name) = self.as_str().rsplit_once(MEMBER)?;
        Some(name)
    }

    /// Whether it is that session or one of the tree beneath it.
    #[must_use]
    pub fn is_within(&self, top: &Self) -> bool {
        let rest = self.as_str().strip_prefix(top.as_str());
        rest.is_some_and(|rest| rest.is_empty() || rest.starts_with(MEMBER))
    }
}

/// What a member may do with the workspace.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// Look at it. Several such members may work side by side.
    Read,
    /// Whatever its lead may.
    Write,
}

/// A task for a member.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MemberTask {
    /// The call by which it is given.
    pub call: CallId,
    /// Who is to do it. A member that has worked before goes on with what it knows.
    pub name: MemberName,
    /// What is to be done, in words for a model.
    pub task: String,
    /// What it may do with the workspace.
    pub access: Access,
    /// How hard it is to think; as hard as its lead when absent.
    pub effort: Option<Effort>,
}

/// What came of a task.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MemberReport {
    /// How its turn ended.
    pub end: MemberEnd,
    /// What it said last.
    pub said: String,
    /// What the task took, the member's own members included.
    pub spent: Spending,
}

/// How a member's turn ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MemberEnd {
    /// It ended, for a reason, with words on it that may be empty.
    Ended(StopReason, String),
    /// It waits at a limit, which these words name.
    Paused(String),
    /// It was stopped because its lead was.
    Stopped,
    /// Its session is over, for this reason.
    Died(String),
}

/// What a session's tools need in order to have others work for it.
pub trait Team: Send + Sync {
    /// Has a member work on a task, and says what came of it once its turn is over or waits; an error, for the
    /// model, says why it did not start. When `stop` completes, its turn is ended before that is said.
    fn work(
        &self,
        task: MemberTask,
        stop: BoxFuture<'static, ()>,
    ) -> BoxFuture<'static, Result<MemberReport, String>>;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_id_of_a_member_says_whose_it_is() {
        let root = SessionId::new("0192-ab");
        let name: MemberName = "tests".parse().unwrap();
        let member = root.member(&name);
        let second = member.member(&"flaky-1".parse().unwrap());
        assert_eq!(member.as_str(), "0192-ab.tests");
        assert_eq!(second.as_str(), "0192-ab.tests.flaky-1");
        assert_eq!((root.lead(), member.lead()), (None, Some(root.clone())));
        assert_eq!(second.lead(), Some(member.clone()));
        for (session, depth, name) in [
            (&root, 0, None),
            (&member, 1, Some("tests")),
            (&second, 2, Some("flaky-1")),
        ] {
            assert_eq!(session.root(), root);
            assert_eq!((session.depth(), session.member_name()), (depth, name));
            assert!(session.is_within(&root));
        }
        assert!(second.is_within(&member) && !root.is_within(&member));
        assert!(!root.member(&"tests2".parse().unwrap()).is_within(&member));
    }

    #[test]
    fn names_are_short_and_plain() {
        for name in ["a", "tests", "flaky-1", &"x".repeat(32)] {
            assert_eq!(name.parse::<MemberName>().unwrap().as_str(), name);
        }
        for name in ["", "A", "a b", "a.b", "../x", "a/b", "ä", &"x".repeat(33)] {
            name.parse::<MemberName>().unwrap_err();
        }
    }
}
