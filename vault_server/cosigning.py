"""Having the keepers cosign a head: all are asked at once, and it goes on as soon as enough have cosigned.

With k of n keepers, n - k of them decide nothing, whatever they do. A silent or slow one is not waited for: its answer to
an earlier head may still come while the next is on its way to the others. One that claims to know a longer log, or another
head of the same size, is named to the operator and not believed. Only when so many claim it that the others are fewer
than k does this server hold what it stores for an older or a changed copy, and stop: with one keeper, at its first word.
"""

import asyncio
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

from crypto.checkpoint import (
    AHEAD,
    TEN_MINUTES,
    Checkpoint,
    CosignerKey,
    add_cosignature,
    cosignatures,
)
from crypto.errors import Damaged, Refusal, Stale, Unreachable
from crypto.merkle import SubtreeHash, consistency_path
from crypto.quorum import dated_together
from crypto.receipt import AddCheckpoint
from languages.catalogue import spoken
from languages.wrapping import wrapped
from vault_server.event_log import note as log_event
from vault_server.log_tree import TileCache


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


class Cosigning:
    """All keepers, asked for one head after the other of each log."""

    def __init__(
        self,
        keepers: Sequence[Cosigner],
        needed: int,
        tiles: TileCache,
        clock: Callable[[], float],
        told: Sequence[Cosigner] = (),
    ) -> None:
        """``told``: keepers that have retired. They see every head, to go on answering; their word decides nothing."""
        self._keepers = [_AskedKeeper(keeper, tiles) for keeper in keepers]
        self._told = [_AskedKeeper(keeper, tiles) for keeper in told]
        self._needed = needed
        self._clock = clock
        self._asking: set[asyncio.Task[bytes | None]] = set()

    async def cosigned(self, note: bytes, head: Checkpoint, durable: Callable[[], Checkpoint]) -> bytes:
        """``note``, the signed ``head``, with the cosignatures that clients ask for.

        ``durable`` tells the newest head of the log that is stored. Raises Unreachable when too few keepers cosign;
        Stale or Damaged when too many of them contradict what is stored for the others to suffice.
        """
        over = asyncio.Event()
        asked = {
            asyncio.create_task(keeper.ask(note, head, durable, over)): keeper for keeper in self._keepers
        }
        self._asking |= set(asked)
        for keeper in self._told:
            telling = asyncio.create_task(keeper.ask(note, head, durable, over))
            self._asking.add(telling)
            telling.add_done_callback(self._ended)
        times: list[int] = []
        waiting = set(asked)
        try:
            while waiting and not self._is_believed_now(times):
                done, waiting = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
                for task in done:
                    if (line := task.result()) is not None:
                        note = add_cosignature(note, line, asked[task].key)
                        times += cosignatures(note, [asked[task].key]).values()
                self._check_not_contradicted(head.origin, durable())
        finally:
            over.set()
            for task in asked:
                task.add_done_callback(self._ended)
        if dated_together(times, self._needed) is None:
            if len(times) >= self._needed:
                log_event("the keepers' clocks differ too much from each other", kind="cosigning")
            raise Unreachable("Too few keepers answered.")
        return note

    async def close(self) -> None:
        """Stop what is under way."""
        late = list(self._asking)
        for task in late:
            task.cancel()
        await asyncio.gather(*late, return_exceptions=True)

    def _is_believed_now(self, times: Sequence[int]) -> bool:
        """Whether a client whose clock is this server's believes a head with cosignatures of ``times``."""
        now = int(self._clock())
        near = [time for time in times if -TEN_MINUTES <= time - now <= AHEAD]
        return dated_together(near, self._needed) is not None

    def _ended(self, task: asyncio.Task[bytes | None]) -> None:
        self._asking.discard(task)
        if not task.cancelled() and task.exception() is not None:
            log_event("a keeper could not be asked", kind=type(task.exception()).__name__)

    def _check_not_contradicted(self, origin: str, held: Checkpoint) -> None:
        claims = {
            keeper.key.name: keeper.claims[origin] for keeper in self._keepers if origin in keeper.claims
        }
        if len(claims) > len(self._keepers) - self._needed:
            raise _older(held, claims) if all(claims.values()) else _other()


class _AskedKeeper:
    """One keeper as it is asked: for one head of a log at a time.

    ``claims``: by log, how it contradicts what is stored: the larger size it has seen, or 0 for another head.
    """

    def __init__(self, keeper: Cosigner, tiles: TileCache) -> None:
        self.key = keeper.key
        self.claims: dict[str, int] = {}
        self._keeper = keeper
        self._tiles = tiles
        self._known: dict[str, int] = {}
        self._turns: dict[str, asyncio.Lock] = {}

    async def ask(
        self, note: bytes, head: Checkpoint, durable: Callable[[], Checkpoint], over: asyncio.Event
    ) -> bytes | None:
        """Its signature lines; None without any that hold, and when nobody waits for them any more."""
        async with self._turns.setdefault(head.origin, asyncio.Lock()):
            if over.is_set():
                return None
            try:
                line = await self._ask(note, head)
            except Behind as behind:
                self._known[head.origin] = (
                    behind.size
                )  # of a newer head than ours it may have been told since
                if behind.size > durable().size:
                    self._claim(head.origin, behind.size)
            except OtherRoot:
                self._claim(head.origin, 0)
            except Unreachable:
                return None
            else:
                return self._checked(note, line, head)
            return None

    async def _ask(self, note: bytes, head: Checkpoint) -> bytes:
        """Raises Behind when it goes on answering that it knows another size than the one we start from."""
        old = self._known.get(head.origin, 0)
        try:
            return await self._keeper.add_checkpoint(await self._request(min(old, head.size), head, note))
        except Behind as behind:
            if behind.size > head.size:
                raise
            old = self._known[head.origin] = behind.size
        return await self._keeper.add_checkpoint(await self._request(old, head, note))

    def _checked(self, note: bytes, line: bytes, head: Checkpoint) -> bytes | None:
        try:
            add_cosignature(note, line, self.key)
        except Refusal:
            log_event("a keeper's answer was not one", kind="cosigning")
            return None
        self._known[head.origin] = head.size
        self.claims.pop(head.origin, None)
        return line

    def _claim(self, origin: str, seen: int) -> None:
        if origin not in self.claims:
            log_event("a keeper contradicts a log as it is stored here", kind="cosigning")
            said = spoken(
                f"The keeper {self.key.name} does not cosign {origin}: it claims to know a longer log, or another head "
                "of it, than the one stored here. The server goes on while enough of the others cosign, and stops when "
                "too many claim it. Ask the keeper's operator what happened."
            )
            print(wrapped(said, sys.stderr), file=sys.stderr, flush=True)
        self.claims[origin] = seen

    async def _request(self, old: int, head: Checkpoint, note: bytes) -> bytes:
        def path(subtree: SubtreeHash) -> list[bytes]:
            return consistency_path(old, head.size, subtree)

        proof = await self._tiles.prove(head.origin, head.size, path)
        return AddCheckpoint(old=old, path=tuple(proof), note=note).encode()


def _older(held: Checkpoint, seen: Mapping[str, int]) -> Stale:
    return Stale(
        f"The server stopped: its data folder is older than what was published. Of {held.origin} a keeper "
        f"has seen size {max(seen.values())}, and this copy has size {held.size}. What is missing may "
        "have been acknowledged to people. Nothing new was signed. Restore a newer backup. If there is none, "
        f"the log itself is not lost: the keepers have its entries ({', '.join(sorted(seen))}). Have each write them down: coffre "
        "keeper leaves FILE --data DIR. Then restore the newest backup with all these files, into a folder without a server: coffre "
        "serve --restore BACKUP --leaves FILE…"
    )


def _other() -> Damaged:
    return Damaged(
        "The server stopped: a keeper knows another head of its log than the one stored here. The data "
        "folder was changed. Restore the newest copy of it; nothing new was signed."
    )
