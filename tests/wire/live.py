"""A real server and its keeper as processes, and the people of the contract tests using them over HTTP."""

import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

from crypto import labels
from crypto.signing import sign
from crypto.trust_root import Accepted
from crypto.wire import sessions as s
from tests.contract.vault_story import Person
from tests.support.instance import Instance
from vault_client.http_session import Account
from vault_client.http_transport import HttpTransport
from vault_client.http_vault import HttpVault
from vault_server.directory_client import connected
from vault_server.instance import read_key
from vault_server.settings import Settings


class Live:
    """A running instance, as the contract tests use a service."""

    def __init__(self, instance: Instance, root: Accepted, stack: AsyncExitStack) -> None:
        self.instance, self.root, self._stack = instance, root, stack
        self.registrar = read_key(Settings(data=instance.data).operator_folder / "registrar.key")
        self._vaults: dict[bytes, HttpVault] = {}

    def now(self) -> int:
        """The server's time."""
        return int(time.time())

    async def api(self, person: Person | None = None) -> HttpVault:
        """The operations, as ``person`` (who logs in by itself) or nobody."""
        who = b"" if person is None else person.identity
        if who not in self._vaults:
            vault = HttpVault(await self._stack.enter_async_context(HttpTransport(self.instance.url)))
            if person is not None:
                vault.account = Account(person.identity, person.device, self.root.root.hosts)
            self._vaults[who] = vault
        return self._vaults[who]

    async def token(self, person: Person) -> str:
        """The token of a session of its own."""
        api, device = await self.api(), person.device.public.key_id
        challenge = await api.challenge(s.LoginRequest(identity=person.identity, device=device))
        statement = s.LoginStatement(
            hosts=self.root.root.hosts,
            identity=person.identity,
            device=device,
            nonce=challenge.nonce,
            minute=self.now() // 60,
        )
        return (await api.login(s.Login(statement=sign(labels.LOGIN, statement, person.device)))).token


@asynccontextmanager
async def live(instance: Instance) -> AsyncIterator[Live]:
    """``instance``, believed by its card."""
    async with AsyncExitStack() as stack:
        async with connected(instance.card) as directory:
            accepted = directory.accepted
        yield Live(instance, accepted, stack)
