"""Signed answers that an identity's chain is complete."""

from collections.abc import AsyncIterator
from pathlib import Path

import msgspec
import pytest

from crypto import labels
from crypto.errors import BadSignature, NotProven, Refusal, Stale
from crypto.identity_links import Chain
from crypto.locators import directory_slot
from crypto.merkle import leaf_hash
from crypto.signing import SigningKey, read, verify_keys
from crypto.wire.keeper_api import IdentityHead, IdentityHeadQuery
from tests.support.keeper_story import Story, keeper_story
from tests.support.people import Person, fresh, keyring_step
from tests.support.small_log import random_leaf


@pytest.fixture
async def story(tmp_path: Path) -> AsyncIterator[Story]:
    """A patient and a certified practitioner in a directory that a keeper follows."""
    async with keeper_story(tmp_path / "keeper") as made:
        yield made


async def test_a_complete_chain_is_vouched_for(story: Story) -> None:
    """The answer names the identity, its last link and the directory head, signed by the cosigning key."""
    answer = await story.keeper.identity_head(IdentityHeadQuery(chain=story.reader.chain))
    ref = story.reader.chain.ref
    assert read(
        answer.envelope, labels.IDHEAD, IdentityHead, verify_keys(story.card.cosigning_key)
    ) == IdentityHead(
        identity=story.reader.identity,
        n=1,
        leaf=ref.leaf,
        origin=story.service.directory.origin,
        head=story.service.directory.head,
    )


async def test_an_older_part_of_a_chain_is_not(story: Story) -> None:
    """A chain that goes on in the directory is refused until it is shown whole."""
    short = Chain(links=story.reader.chain.links[:1])
    with pytest.raises(NotProven):
        await story.keeper.identity_head(IdentityHeadQuery(chain=short))


async def test_a_link_the_keeper_has_not_followed_is_not(story: Story) -> None:
    """A link that is in no head the keeper cosigned is not vouched for; afterwards it is."""
    story.service.certify(story.reader)
    with pytest.raises(NotProven):
        await story.keeper.identity_head(IdentityHeadQuery(chain=story.reader.chain))
    await story.service.publish_all(story.keeper)
    assert await story.keeper.identity_head(IdentityHeadQuery(chain=story.reader.chain))


async def test_a_changed_link_is_not(story: Story) -> None:
    """Salt, place, slot and signature each belong to the leaf and the link."""
    *others, last = story.reader.links
    disclosure = last.disclosure
    changed = [
        msgspec.structs.replace(disclosure, salt=fresh()),
        msgspec.structs.replace(disclosure, index=disclosure.index - 1),
        msgspec.structs.replace(disclosure, slot_one=fresh()),
        msgspec.structs.replace(disclosure, slot_two=fresh()),
    ]
    for each in changed:
        chain = Chain(links=(*others, msgspec.structs.replace(last, disclosure=each)))
        with pytest.raises(Refusal):
            await story.keeper.identity_head(IdentityHeadQuery(chain=chain))


async def test_a_forged_link_that_the_server_logged_is_not(story: Story) -> None:
    """Being in the directory does not make a link true: its signatures are checked."""
    story.reader.add(keyring_step(), signers=[SigningKey.generate()])
    await story.service.publish_all(story.keeper)
    with pytest.raises(BadSignature):
        await story.keeper.identity_head(IdentityHeadQuery(chain=story.reader.chain))


async def test_the_first_leaf_of_a_slot_counts(story: Story) -> None:
    """A leaf that took the place of an identity's link before it makes the later one worthless."""
    person = Person(story.service)
    taken = directory_slot(story.service.directory.origin, person.identity, 1)
    leaf = random_leaf(slot_one=taken)
    story.service.directory.log.append(leaf)
    story.service.directory.frontier.append(leaf_hash(leaf))
    story.service.certify(person)
    await story.service.publish_all(story.keeper)
    with pytest.raises(NotProven):
        await story.keeper.identity_head(IdentityHeadQuery(chain=person.chain))


async def test_an_expired_trust_root_vouches_for_nothing(story: Story) -> None:
    """After its expiry no identity is vouched for."""
    story.time.now = story.service.root.expiry
    with pytest.raises(Stale):
        await story.keeper.identity_head(IdentityHeadQuery(chain=story.reader.chain))
