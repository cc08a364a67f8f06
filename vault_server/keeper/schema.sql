-- What a keeper keeps: the logs it follows, the heads it vouched for, ends not yet logged, trust roots, its clock.

-- One row. key: SHA-256 of the cosigning key this store belongs to. clock: the newest time ever stated.
-- lost: when its former store was found to be gone, until it has come back. ordered: whether the operator has ordered it
-- to go on without. contradicted: the version of the trust root under which the others' heads contradicted each other.
-- joined: whether it has taken over what the others know.
CREATE TABLE keeper (
    one INTEGER PRIMARY KEY CHECK (one = 1),
    key BLOB NOT NULL,
    clock INTEGER NOT NULL,
    lost INTEGER,
    ordered INTEGER NOT NULL DEFAULT 0,
    contradicted INTEGER,
    joined INTEGER NOT NULL DEFAULT 0
);

CREATE TABLE trust_roots (
    version INTEGER PRIMARY KEY,
    envelope BLOB NOT NULL
);

-- The highest head cosigned of each log. note: that checkpoint with our cosignature, empty before the first.
CREATE TABLE logs (
    log INTEGER PRIMARY KEY,
    origin TEXT NOT NULL UNIQUE,
    size INTEGER NOT NULL,
    root BLOB NOT NULL,
    note BLOB NOT NULL
);

-- Every head that was once the highest, and when it was replaced.
CREATE TABLE heads (
    log INTEGER NOT NULL REFERENCES logs,
    size INTEGER NOT NULL,
    root BLOB NOT NULL,
    replaced INTEGER,
    PRIMARY KEY (log, size)
) WITHOUT ROWID;

-- Every head of the directory, for good: when it was cosigned first and last while it was the highest.
CREATE TABLE dated_heads (
    log INTEGER NOT NULL REFERENCES logs,
    size INTEGER NOT NULL,
    first INTEGER NOT NULL,
    last INTEGER NOT NULL,
    PRIMARY KEY (log, size)
) WITHOUT ROWID;

CREATE INDEX heads_by_replacement ON heads (log, replaced);

-- The mirrored leaves. Those from the log's size on are drafts: fetched, not yet under a head, believed by nobody.
CREATE TABLE leaves (
    log INTEGER NOT NULL REFERENCES logs,
    place INTEGER NOT NULL,
    leaf BLOB NOT NULL,
    PRIMARY KEY (log, place)
) WITHOUT ROWID;

-- The lowest place of each slot that is looked up: slot one in the directory, slot two in the other logs.
CREATE TABLE slots (
    log INTEGER NOT NULL REFERENCES logs,
    slot BLOB NOT NULL,
    place INTEGER NOT NULL,
    PRIMARY KEY (log, slot)
) WITHOUT ROWID;

-- For dropping drafts. Look-ups by slot say +place, or SQLite takes this index and reads the whole log.
CREATE INDEX slots_by_place ON slots (log, place);

-- The hash over each 256 leaves, so that a root at any size is a few reads.
CREATE TABLE subtrees (
    log INTEGER NOT NULL REFERENCES logs,
    place INTEGER NOT NULL,
    hash BLOB NOT NULL,
    PRIMARY KEY (log, place)
) WITHOUT ROWID;

-- Ends that were posted and are not yet in the log. post: what was posted, sealed to this keeper's own key.
CREATE TABLE ends (
    log INTEGER NOT NULL REFERENCES logs,
    tag BLOB NOT NULL,
    post BLOB,
    PRIMARY KEY (log, tag)
) WITHOUT ROWID;

-- For showing them in pages.
CREATE INDEX ends_by_tag ON ends (tag);
