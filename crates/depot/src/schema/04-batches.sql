CREATE TABLE batches (
    id TEXT PRIMARY KEY,
    workspace TEXT NOT NULL,
    api_key TEXT NOT NULL,
    api TEXT NOT NULL,
    details TEXT NOT NULL,
    state TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    expires_at BIGINT NOT NULL,
    cancelled_at BIGINT,
    ended_at BIGINT,
    archived_at BIGINT,
    processing BIGINT NOT NULL,
    succeeded BIGINT NOT NULL,
    errored BIGINT NOT NULL,
    cancelled BIGINT NOT NULL,
    expired BIGINT NOT NULL
);
CREATE INDEX batches_listed ON batches (workspace, created_at, id);
CREATE INDEX batches_open ON batches (expires_at) WHERE state <> 'ended';
CREATE INDEX batches_kept ON batches (created_at) WHERE archived_at IS NULL;
CREATE TABLE batch_items (
    batch TEXT NOT NULL,
    position BIGINT NOT NULL,
    custom_id TEXT NOT NULL,
    params TEXT NOT NULL,
    state TEXT NOT NULL,
    worker TEXT,
    lease_until BIGINT NOT NULL,
    attempts BIGINT NOT NULL,
    result TEXT,
    PRIMARY KEY (batch, position),
    UNIQUE (batch, custom_id)
);
CREATE INDEX batch_items_waiting ON batch_items (lease_until, batch, position) WHERE state = 'processing';
