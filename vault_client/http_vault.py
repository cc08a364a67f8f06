"""``VaultApi`` over HTTP: the same operations, each one request.

Logs in by itself with the device's signature when an operation needs a session, once, and again when the server says
that the session has ended. Shows a passkey by itself when the server asks for one, once for each operation, and what
it lost when it says that it lacks it. Before anything but the trust root is asked, ``before`` has its say.
"""

import asyncio
import base64
import time
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Mapping
from contextlib import aclosing
from dataclasses import dataclass
from typing import Protocol, TypeVar
from urllib.parse import urlsplit

import msgspec

from crypto import labels
from crypto.encoding import decode, encode
from crypto.errors import Lacking, NeedsPasskey, NotPermitted, Unauthenticated
from crypto.identity_links import Chain
from crypto.signing import SigningKey, sign
from crypto.wire import losses as lost
from crypto.wire import messages as m
from crypto.wire import passkeys as p
from crypto.wire import sessions as s
from crypto.wire.notices import EVENT, LASTS, MAX_STREAM, read_notice
from crypto.wire.vault_api import OPERATIONS, PREFIX
from vault_client.http_transport import HttpTransport

Answer = TypeVar("Answer", bound=msgspec.Struct)
Result = TypeVar("Result")

_OPERATIONS = {operation.name: operation for operation in OPERATIONS}
_MAX_TILE = 1 << 16


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


class HttpVault:
    """A vault server at a URL. ``account``, by ``use_account``, and ``authenticator`` are set once there are such.

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

    async def version(self, query: m.Empty) -> m.Version:
        """Name, version and suite."""
        return await self._ask("version", query, m.Version)

    async def trust_roots(self, query: m.TrustRootQuery) -> m.TrustRootChain:
        """The chain of trust roots."""
        return await self._ask("trust_roots", query, m.TrustRootChain)

    async def log_beginning(self, query: m.LogQuery) -> m.LogBeginning:
        """From which entry on a log's entries are there."""
        return await self._ask("log_beginning", query, m.LogBeginning)

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

    async def publish_link(self, query: m.PublishLink) -> m.Logged:
        """Append a link to an identity chain."""
        return await self._ask("publish_link", query, m.Logged)

    async def identity_chain(self, query: m.IdentityQuery) -> Chain:
        """An identity's chain."""
        return await self._ask("identity_chain", query, Chain)

    async def parts(self, query: m.PartQuery) -> m.PartAnswer:
        """Erasable parts."""
        return await self._ask("parts", query, m.PartAnswer)

    async def reserve(self, query: m.Empty) -> m.Reservation:
        """A place in a log."""
        return await self._ask("reserve", query, m.Reservation)

    async def create_vault(self, query: m.LinkSubmission) -> m.LinkAccepted:
        """Found a vault."""
        return await self._ask("create_vault", query, m.LinkAccepted)

    async def append_link(self, query: m.LinkSubmission) -> m.LinkAccepted:
        """Append a link."""
        return await self._ask("append_link", query, m.LinkAccepted)

    async def held_vaults(self, query: m.Empty) -> m.HeldVaults:
        """The vaults one holds."""
        return await self._ask("held_vaults", query, m.HeldVaults)

    async def grant_event(self, query: m.GrantEventQuery) -> m.StoredEvent:
        """An event of a grant of one's vault."""
        return await self._ask("grant_event", query, m.StoredEvent)

    async def links(self, query: m.LinkQuery) -> m.Links:
        """A vault's links."""
        return await self._ask("links", query, m.Links)

    async def openings(self, query: m.OpeningQuery) -> m.Openings:
        """A vault's sealed openings."""
        return await self._ask("openings", query, m.Openings)

    async def log_losses(self, query: m.LogQuery) -> lost.LogLosses:
        """See ``VaultApi``."""
        return await self._ask("log_losses", query, lost.LogLosses)

    async def show_identity_link(self, query: lost.ShownIdentityLink) -> m.Logged:
        """See ``VaultApi``."""
        return await self._ask("show_identity_link", query, m.Logged)

    async def lost_entries(self, query: lost.VaultQuery) -> lost.LostEntries:
        """See ``VaultApi``."""
        return await self._ask("lost_entries", query, lost.LostEntries)

    async def show_link(self, query: lost.ShownLink) -> m.LinkAccepted:
        """See ``VaultApi``."""
        return await self._ask("show_link", query, m.LinkAccepted)

    async def show_openings(self, query: lost.ShownOpenings) -> m.Empty:
        """See ``VaultApi``."""
        return await self._ask("show_openings", query, m.Empty)

    async def give_up_entries(self, query: lost.GiveUp) -> m.Empty:
        """See ``VaultApi``."""
        return await self._ask("give_up_entries", query, m.Empty)

    async def erase(self, query: m.EraseRequest) -> m.Logged:
        """Have openings destroyed."""
        return await self._ask("erase", query, m.Logged)

    async def upload_status(self, query: m.UploadQuery) -> m.UploadStatus:
        """Which parts have arrived."""
        return await self._ask("upload_status", query, m.UploadStatus)

    async def mailbox(self, query: m.MailboxQuery) -> m.Mailbox:
        """What was delivered."""
        return await self._ask("mailbox", query, m.Mailbox)

    async def open(self, query: m.OpenRequest) -> m.OpenAnswer:
        """Log a request and answer it."""
        return await self._ask("open", query, m.OpenAnswer)

    async def put_part(self, query: m.PartUpload, data: bytes) -> None:
        """Store one part."""
        text = base64.urlsafe_b64encode(encode(query)).decode().rstrip("=")

        async def put(_: bool) -> None:
            headers = {"Content-Type": "application/octet-stream", "Coffre-Query": text}
            headers |= await self._authorization()
            await self._call("PUT", f"{PREFIX}/part", body=data, headers=headers, limit=m.MAX_MESSAGE)

        await self._in_session(put)

    async def ciphertext(self, query: m.CiphertextQuery) -> AsyncGenerator[bytes, None]:
        """Ciphertext from a byte on."""
        async for chunk in self._stream("ciphertext", query, limit=m.MAX_CIPHERTEXT):
            yield chunk

    async def notices(self, query: m.Empty) -> AsyncGenerator[bool, None]:
        """Whether there is something to fetch. Raises Malformed for what is no notice, TooLarge for too many."""
        come = bytearray()
        async with aclosing(self._stream("notices", query, limit=MAX_STREAM, lasts=LASTS)) as chunks:
            async for chunk in chunks:
                come += chunk
                while len(come) >= EVENT:
                    yield read_notice(bytes(come[:EVENT]))
                    del come[:EVENT]

    async def begin_passkey(self, query: m.Empty) -> p.PasskeyChallenge:
        """Begin to register a passkey."""
        return await self._ask("begin_passkey", query, p.PasskeyChallenge)

    async def finish_passkey(self, query: p.NewPasskey) -> m.Empty:
        """Register it."""
        return await self._ask("finish_passkey", query, m.Empty)

    async def begin_assertion(self, query: m.Empty) -> p.PasskeyChallenge:
        """Begin to show a passkey."""
        return await self._post("begin_assertion", query, p.PasskeyChallenge)

    async def finish_assertion(self, query: p.PasskeyAnswer) -> p.Confirmed:
        """Show it."""
        return await self._post("finish_assertion", query, p.Confirmed)

    async def passkeys(self, query: m.Empty) -> p.Passkeys:
        """The account's passkeys."""
        return await self._ask("passkeys", query, p.Passkeys)

    async def remove_passkey(self, query: p.PasskeyQuery) -> m.Empty:
        """Remove a passkey."""
        return await self._ask("remove_passkey", query, m.Empty)

    async def set_each_session(self, query: p.EachSession) -> m.Empty:
        """Have each session need a passkey, or no longer."""
        return await self._ask("set_each_session", query, m.Empty)

    async def checkpoint(self, origin: str) -> bytes:
        """A log's newest cosigned checkpoint."""
        return await self._call("GET", f"{_path(origin)}/checkpoint", limit=_MAX_TILE)

    async def tile(self, origin: str, path: str) -> bytes:
        """A tile or entry bundle."""
        return await self._call("GET", f"{_path(origin)}/{path}", limit=_MAX_TILE)

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


def _path(origin: str) -> str:
    """The path of a log on its server: its origin without the host."""
    return urlsplit(f"//{origin}").path
