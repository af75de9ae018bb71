CREATE TABLE organisations (
    id TEXT PRIMARY KEY,
    name TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    requests_per_minute BIGINT,
    input_tokens_per_minute BIGINT,
    output_tokens_per_minute BIGINT,
    budget BIGINT,
    budget_period TEXT,
    version BIGINT NOT NULL
);
CREATE TABLE workspaces (
    id TEXT PRIMARY KEY,
    organisation TEXT NOT NULL,
    name TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    archived_at BIGINT,
    requests_per_minute BIGINT,
    input_tokens_per_minute BIGINT,
    output_tokens_per_minute BIGINT,
    budget BIGINT,
    budget_period TEXT,
    file_quota BIGINT,
    version BIGINT NOT NULL
);
CREATE INDEX workspaces_listed ON workspaces (organisation, created_at, id);
CREATE TABLE api_keys (
    id TEXT PRIMARY KEY,
    organisation TEXT NOT NULL,
    workspace TEXT NOT NULL,
    name TEXT NOT NULL,
    hash BYTEA NOT NULL UNIQUE,
    hint TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    expires_at BIGINT,
    revoked_at BIGINT,
    models TEXT NOT NULL,
    regions TEXT NOT NULL,
    requests_per_minute BIGINT,
    input_tokens_per_minute BIGINT,
    output_tokens_per_minute BIGINT,
    budget BIGINT,
    budget_period TEXT,
    version BIGINT NOT NULL
);
CREATE INDEX api_keys_listed ON api_keys (organisation, created_at, id);
CREATE INDEX api_keys_changed ON api_keys (version);
INSERT INTO versions (name, version) VALUES ('access', 0);
