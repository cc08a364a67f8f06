"""Trust roots that only some were shown: who signs under another one, or a newer one, says so to the patient's audit."""

import msgspec
import pytest

from crypto.requests import read_request
from crypto.statements import RootRef
from crypto.wire.messages import TrustRootChain
from tests.adversary.forged_log import ForgedEntries
from tests.adversary.modified_sdk import fresh, request
from tests.adversary.story import Story
from tests.adversary.test_audit import readings, slot_of
from tests.adversary.test_evidence import both, only, proven, rewritten, with_finding
from tests.adversary.test_trust_root import next_root, operators_key
from vault_client import evidence_proofs as proofs
from vault_client import seen_heads
from vault_client.alarms import kept_alarms
from vault_client.seen_heads import SeenHeads


async def signed_under(story: Story, ref: RootRef) -> ForgedEntries:
    """A reading whose reader signed that ``ref`` is the trust root, in the log as the server's grant of it."""
    entries = await ForgedEntries.begin(story)
    view = read_request(await request(story)).view
    envelope = await request(story, view=msgspec.structs.replace(view, trust_root=ref))
    entries.add(envelope, slot_two=slot_of(envelope))
    return entries


async def without_looking(*_: object) -> None:
    """A client that compares no trust roots."""


async def test_a_reader_under_the_same_trust_root_is_no_alarm(story: Story) -> None:
    """The control: whoever names the trust root that is shown here too raises nothing."""
    entries = await signed_under(story, story.patient.service.accepted.ref)
    assert await entries.alarms() == []
    assert readings(await story.patient.log()) == ["list", "release"]


async def test_a_reader_under_a_renewed_trust_root_is_no_alarm(story: Story) -> None:
    """The control: one that came out since this profile was opened is fetched and followed, by both thresholds, and raises nothing."""
    service = story.patient.service
    first = service.record.envelope
    renewed = next_root(first, operators_key(story.instance))
    story.patient_vault.forge("trust_roots", lambda _: TrustRootChain(chain=(first, renewed)))
    version = service.accepted.ref.version + 1
    entries = await signed_under(story, RootRef(version=version, digest=renewed.digest))
    assert await entries.alarms() == []
    assert service.accepted.ref.version == version


async def test_a_reader_who_was_shown_another_trust_root_is_heard(
    story: Story, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A31: a reading signed under another trust root of the same number is ROOT_FORK, and the contradiction proven.

    The twin compares no trust roots. Who cannot show whose keys these are proves nothing, nor does an honest reading called that.
    """
    ref = story.patient.service.accepted.ref
    entries = await signed_under(story, msgspec.structs.replace(ref, digest=fresh()))
    with monkeypatch.context() as twin:
        twin.setattr(SeenHeads, "_check_roots", without_looking)
        assert (await entries.twin_sees("ROOT_FORK")).alarms == ()
    assert await entries.alarms() == ["ROOT_FORK"]
    assert proven(story, "ROOT_FORK") == [proofs.OTHER_ROOT]
    data, card = only(story, "ROOT_FORK"), story.instance.card.root
    assert both(rewritten(story, data, with_finding(people=())), card) == []


async def test_a_trust_root_that_is_kept_from_the_patient_is_heard_of(
    story: Story, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A31: a reading signed under a newer trust root than the server shows the patient, asked anew, is ROOT_FORK: no proof.

    The server had that one when it took the reading in. The twin compares no trust roots.
    """
    ref = story.patient.service.accepted.ref
    entries = await signed_under(story, RootRef(version=ref.version + 1, digest=fresh()))
    with monkeypatch.context() as twin:
        twin.setattr(SeenHeads, "_check_roots", without_looking)
        assert (await entries.twin_sees("ROOT_FORK")).alarms == ()
    asked = len(story.patient_vault.asked("trust_roots"))
    assert await entries.alarms() == ["ROOT_FORK"]
    assert len(story.patient_vault.asked("trust_roots")) == asked + 1
    assert [alarm.text for alarm in kept_alarms(story.patient._store)] == [seen_heads.NEWER_ROOT]
    assert proven(story, "ROOT_FORK") == []
