"""The patient's copy of the vault chain, and the one way to append to it.

Every link is checked by ``crypto.vault_chain`` before it is believed, and kept. Documents, grants and blocks are local
records of their own, so one more link costs the same however long the record is.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import msgspec

from crypto import labels
from crypto.encoding import decode
from crypto.errors import BrokenChain, Conflict, Malformed, NotPermitted, NotProven, Refusal, TooLarge
from crypto.identity_chain import Known
from crypto.locators import Locator
from crypto.sealed.keyring import EpochKeys, VaultKeyring, check_vault_keyring, open_keyring
from crypto.sealed.unsealing import UnsealingKey
from crypto.secret_bytes import SecretBytes
from crypto.signing import Envelope, sign
from crypto.vault_chain import Changes, Document, VaultHead, VaultView, follow, named
from crypto.vault_links import (
    AnyOperation,
    End,
    Grant,
    VaultLink,
)
from crypto.wire.messages import EventSubmission, LinkAccepted, LinkQuery, LinkSubmission
from vault_client import vault_parts
from vault_client.device_store import DeviceStore
from vault_client.grants_elsewhere import GrantsElsewhere
from vault_client.kept_grants import KeptGrants
from vault_client.local_vault import (
    Blocked,
    LocalDocument,
    LocalVault,
    ToBeRestored,
    newest,
)
from vault_client.own_identity import OwnIdentity
from vault_client.own_versions import open_descriptor, open_key
from vault_client.service import Service
from vault_client.unanswered_links import UnansweredLinks

_TRIES = 4

# What people read
RESTORING = (
    "This record is being restored: its log has not been checked to the end. Nothing was changed. Go on with: coffre "
    "patient restore --kit FILE (with a kit on paper: --server URL)"
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


class VaultReplica(KeptGrants):
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

    @property
    def local(self) -> LocalVault:
        """Head and keyring. Raises NotPermitted when there is no vault here."""
        local = self._store.get("vault", LocalVault)
        if local is None:
            raise NotPermitted("There is no record in this profile. Nothing was done. Enrol first.")
        return local

    @property
    def vault(self) -> bytes:
        """The vault's id."""
        return self.local.head.vault

    @property
    def origin(self) -> str:
        """The log the vault is written in."""
        return self.local.head.origin

    def epoch(self, number: int | None = None) -> EpochKeys:
        """The secrets of an epoch, by default the present one."""
        local = self.local
        wanted = local.head.keys.epoch if number is None else number
        for keys in local.keyring.epochs:
            if keys.epoch == wanted:
                return keys
        raise NotPermitted(
            "Older keys of this record are not on this device. Nothing was opened. Use a device that has them."
        )

    def document(self, doc: bytes) -> LocalDocument:
        """One document. Raises NotPermitted when it is not in the record."""
        found = self._store.get(_document(doc), LocalDocument)
        if found is None or found.document.deleted:
            raise NotPermitted(
                "There is no such document in this record. Nothing was done. Look at the list."
            )
        return found

    def state(self, doc: bytes) -> Document | None:
        """A document as the chain has it, also when it is deleted; None when it never was in the record."""
        found = self._store.get(_document(doc), LocalDocument)
        return found.document if found is not None else self._store.get(_withheld(doc), Document)

    def states(self) -> Iterator[Document]:
        """Every document as the chain has it, also those that are deleted."""
        for _, local in self._store.scan("document", LocalDocument):
            yield local.document
        for _, document in self._store.scan("withheld", Document):
            yield document

    def documents(self, *, deleted: bool = False) -> Iterator[LocalDocument]:
        """Every document that is not deleted; or those that are, as far as this device had them before."""
        for _, document in self._store.scan("document", LocalDocument):
            if document.document.deleted is deleted:
                yield document

    def deleted_titles(self) -> dict[bytes, str]:
        """The title of every document that was deleted; empty where this device does not have it."""
        deleted = {state.doc: "" for state in self.states() if state.deleted}
        return deleted | {each.document.doc: each.descriptor.title for each in self.documents(deleted=True)}

    def document_key(self, document: LocalDocument) -> SecretBytes:
        """The key of a document's newest version."""
        version = newest(document.document)
        epoch = self.epoch(version.epoch)
        return open_key(epoch, self.vault, document.document.doc, version, document.self_wrap)

    def is_restoring(self) -> bool:
        """Whether the record is being restored: links and log were not compared to the end yet."""
        return self._store.get("restoring", ToBeRestored) is not None

    async def append(self, intent: Intent) -> list[int]:
        """Sign, send, verify and keep one link. Returns the log indexes of its leaves.

        When another device was faster, its links are taken in and the same intent is signed again on the new head.
        A link whose answer was lost is sent again as it is when the same is wanted: the server then proves the one it
        has, instead of refusing a second.
        """
        if self._kit is None and self.is_restoring():
            raise NotPermitted(RESTORING)
        for _ in range(_TRIES):
            local = self.local
            if intent.on not in {None, local.head.link}:
                raise Conflict("The record has moved. Nothing was added. Try again.")
            lost = self._unanswered.find(local.head, intent.operations)
            envelope = lost or await self._signed(local.head, intent)
            link = decode(envelope.body, VaultLink)
            changes = None
            if envelope.digest != local.head.link:  # else a sync took it in, and only its proof is missing
                signers = await self._signers(link)
                changes = follow(self._view(local.head, link.operations), envelope, signers)
            self._unanswered.note(envelope)
            submission = LinkSubmission(
                envelope=envelope,
                scan_key=intent.scan_key,
                tags=intent.tags,
                events=intent.events,
                parts=intent.parts,
            )
            try:
                accepted = await self._service.api.append_link(submission)
            except Conflict:
                self._unanswered.forget(envelope)
                await self.sync()
                continue
            except Refusal as refusal:
                # An answer that cannot be read is not the server's word that nothing was done.
                if lost is not None or not isinstance(refusal, Malformed | TooLarge):
                    self._unanswered.forget(envelope)
                if lost is None:
                    raise
                continue  # signed too long ago, perhaps: it is signed anew
            indexes = await self._believe(local, envelope, intent, accepted)
            if changes is not None:
                self._keep(
                    local,
                    link.n,
                    envelope,
                    changes,
                    await vault_parts.of_link(self._service, link, intent.parts),
                )
            self._unanswered.forget(envelope)
            self._unanswered.forget_overtaken(self.local.head)
            return indexes
        raise Conflict("Other devices kept writing to this record. Nothing was added. Try again in a moment.")

    def unanswered(self) -> tuple[AnyOperation, ...]:
        """What was sent and is neither refused nor proved and kept: it may be in the record. Empty otherwise."""
        return self._unanswered.operations(self.local.head)

    async def _signed(self, head: VaultHead, intent: Intent) -> Envelope:
        view = await self._service.view(head.origin)
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
        """Take in links that other devices wrote. Returns how many there were."""
        taken = 0
        while True:
            local = self.local
            answer = await self._service.api.links(LinkQuery(vault=local.head.vault, since=local.head.n + 1))
            for envelope in answer.links:
                local = self.local
                link = decode(envelope.body, VaultLink)
                known = await self._signers(link)
                changes = follow(self._view(local.head, link.operations), envelope, known)
                for operation in link.operations:
                    if isinstance(operation, Grant):
                        await self._elsewhere.learn_of(self.vault, operation)
                self._keep(
                    local, link.n, envelope, changes, await vault_parts.of_link(self._service, link, ())
                )
                taken += 1
            if not answer.more:
                await self._take_in_withheld()
                return taken
            if not answer.links:
                raise NotProven("The server announces changes that it does not show. Try again later.")

    async def _signers(self, link: VaultLink) -> Sequence[Known]:
        if [ref.identity for ref in link.signers] != [self._own.identity]:
            raise BrokenChain(
                "A change is signed by somebody whom this device does not know to hold the record. It was not believed."
            )
        known = self._own.known_at(self._service, link.view.dir)
        if known.ref != link.signers[0]:
            await self._own.refresh(self._service, self._store)
            known = self._own.known_at(self._service, link.view.dir)
        return [known]

    async def _believe(
        self, local: LocalVault, envelope: Envelope, intent: Intent, accepted: LinkAccepted
    ) -> list[int]:
        """Check the proof of every leaf of the link's transaction."""
        bodies = [(envelope, None), *zip(logged_bodies(envelope, intent), intent.tags, strict=True)]
        if len(accepted.logged) != len(bodies):
            raise NotProven(
                "The server proved fewer log entries than the link made. Check the log before going on."
            )
        locator = Locator(SecretBytes(self.epoch(local.head.keys.epoch).scan_key), local.head.origin)
        for (body, tag), logged in zip(bodies, accepted.logged, strict=True):
            leaf = await self._service.believe_logged(local.head.origin, logged, body, "accepted")
            if not locator.matches(leaf.slot_one) or (tag is not None and leaf.slot_two != tag):
                raise NotProven(
                    "The server logged a change where it cannot be found. Check the log before going on."
                )
        return [logged.disclosure.index for logged in accepted.logged]

    def _view(self, head: VaultHead, operations: Sequence[AnyOperation]) -> VaultView:
        """The head, and the state of whatever ``operations`` name."""
        wanted = named(operations)
        documents = map(self.state, wanted.documents)
        entries = (self._entry(gid) for gid in wanted.grants)
        return VaultView(
            head=head,
            documents={each.doc: each for each in documents if each is not None},
            grants={each.gid: each for each in entries if each is not None},
            blocked={identity: self.is_blocked(identity) for identity in wanted.identities},
        )

    def is_blocked(self, identity: bytes) -> bool:
        """Whether nothing may be granted to ``identity``."""
        found = self._store.get(f"blocked/{identity.hex()}", Blocked)
        return found is not None and found.blocked

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

    def _keep_document(self, doc: bytes, document: Document, parts: Mapping[bytes, bytes]) -> None:
        local = self._local_document(document, parts)
        if local is None:
            self._store.delete(_document(doc))
            self._store.put(_withheld(doc), document)
        else:
            self._store.delete(_withheld(doc))
            self._store.put(_document(doc), local)

    def _local_document(self, document: Document, parts: Mapping[bytes, bytes]) -> LocalDocument | None:
        """A document with the parts of its newest version; None where these were not shown."""
        version = newest(document)
        known = self._store.get(_document(document.doc), LocalDocument)
        if known is not None and newest(known.document) == version:
            return msgspec.structs.replace(known, document=document)
        if not {version.self_wrap, version.descriptor} <= parts.keys():
            return None
        doc, self_wrap, sealed = document.doc, parts[version.self_wrap], parts[version.descriptor]
        key = open_key(self.epoch(version.epoch), self.vault, doc, version, self_wrap)
        descriptor = open_descriptor(key, self.vault, doc, version.ver, sealed)
        return LocalDocument(document=document, self_wrap=self_wrap, descriptor=descriptor)


def logged_bodies(envelope: Envelope, intent: Intent) -> Iterator[Envelope]:
    """The body behind each tagged leaf: an event's own envelope, the link's for an end, in order."""
    events = iter(intent.events)
    for operation in intent.operations:
        if isinstance(operation, Grant):
            yield next(events).envelope
        elif isinstance(operation, End):
            yield envelope


def _document(doc: bytes) -> str:
    return f"document/{doc.hex()}"


def _withheld(doc: bytes) -> str:
    return f"withheld/{doc.hex()}"
