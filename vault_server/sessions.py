"""Sessions: a device signs a fresh nonce and gets a token for an hour; an identity's root gets one for less.

Only the hash of a token is kept. A session ends with its key: every use asks the newest link of the identity. What a
root's session may ask for is ``vault``'s to say.
"""

import base64
import hashlib
from collections.abc import Callable
from dataclasses import dataclass, replace

from crypto import labels
from crypto.durations import HOUR
from crypto.encoding import decode
from crypto.errors import NotFound, Refusal, Unauthenticated
from crypto.identity_state import IdentityState
from crypto.secret_bytes import SecretBytes
from crypto.signing import Envelope, VerifyKey, key_id, verify
from crypto.wire.sessions import (
    Challenge,
    Login,
    LoginRequest,
    LoginStatement,
    RootLogin,
    RootLoginRequest,
    RootLoginStatement,
    RootSession,
    Session,
)
from vault_server.challenges import Challenges
from vault_server.identities import Identities
from vault_server.recent import Recent
from vault_server.second_gate import SecondGate
from vault_server.store import identities as rows
from vault_server.store.database import Statements, Transaction, Writer

SESSION_SECONDS = HOUR
ROOT_SESSION_SECONDS = 900
MINUTES_APART = 2
REMEMBERED = 65536


@dataclass(frozen=True)
class Account:
    """Whose session it is. ``device``: the id of the key that logged in; ``by_root``: it is the identity's root.

    ``is_held``: nothing may be done in it before a passkey is shown.
    """

    session: bytes
    identity: bytes
    device: bytes
    until: int
    by_root: bool = False
    is_held: bool = False


class Sessions:
    """Nonces given out, and sessions under way."""

    def __init__(
        self,
        hosts: tuple[str, ...],
        identities: Identities,
        gate: SecondGate,
        reader: Statements,
        writer: Writer,
        clock: Callable[[], float],
    ) -> None:
        self._hosts = hosts
        self._identities = identities
        self._gate = gate
        self._reader = reader
        self._writer = writer
        self._clock = clock
        self._nonces = Challenges[bytes, LoginRequest | RootLoginRequest](clock)
        self._accounts = Recent[bytes, Account](REMEMBERED)

    def challenge(self, query: LoginRequest | RootLoginRequest) -> Challenge:
        """A single-use nonce, whether or not there is such a key."""
        nonce = SecretBytes.random().reveal()
        self._nonces.give(nonce, query)
        return Challenge(nonce=nonce)

    async def login(self, query: Login) -> Session:
        """A session. Raises Unauthenticated, the same for every cause."""
        statement = decode(query.statement.body, LoginStatement)
        device = await self._live_device(statement.identity, statement.device)
        asked = LoginRequest(identity=statement.identity, device=statement.device)
        try:
            self._check(query.statement, labels.LOGIN, statement, asked, device)
        except Refusal:
            raise Unauthenticated(
                "Nobody was logged in: the statement is not signed by a live device over a fresh nonce of this "
                "service. Check the clock and try again."
            ) from None
        ends = int(self._clock()) + SESSION_SECONDS
        return Session(token=await self._begin(statement.identity, statement.device, ends), until=ends)

    async def root_login(self, query: RootLogin) -> RootSession:
        """A session for the identity whose root signed. Raises Unauthenticated, the same for every cause."""
        statement = decode(query.statement.body, RootLoginStatement)
        identity = await rows.of_root(self._reader, statement.root)
        root = _root_of(None if identity is None else await self._newest(identity), statement.root)
        try:
            self._check(
                query.statement, labels.ROOT_LOGIN, statement, RootLoginRequest(root=statement.root), root
            )
            if identity is None:
                raise NotFound
        except Refusal:
            raise Unauthenticated(
                "Nobody was logged in: the statement is not signed by the kit in force of an identity of this service, "
                "over a fresh nonce. Check the kit and the clock, and try again."
            ) from None
        ends = int(self._clock()) + ROOT_SESSION_SECONDS
        token = await self._begin(identity, statement.root, ends)
        return RootSession(token=token, until=ends, identity=identity)

    async def authenticate(self, token: str) -> Account:
        """Whose token it is. Raises Unauthenticated when it has ended, is unknown, or its key is gone."""
        name, now = _name(token), self._clock()
        account = self._accounts.get(name)
        if account is None:
            stored = await rows.session(self._reader, name)
            account = None if stored is None else Account(name, *stored)
        if account is not None and now < account.until:
            self._accounts[name] = account
            if await self.is_live(account):
                return replace(account, is_held=await self._gate.is_held(name, account.identity))
            if _root_of(
                await self._newest(account.identity), account.device
            ):  # the second gate itself: it is never held
                return replace(account, by_root=True)
        self._accounts.pop(name, None)
        raise Unauthenticated("This session has ended. Nothing was done. Log in again.")

    async def is_live(self, account: Account) -> bool:
        """Whether the device that began a session is one of its identity's still."""
        state = await self._newest(account.identity)
        return state is not None and account.device in state.devices

    def _check(
        self,
        envelope: Envelope,
        label: str,
        statement: LoginStatement | RootLoginStatement,
        asked: LoginRequest | RootLoginRequest,
        keys: dict[bytes, VerifyKey],
    ) -> None:
        """Raises a Refusal unless ``keys`` signed the statement, and nobody else, of this service and moment."""
        is_fresh = self._nonces.take(statement.nonce) == asked
        verify(envelope, label, keys)
        is_of_now = abs(statement.minute - int(self._clock()) // 60) <= MINUTES_APART
        if not (is_fresh and is_of_now and statement.hosts == self._hosts and envelope.signers == (*keys,)):
            raise Unauthenticated  # each caller says it in its own words

    async def _begin(self, identity: bytes, key: bytes, until: int) -> str:
        token = base64.urlsafe_b64encode(SecretBytes.random().reveal()).rstrip(b"=").decode()
        name = _name(token)

        async def job(transaction: Transaction) -> None:
            await rows.add_session(transaction, name, identity, key, until)

        await self._writer.run(job)
        self._accounts[name] = Account(name, identity, key, until)
        return token

    async def _live_device(self, identity: bytes, device: bytes) -> dict[bytes, VerifyKey]:
        """The key of a device by its id, if it is live; else nothing."""
        state = await self._newest(identity)
        live = None if state is None else state.devices.get(device)
        return {} if live is None else {device: VerifyKey(live.signing)}

    async def _newest(self, identity: bytes) -> IdentityState | None:
        try:
            return await self._identities.newest(identity)
        except NotFound:
            return None


def _root_of(state: IdentityState | None, name: bytes) -> dict[bytes, VerifyKey]:
    """The root of ``state`` by its id, if that is ``name``; else nothing."""
    return {} if state is None or key_id(state.root) != name else {name: VerifyKey(state.root)}


def _name(token: str) -> bytes:
    return hashlib.sha256(token.encode()).digest()
