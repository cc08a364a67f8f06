-- Version 4: the entries of a log below its minimum index are gone. The tiles over them stay.
ALTER TABLE logs ADD COLUMN minimum INTEGER NOT NULL DEFAULT 0;
-- Cosigned checkpoints, one of each log and day: they show how old entries are. time: of the newest cosignature.
CREATE TABLE dated_heads (
    origin TEXT    NOT NULL,
    size   INTEGER NOT NULL,
    time   INTEGER NOT NULL,
    note   BLOB    NOT NULL,
    PRIMARY KEY (origin, size)
);
CREATE INDEX grants_by_vault ON grants (vault);
