//! Blobs under their hash: small ones in the database, large ones in files of their own. Each is
//! kept for the sessions that use it and goes with the last of them.

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use quire_protocol::{BlobId, StoreError};
use rusqlite::{Connection, OptionalExtension};
use sha2::{Digest, Sha256};

use crate::fault::Fault;
use crate::journal::Key;
use crate::schema;

/// Blobs of more bytes than this are files.
pub(crate) const SMALL: usize = 64 * 1024;

/// Numbers the files that this process is writing.
static WRITING: AtomicU64 = AtomicU64::new(0);

/// The hash of a blob.
pub(crate) type Hash = [u8; 32];

pub(crate) fn hash(bytes: &[u8]) -> Hash {
    Sha256::digest(bytes).into()
}

pub(crate) fn id(hash: &Hash) -> BlobId {
    const DIGITS: [char; 16] = [
        '0', '1', '2', '3', '4', '5', '6', '7', '8', '9', 'a', 'b', 'c', 'd', 'e', 'f',
    ];
    let digits = hash.iter().flat_map(|byte| [byte >> 4, byte & 15]);
    BlobId::new(
        digits
            .map(|digit| DIGITS[usize::from(digit)])
            .collect::<String>(),
    )
}

/// The hash that an id stands for; `None` if it is not an id of a blob.
fn parse(id: &BlobId) -> Option<Hash> {
    let digits = id.as_str().as_bytes();
    if digits.len() != 64 {
        return None;
    }
    let value = |digit: u8| match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        _ => None,
    };
    let mut hash = [0; 32];
    for (byte, pair) in hash.iter_mut().zip(digits.chunks_exact(2)) {
        *byte = (value(pair[0])? << 4) | value(pair[1])?;
    }
    Some(hash)
}

fn path(directory: &Path, hash: &Hash) -> PathBuf {
    let id = id(hash);
    let (folder, name) = id.as_str().split_at(2);
    directory.join("blobs").join(folder).join(name)
}

/// Notes that a session uses a blob, in the transaction of the caller.
pub(crate) fn use_by(connection: &Connection, session: Key, hash: &Hash) -> Result<(), Fault> {
    let mut statement = connection.prepare_cached(
        "INSERT INTO blob_uses (session, hash) VALUES (?1, ?2) ON CONFLICT DO NOTHING",
    )?;
    statement.execute((session.0, hash))?;
    Ok(())
}

/// Notes that a session uses all that another one uses, in the transaction of the caller.
pub(crate) fn share(connection: &Connection, from: Key, session: Key) -> Result<(), Fault> {
    connection.execute(
        "INSERT INTO blob_uses (session, hash) SELECT ?2, hash FROM blob_uses WHERE session = ?1",
        (from.0, session.0),
    )?;
    Ok(())
}

/// Lets go of a session's blobs, in the transaction of the caller, and removes those that no other
/// session uses.
///
/// Files are removed before the commit, while nobody else can note a use: whoever does so later
/// finds the file gone and writes it again.
pub(crate) fn forget(connection: &Connection, directory: &Path, session: Key) -> Result<(), Fault> {
    let mut unused = connection.prepare_cached(
        "SELECT hash FROM blob_uses AS used WHERE session = ?1 AND NOT EXISTS
             (SELECT 1 FROM blob_uses WHERE hash = used.hash AND session <> ?1)",
    )?;
    let unused: Vec<Hash> = unused
        .query_map([session.0], |row| row.get(0))?
        .collect::<Result<_, _>>()?;
    connection.execute("DELETE FROM blob_uses WHERE session = ?1", [session.0])?;
    for hash in unused {
        connection.execute("DELETE FROM blobs WHERE hash = ?1", [hash])?;
        let path = path(directory, &hash);
        match fs::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                return Err(Fault::io(&path)(error));
            }
            _ => {}
        }
    }
    Ok(())
}

/// Keeps a small blob, in the transaction of the caller.
pub(crate) fn insert(connection: &Connection, hash: &Hash, bytes: &[u8]) -> Result<(), Fault> {
    let mut statement = connection
        .prepare_cached("INSERT INTO blobs (hash, bytes) VALUES (?1, ?2) ON CONFLICT DO NOTHING")?;
    statement.execute((hash, bytes))?;
    Ok(())
}

/// Keeps a large blob and returns its file, which is not synced yet; `None` if it was there.
pub(crate) fn write(directory: &Path, hash: &Hash, bytes: &[u8]) -> Result<Option<PathBuf>, Fault> {
    let path = path(directory, hash);
    // A power cut may have left a shorter one.
    if fs::metadata(&path).is_ok_and(|found| found.len() == bytes.len() as u64) {
        return Ok(None);
    }
    if let Some(folder) = path.parent() {
        schema::create_folder(folder)?;
    }
    let number = WRITING.fetch_add(1, Ordering::Relaxed);
    let part = path.with_extension(format!("{}-{number}.part", std::process::id()));
    let written = write_file(&part, bytes).and_then(|()| fs::rename(&part, &path));
    if let Err(error) = written {
        // It is only an unfinished file; the error to tell is the first one.
        let _ = fs::remove_file(&part);
        return Err(Fault::io(&path)(error));
    }
    Ok(Some(path))
}

fn write_file(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut file = schema::private_file()
        .create(true)
        .truncate(true)
        .open(path)?;
    file.write_all(bytes)
}

/// Makes a blob's file survive a power cut; says how many syncs it took.
pub(crate) fn sync(path: &Path) -> Result<u64, Fault> {
    match File::options().read(true).write(true).open(path) {
        Ok(file) => file.sync_all().map_err(Fault::io(path))?,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(0),
        Err(error) => return Err(Fault::io(path)(error)),
    }
    let folders = path.ancestors().skip(1).take(3);
    for folder in folders {
        sync_folder(folder)?;
    }
    Ok(4)
}

/// Makes the names in a folder survive a power cut, where the system has a way to.
pub(crate) fn sync_folder(path: &Path) -> Result<(), Fault> {
    if cfg!(unix) {
        let folder = File::open(path).map_err(Fault::io(path))?;
        folder.sync_all().map_err(Fault::io(path))?;
    }
    Ok(())
}

/// Bytes kept earlier.
pub(crate) fn read(
    connection: &Connection,
    directory: &Path,
    id: &BlobId,
) -> Result<Option<Vec<u8>>, Fault> {
    let Some(expected) = parse(id) else {
        return Ok(None);
    };
    let mut statement = connection.prepare_cached("SELECT bytes FROM blobs WHERE hash = ?1")?;
    let kept: Option<Vec<u8>> = statement
        .query_row([expected], |row| row.get(0))
        .optional()?;
    let bytes = match kept {
        Some(bytes) => bytes,
        None => match fs::read(path(directory, &expected)) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(Fault::io(&path(directory, &expected))(error)),
        },
    };
    if hash(&bytes) != expected {
        let told = format!("blob {id} does not match its hash; its content is lost");
        return Err(StoreError::Damaged(told).into());
    }
    Ok(Some(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_the_hex_of_the_hash() {
        let hash = hash(b"abc");
        let id = id(&hash);
        assert_eq!(
            id.as_str(),
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
        );
        assert_eq!(parse(&id), Some(hash));
    }

    #[test]
    fn what_is_no_id_is_no_path() {
        let up = "../".repeat(21) + "x";
        for strange in ["", "abc", up.as_str(), "É".repeat(32).as_str()] {
            assert_eq!(parse(&BlobId::new(strange)), None, "{strange:?}");
        }
        let upper = id(&hash(b"abc")).as_str().to_uppercase();
        assert_eq!(parse(&BlobId::new(upper)), None);
    }
}
