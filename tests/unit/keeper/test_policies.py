"""A grant under each policy of several keepers, at as many real keepers: who holds which seeds, and how many may be down."""

from itertools import combinations
from pathlib import Path

import pytest

from crypto import labels
from crypto.errors import CannotOpen, NotFound
from crypto.grants import subset_name
from crypto.sealed.release import Release, combine
from crypto.sealing import key_hash
from crypto.wire.messages import Logged
from tests.support.keeper_story import SmallGrant, Story
from tests.support.several_keepers import SeveralKeepers, several_keepers

# k, n, how many subsets of n - k + 1 there are, and in how many of them each keeper is
POLICIES = ((3, 4, 6, 3), (4, 5, 10, 4), (5, 7, 35, 15))


async def answers(several: SeveralKeepers) -> tuple[Story, SmallGrant, dict[bytes, Release]]:
    """What each keeper releases to a reader of two documents, by key hash."""
    first = several.keepers[0]
    assert first is not None
    story = Story(several.service, first, several.cards[0], several.time)
    grant = story.maker = SmallGrant(several.service, story.reader)
    story.log_event(0)
    await several.publish(several.service.directory.origin)
    request = story.request()
    envelope = story.signed(request)
    disclosure = story.log_request(envelope, slot_two=request.slot_two)
    note = await several.publish()
    receipt = several.service.shard.receipt(disclosure.index, note, len(several.service.shard.leaves))
    given = {}
    for keeper, card in zip(several.keepers, several.cards, strict=True):
        assert keeper is not None
        story.card = card
        query = story.question(envelope, Logged(receipt=receipt, disclosure=disclosure))
        given[key_hash(card.sealing_key)] = story.opened(query, await keeper.release(query))
    return story, grant, given


@pytest.mark.parametrize(("k", "n", "subsets", "each"), POLICIES)
async def test_a_grant_opens_with_k_keepers_and_no_fewer(
    tmp_path: Path, k: int, n: int, subsets: int, each: int
) -> None:
    """Each seed is with the members of its subset; whichever n - k are down, the others have all, and with one more not."""
    async with several_keepers(tmp_path, k, n) as several:
        story, grant, given = await answers(several)
    assert len(grant.policy.subsets) == len(set(grant.seeds)) == subsets
    for place, name in enumerate(grant.policy.keepers):
        own = [subset_name(grant.policy, subset) for subset in grant.policy.subsets if place in subset]
        assert [entry.subset for entry in given[name].subsets] == own
        assert len(own) == each
    expected = [
        [grant.share(place, labels.SHARE_B, document) for place in range(subsets)]
        for document in story.documents
    ]
    for up in combinations(given, k):
        assert combine(grant.policy, {name: given[name] for name in up}, 2) == expected
    for up in combinations(given, k - 1):
        with pytest.raises(CannotOpen):
            combine(grant.policy, {name: given[name] for name in up}, 2)


async def test_a_head_with_too_few_cosignatures_opens_nothing(tmp_path: Path) -> None:
    """A keeper that cosigned a head releases nothing for it when only k - 1 did."""
    k, n = 4, 5
    async with several_keepers(tmp_path, k, n) as several:
        story, _, _ = await answers(several)
        request = story.request()
        envelope = story.signed(request)
        disclosure = story.log_request(envelope, slot_two=request.slot_two)
        for count, refused in ((k - 1, True), (k, False)):
            note = await several.publish(to=list(range(count)))
            receipt = several.service.shard.receipt(disclosure.index, note, len(several.service.shard.leaves))
            story.card = several.cards[0]
            query = story.question(envelope, Logged(receipt=receipt, disclosure=disclosure))
            if refused:
                with pytest.raises(NotFound):
                    await story.keeper.release(query)
            else:
                assert await story.keeper.release(query)
