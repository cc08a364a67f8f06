"""Records: founding a vault, lengthening its chain, and showing it to its holders.

The rule book is ``crypto.vault_chain``; here it is given the rows that a link names, and what it says is written in
one transaction with the leaves of the link, of each grant event and of each end.
"""

import asyncio
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import TypeVar

import msgspec

from crypto import access_log as entries
from crypto import pieces, vault_chain
from crypto.access_log import Disclosure
from crypto.encoding import decode
from crypto.errors import Conflict, NotFound, NotPermitted, TooMany
from crypto.identity_chain import Known
from crypto.signing import Envelope
from crypto.statements import IdentityRef, View
from crypto.vault_chain import Changes, VaultView
from crypto.vault_links import (
    AddVersion,
    Block,
    End,
    Genesis,
    Grant,
    Mask,
    Rotate,
    Tombstone,
    VaultLink,
    vault_id,
)
from crypto.wire import messages as m
from vault_server import submissions
from vault_server.access_log import AccessLog
from vault_server.grant_events import GrantEvents
from vault_server.identities import Identities
from vault_server.instance import Instance
from vault_server.settings import Settings
from vault_server.store import grants as grant_rows
from vault_server.store import identities as identity_rows
from vault_server.store import leaves as leaf_rows
from vault_server.store import uploads as upload_rows
from vault_server.store import vaults as rows
from vault_server.store.ciphertext import CiphertextStore
from vault_server.store.database import Statements, Transaction, Writer
from vault_server.store.rows import envelope as read_envelope
from vault_server.store.vaults import VaultRow
from vault_server.vault_entries import EntryChain

LINKS = 500
LINK_BYTES = 1 << 22
OPENINGS = 1000
OPENING_BYTES = 1 << 23

Row = TypeVar("Row")


class Records:
    """Every vault of this server, for its holders."""

    def __init__(
        self,
        settings: Settings,
        instance: Instance,
        reader: Statements,
        writer: Writer,
        log: AccessLog,
        identities: Identities,
        store: CiphertextStore,
    ) -> None:
        self._settings = settings
        self._instance = instance
        self._reader = reader
        self._writer = writer
        self._log = log
        self._identities = identities
        self._store = store
        self._events = GrantEvents(instance, log, identities)

    async def check_holder(self, identity: bytes, vault: bytes) -> None:
        """Raises NotFound unless ``identity`` holds ``vault``: a stranger is not told whether there is one."""
        if not await rows.is_holder(self._reader, identity, vault):
            raise NotFound("A record")

    async def reserve(self, identity: bytes) -> m.Reservation:
        """A place in a log; the same one until it is used. Raises TooMany."""
        if len(await rows.vaults_of(self._reader, identity)) >= self._settings.limits.vaults_an_account:
            raise TooMany("This account holds as many records as one may. Nothing was reserved.")
        while True:
            shard = self._log.shards[-1].shard or 0 if self._log.shards else 0
            origin = self._instance.log_origin(shard)
            await self._log.open_log(origin, shard)
            place = await self._writer.run(lambda transaction: self._take(transaction, identity, origin))  # noqa: B023
            if place is not None:
                return m.Reservation(origin=place[0], slot=place[1])
            await self._log.open_log(self._instance.log_origin(shard + 1), shard + 1)

    async def create(self, identity: bytes, query: m.LinkSubmission, now: int) -> m.LinkAccepted:
        """Found a vault in the place reserved for it."""
        envelope = query.envelope
        submissions.check_size(envelope)
        genesis = decode(envelope.body, Genesis)
        if identity not in genesis.holders:
            raise NotPermitted("A record can be founded only by one of its holders. Nothing was founded.")
        vault = vault_id(envelope.body)
        if await rows.is_holder(self._reader, identity, vault):
            return await self._again(vault, genesis.origin, 0, envelope)
        if query.tags or query.events:
            raise NotPermitted("A founding statement came with grants. Nothing was founded.")
        scan_key = submissions.scan_key(query, genesis.keyring)
        parts = submissions.named_parts([genesis.keyring], query.parts)
        await self._log.check_view(genesis.view, self._origin(genesis.origin), now)
        changes = vault_chain.found(envelope, await self._known(genesis.signers, genesis.view))

        async def job(transaction: Transaction) -> Disclosure:
            if not await rows.use_reservation(transaction, identity, genesis.origin, genesis.slot):
                raise NotPermitted(
                    "A record names a place in a log that is not reserved for it. Nothing was founded. Reserve one."
                )
            vault_row = VaultRow(head=changes.head, scan_key=scan_key, last=entries.FIRST)
            chain = EntryChain(self._log, transaction, vault_row, now)
            shown = await chain.add(envelope, "accepted")
            if not await rows.add_vault(transaction, msgspec.structs.replace(vault_row, last=chain.last)):
                raise Conflict("This record is there already. Nothing was founded.")
            await rows.add_link(transaction, vault, 0, envelope)
            await rows.add_link_leaf(transaction, vault, 0, 0, shown)
            await identity_rows.add_parts(transaction, vault, parts.items())
            return shown

        shown = await self._writer.run(job)
        return m.LinkAccepted(logged=(await self._log.receipt(genesis.origin, shown),))

    async def append(self, identity: bytes, query: m.LinkSubmission, now: int) -> m.LinkAccepted:
        """Append a link with everything in it, or nothing. Raises Conflict when the vault has moved."""
        envelope = query.envelope
        submissions.check_size(envelope)
        link = decode(envelope.body, VaultLink)
        await self.check_holder(identity, link.vault)
        present = await self._vault(self._reader, link.vault)
        origin = present.head.origin
        if link.n <= present.head.n:
            return await self._again(link.vault, origin, link.n, envelope)
        await self._log.check_view(link.view, origin, now)
        signers = await self._known(link.signers, link.view)
        parts = submissions.named_parts(link.operations, query.parts)
        rotations = [step for step in link.operations if isinstance(step, Rotate)]
        scan_key = submissions.scan_key(query, *rotations)
        leaves = submissions.leaf_operations(link.operations, query)
        prepared = await self._events.prepare(present.head, query.events, now)

        async def job(transaction: Transaction) -> tuple[list[Disclosure], list[bytes]]:
            before = await self._vault(transaction, link.vault)
            if (link.n, link.prev) != (before.head.n + 1, before.head.link):
                raise _moved()
            view = await rows.view(
                transaction,
                before.head,
                [step.doc for step in link.operations if isinstance(step, AddVersion | Tombstone | Mask)],
                [step.gid for step in link.operations if isinstance(step, Grant | End)],
                [step.identity for step in link.operations if isinstance(step, Block)]
                + [step.recipient for step in link.operations if isinstance(step, Grant)],
            )
            changes = vault_chain.follow(view, envelope, signers)
            await self._check_uploads(transaction, link)
            await rows.write(transaction, view, changes)
            await identity_rows.add_parts(transaction, link.vault, parts.items())
            erased = await self._erase(transaction, link)
            # Everything this link writes is found under the keys from before it; the new ones count from the next.
            chain = EntryChain(self._log, transaction, before, now)
            shown = [await chain.add(envelope, "accepted")]
            await self._write_grants(transaction, view, changes)
            events = iter(prepared)
            for step, tag in leaves:
                if isinstance(step, Grant):
                    event = next(events)
                    await self._events.write(transaction, before.head, changes.head, step, event)
                    shown.append(await chain.add(event.sent.envelope, "accepted", tag))
                else:
                    ended = changes.grants[step.gid]
                    await grant_rows.deliver(transaction, ended.recipient, step.gid, None)
                    shown.append(await chain.add(envelope, "accepted", tag))
            after = VaultRow(head=changes.head, scan_key=scan_key or before.scan_key, last=chain.last)
            if not await rows.move_vault(transaction, before.head.link, after):
                raise _moved()
            await rows.add_link(transaction, link.vault, link.n, envelope)
            for place, each in enumerate(shown):
                await rows.add_link_leaf(transaction, link.vault, link.n, place, each)
            return shown, erased

        shown, erased = await self._writer.run(job)
        for ver in erased:
            with suppress(OSError):  # what is left, the daily sweep takes: no row names it any more
                await asyncio.to_thread(self._store.delete, link.vault, ver)
        return await self._accepted(origin, shown)

    async def links(self, identity: bytes, query: m.LinkQuery) -> m.Links:
        """A page of links."""
        await self.check_holder(identity, query.vault)
        found = await rows.links(self._reader, query.vault, query.since, LINKS + 1)
        kept = _page(found, LINKS, LINK_BYTES, len)
        return m.Links(links=tuple(map(read_envelope, kept)), more=len(kept) < len(found))

    async def openings(self, identity: bytes, query: m.OpeningQuery) -> m.Openings:
        """A page of sealed openings."""
        await self.check_holder(identity, query.vault)
        found = await rows.openings(self._reader, query.vault, query.since, OPENINGS + 1)
        kept = _page(found, OPENINGS, OPENING_BYTES, lambda row: len(row[2]))
        shown = tuple(m.SealedOpening(index=index, epoch=epoch, box=box) for index, epoch, box in kept)
        return m.Openings(openings=shown, more=len(kept) < len(found))

    async def parts(self, owner: bytes, hashes: Sequence[bytes]) -> m.PartAnswer:
        """Erasable parts of a vault or identity whose owner asks."""
        found = await identity_rows.parts(self._reader, owner, hashes)
        return m.PartAnswer(parts=tuple(found.get(name) for name in hashes))

    async def are_fellows(self, one: bytes, other: bytes) -> bool:
        """Whether two identities hold a vault together."""
        held = await rows.vaults_of(self._reader, one)
        return bool(held) and not held.isdisjoint(await rows.vaults_of(self._reader, other))

    async def _take(self, transaction: Transaction, identity: bytes, origin: str) -> tuple[str, int] | None:
        place = await rows.reservation(transaction, identity)
        if place is not None:
            return place
        slot = await leaf_rows.take_slot(transaction, origin, self._settings.shard_vaults)
        if slot is None:
            return None
        await rows.reserve(transaction, identity, origin, slot)
        return origin, slot

    async def _again(self, vault: bytes, origin: str, n: int, envelope: Envelope) -> m.LinkAccepted:
        """The proof of a link that is there already; Conflict when another has its number."""
        if await rows.link(self._reader, vault, n) != envelope:
            raise _moved()
        return await self._accepted(origin, await rows.link_leaves(self._reader, vault, n))

    async def _accepted(self, origin: str, shown: Sequence[Disclosure]) -> m.LinkAccepted:
        return m.LinkAccepted(logged=tuple([await self._log.receipt(origin, each) for each in shown]))

    async def _vault(self, db: Statements, vault: bytes) -> VaultRow:
        row = await rows.vault(db, vault)
        if row is None:
            raise NotFound("A record")
        return row

    async def _known(self, refs: Sequence[IdentityRef], view: View) -> list[Known]:
        return [await self._identities.known_at(ref.identity, view.dir.size) for ref in refs]

    async def _check_uploads(self, transaction: Transaction, link: VaultLink) -> None:
        for step in link.operations:
            if not isinstance(step, AddVersion):
                continue
            upload = await upload_rows.upload(transaction, link.vault, step.ver)
            hashes = await upload_rows.parts(transaction, link.vault, step.ver)
            if upload is None or upload.length != step.length or upload.committed:
                raise NotPermitted(
                    "A version's ciphertext has not arrived, or is another's. Nothing was added."
                )
            if len(hashes) != pieces.part_count(step.length):
                raise NotPermitted(
                    "Parts of a version's ciphertext are missing. Nothing was added. Send them first."
                )
            if pieces.root_from_parts(list(hashes.values()), step.length) != step.ct_root:
                raise NotPermitted(
                    "A version's ciphertext is not the one that was signed. Nothing was added."
                )
            await upload_rows.commit(transaction, link.vault, step.ver)

    async def _erase(self, transaction: Transaction, link: VaultLink) -> list[bytes]:
        """Destroy what a deleted document leaves behind; returns the versions whose files go too."""
        erased = []
        for step in link.operations:
            if isinstance(step, Tombstone):
                document = await rows.document(transaction, link.vault, step.doc)
                for version in () if document is None else document.versions:
                    hashes = (version.self_wrap, version.descriptor)
                    await identity_rows.erase_parts(transaction, link.vault, hashes)
                    await upload_rows.forget(transaction, link.vault, version.ver)
                    erased.append(version.ver)
        return erased

    async def _write_grants(self, transaction: Transaction, view: VaultView, changes: Changes) -> None:
        for entry in changes.grants.values():
            if not await grant_rows.put_grant(transaction, view.head.vault, entry):
                raise NotPermitted("A grant's id is taken. Nothing was granted. Choose a random one.")

    def _origin(self, origin: str) -> str:
        if origin not in {log.origin for log in self._log.shards}:
            raise NotPermitted("A record names a log that is not of this server. Nothing was founded.")
        return origin


def _page(found: Sequence[Row], most: int, most_bytes: int, size: Callable[[Row], int]) -> Sequence[Row]:
    """The beginning of ``found`` that fits one answer: at least one."""
    total = 0
    for count, row in enumerate(found[:most]):
        total += size(row)
        if total > most_bytes and count:
            return found[:count]
    return found[:most]


def _moved() -> Conflict:
    return Conflict(
        "The record has moved: another link came first. Nothing was changed. Fetch it and sign again."
    )
