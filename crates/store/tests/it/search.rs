//! Search and the list of sessions.

use quire_protocol::{Seq, SessionHead, SessionQuery, Store};

use crate::{entry, head, id, open, said, session, wait};

#[test]
fn words_are_found_in_order_of_fit_with_what_stands_around_them() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    session(
        &store,
        "a",
        &["fix the parser's bug in read_file", "Ünicode und Straße"],
    );
    session(
        &store,
        "b",
        &["nothing here", "the parser again: parser, parser"],
    );
    let found = |text: &str| {
        let hits = wait(store.search(text, 10)).unwrap();
        hits.into_iter()
            .map(|hit| (hit.session.to_string(), hit.seq.0, hit.snippet))
            .collect::<Vec<_>>()
    };
    let hit = |session: &str, seq, snippet: &str| (session.to_owned(), seq, snippet.to_owned());
    assert_eq!(
        found("bug parser"),
        [hit("a", 1, "fix the «parser»'s «bug» in read_file")]
    );
    assert_eq!(found("unicode"), [hit("a", 2, "«Ünicode» und Straße")]);
    assert_eq!(
        found("read_fi"),
        [hit("a", 1, "fix the parser's bug in «read_file»")]
    );
    let both = found("pars");
    assert_eq!(both.len(), 2);
    assert_eq!(both[0].0, "b", "the one that says it most comes first");
    assert_eq!(wait(store.search("pars", 1)).unwrap().len(), 1);
    for strange in [
        "\"",
        "NOT",
        "a AND",
        "text:",
        "(",
        "* -",
        "^x",
        "NEAR(a b)",
        "{a}: b",
        "'",
    ] {
        found(strange);
    }
    assert_eq!(found("  "), []);
}

#[test]
fn texts_that_a_dead_process_left_unindexed_are_found() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    session(&store, "a", &["orphan"]);
    let other = open(folder.path());
    assert_eq!(wait(other.search("orphan", 9)).unwrap().len(), 1);
    drop(store);
    assert_eq!(
        wait(other.search("orphan", 9)).unwrap().len(),
        1,
        "and only once"
    );
}

#[test]
fn a_long_backlog_is_indexed_before_the_search() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    let lease = session(&store, "a", &[]);
    let long = "hay ".repeat(5_000);
    let entries = (1..=40)
        .map(|seq| said(seq, &format!("{long} needle{seq}")))
        .collect();
    wait(store.append(&lease, Seq(0), entries)).unwrap();
    assert_eq!(wait(store.search("needle40", 9)).unwrap()[0].seq, Seq(40));
}

#[test]
fn sessions_are_listed_newest_activity_first() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    wait(async {
        for (name, workspace) in [("aa1", "/x"), ("aa2", "/y"), ("b", "/x")] {
            let head = SessionHead {
                workspace: workspace.to_owned(),
                ..head(name)
            };
            let lease = store.create(head).await.unwrap();
            if name == "aa1" {
                let entries = vec![
                    entry(1, "{}"),
                    said(2, "\nFirst words\nmore"),
                    said(3, "later"),
                ];
                store.append(&lease, Seq(0), entries).await.unwrap();
            }
        }
    });
    let list = |query: SessionQuery| wait(store.sessions(query)).unwrap();
    let names = |query| {
        let heads = list(query).into_iter();
        heads
            .map(|head| head.session.to_string())
            .collect::<Vec<_>>()
    };
    let all = SessionQuery::default();
    assert_eq!(names(all.clone()), ["aa1", "b", "aa2"]);
    assert_eq!(
        names(SessionQuery {
            limit: 2,
            ..all.clone()
        }),
        ["aa1", "b"]
    );
    let at_x = SessionQuery {
        workspace: Some("/x".to_owned()),
        ..all.clone()
    };
    assert_eq!(names(at_x), ["aa1", "b"]);
    let prefix = SessionQuery {
        id_prefix: Some("aa".to_owned()),
        ..all.clone()
    };
    assert_eq!(names(prefix), ["aa1", "aa2"]);
    let expected = SessionHead {
        session: id("aa1"),
        created_ms: 1_000,
        updated_ms: 1_003,
        workspace: "/x".to_owned(),
        title: "First words".to_owned(),
        events: 3,
        parent: None,
    };
    assert_eq!(list(all)[0], expected);
}
