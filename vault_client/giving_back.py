"""Giving back to a service what it lost of a record and this device has: links, ciphertext, openings.

The log is whole, and commits to each of them; so the service takes what is shown and believes nothing. Nothing it never had
is sent: all of it was there before the loss. What no device has stays lost, and is named.
"""

import asyncio
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import msgspec

from crypto import pieces
from crypto.access_log import parse_leaf
from crypto.encoding import decode
from crypto.errors import Lacking, NotFound, Refusal
from crypto.signing import Envelope
from crypto.vault_chain import Version
from crypto.vault_links import AddVersion, AnyOperation, Rotate, VaultLink
from crypto.wire.losses import Loss, ShownLink, ShownOpening, ShownOpenings, VaultQuery
from crypto.wire.messages import SealedOpening, UploadQuery
from vault_client.ciphertext_replica import CiphertextReplica
from vault_client.declared_losses import declared_losses, is_done, loss_of, note_done
from vault_client.device_store import DeviceStore
from vault_client.entries_left import settle_entries
from vault_client.file_errors import spoken_file_errors
from vault_client.identity_shown_again import show_identity
from vault_client.kept_entries import LINKS
from vault_client.local_vault import newest
from vault_client.own_identity import OwnIdentity
from vault_client.service import Service
from vault_client.transfer import send_ciphertext
from vault_client.vault_replica import VaultReplica

_AT_ONCE: Final = 32

# What people read
LEFT = (
    "The service lost its newest data, by its own word. Nobody has shown again what {count} of this record in its log say: changes "
    "of another device of yours, perhaps. Nothing was done. Start Coffre there first: coffre patient sync. If that device is lost, "
    "recover the record with your kit: coffre patient restore --kit FILE"
)


@dataclass
class GivenBack:
    """What came of it. ``losses``: what the service declares to have lost of the record's log.

    ``changes``, ``contents``: how many changes of the record, and documents' contents, were given back. ``lost``: documents whose
    content neither the service nor this device has. ``left``: entries that nobody has shown, and that may be changes.
    """

    losses: tuple[Loss, ...]
    changes: int = 0
    contents: int = 0
    lost: list[bytes] = field(default_factory=list)
    left: int = 0


class GivingBack:
    """What gives back what one profile has. ``outcome``: of the last time there was something to be done."""

    def __init__(
        self,
        store: DeviceStore,
        service: Service,
        own: OwnIdentity,
        replica: VaultReplica,
        copies: CiphertextReplica,
    ) -> None:
        self._store = store
        self._service = service
        self._own = own
        self._replica = replica
        self._copies = copies
        self.outcome: GivenBack | None = None

    async def run(self, *, again: bool = False) -> None:
        """Show the service what it declares to have lost, unless all that is here was shown before.

        ``again``: although it was, since the service says that it lacks something.
        """
        origin = self._replica.origin
        await self._service.refresh(origin)  # another log than the one known here is given nothing
        losses = await declared_losses(self._service, self._store, origin)
        if again or not is_done(self._store, origin, losses):
            await show_identity(self._service, self._store, self._own, again=again)
        if is_done(self._store, origin, losses) and not (again and losses):
            return
        outcome = GivenBack(losses)
        await self._show_links(outcome)
        await self._send_contents(outcome)
        await self._show_openings(losses, self._replica.epoch().epoch)
        outcome.left = await settle_entries(self._service, self._own, self._replica)
        if not outcome.lost and not outcome.left:
            note_done(self._store, origin, losses)
        self.outcome = outcome

    async def when_lacking(self) -> None:
        """Show what the service says that it lacks. Raises Lacking, in words, where that is not all of it."""
        await self.run(again=True)
        if self.outcome is not None and self.outcome.left:
            raise Lacking(LEFT.format(count=self.outcome.left))

    async def _show_links(self, outcome: GivenBack) -> None:
        """Every link after the newest that the service has; up to one of which this device does not have what it takes."""
        shown = await self._newest_shown()
        if shown is None:  # another device had more
            await self._replica.sync()
            return
        for n, envelope in self._links(shown + 1):
            kept = self._replica.entries.link(n, envelope)
            if kept is None:
                return
            if kept.submission.scan_key is not None and n:
                # With the change of keys the service forgets under which it finds earlier entries.
                epoch = next(step.epoch for step in _operations(envelope) if isinstance(step, Rotate))
                await self._show_openings(outcome.losses, epoch - 1)
            submission = msgspec.structs.replace(kept.submission, tags=())
            await self._service.api.show_link(ShownLink(submission=submission, disclosures=kept.disclosures))
            outcome.changes += 1

    async def _newest_shown(self) -> int | None:
        """The number of the newest link that the service has: -1 for none, None for one that is not known here."""
        try:
            lost = await self._service.api.lost_entries(VaultQuery(vault=self._replica.vault))
        except NotFound:
            return -1
        head = self._replica.local.head
        if lost.link == head.link:
            return head.n
        for n in range(head.n - 1, -1, -1):
            envelope = self._store.get(f"link/{n}", Envelope)
            if envelope is not None and envelope.digest == lost.link:
                return n
        return None

    def _links(self, start: int) -> Iterator[tuple[int, Envelope]]:
        for n in range(start, self._replica.local.head.n + 1):
            envelope = self._store.get(f"link/{n}", Envelope)
            if envelope is None:
                return
            yield n, envelope

    async def _send_contents(self, outcome: GivenBack) -> None:
        """The ciphertext of every document that was added in a loss and is in the record still."""
        for doc, version in self._added_in(outcome.losses):
            query = UploadQuery(vault=self._replica.vault, ver=version.ver)
            if len((await self._service.api.upload_status(query)).parts) == pieces.part_count(version.length):
                continue
            if await self._send(version):
                outcome.contents += 1
            else:
                outcome.lost.append(doc)

    def _added_in(self, losses: tuple[Loss, ...]) -> Iterator[tuple[bytes, Version]]:
        for n, envelope in self._links(max(1, self._replica.local.head.n + 1 - LINKS)):
            kept = self._replica.entries.link(n, envelope)
            if kept is None or loss_of(losses, kept.disclosures[0].index) is None:
                continue
            for added in (step for step in _operations(envelope) if isinstance(step, AddVersion)):
                state = self._replica.state(added.doc)
                if state is not None and not state.deleted and newest(state).ver == added.ver:
                    yield state.doc, newest(state)

    async def _send(self, version: Version) -> bool:
        """Send the copy of a version. False when there is none, or it is not what was signed."""
        file = self._copies.find(version.ver, version.length)
        if file is None:
            return False
        hashes = await asyncio.to_thread(_part_hashes, file, version.length)
        if pieces.root_from_parts(hashes, version.length) != version.ct_root:
            self._copies.drop(version.ver)
            return False
        await send_ciphertext(
            self._service.api,
            file,
            vault=self._replica.vault,
            ver=version.ver,
            length=version.length,
            part_hashes=hashes,
        )
        return True

    async def _show_openings(self, losses: tuple[Loss, ...], epoch: int) -> None:
        """The kept openings of entries in a loss, of one epoch. One that the log does not commit to holds up no other."""
        wanted = [
            each
            for each in self._replica.entries.openings()
            if each.epoch == epoch and loss_of(losses, each.index) is not None
        ]
        leaves = await self._service.reader.leaves_at(self._replica.origin, [each.index for each in wanted])
        known = [shown for each in wanted if (shown := self._opened(each, leaves[each.index])) is not None]
        known.sort(key=lambda each: each.index)
        for start in range(0, len(known), _AT_ONCE):
            opened = known[start : start + _AT_ONCE]
            try:
                await self._show(opened)
            except Refusal:
                for one in opened:
                    with suppress(Refusal):
                        await self._show([one])

    async def _show(self, opened: list[ShownOpening]) -> None:
        shown = ShownOpenings(vault=self._replica.vault, openings=tuple(opened))
        await self._service.api.show_openings(shown)

    def _opened(self, sealed: SealedOpening, leaf: bytes) -> ShownOpening | None:
        """An opening as it was sealed to this record; None for one that is not of ``leaf``."""
        entry = parse_leaf(leaf)
        if entry is None:
            return None
        try:
            opening = self._replica.opening(sealed, entry.commitment)
        except Refusal:
            return None
        return ShownOpening(index=sealed.index, opening=opening)


def _operations(envelope: Envelope) -> tuple[AnyOperation, ...]:
    return decode(envelope.body, VaultLink).operations


def _part_hashes(file: Path, length: int) -> list[bytes]:
    with spoken_file_errors(), file.open("rb") as opened:
        hashes = []
        for number in range(pieces.part_count(length)):
            place = pieces.part_slice(number, length)
            hashes.append(pieces.upload_part_hash(opened.read(place.stop - place.start), number))
        return hashes
