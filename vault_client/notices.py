"""Being told: the stream of notices kept open in the background, as far as the server lets it.

Nothing is believed of it. A notice only shortens the wait for the next look; a stream that is refused, cut, silent or
full of something else costs that and no more, and is begun anew after longer and longer waits of random length.
"""

import asyncio
from contextlib import aclosing, suppress
from random import SystemRandom
from types import TracebackType
from typing import Self

from crypto.errors import CoffreError
from crypto.wire.messages import Empty
from crypto.wire.vault_api import VaultApi

# Seconds to wait at most before a stream is begun anew: at first, and in the end. The wait doubles until one has stayed.
FIRST_WAIT, LONGEST_WAIT = 8, 300
# Seconds for which a stream has stayed when it has.
STAYED = 60

_RANDOM = SystemRandom()


class Notices:
    """The notices of one account. An async context manager: they are listened to while it is entered."""

    def __init__(self, api: VaultApi) -> None:
        self._api = api
        self._news = asyncio.Event()
        self._listening: asyncio.Task[None] | None = None
        self.is_open = False
        """Whether a stream is open, so that what happens now should be told."""

    async def __aenter__(self) -> Self:
        self._listening = asyncio.create_task(self._listen())
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._listening is not None:
            self._listening.cancel()
            with suppress(asyncio.CancelledError):
                await self._listening

    async def rest(self, seconds: float) -> None:
        """Let ``seconds`` pass, whatever is told meanwhile: that is one notice."""
        await asyncio.sleep(seconds)

    async def wait(self, seconds: float) -> bool:
        """Whether a notice came since the last ``wait``, or comes within ``seconds``."""
        try:
            async with asyncio.timeout(seconds):
                await self._news.wait()
        except TimeoutError:
            return False
        self._news.clear()
        return True

    async def _listen(self) -> None:
        clock, wait = asyncio.get_running_loop().time, FIRST_WAIT
        while True:
            begun = clock()
            with suppress(CoffreError):
                async with aclosing(self._api.notices(Empty())) as stream:
                    async for news in stream:
                        self.is_open = True
                        if news:
                            self._news.set()
            self.is_open = False
            if clock() - begun >= STAYED:
                wait = FIRST_WAIT
            await asyncio.sleep(_RANDOM.uniform(0, wait))
            wait = min(2 * wait, LONGEST_WAIT)
