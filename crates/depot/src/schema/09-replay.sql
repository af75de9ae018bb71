DROP TABLE replay;
CREATE TABLE replay (
    id TEXT PRIMARY KEY,
    created_at BIGINT NOT NULL,
    workspace TEXT NOT NULL,
    api_key TEXT NOT NULL,
    api TEXT NOT NULL,
    model TEXT NOT NULL,
    path TEXT,
    headers TEXT NOT NULL,
    body BYTEA NOT NULL,
    body_bytes BIGINT NOT NULL,
    bytes BIGINT NOT NULL
);
CREATE INDEX replay_newest ON replay (created_at, id, bytes);
