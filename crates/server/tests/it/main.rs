//! Both ends of the wire over a real socket, with a double of what runs sessions behind it.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod double;
mod rpc;

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures_util::StreamExt as _;
use quire_protocol::{Client as _, Content, Delivery, Event, Frame, MessageId, Op, Seq, SessionId};
use quire_server::{Origin, Remote};
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::UnixListener;
use tokio::sync::oneshot;
use tokio::time::Instant;

use crate::double::{ByFolder, Double, daemon, face, face_in, host, settings};

fn session() -> SessionId {
    SessionId::new("s")
}

fn say(text: String) -> Op {
    Op::Say {
        message: MessageId::new("m"),
        delivery: Delivery::Queue,
        content: vec![Content::Text { text }],
        effort: None,
    }
}

fn length(frame: Option<Frame>) -> usize {
    match frame {
        Some(Frame::Record(record)) => match record.event {
            Event::Noticed { text } => text.len(),
            other => panic!("{other:?}"),
        },
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn who_watches_a_session_is_told_that_it_was_removed() {
    let (folder, double) = (tempfile::tempdir().unwrap(), Double::new(0));
    host(folder.path(), &double);
    let (one, other) = (face(folder.path()), face(folder.path()));
    let session = one.start(settings()).await.unwrap();
    double.tell("hello".to_owned());
    let mut frames = one.watch(&session, Seq(0));
    assert_eq!(length(frames.next().await), 5);
    other.remove(&session).await.unwrap();
    assert_eq!(frames.next().await, None);
    let told = one.close(&session).await.unwrap_err().to_string();
    assert_eq!(told, "session s was removed by another face");
}

#[tokio::test]
async fn who_watches_a_session_is_told_why_it_died() {
    let (folder, double) = (tempfile::tempdir().unwrap(), Double::new(0));
    host(folder.path(), &double);
    let face = face(folder.path());
    let session = face.start(settings()).await.unwrap();
    double.tell("hello".to_owned());
    let mut frames = face.watch(&session, Seq(0));
    assert_eq!(length(frames.next().await), 5);
    double.die("the disk is full");
    assert_eq!(frames.next().await, None);
    let told = face.close(&session).await.unwrap_err().to_string();
    assert!(told.contains("stopped working: the disk is full"), "{told}");
}

#[tokio::test]
async fn whatever_may_be_asked_can_be_told_of_and_what_is_larger_ends_the_watch() {
    let (folder, double) = (tempfile::tempdir().unwrap(), Double::new(0));
    host(folder.path(), &double);
    let face = face(folder.path());
    let session = face.start(settings()).await.unwrap();
    double.tell("x".repeat(64 << 20));
    double.tell("x".repeat(72 << 20));
    let mut frames = face.watch(&session, Seq(0));
    assert_eq!(length(frames.next().await), 64 << 20);
    assert_eq!(frames.next().await, None);
    let told = face.close(&session).await.unwrap_err().to_string();
    assert!(told.contains("an event of 72 MiB"), "{told}");
}

#[tokio::test]
async fn what_is_too_large_to_be_asked_is_not_sent() {
    let (folder, double) = (tempfile::tempdir().unwrap(), Double::new(0));
    host(folder.path(), &double);
    let face = face(folder.path());
    let session = face.start(settings()).await.unwrap();
    let asked = face.submit(&session, say("x".repeat(64 << 20))).await;
    let told = asked.unwrap_err().to_string();
    assert!(told.contains("64 MiB"), "{told}");
    face.submit(&session, say("less".to_owned())).await.unwrap();
    assert_eq!(double.asked.lock().unwrap().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn nobody_waits_for_ever_for_a_host_that_does_not_answer() {
    let folder = tempfile::tempdir().unwrap();
    let _silent = UnixListener::bind(folder.path().join("socket")).unwrap();
    let face = face(folder.path());
    for asked in [
        face.agents().await.map(drop),
        face.stop(Duration::ZERO).await.map(drop),
    ] {
        let told = asked.unwrap_err().to_string();
        assert!(told.contains("does not answer for 10 s"), "{told}");
    }
    let mut frames = face.watch(&session(), Seq(0));
    assert_eq!(frames.next().await, None);
    let told = face.close(&session()).await.unwrap_err().to_string();
    assert!(told.contains("it may be stopped"), "{told}");
}

#[tokio::test(start_paused = true)]
async fn a_host_that_cannot_start_is_started_once_and_its_own_words_are_told() {
    let folder = tempfile::tempdir().unwrap();
    let starts = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&starts);
    let summon = move || {
        let (ended, ending) = oneshot::channel();
        counted.fetch_add(1, Ordering::Relaxed);
        ended.send(Err("the disk is full".to_owned())).unwrap();
        Ok(ending)
    };
    let origin = Origin::new("/".into(), []);
    let face = Remote::new(
        folder.path().to_owned(),
        "face",
        origin,
        Some(Arc::new(summon)),
    );
    let asked = Instant::now();
    let told = face.agents().await.unwrap_err().to_string();
    assert!(
        told.ends_with("could not start: the disk is full"),
        "{told}"
    );
    assert!(asked.elapsed() < Duration::from_secs(1));
    assert_eq!(starts.load(Ordering::Relaxed), 1);
}

/// It lost the place to another, who takes it a little later.
#[tokio::test]
async fn a_host_that_made_room_for_another_is_no_error() {
    let (folder, double) = (tempfile::tempdir().unwrap(), Double::new(0));
    let (place, other) = (folder.path().to_owned(), Arc::clone(&double));
    let summon = move || {
        let (ended, ending) = oneshot::channel();
        ended.send(Ok(())).unwrap();
        host(&place, &other);
        Ok(ending)
    };
    let origin = Origin::new("/".into(), []);
    let folder = folder.path().to_owned();
    let face = Remote::new(folder, "face", origin, Some(Arc::new(summon)));
    assert_eq!(face.agents().await.unwrap(), []);
}

#[tokio::test(start_paused = true)]
async fn a_host_that_says_what_nobody_understands_is_not_asked_for_half_a_minute() {
    let folder = tempfile::tempdir().unwrap();
    let listener = UnixListener::bind(folder.path().join("socket")).unwrap();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut line = String::new();
            BufReader::new(&mut stream)
                .read_line(&mut line)
                .await
                .unwrap();
            let answer = b"{\"jsonrpc\":\"2.0\",\"id\":0,\"result\":{\"protocol\":\"new\"}}\n";
            stream.write_all(answer).await.unwrap();
        }
    });
    let origin = Origin::new("/".into(), []);
    let summon = || Err(std::io::Error::other("it is there"));
    let folder = folder.path().to_owned();
    let face = Remote::new(folder, "face", origin, Some(Arc::new(summon)));
    let told = face.agents().await.unwrap_err().to_string();
    assert!(told.contains("`quire serve --stop` ends it"), "{told}");
}

#[tokio::test]
async fn who_finds_a_host_of_another_version_is_told_what_to_do() {
    let (folder, double) = (tempfile::tempdir().unwrap(), Double::new(0));
    host(folder.path(), &double);
    let told = Mutex::default();
    let tell = |words: &str| *told.lock().unwrap() = words.to_owned();
    face(folder.path()).arrive(tell).await.unwrap();
    let told = told.into_inner().unwrap();
    let said = told.starts_with("the host is double, and this is face: `quire serve --restart`");
    assert!(said, "{told}");
    let origin = Origin::new("/".into(), []);
    let alike = Remote::new(folder.path().to_owned(), "double", origin, None);
    alike.arrive(|words| panic!("{words}")).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn who_comes_while_a_host_ends_is_told_what_is_waited_for() {
    let folder = tempfile::tempdir().unwrap();
    let lock = folder.path().join("lock");
    std::fs::write(&lock, "7\n").unwrap();
    let held = std::fs::File::open(&lock).unwrap();
    held.lock().unwrap();
    let summon = || Ok(oneshot::channel().1);
    let origin = Origin::new("/".into(), []);
    let path = folder.path().to_owned();
    let face = Remote::new(path, "face", origin, Some(Arc::new(summon)));
    let (asked, told) = (Instant::now(), Mutex::default());
    let tell = |words: &str| *told.lock().unwrap() = Some((words.to_owned(), asked.elapsed()));
    face.arrive(tell).await.unwrap_err();
    let (words, after) = told.into_inner().unwrap().unwrap();
    assert!(
        words.contains("process 7 waits for running tools"),
        "{words}"
    );
    assert!(after < Duration::from_secs(1), "{after:?}");
}

#[tokio::test]
async fn what_is_said_to_a_session_that_was_interrupted_waits_until_it_goes_on() {
    let (folder, double) = (tempfile::tempdir().unwrap(), Double::new(0));
    let left = r#"{"sessions":{"a":0,"s":0}}"#;
    std::fs::write(folder.path().join("at-work.json"), left).unwrap();
    host(folder.path(), &double);
    let face = face(folder.path());
    let said = tokio::spawn(async move { face.submit(&session(), say("go".to_owned())).await });
    // It is on its way to the second session while the first one is being opened.
    for _ in 0..10_000 {
        tokio::task::yield_now().await;
    }
    double.opening.add_permits(10);
    said.await.unwrap().unwrap();
    let asked = double.asked.lock().unwrap();
    assert_eq!(*asked, [Op::Resume, Op::Resume, say("go".to_owned())]);
}

#[tokio::test]
async fn who_works_for_a_session_that_was_interrupted_is_not_gone_on_with_beside_it() {
    let (folder, double) = (tempfile::tempdir().unwrap(), Double::new(10));
    let list = folder.path().join("at-work.json");
    std::fs::write(&list, r#"{"sessions":{"s":0,"s.tests":0,"t.tests":0}}"#).unwrap();
    host(folder.path(), &double);
    let face = face(folder.path());
    // The list is told once all are taken up.
    face.agents().await.unwrap();
    // Nobody leads the last one on.
    assert_eq!(*double.asked.lock().unwrap(), [Op::Resume, Op::Resume]);
    let left = std::fs::read_to_string(&list).unwrap();
    assert!(!left.contains("s.tests"), "{left}");
}

#[tokio::test]
async fn all_of_a_tree_are_where_one_of_them_is_hosted() {
    let folder = tempfile::tempdir().unwrap();
    let (a, b) = (Double::new(10), Double::new(10));
    let hosts = ByFolder(vec![("/a", Arc::clone(&a)), ("/b", Arc::clone(&b))]);
    tokio::spawn(daemon(folder.path(), Arc::new(hosts)).serve(std::future::pending()));
    let (first, second) = (face_in(folder.path(), "/a"), face_in(folder.path(), "/b"));
    first.open(&SessionId::new("s.tests")).await.unwrap();
    second.open(&SessionId::new("s")).await.unwrap();
    second.open(&SessionId::new("t")).await.unwrap();
    let go = || say("go".to_owned());
    second.submit(&SessionId::new("s"), go()).await.unwrap();
    assert_eq!(*a.asked.lock().unwrap(), [go()]);
    second.submit(&SessionId::new("t"), go()).await.unwrap();
    assert_eq!(*b.asked.lock().unwrap(), [go()]);
}

#[tokio::test]
async fn a_host_that_ends_closes_a_session_before_those_who_work_for_it() {
    let (folder, double) = (tempfile::tempdir().unwrap(), Double::new(20));
    let hosts = ByFolder(vec![("/", Arc::clone(&double))]);
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let serving = daemon(folder.path(), Arc::new(hosts)).serve(async move {
        let _ = stopped.await;
        Duration::from_secs(10)
    });
    let serving = tokio::spawn(serving);
    let face = face(folder.path());
    let members = ('a'..='i').map(|name| SessionId::new(format!("s.{name}")));
    for session in members.chain([SessionId::new("s")]) {
        face.open(&session).await.unwrap();
    }
    stop.send(()).unwrap();
    serving.await.unwrap();
    let closed = double.closed.lock().unwrap();
    assert_eq!((closed.len(), &closed[0]), (10, &SessionId::new("s")));
}
