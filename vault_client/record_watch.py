"""What is watched of a record: its log, checked whenever it has grown, and the alarms that this raises."""

from collections.abc import Sequence

from vault_client.alarms import Alarm
from vault_client.audit_report import Entry
from vault_client.device_store import DeviceStore
from vault_client.new_alarms import NewAlarms
from vault_client.patient import Patient


class RecordWatch:
    """The log of one record. The news of a first look are the alarms kept before, and what came since the last audit."""

    def __init__(self) -> None:
        self._known: set[int] | None = None
        self._checked = -1
        self._found: list[Entry] = []
        self._alarms = NewAlarms()
        self._reported: tuple[Alarm, ...] = ()

    def origin(self, owner: Patient) -> str:
        """The log that the record is written in."""
        return owner.replica.origin

    async def look(self, owner: Patient, store: DeviceStore) -> None:
        """Go on with the audit if the log has grown. Raises what ``Patient.log`` does."""
        if self._known is None and (last := owner.last_log()) is not None:
            self._known = {entry.index for entry in last.entries}
        believed = await owner.service.refresh(owner.replica.origin)
        if believed.head.size == self._checked:
            return
        report = await owner.log()
        known, self._known = self._known, {entry.index for entry in report.entries}
        if known is not None:
            self._found += [entry for entry in report.entries if entry.index not in known]
        owner.files.drop_unwanted()
        self._reported = report.alarms
        self._checked = report.size

    def news(self, owner: Patient, store: DeviceStore) -> Sequence[Entry | Alarm]:
        """Entries and alarms, each once: those of a look that was refused too."""
        found, self._found = self._found, []
        return [*found, *self._alarms.of(store, self._reported)]
