"""Publishing heads: sign what is durable, have the keepers cosign it, and only then show it.

Each log has at most one head on its way. While the keepers look at it further leaves gather, and go with the next. When
too few keepers cosign, all are asked again; until enough have, what waits for a proof is told so and loses nothing.
"""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from crypto.checkpoint import Checkpoint, sign_checkpoint
from crypto.errors import CoffreError, Damaged, Stale, Unreachable
from crypto.signing import SigningKey
from vault_server.cosigning import Cosigner, Cosigning
from vault_server.event_log import note as log_event
from vault_server.log_tree import TileCache

RETRY_SECONDS = (0.1, 0.2, 0.2, 0.5, 0.5, 1, 2, 5)


@dataclass(frozen=True)
class Published:
    """A cosigned head. ``at``: when, in seconds since 1970."""

    head: Checkpoint
    note: bytes
    at: float


@dataclass
class Log:
    """One log: what is durable, what is published, who waits."""

    origin: str
    shard: int | None
    key: SigningKey
    durable: Checkpoint
    published: Published | None = None
    waiting: list[tuple[int, asyncio.Future[Published]]] = field(default_factory=list)
    task: asyncio.Task[None] | None = None


class Publisher:
    """Takes the newest durable head of each log through the keepers."""

    def __init__(
        self,
        keepers: Sequence[Cosigner],
        needed: int,
        tiles: TileCache,
        clock: Callable[[], float],
        published: Callable[[Log, Published], None],
        stop: Callable[[CoffreError], None],
        told: Sequence[Cosigner] = (),
    ) -> None:
        """``told``: as in ``Cosigning``."""
        self._cosigning = Cosigning(keepers, needed, tiles, clock, told)
        self._clock = clock
        self._published = published
        self._stop = stop

    def push(self, log: Log) -> None:
        """See to it that the newest head of ``log`` gets published."""
        if log.task is None or log.task.done():
            log.task = asyncio.create_task(self._follow(log))

    async def wait(self, log: Log, size: int, seconds: float) -> Published:
        """The first published head of at least ``size`` leaves. Raises Unreachable when the keepers stay silent."""
        if log.published is not None and log.published.head.size >= size:
            return log.published
        future: asyncio.Future[Published] = asyncio.get_running_loop().create_future()
        log.waiting.append((size, future))
        self.push(log)
        try:
            return await asyncio.wait_for(future, seconds)
        except TimeoutError:
            raise Unreachable(
                "Too few keepers answered, so there is no proof yet. What was sent is stored; the same, sent again, gets "
                "its proof once they answer."
            ) from None
        finally:
            log.waiting = [entry for entry in log.waiting if entry[1] is not future]

    async def close(self, logs: Sequence[Log]) -> None:
        """Stop what is under way."""
        tasks = [log.task for log in logs if log.task is not None]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await self._cosigning.close()

    async def _follow(self, log: Log) -> None:
        attempt = 0
        while True:
            head = log.durable
            note = sign_checkpoint(head, log.key)
            try:
                note = await self._cosigning.cosigned(note, head, lambda: log.durable)
            except (Stale, Damaged) as contradiction:
                self._stop(contradiction)
                return
            except Unreachable:
                if (
                    log.published is not None
                ):  # at a start the keepers are not there yet, and the start says it
                    log_event("too few keepers answered", kind="cosigning")
                await asyncio.sleep(RETRY_SECONDS[min(attempt, len(RETRY_SECONDS) - 1)])
                attempt += 1
                continue
            attempt = 0
            log.published = Published(head=head, note=note, at=self._clock())
            self._published(log, log.published)
            for size, future in log.waiting:
                if size <= head.size and not future.done():
                    future.set_result(log.published)
            if log.durable.size == head.size:
                return
