-- The session that another one was forked from, which may be gone by now.
ALTER TABLE sessions ADD COLUMN parent TEXT;
