"""Judging one change in the patient's log: is it the next of the record, and what did it do.

Where the events and ends of grants stand is kept: later entries are judged by it.
"""

from functools import cache

import msgspec

from crypto import labels
from crypto.access_log import Opening
from crypto.encoding import decode
from crypto.signing import Envelope
from crypto.vault_links import AddVersion, Adopt, AnyOperation, End, Grant, Mask, Rotate, Tombstone, VaultLink
from vault_client.audit_report import AMENDED, CHANGED, FOUNDED, KEYED_ANEW, Entry, change_of
from vault_client.device_store import DeviceStore
from vault_client.grant_history import keyed_anew
from vault_client.local_vault import AuditPlace, SharedDocuments
from vault_client.log_scan import FoundLeaf, Tagged
from vault_client.logged_changes import LoggedChanges
from vault_client.own_identity import OwnIdentity
from vault_client.vault_replica import VaultReplica


class Changes:
    """The changes of one audit run."""

    def __init__(self, store: DeviceStore, own: OwnIdentity, replica: VaultReplica) -> None:
        self._store = store
        self._own = own
        self._replica = replica
        self._logged = LoggedChanges(store)
        self._keyed_anew = cache(lambda: keyed_anew(store))  # asked for once the record is synced

    def follow(self, place: AuditPlace, leaf: FoundLeaf, opening: Opening) -> AuditPlace | None:
        """The place after a statement of the record's own, None when it is not the one expected here.

        A link is the next of the record; a tagged leaf is an event or end that the last link holds, once.
        """
        envelope, tagged = opening.envelope, leaf.by_tag
        if tagged is None:
            known = self._store.get(f"link/{place.next_link}", Envelope)
            if known is None or known.digest != envelope.digest:
                return None
            return msgspec.structs.replace(place, next_link=place.next_link + 1)
        last = self._store.get(f"link/{place.next_link - 1}", Envelope)
        if last is None or last.type != labels.VAULT_LINK or self._stands_already(leaf, tagged, envelope):
            return None
        for step in decode(last.body, VaultLink).operations:
            match step:
                case Grant(gid=tagged.gid, j=tagged.j, event=envelope.digest):
                    return place
                case End(gid=tagged.gid) if tagged.j is None and envelope.digest == last.digest:
                    return place
        return None

    def take_in(self, leaf: FoundLeaf, opening: Opening) -> Entry:
        """The entry of a change that followed, and keep where it stands."""
        envelope, tagged = opening.envelope, leaf.by_tag
        if tagged is None:
            if _gives_scan_key(envelope):
                self._logged.note_scan_key(leaf.index, envelope.digest)
        elif envelope.type == labels.GRANT_EVENT:
            self._logged.note_event(tagged.gid, leaf.index, envelope.digest)
            self._replica.keep_made(tagged.gid, envelope.digest, opening.part.time)
            return self._granted(leaf, tagged, opening)
        else:
            self._logged.note_end(tagged.gid, leaf.index, envelope.digest)
            self._replica.keep_end_in_force(tagged.gid)
        return self._change(leaf, opening)

    def found_by(self, leaf: FoundLeaf) -> tuple[int, ...]:
        """Where the log says which scan key the service had, and whose grant ``leaf`` is under."""
        given = self._logged.scan_key()
        events = self._logged.events(leaf.by_grant) if leaf.by_grant is not None else []
        return tuple(found.index for found in (given, *events[:1]) if found is not None)

    def _stands_already(self, leaf: FoundLeaf, tagged: Tagged, envelope: Envelope) -> bool:
        if tagged.j is None:
            end = self._logged.end(tagged.gid)
            return end is not None and end.index != leaf.index
        return any(
            event.statement == envelope.digest and event.index != leaf.index
            for event in self._logged.events(tagged.gid)
        )

    def _granted(self, leaf: FoundLeaf, tagged: Tagged, opening: Opening) -> Entry:
        grant = self._replica.grant(tagged.gid)
        return Entry(
            index=leaf.index,
            time=opening.part.time,
            kind="granted",
            act="",
            identity=grant.entry.recipient if grant is not None else None,
            name=grant.name if grant is not None else "",
            grant=tagged.gid,
            documents=self._shared(opening.envelope.digest),
            changes=(CHANGED,) if tagged.j else (),
            purpose=None,
        )

    def _change(self, leaf: FoundLeaf, opening: Opening) -> Entry:
        steps: tuple[AnyOperation, ...] = ()
        if opening.envelope.type == labels.VAULT_LINK:
            steps = decode(opening.envelope.body, VaultLink).operations
        grant = next((self._replica.grant(step.gid) for step in steps if isinstance(step, Grant | End)), None)
        is_end = leaf.by_tag is not None
        return Entry(
            index=leaf.index,
            time=opening.part.time,
            kind="ended" if is_end else "change",
            act="",
            identity=grant.entry.recipient if grant is not None and is_end else self._own.identity,
            name=grant.name if grant is not None else "",
            grant=grant.entry.gid if grant is not None else None,
            documents=tuple(doc for step in steps for doc in self._documents(step)),
            changes=tuple(dict.fromkeys(map(self._change_of, steps))) or (FOUNDED,),
            purpose=None,
        )

    def _change_of(self, step: AnyOperation) -> str:
        """What a step does, in one word; an event that is known to give nothing changes the terms of its grant.

        One with new keys gives nothing that was not given before: it takes out, or only keys anew.
        """
        if isinstance(step, Grant):
            if step.rekey and step.event in self._keyed_anew():
                return KEYED_ANEW
            shared = self._store.get(f"shared/{step.event.hex()}", SharedDocuments)
            return AMENDED if shared is not None and not shared.docs else change_of(step)
        return change_of(step)

    def _documents(self, step: AnyOperation) -> tuple[bytes, ...]:
        match step:
            case AddVersion(doc=doc) | Adopt(doc=doc) | Tombstone(doc=doc) | Mask(doc=doc):
                return (doc,)
            case Grant(event=event):
                return self._shared(event)
            case End(gid=gid):
                return tuple(version.doc for version in self._replica.granted(gid))
        return ()

    def _shared(self, event: bytes) -> tuple[bytes, ...]:
        found = self._store.get(f"shared/{event.hex()}", SharedDocuments)
        return found.docs if found is not None else ()


def _gives_scan_key(envelope: Envelope) -> bool:
    """Whether a founding or a link, which is in this record, brings a scan key."""
    if envelope.type != labels.VAULT_LINK:
        return envelope.type == labels.GENESIS
    return any(isinstance(step, Rotate) for step in decode(envelope.body, VaultLink).operations)
