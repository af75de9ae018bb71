//! `/resume`: the screen goes over to another session of its folder.

use std::sync::Arc;

use quire_protocol::{Content, SessionHead, SessionId, Settings};
use ratatui_core::text::Line;

use crate::app::App;
use crate::commands::pair;
use crate::link::Link;
use crate::look;
use crate::setup::Start;
use crate::talk::aged;
use crate::wish::Wish;

/// What is meant by the words behind `/resume`: a number of the last list, or what has to be looked
/// for.
#[expect(
    clippy::unnecessary_wraps,
    reason = "all commands are functions of one type"
)]
pub(crate) fn resume(app: &mut App, words: &str) -> Result<Vec<Wish>, String> {
    let number = words
        .parse::<usize>()
        .ok()
        .and_then(|number| number.checked_sub(1));
    if let Some(head) = number.and_then(|place| app.listed.get(place)) {
        return Ok(vec![Wish::Switch {
            session: head.session.clone(),
            content: Vec::new(),
        }]);
    }
    Ok(vec![Wish::Resume(words.to_owned())])
}

/// Looks for sessions of the folder by the start of their id or by words of their title. One that is
/// alone is to be gone over to; several are listed with numbers.
pub(crate) async fn find(app: &mut App, link: &Link, words: &str) -> Option<SessionId> {
    let heads = match link.sessions(app).await {
        Ok(heads) => heads,
        Err(error) => {
            app.conversation.warn(&error.to_string());
            return None;
        }
    };
    let others = heads
        .into_iter()
        .filter(|head| head.session != *link.session());
    let mut fitting: Vec<SessionHead> = others.filter(|head| fits(head, words)).collect();
    match fitting.as_slice() {
        [] if words.is_empty() => app.conversation.warn("this folder has no other session"),
        [] => app
            .conversation
            .warn(&format!("no other session of this folder is named {words}")),
        [one] if !words.is_empty() => return Some(one.session.clone()),
        _ => {
            let lines = numbered(&fitting, (app.now_ms)());
            app.conversation.show(lines);
            app.listed = std::mem::take(&mut fitting);
        }
    }
    None
}

/// Goes over to another session, with this in the input. The one that is left works on where it was; where the other cannot
/// be opened, nothing changes.
pub(crate) async fn switch(
    app: &mut App,
    link: &mut Link,
    session: SessionId,
    content: &[Content],
) {
    if app.must_stay() {
        return;
    }
    let another = app.conversation.anew();
    let before = std::mem::replace(&mut app.conversation, another);
    let fit = Arc::clone(&app.fit);
    let adapt = Box::new(move |settings: Settings| fit(settings, &[]));
    let start = Start::Open {
        session: session.clone(),
        adapt,
    };
    match Link::open(link.client(), start, app).await {
        Ok(opened) => {
            app.arrive(content);
            app.conversation.note(&format!("this is session {session}"));
            let left = std::mem::replace(link, opened).close().await;
            if let Err(error) = left {
                app.conversation
                    .warn(&format!("the session that you left: {error}"));
            }
        }
        Err(error) => {
            app.conversation = before;
            app.conversation
                .warn(&format!("session {session} cannot be opened: {error}"));
        }
    }
}

impl App {
    /// Another conversation stands here from now on, and this before what is being typed.
    fn arrive(&mut self, content: &[Content]) {
        self.left();
        if !content.is_empty() {
            self.put_in(content);
        }
    }
}

fn fits(head: &SessionHead, words: &str) -> bool {
    let title = head.title.to_lowercase();
    let mut wanted = words.split_whitespace();
    head.session.as_str().starts_with(words)
        || wanted.all(|word| title.contains(&word.to_lowercase()))
}

fn numbered(heads: &[SessionHead], now_ms: u64) -> Vec<Line<'static>> {
    let mut lines = vec![look::line(
        "Other sessions of this folder, newest first; /resume N goes over to one",
        look::BOLD,
    )];
    lines.extend(heads.iter().enumerate().map(|(place, head)| {
        let id: String = head.session.as_str().chars().take(13).collect();
        pair(&format!("{:>2}  {id}", place + 1), &aged(head, now_ms))
    }));
    lines
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::talk::listed;

    #[test]
    fn sessions_are_listed_with_their_age_and_those_that_nothing_was_said_in_say_so() {
        let head = |id: &str, updated_ms, title: &str| SessionHead {
            session: SessionId::new(id),
            created_ms: 0,
            updated_ms,
            workspace: String::new(),
            title: title.to_owned(),
            events: 3,
            parent: None,
        };
        let heads = [
            head("0199-fork-of-it", 7_200_000, "do it · before “again”"),
            head("0199-new", 10_000_000, ""),
        ];
        let lines = [numbered(&heads, 10_800_000), listed(&heads, 10_800_000)].concat();
        let lines: Vec<String> = lines.iter().map(ToString::to_string).collect();
        let told = [
            (1, " 1  0199-fork-of-", "1 h     do it · before “again”"),
            (2, " 2  0199-new", "13 min  (nothing said yet)"),
            (4, "0199-fork-of-it", "1 h     do it · before “again”"),
            (5, "0199-new", "13 min  (nothing said yet)"),
        ];
        for (line, id, words) in told {
            assert_eq!(lines[line], format!("  {id:<30} {words}"));
        }
    }

    #[test]
    fn what_is_being_typed_stays_behind_the_words_of_another_session() {
        let mut app = App::new("me".to_owned(), Arc::new(|settings, _| Ok(settings)));
        app.editor.set("typed meanwhile");
        let image = Content::Image {
            media_type: "image/png".to_owned(),
            data: "AAAA".to_owned(),
        };
        let said = [
            Content::text("said [image 1: shot.png] there"),
            image.clone(),
        ];
        app.arrive(&said);
        let rows = ["said [image shot.png] there", "typed meanwhile"];
        assert_eq!(app.editor.layout(80).rows, rows);
        app.arrive(&[]);
        assert_eq!(app.editor.layout(80).rows, rows);
        assert_eq!(app.editor.images(), [image]);
    }
}
