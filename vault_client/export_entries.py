"""The record's log entries as an export shows them: fetched, opened, and each with its path to one witnessed head."""

from collections.abc import AsyncIterator, Sequence

from crypto.access_log import LEAF, Opening, opening_info, parse_leaf
from crypto.checkpoint import Checkpoint
from crypto.errors import NotFound, NotProven, Refusal
from crypto.exports import ExportedEntry
from crypto.sealed.unsealing import UnsealingKey
from crypto.secret_bytes import SecretBytes
from crypto.statements import Head
from crypto.tiles import WIDTH
from crypto.wire.messages import SealedOpening
from vault_client.audit_report import AuditReport
from vault_client.log_beginning import believed_beginning
from vault_client.sealed_openings import sealed_openings
from vault_client.service import Service
from vault_client.trust import BelievedHead
from vault_client.vault_replica import VaultReplica

_BATCH = 256


class ExportEntries:
    """The entries that ``report`` knows, under the head ``checkpoint``."""

    def __init__(
        self, service: Service, replica: VaultReplica, report: AuditReport, checkpoint: Checkpoint
    ) -> None:
        self._service = service
        self._replica = replica
        self._report = report
        self._checkpoint = checkpoint
        self._alarmed = {alarm.index for alarm in report.alarms}

    async def all(self) -> AsyncIterator[ExportedEntry]:
        """Every entry, in order of the log.

        One about which there is an alarm is left out when it does not open, and so are those that are gone by now. Raises
        NotProven when the server keeps back another one.
        """
        due = due_entries(self._report)
        batch: list[SealedOpening] = []
        shown = sealed_openings(self._service.api, self._replica.vault, 0, self._report.size)
        async for opening in shown:
            due.discard(opening.index)
            batch.append(opening)
            if len(batch) == _BATCH:
                async for entry in self.proved(batch):
                    yield entry
                batch = []
        async for entry in self.proved(batch):
            yield entry
        gone = await self._gone_until(min(due)) if due else 0
        if due := {index for index in due if index >= gone}:
            raise NotProven(
                f"The service does not show entry {min(due)} of your log any more, which it showed before. Nothing was "
                "exported. Keep this profile as it is, and ask the operator."
            )

    async def _gone_until(self, index: int) -> int:
        """The first entry that is there, if the one at ``index`` is gone; else 0. Raises NotProven when it may not be."""
        origin, size, root = self._checkpoint.origin, self._checkpoint.size, self._checkpoint.root
        start = index // WIDTH * WIDTH
        try:
            await self._service.reader.leaves(origin, start, min(start + WIDTH, size))
        except NotFound:
            head = BelievedHead(origin=origin, head=Head(size=size, root=root), time=self._report.time)
            return await believed_beginning(self._service.api, self._service.root, head)
        return 0

    async def proved(self, batch: Sequence[SealedOpening]) -> AsyncIterator[ExportedEntry]:
        """Each of ``batch`` opened, with its path. One about which there is an alarm may be left out."""
        origin, size, reader = self._checkpoint.origin, self._checkpoint.size, self._service.reader
        paths = await reader.inclusion(origin, [sealed.index for sealed in batch], size)
        leaves, start = b"", -1
        for sealed, path in zip(batch, paths, strict=True):
            if sealed.index // WIDTH * WIDTH != start:
                start = sealed.index // WIDTH * WIDTH
                leaves = await reader.leaves(origin, start, min(start + WIDTH, size))
            at = (sealed.index - start) * LEAF
            try:
                yield self._opened(sealed, leaves[at : at + LEAF], path)
            except Refusal:
                if sealed.index not in self._alarmed:
                    raise

    def _opened(self, sealed: SealedOpening, data: bytes, path: Sequence[bytes]) -> ExportedEntry:
        leaf = parse_leaf(data)
        if leaf is None:
            raise NotProven("The service shows an entry that is none. Nothing was exported.")
        log_key = UnsealingKey(SecretBytes(self._replica.epoch(sealed.epoch).log_key))
        record = log_key.open(opening_info(self._checkpoint.origin, leaf.commitment), sealed.box)
        entry = ExportedEntry(
            index=sealed.index,
            slot_one=leaf.slot_one,
            slot_two=leaf.slot_two,
            path=tuple(path),
            opening=Opening.from_record(record),
        )
        if entry.leaf != leaf:
            raise NotProven("The service shows something else than what the log says. Nothing was exported.")
        return entry


def due_entries(report: AuditReport) -> set[int]:
    """The entries that the server has shown before, and must show again."""
    return {entry.index for entry in report.entries} - {alarm.index for alarm in report.alarms}
