"""Judging when an entry was logged, by the heads of the log around it."""

from crypto.access_log import Opening
from crypto.checkpoint import TEN_MINUTES
from vault_client.alarms import Alarms
from vault_client.believed_heads import KeptNote
from vault_client.device_store import DeviceStore
from vault_client.log_scan import FoundLeaf
from vault_client.trust import BelievedHead


def check_time(
    store: DeviceStore,
    alarms: Alarms,
    leaf: FoundLeaf,
    opening: Opening,
    audited: BelievedHead | None,
    believed: BelievedHead,
) -> None:
    """An entry is not older than a head that did not hold it, nor newer than one that does: else an alarm."""
    said = opening.part.time
    is_later = audited is not None and leaf.index >= audited.head.size
    if audited is not None and is_later and said < audited.time - TEN_MINUTES:
        kept = store.get("audited-note", KeptNote)
        notes = (kept.note,) if kept is not None and kept.root == audited.head.root else ()
        text = "The service dated an entry earlier than a head of the log that did not hold it yet."
        alarms.add("BACKDATED", leaf, text, opening, notes=notes)
    elif said > believed.time + TEN_MINUTES:
        text = "The service dated an entry later than a head of the log that holds it."
        alarms.add("BACKDATED", leaf, text, opening)
