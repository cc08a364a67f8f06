"""Which logs, keepers and registrars this keeper believes: the trust roots, from the one its operator's card pins on.

The server hands them over; it cannot change them. Verified ones are stored, so a restart needs nobody.
"""

import asyncio

from crypto import trust_root, trust_root_chain
from crypto.checkpoint import CosignerKey, LogKey
from crypto.errors import NotFound, NotPermitted, Unreachable
from crypto.identity_chain import Registrars
from crypto.signing import Envelope
from crypto.statements import RootRef
from crypto.trust_root import Accepted, InstanceCard, TrustRoot
from vault_server.keeper.clock import Clock
from vault_server.keeper.source import Source
from vault_server.keeper.store import Store

# A keeper asked about a trust root it does not know asks the server: once in so many seconds, however often it is wanted.
REFRESH = 1
# Checked keys that are kept ready; anyone can name a log, so there is an end to it.
MAX_KEYS = 4096


class Trust:
    """The verified trust roots, the newest in force."""

    def __init__(self, store: Store, source: Source, card: InstanceCard, clock: Clock) -> None:
        self._store, self._source, self._card, self._clock = store, source, card, clock
        self._believing = asyncio.Lock()
        self._current: Accepted | None = None
        self._roots: dict[bytes, TrustRoot] = {}
        self._signed: tuple[Envelope, ...] = ()
        self._logs: dict[str, LogKey] = {}
        self._cosigners: tuple[CosignerKey, ...] = ()
        self._registrars: Registrars = {}
        self._asked = float("-inf")

    @property
    def known(self) -> bool:
        """Whether there is a trust root yet."""
        return self._current is not None

    @property
    def current(self) -> Accepted:
        """The newest. Raises Unreachable before there is one."""
        if self._current is None:
            raise Unreachable(
                "This keeper has not yet received its trust root. Nothing was done. Try again in a moment."
            )
        return self._current

    @property
    def newest(self) -> TrustRoot:
        """Its body. Raises Unreachable before there is one."""
        return self.current.root

    @property
    def registrars(self) -> Registrars:
        """Who may certify."""
        return self._registrars

    @property
    def cosigners(self) -> tuple[CosignerKey, ...]:
        """The live keepers' cosigning keys: the only ones that count, towards a quorum and for the time."""
        return self._cosigners

    @property
    def signed(self) -> tuple[Envelope, ...]:
        """All that were verified, by version: for whoever has to follow them."""
        return self._signed

    async def load(self) -> None:
        """Believe what was verified in an earlier run, by verifying it again."""
        stored = await self._store.trust_roots()
        if stored:
            self._believe(self._verified(stored), stored)

    async def refresh(self) -> None:
        """Ask the server for newer trust roots. Raises Refusal, keeping what there is, when they do not hold.

        They do not where they put a log in the place of a lost one: what was cosigned here of that would count no more.
        """
        self._asked = self._clock.elapsed()
        # From the first on: who was a keeper before this one is not for whoever made the card to leave out.
        since = 0 if self._current is None else self._current.ref.version
        shown = (await self._source.trust_roots(since)).chain
        async with self._believing:
            chain = [envelope for envelope in shown if envelope.digest not in self._roots]
            if not chain:
                return
            verified = self._verified(chain)
            if self._current is None:
                _check_from_first(verified)
            self._believe(verified, chain)
            versions = [accepted.ref.version for accepted in verified]
            await self._store.add_trust_roots(zip(versions, chain, strict=True))

    def before(self, keeper: bytes) -> TrustRoot | None:
        """The last trust root known here before the first that names the keeper with this key hash; none without one."""
        earlier = None
        for root in self._roots.values():
            if any(named.key_hash == keeper for named in root.keepers):
                return earlier
            earlier = root
        return None

    async def root(self, digest: bytes) -> TrustRoot:
        """The trust root with this digest. Raises NotPermitted when it is none of this service's."""
        if digest not in self._roots and self._clock.elapsed() - self._asked >= REFRESH:
            await self.refresh()
        if digest not in self._roots:
            raise NotPermitted("A statement names a trust root that is not known here. It was not believed.")
        return self._roots[digest]

    async def check_ref(self, ref: RootRef) -> None:
        """Raises NotPermitted unless ``ref`` is one of the trust roots known here, Stale when the newest has expired."""
        trust_root.check_expiry(self.current, self._clock.now())
        if (await self.root(ref.digest)).version != ref.version:
            raise NotPermitted("A statement misnames a trust root. It was not believed.")

    def log_key(self, origin: str) -> LogKey:
        """The key of a log of this service. Raises NotFound for any other origin."""
        key = self._logs.get(origin)
        if key is None:
            try:
                key = self.newest.log_key_of(origin)
            except NotPermitted:
                raise NotFound("This log is unknown here") from None
            if len(self._logs) >= MAX_KEYS:
                self._logs.clear()
            self._logs[origin] = key
        return key

    def _verified(self, chain: list[Envelope]) -> list[Accepted]:
        """Each of ``chain``, which goes on from what is believed, or else leads through the one that the card pins.

        Raises NotPermitted when it does not.
        """
        accepted = self._current
        verified = []
        for envelope in chain:
            accepted = (
                trust_root_chain.first(envelope, card=None)
                if accepted is None
                else trust_root_chain.advance(accepted, [envelope])
            )
            if accepted.root.successors:
                raise NotPermitted(
                    "A new trust root puts a log in the place of one that was lost. This version follows none such. The known trust "
                    "root was kept. Ask the service's operator to complete its logs from the keepers' leaves."
                )
            verified.append(accepted)
        if self._current is None and self._card.root not in [each.ref for each in verified]:
            raise NotPermitted(
                "The server's trust root is not the one on the instance card. Nothing was believed."
            )
        return verified

    def _believe(self, verified: list[Accepted], chain: list[Envelope]) -> None:
        newest = verified[-1]
        self._cosigners = newest.root.cosigners
        self._registrars = newest.root.registrar_keys()
        self._logs = {}
        self._roots |= {accepted.ref.digest: accepted.root for accepted in verified}
        self._signed += tuple(chain)
        self._current = newest


def _check_from_first(verified: list[Accepted]) -> None:
    if verified[0].ref.version != 1:
        raise NotPermitted(
            "The server does not show its trust roots from the first on. Nothing was believed."
        )
