//! What a person said on the screens of a folder, kept to be found again. It is a small file of its own:
//! journals have it too, but among everything else, and reading them all for a few lines takes long.

use std::fs::{File, OpenOptions};
use std::io::{self, BufRead as _, BufReader, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

/// Bytes of the file from which on the older half of it is forgotten.
const MOST_BYTES: u64 = 4 << 20;
/// Bytes of a message from which on it is not kept: it is pasted text rather than words.
const LONG: usize = 16 << 10;

/// What was said, of all folders; a line of JSON each.
#[derive(Clone, Debug)]
pub struct History {
    file: PathBuf,
    folder: String,
}

#[derive(Serialize, Deserialize)]
struct Said {
    folder: String,
    text: String,
}

impl History {
    /// What is said in a folder, kept among the person's data.
    #[must_use]
    pub fn new(data: &Path, folder: &Path) -> Self {
        Self {
            file: data.join("history.jsonl"),
            folder: folder.to_string_lossy().into_owned(),
        }
    }

    /// Keeps what was said.
    pub fn add(&self, text: &str) -> io::Result<()> {
        if text.trim().is_empty() || text.len() > LONG {
            return Ok(());
        }
        let said = Said {
            folder: self.folder.clone(),
            text: text.to_owned(),
        };
        let mut line = serde_json::to_string(&said).map_err(io::Error::other)?;
        line.push('\n');
        let mut file = private().append(true).open(&self.file)?;
        // One write, so that lines of several screens do not mix.
        file.write_all(line.as_bytes())?;
        if file.metadata()?.len() > MOST_BYTES {
            self.forget()?;
        }
        Ok(())
    }

    /// All that was said in this folder, each text once, where it was said last.
    #[must_use]
    pub fn all(&self) -> Vec<String> {
        let lines = self.lines().unwrap_or_default();
        let here = lines.iter().filter_map(|line| {
            // A line that was cut by a crash is nobody's.
            let said: Said = serde_json::from_str(line).ok()?;
            (said.folder == self.folder).then_some(said.text)
        });
        let mut seen = std::collections::HashSet::new();
        let mut newest: Vec<String> = here.collect();
        newest.reverse();
        newest.retain(|text| seen.insert(text.clone()));
        newest.reverse();
        newest
    }

    fn lines(&self) -> io::Result<Vec<String>> {
        let file = BufReader::new(File::open(&self.file)?);
        Ok(file.lines().map_while(Result::ok).collect())
    }

    fn forget(&self) -> io::Result<()> {
        let lines = self.lines()?;
        let kept = lines[lines.len() / 2..].join("\n") + "\n";
        let beside = self
            .file
            .with_extension(format!("{}.new", std::process::id()));
        let mut file = private().create_new(true).open(&beside)?;
        file.write_all(kept.as_bytes())?;
        std::fs::rename(&beside, &self.file)
    }
}

/// Nobody else reads what was said.
fn private() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.write(true).create(true).mode(0o600);
    options
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folder(name: &str) -> PathBuf {
        let folder =
            std::env::temp_dir().join(format!("quire-history-{name}-{}", uuid::Uuid::now_v7()));
        std::fs::create_dir_all(&folder).unwrap();
        folder
    }

    #[test]
    fn each_folder_has_its_own_and_each_text_counts_once() {
        let data = folder("own");
        let (here, there) = (
            History::new(&data, Path::new("/here")),
            History::new(&data, Path::new("/there")),
        );
        assert_eq!(here.all(), Vec::<String>::new());
        for text in ["one", "two\nlines", "one", " ", &"x".repeat(LONG + 1)] {
            here.add(text).unwrap();
        }
        there.add("elsewhere").unwrap();
        let mut file = OpenOptions::new()
            .append(true)
            .open(data.join("history.jsonl"))
            .unwrap();
        file.write_all(b"{\"folder\":\"/here\",\"te\n").unwrap();
        assert_eq!(here.all(), ["two\nlines", "one"]);
        assert_eq!(there.all(), ["elsewhere"]);
        std::fs::remove_dir_all(data).unwrap();
    }

    #[test]
    fn the_older_half_is_forgotten_when_there_is_too_much() {
        let data = folder("much");
        let here = History::new(&data, Path::new("/here"));
        let text = "x".repeat(LONG - 10);
        for number in 0..300 {
            here.add(&format!("{number} {text}")).unwrap();
        }
        let all = here.all();
        assert!(all.len() < 300, "{}", all.len());
        assert!(all.last().unwrap().starts_with("299 "));
        std::fs::remove_dir_all(data).unwrap();
    }
}
