-- One row per session. `holder` is the process that leased it last, `indexed` the last place whose
-- text is in the search index. How many events there are and when the last one came is read from
-- the journal: keeping it here would write one more page with every append.
CREATE TABLE sessions (
    key INTEGER PRIMARY KEY AUTOINCREMENT,
    id TEXT NOT NULL UNIQUE,
    created_ms INTEGER NOT NULL,
    updated_ms INTEGER NOT NULL,
    workspace TEXT NOT NULL,
    title TEXT NOT NULL,
    epoch INTEGER NOT NULL,
    holder INTEGER NOT NULL,
    indexed INTEGER NOT NULL
) STRICT;

-- The journals. `id` is the session's key times 2^32 plus the place, so that a session's entries
-- lie side by side and an append dirties one page and no index.
CREATE TABLE events (
    id INTEGER PRIMARY KEY,
    at_ms INTEGER NOT NULL,
    checksum INTEGER NOT NULL,
    payload BLOB NOT NULL
) STRICT;

-- What search finds an entry by; same ids.
CREATE TABLE texts (
    id INTEGER PRIMARY KEY,
    text TEXT NOT NULL
) STRICT;

CREATE VIRTUAL TABLE search USING fts5(
    text,
    content = 'texts',
    content_rowid = 'id',
    tokenize = 'unicode61 remove_diacritics 2'
);

-- Small blobs; large ones are files.
CREATE TABLE blobs (
    hash BLOB NOT NULL UNIQUE,
    bytes BLOB NOT NULL
) STRICT;

-- Entries that were cut from a damaged journal, as they were found.
CREATE TABLE damaged (
    session TEXT NOT NULL,
    epoch INTEGER NOT NULL,
    seq INTEGER NOT NULL,
    at_ms INTEGER NOT NULL,
    checksum INTEGER NOT NULL,
    payload BLOB NOT NULL,
    reason TEXT NOT NULL
) STRICT;
