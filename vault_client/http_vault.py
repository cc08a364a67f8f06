"""``VaultApi`` over HTTP: the same operations, each one request.

Logs in by itself with the device's signature when an operation needs a session, once, and again when the server says
that the session has ended. Before anything but the trust root is asked, ``before`` has its say.
"""

import asyncio
import base64
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import TypeVar
from urllib.parse import urlsplit

import msgspec

from crypto import labels
from crypto.encoding import decode, encode
from crypto.errors import NotPermitted, Unauthenticated
from crypto.identity_links import Chain
from crypto.signing import SigningKey, sign
from crypto.wire import messages as m
from crypto.wire.vault_api import OPERATIONS, PREFIX
from vault_client.http_transport import HttpTransport

Answer = TypeVar("Answer", bound=msgspec.Struct)

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


class HttpVault:
    """A vault server at a URL. ``account`` is set once there is one, by ``use_account``.

    ``before`` is awaited before every question but the one for the trust root; what it raises is raised instead.
    """

    def __init__(self, transport: HttpTransport) -> None:
        self._transport = transport
        self.account: Account | RootAccount | None = None
        self.before: Callable[[], Awaitable[None]] | None = None
        self._session: m.Session | m.RootSession | None = None
        self._login_lock = asyncio.Lock()

    def use_account(self, account: Account | RootAccount) -> None:
        """Log in as ``account`` from now on."""
        self.account, self._session = account, None

    async def version(self, query: m.Empty) -> m.Version:
        """Name, version and suite."""
        return await self._ask("version", query, m.Version)

    async def trust_roots(self, query: m.TrustRootQuery) -> m.TrustRootChain:
        """The chain of trust roots."""
        return await self._ask("trust_roots", query, m.TrustRootChain)

    async def challenge(self, query: m.LoginRequest) -> m.Challenge:
        """A nonce to log in with."""
        return await self._ask("challenge", query, m.Challenge)

    async def login(self, query: m.Login) -> m.Session:
        """A session for one identity."""
        return await self._ask("login", query, m.Session)

    async def root_challenge(self, query: m.RootLoginRequest) -> m.Challenge:
        """A nonce to log in with an identity's root."""
        return await self._ask("root_challenge", query, m.Challenge)

    async def root_login(self, query: m.RootLogin) -> m.RootSession:
        """A short session for the identity whose root signed."""
        return await self._ask("root_login", query, m.RootSession)

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

        async def put() -> None:
            headers = {"Content-Type": "application/octet-stream", "Coffre-Query": text}
            headers |= await self._authorization()
            await self._call("PUT", f"{PREFIX}/part", body=data, headers=headers, limit=m.MAX_MESSAGE)

        try:
            await put()
        except Unauthenticated:
            self._session = None
            await put()

    async def ciphertext(self, query: m.CiphertextQuery) -> AsyncGenerator[bytes, None]:
        """Ciphertext from a byte on."""
        path, body = f"{PREFIX}/ciphertext", encode(query)
        for is_last in (False, True):
            await self._let()
            headers = {"Content-Type": "application/json"} | await self._authorization()
            answer = self._transport.stream("POST", path, body=body, headers=headers, limit=m.MAX_CIPHERTEXT)
            try:
                async for chunk in answer:
                    yield chunk
            except Unauthenticated:
                if is_last:
                    raise
                self._session = None
            else:
                return

    async def checkpoint(self, origin: str) -> bytes:
        """A log's newest cosigned checkpoint."""
        return await self._call("GET", f"{_path(origin)}/checkpoint", limit=_MAX_TILE)

    async def tile(self, origin: str, path: str) -> bytes:
        """A tile or entry bundle."""
        return await self._call("GET", f"{_path(origin)}/{path}", limit=_MAX_TILE)

    async def _ask(self, name: str, query: msgspec.Struct, answer: type[Answer]) -> Answer:
        operation = _OPERATIONS[name]
        body = encode(query)

        async def ask() -> bytes:
            headers = {"Content-Type": "application/json"}
            if operation.session:
                headers |= await self._authorization()
            path = f"{PREFIX}/{name}"
            call = self._transport.call if name == "trust_roots" else self._call
            return await call("POST", path, body=body, headers=headers, limit=operation.answer_limit)

        try:
            data = await ask()
        except Unauthenticated:
            if not operation.session:
                raise
            self._session = None
            data = await ask()
        return decode(data, answer, limit=operation.answer_limit)

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

    async def log_in(self) -> m.Session | m.RootSession:
        """The session under way, begun if there is none."""
        async with self._login_lock:
            now = int(time.time())
            if self._session is None or self._session.until <= now + 30:
                self._session = await self._log_in(now)
            return self._session

    async def _authorization(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {(await self.log_in()).token}"}

    async def _log_in(self, now: int) -> m.Session | m.RootSession:
        if self.account is None:
            raise NotPermitted("Nobody is enrolled here yet. Nothing was asked. Enrol first.")
        if isinstance(self.account, RootAccount):
            return await self._log_in_with_root(self.account, now)
        identity, key = self.account.identity, self.account.device
        challenge = await self.challenge(m.LoginRequest(identity=identity, device=key.public.key_id))
        statement = m.LoginStatement(
            hosts=self.account.hosts,
            identity=identity,
            device=key.public.key_id,
            nonce=challenge.nonce,
            minute=now // 60,
        )
        return await self.login(m.Login(statement=sign(labels.LOGIN, statement, key)))

    async def _log_in_with_root(self, account: RootAccount, now: int) -> m.RootSession:
        root = account.root.public.key_id
        challenge = await self.root_challenge(m.RootLoginRequest(root=root))
        statement = m.RootLoginStatement(
            hosts=account.hosts, root=root, nonce=challenge.nonce, minute=now // 60
        )
        return await self.root_login(m.RootLogin(statement=sign(labels.ROOT_LOGIN, statement, account.root)))


def _path(origin: str) -> str:
    """The path of a log on its server: its origin without the host."""
    return urlsplit(f"//{origin}").path
