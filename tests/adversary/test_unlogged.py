"""A server that answers a request without putting it, as it is, into the log that everybody sees."""

import secrets
from typing import Any

import msgspec
import pytest

from crypto.errors import CoffreError, NotProven, Stale
from crypto.wire.messages import OpenAnswer
from tests.adversary.forged_log import ForgedLog, random_leaf
from tests.adversary.story import Story
from tests.adversary.twins import WithAnything
from vault_client import opening, trust
from vault_client.trust import BelievedHead


async def refused_before_the_keepers(story: Story, *errors: type[Exception]) -> None:
    """A reading is refused, no keeper is asked, and the head stays where it was."""
    asked, head = len(story.reader_keeper.asked("release")), story.head(story.reader.service)
    with story.refused(*errors):
        await story.read()
    assert len(story.reader_keeper.asked("release")) == asked
    assert story.head(story.reader.service) == head


async def keepers_are_asked(story: Story) -> None:
    """What happens to a twin: it goes on to the keepers with a request that is not in the log."""
    asked = len(story.reader_keeper.asked("release"))
    try:
        await story.read()
    except CoffreError:  # the honest keeper refuses: a second defence, which is not the client's
        assert not story.destination.exists()
    assert len(story.reader_keeper.asked("release")) == asked + 1


def believing(root: Any, origin: str, logged: Any, envelope: Any, *, outcome: Any, now: int) -> Any:
    """A client that takes the server's word for what is in the log."""
    leaf = msgspec.structs.replace(
        logged.disclosure, part=msgspec.structs.replace(logged.disclosure.part, body=envelope.digest)
    ).leaf(envelope)
    return trust.empty_head(origin), leaf


async def test_an_entry_of_somebody_elses_is_no_receipt(
    story: Story, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A51: the receipt of an earlier request does not stand for this one."""
    kept: list[OpenAnswer] = []
    story.reader_vault.tamper("open", lambda answer: kept.append(answer) or answer)
    await story.read()
    story.destination.unlink()
    story.reader_vault.replay("open", kept[0])
    await refused_before_the_keepers(story, NotProven)

    with monkeypatch.context() as twin:
        twin.setattr(opening, "read_request", lambda envelope: WithAnything(envelope, "slot_two"))
        twin.setattr(trust, "believe_logged", believing)
        twin.setattr(trust, "advance", lambda known, new, path: known)
        await keepers_are_asked(story)


async def test_a_logged_refusal_is_no_receipt(story: Story, monkeypatch: pytest.MonkeyPatch) -> None:
    """A51: a request that the log says was refused is not gone on with, though the server hands out everything."""
    forged = await ForgedLog.after(story)
    honest = story.reader_vault.honest

    async def answer(query: Any) -> OpenAnswer:
        real = await honest.open(query)
        part = msgspec.structs.replace(real.logged.disclosure.part, outcome="refused")
        changed = forged.append(query.request, "refused", slot_two=real.logged.disclosure.slot_two, part=part)
        return msgspec.structs.replace(real, logged=forged.logged(changed))

    story.reader_vault.forge("open", answer)
    forged.show_to(story.reader_vault)
    await refused_before_the_keepers(story, NotProven)

    real = trust.believe_logged
    with monkeypatch.context() as twin:
        twin.setattr(trust, "believe_logged", lambda *a, outcome, now: real(*a, outcome="refused", now=now))
        await keepers_are_asked(story)


async def test_a_head_that_no_keeper_saw_is_no_receipt(story: Story, monkeypatch: pytest.MonkeyPatch) -> None:
    """A51: a receipt under a head that the log alone signed is refused."""
    forged = await ForgedLog.after(story)
    forged.cosigned = False
    forged.answer_requests(story.reader_vault, story)
    await refused_before_the_keepers(story, NotProven)

    with monkeypatch.context() as twin:
        twin.setattr(trust, "quorum_times", lambda root, note, now: [now])
        await keepers_are_asked(story)


async def test_an_old_head_is_no_receipt(story: Story, monkeypatch: pytest.MonkeyPatch) -> None:
    """A40, A51: a receipt under a head cosigned more than ten minutes ago is refused, and one from the future."""
    forged = await ForgedLog.after(story)
    forged.answer_requests(story.reader_vault, story)
    for age in (trust.TEN_MINUTES + 60, -trust.AHEAD - 60):
        forged.age = age
        await refused_before_the_keepers(story, Stale)

    forged.age = trust.TEN_MINUTES + 60
    with monkeypatch.context() as twin:
        twin.setattr(trust, "TEN_MINUTES", 1 << 40)
        await keepers_are_asked(story)


async def test_a_reading_logged_where_the_patient_cannot_find_it_is_not_made(
    story: Story, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A51: the entry carries the locator that the request asked for, or nothing is opened."""
    forged = await ForgedLog.after(story)
    forged.answer_requests(story.reader_vault, story, slot_two=secrets.token_bytes(32))
    # The head itself is sound, so believing it is right; what is refused is to go on.
    asked = len(story.reader_keeper.asked("release"))
    with story.refused(NotProven):
        await story.read()
    assert len(story.reader_keeper.asked("release")) == asked

    with monkeypatch.context() as twin:
        read = opening.read_request
        twin.setattr(opening, "read_request", lambda envelope: WithAnything(read(envelope), "slot_two"))
        await keepers_are_asked(story)


async def test_entries_once_seen_cannot_be_changed(story: Story, monkeypatch: pytest.MonkeyPatch) -> None:
    """A48, A49: cut, changed, exchanged, doubled, left out: a log signed anew is refused by whoever saw the old."""
    whole = (await ForgedLog.after(story)).leaves
    histories = {
        "cut": whole[:-1],
        "changed": [*whole[:-2], random_leaf(), whole[-1]],
        "exchanged": [*whole[:-2], whole[-1], whole[-2]],
        "doubled": [*whole[:-1], whole[-2], whole[-1]],
        "left out": [*whole[:-2], whole[-1], random_leaf(), random_leaf()],
    }
    service, head = story.patient.service, story.head(story.patient.service)
    for name, leaves in histories.items():
        ForgedLog(story.instance, story.origin, list(leaves)).show_to(story.patient_vault)
        with story.refused(NotProven):
            await story.patient.log()
        with story.refused(NotProven):
            await service.refresh(story.origin)
        assert story.head(service) == head, name

    ForgedLog(story.instance, story.origin, histories["changed"]).show_to(story.patient_vault)
    with monkeypatch.context() as twin:
        twin.setattr(trust, "advance", lambda known, new, path: new)
        await service.refresh(story.origin)
        assert story.head(service) != head


async def test_two_histories_do_not_meet_unseen(story: Story, monkeypatch: pytest.MonkeyPatch) -> None:
    """A42, A50: a reader who was shown a branch of the log, keeper's word and all, refuses the true one for ever."""
    branch = await ForgedLog.after(story)
    branch.leaves.append(random_leaf())
    branch.answer_requests(story.reader_vault, story)
    await keepers_are_asked(story)  # a head that looks sound: only the honest keeper knows that it is not
    head = story.head(story.reader.service)

    (await ForgedLog.after(story)).answer_requests(story.reader_vault, story)
    for _ in range(2):
        await refused_before_the_keepers(story, NotProven)
    assert story.head(story.reader.service) == head

    def rejoin(known: BelievedHead, new: BelievedHead, path: Any) -> BelievedHead:
        return new

    with monkeypatch.context() as twin:
        twin.setattr(trust, "advance", rejoin)
        await keepers_are_asked(story)


async def test_a_frozen_log_is_not_believed(story: Story, monkeypatch: pytest.MonkeyPatch) -> None:
    """A40: a head that stands still for more than ten minutes is called stale, and nothing is reported as done."""
    service = story.patient.service
    frozen = await story.patient_vault.honest.checkpoint(story.origin)
    directory = await story.patient_vault.honest.checkpoint(service.root.directory_origin)
    story.patient_vault.forge("checkpoint", lambda origin: frozen if origin == story.origin else directory)
    now = service.now
    later = trust.TEN_MINUTES + 60
    service.now = lambda: now() + later
    for attempt in (story.patient.log, lambda: story.patient.mask(story.documents[0].doc)):
        with story.refused(Stale):
            await attempt()
    with monkeypatch.context() as twin:
        twin.setattr(trust, "TEN_MINUTES", 1 << 40)
        assert (await story.patient.log()).alarms == ()
