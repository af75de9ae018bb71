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
    /// What every session needs that is open here, and those in which something happened last.
    pub(crate) async fn list_agents(&self) -> Result<Vec<Agent>, ClientError> {
        let mut resting = 0;
        let mut agents = Vec::new();
        for head in self.sessions(SessionQuery::default()).await? {
            let open = self.is_open(&head.session);
            resting += usize::from(!open);
            if open || resting <= RESTING {
                agents.push(self.agent(head, open).await);
            }
        }
        Ok(agents)
    }

    async fn agent(&self, head: SessionHead, open: bool) -> Agent {
        let (activity, model) = self.end_of(&head.session, head.events).await;
        let (standing, detail) = match activity.standing() {
            Standing::Working if !open => (
                Standing::NeedsYou,
                "another process works on it, or died in the middle of a turn",
            ),
            standing => (standing, activity.detail()),
        };
        Agent {
            standing,
            detail: detail.to_owned(),
            model,
            asked: activity.asked(),
            faces: 0,
            head,
        }
    }

    /// What the last events say, and which model they name. A journal that cannot be read says
    /// nothing.
    async fn end_of(&self, session: &SessionId, events: u64) -> (Activity, String) {
        let (mut activity, mut model) = (Activity::default(), String::new());
        let after = Seq(events.saturating_sub(TAIL));
        let read = self.store().read(session, after, usize::MAX).await;
        for entry in read.unwrap_or_default() {
            let Ok(record) = decode_entry(&entry) else {
                break;
            };
            activity.follow(&record.event);
            match record.event {
                Event::Configured { settings } => model = settings.model,
                Event::ModelReplied { model: served, .. } => model = served,
                _ => {}
            }
        }
        (activity, model)
    }
}
