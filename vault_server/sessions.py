"""Sessions: a device signs a fresh nonce and gets a token for an hour.

Only the hash of a token is kept. A session ends with its device: every use asks the newest link of the identity.
"""

import base64
import hashlib
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass

from crypto import labels
from crypto.encoding import decode
from crypto.errors import NotFound, Refusal, Unauthenticated
from crypto.secret_bytes import SecretBytes
from crypto.signing import VerifyKey, verify
from crypto.wire.messages import Challenge, Login, LoginRequest, LoginStatement, Session
from vault_server.identities import Identities
from vault_server.store import identities as rows
from vault_server.store.database import Statements, Transaction, Writer

CHALLENGE_SECONDS = 120
SESSION_SECONDS = 3600
MINUTES_APART = 2
REMEMBERED = 65536


@dataclass(frozen=True)
class Account:
    """Whose session it is."""

    identity: bytes
    device: bytes
    until: int


class Sessions:
    """Nonces given out, and sessions under way."""

    def __init__(
        self,
        hosts: tuple[str, ...],
        identities: Identities,
        reader: Statements,
        writer: Writer,
        clock: Callable[[], float],
    ) -> None:
        self._hosts = hosts
        self._identities = identities
        self._reader = reader
        self._writer = writer
        self._clock = clock
        self._nonces: OrderedDict[bytes, tuple[LoginRequest, float]] = OrderedDict()
        self._accounts: OrderedDict[bytes, Account] = OrderedDict()

    def challenge(self, query: LoginRequest) -> Challenge:
        """A single-use nonce, whether or not there is such a device."""
        now = self._clock()
        while self._nonces and (
            len(self._nonces) >= REMEMBERED or next(iter(self._nonces.values()))[1] < now
        ):
            self._nonces.popitem(last=False)
        nonce = SecretBytes.random().reveal()
        self._nonces[nonce] = (query, now + CHALLENGE_SECONDS)
        return Challenge(nonce=nonce)

    async def login(self, query: Login) -> Session:
        """A session. Raises Unauthenticated, the same for every cause."""
        statement = decode(query.statement.body, LoginStatement)
        now = self._clock()
        asked, until = self._nonces.pop(statement.nonce, (None, 0.0))
        device = await self._live_device(statement.identity, statement.device)
        fits = (
            asked == LoginRequest(identity=statement.identity, device=statement.device)
            and now < until
            and statement.hosts == self._hosts
            and abs(statement.minute - int(now) // 60) <= MINUTES_APART
            and query.statement.signers == (statement.device,)
        )
        try:
            verify(query.statement, labels.LOGIN, {} if device is None else {statement.device: device})
        except Refusal:
            fits = False
        if not fits:
            raise Unauthenticated(
                "Nobody was logged in: the statement is not signed by a live device over a fresh nonce of this "
                "service. Check the clock and try again."
            )
        return await self._begin(statement, int(now) + SESSION_SECONDS)

    async def authenticate(self, token: str) -> Account:
        """Whose token it is. Raises Unauthenticated when it has ended, is unknown, or its device is gone."""
        name, now = _name(token), self._clock()
        account = self._accounts.get(name)
        if account is None:
            stored = await rows.session(self._reader, name)
            account = None if stored is None else Account(*stored)
        if account is not None and now < account.until:
            self._remember(name, account)
            if await self._live_device(account.identity, account.device) is not None:
                return account
        self._accounts.pop(name, None)
        raise Unauthenticated("This session has ended. Nothing was done. Log in again.")

    async def _begin(self, statement: LoginStatement, until: int) -> Session:
        token = base64.urlsafe_b64encode(SecretBytes.random().reveal()).rstrip(b"=").decode()
        name = _name(token)

        async def job(transaction: Transaction) -> None:
            await rows.add_session(transaction, name, statement.identity, statement.device, until)

        await self._writer.run(job)
        self._remember(name, Account(statement.identity, statement.device, until))
        return Session(token=token, until=until)

    def _remember(self, name: bytes, account: Account) -> None:
        self._accounts[name] = account
        self._accounts.move_to_end(name)
        while len(self._accounts) > REMEMBERED:
            self._accounts.popitem(last=False)

    async def _live_device(self, identity: bytes, device: bytes) -> VerifyKey | None:
        try:
            state = await self._identities.newest(identity)
        except NotFound:
            return None
        live = state.devices.get(device)
        return None if live is None else VerifyKey(live.signing)


def _name(token: str) -> bytes:
    return hashlib.sha256(token.encode()).digest()
