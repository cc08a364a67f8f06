"""What became of a grant, event by event, as the links of the record and what this device keeps of its events tell it."""

from collections.abc import Iterator
from dataclasses import dataclass

from crypto import labels
from crypto.encoding import decode
from crypto.signing import Envelope
from crypto.vault_links import End, Grant, VaultLink
from vault_client.audit_report import Entry
from vault_client.device_store import DeviceStore
from vault_client.kept_grants import terms_name
from vault_client.local_vault import EventTerms, SharedDocuments


@dataclass(frozen=True)
class GrantStep:
    """One event, or (``event`` is None) the end. ``time``: 0 until the log was read, where another device made it.

    ``terms``: what is allowed from then on. ``given`` and ``taken_out``: by this event, compared with those before.
    """

    event: int | None
    time: int
    is_rekey: bool
    given: tuple[bytes, ...]
    taken_out: tuple[bytes, ...]
    terms: EventTerms | None
    has_other_terms: bool


def grant_history(store: DeviceStore, gid: bytes) -> list[GrantStep]:
    """All of a grant that is in the record, in order."""
    steps: list[GrantStep] = []
    given: set[bytes] = set()
    rekey, allowed = 0, None
    for operation in _operations(store):
        if operation.gid != gid:
            continue
        if isinstance(operation, End):
            steps.append(GrantStep(None, _ended(store, gid), False, (), (), None, False))
            continue
        shared = store.get(f"shared/{operation.event.hex()}", SharedDocuments)
        terms = store.get(terms_name(operation.event), EventTerms)
        docs = set(shared.docs) if shared is not None else set()
        is_rekey, rekey = operation.rekey != rekey, operation.rekey
        now_allowed = allowed
        if terms is not None:
            now_allowed = (terms.acts, terms.purposes, terms.expiry, terms.excluded)
        steps.append(
            GrantStep(
                event=operation.j,
                time=terms.made if terms is not None else 0,
                is_rekey=is_rekey,
                given=tuple(sorted(docs - given)),
                taken_out=tuple(sorted(given - docs)) if is_rekey else (),
                terms=terms,
                has_other_terms=operation.j > 0 and now_allowed != allowed,
            )
        )
        given, allowed = docs if is_rekey else given | docs, now_allowed
    return steps


def keyed_anew(store: DeviceStore) -> set[bytes]:
    """The events that brought their grant new keys, of all grants, by digest: one walk along the record."""
    found: set[bytes] = set()
    rekeys: dict[bytes, int] = {}
    for operation in _operations(store):
        if isinstance(operation, Grant):
            if operation.rekey != rekeys.get(operation.gid, 0):
                found.add(operation.event)
            rekeys[operation.gid] = operation.rekey
    return found


def _operations(store: DeviceStore) -> Iterator[Grant | End]:
    """The operations of the record that are about grants, in order."""
    links = [decode(each.body, VaultLink) for _, each in store.scan("link", Envelope) if _is_link(each)]
    for link in sorted(links, key=lambda each: each.n):
        for operation in link.operations:
            if isinstance(operation, Grant | End):
                yield operation


def _is_link(envelope: Envelope) -> bool:
    return envelope.type == labels.VAULT_LINK  # the first is the founding


def _ended(store: DeviceStore, gid: bytes) -> int:
    entries = (entry for _, entry in store.scan("entry", Entry))
    return next((entry.time for entry in entries if entry.kind == "ended" and entry.grant == gid), 0)
