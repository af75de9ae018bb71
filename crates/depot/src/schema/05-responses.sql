CREATE TABLE responses (
    id TEXT PRIMARY KEY,
    workspace TEXT NOT NULL,
    api_key TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    expires_at BIGINT,
    previous TEXT,
    conversation TEXT,
    background BIGINT NOT NULL,
    status TEXT NOT NULL,
    open BIGINT NOT NULL,
    request TEXT NOT NULL,
    response TEXT NOT NULL,
    worker TEXT,
    lease_until BIGINT NOT NULL,
    attempts BIGINT NOT NULL
);
CREATE INDEX responses_listed ON responses (workspace, created_at, id);
CREATE INDEX responses_expiring ON responses (expires_at) WHERE expires_at IS NOT NULL;
CREATE INDEX responses_waiting ON responses (lease_until, created_at) WHERE open = 1 AND background = 1;
CREATE TABLE response_inputs (
    response TEXT NOT NULL,
    position BIGINT NOT NULL,
    id TEXT NOT NULL,
    workspace TEXT NOT NULL,
    item TEXT NOT NULL,
    PRIMARY KEY (response, id)
);
CREATE INDEX response_inputs_listed ON response_inputs (response, position, id);
CREATE TABLE response_events (
    response TEXT NOT NULL,
    sequence BIGINT NOT NULL,
    event TEXT NOT NULL,
    PRIMARY KEY (response, sequence)
);
CREATE TABLE conversations (
    id TEXT PRIMARY KEY,
    workspace TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    metadata TEXT NOT NULL,
    next BIGINT NOT NULL
);
CREATE INDEX conversations_listed ON conversations (workspace, created_at, id);
CREATE TABLE conversation_items (
    conversation TEXT NOT NULL,
    position BIGINT NOT NULL,
    id TEXT NOT NULL,
    workspace TEXT NOT NULL,
    item TEXT NOT NULL,
    PRIMARY KEY (conversation, id)
);
CREATE INDEX conversation_items_listed ON conversation_items (conversation, position, id);
