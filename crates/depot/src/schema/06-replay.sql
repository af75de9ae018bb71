CREATE TABLE replay (
    id TEXT PRIMARY KEY,
    workspace TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    bytes BIGINT NOT NULL,
    request BYTEA NOT NULL,
    response BYTEA NOT NULL
);
CREATE INDEX replay_listed ON replay (workspace, created_at, id);
CREATE INDEX replay_oldest ON replay (created_at, id, bytes);
CREATE TABLE counters (
    name TEXT NOT NULL,
    window_start BIGINT NOT NULL,
    count BIGINT NOT NULL,
    PRIMARY KEY (name, window_start)
);
CREATE INDEX counters_oldest ON counters (window_start);
