-- Version 1 of the store. Plain SQL that SQLite and PostgreSQL both take; every table is reached by one vault, one
-- identity, one grant, one recipient or one log at a time.

-- The logs. size and root are the signed head: they change by compare-and-swap in the transaction that writes leaves.
CREATE TABLE logs (
    origin  TEXT    NOT NULL PRIMARY KEY,
    shard   INTEGER,                          -- absent for the directory
    taken   INTEGER NOT NULL DEFAULT 0,       -- slots given to vaults
    size    INTEGER NOT NULL,
    root    BLOB    NOT NULL,
    note    BLOB                              -- the newest cosigned checkpoint
);
CREATE TABLE leaves (
    origin   TEXT    NOT NULL,
    idx      INTEGER NOT NULL,
    slot_two BLOB    NOT NULL,
    leaf     BLOB    NOT NULL,
    PRIMARY KEY (origin, idx)
);
CREATE INDEX leaves_by_slot_two ON leaves (origin, slot_two);
CREATE TABLE tiles (
    origin TEXT    NOT NULL,
    level  INTEGER NOT NULL,
    n      INTEGER NOT NULL,
    data   BLOB    NOT NULL,
    PRIMARY KEY (origin, level, n)
);
-- Heads of the directory as they were published: a signed body's `dir` must have been the newest one lately.
CREATE TABLE directory_heads (
    size        INTEGER NOT NULL PRIMARY KEY,
    root        BLOB    NOT NULL,
    replaced_at INTEGER
);

CREATE TABLE identity_links (
    identity   BLOB    NOT NULL,
    n          INTEGER NOT NULL,
    envelope   BLOB    NOT NULL,
    disclosure BLOB    NOT NULL,
    PRIMARY KEY (identity, n)
);
-- Erasable parts. owner is a vault or an identity: both are hashes of their founding statements.
CREATE TABLE parts (
    owner BLOB NOT NULL,
    hash  BLOB NOT NULL,
    data  BLOB NOT NULL,
    PRIMARY KEY (owner, hash)
);
CREATE TABLE sessions (
    token    BLOB    NOT NULL PRIMARY KEY,    -- SHA-256 of the token
    identity BLOB    NOT NULL,
    device   BLOB    NOT NULL,
    until    INTEGER NOT NULL
);

CREATE TABLE reservations (
    account BLOB    NOT NULL PRIMARY KEY,
    origin  TEXT    NOT NULL,
    slot    INTEGER NOT NULL
);
CREATE TABLE vaults (
    vault    BLOB NOT NULL PRIMARY KEY,
    link     BLOB NOT NULL,                   -- digest of the newest link, for compare-and-swap
    head     BLOB NOT NULL,
    scan_key BLOB NOT NULL,
    last     BLOB NOT NULL                    -- commitment of the vault's newest leaf
);
CREATE TABLE holders (
    identity BLOB NOT NULL,
    vault    BLOB NOT NULL,
    PRIMARY KEY (identity, vault)
);
CREATE TABLE vault_links (
    vault    BLOB    NOT NULL,
    n        INTEGER NOT NULL,
    envelope BLOB    NOT NULL,
    PRIMARY KEY (vault, n)
);
-- What opens the leaves of a link, so that a link sent again gets its proof again.
CREATE TABLE link_leaves (
    vault      BLOB    NOT NULL,
    n          INTEGER NOT NULL,
    place      INTEGER NOT NULL,
    disclosure BLOB    NOT NULL,
    PRIMARY KEY (vault, n, place)
);
CREATE TABLE openings (
    vault BLOB    NOT NULL,
    idx   INTEGER NOT NULL,
    epoch INTEGER NOT NULL,
    box   BLOB    NOT NULL,
    PRIMARY KEY (vault, idx)
);
CREATE TABLE documents (
    vault   BLOB    NOT NULL,
    doc     BLOB    NOT NULL,
    masked  INTEGER NOT NULL,
    deleted INTEGER NOT NULL,
    PRIMARY KEY (vault, doc)
);
CREATE TABLE versions (
    vault   BLOB    NOT NULL,
    ver     BLOB    NOT NULL,
    doc     BLOB    NOT NULL,
    place   INTEGER NOT NULL,
    version BLOB    NOT NULL,
    PRIMARY KEY (vault, ver)
);
CREATE INDEX versions_by_document ON versions (vault, doc, place);
CREATE TABLE blocked (
    vault    BLOB    NOT NULL,
    identity BLOB    NOT NULL,
    blocked  INTEGER NOT NULL,
    PRIMARY KEY (vault, identity)
);
CREATE TABLE uploads (
    vault     BLOB    NOT NULL,
    ver       BLOB    NOT NULL,
    length    INTEGER NOT NULL,
    started   INTEGER NOT NULL,
    committed INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (vault, ver)
);
CREATE INDEX uploads_left_open ON uploads (started) WHERE committed = 0;
-- Sums over the uploads of a vault, kept up with them: adding to a record costs the same however much it holds.
CREATE TABLE upload_totals (
    vault      BLOB    NOT NULL PRIMARY KEY,
    unfinished INTEGER NOT NULL,              -- uploads that no link names yet
    bytes      INTEGER NOT NULL               -- of all uploads
);
CREATE TABLE upload_parts (
    vault  BLOB    NOT NULL,
    ver    BLOB    NOT NULL,
    number INTEGER NOT NULL,
    hash   BLOB    NOT NULL,
    PRIMARY KEY (vault, ver, number)
);

CREATE TABLE grants (
    gid      BLOB    NOT NULL PRIMARY KEY,
    vault    BLOB    NOT NULL,
    entry    BLOB    NOT NULL
);
CREATE TABLE events (
    gid      BLOB    NOT NULL,
    j        INTEGER NOT NULL,
    envelope BLOB    NOT NULL,
    rows     BLOB    NOT NULL,
    chains   BLOB    NOT NULL,
    PRIMARY KEY (gid, j)
);
CREATE TABLE grant_rows (
    gid     BLOB    NOT NULL,
    ver     BLOB    NOT NULL,
    doc     BLOB    NOT NULL,
    ct_root BLOB    NOT NULL,
    rekey   INTEGER NOT NULL,
    PRIMARY KEY (gid, ver)
);
CREATE TABLE listings (
    gid     BLOB    NOT NULL,
    ver     BLOB    NOT NULL,
    doc     BLOB    NOT NULL,
    ct_root BLOB    NOT NULL,
    rekey   INTEGER NOT NULL,
    data    BLOB    NOT NULL,
    PRIMARY KEY (gid, ver)
);
CREATE TABLE policies (
    gid    BLOB NOT NULL,
    keeper BLOB NOT NULL,
    blob   BLOB NOT NULL,
    PRIMARY KEY (gid, keeper)
);
CREATE TABLE mailbox (
    recipient BLOB    NOT NULL,
    number    INTEGER NOT NULL,
    gid       BLOB    NOT NULL,
    j         INTEGER,                        -- absent when the delivery is the grant's end
    PRIMARY KEY (recipient, number)
);
-- Requests that were granted: the proof for ten minutes, the right to fetch for a day.
CREATE TABLE answers (
    digest     BLOB    NOT NULL PRIMARY KEY,
    identity   BLOB    NOT NULL,
    vault      BLOB    NOT NULL,
    gid        BLOB    NOT NULL,
    versions   BLOB    NOT NULL,
    listing    INTEGER NOT NULL,
    at         INTEGER NOT NULL,
    disclosure BLOB
);
CREATE INDEX answers_by_age ON answers (at);
