"""Asking a vault server over HTTP, each operation by one request, in a session.

Logs in by itself with the device's signature when an operation needs a session, once, and again when the server says
that the session has ended. Shows a passkey by itself when the server asks for one, once for each operation, and what
it lost when it says that it lacks it. Before anything but the trust root is asked, ``before`` has its say.
"""

import asyncio
import time
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Protocol, TypeVar

import msgspec

from crypto import labels
from crypto.encoding import decode, encode
from crypto.errors import Lacking, NeedsPasskey, NotPermitted, Unauthenticated
from crypto.signing import SigningKey, sign
from crypto.wire import messages as m
from crypto.wire import passkeys as p
from crypto.wire import sessions as s
from crypto.wire.vault_api import OPERATIONS, PREFIX
from vault_client.http_transport import HttpTransport

Answer = TypeVar("Answer", bound=msgspec.Struct)
Result = TypeVar("Result")

_OPERATIONS = {operation.name: operation for operation in OPERATIONS}


@dataclass(frozen=True)
class Account:
    """Who logs in: an identity, by one of its devices, at the hosts of the trust root."""

    identity: bytes
    device: SigningKey
    hosts: tuple[str, ...]


@dataclass(frozen=True)
class RootAccount:
    """Who logs in with a recovery kit: the identity whose root this is."""

    root: SigningKey
    hosts: tuple[str, ...]


class Authenticator(Protocol):
    """What shows a passkey of the account."""

    def show(self, challenge: p.PasskeyChallenge) -> p.PasskeyAnswer:
        """The answer to ``challenge`` by one of its passkeys. Raises NotPermitted when none of them is here."""
        ...


class HttpSession:
    """Sessions with a server, and how it is asked. ``account``, by ``use_account``, and ``authenticator`` are set once there are such.

    ``before`` is awaited before every question but the one for the trust root; what it raises is raised instead.
    ``when_lacking`` shows the server what it lost.
    """

    def __init__(self, transport: HttpTransport) -> None:
        self._transport = transport
        self.account: Account | RootAccount | None = None
        self.authenticator: Authenticator | None = None
        self.before: Callable[[], Awaitable[None]] | None = None
        self.when_lacking: Callable[[], Awaitable[None]] | None = None
        self._is_showing = False
        self._session: s.Session | s.RootSession | None = None
        self._login_lock = asyncio.Lock()
        self._passkey_lock = asyncio.Lock()
        self._shown = 0

    def use_account(self, account: Account | RootAccount) -> None:
        """Log in as ``account`` from now on."""
        self.account, self._session = account, None

    async def close(self) -> None:
        """Close the connection."""
        await self._transport.close()

    @property
    def session(self) -> s.Session | s.RootSession | None:
        """The session under way, which another connection to the same server may go on with."""
        return self._session

    def go_on(self, session: s.Session | s.RootSession | None) -> None:
        """Ask in ``session`` from now on, as long as it lasts."""
        self._session = session

    async def challenge(self, query: s.LoginRequest) -> s.Challenge:
        """A nonce to log in with."""
        return await self._ask("challenge", query, s.Challenge)

    async def login(self, query: s.Login) -> s.Session:
        """A session for one identity."""
        return await self._ask("login", query, s.Session)

    async def root_challenge(self, query: s.RootLoginRequest) -> s.Challenge:
        """A nonce to log in with an identity's root."""
        return await self._ask("root_challenge", query, s.Challenge)

    async def root_login(self, query: s.RootLogin) -> s.RootSession:
        """A short session for the identity whose root signed."""
        return await self._ask("root_login", query, s.RootSession)

    async def begin_assertion(self, query: m.Empty) -> p.PasskeyChallenge:
        """Begin to show a passkey."""
        return await self._post("begin_assertion", query, p.PasskeyChallenge)

    async def finish_assertion(self, query: p.PasskeyAnswer) -> p.Confirmed:
        """Show it."""
        return await self._post("finish_assertion", query, p.Confirmed)

    async def _stream(
        self, name: str, query: msgspec.Struct, *, limit: int, lasts: float = 0
    ) -> AsyncGenerator[bytes, None]:
        """An answer that comes in chunks, the first of them in a session."""

        async def begin(_: bool) -> tuple[bytes, AsyncIterator[bytes]]:
            await self._let()
            headers = {"Content-Type": "application/json"} | await self._authorization()
            stream = self._transport.stream(
                "POST", f"{PREFIX}/{name}", body=encode(query), headers=headers, limit=limit, lasts=lasts
            )
            return await anext(stream, b""), stream

        first, rest = await self._in_session(begin)
        yield first
        async for chunk in rest:
            yield chunk

    async def _ask(self, name: str, query: msgspec.Struct, answer: type[Answer]) -> Answer:
        return await self._in_session(
            lambda shown: self._post(name, query, answer, with_session=shown),
            may_log_in=_OPERATIONS[name].session,
        )

    async def _post(
        self, name: str, query: msgspec.Struct, answer: type[Answer], *, with_session: bool = False
    ) -> Answer:
        operation = _OPERATIONS[name]
        headers = {"Content-Type": "application/json"}
        if operation.session or with_session:
            headers |= await self._authorization()
        path, limit = f"{PREFIX}/{name}", operation.answer_limit
        call = self._transport.call if name == "trust_roots" else self._call
        data = await call("POST", path, body=encode(query), headers=headers, limit=limit)
        return decode(data, answer, limit=limit)

    async def _in_session(
        self, action: Callable[[bool], Awaitable[Result]], *, may_log_in: bool = True
    ) -> Result:
        """Do ``action``; once more when the session has ended, and once more, told so, with a passkey shown in it.

        And once more when what the server lacked was shown to it.
        """
        ended = shown = gave = False
        while True:
            before = self._shown
            try:
                return await action(shown)
            except Unauthenticated:
                if ended or not may_log_in:
                    raise
                self._session, ended = None, True
            except NeedsPasskey:
                if shown or self.authenticator is None:
                    raise
                shown = True
                await self._show_passkey(self.authenticator, before)
            except Lacking:
                if gave or self._is_showing or self.when_lacking is None:
                    raise
                gave = self._is_showing = True
                try:
                    await self.when_lacking()
                finally:
                    self._is_showing = False

    async def _show_passkey(self, authenticator: Authenticator, before: int) -> None:
        async with self._passkey_lock:
            if self._shown == before:  # else another operation has just shown one
                challenge = await self.begin_assertion(m.Empty())
                await self.finish_assertion(authenticator.show(challenge))
                self._shown += 1

    async def _call(
        self,
        method: str,
        path: str,
        *,
        body: bytes | None = None,
        headers: Mapping[str, str] | None = None,
        limit: int,
    ) -> bytes:
        await self._let()
        return await self._transport.call(method, path, body=body, headers=headers, limit=limit)

    async def _let(self) -> None:
        if self.before is not None:
            await self.before()

    async def log_in(self) -> s.Session | s.RootSession:
        """The session under way, begun if there is none."""
        async with self._login_lock:
            now = int(time.time())
            if self._session is None or self._session.until <= now + 30:
                self._session = await self._log_in(now)
            return self._session

    async def _authorization(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {(await self.log_in()).token}"}

    async def _log_in(self, now: int) -> s.Session | s.RootSession:
        if self.account is None:
            raise NotPermitted("Nobody is enrolled here yet. Nothing was asked. Enrol first.")
        if isinstance(self.account, RootAccount):
            return await self._log_in_with_root(self.account, now)
        identity, key = self.account.identity, self.account.device
        challenge = await self.challenge(s.LoginRequest(identity=identity, device=key.public.key_id))
        statement = s.LoginStatement(
            hosts=self.account.hosts,
            identity=identity,
            device=key.public.key_id,
            nonce=challenge.nonce,
            minute=now // 60,
        )
        # Not as any other operation: what the server lacks may need a login to be shown.
        login = s.Login(statement=sign(labels.LOGIN, statement, key))
        return await self._post("login", login, s.Session)

    async def _log_in_with_root(self, account: RootAccount, now: int) -> s.RootSession:
        root = account.root.public.key_id
        challenge = await self.root_challenge(s.RootLoginRequest(root=root))
        statement = s.RootLoginStatement(
            hosts=account.hosts, root=root, nonce=challenge.nonce, minute=now // 60
        )
        return await self.root_login(s.RootLogin(statement=sign(labels.ROOT_LOGIN, statement, account.root)))
