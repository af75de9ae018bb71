CREATE TABLE files (
    id TEXT PRIMARY KEY,
    workspace TEXT NOT NULL,
    state TEXT NOT NULL,
    filename TEXT NOT NULL,
    mime_type TEXT NOT NULL,
    purpose TEXT NOT NULL,
    downloadable BIGINT NOT NULL,
    size_bytes BIGINT NOT NULL,
    created_at BIGINT NOT NULL,
    expires_at BIGINT
);
CREATE INDEX files_listed ON files (workspace, created_at, id);
CREATE INDEX files_expiring ON files (expires_at) WHERE expires_at IS NOT NULL;
CREATE INDEX files_unsettled ON files (created_at) WHERE state <> 'kept';
CREATE TABLE file_chunks (
    file TEXT NOT NULL,
    number BIGINT NOT NULL,
    bytes BYTEA NOT NULL,
    PRIMARY KEY (file, number)
);
CREATE TABLE file_storage (
    workspace TEXT PRIMARY KEY,
    bytes BIGINT NOT NULL
);
