-- Version 6: what a backup lacked whose logs were completed from a keeper's leaves: the entries are there, what they commit
-- to is not, until whoever has it shows it.
CREATE TABLE losses (
    origin TEXT    NOT NULL,
    start  INTEGER NOT NULL,
    stop   INTEGER NOT NULL,                  -- the first entry after it
    time   INTEGER NOT NULL,
    PRIMARY KEY (origin, start)
);
-- Links of identities, by slot one of the entry.
CREATE TABLE lost_links (
    slot BLOB    NOT NULL PRIMARY KEY,
    idx  INTEGER NOT NULL
);
-- Entries of records that have no opening because of it. standing: 0 nothing was shown, 1 given up, 2 its link was shown.
CREATE TABLE lost_entries (
    vault    BLOB    NOT NULL,
    idx      INTEGER NOT NULL,
    epoch    INTEGER NOT NULL,
    standing INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (vault, idx)
);
CREATE INDEX lost_entries_waiting ON lost_entries (vault, idx) WHERE standing = 0;
