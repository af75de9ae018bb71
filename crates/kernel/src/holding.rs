//! How a person holds a turn that works: stops it, lets it pause after its step, and goes on with it.

use quire_protocol::{Event, Pause};

use crate::Effect;
use crate::budget::Limit;
use crate::draft::Draft;

impl Draft<'_> {
    /// Stops everything. The turn ends once nothing of it runs any more, which may be now.
    pub(crate) fn interrupt(&mut self, cause: String) {
        if self.state.turn.is_stopping() {
            return;
        }
        if self.state.turn.id().is_some() {
            self.record(Event::InterruptAccepted { cause });
            self.cancel_calls();
            if let Some(request) = self.state.turn.request() {
                self.wish(Effect::CancelModel(request));
            }
        }
        self.stop_jobs();
        self.finish_stopping();
    }

    /// Lets the open turn pause: where nothing of it runs at once, else after its step.
    pub(crate) fn pause(&mut self) {
        let turn = &self.state.turn;
        if turn.id().is_none() || turn.is_stopping() || turn.pause().is_some() {
            return;
        }
        if turn.is_dormant() {
            self.stop_at(Limit::Asked);
        } else {
            self.tell_pause(Pause::Asked, "a pause is wanted after this step".to_owned());
        }
    }

    /// A person who goes on, or steers, wants no pause any more.
    pub(crate) fn pause_no_more(&mut self) {
        if self.state.turn.pause() == Some(Pause::Asked) {
            let detail = "no pause is wanted any more".to_owned();
            self.tell_pause(Pause::Withdrawn, detail);
        }
    }

    /// Goes on with a turn that was left open.
    pub(crate) fn resume(&mut self) {
        self.pause_no_more();
        if self.state.turn.is_dormant() {
            self.advance();
        } else if self.state.turn.id().is_none() && self.state.goal.goal().is_some() {
            self.go_on_for_goal();
        }
    }

    /// How far a pause of the open turn has come.
    pub(crate) fn tell_pause(&mut self, pause: Pause, detail: String) {
        self.pausing = false;
        if let Some(turn) = self.state.turn.id() {
            let worked_ms = self.worked_ms;
            self.record(Event::TurnPaused {
                turn,
                pause,
                detail,
                worked_ms,
            });
        }
    }
}
