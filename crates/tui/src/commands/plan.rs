//! `/plan`: nothing is changed before the person accepts a plan.

use quire_protocol::{Delivery, Phase, Settings};

use super::{answer, configured};
use crate::app::App;
use crate::conversation::Conversation;
use crate::wish::Wish;

/// What accepting a plan says.
const ACCEPTED: &str = "The plan is accepted: carry it out.";
/// What can be done about a plan, once it stands.
pub(crate) const OFFER: &str =
    "plan mode: /plan accept carries the plan out · say what to change in it · /plan off leaves it";

/// Whether the session plans.
pub(crate) fn is_planning(conversation: &Conversation) -> bool {
    let settings = conversation.settings.as_ref();
    settings.is_some_and(|settings| settings.policy.phase == Phase::Plan)
}

fn works_not(conversation: &Conversation) -> bool {
    let settings = conversation.settings.as_ref();
    settings.is_some_and(|settings| !settings.policy.phase.is_work())
}

pub(super) fn plan(app: &mut App, words: &str) -> Result<Vec<Wish>, String> {
    let to = |phase| move |settings: &mut Settings| settings.policy.phase = phase;
    let planning = is_planning(&app.conversation);
    match words {
        // Who only looked for another session may work once a person says so.
        "off" if works_not(&app.conversation) => configured(app, to(Phase::Work)),
        "accept" | "off" if !planning => Ok(answer(
            app,
            "nothing is planned here: /plan, or /plan WORDS, begins",
        )),
        "accept" => {
            let mut wishes = configured(app, to(Phase::Work))?;
            wishes.push(app.say(ACCEPTED.to_owned(), Delivery::Steer));
            Ok(wishes)
        }
        "" if planning => Ok(answer(app, OFFER)),
        "" => configured(app, to(Phase::Plan)),
        words => {
            let mut wishes = Vec::new();
            if !planning {
                wishes = configured(app, to(Phase::Plan))?;
            }
            wishes.push(app.say(words.to_owned(), Delivery::Steer));
            Ok(wishes)
        }
    }
}
