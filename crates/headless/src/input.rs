//! What a person says with one command line: words, piped text, images.

use std::io::Read as _;
use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use quire_protocol::Content;

/// The largest image that is sent, in bytes; providers take no more.
const IMAGE_BYTES: u64 = 5 << 20;

/// The words of a task: the prompt, with what was piped in added to it; alone, that is the prompt.
/// `None` when nothing is said.
#[must_use]
pub fn words(prompt: Option<&str>, piped: Option<&str>) -> Option<Content> {
    let said = |text: &&str| !text.trim().is_empty();
    let text = match (
        prompt.filter(said).filter(|prompt| *prompt != "-"),
        piped.filter(said),
    ) {
        (Some(prompt), Some(piped)) => format!("{prompt}\n\n<stdin>\n{piped}\n</stdin>"),
        (Some(words), None) | (None, Some(words)) => words.to_owned(),
        (None, None) => return None,
    };
    Some(Content::text(text))
}

/// An image from a file: png, jpeg, gif or webp of at most 5 MiB. The error says what is wrong with
/// the file, for a person.
pub fn image(path: &Path) -> Result<Content, String> {
    let size = std::fs::metadata(path)
        .map_err(|error| error.to_string())?
        .len();
    if size > IMAGE_BYTES {
        return Err(format!(
            "{size} bytes are too many, at most {IMAGE_BYTES} are sent: make it smaller"
        ));
    }
    // What is no regular file does not say its size; only so much of it is read.
    let mut bytes = Vec::new();
    std::fs::File::open(path)
        .and_then(|file| file.take(IMAGE_BYTES).read_to_end(&mut bytes))
        .map_err(|error| error.to_string())?;
    let media_type = media_type(&bytes).ok_or("it is no png, jpeg, gif or webp")?;
    Ok(Content::Image {
        media_type: media_type.to_owned(),
        data: STANDARD.encode(bytes),
    })
}

fn media_type(bytes: &[u8]) -> Option<&'static str> {
    match bytes {
        [0x89, b'P', b'N', b'G', ..] => Some("image/png"),
        [0xff, 0xd8, 0xff, ..] => Some("image/jpeg"),
        [b'G', b'I', b'F', b'8', ..] => Some("image/gif"),
        [
            b'R',
            b'I',
            b'F',
            b'F',
            _,
            _,
            _,
            _,
            b'W',
            b'E',
            b'B',
            b'P',
            ..,
        ] => Some("image/webp"),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_said() {
        let text = |prompt, piped| {
            let content = words(prompt, piped)?;
            content.as_text().map(str::to_owned)
        };
        assert_eq!(text(None, None), None);
        assert_eq!(text(Some(" "), Some("\n")), None);
        assert_eq!(text(Some("-"), Some("a")).as_deref(), Some("a"));
        assert_eq!(text(Some("a"), None).as_deref(), Some("a"));
        assert_eq!(
            text(Some("a"), Some("b")).as_deref(),
            Some("a\n\n<stdin>\nb\n</stdin>")
        );
    }

    #[test]
    fn an_image_without_an_end_is_refused() {
        assert_eq!(
            image(Path::new("/dev/zero")),
            Err("it is no png, jpeg, gif or webp".to_owned())
        );
    }

    #[test]
    fn kinds_of_images() {
        assert_eq!(media_type(b"\x89PNG\r\n"), Some("image/png"));
        assert_eq!(media_type(b"RIFF\0\0\0\0WEBPVP8"), Some("image/webp"));
        assert_eq!(media_type(b"RIFF\0\0\0\0WAVE"), None);
        assert_eq!(media_type(b""), None);
    }
}
