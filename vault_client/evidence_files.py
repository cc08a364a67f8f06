"""The evidence of every alarm that is kept on this device, each as a file for a third person, signed by this device."""

from collections.abc import Iterator

from crypto import labels
from crypto.access_log import parse_leaf
from crypto.encoding import decode, encode
from crypto.evidence import DisclosedKey, Evidence, EvidenceEntry, Finding
from crypto.signing import Envelope, sign
from crypto.statements import View
from crypto.vault_links import Genesis, Rotate, VaultLink
from vault_client import kept_trust_roots
from vault_client.alarms import Alarm
from vault_client.device_store import DeviceStore
from vault_client.own_identity import OwnIdentity
from vault_client.service import Service
from vault_client.vault_replica import VaultReplica


def evidence_files(
    store: DeviceStore,
    service: Service,
    own: OwnIdentity,
    replica: VaultReplica | None,
    *,
    with_keys: bool = False,
) -> dict[str, bytes]:
    """A file for each alarm, by name. ``replica``: of the record that the profile holds, if it is a patient's.

    An alarm that was kept before findings were has one only where its log is known: that of the record.
    """
    directory = service.believed(service.root.directory_origin).head
    roots = kept_trust_roots.kept(store)
    if not roots or roots[-1] != service.record.envelope:  # of a profile older than evidence: its newest one
        roots = (service.record.envelope,)
    files = {}
    for name, alarm in sorted(store.scan("alarm", Alarm), key=lambda each: each[0]):
        where = name.partition("/")[2]
        finding = store.get(f"finding/{where}", Finding)
        if finding is None and replica is not None:
            finding = _bare(alarm, replica.origin)
        if finding is None:
            continue
        seen = service.believed(finding.origin).head
        body = Evidence(
            suite=labels.SUITE,
            finding=finding,
            trust_roots=roots,
            keys=tuple(_keys(finding, replica)) if with_keys and replica is not None else (),
            author=own.profile.chain,
            view=View(trust_root=service.accepted.ref, dir=directory, seen=seen),
        )
        files[f"{where}.evidence.json"] = encode(sign(labels.EVIDENCE, body, own.device))
    return files


def _bare(alarm: Alarm, origin: str) -> Finding:
    """The finding of an alarm that was kept before findings were: its leaf and opening, and no proof."""
    leaf = parse_leaf(alarm.leaf) if alarm.leaf else None
    entries: tuple[EvidenceEntry, ...] = ()
    if leaf is not None and alarm.index is not None:
        entries = (EvidenceEntry.of(alarm.index, leaf, None, alarm.opening),)
    return Finding(
        code=alarm.code,
        text=alarm.text,
        time=0,
        origin=origin,
        notes=(),
        beginning=None,
        entries=entries,
        people=(),
    )


def _keys(finding: Finding, replica: VaultReplica) -> Iterator[DisclosedKey]:
    """The scan key that proves a wrong mark: the one that an entry shown gave to the service."""
    if finding.code != "HIDDEN_BY_SERVER":
        return
    for entry in finding.entries[1:]:
        envelope = entry.opening.envelope if entry.opening is not None else None
        for rotation in _rotations(envelope) if envelope is not None else ():
            keys = replica.epoch(rotation.epoch)
            yield DisclosedKey(epoch=rotation.epoch, scan_key=keys.scan_key)


def _rotations(envelope: Envelope) -> list[Rotate]:
    match envelope.type:
        case labels.GENESIS:
            return [decode(envelope.body, Genesis).keyring]
        case labels.VAULT_LINK:
            operations = decode(envelope.body, VaultLink).operations
            return [step for step in operations if isinstance(step, Rotate)]
    return []
