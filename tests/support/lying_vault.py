"""A vault server that lies in named ways: ``VaultApi`` around an honest one, for clients to be driven against.

``heard`` keeps every question in order: what the server got to know.
"""

from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from contextlib import aclosing
from typing import Any

from crypto.wire import messages as m
from crypto.wire.vault_api import OPERATIONS, VaultApi

Lie = Callable[..., Awaitable[Any]]

_NAMES = {operation.name for operation in OPERATIONS} | {"put_part", "checkpoint", "tile"}


class LyingVault:
    """Answers as the honest server does, except where it was told to lie."""

    def __init__(self, honest: VaultApi) -> None:
        self.honest = honest
        self.heard: list[tuple[str, Any]] = []
        self._lies: dict[str, Lie] = {}
        self._ciphertext: Callable[[bytes], bytes] | None = None
        self._stream: Callable[[m.CiphertextQuery], AsyncIterator[bytes]] | None = None
        self._notices: Callable[[], AsyncGenerator[bool, None]] | None = None

    def forge(self, operation: str, answer: Callable[..., Any]) -> None:
        """Answer ``operation`` by what ``answer`` makes of the question; the honest server is not asked."""

        async def lie(*question: Any) -> Any:
            made = answer(*question)
            return await made if isinstance(made, Awaitable) else made

        self._lies[operation] = lie

    def tamper(self, operation: str, change: Callable[[Any], Any]) -> None:
        """Answer what ``change`` makes of the honest answer."""

        async def lie(*question: Any) -> Any:
            return change(await getattr(self.honest, operation)(*question))

        self._lies[operation] = lie

    def replay(self, operation: str, answer: Any) -> None:
        """Answer ``operation`` by an earlier answer, whatever is asked."""
        self.forge(operation, lambda *_: answer)

    def swap(self, operation: str, question: Callable[[Any], Any]) -> None:
        """Answer another question than the one that was asked."""

        async def lie(query: Any) -> Any:
            return await getattr(self.honest, operation)(question(query))

        self._lies[operation] = lie

    def withhold(self, operation: str, error: Exception) -> None:
        """Refuse ``operation`` with ``error``."""

        def refuse(*_: Any) -> Any:
            raise error

        self.forge(operation, refuse)

    def tamper_ciphertext(self, change: Callable[[bytes], bytes]) -> None:
        """Serve what ``change`` makes of a whole ciphertext."""
        self._ciphertext = change

    def serve_ciphertext(self, stream: Callable[[m.CiphertextQuery], AsyncIterator[bytes]]) -> None:
        """Serve ``stream`` instead of any ciphertext."""
        self._stream = stream

    def serve_notices(self, stream: Callable[[], AsyncGenerator[bool, None]]) -> None:
        """Tell what ``stream`` does instead of what happened."""
        self._notices = stream

    def be_honest(self) -> None:
        """Stop lying."""
        self._lies.clear()
        self._ciphertext = self._stream = self._notices = None

    def asked(self, operation: str) -> list[Any]:
        """The questions put to ``operation``."""
        return [question for name, question in self.heard if name == operation]

    def __getattr__(self, name: str) -> Any:
        if name not in _NAMES:
            raise AttributeError(name)

        async def call(*question: Any) -> Any:
            self.heard.append((name, question[0] if len(question) == 1 else question))
            return await self._lies.get(name, getattr(self.honest, name))(*question)

        return call

    async def may_put(self, query: m.PartUpload) -> None:
        """Anybody may: the honest server says who may not, once the part is there."""

    async def ciphertext(self, query: m.CiphertextQuery) -> AsyncGenerator[bytes, None]:
        """Ciphertext from a byte on, or what is served in its place."""
        self.heard.append(("ciphertext", query))
        if self._stream is not None:
            async for chunk in self._stream(query):
                yield chunk
        elif self._ciphertext is not None:
            yield self._ciphertext(await whole(self.honest, query))[query.start :]
        else:
            async for chunk in self.honest.ciphertext(query):
                yield chunk

    async def notices(self, query: m.Empty) -> AsyncGenerator[bool, None]:
        """Notices, or what is told in their place."""
        self.heard.append(("notices", query))
        async with aclosing(self.honest.notices(query) if self._notices is None else self._notices()) as told:
            async for news in told:
                yield news


async def whole(api: VaultApi, query: m.CiphertextQuery) -> bytes:
    """All of a ciphertext, as ``api`` serves it."""
    start = m.CiphertextQuery(vault=query.vault, request=query.request, ver=query.ver, start=0)
    return b"".join([chunk async for chunk in api.ciphertext(start)])
