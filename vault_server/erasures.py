"""Erasing readings at their holders' request: the erasure is an entry first, and under a cosigned head; then openings go.

In that order, so that no device ever meets an entry without an opening before it can find who had it erased. What a stop
keeps from being destroyed is destroyed later.
"""

from crypto import erasures as bodies
from crypto.access_log import Disclosure
from crypto.erasures import Erasure
from crypto.errors import NotPermitted
from crypto.identity_chain import Known
from crypto.signing import Envelope
from crypto.statements import Head
from crypto.vault_chain import latest_directory
from crypto.wire import messages as m
from vault_server import lost_bodies, submissions
from vault_server.access_log import AccessLog
from vault_server.identities import Identities
from vault_server.records import Records
from vault_server.store import entry_rows
from vault_server.store import erasures as rows
from vault_server.store import vaults as vault_rows
from vault_server.store.database import Statements, Transaction, Writer
from vault_server.store.erasures import ErasureRow
from vault_server.store.vaults import VaultRow
from vault_server.vault_entries import EntryChain


class Erasures:
    """The erasures of this server."""

    def __init__(
        self, reader: Statements, writer: Writer, log: AccessLog, identities: Identities, records: Records
    ) -> None:
        self._reader = reader
        self._writer = writer
        self._log = log
        self._identities = identities
        self._records = records

    async def erase(self, identity: bytes, envelope: Envelope, now: int) -> m.Logged:
        """Log an erasure and destroy the openings it names. Raises NotPermitted for what is not a reading of its record."""
        submissions.check_size(envelope)
        erasure = bodies.read_erasure(envelope)
        await self._records.check_holder(identity, erasure.vault)
        earlier = await rows.by_digest(self._reader, envelope.digest)
        if earlier is not None:
            return await self._finish(earlier)
        await self._log.check_view(erasure.view, erasure.origin, now)
        await self._check(envelope, erasure, await vault_rows.vault(self._reader, erasure.vault))
        changes = await self._changes(erasure.vault)

        async def job(transaction: Transaction) -> Disclosure:
            # Between the check and this nothing of it can have become a change; a link may have named a later directory.
            record = await vault_rows.vault(transaction, erasure.vault)
            await lost_bodies.check_whole(transaction, record)
            await self._check(envelope, erasure, record)
            erased = await rows.erased(transaction, erasure.vault)
            present = {index for index, _ in await entry_rows.openings(transaction, erasure.vault)}
            if not set(erasure.entries) <= present - changes - set(erased):
                raise NotPermitted(
                    "A request to erase names what is no reading of the record, or is erased already. Nothing was erased. Look at "
                    "the log again."
                )
            chain = EntryChain(self._log, transaction, record, now)
            shown = await chain.add(envelope, "accepted")
            await vault_rows.set_last(transaction, erasure.vault, chain.last)
            row = ErasureRow(erasure.vault, envelope, shown, done=False)
            await rows.add(transaction, row, erasure.entries)
            return shown

        shown = await self._writer.run(job)
        return await self._finish(ErasureRow(erasure.vault, envelope, shown, done=False))

    async def finish(self) -> None:
        """Destroy what erasures name and is still there. Raises Unreachable while keepers are silent."""
        for row in await rows.left_open(self._reader):
            await self._finish(row)

    async def _finish(self, row: ErasureRow) -> m.Logged:
        origin = bodies.read_erasure(row.envelope).origin
        logged = await self._log.receipt(origin, row.disclosure)

        async def job(transaction: Transaction) -> None:
            await rows.destroy(transaction, row.vault, row.disclosure.index)
            transaction.destroys = True

        if not row.done:
            await self._writer.run(job)
        return logged

    async def _check(self, envelope: Envelope, erasure: Erasure, record: VaultRow) -> None:
        """Its signers are holders', live at its directory and at the largest that the record has named."""
        at = erasure.view.dir
        latest = latest_directory(record.head.dir, at)
        later = await self._known(erasure, latest)
        bodies.check_erasure(envelope, record.head, await self._known(erasure, at), later)

    async def _known(self, erasure: Erasure, at: Head) -> list[Known]:
        return [await self._identities.known_at(ref.identity, at.size) for ref in erasure.signers]

    async def _changes(self, vault: bytes) -> set[int]:
        """The entries of what stays: of links, with their events and ends, and of erasures."""
        links = await entry_rows.link_leaves(self._reader, vault)
        return links | {row.disclosure.index for row in await rows.of_vault(self._reader, vault)}
