"""What a keeper sees to before it believes that one log takes the place of another that was lost.

The operator's word ends a log; it must not take back what the keeper vouched for. So the last head it names is not below the
one that was cosigned here, and nothing of the old log is cosigned while the word is being believed, or ever after.
"""

import hashlib
from collections.abc import AsyncIterator, Collection
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

from crypto.encoding import encode
from crypto.errors import NotPermitted
from crypto.signing import Envelope
from crypto.trust_root import Successor
from vault_server.keeper.event_log import EventLog
from vault_server.keeper.followed_logs import FollowedLogs
from vault_server.keeper.rows import LogRow
from vault_server.keeper.store import Store
from vault_server.store.files import PUBLIC_FILE, in_words, make_folder, write_durably


class Successions:
    """Judges successors by the logs that are followed here. ``folder``: where evidence is kept."""

    def __init__(self, store: Store, logs: FollowedLogs, folder: Path, events: EventLog) -> None:
        self._store, self._logs, self._folder, self._events = store, logs, folder, events

    @asynccontextmanager
    async def checked(
        self, known: Collection[Successor], named: Collection[Successor], signed: Envelope
    ) -> AsyncIterator[None]:
        """While this lasts, none of the logs moves that ``named``, of the trust root ``signed``, puts in each other's place.

        Raises NotPermitted, and keeps the evidence, when a last head is not the one cosigned here or a later one; NotPermitted
        when a new log has begun with something else than its successor's leaf. Those ``known`` were judged before.
        """
        new = [entry for entry in named if entry not in known]
        origins = {origin for entry in new for origin in (entry.old_origin, entry.new_origin)}
        async with AsyncExitStack() as locks:
            rows = {}
            for origin in sorted(origins):
                log = await self._logs.follow(origin)
                await locks.enter_async_context(log.lock)
                rows[origin] = log.row
            for entry in new:
                self._check_last_head(entry, rows[entry.old_origin], signed)
                await self._check_begun(entry, rows[entry.new_origin])
            yield

    def _check_last_head(self, entry: Successor, row: LogRow, signed: Envelope) -> None:
        origin, last, cosigned = row.origin, entry.last_head.size, row.size
        if not cosigned or cosigned < last or row.head == entry.last_head:
            return
        self._keep(row, signed)
        raise NotPermitted(
            f"A new trust root names as the last head of {origin}, which was lost, one of size {last}. This keeper cosigned "
            f"another, of size {cosigned}. The known trust root was kept, and both are kept as evidence."
        )

    async def _check_begun(self, entry: Successor, row: LogRow) -> None:
        origin = row.origin
        if row.size and (await self._store.leaves(row.log, [0])).get(0) != entry.leaf.to_bytes():
            raise NotPermitted(
                f"A new trust root puts {origin} in the place of a lost log, but that log has begun as another one. The "
                "known trust root was kept."
            )

    def _keep(self, row: LogRow, signed: Envelope) -> None:
        """Keep what the log signed and was cosigned here, and the trust root that takes it back: both prove themselves.

        The first such pair of each log: the refused trust root is shown again and again.
        """
        name = hashlib.sha256(row.origin.encode()).hexdigest()
        refused = self._folder / f"{name}.trust-root.json"
        if refused.exists():
            return
        with in_words("Evidence against a trust root could not be kept. It was not believed."):
            make_folder(self._folder)
            write_durably(self._folder / f"{name}.checkpoint", row.note, PUBLIC_FILE)
            write_durably(refused, encode(signed), PUBLIC_FILE)
        self._events.write(
            "a trust root ends a log below the head that was cosigned",
            file=f"{self._folder.name}/{refused.name}",
        )
