"""What is watched of a record: its log, checked whenever it has grown, and the alarms that this raises."""

from collections.abc import Sequence

from vault_client.alarms import Alarm, kept_alarms
from vault_client.audit_report import Entry
from vault_client.device_store import DeviceStore
from vault_client.patient import Patient


class RecordWatch:
    """The log of ``record``. The news of a first look are the alarms kept before, and what came since the last audit."""

    def __init__(self, record: Patient, store: DeviceStore) -> None:
        self.origin = record.replica.origin
        self._record = record
        self._store = store
        last = record.last_log()
        self._known = None if last is None else {entry.index for entry in last.entries}
        self._checked = -1
        self._found: list[Entry] = []
        self._raised: list[Alarm] = []

    async def look(self) -> None:
        """Go on with the audit if the log has grown. Raises what ``Patient.log`` does."""
        believed = await self._record.service.refresh(self.origin)
        if believed.head.size == self._checked:
            return
        report = await self._record.log()
        known, self._known = self._known, {entry.index for entry in report.entries}
        if known is not None:
            self._found += [entry for entry in report.entries if entry.index not in known]
        self._record.files.drop_unwanted()
        self._checked = report.size

    def news(self) -> Sequence[Entry | Alarm]:
        """Entries and alarms, each once: those of a look that was refused too."""
        alarms = [alarm for alarm in kept_alarms(self._store) if alarm not in self._raised]
        self._raised += alarms
        found, self._found = self._found, []
        return [*found, *alarms]
