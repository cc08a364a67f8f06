"""What the store of a keeper of an earlier version lacks, and is given when it is opened."""

from vault_server.store.connection import Connection


def carry_over(db: Connection) -> None:
    """Bring the store to the schema of now. In the first version a loss was known by the operator's order only."""
    if not any(name == "post" for _, name, *_ in db.all("PRAGMA table_info(ends)")):
        db.script(
            "BEGIN IMMEDIATE; ALTER TABLE ends ADD COLUMN post BLOB; "
            "ALTER TABLE keeper ADD COLUMN ordered INTEGER NOT NULL DEFAULT 0; "
            "ALTER TABLE keeper ADD COLUMN contradicted INTEGER; "
            "UPDATE keeper SET ordered = lost IS NOT NULL; COMMIT;"
        )
    if not any(name == "joined" for _, name, *_ in db.all("PRAGMA table_info(keeper)")):
        # Whoever has cosigned began before this was asked.
        db.script(
            "BEGIN IMMEDIATE; CREATE INDEX ends_by_tag ON ends (tag); "
            "ALTER TABLE keeper ADD COLUMN joined INTEGER NOT NULL DEFAULT 0; "
            "UPDATE keeper SET joined = EXISTS (SELECT 1 FROM logs WHERE note != x''); COMMIT;"
        )
