//! The request that an effect is about, made from the session.

use std::sync::Arc;

use quire_protocol::{
    CheckRun, CompactionMode, Content, Item, MessageId, ModelRequest, Prefix, Purpose, SessionId,
    Settings, Transcript,
};

use crate::Session;
use crate::goal::{EVALUATOR, brief};
use crate::summary::request_for_summary;

impl Session {
    /// The open request; none while none is open. One for a judgement is made by
    /// [`Session::judge_request`].
    ///
    /// `session` is the session's own id, which it does not know.
    pub fn model_request(&self, session: &SessionId) -> Option<ModelRequest> {
        let settings = self.settings()?;
        let purpose = self.state.turn.purpose()?;
        let mut request = self.plain_request(session, settings, purpose)?;
        match purpose {
            Purpose::Summary => {
                let state = &self.state.compacting;
                let text = request_for_summary(state.focus(), &state.part());
                let items = usize::try_from(self.state.turn.items()).unwrap_or(usize::MAX);
                let sent = request.transcript.items().iter().take(items).cloned();
                request.transcript = sent.collect();
                request.transcript.push(Item::Notice { text });
                request.output_schema = None;
            }
            Purpose::Work => {
                let by_itself = settings.context.compaction == CompactionMode::ProviderThreshold;
                // Before it is due here, so that the provider comes first.
                let due = self.state.context_limits().compact_at / 10 * 8;
                request.provider_compaction = by_itself.then_some(due);
            }
            Purpose::Compact { .. } => request.output_schema = None,
            Purpose::Judge => return None,
        }
        Some(request)
    }

    /// The open request for a judgement of the goal, in a context of its own: from the goal, the
    /// claim and its evidence, what the goal's checks gave just now, and the changes as a diff.
    pub fn judge_request(
        &self,
        session: &SessionId,
        checks: &[CheckRun],
        changes: &str,
    ) -> Option<ModelRequest> {
        let settings = self.settings()?;
        let purpose = self
            .state
            .turn
            .purpose()
            .filter(|purpose| **purpose == Purpose::Judge)?;
        let mut request = self.plain_request(session, settings, purpose)?;
        request.prefix = Arc::new(Prefix {
            instructions: EVALUATOR.to_owned(),
            tools: Vec::new(),
            ..Prefix::default()
        });
        let text = brief(&self.state, &self.window, checks, changes);
        request.transcript = Transcript::from_iter([Item::User {
            message: MessageId::new("judge"),
            content: vec![Content::text(text)],
        }]);
        request.output_schema = None;
        Some(request)
    }

    /// The checks of the goal, while it is being judged.
    pub fn checks(&self) -> &[String] {
        let goal = self.state.goal.goal();
        goal.map_or(&[], |goal| goal.checks.as_slice())
    }

    /// What the open request is for.
    pub fn purpose(&self) -> Option<&Purpose> {
        self.state.turn.purpose()
    }

    fn plain_request(
        &self,
        session: &SessionId,
        settings: &Settings,
        purpose: &Purpose,
    ) -> Option<ModelRequest> {
        let effort = self.state.turn.chosen().or(self.state.turn.effort());
        Some(ModelRequest {
            session: session.clone(),
            request: self.state.turn.request()?,
            model: settings.model.clone(),
            prefix: Arc::clone(self.prefix()),
            transcript: self.transcript().clone(),
            effort: effort.unwrap_or(settings.effort),
            output_schema: settings.output_schema.clone().map(Arc::new),
            purpose: purpose.clone(),
            provider_compaction: None,
            region: settings.region.clone(),
        })
    }
}
