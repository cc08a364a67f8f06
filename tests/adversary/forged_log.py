"""A log that its operator forged: the real one's leaves up to some place, then whatever was put there.

Signed with the log's own key and, unless told otherwise, cosigned with the keeper's: what a dishonest operator shows
whose keeper is not independent, or whose independent keeper was shown the same.
"""

import secrets
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import msgspec

from crypto import access_log, merkle, sealing
from crypto.access_log import LEAF, Disclosure, Leaf, Opening, Outcome, ServerPart, opening_info
from crypto.checkpoint import Checkpoint, cosign, sign_checkpoint
from crypto.locators import Locator
from crypto.receipt import Receipt
from crypto.requests import read_request
from crypto.secret_bytes import SecretBytes
from crypto.signing import Envelope
from crypto.statements import Head
from crypto.tiles import WIDTH, encode_bundle, parse_tile_path
from crypto.wire.messages import Logged, OpenAnswer, OpeningQuery, Openings, OpenRequest, SealedOpening
from tests.adversary.story import Story
from tests.support.instance import Instance
from tests.support.lying_vault import LyingVault
from vault_client.audit_report import AuditReport
from vault_client.local_vault import AuditPlace


def random_leaf() -> bytes:
    """A leaf that is nobody's."""
    return bytes([access_log.LEAF_VERSION]) + secrets.token_bytes(LEAF - 1)


@dataclass
class ForgedLog:
    """The leaves of a forged log, and how its heads are signed. ``age``: how old the cosignatures are."""

    instance: Instance
    origin: str
    leaves: list[bytes]
    age: int = 0
    cosigned: bool = True
    openings: dict[int, SealedOpening] = field(default_factory=dict)

    @classmethod
    async def after(cls, story: Story) -> "ForgedLog":
        """The record's log as it is now, before anything is forged in it."""
        service = story.patient.service
        await service.refresh(story.origin)
        size = story.head(service).head.size
        leaves = await service.reader.leaves(story.origin, 0, size)
        split = [leaves[at : at + LEAF] for at in range(0, len(leaves), LEAF)]
        return cls(story.instance, story.origin, split)

    def head(self) -> Head:
        """Size and root."""
        return Head(
            size=len(self.leaves), root=merkle.root_of([merkle.leaf_hash(leaf) for leaf in self.leaves])
        )

    def note(self) -> bytes:
        """The signed head."""
        now = self.head()
        head = Checkpoint(self.origin, now.size, now.root)
        note = sign_checkpoint(head, self.instance.log_key)
        if not self.cosigned:
            return note
        name, key = self.instance.keeper_card.name, self.instance.keeper_key
        return note + cosign(head, name, key, int(time.time()) - self.age)

    def logged(self, disclosure: Disclosure) -> Logged:
        """The receipt of a leaf that is in this log."""
        path = merkle.inclusion_path(disclosure.index, len(self.leaves), self._subtree)
        receipt = Receipt(index=disclosure.index, path=tuple(path), note=self.note())
        return Logged(receipt=receipt.encode(), disclosure=disclosure)

    def append(self, envelope: Envelope, outcome: Outcome, **changes: Any) -> Disclosure:
        """A leaf for ``envelope``, with fields of the disclosure changed before it is committed to."""
        part = ServerPart(body=envelope.digest, time=int(time.time()), outcome=outcome, prev=access_log.FIRST)
        disclosure = Disclosure(
            index=len(self.leaves),
            slot_one=secrets.token_bytes(32),
            slot_two=secrets.token_bytes(32),
            salt=secrets.token_bytes(32),
            part=part,
        )
        disclosure = msgspec.structs.replace(disclosure, **changes)
        self.leaves.append(disclosure.leaf(envelope).to_bytes())
        return disclosure

    def show_to(self, vault: LyingVault) -> None:
        """Have ``vault`` serve this log instead of the real one; other logs stay as they are."""
        honest = vault.honest

        async def checkpoint(origin: str) -> bytes:
            return self.note() if origin == self.origin else await honest.checkpoint(origin)

        async def tile(origin: str, path: str) -> bytes:
            return self.tile(path) if origin == self.origin else await honest.tile(origin, path)

        vault.forge("checkpoint", checkpoint)
        vault.forge("tile", tile)

    def answer_requests(self, vault: LyingVault, story: Story, **changes: Any) -> None:
        """Have ``vault`` log requests here, and nowhere else, and hand out all that the real server would."""

        def answer(query: OpenRequest) -> OpenAnswer:
            slot_two = read_request(query.request).slot_two
            disclosure = self.append(query.request, "granted", **({"slot_two": slot_two} | changes))
            return OpenAnswer(logged=self.logged(disclosure), blobs=story.grant.blobs)

        vault.forge("open", answer)
        self.show_to(vault)

    def tile(self, path: str) -> bytes:
        """A tile or entry bundle."""
        level, n, width = parse_tile_path(path)
        if level == "entries":
            return encode_bundle(self.leaves[n * WIDTH : n * WIDTH + width])
        return b"".join(self._subtree(8 * level, n * WIDTH + place) for place in range(width))

    def _subtree(self, level: int, index: int) -> bytes:
        covered: Sequence[bytes] = self.leaves[index << level : (index + 1) << level]
        return merkle.root_of([merkle.leaf_hash(leaf) for leaf in covered])


class ForgedEntries:
    """Entries put into a patient's part of a forged log: all honest, unless a test changes one."""

    def __init__(self, story: Story, log: ForgedLog) -> None:
        self.story, self.log = story, log
        keys = story.patient.replica.epoch()
        self.scan = Locator(SecretBytes(keys.scan_key), log.origin)
        place = story.patient._store.get("audit", AuditPlace)
        assert place is not None, "the audit must have run once before entries are forged"
        self.last = place.last
        self.made: dict[int, Opening] = {}

    @classmethod
    async def begin(cls, story: Story) -> "ForgedEntries":
        """Audit what is real, then serve a log that can be forged."""
        assert (await story.patient.log()).alarms == ()
        forged = cls(story, await ForgedLog.after(story))
        forged.log.show_to(story.patient_vault)
        honest = story.patient_vault.honest

        async def openings(query: OpeningQuery) -> Openings:
            real = await honest.openings(query)
            made = [entry for entry in forged.log.openings.values() if entry.index >= query.since]
            kept = [entry for entry in real.openings if entry.index not in forged.log.openings]
            kept = [entry for entry in kept if entry.index < min(forged.log.openings, default=1 << 50)]
            return Openings(openings=tuple(kept + made), more=False)

        story.patient_vault.forge("openings", openings)
        return forged

    def add(
        self,
        envelope: Envelope,
        outcome: Outcome = "granted",
        *,
        slot_one: bytes | None = None,
        slot_two: bytes | None = None,
        follows: bool = True,
        **changes: Any,
    ) -> int:
        """One more entry; its index. ``changes`` are to the server's part; ``follows``: from the entry before it."""
        salt2 = secrets.token_bytes(32)
        prev = access_log.previous(salt2, self.last if follows else secrets.token_bytes(32))
        part = ServerPart(body=envelope.digest, time=int(time.time()), outcome=outcome, prev=prev)
        part = msgspec.structs.replace(part, **changes)
        disclosure = self.log.append(
            envelope,
            outcome,
            slot_one=slot_one or self.scan.make(secrets.token_bytes(16)),
            slot_two=slot_two or secrets.token_bytes(32),
            part=part,
        )
        leaf = disclosure.leaf(envelope)
        opening = Opening(
            salt=disclosure.salt, salt2=salt2, previous=self.last, envelope=envelope, part=disclosure.part
        )
        self.made[disclosure.index] = opening
        self.log.openings[disclosure.index] = self.seal(leaf, opening, disclosure.index)
        if slot_one is None:
            self.last = leaf.commitment
        return disclosure.index

    def seal(self, leaf: Leaf, opening: Opening, index: int) -> SealedOpening:
        """An opening as the server hands it out."""
        keys = self.story.patient.replica.local.head.keys
        box = sealing.seal(keys.log_key, opening_info(self.log.origin, leaf.commitment), opening.to_record())
        return SealedOpening(index=index, epoch=keys.epoch, box=box)

    async def alarms(self) -> list[str]:
        """The codes of the alarms that an audit raises now."""
        return [alarm.code for alarm in (await self.story.patient.log()).alarms]

    async def twin_sees(self, *gone: str) -> AuditReport:
        """What an audit reports now, forgotten afterwards: for twins. ``gone``: alarms that the twin must not raise."""
        store, groups = self.story.patient._store, self._groups()
        place = store.get("audit", AuditPlace)
        before = {name for group in groups for name in store.names(group)}
        report = await self.story.patient.log()
        assert not {alarm.code for alarm in report.alarms} & set(gone)
        for name in [name for group in groups for name in store.names(group)]:
            if name not in before:
                store.delete(name)
        assert place is not None
        store.put("audit", place)
        return report

    def _groups(self) -> list[str]:
        return ["entry", "alarm", "finding", "slot", "ended", f"event-{self.story.grant.entry.gid.hex()}"]
