"""The keys of those who read, for one audit: shown by the server, vouched for by the keepers.

A reader's chain is the reader's own work, and the server's to show: neither may end the audit of everybody else's readings.
So a failure is of this reader, unless the service as a whole does not answer.
"""

from crypto.errors import Refusal, TooMany, Unavailable
from crypto.identity_chain import Known
from crypto.statements import Head
from crypto.wire.messages import IdentityQuery, ShownChain
from vault_client.service import Service

_TRIES = 2


class ReaderKeys:
    """What is known of readers; each is asked for once."""

    def __init__(self, service: Service) -> None:
        self._service = service
        self._chains: dict[bytes, ShownChain | None] = {}

    async def known(self, identity: bytes, at: Head) -> Known | None:
        """A reader as they stood at ``at`` of the directory; None when no keys are shown that hold and are theirs.

        Raises TooMany or Unavailable when the service answers nothing else either: then ask again later.
        """
        shown = await self.shown(identity)
        if shown is None:
            return None
        try:
            known = self._service.believe_chain(shown, at)
        except Refusal:
            return None
        return known if known.ref.identity == identity else None

    async def shown(self, identity: bytes) -> ShownChain | None:
        """What is shown of a reader, of which nothing is believed yet. Raises as ``known``."""
        if identity not in self._chains:
            self._chains[identity] = await self._shown(identity)
        return self._chains[identity]

    async def _shown(self, identity: bytes) -> ShownChain | None:
        for _ in range(_TRIES):
            try:
                chain = await self._service.api.identity_chain(IdentityQuery(identity=identity))
                return await self._service.prove_chain(chain)
            except (TooMany, Unavailable):
                await self._service.check_answering()  # else it is no matter of this reader
            except Refusal:
                return None
        return None
