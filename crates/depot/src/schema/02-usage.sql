CREATE TABLE usage (
    request TEXT PRIMARY KEY,
    intake BIGINT NOT NULL,
    at BIGINT NOT NULL,
    organisation TEXT NOT NULL,
    workspace TEXT NOT NULL,
    api_key TEXT NOT NULL,
    model_asked TEXT NOT NULL,
    model_served TEXT NOT NULL,
    upstream TEXT NOT NULL,
    api TEXT NOT NULL,
    input BIGINT NOT NULL,
    cache_read BIGINT NOT NULL,
    cache_write_5m BIGINT NOT NULL,
    cache_write_1h BIGINT NOT NULL,
    output BIGINT NOT NULL,
    thinking BIGINT NOT NULL,
    web_searches BIGINT NOT NULL,
    cost BIGINT NOT NULL,
    service_tier TEXT NOT NULL,
    inference_geo TEXT NOT NULL,
    speed TEXT NOT NULL,
    batch BIGINT NOT NULL,
    context_window TEXT NOT NULL,
    status BIGINT NOT NULL,
    streamed BIGINT NOT NULL,
    latency_ms BIGINT NOT NULL,
    estimated BIGINT NOT NULL
);
CREATE INDEX usage_reported ON usage (organisation, at, request);
CREATE INDEX usage_taken_in ON usage (intake);
CREATE TABLE spending (
    api_key TEXT NOT NULL,
    day BIGINT NOT NULL,
    workspace TEXT NOT NULL,
    organisation TEXT NOT NULL,
    requests BIGINT NOT NULL,
    micros BIGINT NOT NULL,
    picos BIGINT NOT NULL,
    PRIMARY KEY (api_key, workspace, organisation, day)
);
CREATE INDEX spending_of_workspace ON spending (workspace, day);
CREATE INDEX spending_of_organisation ON spending (organisation, day);
INSERT INTO versions (name, version) VALUES ('intake', 0);
