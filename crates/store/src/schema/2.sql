-- Which sessions use which blobs, small or large, so that the last one takes a blob with it.
CREATE TABLE blob_uses (
    session INTEGER NOT NULL,
    hash BLOB NOT NULL,
    PRIMARY KEY (session, hash)
) STRICT, WITHOUT ROWID;

CREATE INDEX blob_users ON blob_uses (hash);
