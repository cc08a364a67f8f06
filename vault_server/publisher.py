"""Publishing heads: sign what is durable, have the keepers cosign it, and only then show it.

Each log has at most one head on its way. While the keepers look at it further leaves gather, and go with the next. A
silent keeper is asked again; until enough have cosigned, what waits for a proof is told so and loses nothing.
"""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from crypto.checkpoint import Checkpoint, CosignerKey, add_cosignature, sign_checkpoint
from crypto.errors import CoffreError, Damaged, Refusal, Stale, Unreachable
from crypto.merkle import SubtreeHash, consistency_path
from crypto.receipt import AddCheckpoint
from crypto.signing import SigningKey
from vault_server.event_log import note as log_event
from vault_server.log_tree import TileCache

RETRY_SECONDS = (0.1, 0.2, 0.2, 0.5, 0.5, 1, 2, 5)


class Behind(Exception):
    """A keeper knows the log at another size than the one we took."""

    def __init__(self, size: int) -> None:
        self.size = size


class OtherRoot(Exception):
    """A keeper knows the log at the size we took, under another root."""


class Cosigner(Protocol):
    """A keeper, as far as heads go."""

    @property
    def key(self) -> CosignerKey:
        """Its cosigning key, from the trust root."""
        ...

    async def add_checkpoint(self, body: bytes) -> bytes:
        """Its signature lines. Raises Behind, OtherRoot, or Unreachable when there was no useful answer."""
        ...


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
    ) -> None:
        self._keepers = keepers
        self._needed = needed
        self._tiles = tiles
        self._clock = clock
        self._published = published
        self._stop = stop
        self._known: dict[tuple[int, str], int] = {}

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
                "Too few keepers answered, so there is no proof yet. What you sent is stored: send the same again "
                "later to get its proof."
            ) from None
        finally:
            log.waiting = [entry for entry in log.waiting if entry[1] is not future]

    async def close(self, logs: Sequence[Log]) -> None:
        """Stop what is under way."""
        tasks = [log.task for log in logs if log.task is not None]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _follow(self, log: Log) -> None:
        attempt = 0
        while True:
            head = log.durable
            note = sign_checkpoint(head, log.key)
            try:
                note = await self._cosigned(log.origin, head, note)
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

    async def _cosigned(self, origin: str, head: Checkpoint, note: bytes) -> bytes:
        asked = [self._ask(place, keeper, origin, head, note) for place, keeper in enumerate(self._keepers)]
        cosigned = 0
        for answer, keeper in zip(await asyncio.gather(*asked), self._keepers, strict=True):
            if answer is not None:
                try:
                    note = add_cosignature(note, answer, keeper.key)
                    cosigned += 1
                except Refusal:
                    log_event("a keeper's answer was not one", kind="cosigning")
        if cosigned < self._needed:
            raise Unreachable("Too few keepers answered.")
        return note

    async def _ask(
        self, place: int, keeper: Cosigner, origin: str, head: Checkpoint, note: bytes
    ) -> bytes | None:
        old = self._known.get((place, origin), 0)
        for _ in range(2):
            try:
                answer = await keeper.add_checkpoint(await self._request(old, head, note))
            except Behind as behind:
                if behind.size > head.size:
                    raise Stale(
                        f"The server stopped: its data folder is older than what was published. Of {origin} a keeper "
                        f"has seen size {behind.size}, and this copy has size {head.size}. What is missing may "
                        "have been acknowledged to people. Nothing new was signed. Restore a newer backup. If there is none, "
                        "only a successor of the log could take its place, and this version cannot make one."
                    ) from None
                old = behind.size
            except OtherRoot:
                raise Damaged(
                    "The server stopped: a keeper knows another head of its log than the one stored here. The data "
                    "folder was changed. Restore the newest copy of it; nothing new was signed."
                ) from None
            except Unreachable:
                return None
            else:
                self._known[place, origin] = head.size
                return answer
        return None

    async def _request(self, old: int, head: Checkpoint, note: bytes) -> bytes:
        def path(subtree: SubtreeHash) -> list[bytes]:
            return consistency_path(min(old, head.size), head.size, subtree)

        proof = await self._tiles.prove(head.origin, head.size, path)
        return AddCheckpoint(old=old, path=tuple(proof), note=note).encode()
