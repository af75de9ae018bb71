//! Lists of sessions and of search hits, for a person. Pure: the caller brings the time.

use std::fmt::Write as _;

use quire_protocol::{Hit, SessionHead, age, unique_length};

use crate::Style;
use crate::style::Paint;
use crate::table::Side::{Left, Right};
use crate::table::table;
use crate::text::{clean, cut, cut_id, first_line, thousands};

/// Columns for the workspace.
pub(crate) const WORKSPACE: usize = 28;

/// Sessions as an aligned table: id, age, workspace, events, title. `now_ms` is in milliseconds
/// since the Unix epoch. Ids are cut to where they are still unique in the list.
pub fn list(heads: &[SessionHead], now_ms: u64, style: Style) -> String {
    let ids: Vec<&str> = heads.iter().map(|head| head.session.as_str()).collect();
    let short = unique_length(&ids);
    let rows = heads.iter().map(|head| {
        [
            cut_id(head.session.as_str(), short),
            age(now_ms.saturating_sub(head.updated_ms)),
            tail(&first_line(&head.workspace).0, WORKSPACE),
            thousands(head.events),
            first_line(&head.title).0,
        ]
    });
    let names = [
        ("ID", Left),
        ("AGE", Right),
        ("WORKSPACE", Left),
        ("EVENTS", Right),
        ("TITLE", Left),
    ];
    table(names, rows, style)
}

/// Search hits: session, place, and the words around the match.
pub fn hits(hits: &[Hit], style: Style) -> String {
    let ids: Vec<&str> = hits.iter().map(|hit| hit.session.as_str()).collect();
    let short = unique_length(&ids);
    let mut text = String::new();
    for hit in hits {
        let id = cut_id(hit.session.as_str(), short);
        let place = format!("#{}", hit.seq);
        let words = clean(&hit.snippet);
        let words: Vec<&str> = words.split_whitespace().collect();
        let words = words
            .join(" ")
            .split('«')
            .map(|part| match part.split_once('»') {
                Some((found, rest)) => {
                    format!(
                        "{}{rest}",
                        style.paint(Paint::Yellow, &format!("«{found}»"))
                    )
                }
                None => part.to_owned(),
            })
            .collect::<String>();
        let _ = writeln!(text, "{id}  {}  {words}", style.paint(Paint::Dim, &place));
    }
    text
}

/// The end of a path, which tells more than its beginning.
pub(crate) fn tail(path: &str, width: usize) -> String {
    let length = path.chars().count();
    if length <= width {
        return path.to_owned();
    }
    let kept: String = path.chars().skip(length - width + 1).collect();
    format!("…{}", cut(&kept, width))
}

#[cfg(test)]
mod tests {
    use expect_test::expect;
    use quire_protocol::{Seq, SessionId};

    use super::*;
    use crate::Color;

    fn head(id: &str, updated_ms: u64, workspace: &str, title: &str, events: u64) -> SessionHead {
        SessionHead {
            session: SessionId::new(id),
            created_ms: 0,
            updated_ms,
            workspace: workspace.into(),
            title: title.into(),
            events,
            parent: None,
        }
    }

    #[test]
    fn sessions_in_a_table() {
        let now = 400_000_000;
        let heads = [
            head(
                "01936f00-0000-7aaa-8000-000000000001",
                now - 5,
                "/srvs/a",
                "Fix it",
                12,
            ),
            head(
                "01936f00-0001-7aaa-8000-000000000002",
                now - 3_600_000,
                "/home/someone/projects/with/a/long/path",
                "A long title that goes on\x1b[2J and on until it does not fit the line at all any more",
                12345,
            ),
            head("01936f00-0001-7bbb-8000-000000000003", 0, "/w", "", 3),
        ];
        expect![[r#"
            ID                AGE  WORKSPACE                     EVENTS  TITLE
            01936f00-0000-7a  now  /srvs/a                           12  Fix it
            01936f00-0001-7a  1 h  …e/projects/with/a/long/path  12,345  A long title that goes on and on until…
            01936f00-0001-7b  4 d  /w                                 3
        "#]]
        .assert_eq(&list(&heads, now, Style::default()));
        assert_eq!(
            list(&[], now, Style::default()),
            "ID  AGE  WORKSPACE  EVENTS  TITLE\n"
        );
    }

    #[test]
    fn hits_mark_what_was_found() {
        let found = [Hit {
            session: SessionId::new("01936f00-0000-7aaa-8000-000000000001"),
            seq: Seq(7),
            snippet: "the «parser»\n\x1b[1mfails on «empty» input".into(),
        }];
        expect![[r"
            01936f00-0000  #7  the «parser» fails on «empty» input
        "]]
        .assert_eq(&hits(&found, Style::default()));
        let colored = Style {
            color: Color::Always,
            width: 0,
        };
        assert!(hits(&found, colored).contains("\x1b[33m«parser»\x1b[0m fails"));
    }
}
