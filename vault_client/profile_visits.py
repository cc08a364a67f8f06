"""A profile that is opened for one look after the other, so that other programs can use it in between.

What is believed lies in the profile alone, and is read anew at each visit. In memory stay the key that opens it, the
session with the server, and one connection, over which the server tells that there is something to fetch. Nobody's turn
with the profile is taken while the server is silent.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from types import TracebackType
from typing import Final, Generic, Self, TypeVar

from crypto.errors import Conflict, Refusal
from crypto.wire.messages import TrustRootQuery
from vault_client.device_store import DeviceStore
from vault_client.http_transport import HttpTransport
from vault_client.http_vault import HttpVault
from vault_client.open_profile import login_explained
from vault_client.patient import Patient
from vault_client.practitioner import Practitioner

Owner = TypeVar("Owner", Patient, Practitioner)

# Seconds for which another program may have the profile before that is said, and after which it is tried again.
PATIENCE: Final = 60
AGAIN: Final = 0.2


class ProfileVisits(Generic[Owner]):
    """Visits to the profile of ``owner``, who is closed with ``store`` by now. An async context manager."""

    def __init__(self, owner: Owner, store: DeviceStore, folder: Path) -> None:
        self._open: Callable[[DeviceStore, Path], Awaitable[Owner]] = type(owner).resume
        self._store = store
        self._folder = folder
        self._version = owner.service.accepted.ref.version
        self.api = HttpVault(HttpTransport(owner.service.record.url))
        """What notices are listened to with: it logs nobody in, and goes on with the session of the last visit."""

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.api.close()

    @asynccontextmanager
    async def visit(self) -> AsyncIterator[tuple[Owner, DeviceStore]]:
        """The owner of the profile as it is now. Raises what stands in the way: Conflict while another program has it."""
        # Nothing else is asked of a server that has not shown its trust root (``Service``); this answer is not believed.
        with suppress(Refusal):
            await self.api.trust_roots(TrustRootQuery(since=self._version))
        self._store = await self._reopened()
        async with (
            await self._open(self._store, self._folder) as owner,
            login_explained(owner.service, owner.own),
        ):
            owner.service.go_on(self.api.session)
            try:
                yield owner, self._store
            finally:
                self.api.go_on(owner.service.session)

    async def _reopened(self) -> DeviceStore:
        clock = asyncio.get_running_loop().time
        until = clock() + PATIENCE
        while True:
            try:
                return self._store.reopened()
            except Conflict:
                if clock() >= until:
                    raise
            await asyncio.sleep(AGAIN)
