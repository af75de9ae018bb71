//! The first start, from an empty home to the first answer.

use std::os::unix::fs::PermissionsExt as _;

use crate::provider::{Answer, Provider};
use crate::pty::Pty;
use crate::run::{Place, finish};

/// An answer in Chat Completions.
const HELLO: &str = "data: {\"id\":\"c\",\"object\":\"chat.completion.chunk\",\"model\":\"tiny-2\",\
    \"choices\":[{\"index\":0,\"delta\":{\"role\":\"assistant\",\"content\":\"hello to you\"},\
    \"finish_reason\":null}]}\n\n\
    data: {\"id\":\"c\",\"object\":\"chat.completion.chunk\",\"model\":\"tiny-2\",\
    \"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"stop\"}],\
    \"usage\":{\"prompt_tokens\":10,\"completion_tokens\":3,\"total_tokens\":13}}\n\n\
    data: [DONE]\n\n";

fn endpoint() -> Provider {
    Provider::start(|_| Answer::Raw(200, "text/event-stream", HELLO.to_owned()))
}

#[test]
fn from_an_empty_home_to_the_first_answer() {
    let provider = endpoint();
    let place = Place::new();
    let mut pty = Pty::start(&place.command(&[]), 100, 40);
    pty.sees("Where are requests to go?");
    pty.press(&format!("{}/listed\r", provider.url));
    pty.sees("Its key (not shown");
    pty.press("sk-very-secret\r");
    pty.sees("It has 2 models:");
    pty.press("tiny-2\r");
    pty.sees("wrote ");
    pty.sees("say what to do");
    pty.type_line("hello there");
    pty.sees("hello to you");
    pty.sees("local/tiny-2");
    assert!(!pty.bytes().contains("sk-very-secret"));
    pty.press("\x04");
    pty.sees("the session is kept");
    pty.end();
    assert_eq!(provider.requests()[0]["model"], "tiny-2");
    let file = place.home().join("quire/config.toml");
    let mode = || std::fs::metadata(&file).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(), 0o600);
    let text = std::fs::read_to_string(&file).unwrap();
    assert!(text.contains("key = \"sk-very-secret\""), "{text}");
    assert!(text.contains("/listed/v1\""), "{text}");
    finish(place.command(&["config", "set", "effort", "low"])).says(0, &["wrote"]);
    assert_eq!(mode(), 0o600);
}

#[test]
fn leaving_the_first_start_writes_nothing() {
    let place = Place::new();
    let mut pty = Pty::start(&place.command(&[]), 100, 40);
    pty.sees("Where are requests to go?");
    pty.press("99\r");
    pty.sees("neither a number of the list nor an address");
    pty.press("http://127.0.0.1:1/v1\r");
    pty.sees("Its key (not shown");
    pty.press("\x03");
    pty.sees("nothing is written");
    assert_eq!(pty.end(), 2);
    let file = place.home().join("quire/config.toml");
    assert!(!file.exists());
    let ran = finish(Place::new().command(&["exec", "do it"]));
    ran.says(2, &["there is no model to use"]);
}

#[test]
fn settings_that_name_no_model_are_kept_and_added_to() {
    let provider = endpoint();
    let place = Place::new();
    place.config("# my own words\neffort = \"low\"\n");
    let file = place.home().join("quire/config.toml");
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o644)).unwrap();
    let mut pty = Pty::start(&place.command(&[]), 100, 40);
    pty.sees("Where are requests to go?");
    pty.press(&format!("{}/listed\r", provider.url));
    pty.sees("Its key (not shown");
    pty.press("sk-very-secret\r");
    pty.sees("It has 2 models:");
    pty.press("tiny-2\r");
    pty.sees("say what to do");
    pty.kill();
    let text = std::fs::read_to_string(&file).unwrap();
    for kept in [
        "# my own words",
        "effort = \"low\"",
        "tiny-2",
        "sk-very-secret",
    ] {
        assert!(text.contains(kept), "{text}");
    }
    let mode = std::fs::metadata(&file).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode, 0o600, "it holds a key now");
}

#[test]
fn an_endpoint_that_has_a_page_where_its_models_would_be_is_used_with_a_model_that_is_named() {
    let provider = endpoint();
    let place = Place::new();
    let mut pty = Pty::start(&place.command(&[]), 100, 40);
    for (time, name) in [(1, ""), (2, "tiny-2")] {
        let sees = |pty: &Pty, words: &str| {
            pty.sees_when(words, |screen| screen.matches(words).count() == time);
        };
        sees(
            &pty,
            "another endpoint (Ctrl+C leaves, nothing is written): ",
        );
        pty.press(&format!("{}/paged/v1\r", provider.url));
        sees(&pty, "Its key (not shown");
        pty.press("\r");
        sees(&pty, "is not the API of a model provider");
        sees(&pty, "The name of the model to use there all the same");
        pty.press(&format!("{name}\r"));
    }
    pty.sees("say what to do");
    pty.type_line("hello there");
    pty.sees("hello to you");
    pty.kill();
    assert_eq!(provider.requests()[0]["model"], "tiny-2");
}
