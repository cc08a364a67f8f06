"""Founding a vault, and lengthening its chain.

The rule book is ``crypto.vault_chain``; here it is given the rows that a link names, and what it says is written in
one transaction with the leaves of the link, of each grant event and of each end.
"""

import asyncio
import dataclasses
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass

import msgspec

from crypto import access_log as entries
from crypto import vault_chain
from crypto.access_log import Disclosure
from crypto.encoding import decode
from crypto.errors import Conflict, NotPermitted, TooMany
from crypto.identity_chain import Known
from crypto.signing import Envelope
from crypto.statements import Head, IdentityRef
from crypto.vault_chain import Changes, VaultHead
from crypto.vault_links import AddVersion, End, Genesis, Grant, Rotate, Tombstone, VaultLink, vault_id
from crypto.wire import messages as m
from vault_server import lost_bodies, submissions, uploads
from vault_server.access_log import AccessLog
from vault_server.grant_events import GrantEvents, PreparedEvent
from vault_server.identities import Identities
from vault_server.instance import Instance
from vault_server.records import Records
from vault_server.settings import Settings
from vault_server.store import grants as grant_rows
from vault_server.store import identities as identity_rows
from vault_server.store import leaves as leaf_rows
from vault_server.store import uploads as upload_rows
from vault_server.store import vaults as rows
from vault_server.store.ciphertext import CiphertextStore
from vault_server.store.database import Statements, Transaction, Writer
from vault_server.store.vaults import VaultRow
from vault_server.vault_entries import EntryChain


@dataclass(frozen=True)
class PreparedLink:
    """A link of which all is checked that does not depend on what came before it."""

    head: VaultHead
    envelope: Envelope
    link: VaultLink
    signers: tuple[Known, ...]
    later: tuple[Known, ...]
    scan_key: bytes
    parts: dict[bytes, bytes]
    leaves: tuple[tuple[Grant | End, bytes], ...]
    events: tuple[PreparedEvent, ...]
    now: int


class RecordChains:
    """The chains of every vault of this server."""

    def __init__(
        self,
        settings: Settings,
        instance: Instance,
        reader: Statements,
        writer: Writer,
        log: AccessLog,
        identities: Identities,
        records: Records,
        events: GrantEvents,
        store: CiphertextStore,
    ) -> None:
        self._settings = settings
        self._instance = instance
        self._reader = reader
        self._writer = writer
        self._log = log
        self._identities = identities
        self._records = records
        self._store = store
        self._events = events

    async def reserve(self, identity: bytes) -> m.Reservation:
        """A place in a log; the same one until it is used. Raises TooMany."""
        if len(await rows.vaults_of(self._reader, identity)) >= self._settings.limits.vaults_an_account:
            raise TooMany("This account holds as many records as one may. Nothing was reserved.")
        while True:
            shard = self._log.newest_shard
            origin = self._instance.root.log_origin(shard)
            await self._log.open_log(origin, shard)
            place = await self._writer.run(lambda transaction: self._take(transaction, identity, origin))  # noqa: B023
            if place is not None:
                return m.Reservation(origin=place[0], slot=place[1])
            await self._log.open_log(self._instance.root.log_origin(shard + 1), shard + 1)

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
        changes = vault_chain.found(envelope, await self._known(genesis.signers, genesis.view.dir))

        async def job(transaction: Transaction) -> Disclosure:
            if not await rows.use_reservation(transaction, identity, genesis.origin, genesis.slot):
                if await leaf_rows.is_closed(transaction, genesis.origin, self._settings.shard_vaults):
                    raise Conflict(
                        "This log has all the records it takes. Nothing was founded. Reserve a place, which is in another."
                    )
                raise NotPermitted(
                    "A record names a place in a log that is not reserved for it. Nothing was founded. Reserve one."
                )
            vault_row = VaultRow(head=changes.head, scan_key=scan_key, last=entries.FIRST)
            chain = EntryChain(self._log, transaction, vault_row, now)
            shown = await chain.add(envelope, "accepted")
            if not await rows.add_vault(transaction, msgspec.structs.replace(vault_row, last=chain.last)):
                raise Conflict("This record is there already. Nothing was founded.")
            await rows.add_link(transaction, vault, 0, envelope, [shown])
            await identity_rows.add_parts(transaction, vault, parts.items())
            return shown

        return await self._accepted(genesis.origin, [await self._writer.run(job)])

    async def append(self, identity: bytes, query: m.LinkSubmission, now: int) -> m.LinkAccepted:
        """Append a link with everything in it, or nothing. Raises Conflict when the vault has moved, Lacking where it may have."""
        envelope = query.envelope
        submissions.check_size(envelope)
        link = decode(envelope.body, VaultLink)
        await self._records.check_holder(identity, link.vault)
        before = await rows.vault(self._reader, link.vault)
        head = before.head
        if link.n <= head.n:
            return await self._again(link.vault, head.origin, link.n, envelope)
        await lost_bodies.check_whole(self._reader, before)
        ready = await self._prepare(head, link, query, now)
        shown, erased = await self._writer.run(lambda transaction: self._follow(transaction, ready))
        for ver in erased:
            with suppress(OSError):  # what is left, the daily sweep takes: no row names it any more
                await asyncio.to_thread(self._store.delete, link.vault, ver)
        return await self._accepted(head.origin, shown)

    async def _prepare(
        self, head: VaultHead, link: VaultLink, query: m.LinkSubmission, now: int
    ) -> PreparedLink:
        """Check a link outside the transaction: its view, its signers, and what came with it."""
        await self._log.check_view(link.view, head.origin, now)
        latest = vault_chain.latest_directory(head.dir, link.view.dir)
        rotations = [step for step in link.operations if isinstance(step, Rotate)]
        return PreparedLink(
            head=head,
            envelope=query.envelope,
            link=link,
            signers=tuple(await self._known(link.signers, link.view.dir)),
            later=tuple(await self._known(link.signers, latest)),
            parts=submissions.named_parts(link.operations, query.parts),
            scan_key=submissions.scan_key(query, *rotations),
            leaves=tuple(submissions.leaf_operations(link.operations, query.tags, query.events)),
            events=tuple(await self._events.prepare(head, query.events, latest, now)),
            now=now,
        )

    async def _follow(
        self, transaction: Transaction, ready: PreparedLink
    ) -> tuple[list[Disclosure], list[bytes]]:
        """The job: the rules, then what the link changes, then its leaves, then the move of the head.

        Returns what opens the leaves, and the versions whose files are to be deleted.
        """
        link = ready.link
        before = await rows.vault(transaction, link.vault)
        if before.head != ready.head or (link.n, link.prev) != (before.head.n + 1, before.head.link):
            raise moved()
        view = await rows.view(transaction, before.head, vault_chain.named(link.operations))
        view = dataclasses.replace(view, later=ready.later)
        changes = vault_chain.follow(view, ready.envelope, ready.signers)
        await self._commit_uploads(transaction, link)
        await rows.write(transaction, view, changes)
        await identity_rows.add_parts(transaction, link.vault, ready.parts.items())
        erased = await self.erase(transaction, link)
        await self.write_grants(transaction, link.vault, changes)
        # Everything this link writes is found under the keys from before it; the new ones count from the next.
        chain = EntryChain(self._log, transaction, before, ready.now)
        shown = await self._write_leaves(transaction, chain, before.head, changes, ready)
        after = VaultRow(head=changes.head, scan_key=ready.scan_key or before.scan_key, last=chain.last)
        if not await rows.move_vault(transaction, before.head.link, after):
            raise moved()
        await rows.add_link(transaction, link.vault, link.n, ready.envelope, shown)
        return shown, erased

    async def _commit_uploads(self, transaction: Transaction, link: VaultLink) -> None:
        """Keep the ciphertext of each new version, once just what was signed has arrived."""
        for step in link.operations:
            if isinstance(step, AddVersion) and not await uploads.complete(transaction, link.vault, step):
                raise NotPermitted(
                    "A version's ciphertext has not arrived whole, or is another's. Nothing was added. Send it first."
                )

    async def erase(self, transaction: Transaction, link: VaultLink) -> list[bytes]:
        """Destroy what a deleted document or an ended grant leaves behind; returns the versions whose files go too."""
        erased = []
        for step in link.operations:
            if isinstance(step, Tombstone):
                document = await rows.document(transaction, link.vault, step.doc)
                await grant_rows.forget_document(transaction, link.vault, step.doc)
                transaction.destroys = True
                for version in () if document is None else document.versions:
                    hashes = (version.self_wrap, version.descriptor)
                    await identity_rows.erase_parts(transaction, link.vault, hashes)
                    await upload_rows.forget(transaction, link.vault, version.ver)
                    erased.append(version.ver)
            elif isinstance(step, End):
                await grant_rows.forget_granted(transaction, step.gid)
                transaction.destroys = True
        return erased

    async def write_grants(self, transaction: Transaction, vault: bytes, changes: Changes) -> None:
        """Write the grants that a link changed. Raises NotPermitted when an id is another record's."""
        for entry in changes.grants.values():
            if not await grant_rows.put_grant(transaction, vault, entry):
                raise NotPermitted("A grant's id is taken. Nothing was granted. Choose a random one.")

    async def _write_leaves(
        self,
        transaction: Transaction,
        chain: EntryChain,
        before: VaultHead,
        changes: Changes,
        ready: PreparedLink,
    ) -> list[Disclosure]:
        """The leaf of the link, then one for each event and each end, which are delivered."""
        shown = [await chain.add(ready.envelope, "accepted")]
        events = iter(ready.events)
        for step, tag in ready.leaves:
            if isinstance(step, Grant):
                event = next(events)
                await self._events.write(transaction, before, changes.head, step, event)
                recipient = event.event.recipient.identity
                shown.append(await chain.add(event.sent.envelope, "accepted", tag, delivered_to=recipient))
            else:
                recipient = changes.grants[step.gid].recipient
                await grant_rows.deliver(transaction, recipient, step.gid, None)
                shown.append(await chain.add(ready.envelope, "accepted", tag, delivered_to=recipient))
        return shown

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
            raise moved()
        return await self._accepted(origin, await rows.link_leaves(self._reader, vault, n))

    async def _accepted(self, origin: str, shown: Sequence[Disclosure]) -> m.LinkAccepted:
        return m.LinkAccepted(logged=tuple([await self._log.receipt(origin, each) for each in shown]))

    async def _known(self, refs: Sequence[IdentityRef], at: Head) -> list[Known]:
        return [await self._identities.known_at(ref.identity, at.size) for ref in refs]

    def _origin(self, origin: str) -> str:
        if origin not in {log.origin for log in self._log.shards}:
            raise NotPermitted("A record names a log that is not of this server. Nothing was founded.")
        return origin


def moved() -> Conflict:
    """What is raised when another link came first."""
    return Conflict(
        "The record has moved: another link came first. Nothing was changed. Fetch it and sign again."
    )
