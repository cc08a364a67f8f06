"""What a keeper releases, and everything for which it does not."""

from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from crypto import labels
from crypto.checkpoint import cosign
from crypto.encoding import encode
from crypto.errors import NotFound, TooMany, Unreachable
from crypto.identity_links import AddDevice, AddMember, Chain, Delegate, RemoveMember, RevokeDevice, Withdraw
from crypto.locators import Locator
from crypto.requests import read_request
from crypto.sealed.policy_blob import Rate, seal_policy
from crypto.sealed.unsealing import UnsealingKey
from crypto.signing import SigningKey
from crypto.statements import Head, RootRef
from crypto.trust_root import Policy, TrustRoot
from crypto.wire.keeper_api import ReleaseQuery
from tests.support.keeper_story import Story, keeper_story
from tests.support.people import DAY, LOG, NOW, Device, KeeperKeys, Person, fresh
from tests.support.small_log import random_leaf
from vault_server.keeper.release import Released, Releases
from vault_server.keeper.trust import Trust

Questions = Callable[[Story], Awaitable[ReleaseQuery]]


async def test_an_honest_request_is_answered(story: Story) -> None:
    """The keeper's shares are those that the patient computes from the same seeds."""
    query = await story.query()
    answer = story.opened(query, await story.keeper.release(query))
    (own,) = answer.subsets
    expected = [story.maker.share(0, labels.SHARE_B, document) for document in story.documents]
    assert list(own.shares) == expected


async def test_the_same_request_may_be_asked_again(story: Story) -> None:
    """A reader who lost the answer asks again; the rate counts the request once."""
    query = await story.query()
    query = msgspec.structs.replace(query, blob=story.blob(rates=(Rate(seconds=3600, documents=2),)))
    for _ in range(3):
        await story.keeper.release(query)


def test_a_rate_looks_back_for_its_own_time() -> None:
    """Each rate counts what was released within its seconds, and each grant's documents are its own."""
    released, grant, other = Released(), fresh(), fresh()
    rates = (Rate(seconds=60, documents=3), Rate(seconds=3600, documents=5))
    released.take(grant, fresh(), 2, rates, NOW)
    with pytest.raises(TooMany):
        released.take(grant, fresh(), 2, rates, NOW + 59)
    released.take(other, fresh(), 2, rates, NOW + 59)
    released.take(grant, fresh(), 2, rates, NOW + 60)
    with pytest.raises(TooMany):
        released.take(grant, fresh(), 2, rates, NOW + 120)
    released.take(grant, fresh(), 1, rates, NOW + 120)
    released.take(grant, fresh(), 3, rates, NOW + 3660)


async def test_a_listing_is_released_under_its_own_label(story: Story) -> None:
    """For act ``list`` the share is another one than for opening the same document."""
    query = await story.query(act="list")
    answer = story.opened(query, await story.keeper.release(query))
    expected = [story.maker.share(0, labels.SHARE_B_LIST, document) for document in story.documents]
    assert list(answer.subsets[0].shares) == expected


async def test_a_member_of_a_team_is_answered(story: Story) -> None:
    """A grant to a team opens for its certified member."""
    await _with_team(story)
    query = await story.query(team=story.team.identity if story.team else None)
    assert await story.keeper.release(query)


async def test_a_delegate_is_answered_until_its_time_is_over(story: Story) -> None:
    """A grant to a person opens for their delegate, by the keeper's time and not by the request's."""
    story.team = Person(story.service)
    story.service.certify(story.team)
    story.team.add(Delegate(identity=story.reader.identity, purposes=("TREAT",), until=NOW + 300))
    await story.grant(story.team)
    query = await story.query(team=story.team.identity)
    story.time.now += 299
    assert await story.keeper.release(query)
    story.time.now += 1
    with pytest.raises(NotFound):
        await story.keeper.release(query)


async def test_an_older_head_that_is_a_prefix_will_do(story: Story) -> None:
    """The receipt may be under a head that the log has since continued, however long ago the heads were forgotten."""
    query = await story.query()
    story.service.shard.fill(300)
    await story.service.publish(story.keeper, LOG)
    assert await story.keeper.release(query)


async def test_the_directory_may_move_on_for_ten_minutes(story: Story) -> None:
    """A view of the directory counts until ten minutes after a larger head replaced it, and no longer."""
    view = story.service.view
    Person(story.service)
    await story.service.publish_all(story.keeper)
    story.time.now += 600
    query = await story.query(view=view)
    assert await story.keeper.release(query)
    story.time.now += 1
    with pytest.raises(NotFound):
        await story.keeper.release(query)


async def _with_team(story: Story, **changes: Any) -> None:
    story.team = Person(story.service, "team")
    story.service.certify(story.team, kind="team", **changes)
    story.team.add(AddMember(identity=story.reader.identity))
    await story.grant(story.team)


# Each of these makes a question with one thing wrong.


async def _other_time(story: Story) -> ReleaseQuery:
    query = await story.query()
    story.time.now += 601
    return query


async def _time_ahead(story: Story) -> ReleaseQuery:
    return await story.query(time=NOW + 601)


async def _unknown_trust_root(story: Story) -> ReleaseQuery:
    view = msgspec.structs.replace(story.service.view, trust_root=RootRef(version=1, digest=fresh()))
    return await story.query(view=view)


async def _misnamed_trust_root(story: Story) -> ReleaseQuery:
    ref = msgspec.structs.replace(story.service.accepted.ref, version=2)
    return await story.query(view=msgspec.structs.replace(story.service.view, trust_root=ref))


async def _expired_trust_root(story: Story) -> ReleaseQuery:
    story.service.next_root(expiry=NOW + 1)
    await story.keeper.refresh_trust()
    story.time.now += 1
    await story.service.publish_all(story.keeper)
    return await story.query()


async def _other_signer(story: Story) -> ReleaseQuery:
    request = story.request()
    envelope = story.signed(request, SigningKey.generate())
    disclosure = story.log_request(envelope, slot_two=request.slot_two)
    await story.service.publish(story.keeper, LOG)
    return story.question(envelope, story.proof(disclosure))


async def _changed_request(story: Story) -> ReleaseQuery:
    request = story.request()
    body = encode(request).replace(b'"act":"release"', b'"act":"list"')
    envelope = msgspec.structs.replace(story.signed(request), body=body)
    disclosure = story.log_request(envelope, slot_two=request.slot_two)
    await story.service.publish(story.keeper, LOG)
    return story.question(envelope, story.proof(disclosure))


async def _another_request(story: Story) -> ReleaseQuery:
    query = await story.query()
    slot, (one, _) = read_request(query.request).slot_two, story.documents
    other = story.request(slot_two=slot, documents=(msgspec.structs.replace(one, doc=fresh(16)),))
    return msgspec.structs.replace(query, request=story.signed(other))


async def _refused_outcome(story: Story) -> ReleaseQuery:
    request = story.request()
    envelope = story.signed(request)
    disclosure = story.log_request(envelope, slot_two=request.slot_two, outcome="refused")
    await story.service.publish(story.keeper, LOG)
    return story.question(envelope, story.proof(disclosure))


async def _other_slot_two_in_leaf(story: Story) -> ReleaseQuery:
    envelope = story.signed(story.request())
    other = Locator(story.maker.grant_key, LOG).make(fresh(16))
    disclosure = story.log_request(envelope, slot_two=other)
    await story.service.publish(story.keeper, LOG)
    return story.question(envelope, story.proof(disclosure))


async def _slot_two_not_found_by_the_patient(story: Story) -> ReleaseQuery:
    return await story.query(slot_two=fresh())


async def _slot_two_seen_before(story: Story) -> ReleaseQuery:
    request = story.request()
    story.service.shard.append(random_leaf(request.slot_two))
    return await story.query(slot_two=request.slot_two)


async def _not_logged(story: Story) -> ReleaseQuery:
    query = await story.query()
    disclosure = msgspec.structs.replace(query.logged.disclosure, salt=fresh())
    logged = msgspec.structs.replace(query.logged, disclosure=disclosure)
    return msgspec.structs.replace(query, logged=logged)


async def _other_index(story: Story) -> ReleaseQuery:
    query = await story.query()
    disclosure = msgspec.structs.replace(query.logged.disclosure, index=0)
    return msgspec.structs.replace(query, logged=msgspec.structs.replace(query.logged, disclosure=disclosure))


async def _forked_head(story: Story) -> ReleaseQuery:
    honest = await story.query()
    story.service.shard.leaves[0] = random_leaf()
    head = story.service.shard.checkpoint()
    index = honest.logged.disclosure.index
    note = story.service.shard.note() + cosign(head, "x", SigningKey.generate(), NOW)
    receipt = story.service.shard.receipt(index, note, head.size)
    return msgspec.structs.replace(honest, logged=msgspec.structs.replace(honest.logged, receipt=receipt))


async def _head_beyond_the_followed(story: Story) -> ReleaseQuery:
    honest = await story.query()
    size = story.service.cosigned[LOG]
    story.service.shard.fill(1)
    note = story.service.shard.note()
    receipt = story.service.shard.receipt(honest.logged.disclosure.index, note, size + 1)
    return msgspec.structs.replace(honest, logged=msgspec.structs.replace(honest.logged, receipt=receipt))


async def _not_cosigned(story: Story) -> ReleaseQuery:
    honest = await story.query()
    size, note = story.service.cosigned[LOG], story.service.shard.note()
    receipt = story.service.shard.receipt(honest.logged.disclosure.index, note, size)
    return msgspec.structs.replace(honest, logged=msgspec.structs.replace(honest.logged, receipt=receipt))


async def _directory_unknown(story: Story) -> ReleaseQuery:
    directory = Head(size=story.service.directory.head.size, root=fresh())
    return await story.query(view=msgspec.structs.replace(story.service.view, dir=directory))


async def _directory_never_published(story: Story) -> ReleaseQuery:
    Person(story.service)
    view = story.service.view
    Person(story.service)
    await story.service.publish_all(story.keeper)
    return await story.query(view=view)


async def _directory_of_the_future(story: Story) -> ReleaseQuery:
    Person(story.service)
    return await story.query()


async def _device_revoked(story: Story) -> ReleaseQuery:
    view, new = story.service.view, Device()
    story.reader.add(
        new.added,
        RevokeDevice(device=story.reader.device.id),
        signers=[story.reader.device.signing, new.signing],
    )
    await story.service.publish_all(story.keeper)
    return await story.query(view=view)


async def _device_added_after_the_view(story: Story) -> ReleaseQuery:
    view, new = story.service.view, Device()
    added: AddDevice = new.added
    story.reader.add(added, signers=[story.reader.device.signing, new.signing])
    story.reader.device = new
    await story.service.publish_all(story.keeper)
    return await story.query(view=view)


async def _chain_cut_short(story: Story) -> ReleaseQuery:
    short = story.reader.chain
    story.service.certify(story.reader)
    await story.service.publish_all(story.keeper)
    return msgspec.structs.replace(await story.query(), reader=short)


async def _chain_of_another(story: Story) -> ReleaseQuery:
    return msgspec.structs.replace(await story.query(), reader=story.patient.chain)


async def _chain_not_logged(story: Story) -> ReleaseQuery:
    *others, last = story.reader.links
    disclosure = msgspec.structs.replace(last.disclosure, salt=fresh())
    forged = Chain(links=(*others, msgspec.structs.replace(last, disclosure=disclosure)))
    return msgspec.structs.replace(await story.query(), reader=forged)


async def _not_certified(story: Story) -> ReleaseQuery:
    story.reader.add(Withdraw(link=1), signers=[story.service.registrar])
    await story.service.publish_all(story.keeper)
    return await story.query()


async def _certificate_run_out(story: Story) -> ReleaseQuery:
    story.reader = Person(story.service)
    story.service.certify(story.reader, until=NOW + 1)
    await story.grant()
    story.time.now += 1
    return await story.query()


async def _certified_for_what_is_never_granted(story: Story) -> ReleaseQuery:
    story.service.next_root(never_granted=("demo",))
    await story.keeper.refresh_trust()
    return await story.query()


async def _not_a_member(story: Story) -> ReleaseQuery:
    await _with_team(story)
    story.team = _team(story)
    story.team.add(RemoveMember(identity=story.reader.identity))
    await story.service.publish_all(story.keeper)
    return await story.query(team=story.team.identity)


async def _member_until_after_the_view(story: Story) -> ReleaseQuery:
    await _with_team(story)
    view = story.service.view
    _team(story).add(RemoveMember(identity=story.reader.identity))
    await story.service.publish_all(story.keeper)
    return await story.query(team=_team(story).identity, view=view)


async def _team_not_shown(story: Story) -> ReleaseQuery:
    await _with_team(story)
    return msgspec.structs.replace(await story.query(team=_team(story).identity), team=None)


async def _team_not_named(story: Story) -> ReleaseQuery:
    await _with_team(story)
    return await story.query()


def _team(story: Story) -> Person:
    if story.team is None:
        raise LookupError
    return story.team


async def _with_blob(story: Story, **changes: Any) -> ReleaseQuery:
    return msgspec.structs.replace(await story.query(), blob=story.blob(**changes))


async def _blob_of_another_grant(story: Story) -> ReleaseQuery:
    return await _with_blob(story, gid=fresh())


async def _blob_of_another_log(story: Story) -> ReleaseQuery:
    return await _with_blob(story, origin=f"{LOG}0")


async def _blob_for_another_keeper(story: Story) -> ReleaseQuery:
    blob = story.maker.blob(story.key_hash)
    other = seal_policy(blob, UnsealingKey.generate().public, story.service.accepted.ref.digest)
    return msgspec.structs.replace(await story.query(), blob=other)


async def _blob_under_another_trust_root(story: Story) -> ReleaseQuery:
    blob = msgspec.structs.replace(story.blob(), trust_root=fresh())
    return msgspec.structs.replace(await story.query(), blob=blob)


async def _blob_under_an_unknown_trust_root(story: Story) -> ReleaseQuery:
    blob = seal_policy(story.maker.blob(story.key_hash), story.card.sealing_key, fresh())
    return msgspec.structs.replace(await story.query(), blob=blob)


async def _blob_of_more_keepers(story: Story) -> ReleaseQuery:
    (seed,) = story.maker.blob(story.key_hash).seeds
    return await _with_blob(story, seeds=(seed, seed, seed))


async def _excluded(story: Story) -> ReleaseQuery:
    return await _with_blob(story, excluded=(story.reader.identity,))


async def _for_somebody_else(story: Story) -> ReleaseQuery:
    return await _with_blob(story, recipient=fresh())


async def _expired(story: Story) -> ReleaseQuery:
    return await _with_blob(story, expiry=NOW)


async def _another_act(story: Story) -> ReleaseQuery:
    return await story.query(act="export")


async def _older_rekey(story: Story) -> ReleaseQuery:
    return await _with_blob(story, rekey=1)


async def _too_many(story: Story) -> ReleaseQuery:
    await story.keeper.release(await _with_blob(story, rates=(Rate(seconds=3600, documents=3),)))
    return await _with_blob(story, rates=(Rate(seconds=3600, documents=3),))


async def _too_many_in_a_day(story: Story) -> ReleaseQuery:
    rates = (Rate(seconds=3600, documents=100), Rate(seconds=86_400, documents=3))
    await story.keeper.release(await _with_blob(story, rates=rates))
    return await _with_blob(story, rates=rates)


async def _deposit(story: Story) -> ReleaseQuery:
    first, *others = story.documents
    return await story.query(documents=(msgspec.structs.replace(first, deposit=fresh()), *others))


async def _event_not_logged(story: Story) -> ReleaseQuery:
    return await _with_blob(story, j=1)


async def _event_superseded(story: Story) -> ReleaseQuery:
    story.log_event(1)
    return await story.query()


async def _event_superseded_in_silence(story: Story) -> ReleaseQuery:
    query = await story.query()
    await story.keeper.release(query)
    story.log_event(1)
    await story.service.publish(story.keeper, LOG)
    return query


async def _ended(story: Story) -> ReleaseQuery:
    story.service.shard.append(random_leaf(story.maker.end_tag))
    return await story.query()


async def _end_posted(story: Story) -> ReleaseQuery:
    query = await story.query()
    await story.keeper.end(story.end_post())
    return query


WRONG: dict[Questions, str] = {
    _other_time: "not of now",
    _time_ahead: "not of now",
    _unknown_trust_root: "trust root that is not known",
    _misnamed_trust_root: "misnames a trust root",
    _expired_trust_root: "trust root has expired",
    _other_signer: "not signed by the device",
    _changed_request: "signature does not fit",
    _another_request: "names another body",
    _refused_outcome: "speaks of another log entry",
    _other_slot_two_in_leaf: "under another locator",
    _slot_two_not_found_by_the_patient: "cannot be found by the patient",
    _slot_two_seen_before: "not in the log as it is shown",
    _not_logged: "does not lead to the root",
    _other_index: "speaks of another log entry",
    _forked_head: "not part of the log",
    _head_beyond_the_followed: "not part of the log",
    _not_cosigned: "lacks the keepers' signatures",
    _directory_unknown: "too old",
    _directory_never_published: "too old",
    _directory_of_the_future: "too old",
    _device_revoked: "by an unknown key",
    _device_added_after_the_view: "by an unknown key",
    _chain_cut_short: "more links than are shown",
    _chain_of_another: "not signed by the device",
    _chain_not_logged: "not in the log as it is shown",
    _not_certified: "no registrar certifies",
    _certificate_run_out: "no registrar certifies",
    _certified_for_what_is_never_granted: "no registrar certifies",
    _not_a_member: "no member of",
    _member_until_after_the_view: "no member of",
    _team_not_shown: "team that is not shown",
    _team_not_named: "for somebody else",
    _blob_of_another_grant: "could not be opened",
    _blob_of_another_log: "could not be opened",
    _blob_for_another_keeper: "could not be opened",
    _blob_under_another_trust_root: "could not be opened",
    _blob_under_an_unknown_trust_root: "trust root that is not known",
    _blob_of_more_keepers: "not as the trust root allows",
    _excluded: "for somebody else",
    _for_somebody_else: "for somebody else",
    _expired: "not allow this act",
    _another_act: "not allow this act",
    _older_rekey: "keys of a grant that were replaced",
    _too_many: "for now is used up",
    _too_many_in_a_day: "for now is used up",
    _deposit: "names a deposit",
    _event_not_logged: "not its newest",
    _event_superseded: "not its newest",
    _event_superseded_in_silence: "not its newest",
    _ended: "has ended",
    _end_posted: "has ended",
}


@pytest.mark.parametrize("question", WRONG, ids=[each.__name__.strip("_") for each in WRONG])
async def test_one_thing_wrong_is_one_refusal(story: Story, question: Questions) -> None:
    """Whatever is wrong with a request, its proof, its signer or its grant: the answer is the same refusal."""
    query = await question(story)
    with pytest.raises(NotFound) as refusal:
        await story.keeper.release(query)
    assert str(refusal.value) == str(NotFound("This was not released"))
    assert WRONG[question] in str(refusal.value.__context__)


async def test_a_silent_server_stops_releases_after_a_minute(story: Story) -> None:
    """Without a head fetched within 60 seconds nothing is released, since an end may have been logged."""
    query = await story.query()
    await story.keeper.release(query)
    story.service.silent = True
    story.time.now += 59
    await story.keeper.release(query)
    story.time.now += 1
    with pytest.raises(Unreachable):
        await story.keeper.release(query)


@pytest.mark.parametrize("others", [(0, 0, 0), (0, 600, -9999), (600, 600, 9999), (601, 601, 601)])
async def test_three_of_four_cosignatures_of_one_time(tmp_path: Path, others: tuple[int, ...]) -> None:
    """With 3 of 4 keepers, a head counts when any three of them cosigned it within ten minutes of each other."""
    async with keeper_story(tmp_path / "keeper", k=3, n=4) as story:
        story.service.other_times = [NOW + offset for offset in others]
        query = await story.query()
        answer = story.opened(query, await story.keeper.release(query))
        assert len(answer.subsets) == 3


@pytest.mark.parametrize("others", [(0, 601, -601), (0, 9999, 9999 + 601)])
async def test_three_of_four_cosignatures_of_different_times(tmp_path: Path, others: tuple[int, ...]) -> None:
    """With 3 of 4 keepers, two cosignatures of one time and others far from it are too few."""
    async with keeper_story(tmp_path / "keeper", k=3, n=4) as story:
        story.service.other_times = [NOW + offset for offset in others]
        query = await story.query()
        with pytest.raises(NotFound) as refusal:
            await story.keeper.release(query)
        assert "lacks the keepers' signatures" in str(refusal.value.__context__)


async def test_cosignatures_by_others_than_keepers_do_not_count(tmp_path: Path) -> None:
    """A head of a 3 of 4 service with two keepers' cosignatures and a stranger's is not enough."""
    async with keeper_story(tmp_path / "keeper", k=3, n=4) as story:
        story.service.keepers[2] = story.service.keepers[3] = KeeperKeys()
        query = await story.query()
        with pytest.raises(NotFound) as refusal:
            await story.keeper.release(query)
        assert "lacks the keepers' signatures" in str(refusal.value.__context__)


async def test_cosignatures_of_retired_keepers_do_not_count(tmp_path: Path) -> None:
    """After the other three retired, their three cosignatures are too few; two by live keepers in their place suffice."""
    async with keeper_story(tmp_path / "keeper", k=3, n=4) as story:
        query, service = await story.query(), story.service
        assert await story.keeper.release(query)
        own, *others = service.root.keepers
        retired = [msgspec.structs.replace(keeper, retired_until=NOW + DAY) for keeper in others]
        new = [(f"new-{number}", KeeperKeys()) for number in range(3)]
        service.next_root(keepers=(own, *retired, *(keys.named(name) for name, keys in new)))
        await story.keeper.refresh_trust()
        with pytest.raises(NotFound) as refusal:
            await story.keeper.release(query)
        assert "lacks the keepers' signatures" in str(refusal.value.__context__)
        for name, keys in new[:2]:
            service.published[LOG] += cosign(service.shard.checkpoint(), name, keys.cosigning, NOW)
        logged = story.proof(query.logged.disclosure)
        assert await story.keeper.release(msgspec.structs.replace(query, logged=logged))


async def test_a_retired_keeper_answers_for_what_is_older(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A policy made after this keeper had retired lacks the rekey that was due; one made before is answered for.

    The twin takes each policy for one made before, and answers.
    """
    async with keeper_story(tmp_path / "keeper", k=3, n=4) as story:
        query, service = await story.query(), story.service
        own, *others = service.root.keepers
        retired = msgspec.structs.replace(own, retired_until=NOW + DAY)
        service.next_root(keepers=(retired, *others, KeeperKeys().named("new")))
        await story.keeper.refresh_trust()
        for name, keys in service.other_keepers:
            service.published[LOG] += cosign(service.shard.checkpoint(), name, keys.cosigning, NOW)
        assert await story.keeper.release(query)
        later = seal_policy(
            story.maker.blob(story.key_hash), story.card.sealing_key, service.chain[-1].digest
        )
        with pytest.raises(NotFound) as refusal:
            await story.keeper.release(msgspec.structs.replace(query, blob=later))
        assert "a keeper that has retired" in str(refusal.value.__context__)

        async def of_before(*_: object) -> TrustRoot:
            return service.root

        with monkeypatch.context() as twin:
            twin.setattr(Trust, "root", of_before)
            assert await story.keeper.release(msgspec.structs.replace(query, blob=later))


async def test_a_shorter_time_closes_the_longer_one(story: Story, monkeypatch: pytest.MonkeyPatch) -> None:
    """Once an event with an earlier expiry is logged, the policy of the one before opens nothing; the new one, until then.

    The twin is a keeper that asks for no later event: the reader goes on with the policy that lasts longer.
    """
    old = story.blob()
    story.maker.j = 1
    story.log_event(1)
    query = await story.query()
    shorter = msgspec.structs.replace(query, blob=story.blob(expiry=NOW + 60))
    assert await story.keeper.release(shorter)
    for seconds in (0, 60):
        story.time.now += seconds
        with pytest.raises(NotFound):
            await story.keeper.release(msgspec.structs.replace(query, blob=old))
    with pytest.raises(NotFound):
        await story.keeper.release(shorter)

    async def looks_at_nothing(*_: object) -> None:
        return None

    with monkeypatch.context() as twin:
        twin.setattr(Releases, "_check_in_force", looks_at_nothing)
        assert await story.keeper.release(msgspec.structs.replace(query, blob=old))


async def retire(story: Story) -> tuple[bytes, tuple[str, KeeperKeys]]:
    """Retire the story's keeper; another takes its place. Returns the digest of the trust root that says so, and the other."""
    other = ("keeper-9", KeeperKeys())
    retired = msgspec.structs.replace(story.service.root.keepers[0], retired_until=NOW + DAY)
    story.service.next_root(keepers=(retired, other[1].named(other[0])))
    await story.keeper.refresh_trust()
    return story.service.chain[-1].digest, other


async def cosigned_by(story: Story, query: ReleaseQuery, other: tuple[str, KeeperKeys]) -> ReleaseQuery:
    """The same question under a head that bears the other keeper's cosignature too."""
    name, keys = other
    story.service.published[LOG] += cosign(story.service.shard.checkpoint(), name, keys.cosigning, NOW)
    return msgspec.structs.replace(query, logged=story.proof(query.logged.disclosure))


async def test_a_retired_keeper_answers_for_what_was_granted_before(story: Story) -> None:
    """Its policy of before its retirement is answered, for a request in a head that the keeper in its place cosigned."""
    query = await story.query()
    _, other = await retire(story)
    with pytest.raises(NotFound) as refusal:
        await story.keeper.release(query)
    assert "lacks the keepers' signatures" in str(refusal.value.__context__)
    assert await story.keeper.release(await cosigned_by(story, query, other))


async def test_a_retired_keeper_takes_no_new_grant(story: Story, monkeypatch: pytest.MonkeyPatch) -> None:
    """A policy made for it under a trust root that calls it retired opens nothing; the twin that does not look answers."""
    query = await story.query()
    digest, other = await retire(story)
    new = seal_policy(story.maker.blob(story.key_hash), story.card.sealing_key, digest)
    query = msgspec.structs.replace(await cosigned_by(story, query, other), blob=new)
    with pytest.raises(NotFound) as refusal:
        await story.keeper.release(query)
    assert "a keeper that has retired" in str(refusal.value.__context__)
    monkeypatch.setattr(Releases, "_check_policy_root", lambda *_: None)
    assert await story.keeper.release(query)


async def test_a_grant_of_before_opens_under_the_policy_of_today(tmp_path: Path) -> None:
    """A head needs the cosignatures of the newest policy: more keepers came, and the grant's own number would be too few."""
    async with keeper_story(tmp_path / "keeper") as story:
        query, service = await story.query(), story.service
        new = [(f"new-{number}", KeeperKeys()) for number in range(3)]
        named = tuple(keys.named(name) for name, keys in new)
        service.next_root(
            keepers=(*service.root.keepers, *named), policies=(*service.root.policies, Policy(k=3, n=4))
        )
        await story.keeper.refresh_trust()
        with pytest.raises(NotFound):
            await story.keeper.release(query)
        for other in new[:2]:
            query = await cosigned_by(story, query, other)
        assert await story.keeper.release(query)
