"""What an export shows of the record's log: every entry that an audit has met; one that is kept back refuses the export."""

from collections.abc import AsyncIterator

from crypto.checkpoint import Checkpoint
from crypto.errors import NotFound, NotProven
from crypto.exports import ExportedEntry
from crypto.statements import Head
from crypto.tiles import WIDTH
from crypto.wire.messages import SealedOpening
from vault_client.audit_report import AuditReport
from vault_client.declared_losses import loss_of
from vault_client.log_beginning import believed_beginning
from vault_client.proved_entries import ProvedEntries
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
        self._entries = ProvedEntries(service, replica, checkpoint.size)
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
                async for entry in self._entries.of(batch, doubted=self._alarmed):
                    yield entry
                batch = []
        async for entry in self._entries.of(batch, doubted=self._alarmed):
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


def due_entries(report: AuditReport) -> set[int]:
    """The entries that the server has shown before, and must show again: but for what it declares to have lost."""
    shown = {entry.index for entry in report.entries if loss_of(report.losses, entry.index) is None}
    return shown - {alarm.index for alarm in report.alarms}
