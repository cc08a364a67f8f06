"""Which alarms a watch has not told of yet."""

from collections.abc import Iterable

from vault_client.alarms import Alarm, kept_alarms
from vault_client.device_store import DeviceStore


class NewAlarms:
    """Those of one watch: each is told once, however often it is met."""

    def __init__(self) -> None:
        self._told: list[Alarm] = []

    def of(self, store: DeviceStore, reported: Iterable[Alarm] = ()) -> list[Alarm]:
        """The alarms kept on this device, and those of ``reported``, that were not given before."""
        met = dict.fromkeys([*kept_alarms(store), *reported])
        new = [alarm for alarm in met if alarm not in self._told]
        self._told += new
        return new
