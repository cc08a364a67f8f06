"""Twins of the keeper: what each of its refusals rests on. With that taken away, the very question is answered.

Where a question is stopped by several checks, each of them alone stops it: it is asked once more with each put back.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from crypto import quorum
from crypto.access_log import parse_leaf
from crypto.checkpoint import open_checkpoint
from crypto.errors import NotFound
from crypto.identity_state import IdentityState
from crypto.locators import Locator
from crypto.receipt import Receipt
from crypto.requests import read_request
from crypto.signing import Envelope
from crypto.wire.messages import Logged, Proven
from tests.support.keeper_story import Story, keeper_story
from tests.support.people import NOW
from tests.unit.keeper import test_release as refusals
from tests.unit.keeper.test_release import WRONG, Questions
from vault_server.keeper import release
from vault_server.keeper.followed_logs import FollowedLogs
from vault_server.keeper.identity_heads import IdentityHeads
from vault_server.keeper.release import Released, Releases
from vault_server.keeper.trust import Trust
from vault_server.keeper.witness import Witness

Removal = Callable[[pytest.MonkeyPatch, Story], None]


async def _unchecked(*_: object, **__: object) -> None:
    """Stands where a check is awaited."""


def _any_time(twin: pytest.MonkeyPatch, story: Story) -> None:
    """A request may be of any time."""
    twin.setattr(release, "TEN_MINUTES", 1 << 40)


def _any_trust_root(twin: pytest.MonkeyPatch, story: Story) -> None:
    """A request may name any trust root, and the newest may have expired."""
    twin.setattr(Trust, "check_ref", _unchecked)


def _any_signer(twin: pytest.MonkeyPatch, story: Story) -> None:
    """Whoever signed, it is the device and the member that the request names."""
    twin.setattr(release, "check_request", lambda envelope, *_: read_request(envelope))


def _any_receipt(twin: pytest.MonkeyPatch, story: Story) -> None:
    """Whatever stands at the index is the request, granted."""

    def believed(self: Logged, envelope: Envelope, outcome: str, log: Any) -> Proven:
        receipt = Receipt.decode(self.receipt)
        leaf = parse_leaf(story.service.shard.leaves[self.disclosure.index])
        assert leaf is not None
        return Proven(leaf, open_checkpoint(receipt.note, log), receipt.note)

    twin.setattr(Logged, "proves", believed)


def _any_outcome(twin: pytest.MonkeyPatch, story: Story) -> None:
    """A refusal that was logged is as good as a request that was granted."""
    proves = Logged.proves

    def as_said(self: Logged, envelope: Envelope, _: object, log: Any) -> Proven:
        return proves(self, envelope, self.disclosure.part.outcome, log)

    twin.setattr(Logged, "proves", as_said)


def _any_head(twin: pytest.MonkeyPatch, story: Story) -> None:
    """A receipt may be under a head that this keeper did not cosign."""
    twin.setattr(FollowedLogs, "check_prefix", _unchecked)


def _any_leaf(twin: pytest.MonkeyPatch, story: Story) -> None:
    """The leaf may have another slot two, and need not be the first with it."""
    twin.setattr(Releases, "_check_leaf", _unchecked)


def _any_place(twin: pytest.MonkeyPatch, story: Story) -> None:
    """A leaf need not be in the log as this keeper has it, nor the first with its slot."""
    twin.setattr(FollowedLogs, "check_leaves", _unchecked)


def _any_slot(twin: pytest.MonkeyPatch, story: Story) -> None:
    """The patient need not find it."""
    twin.setattr(Locator, "matches", lambda *_: True)


def _any_directory(twin: pytest.MonkeyPatch, story: Story) -> None:
    """The directory that the reader saw may be of any time, or none."""
    twin.setattr(FollowedLogs, "check_recent", _unchecked)


def _judged_at_dir(twin: pytest.MonkeyPatch, story: Story) -> None:
    """The chain need not be complete, and who was live in the directory that the reader saw is live."""

    async def as_shown(self: IdentityHeads, _: object, chain: Any) -> Any:
        return self.at(chain, shown.size)

    shown = story.service.view.dir
    twin.setattr(IdentityHeads, "complete", as_shown)


def _judged_as_seen(twin: pytest.MonkeyPatch, story: Story) -> None:
    """As ``_judged_at_dir``, at the directory of before the last change."""

    async def as_seen(self: IdentityHeads, _: object, chain: Any) -> Any:
        return self.at(chain, story.service.directory.frontier.size - 1)

    twin.setattr(IdentityHeads, "complete", as_seen)


def _judged_now(twin: pytest.MonkeyPatch, story: Story) -> None:
    """Who is live now was live in the directory that the reader saw."""
    at = IdentityHeads.at
    twin.setattr(IdentityHeads, "at", lambda self, chain, _: at(self, chain, 1 << 40))


def _anybody(twin: pytest.MonkeyPatch, story: Story) -> None:
    """Nobody needs a certificate."""
    twin.setattr(IdentityState, "may_receive", lambda *_: True)


def _any_root_of_a_policy(twin: pytest.MonkeyPatch, story: Story) -> None:
    """A policy may be under any trust root."""

    async def newest(self: Trust, _: bytes) -> Any:
        return self.newest

    twin.setattr(Trust, "root", newest)


def _any_number_of_keepers(twin: pytest.MonkeyPatch, story: Story) -> None:
    """A policy may speak of whatever number of keepers it likes."""
    twin.setattr(Releases, "_check_policy_root", lambda *_: None)


def _no_cosigners(twin: pytest.MonkeyPatch, story: Story) -> None:
    """A head counts without cosignatures."""
    twin.setattr(release, "quorum_times", lambda *_: None)


def _any_policy(twin: pytest.MonkeyPatch, story: Story) -> None:
    """Recipient, exclusions, rekey, act and expiry are not compared."""
    twin.setattr(release, "_check_policy", lambda *_: None)


def _any_number(twin: pytest.MonkeyPatch, story: Story) -> None:
    """Nothing is counted."""
    twin.setattr(Released, "take", lambda *_: None)


def _any_event(twin: pytest.MonkeyPatch, story: Story) -> None:
    """The grant's event and end are not looked for."""
    twin.setattr(Releases, "_check_in_force", _unchecked)


GONE: dict[Questions, tuple[Removal, ...]] = {
    refusals._other_time: (_any_time,),
    refusals._time_ahead: (_any_time,),
    refusals._unknown_trust_root: (_any_trust_root,),
    refusals._misnamed_trust_root: (_any_trust_root,),
    refusals._expired_trust_root: (_any_trust_root,),
    refusals._other_signer: (_any_signer,),
    refusals._changed_request: (_any_signer,),
    refusals._another_request: (_any_receipt,),
    refusals._refused_outcome: (_any_outcome,),
    refusals._other_slot_two_in_leaf: (_any_leaf,),
    refusals._slot_two_not_found_by_the_patient: (_any_slot,),
    refusals._slot_two_seen_before: (_any_place,),
    refusals._not_logged: (_any_receipt,),
    refusals._other_index: (_any_receipt, _any_leaf),
    refusals._forked_head: (_any_head, _no_cosigners),
    refusals._head_beyond_the_followed: (_any_head, _no_cosigners),
    refusals._not_cosigned: (_no_cosigners,),
    refusals._directory_unknown: (_any_directory,),
    refusals._directory_never_published: (_any_directory,),
    refusals._directory_of_the_future: (_any_directory,),
    refusals._device_revoked: (_judged_as_seen,),
    refusals._device_added_after_the_view: (_judged_now,),
    refusals._chain_cut_short: (_judged_at_dir,),
    refusals._chain_not_logged: (_judged_at_dir,),
    refusals._not_certified: (_anybody,),
    refusals._certificate_run_out: (_anybody,),
    refusals._certified_for_what_is_never_granted: (_anybody,),
    refusals._not_a_member: (_any_signer,),
    refusals._member_until_after_the_view: (_judged_as_seen,),
    refusals._team_not_shown: (_any_signer,),
    refusals._team_not_named: (_any_policy,),
    refusals._blob_under_an_unknown_trust_root: (_any_root_of_a_policy,),
    refusals._blob_of_more_keepers: (_any_number_of_keepers,),
    refusals._excluded: (_any_policy,),
    refusals._for_somebody_else: (_any_policy,),
    refusals._expired: (_any_policy,),
    refusals._another_act: (_any_policy,),
    refusals._older_rekey: (_any_policy,),
    refusals._deposit: (_any_policy,),
    refusals._too_many: (_any_number,),
    refusals._too_many_in_a_day: (_any_number,),
    refusals._event_not_logged: (_any_event,),
    refusals._event_superseded: (_any_event,),
    refusals._event_superseded_in_silence: (_any_event,),
    refusals._ended: (_any_event,),
    refusals._end_posted: (_any_event,),
}
# No line of the keeper's stops these: a policy is sealed for its grant, log, keeper and trust root, and an answer to a
# device that the chain lacks has nobody to be sealed to.
BY_THEMSELVES = {
    refusals._blob_of_another_grant,
    refusals._blob_of_another_log,
    refusals._blob_for_another_keeper,
    refusals._blob_under_another_trust_root,
    refusals._chain_of_another,
}


def test_every_refusal_has_its_twin() -> None:
    """Nothing is refused without it being known by what."""
    assert GONE.keys() | BY_THEMSELVES == WRONG.keys()
    assert not GONE.keys() & BY_THEMSELVES


@pytest.mark.parametrize("question", GONE, ids=[each.__name__.strip("_") for each in GONE])
async def test_without_its_check_it_is_answered(
    story: Story, question: Questions, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The twin of each refusal opens what must stay shut; with any one of its checks left it does not."""
    query = await question(story)
    removals = GONE[question]
    for left in removals if len(removals) > 1 else ():
        with monkeypatch.context() as twin:
            for removal in removals:
                if removal is not left:
                    removal(twin, story)
            with pytest.raises(NotFound):
                await story.keeper.release(query)
    with monkeypatch.context() as twin:
        for removal in removals:
            removal(twin, story)
        assert await story.keeper.release(query)


async def test_without_the_minute_a_silent_server_hides_an_end(
    story: Story, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The twin of the 60 seconds: a keeper that does not ask again releases for as long as the server is silent."""
    query = await story.query()
    story.service.silent = True
    story.time.now += 61

    async def as_known(self: Witness, origin: str, *_: object) -> Any:
        log = self._logs.get(origin)
        assert log is not None
        return log.row

    with monkeypatch.context() as twin:
        twin.setattr(Witness, "reach", as_known)
        assert await story.keeper.release(query)


async def test_without_the_date_cosignatures_of_two_times_count(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The twin of "dated together": three cosignatures that were never of one time open a document."""
    async with keeper_story(tmp_path / "keeper", k=3, n=4) as story:
        story.service.other_times = [NOW, NOW + 601, NOW - 601]
        query = await story.query()
        with pytest.raises(NotFound):
            await story.keeper.release(query)
        with monkeypatch.context() as twin:
            twin.setattr(quorum, "TEN_MINUTES", 1 << 40)
            assert await story.keeper.release(query)


async def test_without_the_lowest_place_one_slot_opens_twice(
    story: Story, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The twin of "the lowest index counts": two requests under one slot, of which the patient counts one, both open."""
    first = await story.query()
    second = await story.query(slot_two=read_request(first.request).slot_two)
    assert await story.keeper.release(first)
    with pytest.raises(NotFound):
        await story.keeper.release(second)
    with monkeypatch.context() as twin:
        _any_place(twin, story)
        assert await story.keeper.release(second)
