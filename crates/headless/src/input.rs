//! What a person says with one command line: words, piped text, images.

use std::fs::File;
use std::io::{Read as _, Stdin, Write as _};
use std::os::fd::AsFd as _;
use std::os::unix::fs::{FileTypeExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::process::ExitStatus;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use quire_protocol::{Content, image_media_type};

use crate::schema::Schema;

/// The largest image that is sent, in bytes; providers take no more.
pub(crate) const IMAGE_BYTES: u64 = 5 << 20;

/// The longest piped text that is taken, in bytes: more than a model reads.
const PIPED_BYTES: u64 = 16 << 20;

/// How long to wait for the end of piped text before saying that it is waited for.
const PATIENCE: Duration = Duration::from_secs(2);

/// What a person says: the prompt, what comes on standard input, then the images. None when there
/// are no words. `waiting` is told when standard input takes long. The error is for a person.
pub async fn said(
    prompt: Option<&str>,
    input: Stdin,
    images: &[PathBuf],
    waiting: impl FnOnce(&str),
) -> Result<Option<Vec<Content>>, String> {
    let piped = piped(input, waiting).await?;
    let Some(words) = words(prompt, piped.as_deref()) else {
        return Ok(None);
    };
    let mut content = vec![words];
    for path in images {
        let image = image(path).map_err(|what| format!("--image {}: {what}", path.display()))?;
        content.push(image);
    }
    Ok(Some(content))
}

/// What comes on standard input, if it is a pipe or a file. `waiting` is told when that takes long.
/// The error is for a person.
async fn piped(input: Stdin, waiting: impl FnOnce(&str)) -> Result<Option<String>, String> {
    let kind = input
        .as_fd()
        .try_clone_to_owned()
        .map(File::from)
        .and_then(|file| file.metadata())
        .map(|metadata| metadata.file_type());
    if !kind.is_ok_and(|kind| kind.is_fifo() || kind.is_file()) {
        return Ok(None);
    }
    let mut reading = tokio::task::spawn_blocking(move || {
        let mut bytes = Vec::new();
        let read = input.lock().take(PIPED_BYTES + 1).read_to_end(&mut bytes);
        read.map(|_| bytes)
    });
    let bytes = if let Ok(read) = tokio::time::timeout(PATIENCE, &mut reading).await {
        read
    } else {
        waiting("waiting for the end of standard input (use </dev/null to leave it out)");
        reading.await
    };
    let bytes = bytes
        .map_err(|error| error.to_string())
        .and_then(|read| read.map_err(|error| format!("cannot read standard input: {error}")))?;
    if bytes.len() as u64 > PIPED_BYTES {
        return Err(format!(
            "standard input is longer than {PIPED_BYTES} bytes, more than a model reads: put it in \
             a file of this folder and name the file in the prompt"
        ));
    }
    Ok(Some(String::from_utf8_lossy(&bytes).into_owned()))
}

/// A JSON schema from a file, one that answers can be checked against. The error names the file and
/// says what is wrong, for a person.
pub fn schema_file(path: &Path) -> Result<serde_json::Value, String> {
    let wrong = |what: String| format!("{}: {what}", path.display());
    let bytes = std::fs::read(path).map_err(|error| wrong(error.to_string()))?;
    let schema = serde_json::from_slice(&bytes)
        .map_err(|error| wrong(format!("it is not JSON: {error}")))?;
    match Schema::new(&schema) {
        Ok(_) => Ok(schema),
        Err(error) => Err(wrong(error.to_string())),
    }
}

/// The words of a task: the prompt, with what was piped in added to it; alone, that is the prompt.
/// `None` when nothing is said.
fn words(prompt: Option<&str>, piped: Option<&str>) -> Option<Content> {
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
pub(crate) fn image(path: &Path) -> Result<Content, String> {
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
    File::open(path)
        .and_then(|file| file.take(IMAGE_BYTES).read_to_end(&mut bytes))
        .map_err(|error| error.to_string())?;
    encoded(bytes).ok_or_else(|| "it is no png, jpeg, gif or webp".to_owned())
}

/// The image of a path as a person writes it: from a folder, absolute, or from `~/`.
pub fn named_image(path: &str, folder: &Path, home: Option<&Path>) -> Result<Content, String> {
    let path = match (path.strip_prefix("~/"), home) {
        (Some(rest), Some(home)) => home.join(rest),
        _ => folder.join(path),
    };
    image(&path).map_err(|what| format!("{}: {what}", path.display()))
}

/// An image as it is sent; nothing where these are the bytes of none.
pub(crate) fn encoded(bytes: Vec<u8>) -> Option<Content> {
    Some(Content::Image {
        media_type: image_media_type(&bytes)?.to_owned(),
        data: STANDARD.encode(bytes),
    })
}

/// What becomes of a text in an editor, which `edit` opens a file in; it ends with a newline. The error is for a person.
pub fn edited(
    text: &str,
    edit: impl FnOnce(&Path) -> std::io::Result<ExitStatus>,
) -> Result<String, String> {
    let told = |what: &str, error: std::io::Error| format!("the text cannot be {what}: {error}");
    let name = format!("quire-{}.md", uuid::Uuid::now_v7());
    let file = std::env::temp_dir().join(name);
    let mut options = File::options();
    let mut open = options
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&file)
        .map_err(|error| told("given to an editor", error))?;
    // A file of text ends with a newline.
    let written = writeln!(open, "{text}");
    let edited = written
        .map_err(|error| told("given to an editor", error))
        .and_then(|()| {
            edit(&file).map_err(|error| format!("the editor cannot be started: {error}"))
        })
        .and_then(|status| {
            if status.success() {
                return std::fs::read_to_string(&file).map_err(|error| told("read back", error));
            }
            Err(format!(
                "the editor failed ({status}): the input is as it was"
            ))
        });
    let _ = std::fs::remove_file(&file);
    edited
}

/// A command that must succeed where a goal is met, as it is written. A blank one would succeed whatever
/// was done.
pub fn check(command: &str) -> Result<String, String> {
    if command.trim().is_empty() {
        return Err(
            "it is blank and would always succeed: write a command, such as `cargo test`, or leave \
             --check out"
                .to_owned(),
        );
    }
    Ok(command.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_blank_check_is_refused_and_any_other_stays_as_it_is() {
        assert_eq!(check(" cargo test\n"), Ok(" cargo test\n".to_owned()));
        for blank in ["", "  ", "\t\n"] {
            let told = check(blank).unwrap_err();
            assert!(told.contains("leave --check out"), "{told}");
        }
    }

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
}
