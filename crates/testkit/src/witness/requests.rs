//! When a request may be sent, and when a turn may end.

use quire_kernel::Session;
use quire_protocol::{Event, GoalVerdict, ModelErrorKind, Purpose, StopReason};

use super::{Checked, Witness, ensure};

impl Witness {
    /// The time of work is taken down, and never runs back.
    pub(super) fn saw_work(&mut self, worked_ms: u64) -> Checked {
        self.worked_ms = self.worked_ms.max(self.clock);
        ensure!(worked_ms == self.worked_ms, "{worked_ms} ms were worked");
        Ok(())
    }

    pub(super) fn may_call_model(&mut self, event: &Event, session: &Session) -> Checked {
        let Event::ModelCalled {
            items,
            purpose,
            estimate,
            chosen,
            worked_ms,
            ..
        } = event
        else {
            return Ok(());
        };
        let all = u32::try_from(session.transcript().len()).unwrap_or(0);
        let whole = *items == all;
        let part = *purpose == Purpose::Summary && (1..all).contains(items);
        ensure!(whole || part, "the request counts {items} items");
        ensure!(!self.turns.must_not_start(), "a request after a stop");
        ensure!(self.calls.all_settled(), "a request while a call is open");
        ensure!(
            self.context.is_whole(),
            "a request with calls without results"
        );
        ensure!(
            self.turns.requests < self.limits.requests_per_turn.max(1),
            "more requests than the limit"
        );
        ensure!(
            !self.is_at_limit(),
            "a request beyond a limit of the session"
        );
        ensure!(!self.turns.pausing, "a request while a pause is wanted");
        self.saw_work(*worked_ms)?;
        self.check_effort(purpose, chosen.as_ref())?;
        self.check_room(purpose, *estimate)?;
        let estimated = !whole || *purpose == Purpose::Judge || *estimate == session.estimate();
        ensure!(estimated, "the estimate is another");
        if *purpose == Purpose::Judge {
            return Ok(());
        }
        ensure!(
            self.news.is_empty(),
            "the model is not told that a job ended"
        );
        ensure!(
            self.turns.has_task || !purpose.is_work(),
            "the model is asked for nothing"
        );
        let waits = self.mail.has_steers() && purpose.is_work();
        ensure!(!waits, "a request without a waiting steer");
        let waits = self.mail.has_notes() && purpose.is_work();
        ensure!(!waits, "a request without a waiting note");
        if self.calls.none_in_reply() {
            return self.circles.is_within(self.limits.repeats);
        }
        self.circles.may_go_on(self.limits.repeats)
    }

    /// No request is sent for which there is no room, as far as its size is known.
    fn check_room(&self, purpose: &Purpose, estimate: u64) -> Checked {
        let room = self
            .settings
            .as_ref()
            .map_or(u64::MAX, |settings| settings.context.room());
        let room = self.compactions.most(room);
        let fits = match purpose {
            Purpose::Judge => return Ok(()),
            Purpose::Work => estimate < room,
            Purpose::Summary | Purpose::Compact { .. } => estimate <= room,
        };
        ensure!(fits, "{estimate} tokens are sent where {room} fit");
        Ok(())
    }

    pub(super) fn may_end(&self, reason: StopReason) -> Checked {
        ensure!(self.calls.all_settled(), "a turn ends with an open call");
        ensure!(
            self.context.is_whole(),
            "a turn ends with a call without a result"
        );
        let holds = match reason {
            StopReason::Cancelled => self.turns.stopping && self.jobs.is_empty(),
            StopReason::MaxTurnRequests => {
                self.turns.requests >= self.limits.requests_per_turn.max(1)
            }
            StopReason::NoProgress => {
                let circles = self.circles.count() >= self.limits.repeats.max(2);
                let no_nearer = self.goals.verdict.is_some() && self.goals.gives_up();
                (circles || no_nearer) && !self.mail.has_steers()
            }
            StopReason::EndTurn if !self.turns.has_task => !self.mail.has_steers(),
            StopReason::EndTurn => self.may_end_turn(),
            StopReason::MaxTokens => self.calls.none_in_reply() && !self.mail.has_steers(),
            StopReason::Refusal => true,
            StopReason::Budget => false,
            StopReason::Impossible => self.goals.verdict == Some(GoalVerdict::Impossible),
            StopReason::Error => self.may_fail(),
        };
        ensure!(holds, "the turn has no reason to end with {reason:?}");
        ensure!(
            reason != StopReason::EndTurn || self.turns.silences != 1 || self.is_limited(),
            "a turn ends with an empty reply that nobody asked about"
        );
        ensure!(
            reason == StopReason::Cancelled || !self.turns.stopping,
            "a turn that is being stopped ends with {reason:?}"
        );
        self.turns.may_end(reason)
    }

    /// With a goal, a verdict comes before the end.
    fn may_end_turn(&self) -> bool {
        let judged = match self.goals.verdict {
            Some(GoalVerdict::Met) => true,
            Some(GoalVerdict::NotYet) => !self.goals.gives_up() || self.mail.has_steers(),
            Some(GoalVerdict::Impossible) => false,
            None => !self.goals.is_set() && !self.mail.has_steers(),
        };
        self.calls.none_in_reply() && judged
    }

    /// A turn fails with its request, or for want of room.
    fn may_fail(&self) -> bool {
        let room = self
            .settings
            .as_ref()
            .map_or(u64::MAX, |settings| settings.context.room());
        match self.turns.failed {
            Some(ModelErrorKind::Lost) | None => {
                self.compactions.estimate() >= room || self.compactions.refused
            }
            Some(_) => true,
        }
    }
}
