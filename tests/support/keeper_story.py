"""A real keeper, a service with its logs in memory, a patient who granted, a practitioner who asks: for keeper tests."""

import hmac
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from io import StringIO
from pathlib import Path
from typing import Any

import msgspec

from crypto import labels, sealing
from crypto.access_log import FIRST, Disclosure, ServerPart
from crypto.encoding import Body, number, pae
from crypto.grants import SealedPolicy, subset_name
from crypto.locators import Locator, end_tag, event_tag
from crypto.requests import AccessRequest, RequestedDocument
from crypto.sealed.policy_blob import PolicyBlob, Rate, Seed, seal_policy
from crypto.sealed.release import Release, open_release
from crypto.secret_bytes import SecretBytes
from crypto.signing import Envelope, SigningKey, sign
from crypto.wire.keeper_api import EndPost, KeeperCard, ReleaseAnswer, ReleaseQuery
from crypto.wire.messages import Logged
from tests.support.grants import policy_over
from tests.support.people import DAY, LOG, NOW, Person, fresh
from tests.support.small_log import LoggedService, random_leaf
from vault_server.keeper.clock import Clock
from vault_server.keeper.event_log import EventLog
from vault_server.keeper.founding import found
from vault_server.keeper.keeper import Keeper


@dataclass
class Time:
    """The time of a story; it stands still unless it is moved."""

    now: float = NOW

    def clock(self, floor: int) -> Clock:
        """A clock of this time."""
        return Clock(floor, own=lambda: self.now, monotonic=lambda: self.now)


class SmallGrant:
    """As much of a grant as keepers know: its keys, its seeds, and their policy."""

    def __init__(self, service: LoggedService, recipient: Person) -> None:
        policy = service.root.policies[0]
        self.service, self.recipient, self.j = service, recipient, 0
        self.gid, self.ghead = fresh(), fresh()
        self.grant_key, self.end_key = SecretBytes.random(), SecretBytes.random()
        self.policy = policy_over(service, policy.k, policy.n)
        self.seeds = [fresh() for _ in self.policy.subsets]

    def event_tag(self, j: int) -> bytes:
        """Slot two of the leaf of event ``j``."""
        return event_tag(self.end_key, LOG, self.gid, j)

    @property
    def end_tag(self) -> bytes:
        """What ends the grant."""
        return end_tag(self.end_key, LOG, self.gid)

    def blob(self, keeper: bytes) -> PolicyBlob:
        """What the keeper with this key hash must know."""
        place = self.policy.keepers.index(keeper)
        return PolicyBlob(
            origin=LOG,
            gid=self.gid,
            j=self.j,
            recipient=self.recipient.identity,
            excluded=(),
            expiry=NOW + 30 * DAY,
            acts=("release", "list"),
            rates=(Rate(seconds=3600, documents=1000),),
            standing=(),
            grant_key=self.grant_key.reveal(),
            end_key=self.end_key.reveal(),
            rekey=0,
            seeds=tuple(
                Seed(subset=subset_name(self.policy, subset), seed=seed)
                for subset, seed in zip(self.policy.subsets, self.seeds, strict=True)
                if place in subset
            ),
        )

    def share(self, number_: int, label: str, document: RequestedDocument) -> bytes:
        """B_T of one subset, as protocol.md has it."""
        ids = (self.gid, number(0), document.doc, document.ver, document.ct_root)
        return hmac.digest(self.seeds[number_], pae(label, *ids), "sha256")


class Story:
    """Everybody, after event 0 of the grant was logged."""

    def __init__(self, service: LoggedService, keeper: Keeper, card: KeeperCard, time: Time) -> None:
        self.service, self.keeper, self.card, self.time = service, keeper, card, time
        self.patient, self.reader = Person(service), Person(service)
        service.certify(self.reader)
        self.team: Person | None = None
        self.documents = tuple(
            RequestedDocument(doc=fresh(16), ver=fresh(16), ct_root=fresh(), rekey=0, deposit=None)
            for _ in range(2)
        )

    async def grant(self, recipient: Person | None = None) -> None:
        """The patient grants; everything is logged and cosigned."""
        self.maker = SmallGrant(self.service, recipient or self.reader)
        self.log_event(0)
        await self.service.publish_all(self.keeper)

    def log_event(self, j: int) -> None:
        """Log the tag of event ``j`` of the grant."""
        self.service.shard.append(random_leaf(self.maker.event_tag(j)))

    @property
    def key_hash(self) -> bytes:
        """The real keeper's name in grants."""
        return sealing.key_hash(self.card.sealing_key)

    def end_post(self, **changes: Any) -> EndPost:
        """The end, as the patient posts it."""
        post = EndPost(origin=LOG, gid=self.maker.gid, blob=self.blob(), tag=self.maker.end_tag)
        return msgspec.structs.replace(post, **changes)

    def blob(self, **changes: Any) -> SealedPolicy:
        """The policy for the real keeper, as the patient would have sealed it with ``changes``."""
        blob = msgspec.structs.replace(self.maker.blob(self.key_hash), **changes)
        return seal_policy(blob, self.card.sealing_key, self.service.accepted.ref.digest)

    def request(self, **changes: Any) -> AccessRequest:
        """What the reader asks, as of now."""
        body = AccessRequest(
            suite=labels.SUITE,
            origin=LOG,
            gid=self.maker.gid,
            ghead=self.maker.ghead,
            documents=self.documents,
            act="release",
            identity=self.reader.identity,
            device=self.reader.device.id,
            team=None,
            time=int(self.time.now),
            nonce=fresh(16),
            slot_two=Locator(self.maker.grant_key, LOG).make(fresh(16)),
            purpose=sealing.seal(self.patient.reading[0].public, b"", b""),
            view=self.service.view,
        )
        return msgspec.structs.replace(body, **changes)

    def signed(self, request: Body, key: SigningKey | None = None) -> Envelope:
        """A request signed by the reader's device, or by another key."""
        return sign(labels.ACCESS_REQUEST, request, key or self.reader.device.signing)

    def log_request(self, envelope: Envelope, *, slot_two: bytes, outcome: str = "granted") -> Disclosure:
        """Append a request's leaf to the shard."""
        disclosure = Disclosure(
            index=len(self.service.shard.leaves),
            slot_one=fresh(),
            slot_two=slot_two,
            salt=fresh(),
            part=ServerPart(body=envelope.digest, time=int(self.time.now), outcome=outcome, prev=FIRST),  # type: ignore[arg-type]
        )
        self.service.shard.append(disclosure.leaf(envelope).to_bytes())
        return disclosure

    def proof(self, disclosure: Disclosure) -> Logged:
        """The receipt under the published head."""
        note = self.service.published[LOG]
        receipt = self.service.shard.receipt(disclosure.index, note, self.service.cosigned[LOG])
        return Logged(receipt=receipt, disclosure=disclosure)

    def question(self, envelope: Envelope, logged: Logged, **changes: Any) -> ReleaseQuery:
        """What the reader asks of the keeper."""
        query = ReleaseQuery(
            request=envelope,
            logged=logged,
            blob=self.blob(),
            reader=self.reader.chain,
            team=self.team.chain if self.team else None,
        )
        return msgspec.structs.replace(query, **changes)

    async def query(self, **changes: Any) -> ReleaseQuery:
        """An honest question: the request, with ``changes``, is signed, logged and cosigned."""
        request = self.request(**changes)
        envelope = self.signed(request)
        disclosure = self.log_request(envelope, slot_two=request.slot_two)
        await self.service.publish(self.keeper, LOG)
        return self.question(envelope, self.proof(disclosure))

    def opened(self, query: ReleaseQuery, answer: ReleaseAnswer) -> Release:
        """The keeper's shares, opened by the reader's device."""
        return open_release(
            self.reader.device.unsealing,
            answer.box,
            query.request.digest,
            query.logged.disclosure.index,
            self.key_hash,
        )


@asynccontextmanager
async def keeper_story(data: Path, *, k: int = 1, n: int = 1, granted: bool = True) -> AsyncIterator[Story]:
    """A story with a keeper founded in ``data``."""
    card = await found(data, url="http://127.0.0.1:8766", name="keeper-0", operator="the operator")
    service, time = LoggedService(card, k, n), Time()
    async with open_keeper(data, service, time) as keeper:
        story = Story(service, keeper, card, time)
        if granted:
            await story.grant()
        yield story


@asynccontextmanager
async def open_keeper(
    data: Path, service: LoggedService, time: Time, *, accept_lost_store: bool = False
) -> AsyncIterator[Keeper]:
    """The keeper in ``data``, following ``service``, with its trust root."""
    opening = Keeper.open(
        data,
        service.card,
        service,
        events=EventLog(StringIO()),
        clock=time.clock,
        accept_lost_store=accept_lost_store,
    )
    async with opening as keeper:
        await keeper.refresh_trust()
        yield keeper
