"""What a reader makes of keepers that do not agree."""

from collections.abc import Callable, Coroutine
from types import SimpleNamespace
from typing import Any

import msgspec
import pytest

from crypto import labels
from crypto.errors import CannotOpen
from crypto.sealed.release import release
from crypto.signing import sign
from crypto.wire.keeper_api import ReleaseAnswer
from tests.support.grants import GrantedDocument, GrantMaker, request_for
from tests.support.people import Person, Service, fresh
from tests.support.vaults import Vault
from vault_client.opening import LoggedRequest, Opener, Wanted
from vault_client.received_grants import ReceivedGrant

K, N, INDEX = 3, 4, 7


class Consultation:
    """A document granted under 3 of 4 keepers, its request, and the keepers that were told to lie."""

    def __init__(self) -> None:
        service = Service(K, N)
        patient, self.reader, self.document = Person(service), Person(service), GrantedDocument.fresh()
        service.certify(self.reader)
        self.maker = GrantMaker(Vault(service, [patient]), self.reader, K, N)
        made = self.maker.event(self.document)
        self.policy = made.body.policy
        self.request = request_for(self.reader, made, self.document)
        self.envelope = sign(labels.ACCESS_REQUEST, self.request, self.reader.device.signing)
        self.blobs = {blob.keeper: blob for blob in made.blobs}
        self.grant = ReceivedGrant(
            state=self.maker.accept(None, made.envelope),
            share_a=self.maker.share_a.reveal(),
            grant_key=self.maker.grant_key.reveal(),
            person=bytes(32),
            listings=(),
            said_ended=False,
        )
        self.liars: set[bytes] = set()
        self.left_out: set[bytes] = set()
        own = SimpleNamespace(
            unsealing=self.reader.device.unsealing, profile=SimpleNamespace(chain=self.reader.chain)
        )
        self.opener = Opener(self, own)

    async def open(self) -> list[bytes]:
        """The keys that the keepers' answers open."""
        row = msgspec.structs.asdict(self.maker._row(self.document, self.reader.known(), "release"))
        logged = SimpleNamespace(disclosure=SimpleNamespace(index=INDEX))
        asked = LoggedRequest(self.grant, (Wanted(**row),), self.envelope, logged, self.blobs)
        return [key.reveal() for key in await self.opener.release(asked)]

    async def ask_keepers(
        self,
        question: Callable[[bytes, Any], Coroutine[None, None, Any]],
        needed: int,
        enough: Callable[[dict[bytes, Any]], bool],
        *,
        named: tuple[bytes, ...],
    ) -> dict[bytes, Any]:
        """The keepers one after the other, each under its name, until they are enough; as the service of a profile does."""
        assert (needed, named) == (K, self.policy.keepers)
        answers: dict[bytes, Any] = {}
        for place, name in enumerate(self.policy.keepers):
            answers[name] = await question(name, self._keeper(place, name))
            if len(answers) >= needed and enough(answers):
                break
        return answers

    def _keeper(self, place: int, name: bytes) -> Any:
        async def answer(_: Any) -> ReleaseAnswer:
            blob = self.maker.blob(self.policy, place)
            if name in self.liars:
                seeds = tuple(msgspec.structs.replace(seed, seed=fresh()) for seed in blob.seeds)
                blob = msgspec.structs.replace(blob, seeds=seeds)
            key = self.reader.device.unsealing.public
            box = release(blob, self.request, self.envelope.digest, INDEX, device_key=key, keeper=name)
            return ReleaseAnswer(box=box)

        return SimpleNamespace(release=answer)


@pytest.fixture
def consultation(monkeypatch: pytest.MonkeyPatch) -> Consultation:
    """The query to a keeper needs a receipt, which nobody looks at here."""
    monkeypatch.setattr("vault_client.opening.ReleaseQuery", lambda **_: None)
    return Consultation()


async def test_a_keeper_that_lies_is_left_out_and_remembered(consultation: Consultation) -> None:
    """With one wrong answer of four the key is opened by the three others, and the one stays named afterwards."""
    assert await consultation.open() == [consultation.document.key.reveal()]
    assert consultation.left_out == set()
    for place in (
        0,
        3,
    ):  # the first of the subsets it is in, and the last, whose answers may never be looked at
        consultation.liars = {consultation.policy.keepers[place]}
        assert await consultation.open() == [consultation.document.key.reveal()]
    assert consultation.policy.keepers[0] in consultation.left_out
    consultation.liars = set()
    await consultation.open()
    assert consultation.left_out == {consultation.policy.keepers[0]}


async def test_with_two_keepers_that_lie_nothing_opens(consultation: Consultation) -> None:
    """More wrong answers than keepers that may be left out: nothing is opened, and nobody is named."""
    consultation.liars = set(consultation.policy.keepers[:2])
    with pytest.raises(CannotOpen):
        await consultation.open()
    assert consultation.left_out == set()
