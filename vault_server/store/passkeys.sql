-- Version 2 of the store: the passkeys of accounts. party is the id of the relying party they were made for: those of a
-- name that the service no longer has open nothing.
CREATE TABLE passkeys (
    identity   BLOB    NOT NULL,
    credential BLOB    NOT NULL,
    party      TEXT    NOT NULL,
    public_key BLOB    NOT NULL,              -- a COSE key
    uses       INTEGER NOT NULL,              -- its own count of them
    synced     INTEGER NOT NULL,
    added      INTEGER NOT NULL,
    PRIMARY KEY (identity, credential)
);
-- Accounts of which each session needs a passkey.
CREATE TABLE passkey_each_session (
    identity BLOB NOT NULL PRIMARY KEY
);
