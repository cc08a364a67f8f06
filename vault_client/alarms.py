"""Alarms: what must not be, with a name, what each is kept with on this device, and whether somebody saw it."""

from dataclasses import dataclass
from hashlib import sha256

from crypto.access_log import Opening
from crypto.encoding import Body, Bytes32, Natural, encode
from crypto.evidence import Beginning, Finding
from vault_client.device_store import DeviceStore
from vault_client.log_scan import FoundLeaf


class Alarm(Body, frozen=True):
    """Something that must not be. ``leaf`` and ``opening`` are the evidence, where there is any."""

    code: str
    index: Natural | None
    text: str
    leaf: bytes
    opening: Opening | None


class SeenAlarm(Body, frozen=True):
    """That whoever has this device saw an alarm. ``alarm``: its digest, so that no other one passes for seen."""

    alarm: Bytes32


@dataclass(frozen=True)
class Raised:
    """An alarm of this run. ``compared``: entries that it compares with, by index. ``notes``: further heads it rests on.

    ``beginning``: what the newest head, or the last of ``notes``, has in the place of another one.
    """

    alarm: Alarm
    compared: tuple[int, ...] = ()
    notes: tuple[bytes, ...] = ()
    beginning: Beginning | None = None


class Alarms:
    """The alarms of one audit run; of one code about one leaf, the first."""

    def __init__(self) -> None:
        self.raised: list[Raised] = []

    def add(
        self,
        code: str,
        leaf: FoundLeaf | None,
        text: str,
        opening: Opening | None = None,
        *,
        compared: tuple[int, ...] = (),
        notes: tuple[bytes, ...] = (),
        beginning: Beginning | None = None,
    ) -> None:
        """Raise an alarm about ``leaf``, or about the log as a whole."""
        index = leaf.index if leaf is not None else None
        if any((raised.alarm.code, raised.alarm.index) == (code, index) for raised in self.raised):
            return
        evidence = leaf.leaf.to_bytes() if leaf is not None else b""
        alarm = Alarm(code=code, index=index, text=text, leaf=evidence, opening=opening)
        self.raised.append(Raised(alarm, compared, notes, beginning))


def kept_alarms(store: DeviceStore) -> list[Alarm]:
    """Every alarm that is kept on this device, in the order of the log."""
    return [alarm for _, alarm in _kept(store)]


def keep_alarm(store: DeviceStore, where: int, alarm: Alarm, finding: Finding, *, less: str = "") -> None:
    """Keep an alarm about the leaf ``where``, or met when the log had so many, with what it rests on: in a transaction.

    It takes the place of none but one of the text ``less`` about the same log: what a service was found out in is not forgotten by
    what it is found out in next. The same alarm about the same log is there once, as it was kept first.
    """
    before = _kept_at(store, where, alarm.code)
    if (alarm, finding.origin) in before:
        return
    places = (n for n, (known, origin) in enumerate(before) if (known.text, origin) == (less, finding.origin))
    name = _name(where, alarm.code, next(places, len(before)))
    store.put(f"alarm/{name}", alarm)
    store.put(f"finding/{name}", finding)


def is_kept(store: DeviceStore, where: int, finding: Finding) -> bool:
    """Whether an alarm of the same code about the same log is kept about the leaf ``where``, or met when it had so many."""
    return finding.origin in {origin for _, origin in _kept_at(store, where, finding.code)}


def _kept_at(store: DeviceStore, where: int, code: str) -> list[tuple[Alarm, str]]:
    """The alarms ``code`` at one place, each with the log it is about: none for one that was kept before findings were."""
    kept: list[tuple[Alarm, str]] = []
    while (alarm := store.get(f"alarm/{_name(where, code, len(kept))}", Alarm)) is not None:
        finding = store.get(f"finding/{_name(where, code, len(kept))}", Finding)
        kept.append((alarm, finding.origin if finding is not None else ""))
    return kept


def _name(where: int, code: str, before: int) -> str:
    """``before``: how many alarms ``code`` are kept at that place."""
    return f"{where:012d}-{code}" + (f"-{before + 1}" if before else "")


def unseen_alarms(store: DeviceStore) -> list[Alarm]:
    """The alarms kept on this device that nobody said to have seen, in the order of the log."""
    seen = {name.partition("/")[2]: each.alarm for name, each in store.scan("seen-alarm", SeenAlarm)}
    return [alarm for name, alarm in _kept(store) if seen.get(name.partition("/")[2]) != _digest(alarm)]


def note_seen(store: DeviceStore) -> None:
    """Keep that every alarm on this device was seen. The alarms and what they rest on stay."""
    with store.transaction():
        for name, alarm in _kept(store):
            store.put(f"seen-{name}", SeenAlarm(alarm=_digest(alarm)))


def _kept(store: DeviceStore) -> list[tuple[str, Alarm]]:
    return sorted(store.scan("alarm", Alarm), key=lambda each: each[0])


def _digest(alarm: Alarm) -> bytes:
    return sha256(encode(alarm)).digest()
