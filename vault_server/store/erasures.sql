-- Version 5: openings that their holders had destroyed. An erasure says which, and is an entry of the record itself.
CREATE TABLE erasures (
    vault      BLOB    NOT NULL,
    idx        INTEGER NOT NULL,
    digest     BLOB    NOT NULL,
    envelope   BLOB    NOT NULL,
    disclosure BLOB    NOT NULL,
    done       INTEGER NOT NULL DEFAULT 0,    -- whether what it names is destroyed
    PRIMARY KEY (vault, idx)
);
CREATE UNIQUE INDEX erasures_by_digest ON erasures (digest);
CREATE INDEX erasures_left_open ON erasures (done) WHERE done = 0;
CREATE TABLE erased (
    vault   BLOB    NOT NULL,
    idx     INTEGER NOT NULL,
    erasure INTEGER NOT NULL,                 -- the entry of the erasure that names it
    PRIMARY KEY (vault, idx)
);
