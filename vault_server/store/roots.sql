-- Version 2: finding an identity by its root, for whoever logs in with a recovery kit. root is a key id; a former root
-- keeps its row, and no longer logs in.
CREATE TABLE roots (
    root     BLOB NOT NULL PRIMARY KEY,
    identity BLOB NOT NULL
);
