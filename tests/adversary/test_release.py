"""Readers and servers that go around the log, with an honest keeper; and keepers that lie to honest readers."""

import asyncio
import time
from types import SimpleNamespace
from typing import cast

import msgspec
import pytest

from crypto import labels
from crypto.errors import CannotOpen, CoffreError, NotFound, NotPermitted, NotProven, Unreachable
from crypto.locators import end_tag
from crypto.requests import read_request
from crypto.sealed.policy_blob import open_policy
from crypto.sealed.release import open_release
from crypto.secret_bytes import SecretBytes
from crypto.signing import SigningKey, sign, sign_encoded
from crypto.trust_root import TrustRoot
from crypto.wire.keeper_api import EndAcknowledgement, EndAnswer, EndPost, KeeperApi
from crypto.wire.messages import OpenRequest
from tests.adversary.forged_log import ForgedLog
from tests.adversary.modified_sdk import ask_keeper, fresh, logged, opened, request, wanted
from tests.adversary.story import TEXTS, Story
from tests.support.instance import Instance
from tests.support.keeper_program import SECONDS
from tests.support.lying_keeper import LyingKeeper
from tests.support.people import KeeperKeys
from vault_client import opening, sharing
from vault_client import service as service_module
from vault_client.local_vault import GrantMade
from vault_client.sharing import Sharing


def cut(_: object) -> object:
    """An answer that is lost on its way."""
    raise Unreachable("cut")


async def test_the_keeper_answers_to_a_logged_request(story: Story) -> None:
    """The control of this page: a request that is in the log opens just its document."""
    envelope = await request(story)
    assert len(await opened(story, envelope, await logged(story, envelope), wanted(story))) == 1


async def test_the_keeper_does_not_answer_to_what_is_not_logged(story: Story) -> None:
    """A51: software that logs nothing, shows another request's receipt, or one forged with the log's key gets nothing."""
    first, second = await request(story), await request(story, number=1)
    proof = await logged(story, first)
    forged = await ForgedLog.after(story)
    slot_two = proof.disclosure.slot_two
    places = [forged.append(second, "granted"), forged.append(first, "granted", slot_two=slot_two)]
    for proof_shown in (proof, *map(forged.logged, places)):
        with pytest.raises(NotFound):
            await ask_keeper(story, second, proof_shown)
    for place in places[1:]:
        with pytest.raises(NotFound):  # the true log has this leaf elsewhere
            await ask_keeper(story, first, forged.logged(place))


async def test_an_answer_opens_only_what_was_asked(story: Story) -> None:
    """A13, A51: the answer for one document does not open another, nor does a look at the list open a document."""
    envelope = await request(story)
    proof = await logged(story, envelope)
    with pytest.raises(CannotOpen):
        await opened(story, envelope, proof, wanted(story, 1))
    with pytest.raises(CannotOpen):
        await opened(story, envelope, proof, wanted(story), wanted(story, 1))

    (listing,) = [story.reader.grants.get(story.grant.entry.gid).state.event.listing]
    entry = msgspec.structs.replace(
        (await _documents(story, envelope))[0], doc=listing.doc, ver=listing.ver, ct_root=listing.ct_root
    )
    listed = await request(story, act="list", documents=(entry,))
    with pytest.raises(CannotOpen):
        await opened(story, listed, await logged(story, listed), wanted(story))
    as_list = await request(story, act="list")
    with pytest.raises(NotFound):
        await logged(story, as_list)


async def _documents(story: Story, envelope: object) -> tuple:
    return read_request(envelope).documents


async def test_a_certificate_opens_nothing(story: Story, instance: Instance) -> None:
    """A22, A26, A28: a certified practitioner without a grant gets nothing, with the reader's own request in hand."""
    envelope = await request(story)
    proof = await logged(story, envelope)
    async with await instance.practitioner(story.folder / "other", subject="demo:4") as other:
        own = other.own
        asked = await request(
            story,
            key=own.device,
            identity=own.identity,
            device=own.device.public.key_id,
            view=await other.service.view(story.origin),
        )
        with pytest.raises(NotFound):
            await other.service.api.open(OpenRequest(request=asked))
        with pytest.raises(NotPermitted):
            await other.service.api.open(OpenRequest(request=envelope))
        with pytest.raises(NotFound):
            await ask_keeper(story, envelope, proof, reader=own.profile.chain)
        answer = await ask_keeper(story, envelope, proof)
        with pytest.raises(CannotOpen):
            open_release(
                own.unsealing,
                answer.box,
                envelope.digest,
                proof.disclosure.index,
                story.grant.blobs[0].keeper,
            )


async def test_who_was_revoked_gets_nothing_though_the_server_goes_on(story: Story) -> None:
    """A44: the server drops the end of a grant and goes on serving; the keeper, told by the patient, does not."""
    story.patient_vault.withhold("append_link", Unreachable("gone"))
    with pytest.raises(Unreachable):
        await story.patient.revoke(story.grant.entry.gid)
    (grant,) = story.patient.grants()
    assert (grant.end_in_force, grant.entry.ended) == (True, False)
    with story.refused(NotFound):
        await story.read()
    assert story.reader_keeper.asked("release")


async def test_without_the_patients_post_a_dropped_end_goes_unseen(
    story: Story, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A44, the twin: a patient who tells only the server is served no end at all."""

    async def tells_nobody(*_: object) -> bool:
        return False

    monkeypatch.setattr(Sharing, "_post_end", tells_nobody)
    story.patient_vault.withhold("append_link", Unreachable("gone"))
    with pytest.raises(Unreachable):
        await story.patient.revoke(story.grant.entry.gid)
    assert await story.read() == TEXTS[0]


async def test_an_end_that_was_cut_off_is_gone_on_with(story: Story, monkeypatch: pytest.MonkeyPatch) -> None:
    """A44: an end the log lacks is asked for again by itself, and a grant that is ending cannot be extended meanwhile."""
    gid, n = story.grant.entry.gid, story.patient.replica.local.head.n
    extra = await story.add(b"later", "later.txt")
    story.patient_vault.withhold("append_link", Unreachable("gone"))
    store, name = story.patient.replica._store, f"grant/{gid.hex()}"
    made = store.get(name, GrantMade)
    assert made is not None
    for known in (True, False):  # by the keepers' word; then with their answer lost as well
        store.put(name, made)
        if not known:
            story.patient_keeper.tamper("end", cut)
        with pytest.raises(Unreachable):
            await story.patient.revoke(gid)
        grant = story.patient.replica.grant(gid)
        assert (grant.end_in_force, grant.entry.ended, story.patient.is_ending(gid)) == (known, False, True)
        await story.patient.send_waiting()  # tried again, in vain
        with story.refused(NotPermitted):
            await story.patient.extend(gid, [extra.doc])
    story.patient_vault.be_honest()
    await story.patient.send_waiting()
    grant = await story.patient.revoke(gid)
    assert (grant.end_in_force, grant.entry.ended, story.patient.is_ending(gid)) == (True, True, False)
    assert story.patient.replica.local.head.n == n + 2
    assert (await story.patient.log()).alarms == ()


async def test_without_the_refusal_an_ended_grant_is_extended(story: Story) -> None:
    """A44, the twin: a patient's software that forgets the end it asked for extends the grant."""
    gid = story.grant.entry.gid
    extra = await story.add(b"later", "later.txt")
    story.patient_vault.withhold("append_link", Unreachable("gone"))
    story.patient_keeper.tamper("end", cut)
    with pytest.raises(Unreachable):
        await story.patient.revoke(gid)
    story.patient_vault.be_honest()
    for queued in story.patient.waiting():
        story.patient._queue.remove(queued.id)
    assert (await story.patient.extend(gid, [extra.doc])).entry.j == 1


async def test_a_keeper_that_does_not_end_its_answer_holds_nothing_up(
    story: Story, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A40, A44: an end is in the log at once, whatever a keeper does; the others are not waited for with it."""
    gid, service = story.grant.entry.gid, story.patient.service

    async def never(_: object) -> None:
        await asyncio.Event().wait()

    silent = SimpleNamespace(end=never, identity_head=never)
    name, honest = next(iter(service.keepers.items()))
    monkeypatch.setattr(service_module, "KEEPER_PATIENCE", 1)
    service.keepers = {fresh(): silent, name: honest}
    proving = service.prove_chain(
        story.patient.own.profile.chain
    )  # of two keepers one answers, and one is needed
    assert len((await asyncio.wait_for(proving, 30)).heads) == 1
    service.keepers = {name: silent}
    with monkeypatch.context() as twin:
        twin.setattr(service_module, "KEEPER_PATIENCE", 9999)
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(story.patient.revoke(gid), 2)
    assert story.patient.replica.grant(gid).entry.ended
    service.keepers = {name: honest}
    with story.refused(NotFound):
        await story.read()


async def test_an_end_is_in_force_only_by_the_keepers_word(
    story: Story, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A40, A44: acknowledgements of nobody's, or for another grant, do not make an end look in force."""
    story.patient_vault.withhold("append_link", Unreachable("gone"))
    gid = story.grant.entry.gid

    def forge(answer: object) -> object:
        envelope = sign_encoded(
            labels.END_ACKNOWLEDGEMENT,
            answer.envelope.body,
            SigningKey.generate(),
        )
        return msgspec.structs.replace(answer, envelope=envelope)

    story.patient_keeper.tamper("end", forge)
    with story.refused(Unreachable):
        await story.patient.revoke(gid)
    assert not story.patient.grants()[0].end_in_force

    with monkeypatch.context() as twin:
        twin.setattr(
            sharing,
            "read",
            lambda envelope, label, kind, keys: msgspec.json.decode(envelope.body, type=kind),
        )
        with pytest.raises(Unreachable):
            await story.patient.revoke(gid)
        assert story.patient.grants()[0].end_in_force


async def test_a_lying_keeper_opens_nothing_wrong(story: Story) -> None:
    """A12, A16: an answer that is changed, or was given for another request, opens nothing."""
    kept: list[object] = []
    story.reader_keeper.tamper("release", lambda answer: kept.append(answer) or answer)
    await story.read()
    story.destination.unlink()
    box = kept[0].box
    for forged in (kept[0], msgspec.structs.replace(kept[0], box=box[:-1] + bytes([box[-1] ^ 1]))):
        story.reader_keeper.tamper("release", lambda _, forged=forged: forged)
        with story.refused(CannotOpen):
            await story.read()


async def test_policies_are_those_that_were_signed(story: Story, monkeypatch: pytest.MonkeyPatch) -> None:
    """A29, A47: a policy blob that the server exchanged is refused before any keeper is asked."""
    real = story.reader_vault.honest.open

    async def exchanged(query: OpenRequest) -> object:
        answer = await real(query)
        blobs = tuple(msgspec.structs.replace(blob, box=fresh(2000)) for blob in answer.blobs)
        return msgspec.structs.replace(answer, blobs=blobs)

    async def missing(query: OpenRequest) -> object:
        return msgspec.structs.replace(await real(query), blobs=())

    asked = len(story.reader_keeper.asked("release"))
    for lie in (exchanged, missing):
        story.reader_vault.forge("open", lie)
        with story.refused(NotPermitted, NotProven, NotFound):
            await story.read()
    assert len(story.reader_keeper.asked("release")) == asked

    story.reader_vault.forge("open", exchanged)
    with monkeypatch.context() as twin:
        twin.setattr(opening, "check_blob", lambda policy, blob: None)
        with pytest.raises(CoffreError):
            await story.read()
    assert len(story.reader_keeper.asked("release")) == asked + 1


async def test_a_refusal_ends_the_download(story: Story) -> None:
    """A55: when the keeper refuses, the ciphertext that is still coming is let go, and leaves no file."""

    async def slow(query: object):
        while True:
            yield b"x"
            await asyncio.sleep(0.02)

    def refuse(_: object) -> object:
        raise NotFound("A release")

    story.reader_keeper.tamper("release", refuse)
    story.reader_vault.serve_ciphertext(slow)
    before = asyncio.all_tasks()
    with story.refused(NotFound):
        await story.read()
    if left := asyncio.all_tasks() - before:  # the liar has yet to notice
        _, going_on = await asyncio.wait(left, timeout=SECONDS)
        assert not going_on


class NamedLater:
    """A keeper that a later trust root names, and that takes whatever end is posted to it rightly."""

    def __init__(self) -> None:
        self.keys = KeeperKeys()
        self.posts: list[EndPost] = []

    async def end(self, post: EndPost) -> EndAnswer:
        """What a keeper would answer that follows the log."""
        blob = open_policy(self.keys.unsealing, post.blob, post.origin, post.gid)
        assert (blob.acts, blob.expiry, blob.grant_key) == ((), 0, bytes(32))
        assert end_tag(SecretBytes(blob.end_key), post.origin, post.gid) == post.tag
        self.posts.append(post)
        stated = EndAcknowledgement(origin=post.origin, gid=post.gid, tag=post.tag, time=int(time.time()))
        return EndAnswer(envelope=sign(labels.END_ACKNOWLEDGEMENT, stated, self.keys.cosigning))


@pytest.mark.parametrize("is_twin", [False, True])
async def test_an_end_reaches_keepers_that_were_named_later(
    story: Story, monkeypatch: pytest.MonkeyPatch, is_twin: bool
) -> None:
    """A44: a server that holds back new keys for the keepers named meanwhile does not find one of them without the end.

    The grant names the keeper of before only. The end is in force by the word of both; the twin tells those that the grant names.
    """
    service, later = story.patient.service, NamedLater()
    old = service.root.live_keepers[0]
    gone = msgspec.structs.replace(old, retired_until=service.now() + 400 * 24 * 3600)
    keepers = (gone, later.keys.named("later"))
    root = msgspec.structs.replace(service.root, keepers=keepers)
    service.accepted = msgspec.structs.replace(service.accepted, root=root)
    name = keepers[1].key_hash
    service.keepers = {**service.keepers, name: LyingKeeper(cast("KeeperApi", later))}
    service.keepers[name].tamper("end", cut)
    story.patient_vault.withhold("append_link", Unreachable("gone"))
    gid = story.grant.entry.gid
    if is_twin:
        monkeypatch.setattr(TrustRoot, "live_keepers", property(lambda _: (old,)))
    with pytest.raises(Unreachable):
        await story.patient.revoke(gid)
    assert story.patient.grants()[0].end_in_force == is_twin
    assert bool(later.posts) != is_twin
    service.keepers[name].be_honest()
    with pytest.raises(Unreachable):
        await story.patient.revoke(gid)
    assert story.patient.grants()[0].end_in_force
    assert len(later.posts) == (0 if is_twin else 2)
