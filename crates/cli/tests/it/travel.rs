//! Going back in time, as a person does on the screen: conversation, files, or both.

use serde_json::Value;

use crate::provider::{Answer, Provider, results};
use crate::pty::Pty;
use crate::run::{Place, exists, wait_for, wait_until};
use crate::screen::{HELD, bash, open, said};

/// The last words of a person in a request.
fn last_said(request: &Value) -> String {
    let messages = request["messages"].as_array().unwrap();
    let blocks = messages
        .iter()
        .filter(|message| message["role"] == "user")
        .filter_map(|message| message["content"].as_array())
        .flatten();
    let mut texts = blocks.filter(|block| block["type"] == "text");
    texts
        .next_back()
        .map_or_else(String::new, |block| block["text"].to_string())
}

/// A model that changes files by commands: `one`, then `two`.
fn changing() -> Provider {
    Provider::start(|request| {
        let said = last_said(request);
        match results(request) {
            0 if said.contains("first") => Answer::Reply(
                "",
                bash("echo one > a.txt; mkdir -p new; echo 1 > new/b.txt"),
            ),
            1 if said.contains("second") => {
                Answer::Reply("", bash("echo two > a.txt; rm keep.txt"))
            }
            _ => Answer::Reply("changed", vec![]),
        }
    })
}

fn after_two_changes(place: &Place, provider: &Provider) -> Pty {
    place.write("a.txt", "zero\n");
    place.write("keep.txt", "kept\n");
    let mut pty = open(place, provider, &[]);
    pty.sees("say what to do");
    pty.type_line("make the first change");
    pty.sees("· done");
    pty.type_line("make the second change");
    pty.sees_when("two turns", |screen| screen.matches("· done").count() == 2);
    assert_eq!(place.read("a.txt"), "two\n");
    assert!(!place.work().join("keep.txt").exists());
    pty
}

#[test]
fn conversation_and_files_go_back_to_before_a_message_after_commands_changed_them() {
    let (place, provider) = (Place::new(), changing());
    let mut pty = after_two_changes(&place, &provider);
    pty.press("\x1b");
    pty.sees("Esc once more goes back in time");
    pty.press("\x1b");
    pty.sees("› 2  make the second change");
    pty.press("\r");
    pty.sees("conversation and files");
    pty.press("1");
    pty.sees("↶ a.txt  as it was");
    pty.sees("↶ keep.txt  as it was");
    pty.sees("this is session");
    pty.sees("› make the second change");
    assert_eq!(place.read("a.txt"), "one\n");
    assert_eq!(place.read("keep.txt"), "kept\n");
    assert_eq!(place.read("new/b.txt"), "1\n");
    // Another second message, in the fork: its request begins as those of the first session did.
    pty.press("\x15");
    pty.type_line("something else");
    pty.sees("changed");
    wait_until("the fork's request", || provider.requests().len() == 5);
    let requests = provider.requests();
    let (before, fork) = (&requests[2], &requests[4]);
    assert_eq!(before["system"], fork["system"]);
    assert_eq!(before["tools"], fork["tools"]);
    let (before, fork) = (stripped(before), stripped(fork));
    let shared = before.iter().zip(&fork).take_while(|(a, b)| a == b).count();
    assert_eq!(
        shared,
        before.len() - 1,
        "all but the last message is the same: {fork:?}"
    );
    assert!(fork.last().unwrap().to_string().contains("something else"));
    pty.type_line("/tree");
    pty.sees("← here");
    pty.kill();
}

/// The messages of a request without the marks of what a provider may cache.
fn stripped(request: &Value) -> Vec<Value> {
    fn strip(value: &mut Value) {
        match value {
            Value::Object(map) => {
                map.remove("cache_control");
                map.values_mut().for_each(strip);
            }
            Value::Array(values) => values.iter_mut().for_each(strip),
            _ => {}
        }
    }
    let mut messages = request["messages"].clone();
    strip(&mut messages);
    messages.as_array().unwrap().clone()
}

#[test]
fn the_last_change_is_undone_and_the_one_before_it_and_the_model_is_told() {
    let (place, provider) = (Place::new(), changing());
    let mut pty = after_two_changes(&place, &provider);
    pty.type_line("/diff last");
    pty.sees("keep.txt  deleted");
    pty.sees("+two");
    pty.type_line("/undo");
    pty.sees("↶ keep.txt  as it was");
    assert_eq!(place.read("a.txt"), "one\n");
    pty.type_line("/undo");
    pty.sees("↶ new/b.txt  as it was");
    assert_eq!(place.read("a.txt"), "zero\n");
    assert!(!place.work().join("new").exists());
    pty.type_line("/undo");
    pty.sees("there is no change of files to take back");
    pty.type_line("what now?");
    wait_until("the next request", || provider.requests().len() == 5);
    let request = provider.requests()[4].to_string();
    assert!(request.contains("took changes of files back"), "{request}");
    pty.kill();
}

#[test]
fn what_was_taken_back_can_be_had_again() {
    let (place, provider) = (Place::new(), changing());
    let mut pty = after_two_changes(&place, &provider);
    pty.type_line("/undo");
    pty.sees("· files taken back: a.txt, keep.txt");
    pty.type_line("/undo");
    pty.sees("↶ new/b.txt  as it was");
    assert_eq!(place.read("a.txt"), "zero\n");
    pty.type_line("/redo");
    pty.sees("· files changed again: new/b.txt, a.txt");
    assert_eq!(place.read("a.txt"), "one\n");
    pty.type_line("/redo");
    pty.sees("· files changed again: keep.txt, a.txt");
    assert_eq!(place.read("a.txt"), "two\n");
    assert!(!place.work().join("keep.txt").exists());
    pty.type_line("/redo");
    pty.sees("nothing was taken back since the session changed files last");
    // What is in force again can be taken back again, and a person's changes are asked about.
    pty.type_line("/undo");
    wait_until("the way back", || place.read("a.txt") == "one\n");
    place.write("a.txt", "mine\n");
    pty.type_line("/redo");
    pty.sees("merge: put only the agent's changes into them");
    assert_eq!(place.read("a.txt"), "mine\n");
    pty.sees("or its number, then Enter");
    pty.press("2\r");
    wait_until("the way forth", || !place.work().join("keep.txt").exists());
    assert_eq!(place.read("a.txt"), "mine\n");
    pty.kill();
}

#[test]
fn a_file_that_a_person_changed_too_is_asked_about_and_merged() {
    let (place, provider) = (Place::new(), changing());
    let mut pty = after_two_changes(&place, &provider);
    place.write("a.txt", "two\nand mine\n");
    pty.type_line("/undo");
    pty.sees("a.txt  it changed since the agent changed it");
    pty.sees("Files that you changed too: nothing was done yet");
    assert_eq!(place.read("a.txt"), "two\nand mine\n");
    assert!(!place.work().join("keep.txt").exists());
    pty.sees("or its number, then Enter");
    pty.press("1\r");
    pty.sees("a.txt  merged");
    assert_eq!(place.read("keep.txt"), "kept\n");
    assert!(place.read("a.txt").contains("and mine"));
    pty.kill();
}

#[test]
fn what_a_command_changed_that_was_cut_short_by_a_crash_goes_back_too() {
    let provider = Provider::start(|request| match results(request) {
        0 => Answer::Reply("", bash("echo bad > a.txt; touch started; sleep 300")),
        _ => Answer::Reply("seen", vec![]),
    });
    let place = Place::new();
    place.write("a.txt", "good\n");
    let mut pty = open(&place, &provider, &[]);
    pty.sees("say what to do");
    pty.type_line("do it please");
    wait_for(&place, "started");
    place.kill_host();
    pty.sees("seen");
    pty.type_line("/undo");
    pty.sees("nothing was done yet");
    pty.sees("or its number, then Enter");
    pty.press("3\r");
    pty.sees("a.txt  as it was");
    assert_eq!(place.read("a.txt"), "good\n");
    assert!(!exists(&place.work().join("started")));
    pty.kill();
}

#[test]
fn a_fork_of_the_conversation_alone_tells_the_model_what_the_files_hold() {
    let (place, provider) = (Place::new(), changing());
    let mut pty = after_two_changes(&place, &provider);
    pty.type_line("/rewind 2 conversation");
    pty.sees("this is session");
    assert_eq!(place.read("a.txt"), "two\n");
    pty.press("\x15");
    pty.type_line("go on");
    wait_until("the fork's request", || provider.requests().len() == 5);
    let request = provider.requests()[4].to_string();
    assert!(
        request.contains("hold changes that were made after it: a.txt, keep.txt"),
        "{request}"
    );
    pty.kill();
}

#[test]
fn what_changes_while_sessions_of_two_environments_work_in_one_folder_is_asked_about() {
    let provider = Provider::start(|request| match results(request) {
        0 if last_said(request).contains("first") => Answer::Reply(
            "",
            bash("touch started; until [ -e go ]; do sleep 0.01; done"),
        ),
        0 => Answer::Reply("", bash("echo two > b.txt")),
        _ => Answer::Reply("changed", vec![]),
    });
    let place = Place::new();
    let open_in = |environment: &str| {
        let mut command = place.command(&["--model", "anthropic/double"]);
        command
            .env("ANTHROPIC_BASE_URL", &provider.url)
            .env("ANTHROPIC_API_KEY", "key")
            .env("VIRTUAL_ENV", environment);
        Pty::start(&command, 100, 40)
    };
    let mut first = open_in("1");
    first.sees("say what to do");
    first.type_line("the first");
    wait_for(&place, "started");
    let mut second = open_in("2");
    second.sees("say what to do");
    second.type_line("the second");
    second.sees("· done");
    place.write("go", "");
    first.sees("· done");
    first.type_line("/undo");
    first.sees("nothing was done yet");
    assert_eq!(place.read("b.txt"), "two\n");
    first.kill();
    second.kill();
}

/// Nothing on the screen tells of a crash, of a turn that is not there, or of a message that waits.
#[track_caller]
fn tells_of_nothing_under_way(pty: &Pty) {
    let screen = pty.screen();
    for phantom in ["crash", "not finished", "↳", "paused"] {
        assert!(!screen.contains(phantom), "{phantom}: {screen}");
    }
}

#[test]
fn going_back_to_a_message_that_notices_came_before_invents_no_crash_and_leaves_no_phantom() {
    let (place, provider) = (Place::new(), changing());
    let mut pty = after_two_changes(&place, &provider);
    pty.type_line("/undo");
    pty.sees("· files taken back: a.txt, keep.txt");
    pty.type_line("change line one");
    pty.sees_when("three turns", |screen| {
        screen.matches("· done").count() == 3
    });
    pty.press("\x1b");
    pty.sees("Esc once more goes back in time");
    pty.press("\x1b");
    pty.sees("› 3  change line one");
    pty.press("\r");
    pty.sees("conversation and files");
    pty.press("1");
    pty.sees("this is session");
    pty.sees("› change line one");
    tells_of_nothing_under_way(&pty);
    pty.press("\x15");
    pty.type_line("change line two");
    wait_until("the fork's request", || provider.requests().len() == 6);
    pty.sees_when("the turn's end", |screen| {
        let after = screen.rsplit("› change line two").next();
        after.is_some_and(|after| after.contains("· done"))
    });
    tells_of_nothing_under_way(&pty);
    let heard = said(&provider.requests()[5]);
    assert!(heard.contains("took changes of files back"), "{heard}");
    assert!(heard.contains("change line two"), "{heard}");
    assert!(!heard.contains("change line one"), "{heard}");
    pty.kill();
}

/// A model whose first call waits until the test lets it go on.
fn held() -> Provider {
    Provider::start(|request| match results(request) {
        0 => Answer::Reply("", bash(HELD)),
        _ => Answer::Reply("went on", vec![]),
    })
}

#[test]
fn going_back_to_a_queued_message_or_a_steered_one_leaves_nothing_waiting() {
    let (place, provider) = (Place::new(), held());
    let mut pty = open(&place, &provider, &[]);
    pty.sees("say what to do");
    pty.type_line("begin it");
    wait_for(&place, "started");
    pty.type_line("steer it");
    pty.sees("↳ steer it");
    for queued in ["queue one", "queue two"] {
        pty.press(queued);
        pty.sees(queued);
        pty.press("\t");
        pty.sees(&format!("↳ {queued}"));
    }
    place.write("go", "");
    pty.sees_when("three turns", |screen| {
        screen.matches("· done").count() == 3
    });
    pty.type_line("/rewind 3 conversation");
    pty.sees("this is session");
    pty.sees("› queue one");
    tells_of_nothing_under_way(&pty);
    pty.press("\x15");
    // Inside a turn, it is gone back to the end of the step before it, and the turn rests there.
    pty.type_line("/rewind 2 conversation");
    pty.sees("! paused: Enter goes on with it, and so does what you say");
    pty.sees("› steer it");
    assert!(!pty.screen().contains("crash"), "{}", pty.screen());
    assert!(!pty.screen().contains("↳"), "{}", pty.screen());
    let before = provider.requests().len();
    pty.press("\x15");
    pty.type_line("steer elsewhere");
    wait_until("the fork's request", || {
        provider.requests().len() == before + 1
    });
    let request = provider.requests().pop().unwrap();
    assert_eq!(
        results(&request),
        1,
        "the step before it is kept: {request}"
    );
    let heard = said(&request);
    assert!(
        heard.contains("steer elsewhere") && !heard.contains("steer it"),
        "{heard}"
    );
    pty.kill();
}

#[test]
fn a_fork_while_it_works_is_paused_goes_on_when_asked_and_is_told_from_the_first_in_the_tree() {
    let (place, provider) = (Place::new(), held());
    let mut pty = open(&place, &provider, &[]);
    pty.sees("say what to do");
    pty.type_line("begin it");
    wait_for(&place, "started");
    pty.type_line("/fork");
    pty.sees("· forked from session");
    pty.sees("! paused: Enter goes on with it, and so does what you say");
    assert!(!pty.screen().contains("crash"), "{}", pty.screen());
    place.write("go", "");
    pty.press("\r");
    pty.sees("went on");
    pty.sees("· done");
    wait_until("both went on", || provider.requests().len() == 4);
    pty.type_line("/tree");
    pty.sees("Sessions forked from each other");
    pty.sees_when("which is which", |screen| {
        let fork = "begin it · after “begin it”  ← here";
        let seen = screen.contains("then Enter");
        seen && screen.contains("  now     begin it\n") && screen.contains(fork)
    });
    pty.press("\x1b[A");
    pty.press("\r");
    pty.sees_when("the first one", |screen| {
        screen.matches("this is session").count() == 2
    });
    pty.kill();
}

/// The messages of a request, without the marks of the cache, which move on with each.
fn unmarked(request: &Value) -> Vec<Value> {
    let mut messages = request["messages"].as_array().unwrap().clone();
    let blocks = messages
        .iter_mut()
        .filter_map(|message| message["content"].as_array_mut())
        .flatten()
        .filter_map(Value::as_object_mut);
    for block in blocks {
        block.remove("cache_control");
    }
    messages
}

#[test]
fn a_fork_begins_with_all_that_its_origin_sent() {
    let (place, provider) = (Place::new(), changing());
    let mut pty = after_two_changes(&place, &provider);
    let sent = provider.requests().len();
    pty.type_line("/fork");
    pty.sees("· forked from session");
    pty.type_line("and a third thing");
    wait_until("the fork's request", || provider.requests().len() > sent);
    let requests = provider.requests();
    let (origin, fork) = (&requests[sent - 1], &requests[sent]);
    for part in ["system", "tools"] {
        assert!(origin[part].is_array(), "{part}");
        assert_eq!(origin[part].to_string(), fork[part].to_string(), "{part}");
    }
    let (before, after) = (unmarked(origin), unmarked(fork));
    assert!(after.len() > before.len());
    assert!(after.starts_with(&before), "{after:?}");
    pty.kill();
}
