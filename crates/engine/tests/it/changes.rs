//! What the evaluator is shown of the work, with a real shell and real git: nothing that was done may be
//! hidden from it, or from the number that says whether there was progress.

use std::path::Path;

use quire_protocol::*;

use crate::doubles::{Answer, World, bash, reply, say, settings};

/// A repository with one commit.
const REPOSITORY: &str = "git init -q . && echo one >a && git add a && git commit -qm one";
/// Who commits, and nothing of this machine's own settings.
const WHO: &str = "export GIT_CONFIG_GLOBAL=/dev/null GIT_CONFIG_NOSYSTEM=1 \
                   GIT_AUTHOR_NAME=x GIT_AUTHOR_EMAIL=x@x GIT_COMMITTER_NAME=x GIT_COMMITTER_EMAIL=x@x; ";

/// One judgement: what the evaluator was shown, and the number of the changes.
struct Look {
    shown: String,
    changes: u64,
}

fn prepared(commands: &str) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    do_in(folder.path(), commands);
    folder
}

fn do_in(folder: &Path, commands: &str) {
    let ran = bash(folder, &format!("{WHO}set -e; {commands}"));
    let ended = CommandEnd::Exited { code: 0 };
    assert_eq!(ran.end, Some(ended), "{commands}: {ran:?}");
}

/// A turn of work for each of the commands, with a verdict at its end that wants more.
fn answers(works: &[&str]) -> Vec<Answer> {
    let mut answers = Vec::new();
    for (number, work) in (1..).zip(works) {
        let mut working = reply("", &[&format!("{WHO}{work}")]);
        if let Item::ToolCall(call) = &mut working.items[1] {
            call.call = CallId(number);
        }
        answers.push(Answer::Reply(working));
        answers.push(Answer::Reply(reply("done", &[])));
        answers.push(Answer::Reply(reply("I said it", &[])));
        let verdict = r#"{"verdict":"not_yet","reasons":"more"}"#;
        answers.push(Answer::Reply(reply(verdict, &[])));
    }
    answers
}

async fn with_goal(world: &World) -> SessionId {
    let session = world.engine.start(settings()).await.unwrap();
    let goal = Some(Goal::new("it is done", Vec::new()));
    let set = Op::SetGoal { goal };
    world.engine.submit(&session, set).await.unwrap();
    session
}

/// What was judged, once there are so many judgements.
async fn judged(world: &World, session: &SessionId, count: usize) -> Vec<Look> {
    let seen = std::sync::atomic::AtomicUsize::new(0);
    let is_judgement = |event: &Event| matches!(event, Event::Goal(GoalStep::Judged { .. }));
    let records = world
        .until(session, |event| {
            let judged = usize::from(is_judgement(event));
            seen.fetch_add(judged, std::sync::atomic::Ordering::SeqCst) + judged == count
        })
        .await;
    let requests = world.model.requests.lock().unwrap();
    let mut asked = requests
        .iter()
        .filter(|request| request.purpose == Purpose::Judge);
    records
        .iter()
        .filter_map(|record| match &record.event {
            Event::Goal(GoalStep::Judged { judgement }) => Some(judgement.changes),
            _ => None,
        })
        .map(|changes| {
            let Item::User { content, .. } = &*asked.next().unwrap().transcript.items()[0].clone()
            else {
                panic!("the evaluator is asked by a message");
            };
            let shown = joined_text(content);
            let shown = shown.split_once("# Changes\n").map_or("", |(_, all)| all);
            Look {
                shown: shown.to_owned(),
                changes,
            }
        })
        .collect()
}

/// Works for a goal in a folder; a judgement for each of the commands.
async fn worked(folder: &Path, works: &[&str]) -> Vec<Look> {
    let world = World::new(answers(works));
    let _ = world.tools.state().folder.set(folder.to_owned());
    let session = with_goal(&world).await;
    let go = say("go", Delivery::Steer);
    world.engine.submit(&session, go).await.unwrap();
    judged(&world, &session, works.len()).await
}

fn shows(look: &Look, parts: &[&str]) {
    for part in parts {
        assert!(look.shown.contains(part), "{part}: {}", look.shown);
    }
}

#[tokio::test]
async fn commits_that_claim_to_be_old_and_a_log_that_is_gone_hide_nothing() {
    let folder = prepared(REPOSITORY);
    let old = "GIT_COMMITTER_DATE=2021-01-01T00:00:00 git commit -qam";
    let looks = worked(
        folder.path(),
        &[
            &format!("echo two >>a; {old} two"),
            &format!("echo three >>a; {old} three; git reflog expire --expire=now --all"),
            "git commit -q --amend -m all; git reflog expire --expire=now --all",
        ],
    )
    .await;
    shows(&looks[0], &["+two"]);
    shows(&looks[1], &["+two", "+three"]);
    shows(&looks[2], &["+two", "+three"]);
    assert_ne!(looks[0].changes, looks[1].changes);
}

#[tokio::test]
async fn the_commit_at_the_goal_outlives_the_process() {
    let folder = prepared(REPOSITORY);
    let world = World::new(Vec::new());
    let _ = world.tools.state().folder.set(folder.path().to_owned());
    let session = with_goal(&world).await;
    world.store.forget_leases();
    let work = "echo two >>a; GIT_COMMITTER_DATE=2021-01-01T00:00:00 git commit -qam two";
    let next = World::over(world.store.clone(), answers(&[work]));
    let _ = next.tools.state().folder.set(folder.path().to_owned());
    next.engine.open(&session).await.unwrap();
    let go = say("go", Delivery::Steer);
    next.engine.submit(&session, go).await.unwrap();
    shows(&judged(&next, &session, 1).await[0], &["+two"]);
}

#[tokio::test]
async fn marks_in_the_index_hide_nothing() {
    let folder = prepared(&format!(
        "{REPOSITORY}; echo b >b; git add b; git commit -qm b"
    ));
    let looks = worked(
        folder.path(),
        &[
            "git update-index --assume-unchanged a; echo two >>a",
            "git update-index --skip-worktree b; echo three >>b",
        ],
    )
    .await;
    shows(&looks[0], &["+two"]);
    shows(&looks[1], &["+two", "+three"]);
    assert_ne!(looks[0].changes, looks[1].changes);
}

#[tokio::test]
async fn a_goal_in_an_old_journal_is_compared_with_what_the_log_says() {
    let folder = prepared(REPOSITORY);
    let world = World::new(answers(&["echo two >>a; git commit -qam two"]));
    // No git yet when the goal is set: nothing is known of the start.
    let session = with_goal(&world).await;
    let _ = world.tools.state().folder.set(folder.path().to_owned());
    let go = say("go", Delivery::Steer);
    world.engine.submit(&session, go).await.unwrap();
    shows(&judged(&world, &session, 1).await[0], &["+two"]);
}

#[tokio::test]
async fn all_work_counts_wherever_it_is() {
    let submodule = "git init -q s; (cd s; echo in >in; git add in; git commit -qm in); \
                     git add s 2>/dev/null; git commit -qm s; echo dirty >>s/in";
    let many = "for at in $(seq 2100); do echo >a$at; done";
    for (place, before, work) in [
        (
            "an edit in a dirty submodule",
            submodule,
            "echo more >>s/in",
        ),
        ("a new file in one", submodule, "echo more >s/new"),
        (
            "an ignored file",
            "mkdir o; echo o >.gitignore",
            "echo x >o/x",
        ),
        (
            "an edit of one",
            "mkdir o; echo o >.gitignore; echo x >o/x",
            "echo y >o/x",
        ),
        (
            "a repository in it",
            "git init -q n; echo x >n/x",
            "echo y >n/x",
        ),
        ("a name with a tab", r"echo x >$'t\tb'", r"echo y >$'t\tb'"),
        ("a name with a quote", "echo x >'q\"q'", "echo y >'q\"q'"),
        (
            "a name with a line break",
            r"echo x >$'l\nb'",
            r"echo y >$'l\nb'",
        ),
        (
            "a link to stdin",
            "ln -s /dev/stdin a0; echo x >z",
            "echo y >z",
        ),
        ("many new files", many, "echo y >z"),
        ("a commit alone", "echo two >>a", "git commit -qam two"),
    ] {
        let folder = prepared(&format!("{REPOSITORY}; {before}"));
        let looks = worked(folder.path(), &["echo x >w", "touch w", work]).await;
        assert_eq!(
            looks[0].changes, looks[1].changes,
            "{place}: nothing was done"
        );
        assert_ne!(looks[1].changes, looks[2].changes, "{place}");
    }
    for (place, before, work) in [
        ("many files outside git", many, "echo y >z"),
        ("a deletion outside git", "echo x >x; echo y >y", "rm x"),
    ] {
        let folder = prepared(before);
        let looks = worked(folder.path(), &["true", "true", work]).await;
        assert_eq!(
            looks[0].changes, looks[1].changes,
            "{place}: nothing was done"
        );
        assert_ne!(looks[1].changes, looks[2].changes, "{place}");
    }
}

#[tokio::test]
async fn work_in_nested_repositories_and_under_odd_names_is_shown() {
    let folder = prepared(&format!(
        "{REPOSITORY}; git init -q s; (cd s; echo in >in; git add in; git commit -qm in); \
         git add s 2>/dev/null; git commit -qm s; mkdir -p not-one/.git"
    ));
    let work =
        r#"echo more >>s/in; echo fresh >s/new; echo odd >$'t\tb"l\nb'; ln -s /etc/passwd link"#;
    let looks = worked(folder.path(), &[work]).await;
    shows(
        &looks[0],
        &[
            "+++ b/s/in",
            "+more",
            "new file: s/new\nfresh",
            "new file: t?b\"l?b\nodd",
            "new link: link -> /etc/passwd\n",
        ],
    );
    assert!(!looks[0].shown.contains("root:"), "{}", looks[0].shown);
}

#[tokio::test]
async fn what_never_ends_is_not_read() {
    let folder = prepared(REPOSITORY);
    let work = "mkfifo p; ln -s p q; ln -s /dev/zero z; rm a; mkfifo a; mkdir d; echo new >d/n";
    let looks = worked(folder.path(), &[work]).await;
    shows(
        &looks[0],
        &[
            "new link: q -> p",
            "new link: z -> /dev/zero",
            "new file: d/n\nnew",
        ],
    );
}

#[tokio::test]
async fn a_repository_without_commits_is_no_error() {
    let folder = prepared("git init -q .");
    let looks = worked(
        folder.path(),
        &["true", "echo new >n", "git add n; git commit -qm n"],
    )
    .await;
    for look in &looks {
        assert!(!look.shown.contains("expected"), "{}", look.shown);
    }
    shows(&looks[1], &["new file: n\nnew"]);
    shows(&looks[2], &["+++ b/n", "+new"]);
}

#[tokio::test]
async fn nothing_that_a_repository_names_is_run() {
    let folder = prepared(&format!(
        r#"{REPOSITORY}; printf '#!/bin/sh\necho "$0 $@" >>"%s/ran"\ncat\n' "$PWD" >evil; chmod +x evil
        evil=$PWD/evil; git init -q n; (cd n; echo n >n; git add n; git commit -qm n)
        for r in . n; do (cd $r
            printf '* filter=one diff=one\nn filter=two\n' >.gitattributes
            for hook in post-index-change fsmonitor reference-transaction; do cp "$evil" .git/hooks/$hook; done
            git config core.fsmonitor "$evil"; git config diff.external "$evil"; git config core.pager "$evil"
            git config filter.one.clean "$evil"; git config filter.two.process "$evil"
            git config filter.two.required true; git config diff.one.textconv "$evil"
            git config diff.one.command "$evil"; git config log.showSignature true
            git config gpg.program "$evil"; git config color.ui always); done; rm -f ran"#
    ));
    let looks = worked(folder.path(), &["echo two >>a; echo two >>n/n"]).await;
    shows(&looks[0], &["+++ b/a", "\n+two", "+++ b/n/n"]);
    let ran = std::fs::read_to_string(folder.path().join("ran"));
    assert!(ran.is_err(), "{ran:?}");
}

#[tokio::test]
async fn what_is_shown_of_huge_changes_is_bounded_and_the_rest_counts() {
    let folder = prepared(REPOSITORY);
    let looks = worked(
        folder.path(),
        &[
            "seq 300000 >a; for at in $(seq 100); do seq 5000 >n$at; done",
            "echo last >>a",
            "echo last >>n99",
        ],
    )
    .await;
    for look in &looks {
        assert!(look.shown.len() < 16 * 1024, "{}", look.shown.len());
        shows(look, &["[the rest is not shown]", "new file: n1\n"]);
    }
    assert_ne!(looks[0].changes, looks[1].changes);
    assert_ne!(looks[1].changes, looks[2].changes);
}

#[tokio::test(start_paused = true)]
async fn a_look_that_takes_too_long_says_so_and_does_not_show_that_nothing_changed() {
    let world = World::new(answers(&["true", "true"]));
    let _ = world.tools.state().hangs.set("quire-look");
    let session = with_goal(&world).await;
    let go = say("go", Delivery::Steer);
    world.engine.submit(&session, go).await.unwrap();
    let looks = judged(&world, &session, 2).await;
    for look in &looks {
        shows(look, &["did not come to its end (it took longer than 60 s"]);
    }
    assert_ne!(looks[0].changes, looks[1].changes);
    assert_eq!(
        world
            .tools
            .state()
            .alive
            .load(std::sync::atomic::Ordering::SeqCst),
        0
    );
}

#[tokio::test(start_paused = true)]
async fn git_that_does_not_answer_keeps_no_goal_from_being_set() {
    let world = World::new(answers(&["true"]));
    let _ = world.tools.state().hangs.set("--verify 'HEAD^{commit}'");
    let session = with_goal(&world).await;
    let go = say("go", Delivery::Steer);
    world.engine.submit(&session, go).await.unwrap();
    assert_eq!(judged(&world, &session, 1).await.len(), 1);
}
