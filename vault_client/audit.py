"""The patient's audit: what happened to the record, checked entry by entry.

Scans the witnessed log (``log_scan``), opens the openings of the leaves found, and judges each: is it committed to,
does it follow the one before, is it of this record (``audit_changes``); of a reading (``audit_readings``), who signed it,
was it allowed.
What does not hold becomes an alarm with a name and with the evidence it rests on; entries and alarms are kept on
this device.
"""

from collections.abc import AsyncIterator, Iterable, Sequence
from dataclasses import dataclass

import msgspec

from crypto import labels
from crypto.access_log import FIRST, Opening, commitment, previous
from crypto.errors import NotFound, Refusal
from crypto.wire.messages import SealedOpening
from vault_client import log_scan
from vault_client.alarms import Alarm, Alarms, keep_alarm, kept_alarms
from vault_client.audit_changes import Changes
from vault_client.audit_erasures import Erasures, entry_name, named
from vault_client.audit_losses import LOST_UNKNOWN, LostEntries, keep_found
from vault_client.audit_readings import Readings
from vault_client.audit_report import AuditReport, Entry
from vault_client.audit_times import AUDITED, REPORTED, check_time, keep_head, last_heads
from vault_client.declared_losses import declared_losses, kept_losses
from vault_client.device_store import DeviceStore
from vault_client.entries_gone import GONE, EntriesGone, PastEntriesGone
from vault_client.evidence_gathering import EvidenceGathering
from vault_client.keeper_heads import compare_with_keeper
from vault_client.local_vault import AuditPlace, LocalGrant
from vault_client.log_scan import FoundLeaf, Scanned
from vault_client.own_identity import OwnIdentity
from vault_client.reader_keys import ReaderKeys
from vault_client.scan_keys import scan_keys
from vault_client.sealed_openings import sealed_openings
from vault_client.seen_heads import SeenHeads
from vault_client.service import Service
from vault_client.sought_grants import SoughtGrants, not_seen_before
from vault_client.trust import BelievedHead
from vault_client.vault_replica import VaultReplica

# What people read
WITHHELD = "The service does not show what an entry of your log says."


@dataclass(frozen=True)
class _Shown:
    """What the service shows of the new part of the log. ``place``: scanned to its end, judged to where it began."""

    believed: BelievedHead
    note: bytes
    place: AuditPlace
    found: dict[int, FoundLeaf]
    openings: dict[int, SealedOpening]
    lost: LostEntries


class Audit:
    """One audit run of one vault."""

    def __init__(self, store: DeviceStore, service: Service, own: OwnIdentity, replica: VaultReplica) -> None:
        self._store = store
        self._service = service
        self._own = own
        self._replica = replica
        self._alarms = Alarms()
        self._readers = ReaderKeys(service)
        self._views = SeenHeads(service, own.device.public.key_id, self._alarms)
        self._erasures = Erasures(store, service, own, replica)
        self._sought = SoughtGrants(store, replica)
        self._changes = Changes(store, own, replica)
        self._readings = Readings(store, replica, self._sought, self._readers, self._views, self._alarms)

    async def run(self) -> AuditReport:
        """Scan and judge what is new, keep it, and report everything."""
        held = self._replica.local.head.n
        shown = await self._look()
        if not shown.found.keys() <= shown.openings.keys():
            # Erased since the head was signed, perhaps: what says so is then under the newest one.
            newest = await self._service.refresh(self._replica.origin)
            shown = await self._look() if newest.head.size > shown.believed.head.size else shown
        believed, note = shown.believed, shown.note
        entries, place = await self._judge_all(shown)
        await self._views.check(believed)
        if place.next_link <= held:
            self._alarms.add(
                "UNLOGGED", None, "A change to the record is not in the log. The service hid it."
            )
        raised, lost = self._alarms.raised, shown.lost
        gathering = EvidenceGathering(self._service, self._own, self._replica, self._readers, believed, note)
        findings = [finding async for finding in gathering.findings(raised)]
        with self._store.transaction():
            for entry in entries:
                self._store.put(entry_name(entry.index), entry)
            self._erasures.forget()
            self._replica.entries.forget(self._erasures.erased)
            for each, finding in zip(raised, findings, strict=True):
                alarm = each.alarm
                where = believed.head.size if alarm.index is None else alarm.index
                if lost.is_final(each):
                    keep_alarm(self._store, where, alarm, finding)
            if not lost.is_awaited:  # else the next run begins where this one did
                self._store.put("audit", place)
                keep_head(self._store, AUDITED, believed, note)
            keep_head(self._store, REPORTED, believed, note)
            lost.keep_wait()
        return self._report(believed, [each.alarm for each in raised if not lost.is_final(each)])

    def last(self) -> AuditReport | None:
        """What the last run reported, at the head and time of that run. None before the first."""
        heads = last_heads(self._store)
        return self._report(heads[0]) if heads else None

    def _report(self, believed: BelievedHead, provisional: Sequence[Alarm] = ()) -> AuditReport:
        gone = self._store.get("gone", EntriesGone)
        return AuditReport(
            entries=tuple(entry for _, entry in sorted(self._store.scan("entry", Entry))),
            alarms=(*kept_alarms(self._store), *provisional),
            size=believed.head.size,
            root=believed.head.root,
            time=believed.time,
            gone=gone.until if gone is not None else 0,
            losses=kept_losses(self._store, self._replica.origin),
        )

    async def _look(self) -> _Shown:
        """Scan what is new, and fetch its openings."""
        # The head before the record: a link that came between is under a later head, and not missed in this one.
        origin = self._replica.origin
        believed, note = await self._service.witnessed(origin)
        await compare_with_keeper(self._service, self._store, believed, note)
        await self._replica.sync()
        place = self._store.get("audit", AuditPlace) or AuditPlace(
            scanned=log_scan.begin(origin), last=FIRST, next_link=0, grants=()
        )
        grants, late = self._sought.all(), self._sought.late(place)
        try:
            scanned = await self._scan_begin(place, late, believed)
            blocks = [block async for block in self._leaves(scanned, believed.head.size)]
        except NotFound:  # gone, as those over three years old may be
            place = await PastEntriesGone(self._store, self._service, self._replica).go_on(place, believed)
            scanned = place.scanned
            blocks = [block async for block in self._leaves(scanned, believed.head.size)]
        result = log_scan.scan(scanned, blocks, scan_keys(self._replica, grants), believed.head)
        found = not_seen_before(result.found, place, late)
        since = min([place.scanned.size, *found])
        answers = sealed_openings(self._service.api, self._replica.vault, since, believed.head.size)
        openings = {opening.index: opening async for opening in answers}
        gids = tuple(sorted(grant.entry.gid for grant in grants))
        place = msgspec.structs.replace(place, scanned=result.scanned, grants=gids)
        losses = await declared_losses(self._service, self._store, origin)
        lost = LostEntries(self._store, self._replica, losses, self._service.now())
        return _Shown(believed, note, place, found, openings, lost)

    async def _scan_begin(
        self, place: AuditPlace, late: Iterable[LocalGrant], believed: BelievedHead
    ) -> Scanned:
        """Where to scan from: for grants that the scan so far did not look for, from where the first of them can begin.

        The hashes it rests on then are believed only when they lead to the root of ``believed``, which is for the scan to find.
        """
        gone = self._store.get("gone", EntriesGone)
        begun = min((grant.begun for grant in late), default=place.scanned.size)
        size = max(begun, gone.until if gone is not None else 0)
        if size >= place.scanned.size:
            return place.scanned
        subtrees = await self._service.reader.subtrees(believed.origin, size, believed.head.size)
        return Scanned(origin=believed.origin, size=size, subtrees=tuple(subtrees))

    async def _leaves(self, scanned: Scanned, end: int) -> AsyncIterator[bytes]:
        for start in range(scanned.size, end, log_scan.BLOCK):
            stop = min(start + log_scan.BLOCK, end)
            yield await self._service.reader.leaves(scanned.origin, start, stop)

    async def _judge_all(self, shown: _Shown) -> tuple[list[Entry], AuditPlace]:
        place, entries, missing = shown.place, list[Entry](), list[FoundLeaf]()
        opened = {
            index: self._open(shown.found[index], shown.openings[index])
            for index in sorted(shown.found)
            if index in shown.openings
        }
        erasable = named(opening for opening in opened.values() if opening is not None)
        for index in sorted(shown.found):
            leaf, opening = shown.found[index], opened.get(index)
            is_lost = index not in opened and shown.lost.holds(leaf)
            if is_lost:
                opening = shown.lost.own(leaf)
            if opening is None and index in opened:
                continue  # an alarm already
            if opening is None:
                missing.append(leaf)
                if (index in erasable or is_lost) and leaf.by_vault:
                    # What the next entry follows from is in the leaf.
                    place = msgspec.structs.replace(place, last=leaf.leaf.commitment)
                if index not in erasable and (entry := shown.lost.note(leaf)) is not None:
                    entries.append(entry)
                continue
            check_time(self._store, self._alarms, leaf, opening, shown.believed)
            if leaf.by_vault:
                if not is_lost:
                    self._check_previous(place.last, leaf, opening)
                place = msgspec.structs.replace(place, last=leaf.leaf.commitment)
            else:
                self._alarms.add(
                    "HIDDEN_BY_SERVER",
                    leaf,
                    "The service logged an entry where only you could miss it.",
                    opening,
                    compared=self._changes.found_by(leaf),
                )
            if opening.envelope.type == labels.ACCESS_REQUEST:
                reading = await self._readings.judge(leaf, opening, place.next_link)
                entries += [reading] if reading is not None else []
                continue
            if opening.envelope.type == labels.ERASURE and leaf.by_tag is None:
                erasure = await self._erasures.judge(index, opening, place.next_link)
                if erasure is not None:
                    self._views.note(leaf, opening)
                    entries.append(erasure)
                    continue
            followed = self._changes.follow(place, leaf, opening)
            if followed is None:
                self._alarms.add(
                    "FORK", leaf, "The log holds what is not in this record, or out of order.", opening
                )
                continue
            place = followed
            if not is_lost:
                keep_found(self._store, self._replica, place.next_link - 1, leaf, opening)
            self._views.note(leaf, opening)
            entries.append(self._changes.take_in(leaf, opening))
        told = {entry.index for entry in entries}
        for leaf in missing:
            if not self._erasures.excuse(leaf) and leaf.index not in told:
                self._alarms.add("WITHHELD", leaf, LOST_UNKNOWN if shown.lost.holds(leaf) else WITHHELD)
        kept = [entry for entry in entries if not self._erasures.names(entry)]
        return kept, place

    def _check_previous(self, last: bytes, leaf: FoundLeaf, opening: Opening) -> None:
        """``last``: the commitment of the entry before, which the service says itself where that entry is gone."""
        before = opening.previous if last == GONE else last
        if opening.part.prev != (FIRST if before == FIRST else previous(opening.salt2, before)):
            self._alarms.add("CHAIN", leaf, "An entry does not follow from the one before it.", opening)

    def _open(self, leaf: FoundLeaf, sealed: SealedOpening) -> Opening | None:
        try:
            opening = self._replica.opening(sealed, leaf.leaf.commitment)
        except Refusal:
            self._alarms.add(
                "BAD_OPENING", leaf, "The service shows something else than what an entry of your log says."
            )
            return None
        fits = commitment(opening.salt, opening.envelope, opening.part) == leaf.leaf.commitment
        if not fits or opening.part.body != opening.envelope.digest:
            self._alarms.add(
                "BAD_OPENING", leaf, "What the service shows is not what the log committed to.", opening
            )
            return None
        return opening
