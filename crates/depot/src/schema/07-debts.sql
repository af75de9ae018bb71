DROP TABLE counters;
CREATE TABLE debts (
    name TEXT PRIMARY KEY,
    capacity BIGINT NOT NULL,
    units BIGINT NOT NULL,
    at BIGINT NOT NULL,
    version BIGINT NOT NULL
);
CREATE INDEX debts_changed ON debts (version);
INSERT INTO versions (name, version) VALUES ('debts', 0);
