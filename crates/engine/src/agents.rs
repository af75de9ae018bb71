//! What sessions need, as the ends of their journals tell it.

use quire_protocol::{
    Activity, Agent, Client as _, ClientError, Event, Seq, SessionHead, Standing,
};
use quire_protocol::{SessionId, SessionQuery};

use crate::engine::Engine;
use crate::journal::decode_entry;

/// Sessions in the list that are not open here.
const RESTING: usize = 20;
/// Events from which it is told.
const TAIL: u64 = 200;

impl Engine {
    /// What every session needs that is open here, and those in which something happened last. One in which nothing was
    /// ever said is none of them.
    pub(crate) async fn list_agents(&self) -> Result<Vec<Agent>, ClientError> {
        let mut resting = 0;
        let mut agents = Vec::new();
        let mut heads = self.sessions(SessionQuery::default()).await?;
        // What an agent needs, its lead asks for.
        heads.retain(|head| head.session.lead().is_none());
        for head in heads {
            let open = self.is_open(&head.session);
            if !open && resting == RESTING {
                continue;
            }
            if let Some(agent) = self.agent(head, open).await {
                resting += usize::from(!open);
                agents.push(agent);
            }
        }
        Ok(agents)
    }

    async fn agent(&self, head: SessionHead, open: bool) -> Option<Agent> {
        let End {
            activity,
            model,
            unused,
        } = self.end_of(&head.session, head.events).await;
        if unused {
            return None;
        }
        let (standing, detail) = match activity.standing() {
            Standing::Working if !open => (
                Standing::NeedsYou,
                "another process works on it, or died in the middle of a turn",
            ),
            standing => (standing, activity.detail()),
        };
        Some(Agent {
            standing,
            detail: detail.to_owned(),
            model,
            asked: activity.asked(),
            faces: 0,
            head,
        })
    }

    /// What the last events say, and which model they name. A journal that cannot be read says
    /// nothing.
    async fn end_of(&self, session: &SessionId, events: u64) -> End {
        let after = Seq(events.saturating_sub(TAIL));
        let read = self.store().read(session, after, usize::MAX).await;
        let mut end = End {
            activity: Activity::default(),
            model: String::new(),
            unused: events <= TAIL && read.is_ok(),
        };
        for entry in read.unwrap_or_default() {
            let Ok(record) = decode_entry(&entry) else {
                end.unused = false;
                break;
            };
            end.activity.follow(&record.event);
            match record.event {
                Event::Configured { settings } => end.model = settings.model,
                Event::ModelReplied { model: served, .. } => end.model = served,
                Event::MessageAccepted { .. } => end.unused = false,
                _ => {}
            }
        }
        end
    }
}

/// What the end of a journal tells.
struct End {
    activity: Activity,
    model: String,
    /// Whether that is all of it, and nobody ever said anything.
    unused: bool,
}
