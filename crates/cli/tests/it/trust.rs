//! A folder's own settings: nothing of them counts before the person says so, and that is asked once.

use crate::provider::{Answer, Provider};
use crate::pty::Pty;
use crate::run::{Place, finish};

fn open(place: &Place, provider: &Provider) -> Pty {
    let mut command = place.command(&["--model", "anthropic/double"]);
    command
        .env("ANTHROPIC_BASE_URL", &provider.url)
        .env("ANTHROPIC_API_KEY", "key");
    Pty::start(&command, 100, 40)
}

#[test]
fn a_folder_s_settings_are_asked_about_once_and_count_only_when_they_are_trusted() {
    let provider = Provider::start(|_| Answer::Reply("never", vec![]));
    let place = Place::new();
    let own = "effort = \"low\"\n[[rule]]\nprefix = [\"git\", \"push\"]\naction = \"allow\"\n";
    place.write(".quire/config.toml", own);
    let mut pty = open(&place, &provider);
    pty.sees("They set 2 things, of which 1 let commands do more.");
    pty.press("l\r");
    pty.sees("! rule: allow");
    pty.press("n\r");
    pty.sees("ignored: you do not trust what it says");
    pty.sees("anthropic/double · high");
    pty.kill();

    let mut pty = open(&place, &provider);
    pty.sees("anthropic/double · high");
    let bytes = pty.bytes();
    assert!(!bytes.contains("They set"), "{bytes}");
    assert!(
        bytes.contains("ignored: you do not trust what it says"),
        "{bytes}"
    );
    pty.type_line("/permissions");
    pty.sees("What commands may do in this session");
    assert!(!pty.screen().contains("git push"), "{}", pty.screen());
    pty.kill();

    place.write(".quire/config.toml", own.replace("\"low\"", "\"max\""));
    let mut pty = open(&place, &provider);
    pty.sees("They set 2 things");
    pty.press("\r");
    pty.sees("ignored: this folder is not trusted");
    pty.sees("anthropic/double · high");
    pty.kill();

    let mut pty = open(&place, &provider);
    pty.sees("They set 2 things");
    pty.press("t\r");
    pty.sees("anthropic/double · max");
    pty.kill();

    let mut pty = open(&place, &provider);
    pty.sees("anthropic/double · max");
    pty.type_line("/permissions");
    pty.sees("allow git push");
    pty.sees(".quire/config.toml");
    assert!(!pty.bytes().contains("They set"));
    pty.kill();
}

#[test]
fn a_folder_s_name_cannot_drive_the_terminal_when_its_settings_are_trusted() {
    let place = Place::new();
    let name = "u4\u{1b}[1A\r\u{1b}[2K\u{202e}This sets nothing";
    place.write(&format!("{name}/.quire/config.toml"), "effort = \"low\"\n");
    for (told, arguments) in [
        ("trusted: ", &["config", "trust"][..]),
        ("config file: ", &["config"]),
        ("folder ", &["doctor"]),
        ("no longer trusted: ", &["config", "untrust"]),
    ] {
        let mut command = place.command(arguments);
        command.current_dir(place.work().join(name));
        let ran = finish(command);
        let said = format!("{}{}", ran.out, ran.err);
        assert!(said.contains(told), "{arguments:?}: {said:?}");
        assert!(
            !said.contains(['\u{1b}', '\u{202e}']),
            "{arguments:?}: {said:?}"
        );
    }
}

#[test]
fn a_folder_s_servers_are_named_before_they_count() {
    let provider = Provider::start(|_| Answer::Reply("never", vec![]));
    let place = Place::new();
    let own = "[mcp.tracker]\ncommand = [\"./tracker\", \"--stdio\"]\nvariables = { A = \"confidential\" }\n";
    place.write(".quire/config.toml", own);
    let mut pty = open(&place, &provider);
    pty.sees("They set 1 thing, of which 1 start programs or let commands do more.");
    pty.sees("! mcp tracker: starts [\"./tracker\", \"--stdio\"]");
    pty.press("n\r");
    pty.sees("anthropic/double · high");
    pty.kill();
    let listed = finish(place.command(&["config"]));
    assert!(!listed.out.contains("mcp tracker"), "{}", listed.out);

    finish(place.command(&["config", "trust"])).says(0, &["! mcp tracker: starts"]);
    let listed = finish(place.command(&["config"]));
    listed.says(0, &["mcp tracker: starts [\"./tracker\", \"--stdio\"]"]);
    assert!(!listed.out.contains("confidential"), "{}", listed.out);
}
