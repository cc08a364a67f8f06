"""The patient's copy of the vault chain, and the one way to append to it.

Every link is checked by ``crypto.vault_chain`` before it is believed, and kept. Documents, grants and blocks are local
records of their own, so one more link costs the same however long the record is.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass

import msgspec

from crypto import labels
from crypto.access_log import Disclosure
from crypto.encoding import decode
from crypto.errors import (
    BrokenChain,
    CoffreError,
    Conflict,
    Lacking,
    Malformed,
    NotPermitted,
    NotProven,
    Refusal,
    TooLarge,
)
from crypto.evidence import Finding
from crypto.identity_chain import Known
from crypto.locators import Locator, end_tag, event_tag
from crypto.sealed import shares
from crypto.sealed.keyring import VaultKeyring, check_vault_keyring, open_keyring
from crypto.sealed.unsealing import UnsealingKey
from crypto.secret_bytes import SecretBytes
from crypto.signing import Envelope, sign
from crypto.statements import View
from crypto.vault_chain import Changes, Document, VaultHead, VaultView, follow, latest_directory, named
from crypto.vault_links import (
    AnyOperation,
    End,
    Grant,
    VaultLink,
)
from crypto.wire.messages import EventSubmission, LinkAccepted, LinkQuery, LinkSubmission
from vault_client import vault_parts
from vault_client.alarms import Alarm, keep_alarm
from vault_client.device_store import DeviceStore
from vault_client.grants_elsewhere import GrantsElsewhere
from vault_client.kept_entries import KeptEntries, as_taken_in
from vault_client.kept_vault import KeptVault
from vault_client.local_vault import (
    Blocked,
    LocalVault,
    newest,
)
from vault_client.own_identity import OwnIdentity
from vault_client.service import Service
from vault_client.unanswered_links import UnansweredLinks

_TRIES = 4

# What people read
RESTORING = (
    "This record is being restored: its log has not been checked to the end. Nothing was changed. Go on with: coffre "
    "patient restore --kit FILE (with a kit on paper: --server URL)"
)


YET_DONE = (
    "The service refused a change that you sent from here, and put it into the record later all the same."
)


@dataclass(frozen=True)
class Intent:
    """What to append: operations, with what belongs to them. Signed anew on each new head.

    ``scan_key``: Kv, with a rotation. ``on``: the digest of the only link it may follow, where not any will do.
    """

    operations: tuple[AnyOperation, ...]
    tags: tuple[bytes, ...] = ()
    events: tuple[EventSubmission, ...] = ()
    parts: tuple[bytes, ...] = ()
    scan_key: bytes | None = None
    on: bytes | None = None


class VaultReplica(KeptVault):
    """The vault of this profile."""

    def __init__(
        self, store: DeviceStore, service: Service, own: OwnIdentity, kit: UnsealingKey | None = None
    ) -> None:
        """``kit``: opens the keyrings, in place of this device's own key, and lets a record be restored."""
        super().__init__(store)
        self._service = service
        self._own = own
        self._kit = kit
        self._elsewhere = GrantsElsewhere(store, service)
        self._unanswered = UnansweredLinks(store)
        self.entries = KeptEntries(store)

    async def append(self, intent: Intent) -> list[int]:
        """Sign, send, verify and keep one link. Returns the log indexes of its leaves.

        When another device was faster, its links are taken in and the same intent is signed again on the new head.
        A link whose answer was lost is sent again as it is when the same is wanted: the server then proves the one it
        has, instead of refusing a second.
        """
        if self._kit is None and self.is_restoring():
            raise NotPermitted(RESTORING)
        tried: set[bytes] = set()
        for _ in range(_TRIES):
            local = self.local
            if intent.on not in {None, local.head.link}:
                raise Conflict("The record has moved. Nothing was added. Try again.")
            lost = self._unanswered.find(local.head, intent.operations, besides=tried)
            envelope = lost or await self._signed(local.head, intent)
            link = decode(envelope.body, VaultLink)
            changes = None
            if envelope.digest != local.head.link:  # else a sync took it in
                changes = await self._changes(local.head, envelope, link)
            self._unanswered.note(envelope)
            submission = LinkSubmission(
                envelope=envelope,
                scan_key=intent.scan_key,
                tags=intent.tags,
                events=intent.events,
                parts=intent.parts,
            )
            self.entries.keep_sent(link.n, submission)
            try:
                accepted = await self._service.api.append_link(submission)
            except Conflict:
                self._unanswered.refuse(envelope)
                await self.sync()
                continue
            except Refusal as refusal:
                # An answer that cannot be read is not the server's word that nothing was done; nor is it final that it
                # lacks what comes before.
                if not isinstance(refusal, Malformed | TooLarge | Lacking):
                    self._unanswered.refuse(envelope)
                if lost is None:
                    raise
                tried.add(envelope.digest)
                continue  # signed too long ago, perhaps: it is signed anew
            sent = [each.envelope for each in intent.events]
            tagged = list(zip(logged_bodies(envelope, intent.operations, sent), intent.tags, strict=True))
            proved = await self._believe(local.head, envelope, tagged, accepted)
            self.entries.keep_proved(link.n, envelope, proved)
            if changes is not None:
                self._keep(
                    local,
                    link.n,
                    envelope,
                    changes,
                    await vault_parts.of_link(self._service, link, intent.parts),
                )
            self._unanswered.forget(envelope)
            self._forget_overtaken()
            self.forget_intents({step.event for step in self.sent() if isinstance(step, Grant)})
            await self.keep_openings()
            return [each.index for each in proved]
        raise Conflict("Other devices kept writing to this record. Nothing was added. Try again in a moment.")

    def unanswered(self) -> tuple[AnyOperation, ...]:
        """What was sent and is neither refused nor proved and kept: it may be in the record. Empty otherwise."""
        return self._unanswered.operations(self.local.head)

    def sent(self) -> tuple[AnyOperation, ...]:
        """``unanswered``, and what was refused: a server can do later what it said that it would not."""
        return self.unanswered() + self._unanswered.operations(self.local.head, refused=True)

    def _forget_overtaken(self) -> None:
        """What another link overtook comes into the record no more; the grants among it can be in the log all the same."""
        with self._store.transaction():
            overtaken = self._unanswered.forget_overtaken(self.local.head)
            self.keep_overtaken(step for step in overtaken if isinstance(step, Grant))

    async def view(self) -> View:
        """What a body of this record says of the world, signed now: it names no older directory than the record has."""
        named = self.local.head.dir
        return await self._service.view(self.origin, least=named.size if named is not None else 0)

    async def _signed(self, head: VaultHead, intent: Intent) -> Envelope:
        view = await self.view()
        link = VaultLink(
            suite=labels.SUITE,
            vault=head.vault,
            n=head.n + 1,
            prev=head.link,
            signers=(self._own.known_at(self._service, view.dir).ref,),
            operations=intent.operations,
            view=view,
        )
        return sign(labels.VAULT_LINK, link, self._own.device)

    async def sync(self) -> int:
        """Take in links that other devices wrote. Returns how many there were.

        Each counts once all of its leaves are proved to be under a cosigned head; while a record is restored, its log is
        compared with all links before anything is written. One that the server had refused to this device is an alarm.
        """
        taken, restoring = 0, self._kit is not None or self.is_restoring()
        while True:
            local = self.local
            answer = await self._service.api.links(LinkQuery(vault=local.head.vault, since=local.head.n + 1))
            for envelope in answer.links:
                local = self.local
                link = decode(envelope.body, VaultLink)
                changes = await self._changes(local.head, envelope, link)
                grants = [operation for operation in link.operations if isinstance(operation, Grant)]
                events = [await self._elsewhere.learn_of(self.vault, operation) for operation in grants]
                parts = await vault_parts.of_link(self._service, link, ())
                keyring = self._keyring(local, changes.head, parts)
                self.entries.keep_sent(link.n, as_taken_in(envelope, keyring, local.keyring, events, parts))
                proved: list[Disclosure] = []
                if not restoring:
                    tags = leaf_tags(link, changes, keyring)
                    bodies = logged_bodies(envelope, link.operations, [event.envelope for event in events])
                    proved = await self._prove(local.head, envelope, list(zip(bodies, tags, strict=True)))
                    self.entries.keep_proved(link.n, envelope, proved)
                self._keep(local, link.n, envelope, changes, parts)
                if proved:
                    self._note_proved(envelope, link, proved[0].index)
                taken += 1
            if not answer.more:
                await self._take_in_withheld()
                self._forget_overtaken()
                await self.keep_openings()
                return taken
            if not answer.links:
                raise NotProven("The server announces changes that it does not show. Try again later.")

    async def keep_openings(self) -> None:
        """Keep what came to be opened in the log, to show it again should the service lose it. Nothing depends on it now."""
        with suppress(CoffreError):
            end = self._service.believed(self.origin).head.size
            await self.entries.take_in(self._service.api, self.vault, end)

    async def _changes(self, head: VaultHead, envelope: Envelope, link: VaultLink) -> Changes:
        """What a link changes, its signer live at its ``dir`` and at the largest that the record has named."""
        signers = await self._signers(link)
        later = self._own.known_at(self._service, latest_directory(head.dir, link.view.dir))
        return follow(self._view(head, link.operations, [later]), envelope, signers)

    async def _signers(self, link: VaultLink) -> Sequence[Known]:
        if [ref.identity for ref in link.signers] != [self._own.identity]:
            raise BrokenChain(
                "A change is signed by somebody whom this device does not know to hold the record. It was not believed."
            )
        await self._service.directory(
            link.view.dir.size
        )  # none is named that is not there: all later ones are judged by it
        known = self._own.known_at(self._service, link.view.dir)
        if known.ref != link.signers[0]:
            await self._own.refresh(self._service, self._store)
            known = self._own.known_at(self._service, link.view.dir)
        return [known]

    async def _prove(
        self, head: VaultHead, envelope: Envelope, tagged: Sequence[tuple[Envelope, bytes]]
    ) -> list[Disclosure]:
        """Have a link proved that is in the record already: sent again, it is answered as it was when it was new."""
        submission = LinkSubmission(envelope=envelope, scan_key=None, tags=(), events=(), parts=())
        try:
            accepted = await self._service.api.append_link(submission)
        except Conflict:
            raise NotProven(
                "The server shows a change of the record and another one in its place. It was not taken in."
            ) from None
        return await self._believe(head, envelope, tagged, accepted)

    def _note_proved(self, envelope: Envelope, link: VaultLink, index: int) -> None:
        """Its ends are in force; and what the server had refused to this device, it should not have put in."""
        for operation in link.operations:
            if isinstance(operation, End):
                self.keep_end_in_force(operation.gid)
        if self._unanswered.was_refused(envelope):
            alarm = Alarm(code="REFUSED_YET_DONE", index=index, text=YET_DONE, leaf=b"", opening=None)
            finding = Finding(
                code=alarm.code,
                text=alarm.text,
                time=self._service.now(),
                origin=self.origin,
                notes=(),
                beginning=None,
                entries=(),
                people=(),
            )
            with self._store.transaction():
                keep_alarm(self._store, index, alarm, finding)
            self._unanswered.forget(envelope)

    async def _believe(
        self,
        head: VaultHead,
        envelope: Envelope,
        tagged: Sequence[tuple[Envelope, bytes]],
        accepted: LinkAccepted,
    ) -> list[Disclosure]:
        """Check the proof of every leaf of the transaction of a link that follows ``head``; what opens each."""
        bodies = [(envelope, None), *tagged]
        if len(accepted.logged) != len(bodies):
            raise NotProven(
                "The server proved fewer log entries than the link made. Check the log before going on."
            )
        locator = Locator(SecretBytes(self.epoch(head.keys.epoch).scan_key), head.origin)
        for (body, tag), logged in zip(bodies, accepted.logged, strict=True):
            leaf = await self._service.believe_logged(head.origin, logged, body, "accepted")
            if not locator.matches(leaf.slot_one) or (tag is not None and leaf.slot_two != tag):
                raise NotProven(
                    "The server logged a change where it cannot be found. Check the log before going on."
                )
        return [logged.disclosure for logged in accepted.logged]

    def _view(self, head: VaultHead, operations: Sequence[AnyOperation], later: Sequence[Known]) -> VaultView:
        """The head, and the state of whatever ``operations`` name."""
        wanted = named(operations)
        documents = map(self.state, wanted.documents)
        entries = (self._entry(gid) for gid in wanted.grants)
        return VaultView(
            head=head,
            documents={each.doc: each for each in documents if each is not None},
            grants={each.gid: each for each in entries if each is not None},
            blocked={identity: self.is_blocked(identity) for identity in wanted.identities},
            later=later,
        )

    def _keep(
        self, local: LocalVault, n: int, envelope: Envelope, changes: Changes, parts: Mapping[bytes, bytes]
    ) -> None:
        with self._store.transaction():
            self._store.put(f"link/{n}", envelope)
            keyring = self._keyring(local, changes.head, parts)
            self._store.put("vault", msgspec.structs.replace(local, head=changes.head, keyring=keyring))
            for doc, document in changes.documents.items():
                self._keep_document(doc, document, parts)
            for entry in changes.grants.values():
                self._keep_entry(entry)
            for identity, blocked in changes.blocked.items():
                self._store.put(f"blocked/{identity.hex()}", Blocked(blocked=blocked))

    def _keyring(self, local: LocalVault, head: VaultHead, parts: Mapping[bytes, bytes]) -> VaultKeyring:
        """The keyring after a link: another one when the link names it, and that one goes on from ours."""
        if head.keys == local.head.keys:
            return local.keyring
        part = parts[head.keys.keyring]
        keyring = open_keyring(labels.VAULT_KEYRING, VaultKeyring, part, self._kit or self._own.unsealing)
        check_vault_keyring(local.keyring, keyring, head.keys, vault=head.vault, link=local.head.link)
        return keyring

    async def _take_in_withheld(self) -> None:
        """Every document whose parts were not shown is deleted by now, or they are shown. Raises NotProven."""
        for _, document in list(self._store.scan("withheld", Document)):
            if not document.deleted:
                names = (newest(document).self_wrap, newest(document).descriptor)
                parts = await vault_parts.fetched(self._service, self.vault, names)
                with self._store.transaction():
                    self._keep_document(document.doc, document, parts)


def logged_bodies(
    envelope: Envelope, operations: Sequence[AnyOperation], events: Sequence[Envelope]
) -> Iterator[Envelope]:
    """The body behind each tagged leaf: an event's own envelope, the link's for an end, in order."""
    event = iter(events)
    for operation in operations:
        if isinstance(operation, Grant):
            yield next(event)
        elif isinstance(operation, End):
            yield envelope


def leaf_tags(link: VaultLink, changes: Changes, keyring: VaultKeyring) -> Iterator[bytes]:
    """Slot two of each tagged leaf of a link, as whoever holds the record can compute them."""
    secrets = {keys.epoch: SecretBytes(keys.secret) for keys in keyring.epochs}
    for operation in link.operations:
        if isinstance(operation, Grant | End):
            gid, origin = operation.gid, changes.head.origin
            end_key = shares.end_key(secrets[changes.grants[gid].epoch_first], gid)
            if isinstance(operation, Grant):
                yield event_tag(end_key, origin, gid, operation.j)
            else:
                yield end_tag(end_key, origin, gid)
