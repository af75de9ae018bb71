//! The far end of a connection: a process of ours, or a server that runs elsewhere.

use futures_core::future::BoxFuture;
use quire_protocol::{ToolOutcome, ToolStatus};
use rmcp::transport::DynamicTransportError;

use crate::answer::failed;
use crate::link::Link;
use crate::program::Walls;
use crate::remote::Remote;
use crate::trouble::{Kind, Trouble};

/// Whoever is talked to. Dropping it ends a process and lets go of any other.
pub(crate) enum Far {
    /// A process and what confines it.
    Process { link: Link, walls: Walls },
    /// A server that runs elsewhere.
    Elsewhere(Remote),
}

impl Far {
    /// Whether it can be asked nothing more.
    pub(crate) fn is_over(&self) -> bool {
        match self {
            Self::Process { link, .. } => link.is_over(),
            Self::Elsewhere(remote) => remote.is_over(),
        }
    }

    /// Waits until it can be asked nothing more.
    pub(crate) fn over(&self) -> BoxFuture<'static, ()> {
        match self {
            Self::Process { link, .. } => Box::pin(link.over()),
            Self::Elsewhere(remote) => Box::pin(remote.over()),
        }
    }

    /// Waits until what it was asked is not waited for any more. A process that has ended may have answered before.
    pub(crate) fn let_go(&self) -> BoxFuture<'static, ()> {
        match self {
            Self::Process { .. } => Box::pin(std::future::pending()),
            Self::Elsewhere(remote) => Box::pin(remote.over()),
        }
    }

    /// Whether these walls confine it; nothing of ours confines what runs elsewhere.
    pub(crate) fn is_within(&self, wanted: Option<&Walls>) -> bool {
        match self {
            Self::Process { walls, .. } => Some(walls) == wanted,
            Self::Elsewhere(_) => wanted.is_none(),
        }
    }

    /// Ends it on purpose, in the background.
    pub(crate) fn stop(&self) {
        match self {
            Self::Process { link, .. } => link.stop(),
            Self::Elsewhere(remote) => remote.stop(),
        }
    }

    /// Ends it on purpose, and returns when nothing of it runs here.
    pub(crate) async fn end(&self) {
        match self {
            Self::Process { link, .. } => link.end().await,
            Self::Elsewhere(remote) => remote.stop(),
        }
    }

    /// How it ended, to stand behind a sentence.
    pub(crate) fn told(&self) -> String {
        match self {
            Self::Process { link, .. } => link.seen().told(),
            Self::Elsewhere(remote) => remote.told(),
        }
    }

    /// What is said of a call that was sent and is answered no more.
    pub(crate) async fn lost(&self) -> ToolOutcome {
        match self {
            Self::Process { link, .. } => {
                link.over().await;
                let seen = link.seen();
                if seen.dismissed {
                    return dismissed();
                }
                failed(format!(
                    "the server ended during the call, which may have run in part: {}\n\
                     The next call starts it again.",
                    seen.told()
                ))
            }
            Self::Elsewhere(remote) if remote.is_dismissed() => dismissed(),
            Self::Elsewhere(remote) => failed(may_have_run(&remote.told())),
        }
    }

    /// What is said of a call that could not be sent, or was refused.
    pub(crate) async fn unsent(&self, error: &DynamicTransportError) -> ToolOutcome {
        let Self::Elsewhere(remote) = self else {
            return self.lost().await;
        };
        if remote.is_dismissed() {
            return dismissed();
        }
        if remote.is_over() {
            return failed(may_have_run(&remote.told()));
        }
        let Trouble { kind, why } = Trouble::of(error);
        match kind {
            Kind::Uncertain => failed(may_have_run(&why)),
            Kind::Settled | Kind::Refused => failed(format!("the call failed: {why}")),
            Kind::Gone => {
                remote.fail(&why);
                failed(format!(
                    "the call failed: {why}\nThe next call greets the server anew."
                ))
            }
        }
    }
}

fn may_have_run(why: &str) -> String {
    format!("the call failed, and may have run: {why}")
}

/// What is said of a call whose server was ended on purpose.
pub(crate) fn dismissed() -> ToolOutcome {
    let told = "the server was ended during the call, which may have run in part";
    ToolOutcome::text(ToolStatus::Cancelled, told)
}
