//! Takes in output of any size in little memory: its start and its end are held, all of it up to a
//! cap goes to an unnamed temporary file and from there to the store.

use std::fmt::Write as _;
use std::fs::File;
use std::io::{Read as _, Seek as _, Write as _};
use std::sync::{Arc, Mutex};

use quire_protocol::{BlobId, SessionId, Store};

use crate::calls::lock;
use crate::clean::clean;
use crate::text;

/// Bytes held of the start, and at least so many of the end.
const EDGE: usize = 64 * 1024;
/// Text that a model is shown as a whole, in bytes.
const MOST_SHOWN: usize = 16 * 1024;
/// Output above this many bytes is not kept as a whole.
const MOST_KEPT: u64 = 64 << 20;
/// What a handle begins with.
pub(crate) const SCHEME: &str = "blob:";

/// Output as it comes in.
#[derive(Default)]
pub(crate) struct Spool {
    start: Vec<u8>,
    large: Option<Large>,
    total: u64,
    feeds: u64,
}

/// What is held once the output is larger than two edges.
struct Large {
    end: Vec<u8>,
    file: Option<File>,
    trouble: Option<String>,
}

/// Output as a model is shown it.
pub(crate) struct Shown {
    pub(crate) text: String,
    /// The lines of all of it.
    pub(crate) lines: u64,
}

impl Spool {
    /// Takes in some bytes. A temporary file that cannot be written costs the middle only.
    pub(crate) fn push(&mut self, bytes: &[u8]) {
        self.feeds += text::feeds(bytes) as u64;
        let room = usize::try_from(MOST_KEPT.saturating_sub(self.total)).unwrap_or(usize::MAX);
        self.total += bytes.len() as u64;
        if let Some(large) = &mut self.large {
            large.push(bytes, room);
            return;
        }
        self.start.extend_from_slice(bytes);
        if self.start.len() > 2 * EDGE {
            self.large = Some(Large::spill(&self.start));
            self.start.truncate(EDGE);
        }
    }

    /// Whether nothing came in.
    pub(crate) fn is_empty(&self) -> bool {
        self.total == 0
    }

    /// What a model is shown. Larger output goes to the store as a whole.
    pub(crate) async fn shown(self, keeper: Keeper<'_>) -> Shown {
        let first = clean(&self.start);
        if self.large.is_none() && first.text.len() <= MOST_SHOWN {
            let lines = self.lines(&first.text);
            let mut text = first.text;
            end_line(&mut text);
            text.push_str(lossy_note(first.lossy));
            return Shown { text, lines };
        }
        let last = match &self.large {
            Some(large) => clean(after_partial_character(&large.end)),
            None => clean(&self.start),
        };
        let head = text::cut_head(&first.text, MOST_SHOWN / 2);
        let tail = text::cut_tail(&last.text, MOST_SHOWN / 2);
        let (lines, gap) = (self.lines(tail), self.gap(head, tail));
        let mut text = head.to_owned();
        end_line(&mut text);
        let lossy = first.lossy || last.lossy;
        let kept = self.keep(keeper).await;
        let _ = write!(text, "[… {gap}; {kept} …]\n{tail}");
        end_line(&mut text);
        text.push_str(lossy_note(lossy));
        Shown { text, lines }
    }

    /// How many lines there are, the last of which ends as `tail` does.
    fn lines(&self, tail: &str) -> u64 {
        self.feeds + u64::from(!tail.is_empty() && !tail.ends_with('\n'))
    }

    /// What is not shown, in words.
    fn gap(&self, head: &str, tail: &str) -> String {
        let bytes = self.total.saturating_sub((head.len() + tail.len()) as u64);
        let from = head.matches('\n').count() as u64 + 1;
        let lines = self.lines(tail);
        let to = lines.saturating_sub(tail.lines().count() as u64);
        if self.total > MOST_KEPT || to < from {
            format!("{bytes} bytes left out")
        } else {
            format!("{bytes} bytes left out, lines {from} to {to} of {lines}")
        }
    }

    /// Puts all of it into the store; says in words where it is.
    async fn keep(self, keeper: Keeper<'_>) -> String {
        let total = self.total;
        let whole = tokio::task::spawn_blocking(move || self.whole())
            .await
            .unwrap_or_else(|error| Err(error.to_string()));
        let kept = match whole {
            Ok(bytes) => keeper.keep(bytes).await,
            Err(reason) => Err(reason),
        };
        match kept {
            Err(reason) => format!("it could not be kept: {reason}"),
            Ok(id) if total > MOST_KEPT => format!(
                "its first {} are kept, the rest was dropped: read or search path \"{SCHEME}{id}\"",
                text::size(MOST_KEPT)
            ),
            Ok(id) => format!("to see them read or search path \"{SCHEME}{id}\""),
        }
    }

    fn whole(self) -> Result<Vec<u8>, String> {
        let Some(large) = self.large else {
            return Ok(self.start);
        };
        match (large.file, large.trouble) {
            (Some(mut file), None) => {
                let length = self.total.min(MOST_KEPT);
                let mut bytes = Vec::with_capacity(usize::try_from(length).unwrap_or_default());
                file.rewind()
                    .and_then(|()| file.read_to_end(&mut bytes))
                    .map_err(|error| error.to_string())?;
                Ok(bytes)
            }
            (_, trouble) => Err(trouble.unwrap_or_default()),
        }
    }
}

impl Large {
    fn spill(start: &[u8]) -> Self {
        let mut large = Self {
            end: start[EDGE..].to_vec(),
            file: None,
            trouble: None,
        };
        match tempfile::tempfile() {
            Ok(file) => large.file = Some(file),
            Err(error) => large.fail(&error),
        }
        large.save(start);
        large
    }

    fn push(&mut self, bytes: &[u8], room: usize) {
        self.save(&bytes[..bytes.len().min(room)]);
        self.end.extend_from_slice(bytes);
        if self.end.len() > 4 * EDGE {
            self.end.drain(..self.end.len() - EDGE);
        }
    }

    fn save(&mut self, bytes: &[u8]) {
        if let Some(file) = &mut self.file
            && let Err(error) = file.write_all(bytes)
        {
            self.fail(&error);
        }
    }

    fn fail(&mut self, error: &std::io::Error) {
        self.file = None;
        self.trouble = Some(format!("the temporary folder cannot be written: {error}"));
    }
}

fn end_line(text: &mut String) {
    if !text.is_empty() && !text.ends_with('\n') {
        text.push('\n');
    }
}

fn lossy_note(lossy: bool) -> &'static str {
    if lossy {
        "[some bytes were not UTF-8 text and are shown as \u{fffd}]\n"
    } else {
        ""
    }
}

/// Without the rest of a character whose start was cut off.
fn after_partial_character(bytes: &[u8]) -> &[u8] {
    let rest = bytes
        .iter()
        .take(3)
        .take_while(|byte| (0x80..0xc0).contains(*byte))
        .count();
    &bytes[rest..]
}

/// The store's blobs, by the handles that models are given.
#[derive(Clone)]
pub(crate) struct Blobs {
    store: Arc<dyn Store>,
    known: Arc<Mutex<Vec<BlobId>>>,
}

impl Blobs {
    pub(crate) fn new(store: Arc<dyn Store>) -> Self {
        Self {
            store,
            known: Arc::default(),
        }
    }

    /// Keeps for a session.
    pub(crate) fn of<'a>(&'a self, session: &'a SessionId) -> Keeper<'a> {
        Keeper {
            blobs: self,
            session,
        }
    }

    /// The bytes of a handle: a whole id, or the start of one that was given out by this process.
    pub(crate) async fn find(&self, handle: &str) -> Result<Vec<u8>, String> {
        let name = handle.trim_start_matches(SCHEME);
        let short = name.get(..name.len().min(12)).unwrap_or(name);
        let id = lock(&self.known)
            .iter()
            .find(|id| short.len() >= 8 && id.as_str().starts_with(short))
            .cloned()
            .unwrap_or_else(|| BlobId::new(name));
        self.store
            .blob(&id)
            .await
            .map_err(|error| error.to_string())?
            .ok_or_else(|| format!("{SCHEME}{name} is not kept here: copy the handle exactly"))
    }
}

/// The store's blobs, as one session adds to them.
#[derive(Clone, Copy)]
pub(crate) struct Keeper<'a> {
    blobs: &'a Blobs,
    session: &'a SessionId,
}

impl Keeper<'_> {
    async fn keep(&self, bytes: Vec<u8>) -> Result<BlobId, String> {
        let Blobs { store, known } = self.blobs;
        let id = store
            .put_blob(self.session, bytes)
            .await
            .map_err(|error| error.to_string())?;
        let mut known = lock(known);
        if !known.contains(&id) {
            known.push(id.clone());
        }
        Ok(id)
    }
}
