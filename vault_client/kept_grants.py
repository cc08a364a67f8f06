"""What this device keeps of the grants of a vault: their state in the chain, what it knows of each, what each gives."""

from collections.abc import Collection, Iterable, Iterator

import msgspec

from crypto.errors import NotPermitted
from crypto.vault_chain import GrantEntry
from crypto.vault_links import Grant
from vault_client.device_store import DeviceStore
from vault_client.local_vault import (
    EventTerms,
    GrantedVersion,
    GrantIntent,
    GrantMade,
    LocalGrant,
    OvertakenGrant,
    SharedDocuments,
)


class KeptGrants:
    """The grants of the vault of this profile."""

    def __init__(self, store: DeviceStore) -> None:
        self._store = store

    def grant(self, gid: bytes) -> LocalGrant | None:
        """One grant, if it is there."""
        made, entry = self._store.get(_grant_name(gid), GrantMade), self._entry(gid)
        if made is None or entry is None:
            return None
        return LocalGrant(entry=entry, **msgspec.structs.asdict(made))

    def existing_grant(self, gid: bytes) -> LocalGrant:
        """One grant. Raises NotPermitted when there is none of this id."""
        grant = self.grant(gid)
        if grant is None:
            raise NotPermitted("There is no such grant. Nothing was changed. Look at the list of grants.")
        return grant

    def grants(self) -> Iterator[LocalGrant]:
        """Every grant this device knows, ended ones too."""
        for _, entry in self._store.scan("grant-entry", GrantEntry):
            if (grant := self.grant(entry.gid)) is not None:
                yield grant

    def granted(self, gid: bytes) -> Iterator[GrantedVersion]:
        """The versions that a grant gives now."""
        for _, version in self._store.scan(f"granted-{gid.hex()}", GrantedVersion):
            if version.current:
                yield version

    def was_granted(self, gid: bytes, doc: bytes) -> bool:
        """Whether a grant gives a document, or ever gave it."""
        return self._store.get(f"granted-{gid.hex()}/{doc.hex()}", GrantedVersion) is not None

    def keep_intent(self, intent: GrantIntent) -> None:
        """Remember a grant event before it is sent."""
        self._store.put(intent_name(intent.gid, intent.event), intent)

    def keep_end_in_force(self, gid: bytes) -> None:
        """Remember that a grant's end is proved to be in force: by the keepers, a receipt, or the log itself.

        That goes for the events of it that were sent and not answered too.
        """
        if (made := self._store.get(_grant_name(gid), GrantMade)) is not None:
            self._store.put(_grant_name(gid), msgspec.structs.replace(made, end_in_force=True))
        for name, intent in list(self._store.scan("intent", GrantIntent)):
            if intent.gid == gid:
                ended = msgspec.structs.replace(intent.grant, end_in_force=True)
                self._store.put(name, msgspec.structs.replace(intent, grant=ended))

    def forget_intents(self, besides: Collection[bytes]) -> None:
        """Forget all that was sent and can not come into the record any more: ``besides`` are the events that can."""
        for name, intent in list(self._store.scan("intent", GrantIntent)):
            if intent.event not in besides:
                self._store.delete(name)

    def keep_overtaken(self, steps: Iterable[Grant]) -> None:
        """Remember the grants that ``steps``, which another link overtook, would have begun, to look for them in the log."""
        for step in steps:
            intent = self._store.get(intent_name(step.gid, step.event), GrantIntent)
            if not step.j and intent is not None and self._entry(step.gid) is None:
                self._store.put(f"overtaken-grant/{step.gid.hex()}", OvertakenGrant(step=step, intent=intent))

    def overtaken(self) -> Iterator[OvertakenGrant]:
        """The grants that were sent and overtaken, and have not come into the record since."""
        for _, grant in self._store.scan("overtaken-grant", OvertakenGrant):
            if self._entry(grant.step.gid) is None:
                yield grant

    def keep_made(self, gid: bytes, event: bytes, time: int) -> None:
        """Remember when an event was made that another device made: only the log tells. The first is the grant's."""
        if (made := self._store.get(_grant_name(gid), GrantMade)) is not None and not made.made:
            self._store.put(_grant_name(gid), msgspec.structs.replace(made, made=time))
        if (terms := self._store.get(terms_name(event), EventTerms)) is not None and not terms.made:
            self._store.put(terms_name(event), msgspec.structs.replace(terms, made=time))

    def _entry(self, gid: bytes) -> GrantEntry | None:
        return self._store.get(_entry_name(gid), GrantEntry)

    def _keep_entry(self, entry: GrantEntry) -> None:
        name = entry.gid.hex()
        self._store.put(_entry_name(entry.gid), entry)
        intent = self._store.get(intent_name(entry.gid, entry.event), GrantIntent)
        if intent is None:
            return
        if intent.whole:
            for record, old in list(self._store.scan(f"granted-{name}", GrantedVersion)):
                self._store.put(record, msgspec.structs.replace(old, current=False))
        for version in intent.versions:
            self._store.put(f"granted-{name}/{version.doc.hex()}", version)
        made = intent.grant
        docs = tuple(version.doc for version in intent.versions)
        self._store.put(f"shared/{intent.event.hex()}", SharedDocuments(docs=docs, whole=intent.whole))
        terms = EventTerms(
            acts=made.acts,
            expiry=made.expiry,
            purposes=made.purposes,
            made=made.made,
            excluded=made.excluded,
        )
        self._store.put(terms_name(intent.event), terms)
        if entry.j and (before := self._store.get(_grant_name(entry.gid), GrantMade)) is not None:
            made = msgspec.structs.replace(made, made=before.made, begun=before.begun)
        self._store.put(_grant_name(entry.gid), made)
        for kept, other in list(self._store.scan("intent", GrantIntent)):
            if other.gid == entry.gid:
                self._store.delete(kept)


def _entry_name(gid: bytes) -> str:
    return f"grant-entry/{gid.hex()}"


def intent_name(gid: bytes, event: bytes) -> str:
    """The record of what is known of an event before its link is kept."""
    return f"intent/{gid.hex()}/{event.hex()}"


def terms_name(event: bytes) -> str:
    """The record of what a grant allows from an event on."""
    return f"terms/{event.hex()}"


def _grant_name(gid: bytes) -> str:
    return f"grant/{gid.hex()}"
