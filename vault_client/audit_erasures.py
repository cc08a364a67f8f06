"""Erasures in the patient's log: which entries may have no opening any more, because a holder's device asked for it.

An erasure counts at its place in the log: its signer must be live at the largest directory that the record had named by
then, so that a removed device and the service together cannot make one afterwards.
"""

from collections.abc import Iterable
from contextlib import suppress

from crypto import labels
from crypto.access_log import Opening
from crypto.erasures import Erasure, check_erasure, latest_named, read_erasure
from crypto.errors import NotProven, Refusal
from crypto.signing import Envelope
from crypto.statements import Head
from vault_client.audit_report import ERASED, Entry
from vault_client.device_store import DeviceStore
from vault_client.log_scan import FoundLeaf
from vault_client.own_identity import OwnIdentity
from vault_client.service import Service
from vault_client.vault_replica import VaultReplica

READINGS = frozenset({"access", "refused"})


class Erasures:
    """The erasures of one audit run. ``erased``: what those that hold name."""

    def __init__(self, store: DeviceStore, service: Service, own: OwnIdentity, replica: VaultReplica) -> None:
        self.erased: set[int] = set()
        self._store = store
        self._service = service
        self._own = own
        self._replica = replica

    async def judge(self, index: int, opening: Opening, next_link: int) -> Entry | None:
        """The entry of an erasure at ``index``, after the links before ``next_link``; None when it does not hold."""
        envelope = opening.envelope
        try:
            erasure = read_erasure(envelope)
            check_before(erasure, index)
            await self._service.directory(erasure.view.dir.size)
            at = erasure.view.dir
            known = self._own.known_at(self._service, at)
            if known.ref not in erasure.signers:
                await self._own.refresh(self._service, self._store)
                known = self._own.known_at(self._service, at)
            later = self._own.known_at(self._service, self._latest(at, next_link))
            check_erasure(envelope, self._replica.local.head, [known], [later])
        except Refusal:
            return None
        self.erased |= set(erasure.entries)
        return Entry(
            index=index,
            time=opening.part.time,
            kind="change",
            act="",
            identity=self._own.identity,
            name="",
            grant=None,
            documents=(),
            changes=(ERASED,),
            purpose=None,
            erased=erasure.entries,
            device=envelope.signers[0],
        )

    def excuse(self, leaf: FoundLeaf) -> bool:
        """Whether ``leaf`` may have no opening: one that was erased, stands where the record's key finds it, and is no event or end."""
        return leaf.index in self.erased and leaf.by_vault and leaf.by_tag is None

    def names(self, entry: Entry) -> bool:
        """Whether ``entry`` is a reading that was erased."""
        return entry.kind in READINGS and entry.index in self.erased

    def forget(self) -> None:
        """Destroy what this device keeps of the readings that were erased: in a transaction."""
        for index in self.erased:
            forget_reading(self._store, index)

    def _latest(self, at: Head, next_link: int) -> Head:
        """The largest head of the directory that the links before ``next_link`` name, or ``at``."""
        links = (self._store.get(f"link/{n}", Envelope) for n in range(next_link))
        return latest_named(filter(None, links), at)


def check_before(erasure: Erasure, index: int) -> None:
    """Raises NotProven unless all that ``erasure`` names stands before ``index``, where it stands itself."""
    if erasure.entries[-1] >= index:
        raise NotProven("An erasure names what came after it. It was not believed.")


def forget_reading(store: DeviceStore, index: int) -> None:
    """Destroy what this device keeps of the reading at ``index``; a change of the record stays."""
    name = entry_name(index)
    kept = store.get(name, Entry)
    if kept is not None and kept.kind in READINGS:
        store.delete(name)


def entry_name(index: int) -> str:
    """What the entry at ``index`` is kept as."""
    return f"entry/{index:012d}"


def named(openings: Iterable[Opening]) -> set[int]:
    """The entries that erasures among ``openings`` name, of which nothing is checked yet."""
    found: set[int] = set()
    for opening in openings:
        if opening.envelope.type == labels.ERASURE:
            with suppress(Refusal):
                found |= set(read_erasure(opening.envelope).entries)
    return found
