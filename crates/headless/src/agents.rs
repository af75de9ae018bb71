//! What agents need, for a person. Pure: the caller brings the time.

use quire_protocol::{Agent, SessionId, Standing, age, unique_length};

use crate::Style;
use crate::sessions::{WORKSPACE, tail};
use crate::style::Paint;
use crate::table::Side::{Left, Right};
use crate::table::table;
use crate::text::{cut, cut_id, first_line};

/// Columns of a title.
const TITLE: usize = 32;

/// Agents by what they need, those that need a person first. `now_ms` is in milliseconds since the Unix
/// epoch.
pub fn agents(list: &[Agent], now_ms: u64, style: Style) -> String {
    let ids: Vec<&str> = list
        .iter()
        .map(|agent| agent.head.session.as_str())
        .collect();
    let short = unique_length(&ids);
    let mut text = String::new();
    for standing in Standing::ALL {
        let rows: Vec<_> = list
            .iter()
            .filter(|agent| agent.standing == standing)
            .map(|agent| row(agent, short, now_ms, style))
            .collect();
        if rows.is_empty() {
            continue;
        }
        if !text.is_empty() {
            text.push('\n');
        }
        text += &style.paint(Paint::Bold, standing.heading());
        text.push('\n');
        let names = [
            ("ID", Left),
            ("AGE", Right),
            ("WORKSPACE", Left),
            ("TASK", Left),
            ("NOW", Left),
        ];
        text += &table(names, rows, style);
    }
    text
}

/// What a person who leaves the screen of a session is told: whether it works on, and how to come back.
pub fn parting(list: &[Agent], session: &SessionId) -> Vec<String> {
    let left = list.iter().find(|agent| agent.head.session == *session);
    let works = left.filter(|agent| agent.standing == Standing::Working);
    let on = "it works on without this screen: `quire agents` shows what it does";
    let on = works.map(|_| on.to_owned());
    let kept = format!("the session is kept: quire --resume {session}");
    on.into_iter().chain([kept]).collect()
}

fn row(agent: &Agent, short: usize, now_ms: u64, style: Style) -> [String; 5] {
    let head = &agent.head;
    [
        cut_id(head.session.as_str(), short),
        age(now_ms.saturating_sub(head.updated_ms)),
        tail(&first_line(&head.workspace).0, share(style, WORKSPACE)),
        cut(&first_line(&head.title).0, share(style, TITLE)),
        first_line(&agent.detail).0,
    ]
}

/// What a column may take, so that there is room for what comes after it.
fn share(style: Style, most: usize) -> usize {
    match style.width {
        0 => most,
        width => (width / 5).clamp(6, most),
    }
}

#[cfg(test)]
mod tests {
    use expect_test::expect;
    use quire_protocol::SessionHead;

    use super::*;
    use crate::Color;

    fn agent(id: &str, standing: Standing, title: &str, detail: &str) -> Agent {
        Agent {
            head: SessionHead {
                session: SessionId::new(id),
                created_ms: 0,
                updated_ms: 60_000,
                workspace: "/home/me/parser".to_owned(),
                title: title.to_owned(),
                events: 9,
                parent: None,
            },
            standing,
            detail: detail.to_owned(),
            model: "m".to_owned(),
            asked: None,
            faces: 1,
        }
    }

    #[test]
    fn no_row_is_wider_than_the_terminal() {
        let list = [
            agent(
                "0199-a",
                Standing::Working,
                "修正 größe 漢字漢字漢字漢字漢字漢字漢字漢字",
                "bash cargo test --workspace --all-features -- --nocapture --test-threads 1",
            ),
            agent(
                "0199-b",
                Standing::Working,
                "short",
                "答え 漢字漢字漢字漢字漢字漢字漢字漢字漢字漢字漢字漢字",
            ),
        ];
        let style = Style {
            color: Color::Never,
            width: 60,
        };
        let shown = agents(&list, 180_000, style);
        expect![[r#"
            Working
            ID        AGE  WORKSPACE     TASK         NOW
            0199-a  2 min  …e/me/parser  修正 größe…  bash cargo test -…
            0199-b  2 min  …e/me/parser  short        答え 漢字漢字漢字…
        "#]]
        .assert_eq(&shown);
        for width in [40, 60, 80, 120] {
            let shown = agents(&list, 180_000, Style { width, ..style });
            for line in shown.lines() {
                assert!(crate::text::columns(line) <= width, "{width}: {line}");
            }
        }
    }

    #[test]
    fn agents_that_need_a_person_come_first() {
        let list = [
            agent("0199-a", Standing::Done, "add a test", "It is added."),
            agent(
                "0199-b",
                Standing::NeedsYou,
                "deploy",
                "asks whether it may run: make\u{1b}[2J push",
            ),
            agent(
                "0199-c",
                Standing::Working,
                "a title that goes on for much longer than a column",
                "bash",
            ),
        ];
        let style = Style {
            color: Color::Never,
            width: 0,
        };
        expect![[r#"
            Needs you
            ID        AGE  WORKSPACE        TASK    NOW
            0199-b  2 min  /home/me/parser  deploy  asks whether it may run: make push

            Working
            ID        AGE  WORKSPACE        TASK                              NOW
            0199-c  2 min  /home/me/parser  a title that goes on for much l…  bash

            Done
            ID        AGE  WORKSPACE        TASK        NOW
            0199-a  2 min  /home/me/parser  add a test  It is added.
        "#]]
        .assert_eq(&agents(&list, 180_000, style));
        assert_eq!(agents(&[], 0, style), "");
    }
}
