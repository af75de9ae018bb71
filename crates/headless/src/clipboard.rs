//! The image in the clipboard of the desktop, by whichever program there is to read it.

use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use quire_protocol::{CommandEnd, Content};

use crate::input::{IMAGE_BYTES, encoded};

/// Prints the image, by the first of these programs that finds one. Fails with 127 where there is none of
/// them, and with 1 where none finds an image. Every shell reads such a line.
const READ: &str = "sh -c 'end=127; read_with() { command -v $1 >/dev/null 2>&1 || return; \
                    \"$@\" 2>/dev/null && exit 0; end=1; }; \
                    read_with wl-paste --type image/png; \
                    read_with xclip -selection clipboard -t image/png -o; \
                    read_with pngpaste -; exit $end'";
/// How long that may take.
const PATIENCE: Duration = Duration::from_secs(5);

/// The image in the clipboard. `run` runs a command line with a shell until it ends or is stopped, and
/// hands over what it prints. Errors are for a person.
pub fn clipboard_image(
    run: impl FnOnce(&str, Receiver<()>, &mut dyn FnMut(&[u8])) -> Result<CommandEnd, String>,
) -> Result<Content, String> {
    let (stop, stopped) = channel::<()>();
    let (over, ended) = channel::<()>();
    std::thread::spawn(move || {
        let _ = ended.recv_timeout(PATIENCE);
        drop(stop);
    });
    let most = usize::try_from(IMAGE_BYTES).unwrap_or(usize::MAX);
    let mut bytes = Vec::new();
    let ran = run(READ, stopped, &mut |printed| {
        if bytes.len() <= most {
            bytes.extend_from_slice(printed);
        }
    });
    drop(over);
    match ran? {
        CommandEnd::Exited { code: 0 } if bytes.len() > most => Err(format!(
            "the one in the clipboard has more than {IMAGE_BYTES} bytes: make it smaller"
        )),
        CommandEnd::Exited { code: 0 } => {
            encoded(bytes).ok_or_else(|| "the clipboard holds none".to_owned())
        }
        CommandEnd::Exited { code: 127 } => Err(
            "nothing here reads the clipboard: install wl-clipboard, xclip or pngpaste".to_owned(),
        ),
        CommandEnd::Exited { .. } => Err("the clipboard holds none".to_owned()),
        CommandEnd::Signalled { .. } | CommandEnd::OverLimit | CommandEnd::TimedOut { .. } => {
            Err("the clipboard does not answer".to_owned())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_read_and_what_is_said_of_what_cannot_be() {
        let exited = |code| Ok(CommandEnd::Exited { code });
        let png: &[u8] = b"\x89PNG\r\n\x1a\n and more";
        let many = vec![0; 6 << 20];
        for (end, printed, expected) in [
            (exited(0), png, Ok("image/png")),
            (exited(0), b"words".as_slice(), Err("holds none")),
            (exited(0), &many, Err("more than 5242880 bytes")),
            (exited(1), b"", Err("holds none")),
            (
                exited(127),
                b"",
                Err("install wl-clipboard, xclip or pngpaste"),
            ),
            (
                Ok(CommandEnd::Signalled { signal: 15 }),
                b"",
                Err("does not answer"),
            ),
            (Err("no shell".to_owned()), b"", Err("no shell")),
        ] {
            let image = clipboard_image(|_, _, hand_over| {
                hand_over(printed);
                end
            });
            match (&image, expected) {
                (Ok(Content::Image { media_type, .. }), Ok(expected)) => {
                    assert_eq!(media_type, expected);
                }
                (Err(why), Err(expected)) => assert!(why.contains(expected), "{why}"),
                _ => panic!("{image:?}"),
            }
        }
    }
}
