"""Judging when an entry was logged, by the heads of the log around it.

Two heads are kept: of the audit that is done (``audited``), and of the last one, which waits for what the service lost
(``reported``).
"""

from crypto.access_log import Opening
from crypto.checkpoint import TEN_MINUTES
from vault_client.alarms import Alarms
from vault_client.believed_heads import KeptNote
from vault_client.device_store import DeviceStore
from vault_client.log_scan import FoundLeaf
from vault_client.trust import BelievedHead

AUDITED, REPORTED = "audited", "reported"


def last_heads(store: DeviceStore) -> list[BelievedHead]:
    """The heads to which audits came, of the last one first. None before the first."""
    heads = (store.get(name, BelievedHead) for name in (REPORTED, AUDITED))
    return [head for head in heads if head is not None]


def keep_head(store: DeviceStore, name: str, head: BelievedHead, note: bytes) -> None:
    """Keep ``head``, which ``note`` shows: in a transaction."""
    store.put(name, head)
    store.put(f"{name}-note", KeptNote(root=head.head.root, note=note))


def check_time(
    store: DeviceStore, alarms: Alarms, leaf: FoundLeaf, opening: Opening, believed: BelievedHead
) -> None:
    """An entry is not older than a head that did not hold it, nor newer than one that does: else an alarm."""
    said = opening.part.time
    for name in (REPORTED, AUDITED):
        head = store.get(name, BelievedHead)
        if head is not None and leaf.index >= head.head.size and said < head.time - TEN_MINUTES:
            kept = store.get(f"{name}-note", KeptNote)
            notes = (kept.note,) if kept is not None and kept.root == head.head.root else ()
            text = "The service dated an entry earlier than a head of the log that did not hold it yet."
            alarms.add("BACKDATED", leaf, text, opening, notes=notes)
            return
    if said > believed.time + TEN_MINUTES:
        text = "The service dated an entry later than a head of the log that holds it."
        alarms.add("BACKDATED", leaf, text, opening)
