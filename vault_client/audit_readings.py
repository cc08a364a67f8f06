"""Judging one reading in the patient's log: who asked, was it allowed, was it logged as it should be.

What does not hold is an alarm about whoever alone can have caused it: the reader's device, or the service.
"""

from collections.abc import Sequence

from crypto.access_log import Opening
from crypto.checkpoint import TEN_MINUTES
from crypto.encoding import decode
from crypto.errors import Refusal
from crypto.padding import unpad_record
from crypto.requests import AccessRequest, Purpose, check_request, purpose_info, read_request
from crypto.sealed.unsealing import UnsealingKey
from crypto.secret_bytes import SecretBytes
from vault_client.alarms import Alarms
from vault_client.audit_report import Entry
from vault_client.closed_documents import ClosedDocuments
from vault_client.declared_losses import kept_losses, loss_of
from vault_client.device_store import DeviceStore
from vault_client.local_vault import EventTerms, FoundAt, LocalGrant, SharedDocuments
from vault_client.log_scan import FoundLeaf
from vault_client.logged_changes import LoggedChanges
from vault_client.reader_keys import ReaderKeys
from vault_client.seen_heads import SeenHeads
from vault_client.sought_grants import SoughtGrants
from vault_client.vault_replica import VaultReplica


class Readings:
    """The readings of one audit run."""

    def __init__(
        self,
        store: DeviceStore,
        replica: VaultReplica,
        sought: SoughtGrants,
        readers: ReaderKeys,
        views: SeenHeads,
        alarms: Alarms,
    ) -> None:
        self._store = store
        self._replica = replica
        self._sought = sought
        self._readers = readers
        self._views = views
        self._alarms = alarms
        self._closed = ClosedDocuments(store)
        self._logged = LoggedChanges(store)

    async def judge(self, leaf: FoundLeaf, opening: Opening, links: int) -> Entry | None:
        """The entry of a request's leaf, behind so many ``links``; None when nobody can have asked so, or when it stands already."""
        try:
            request = read_request(opening.envelope)
        except Refusal:
            self._alarms.add(
                "FORGED_READ", leaf, "The log holds a reading that no device can have asked for.", opening
            )
            return None
        refused = opening.part.outcome != "granted"
        if not refused and self._is_replayed(leaf, opening, request):
            return None
        proven = await self._check_reader(leaf, opening, request, refused)
        grant = self._sought.grant(request.gid) if proven else None
        if proven:
            self._views.note(leaf, opening)
            self._check_reading(leaf, opening, request, grant, refused)
            if not refused:
                self._check_open(leaf, opening, request, links)
        return Entry(
            index=leaf.index,
            time=opening.part.time,
            kind="refused" if refused else "access",
            act=request.act,
            identity=request.identity if proven else None,
            name=grant.name if grant is not None else "",
            grant=grant.entry.gid if grant is not None else None,
            documents=tuple(entry.doc for entry in request.documents),
            changes=(),
            purpose=self._purpose(request) if proven else None,
        )

    def _is_replayed(self, leaf: FoundLeaf, opening: Opening, request: AccessRequest) -> bool:
        """Whether the request's slot two stands in the log already: only its first leaf is a reading."""
        name = f"slot/{request.slot_two.hex()}"
        first = self._store.get(name, FoundAt)
        if first is None:
            place = FoundAt(index=leaf.index, statement=opening.envelope.digest)
            self._store.put(name, place)
        elif first.index != leaf.index:
            text = "The service logged one reading a second time."
            self._alarms.add("REPLAY", leaf, text, opening, compared=(first.index,))
            return True
        return False

    def _check_reading(
        self,
        leaf: FoundLeaf,
        opening: Opening,
        request: AccessRequest,
        grant: LocalGrant | None,
        refused: bool,
    ) -> None:
        device = request.device.hex()[:8]
        name = grant.name if grant is not None else request.identity.hex()[:8]
        if leaf.by_tag is not None:
            self._alarms.add(
                "MISPLACED_BY_READER",
                leaf,
                f"The device {device} of {name} marked its reading as a change or the end of a grant: it knows the keys for that.",
                opening,
            )
        elif not refused and leaf.by_grant != request.gid:
            self._alarms.add(
                "MISPLACED_BY_READER",
                leaf,
                f"The device {device} of {name} hid where its reading is logged.",
                opening,
            )
        if not refused:
            self._check_scope(leaf, opening, request, grant)
        if abs(opening.part.time - request.time) > TEN_MINUTES:
            self._alarms.add("BACKDATED", leaf, "The times of a reading do not agree.", opening)

    async def _check_reader(
        self, leaf: FoundLeaf, opening: Opening, request: AccessRequest, refused: bool
    ) -> bool:
        """Whether the person that a request names is proven to have signed it, as a member of the team it names, if any."""
        at = request.view.dir
        known = await self._readers.known(request.identity, at)
        team = await self._readers.known(request.team, at) if request.team is not None else None
        if known is None or (request.team is not None and team is None):
            if not refused:
                text = "The service shows no keys of a reader that can be checked."
                self._alarms.add("KEY_NOT_VALID", leaf, text, opening)
            return False
        try:
            check_request(opening.envelope, known, team, request.time)
        except Refusal:
            self._alarms.add("FORGED_READ", leaf, "A reading is not signed by the person it names.", opening)
            return False
        return True

    def _check_scope(
        self, leaf: FoundLeaf, opening: Opening, request: AccessRequest, grant: LocalGrant | None
    ) -> None:
        if grant is None or request.recipient != grant.entry.recipient:
            self._alarms.add("OUT_OF_SCOPE", leaf, "Someone read without a grant of yours.", opening)
            return
        documents = [entry.doc for entry in request.documents]
        outside = request.act != "list" and not self._gave(request.gid, documents, leaf.index)
        ended = self._logged.end(request.gid)
        terms = self._terms(grant, leaf.index)
        over = opening.part.time > terms.expiry or (ended is not None and ended.index < leaf.index)
        if outside or over or request.act not in terms.acts or request.identity in terms.excluded:
            compared = [found.index for found in (ended, self._event(request)) if found is not None]
            text = "Someone read what the grant does not allow."
            self._alarms.add("OUT_OF_SCOPE", leaf, text, opening, compared=tuple(compared))
        newest = self._logged.newest_event(request.gid, request.view.seen.size)
        held = self._event(request)
        if newest is not None and loss_of(kept_losses(self._store, request.origin), newest.index) is not None:
            return  # the service had lost it, and could not deliver it: no keeper answers for an older one
        if newest is not None and (held is None or held.index < newest.index):
            self._alarms.add(
                "STALE_VIEW",
                leaf,
                "A reader used an older grant than the one in the log.",
                opening,
                compared=(newest.index, *([held.index] if held is not None else [])),
            )

    def _check_open(self, leaf: FoundLeaf, opening: Opening, request: AccessRequest, links: int) -> None:
        """A server that takes a mask or a deletion in answers for the document no more: the keepers do not know of it."""
        if request.act != "list" and not self._closed.after(links).isdisjoint(
            entry.doc for entry in request.documents
        ):
            text = "The service let someone open a document that you had masked or deleted."
            self._alarms.add("OUT_OF_SCOPE", leaf, text, opening)

    def _gave(self, gid: bytes, documents: Sequence[bytes], index: int) -> bool:
        """Whether the events of a grant before ``index`` gave ``documents``, and none had taken one out by then.

        Whether any of its events ever did, where this device does not have what each of them gave; and whether its first did, of a
        grant that is not in the record.
        """
        sent = self._sought.sent_only(gid)
        if sent is not None:
            return {version.doc for version in sent}.issuperset(documents)
        given: set[bytes] = set()
        for event in self._logged.events(gid, before=index):
            shared = self._store.get(f"shared/{event.statement.hex()}", SharedDocuments)
            if shared is None:
                return all(self._replica.was_granted(gid, doc) for doc in documents)
            given = set(shared.docs) if shared.whole else given | set(shared.docs)
        return given.issuperset(documents)

    def _terms(self, grant: LocalGrant, index: int) -> EventTerms | LocalGrant:
        """What a grant allows, and whom of a team it leaves out, as its last event before ``index`` has it.

        Those of its newest event where an earlier version of this program took in the other.
        """
        last = self._logged.newest_event(grant.entry.gid, index)
        terms = self._store.get(f"terms/{last.statement.hex()}", EventTerms) if last is not None else None
        return terms if terms is not None else grant

    def _event(self, request: AccessRequest) -> FoundAt | None:
        """Where the event stands that the reader says it holds."""
        events = self._logged.events(request.gid)
        return next((event for event in events if event.statement == request.ghead), None)

    def _purpose(self, request: AccessRequest) -> Purpose | None:
        info = purpose_info(request.origin, request.gid, request.nonce)
        for keys in self._replica.local.keyring.epochs:
            try:
                record = UnsealingKey(SecretBytes(keys.log_key)).open(info, request.purpose)
                return decode(unpad_record(record), Purpose)
            except Refusal:
                continue
        return None
