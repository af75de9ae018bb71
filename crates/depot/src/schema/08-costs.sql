ALTER TABLE usage ADD COLUMN cost_input BIGINT;
ALTER TABLE usage ADD COLUMN cost_cache_read BIGINT;
ALTER TABLE usage ADD COLUMN cost_cache_write_5m BIGINT;
ALTER TABLE usage ADD COLUMN cost_cache_write_1h BIGINT;
ALTER TABLE usage ADD COLUMN cost_output BIGINT;
