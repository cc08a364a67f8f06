"""Notices: who listens for what concerns them, told once a head that holds it can be fetched.

Each stream remembers one bit, so whoever reads slowly costs no more than whoever reads at once: what happens between two
events is one event.
"""

import asyncio
from collections.abc import AsyncGenerator, Collection

from crypto.errors import TooMany, Unavailable
from crypto.wire.notices import EVERY, LASTS
from vault_server.settings import Limits

# Seconds between two events of one stream at least.
APART = 1


class _Stream:
    """One stream: whether something is to be told, and whether it is to end."""

    def __init__(self) -> None:
        self._woken = asyncio.Event()
        self.is_over = False

    def tell(self) -> None:
        """Something happened."""
        self._woken.set()

    def end(self) -> None:
        """No more of it."""
        self.is_over = True
        self._woken.set()

    async def news(self, seconds: float) -> bool:
        """Whether something happened, or does within ``seconds``."""
        try:
            async with asyncio.timeout(seconds):
                await self._woken.wait()
        except TimeoutError:
            return False
        self._woken.clear()
        return True


class Notices:
    """The streams of one server, and what is to be told once it is published."""

    def __init__(self, limits: Limits) -> None:
        self._most, self._of_account = limits.streams, limits.streams_an_account
        self._streams: dict[bytes, list[_Stream]] = {}
        self._count = 0
        self._unpublished: dict[str, dict[bytes, int]] = {}
        self._is_closed = False

    async def stream(self, identity: bytes, seconds: float) -> AsyncGenerator[bool, None]:
        """Whether there is something to fetch for ``identity``, again and again, for ``seconds`` or ``LASTS`` at most.

        The first says that there is: what happened before is not known here. Of too many of one identity the oldest ends.
        Raises TooMany when there are too many of all, Unavailable once the server is ending.
        """
        stream, clock = self._begin(identity), asyncio.get_running_loop().time
        ends = clock() + min(seconds, LASTS)
        try:
            yield True
            while (left := ends - clock()) > 0:
                news = await stream.news(min(EVERY, left))
                if stream.is_over:
                    return
                yield news
                await asyncio.sleep(APART)
        finally:
            self._forget(identity, stream)

    def stage(self, origin: str, index: int, identities: Collection[bytes]) -> None:
        """Leaf ``index`` of ``origin``, which is durable now, concerns ``identities``."""
        self._unpublished.setdefault(origin, {}).update(dict.fromkeys(identities, index))

    def published(self, origin: str, size: int) -> None:
        """A head of ``size`` leaves can be fetched. Whoever waits for a later one too is told now and then."""
        waiting = self._unpublished.get(origin, {})
        for identity, index in list(waiting.items()):
            for stream in self._streams.get(identity, ()):
                stream.tell()
            if index < size:
                del waiting[identity]

    def close(self) -> None:
        """End every stream, and begin no more."""
        self._is_closed = True
        for streams in self._streams.values():
            for stream in streams:
                stream.end()

    def _begin(self, identity: bytes) -> _Stream:
        if self._is_closed:
            raise Unavailable("The server is ending. Nothing was begun. Try again in a moment.")
        streams = self._streams.get(identity, [])
        if len(streams) >= self._of_account:
            streams[0].end()
            self._forget(identity, streams[0])
        elif self._count >= self._most:
            raise TooMany("As many streams of notices are open as may be. None was begun. Try again later.")
        self._streams.setdefault(identity, streams).append(made := _Stream())
        self._count += 1
        return made

    def _forget(self, identity: bytes, stream: _Stream) -> None:
        streams = self._streams.get(identity, [])
        if stream in streams:
            streams.remove(stream)
            self._count -= 1
        if not streams:
            self._streams.pop(identity, None)
