"""Evidence about the erasures of an honest record: nobody is accused by what a holder signed."""

import msgspec
import pytest

from crypto import labels
from crypto.encoding import decode
from crypto.erasures import Erasure
from crypto.errors import Malformed
from crypto.signing import Envelope, SigningKey, sign, sign_encoded
from crypto.statements import Head
from tests.adversary.forged_log import ForgedEntries
from tests.adversary.modified_sdk import fresh, request
from tests.adversary.story import Story
from tests.adversary.test_audit import slot_of
from tests.adversary.test_erasures import erasure
from tests.adversary.test_evidence import both, judged, only, proven
from vault_client import evidence_proofs as proofs
from vault_client.alarms import Alarms
from vault_client.audit_erasures import Erasures
from vault_client.seen_heads import SeenHeads
from vault_client.service import Service


async def refused_erasure(
    story: Story, monkeypatch: pytest.MonkeyPatch, *, key: SigningKey | None = None
) -> bytes:
    """The file of FORK about an erasure in the log: one that holds, called that by a device that judges it wrongly."""
    entries = await ForgedEntries.begin(story)
    reading = await request(story)
    index = entries.add(reading, slot_two=slot_of(reading))
    await story.patient.service.refresh(story.origin)
    entries.add(await erasure(story, index, key=key), "accepted")

    async def none_holds(*_: object) -> None:
        return None

    monkeypatch.setattr(Erasures, "judge", none_holds)
    assert await entries.alarms() == ["FORK"]
    return only(story, "FORK")


async def test_a_holders_erasure_accuses_nobody(story: Story, monkeypatch: pytest.MonkeyPatch) -> None:
    """What a holder's device signed is no change by nobody, under whatever alarm; a reader that knows no erasures called it that."""
    data, card = await refused_erasure(story, monkeypatch), story.instance.card.root
    assert both(data, card) == []

    def no_erasure(_: Envelope) -> Erasure:
        raise Malformed("of no kind")

    with monkeypatch.context() as twin:
        twin.setattr(proofs, "read_erasure", no_erasure)
        assert judged(data, card).proven == [proofs.NOT_THEIRS]


async def test_an_erasure_by_nobody_is_proven(story: Story, monkeypatch: pytest.MonkeyPatch) -> None:
    """The control: one that no device of the holder signed is the service's work, and so is one that is none."""
    data = await refused_erasure(story, monkeypatch, key=SigningKey.generate())
    assert both(data, story.instance.card.root) == [proofs.NOT_THEIRS]


async def test_an_erasure_out_of_order_is_proven(story: Story, monkeypatch: pytest.MonkeyPatch) -> None:
    """An accepted erasure that does not parse is nobody's; of a deposit, which this version does not judge, nothing is said."""
    entries = await ForgedEntries.begin(story)
    honest = await erasure(story, 1)
    body = msgspec.structs.replace(decode(honest.body, Erasure), entries=(2, 1))
    entries.add(sign(labels.ERASURE, body, story.patient.own.device), "accepted")
    assert await entries.alarms() == ["FORK"]
    assert proven(story, "FORK") == [proofs.NOT_THEIRS]


async def test_a_deposit_proves_nothing(story: Story) -> None:
    """An entry of a kind that later services log, and that this version cannot judge, proves nothing against them."""
    entries = await ForgedEntries.begin(story)
    entries.add(sign_encoded(labels.DEPOSIT, b"{}", SigningKey.generate()), "accepted")
    assert await entries.alarms() == ["FORK"]
    assert proven(story, "FORK") == []


async def test_an_erasure_names_another_log(story: Story, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another device that signed an erasure had seen another log: that is proven, and not that nobody signed it."""
    begun = SeenHeads.__init__

    def on_another_device(self: SeenHeads, service: Service, _: bytes, alarms: Alarms) -> None:
        begun(self, service, b"", alarms)

    monkeypatch.setattr(SeenHeads, "__init__", on_another_device)
    entries = await ForgedEntries.begin(story)
    honest = await erasure(story, 1)
    body = decode(honest.body, Erasure)
    view = msgspec.structs.replace(body.view, seen=Head(size=body.view.seen.size + 1000, root=fresh()))
    other = msgspec.structs.replace(body, view=view)
    entries.add(sign(labels.ERASURE, other, story.patient.own.device), "accepted")
    assert await entries.alarms() == ["FORK"]
    assert proven(story, "FORK") == [proofs.ANOTHER_LOG]
