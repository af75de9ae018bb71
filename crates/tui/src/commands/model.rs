//! `/model`: another model, at once where nothing works, or else once it rests.

use quire_protocol::Op;

use crate::app::App;
use crate::conversation::Conversation;
use crate::menu;
use crate::wish::Wish;

/// A model that is wanted for a session which works with another one, and cannot change it before it rests.
#[derive(Debug)]
pub(crate) struct NextModel {
    /// As the person named it.
    name: String,
    /// As the settings will name it.
    model: String,
    /// Whether the session rested when somebody looked last.
    rested: bool,
    /// Whether it was asked for and not answered yet.
    asked: bool,
    /// Whether the person was told that it would be lost.
    told: bool,
}

pub(super) fn model(app: &mut App, words: &str) -> Result<Vec<Wish>, String> {
    if words.is_empty() {
        return Ok(menu::list_models(app));
    }
    let current = app.conversation.settings.clone();
    let current = current.ok_or("the session has not begun yet")?;
    let settings = (app.fit)(current.clone(), &[("model", words.to_owned())])?;
    let before = app.next_model.take();
    if settings == current {
        let before = before.ok_or("that is what is set already")?;
        let words = format!("model {} is not wanted any more", before.name);
        app.conversation.note(&words);
        return Ok(Vec::new());
    }
    if rests(&app.conversation) || settings.model == current.model {
        return Ok(vec![Wish::Ask(Op::Configure { settings })]);
    }
    let when = if app.conversation.works() {
        "from the next turn on, or once you pause this one"
    } else {
        "once no background job runs"
    };
    app.conversation.note(&format!("{when}: model {words}"));
    app.next_model = Some(NextModel {
        name: words.to_owned(),
        model: settings.model,
        rested: false,
        asked: false,
        told: false,
    });
    Ok(Vec::new())
}

fn is_current(conversation: &Conversation, model: &str) -> bool {
    let settings = conversation.settings.as_ref();
    settings.is_some_and(|settings| settings.model == model)
}

/// Whether the tools of another model can take over: nothing runs that has those of this one.
fn rests(conversation: &Conversation) -> bool {
    !conversation.works() && conversation.jobs.is_empty()
}

impl App {
    /// The model that is wanted is asked for once the session rests.
    pub(crate) fn settle_model(&mut self) -> Option<Op> {
        let rests = rests(&self.conversation);
        let next = self.next_model.as_mut()?;
        if is_current(&self.conversation, &next.model) {
            self.next_model = None;
            return None;
        }
        if std::mem::replace(&mut next.rested, rests) || !rests {
            return None;
        }
        next.asked = true;
        let flags = [("model", next.name.clone())];
        match (self.fit)(self.conversation.settings.clone()?, &flags) {
            Ok(settings) => Some(Op::Configure { settings }),
            Err(why) => {
                self.next_model = None;
                self.conversation.warn(&why);
                None
            }
        }
    }

    /// Whether what was refused may be the model, which is asked for again: the next turn may have begun before
    /// it was heard. Tells why then.
    pub(crate) fn asks_model_again(&mut self, why: &str) -> bool {
        let Some(next) = self.next_model.as_mut().filter(|next| next.asked) else {
            return false;
        };
        next.asked = false;
        let name = &next.name;
        let words = format!("model {name}: not yet, it is asked for when it rests again ({why})");
        self.conversation.note(&words);
        true
    }

    /// Another conversation stands here: what was wanted of the one before is lost, and said to be.
    pub(crate) fn lose_model(&mut self) {
        if let Some(next) = self.next_model.take() {
            let name = next.name;
            let words = format!("model {name} was not set in the session that you left");
            self.conversation.warn(&words);
        }
    }

    /// Whether leaving would lose a model that is wanted; the person is told so once.
    pub(crate) fn would_lose_model(&mut self) -> bool {
        let Some(next) = self.next_model.as_mut().filter(|next| !next.told) else {
            return false;
        };
        next.told = true;
        let name = &next.name;
        self.notice = Some(format!(
            "model {name} is set once it rests, by this screen: once more leaves without it"
        ));
        true
    }
}
