//! What the harness tells the model: only what is so, and only when it is.

use super::{Checked, Witness, ensure};

impl Witness {
    pub(super) fn saw_notice(&mut self, text: &str) -> Checked {
        ensure!(
            self.calls.all_settled() && self.turns.request.is_none(),
            "a notice in the middle of a step"
        );
        match () {
            () if text.starts_with("You made") => return self.circles.warned(),
            () if text.starts_with("Your reply was empty") => {
                ensure!(self.turns.silences == 1, "the model is asked again");
                ensure!(!self.is_limited(), "the model is asked beyond a limit");
            }
            () if text.starts_with("Your answer was cut") => {
                ensure!(self.turns.cuts < 15, "a cut answer goes on for ever");
                ensure!(!self.is_limited(), "an answer goes on beyond a limit");
            }
            () if text.starts_with("A goal is set") || text.starts_with("The goal is not") => {
                ensure!(self.goals.is_set(), "there is no goal");
            }
            () if text.starts_with("Tools came") || text.starts_with("The tools of the server") => {
                return self.offers.saw_notice(text);
            }
            () => {
                let told = self.news.iter().position(|news| text.contains(news));
                ensure!(told.is_some(), "a notice of nothing: {text}");
                self.news.remove(told.unwrap_or(0));
            }
        }
        Ok(())
    }
}
