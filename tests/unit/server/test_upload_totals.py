"""What is counted about a vault's uploads is what its uploads add up to."""

import secrets
from pathlib import Path

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from vault_server.store import uploads
from vault_server.store.database import Database, Statements

STEPS = st.lists(
    st.tuples(st.sampled_from(["begin", "commit", "forget"]), st.integers(0, 3), st.integers(1, 9_999)),
    max_size=20,
)


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps=STEPS)
async def test_totals_follow_every_change(tmp_path: Path, steps: list[tuple[str, int, int]]) -> None:
    """Whatever begins, is committed or forgotten, in whatever order and how often, the totals are the sums."""
    database = Database.open(tmp_path / secrets.token_hex(8))
    try:
        db, vault = Statements(database.write), secrets.token_bytes(32)
        for step, which, length in steps:
            ver = bytes([which]) * 16
            if step == "begin":
                await uploads.begin(db, vault, ver, length, 0)
            elif step == "commit":
                await uploads.commit(db, vault, ver)
            else:
                await uploads.forget(db, vault, ver)
        rows = await db.all("SELECT length, committed FROM uploads WHERE vault = $1", vault)
        open_ones = sum(1 for _, committed in rows if not committed)
        assert await uploads.use(db, vault) == (open_ones, sum(length for length, _ in rows))
    finally:
        database.close()
