//! Images in what is said: a path that is pasted, or dragged onto the terminal, or behind `/image`.

use quire_protocol::Content;

use crate::app::App;
use crate::wish::Wish;

/// The ends of the names of images that models take.
const ENDS: [&str; 5] = [".png", ".jpg", ".jpeg", ".gif", ".webp"];
/// Bytes of a path at most.
const LONG: usize = 4096;

impl App {
    /// An image was read, or could not be.
    pub(crate) fn attached(
        &mut self,
        name: &str,
        image: Result<Content, String>,
        pasted: Option<String>,
    ) {
        match (image, pasted) {
            (Ok(image), _) => self.editor.attach(name, image),
            (Err(why), pasted) => {
                // What was pasted is perhaps meant as words.
                self.editor.paste(&pasted.unwrap_or_default());
                self.notice = Some(format!("no image is attached, {why}"));
            }
        }
    }
}

/// `/image PATH`.
pub(crate) fn image(_: &mut App, words: &str) -> Result<Vec<Wish>, String> {
    if words.is_empty() {
        return Err("which one? /image PATH; a pasted path of an image is attached too".to_owned());
    }
    let path = path(words).unwrap_or_else(|| words.to_owned());
    Ok(vec![Wish::Attach { path, pasted: None }])
}

/// The name of a file at the end of its path.
pub(crate) fn name(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or(path)
}

/// The paths of images that are pasted or dragged at once, each with how it was written; none where there
/// is anything else.
pub(crate) fn paths(text: &str) -> Vec<(String, String)> {
    let words = words(text);
    let each = words.iter().map(|word| Some((path(word)?, word.clone())));
    if words.len() > 1
        && let Some(several) = each.collect::<Option<Vec<_>>>()
    {
        return several;
    }
    let one = path(text).map(|path| (path, text.to_owned()));
    one.into_iter().collect()
}

/// The words of a text as a shell has them, quotes and backslashes still around them.
fn words(text: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    let mut quoted = None;
    let mut chars = text.chars();
    while let Some(char) = chars.next() {
        match (char, quoted) {
            ('\\', None | Some('"')) => {
                let escaped = [Some(char), chars.next()];
                words
                    .last_mut()
                    .expect("there is one")
                    .extend(escaped.into_iter().flatten());
                continue;
            }
            ('\'' | '"', None) => quoted = Some(char),
            (end, Some(begun)) if end == begun => quoted = None,
            (space, None) if space.is_whitespace() => {
                words.push(String::new());
                continue;
            }
            _ => {}
        }
        words.last_mut().expect("there is one").push(char);
    }
    words.retain(|word| !word.is_empty());
    words
}

/// The path of an image, as terminals write one that is dragged onto them: quoted, with backslashes, or
/// as an address. Nothing for any other text.
pub(crate) fn path(text: &str) -> Option<String> {
    let text = text.trim();
    if text.len() > LONG || text.contains('\n') {
        return None;
    }
    let inner = |quote: char| text.strip_prefix(quote)?.strip_suffix(quote);
    let path = if let Some(path) = inner('\'').or_else(|| inner('"')) {
        path.to_owned()
    } else if let Some(address) = text.strip_prefix("file://") {
        decoded(address)?
    } else {
        unescaped(text)
    };
    let folded = path.to_lowercase();
    ENDS.iter().any(|end| folded.ends_with(end)).then_some(path)
}

/// A path without the backslashes that a shell would need.
fn unescaped(text: &str) -> String {
    let mut path = String::with_capacity(text.len());
    let mut chars = text.chars();
    while let Some(char) = chars.next() {
        path.extend(if char == '\\' {
            chars.next()
        } else {
            Some(char)
        });
    }
    path
}

/// The path of an address, with `%20` as a space.
fn decoded(address: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(address.len());
    let mut rest = address.strip_prefix("localhost").unwrap_or(address).bytes();
    while let Some(byte) = rest.next() {
        if byte == b'%' {
            let digits = [rest.next()?, rest.next()?];
            let digits = std::str::from_utf8(&digits).ok()?;
            bytes.push(u8::from_str_radix(digits, 16).ok()?);
        } else {
            bytes.push(byte);
        }
    }
    String::from_utf8(bytes).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_of_images_and_what_is_none() {
        for (text, expected) in [
            ("/a/shot.png ", Some("/a/shot.png")),
            ("'/a/my shot.PNG'", Some("/a/my shot.PNG")),
            ("\"b.webp\"", Some("b.webp")),
            ("/a/my\\ shot\\(1\\).jpg", Some("/a/my shot(1).jpg")),
            ("file:///a/%C3%B6%20b.gif", Some("/a/ö b.gif")),
            ("file:///a/%zz.gif", None),
            ("see shot.txt", None),
            ("one.png\ntwo.png", None),
        ] {
            assert_eq!(path(text).as_deref(), expected, "{text:?}");
        }
    }

    #[test]
    fn several_images_that_are_dragged_at_once_are_all_meant() {
        for (text, expected) in [
            ("/a/one.png /a/two.jpg", &["/a/one.png", "/a/two.jpg"][..]),
            (
                "'/a/my one.png' /a/my\\ two.gif ",
                &["/a/my one.png", "/a/my two.gif"],
            ),
            ("/a/one.png\n/a/two.png\n", &["/a/one.png", "/a/two.png"]),
            ("file:///a/%20b.png \"c.webp\"", &["/a/ b.png", "c.webp"]),
            ("/a/my shot.png", &["/a/my shot.png"]),
            ("'/a/my shot.png'", &["/a/my shot.png"]),
            ("compare one.png with two.txt", &[]),
            ("it's fine", &[]),
            ("", &[]),
        ] {
            let found = paths(text);
            let found: Vec<&str> = found.iter().map(|(path, _)| &**path).collect();
            assert_eq!(found, expected, "{text:?}");
        }
    }

    #[test]
    fn a_pasted_path_that_is_no_image_stays_text() {
        let mut app = App::new(
            "me".to_owned(),
            std::sync::Arc::new(|settings, _| Ok(settings)),
        );
        let wishes = app.paste("/no/such.png");
        let [Wish::Attach { path, pasted }] = &wishes[..] else {
            panic!("{wishes:?}");
        };
        assert_eq!((path.as_str(), app.editor.text()), ("/no/such.png", ""));
        app.attached(
            name(path),
            Err("it is not there".to_owned()),
            pasted.clone(),
        );
        assert_eq!(app.editor.text(), "/no/such.png");
        assert!(app.notice.as_deref().unwrap().contains("it is not there"));
    }
}
