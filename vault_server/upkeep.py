"""What the server does by itself: cosigning idle logs again, cover leaves, forgetting what has ended, sweeping, pruning."""

import asyncio
from collections.abc import Awaitable, Callable

from crypto.access_log import LEAF, LEAF_VERSION
from crypto.checkpoint import TEN_MINUTES
from crypto.durations import DAY, HOUR
from crypto.secret_bytes import SecretBytes
from vault_server.access_log import AccessLog
from vault_server.erasures import Erasures
from vault_server.event_log import note
from vault_server.pruning import Pruning
from vault_server.settings import Settings
from vault_server.store import grants as grant_rows
from vault_server.store import identities as identity_rows
from vault_server.store.database import Transaction, Writer
from vault_server.uploads import Uploads

MINUTE = 60


class Upkeep:
    """The recurring work of one server."""

    def __init__(
        self,
        settings: Settings,
        writer: Writer,
        log: AccessLog,
        uploads: Uploads,
        pruning: Pruning,
        erasures: Erasures,
        clock: Callable[[], float],
    ) -> None:
        self._settings = settings
        self._writer = writer
        self._log = log
        self._uploads = uploads
        self._pruning = pruning
        self._erasures = erasures
        self._clock = clock
        self._covered: dict[str, int] = {}
        self._tasks: list[asyncio.Task[None]] = []

    def start(self) -> None:
        """Begin."""
        recosign = self._settings.recosign_seconds
        jobs = [
            _repeat(min(recosign, MINUTE) / 4, self.recosign),
            _repeat(MINUTE, self.forget),
            _repeat(DAY, self.sweep),
            _repeat(HOUR, self.prune),
            _repeat(MINUTE, self.erase, at_once=False),
        ]
        if self._settings.cover_leaves_a_day:
            # Not at once: nothing is logged before the keepers have confirmed the logs.
            jobs.append(_repeat(DAY / self._settings.cover_leaves_a_day, self.cover, at_once=False))
        self._tasks = [asyncio.create_task(job) for job in jobs]

    async def close(self) -> None:
        """Stop."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def recosign(self) -> None:
        """Idle logs are cosigned again, so that a fresh cosignature is never far."""
        self._log.recosign(self._clock() - self._settings.recosign_seconds)

    async def cover(self) -> None:
        """A shard that took no leaf since the last time gets one of random bytes."""
        idle = [
            log.origin
            for log in self._log.shards
            if self._covered.get(log.origin) in (None, log.durable.size)
        ]

        async def job(transaction: Transaction) -> None:
            for origin in idle:
                leaf = bytes([LEAF_VERSION]) + SecretBytes.random(LEAF - 1).reveal()
                self._log.stage_bytes(transaction, origin, leaf)

        if idle:
            await self._writer.run(job)
        self._covered = {log.origin: log.durable.size for log in self._log.shards}

    async def forget(self) -> None:
        """Ended sessions, proofs older than ten minutes, rights to fetch older than a day."""
        now = int(self._clock())

        async def job(transaction: Transaction) -> None:
            await identity_rows.forget_sessions(transaction, now)
            await grant_rows.forget_answers(transaction, now - TEN_MINUTES, now - DAY)

        await self._writer.run(job)

    async def sweep(self) -> None:
        """Ciphertext that no link came to name within a day."""
        await self._uploads.sweep(int(self._clock()) - DAY)

    async def prune(self) -> None:
        """A cosigned head of each day is kept, and entries that are older than they are kept are destroyed."""
        await self._pruning.run()

    async def erase(self) -> None:
        """What holders asked to be erased, and a stop of the server kept from it."""
        await self._erasures.finish()


async def _repeat(seconds: float, job: Callable[[], Awaitable[None]], *, at_once: bool = True) -> None:
    if not at_once:
        await asyncio.sleep(seconds)
    while True:
        try:
            await job()
        except Exception as error:
            note("recurring work was put off", kind=type(error).__name__)
        await asyncio.sleep(seconds)
