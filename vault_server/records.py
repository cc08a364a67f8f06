"""Records, as they are shown to their holders."""

from collections.abc import Callable, Sequence
from typing import TypeVar

from crypto.errors import NotFound, TooLarge
from crypto.wire import messages as m
from vault_server.store import grants as grant_rows
from vault_server.store import identities as identity_rows
from vault_server.store import vaults as rows
from vault_server.store.database import Statements
from vault_server.store.rows import envelope

LINKS = 500
LINK_BYTES = 1 << 22
OPENINGS = 1000
OPENING_BYTES = 1 << 23
PART_BYTES = 1 << 25

Row = TypeVar("Row")


class Records:
    """Every vault of this server, for its holders."""

    def __init__(self, reader: Statements) -> None:
        self._reader = reader

    async def check_holder(self, identity: bytes, vault: bytes) -> None:
        """Raises NotFound unless ``identity`` holds ``vault``: a stranger is not told whether there is one."""
        if not await rows.is_holder(self._reader, identity, vault):
            raise NotFound("A record")

    async def links(self, identity: bytes, query: m.LinkQuery) -> m.Links:
        """A page of links."""
        await self.check_holder(identity, query.vault)
        found = await rows.links(self._reader, query.vault, query.since, LINKS + 1)
        kept = _page(found, LINKS, LINK_BYTES, len)
        return m.Links(links=tuple(map(envelope, kept)), more=len(kept) < len(found))

    async def held(self, identity: bytes) -> m.HeldVaults:
        """The vaults that ``identity`` holds."""
        return m.HeldVaults(vaults=tuple(sorted(await rows.vaults_of(self._reader, identity))))

    async def grant_event(self, identity: bytes, query: m.GrantEventQuery) -> m.StoredEvent:
        """An event of a grant of a vault that ``identity`` holds. Raises NotFound."""
        await self.check_holder(identity, query.vault)
        grant = await grant_rows.grant(self._reader, query.gid)
        if grant is None or grant.vault != query.vault or query.j > grant.entry.j:
            raise NotFound("A grant's event")
        newest = query.j == grant.entry.j
        blobs = await grant_rows.policies(self._reader, query.gid) if newest else ()
        sent = await grant_rows.sent_event(self._reader, query.gid, query.j)
        if sent is None:
            raise NotFound("A grant's event")
        return m.StoredEvent(envelope=sent[0], rows=sent[1], blobs=blobs)

    async def openings(self, identity: bytes, query: m.OpeningQuery) -> m.Openings:
        """A page of sealed openings."""
        await self.check_holder(identity, query.vault)
        found = await rows.openings(self._reader, query.vault, query.since, OPENINGS + 1)
        kept = _page(found, OPENINGS, OPENING_BYTES, lambda row: len(row[2]))
        shown = tuple(m.SealedOpening(index=index, epoch=epoch, box=box) for index, epoch, box in kept)
        return m.Openings(openings=shown, more=len(kept) < len(found))

    async def parts(self, owner: bytes, hashes: Sequence[bytes]) -> m.PartAnswer:
        """Erasable parts of a vault or identity whose owner asks. Raises TooLarge for more than one answer holds."""
        sizes = await identity_rows.part_sizes(self._reader, owner, hashes)
        if sum(sizes.get(name, 0) for name in hashes) > PART_BYTES:
            raise TooLarge(
                f"Parts of more than {PART_BYTES} bytes were asked for. None was sent. Ask for fewer."
            )
        found = await identity_rows.parts(self._reader, owner, hashes)
        return m.PartAnswer(parts=tuple(found.get(name) for name in hashes))

    async def may_know(self, one: bytes, other: bytes) -> bool:
        """Whether two identities hold a vault together, or ``other`` holds one of which ``one`` has a grant in force."""
        held = await rows.vaults_of(self._reader, other)
        if not held.isdisjoint(await rows.vaults_of(self._reader, one)):
            return True
        return bool(held) and await grant_rows.has_grant_of(self._reader, one, held)


def _page(found: Sequence[Row], most: int, most_bytes: int, size: Callable[[Row], int]) -> Sequence[Row]:
    """The beginning of ``found`` that fits one answer: at least one."""
    total = 0
    for count, row in enumerate(found[:most]):
        total += size(row)
        if total > most_bytes and count:
            return found[:count]
    return found[:most]
