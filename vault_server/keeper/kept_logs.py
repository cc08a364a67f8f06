"""The followed logs as the keeper's database has them (schema.sql): read only, and committed data only.

What a keeper answers is looked up here: leaves by place or slot, the heads that were the highest once, and the hashes that
join one head to another.
"""

import json
from collections.abc import Sequence
from typing import Any

from crypto.errors import Damaged
from crypto.merkle import Frontier, consistency_path, leaf_hash, root_of
from crypto.tiles import HEIGHT, WIDTH
from vault_server.keeper.rows import PastHead
from vault_server.store.connection import Connection


class KeptLogs:
    """What is kept of the followed logs. ``Store`` is one, and writes them."""

    def __init__(self, reader: Connection) -> None:
        """Reads through ``reader``."""
        self._reader = reader

    async def consistency(self, log: int, old: int, new: int) -> list[bytes]:
        """The hashes that show the first ``old`` leaves to be the beginning of the first ``new``."""

        def subtree(level: int, place: int) -> bytes:
            if level < HEIGHT:
                start, end = place << level, (place + 1) << level
                hashes = self._reader.all(
                    "SELECT leaf FROM leaves WHERE log = ? AND place >= ? AND place < ? ORDER BY place",
                    *(log, start, end),
                )
                return root_of([leaf_hash(leaf) for (leaf,) in hashes])
            above = level - HEIGHT
            subtrees = self._reader.all(
                "SELECT hash FROM subtrees WHERE log = ? AND place >= ? AND place < ? ORDER BY place",
                *(log, place << above, (place + 1) << above),
            )
            return root_of([hash_ for (hash_,) in subtrees])

        return consistency_path(old, new, subtree) if 0 < old < new else []

    async def known_tags(self, log: int, tags: Sequence[bytes]) -> set[bytes]:
        """Those of ``tags`` that are logged under the highest head or held as posted ends.

        One statement, so that an end which is just being logged is seen in one place or the other.
        """
        marks = _marks(tags)
        rows = self._reader.all(
            f"SELECT slot FROM slots WHERE log = ? AND slot IN ({marks}) "  # noqa: S608
            "AND +place < (SELECT size FROM logs WHERE logs.log = slots.log) "
            f"UNION SELECT tag FROM ends WHERE log = ? AND tag IN ({marks})",
            log,
            *tags,
            log,
            *tags,
        )
        return {tag for (tag,) in rows}

    async def places(self, log: int, size: int, slots: Sequence[bytes]) -> dict[bytes, int]:
        """The lowest place of each of ``slots`` among the first ``size`` leaves; those absent are left out."""
        rows = self._reader.all(
            f"SELECT slot, place FROM slots WHERE log = ? AND +place < ? AND slot IN ({_marks(slots)})",  # noqa: S608 (question marks only)
            log,
            size,
            *slots,
        )
        return dict(rows)

    async def leaves(self, log: int, places: Sequence[int]) -> dict[int, bytes]:
        """The leaves at ``places``."""
        rows = self._reader.all(
            f"SELECT place, leaf FROM leaves WHERE log = ? AND place IN ({_marks(places)})",  # noqa: S608
            log,
            *places,
        )
        return dict(rows)

    async def leaves_between(self, log: int, start: int, end: int) -> list[bytes]:
        """The leaves from ``start`` up to ``end``, in order."""
        rows = self._reader.all(
            "SELECT leaf FROM leaves WHERE log = ? AND place >= ? AND place < ? ORDER BY place",
            log,
            start,
            end,
        )
        return [leaf for (leaf,) in rows]

    async def past_head(self, log: int, size: int) -> PastHead | None:
        """What is remembered of the head of this size."""
        rows = self._reader.all("SELECT root, replaced FROM heads WHERE log = ? AND size = ?", log, size)
        return PastHead(*rows[0]) if rows else None

    async def cosigned_around(self, log: int, places: Sequence[int]) -> list[tuple[int | None, int]]:
        """For each of ``places`` under a dated head, in order: when a head without it was last cosigned, if one was,
        and when one with it was first.
        """
        rows = self._reader.all(
            "SELECT (SELECT last FROM dated_heads WHERE log = ?1 AND size <= value ORDER BY size DESC LIMIT 1), "
            "(SELECT first FROM dated_heads WHERE log = ?1 AND size > value ORDER BY size LIMIT 1) "
            "FROM json_each(?2) ORDER BY key",
            log,
            json.dumps(list(places)),
        )
        return [(before, after) for before, after in rows]

    async def frontier(self, log: int, size: int) -> Frontier:
        """The tree of the first ``size`` leaves. Raises Damaged when they are not all there."""
        full = size // WIDTH
        subtrees = self._reader.all(
            "SELECT hash FROM subtrees WHERE log = ? AND place < ? ORDER BY place", log, full
        )
        frontier = Frontier()
        for (subtree,) in subtrees:
            frontier.append_subtree(subtree, HEIGHT)
        for leaf in await self.leaves_between(log, full * WIDTH, size):
            frontier.append(leaf_hash(leaf))
        if frontier.size != size:
            raise Damaged(
                "The keeper's copy of a log has holes. Nothing was answered. Restart it from a new store."
            )
        return frontier


def _marks(values: Sequence[Any]) -> str:
    return ",".join("?" * len(values))
