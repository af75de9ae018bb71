//! Which sessions were at work here, on disk: what a crash or an update interrupts is gone on with by
//! the next process.

use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use quire_protocol::SessionId;
use serde::{Deserialize, Serialize};

/// How often a session is gone on with that takes its host down each time.
const TRIES: u32 = 3;

/// The list.
#[derive(Debug)]
pub(crate) struct Care {
    path: PathBuf,
    list: List,
}

/// Sessions, and how often each was gone on with since its turn began.
#[derive(Debug, Default, Serialize, Deserialize)]
struct List {
    sessions: BTreeMap<String, u32>,
}

impl Care {
    /// The list as the last process left it. One that cannot be read is none.
    pub(crate) fn load(path: &Path) -> Self {
        let list = std::fs::read(path).ok();
        let list = list.and_then(|bytes| serde_json::from_slice(&bytes).ok());
        Self {
            path: path.to_owned(),
            list: list.unwrap_or_default(),
        }
    }

    /// The sessions that were at work, each counted as gone on with once more. Those that were too
    /// often are left as they are.
    pub(crate) fn take_up(&mut self) -> Vec<SessionId> {
        for tries in self.list.sessions.values_mut() {
            *tries += 1;
        }
        self.list.sessions.retain(|_, tries| *tries <= TRIES);
        // Without a place to count, what was left is gone on with all the same.
        let _ = self.write();
        self.list.sessions.keys().map(SessionId::new).collect()
    }

    /// The host ends in order: none of its sessions took it down.
    pub(crate) fn hand_over(&mut self) -> io::Result<()> {
        for tries in self.list.sessions.values_mut() {
            *tries = 0;
        }
        self.write()
    }

    /// A session works.
    pub(crate) fn works(&mut self, session: &SessionId) -> io::Result<()> {
        if self.list.sessions.contains_key(session.as_str()) {
            return Ok(());
        }
        self.list.sessions.insert(session.as_str().to_owned(), 0);
        self.write()
    }

    /// It came further: what took its host down before does so no more.
    pub(crate) fn came_further(&mut self, session: &SessionId) -> io::Result<()> {
        match self.list.sessions.get_mut(session.as_str()) {
            Some(tries) if *tries > 0 => {
                *tries = 0;
                self.write()
            }
            _ => Ok(()),
        }
    }

    /// It needs nothing more of its host.
    pub(crate) fn rests(&mut self, session: &SessionId) -> io::Result<()> {
        match self.list.sessions.remove(session.as_str()) {
            Some(_) => self.write(),
            None => Ok(()),
        }
    }

    /// Written beside and moved: a crash leaves the old list or the new one.
    fn write(&self) -> io::Result<()> {
        let beside = self.path.with_extension("new");
        let mut file: File = OpenOptions::new()
            .create(true)
            .write(true)
            .truncate(true)
            .mode(0o600)
            .open(&beside)?;
        file.write_all(&serde_json::to_vec(&self.list)?)?;
        std::fs::rename(&beside, &self.path)?;
        let folder = self.path.parent().map(File::open).transpose()?;
        // For a power cut, which is to find it too; nobody waits for the disk.
        let sync = move || {
            file.sync_all()
                .and_then(|()| folder.map_or(Ok(()), |folder| folder.sync_all()))
        };
        std::thread::Builder::new().spawn(sync).map(drop)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_session_that_takes_its_host_down_is_not_gone_on_with_for_ever() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("care.json");
        let session = SessionId::new("s");
        Care::load(&path).works(&session).unwrap();
        for _ in 0..TRIES {
            let taken = Care::load(&path).take_up();
            assert_eq!(taken, std::slice::from_ref(&session));
        }
        assert_eq!(Care::load(&path).take_up(), []);
    }

    #[test]
    fn hosts_that_end_in_order_are_not_counted() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("care.json");
        let session = SessionId::new("s");
        Care::load(&path).works(&session).unwrap();
        for _ in 0..TRIES * 2 {
            let mut care = Care::load(&path);
            assert_eq!(care.take_up(), std::slice::from_ref(&session));
            care.hand_over().unwrap();
        }
    }

    #[test]
    fn what_was_left_is_taken_up_though_nothing_can_be_written() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("care.json");
        let session = SessionId::new("s");
        Care::load(&path).works(&session).unwrap();
        std::fs::create_dir(path.with_extension("new")).unwrap();
        assert_eq!(Care::load(&path).take_up(), [session]);
    }

    #[test]
    fn what_rests_is_not_taken_up() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("care.json");
        let (a, b) = (SessionId::new("a"), SessionId::new("b"));
        let mut care = Care::load(&path);
        care.works(&a).unwrap();
        care.works(&b).unwrap();
        care.rests(&a).unwrap();
        assert_eq!(Care::load(&path).take_up(), [b]);
        std::fs::write(&path, "{").unwrap();
        assert_eq!(Care::load(&path).take_up(), []);
    }
}
