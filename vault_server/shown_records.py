"""Taking back what was lost of a record: links with everything in them, and openings, because entries commit to them.

Nothing is judged by what holds now: neither head nor age nor certificate. An entry at its place says that this very body was
accepted here. Its order, its numbers and what it changes are the rule book's, as when it was new.
"""

import asyncio
import dataclasses
from collections.abc import Sequence
from contextlib import suppress
from itertools import pairwise

from crypto import access_log as entries
from crypto import labels, sealing, vault_chain
from crypto.access_log import FIRST, Disclosure
from crypto.encoding import decode
from crypto.errors import Conflict, NotPermitted, NotProven
from crypto.identity_chain import Known
from crypto.locators import Locator
from crypto.secret_bytes import SecretBytes
from crypto.signing import Envelope
from crypto.statements import Head, IdentityRef
from crypto.vault_links import AddVersion, Genesis, Grant, Rotate, VaultLink, vault_id
from crypto.wire import losses as lost
from crypto.wire import messages as m
from vault_server import lost_bodies, submissions, uploads
from vault_server.access_log import AccessLog
from vault_server.grant_events import GrantEvents
from vault_server.identities import Identities
from vault_server.record_chains import RecordChains, moved
from vault_server.records import Records
from vault_server.store import grants as grant_rows
from vault_server.store import identities as identity_rows
from vault_server.store import leaves as leaf_rows
from vault_server.store import losses as rows
from vault_server.store import vaults as vault_rows
from vault_server.store.ciphertext import CiphertextStore
from vault_server.store.database import Statements, Transaction, Writer
from vault_server.store.vaults import VaultRow

# What an entry of a link commits to. Its opening alone does not bring the link back.
OF_LINKS = frozenset({labels.GENESIS, labels.VAULT_LINK, labels.GRANT_EVENT})


class ShownRecords:
    """What holders give back of their records."""

    def __init__(
        self,
        reader: Statements,
        writer: Writer,
        log: AccessLog,
        identities: Identities,
        records: Records,
        chains: RecordChains,
        events: GrantEvents,
        store: CiphertextStore,
    ) -> None:
        self._reader = reader
        self._writer = writer
        self._log = log
        self._identities = identities
        self._records = records
        self._chains = chains
        self._events = events
        self._store = store

    async def losses(self, query: m.LogQuery) -> lost.LogLosses:
        """What was lost of a log. Raises NotFound for one that is not here."""
        self._log.checkpoint(query.origin)
        return lost.LogLosses(losses=tuple(await rows.of_log(self._reader, query.origin)))

    async def entries(self, identity: bytes, vault: bytes) -> lost.LostEntries:
        """The entries of a record of which nothing was shown, for a holder."""
        await self._records.check_holder(identity, vault)
        head = (await vault_rows.vault(self._reader, vault)).head
        found = await rows.unshown(self._reader, vault, -1, lost.MAX_LOST + 1)
        shown = tuple(found[: lost.MAX_LOST])
        return lost.LostEntries(link=head.link, entries=shown, more=len(found) > len(shown))

    async def give_up(self, identity: bytes, query: lost.GiveUp) -> None:
        """Have a record go on from its newest link. Raises Conflict when that is another one."""
        await self._records.check_holder(identity, query.vault)

        async def job(transaction: Transaction) -> None:
            if (await vault_rows.vault(transaction, query.vault)).head.link != query.link:
                raise moved()
            await rows.give_up(transaction, query.vault)

        await self._writer.run(job)

    async def show_link(self, identity: bytes, query: lost.ShownLink) -> m.LinkAccepted:
        """Take back a genesis or a link, with everything in it. Raises NotProven when the log does not have it so.

        BrokenChain when an earlier one is lost too, Conflict when another has its place.
        """
        envelope = query.submission.envelope
        submissions.check_size(envelope)
        if query.submission.tags:
            raise NotPermitted("A link was shown with tags, which its entries carry. Nothing of it was kept.")
        if envelope.type == labels.GENESIS:
            vault, n = vault_id(envelope.body), 0
            genesis = decode(envelope.body, Genesis)
            origin = genesis.origin
            if identity not in genesis.holders:
                raise NotPermitted(
                    "A record can be shown only by one of its holders. Nothing of it was kept."
                )
        else:
            link = decode(envelope.body, VaultLink)
            vault, n = link.vault, link.n
            await self._records.check_holder(identity, vault)
            origin = (await vault_rows.vault(self._reader, vault)).head.origin
        known = await vault_rows.link(self._reader, vault, n)
        if known is not None:
            if known != envelope:
                raise moved()
            return await self._accepted(origin, await vault_rows.link_leaves(self._reader, vault, n))
        if n == 0:
            changes = vault_chain.found(envelope, await self._known(genesis.signers, genesis.view.dir))
            await self._writer.run(lambda transaction: self._found(transaction, genesis, changes.head, query))
        else:
            erased = await self._writer.run(lambda transaction: self._follow(transaction, link, query))
            for ver in erased:
                with suppress(OSError):  # what is left, the daily sweep takes
                    await asyncio.to_thread(self._store.delete, vault, ver)
        return await self._accepted(origin, query.disclosures)

    async def show_openings(self, identity: bytes, query: lost.ShownOpenings) -> None:
        """Take back openings of entries, sealed again to the record's log key. Raises NotProven for one that is none."""
        await self._records.check_holder(identity, query.vault)

        async def job(transaction: Transaction) -> None:
            record = await vault_rows.vault(transaction, query.vault)
            missing = await rows.entries(transaction, query.vault)
            for shown in query.openings:
                if shown.index in missing:
                    await self._open(transaction, record, missing[shown.index], shown)

        await self._writer.run(job)

    async def _open(
        self, transaction: Transaction, record: VaultRow, epoch: int, shown: lost.ShownOpening
    ) -> None:
        head, opening = record.head, shown.opening
        if epoch != head.keys.epoch:
            raise NotPermitted(
                "An opening was shown after the change of keys that followed its entry. It was not taken back."
            )
        leaf = entries.parse_leaf(await self._leaf(transaction, head.origin, shown.index))
        own = entries.commitment(opening.salt, opening.envelope, opening.part)
        first = opening.previous == FIRST
        prev = FIRST if first else entries.previous(opening.salt2, opening.previous)
        if leaf is None or leaf.commitment != own or opening.part.prev != prev:
            raise _not_there()
        if opening.part.body != opening.envelope.digest:
            raise _not_there()
        info = entries.opening_info(head.origin, own)
        box = sealing.seal(head.keys.log_key, info, opening.to_record())
        if not await rows.is_opened(transaction, head.vault, shown.index):
            await vault_rows.add_opening(transaction, head.vault, shown.index, epoch, box)
        of_link = opening.envelope.type in OF_LINKS
        await rows.found_entry(transaction, head.vault, shown.index, of_link=of_link)

    async def _found(
        self,
        transaction: Transaction,
        genesis: Genesis,
        head: vault_chain.VaultHead,
        query: lost.ShownLink,
    ) -> None:
        """The job of a genesis: it is the first entry under its own scan key."""
        sent, shown = query.submission, query.disclosures
        if len(shown) != 1 or sent.events:
            raise NotPermitted("A founding statement came with grants. Nothing of it was kept.")
        scan_key = submissions.scan_key(sent, genesis.keyring)
        parts = submissions.named_parts([genesis.keyring], sent.parts, whole=False)
        if not any(
            loss.start <= shown[0].index < loss.end for loss in await rows.of_log(transaction, genesis.origin)
        ):
            raise _not_there()
        await self._check_entries(transaction, genesis.origin, [sent.envelope], shown)
        record = VaultRow(head=head, scan_key=scan_key, last=FIRST)
        if not Locator(SecretBytes(scan_key), genesis.origin).matches(shown[0].slot_one):
            raise _not_there()
        if not await vault_rows.add_vault(transaction, record):
            raise Conflict("This record is there already. Nothing of it was kept.")
        await vault_rows.add_link(transaction, head.vault, 0, sent.envelope, shown)
        await identity_rows.add_parts(transaction, head.vault, parts.items())
        await lost_bodies.find(transaction, record, shown[0].index - 1)
        await rows.show_link(transaction, head.vault, [shown[0].index])

    async def _follow(self, transaction: Transaction, link: VaultLink, query: lost.ShownLink) -> list[bytes]:
        """The job of a link: its entries, the rules, and what it changes; returns the versions whose files go."""
        sent, shown = query.submission, query.disclosures
        before = await vault_rows.vault(transaction, link.vault)
        if (link.n, link.prev) != (before.head.n + 1, before.head.link):
            raise moved()
        indexes = [each.index for each in shown]
        if not set(indexes) <= (await rows.entries(transaction, link.vault)).keys():
            raise _not_there()
        tags = [each.slot_two for each in shown[1:]]
        leaves = submissions.leaf_operations(link.operations, tags, sent.events)
        events = iter(sent.events)
        bodies = [next(events).envelope if isinstance(step, Grant) else sent.envelope for step, _ in leaves]
        await self._check_entries(transaction, before.head.origin, [sent.envelope, *bodies], shown)
        parts = submissions.named_parts(link.operations, sent.parts, whole=False)
        rotations = [step for step in link.operations if isinstance(step, Rotate)]
        scan_key = submissions.scan_key(sent, *rotations)
        latest = vault_chain.latest_directory(before.head.dir, link.view.dir)
        view = await vault_rows.view(transaction, before.head, vault_chain.named(link.operations))
        view = dataclasses.replace(view, later=await self._known(link.signers, latest))
        signers = await self._known(link.signers, link.view.dir)
        changes = vault_chain.follow(view, sent.envelope, signers)
        for step in link.operations:
            if isinstance(step, AddVersion):
                await uploads.complete(transaction, link.vault, step)
        await vault_rows.write(transaction, view, changes)
        await identity_rows.add_parts(transaction, link.vault, parts.items())
        erased = await self._chains.erase(transaction, link)
        await self._chains.write_grants(transaction, link.vault, changes)
        events = iter(sent.events)
        for step, _ in leaves:
            if isinstance(step, Grant):
                await self._events.write_shown(transaction, before.head, step, next(events), latest)
            else:
                await grant_rows.deliver(transaction, changes.grants[step.gid].recipient, step.gid, None)
        after = VaultRow(head=changes.head, scan_key=scan_key or before.scan_key, last=before.last)
        await vault_rows.move_vault(transaction, before.head.link, after)
        await vault_rows.add_link(transaction, link.vault, link.n, sent.envelope, shown)
        await rows.show_link(transaction, link.vault, indexes)
        if rotations:
            await lost_bodies.find(transaction, after, indexes[-1])
        return erased

    async def _check_entries(
        self, transaction: Transaction, origin: str, bodies: Sequence[Envelope], shown: Sequence[Disclosure]
    ) -> None:
        """Each of ``shown`` opens the entry at its index, which commits to the body in its place, in rising order."""
        if len(shown) != len(bodies) or any(one.index >= two.index for one, two in pairwise(shown)):
            raise _not_there()
        for each, body in zip(shown, bodies, strict=True):
            if each.part.outcome != "accepted":
                raise _not_there()
            if each.leaf(body).to_bytes() != await self._leaf(transaction, origin, each.index):
                raise _not_there()

    async def _leaf(self, transaction: Transaction, origin: str, index: int) -> bytes:
        found = await leaf_rows.leaves(transaction, origin, index, 1)
        if not found:
            raise _not_there()
        return found[0]

    async def _accepted(self, origin: str, shown: Sequence[Disclosure]) -> m.LinkAccepted:
        return m.LinkAccepted(logged=tuple([await self._log.receipt(origin, each) for each in shown]))

    async def _known(self, refs: Sequence[IdentityRef], at: Head) -> list[Known]:
        return [await self._identities.known_at(ref.identity, at.size) for ref in refs]


def _not_there() -> NotProven:
    return NotProven(
        "Something was shown of a record that the log does not have at its place. Nothing of it was kept."
    )
