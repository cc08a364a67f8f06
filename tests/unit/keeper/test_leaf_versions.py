"""Leaves that are counted and never looked up: version 2, reserved for a map root; and a log that is not followed."""

import pytest

from crypto.errors import NotFound, NotProven
from crypto.locators import directory_slot
from crypto.merkle import leaf_hash
from crypto.statements import Head
from crypto.trust_root import Successor
from crypto.wire.keeper_api import IdentityHeadQuery
from tests.support.keeper_story import Story
from tests.support.people import HOST, LOG, fresh
from tests.support.small_log import SmallLog, random_leaf


def _map_root(*, slot_one: bytes = b"", slot_two: bytes = b"") -> bytes:
    return b"\2" + (slot_one or fresh()) + (slot_two or fresh()) + fresh()


async def test_a_map_root_ends_nothing(story: Story) -> None:
    """With an end's tag in it, it is no end; a leaf of version 1 with that tag is one."""
    query = await story.query()
    story.service.shard.append(_map_root(slot_two=story.maker.end_tag))
    await story.service.publish(story.keeper, LOG)
    assert await story.keeper.release(query)
    story.service.shard.append(random_leaf(story.maker.end_tag))
    await story.service.publish(story.keeper, LOG)
    with pytest.raises(NotFound):
        await story.keeper.release(query)


@pytest.mark.parametrize(("version", "answered"), [(2, True), (1, False)])
async def test_a_map_root_takes_no_slot(story: Story, version: int, answered: bool) -> None:
    """A request after one with the same slot two is the first of that slot; after a leaf of version 1 it is not."""
    request = story.request()
    leaf = _map_root(slot_two=request.slot_two)
    story.service.shard.append(bytes([version]) + leaf[1:])
    envelope = story.signed(request)
    disclosure = story.log_request(envelope, slot_two=request.slot_two)
    await story.service.publish(story.keeper, LOG)
    query = story.question(envelope, story.proof(disclosure))
    if answered:
        assert await story.keeper.release(query)
        return
    with pytest.raises(NotFound):
        await story.keeper.release(query)


@pytest.mark.parametrize(("version", "complete"), [(2, True), (1, False)])
async def test_a_map_root_is_no_link(story: Story, version: int, complete: bool) -> None:
    """In the directory it is not an identity's next link, whatever it holds; a leaf of version 1 is."""
    directory = story.service.directory
    slot = directory_slot(directory.origin, story.reader.identity, len(story.reader.links))
    leaf = bytes([version]) + _map_root(slot_one=slot)[1:]
    directory.log.append(leaf)
    directory.frontier.append(leaf_hash(leaf))
    await story.service.publish_all(story.keeper)
    query = IdentityHeadQuery(chain=story.reader.chain)
    if complete:
        assert await story.keeper.identity_head(query)
        return
    with pytest.raises(NotProven):
        await story.keeper.identity_head(query)


async def test_a_log_that_takes_anothers_place_is_not_followed(story: Story) -> None:
    """A trust root with successors is not believed: nothing of the new log is cosigned, and the old one goes on as ever."""
    service = story.service
    log = SmallLog(f"{HOST}/coffre/directory/1", service.directory.log.key)
    lost = Successor(
        old_origin=service.directory.origin, last_head=Head(size=5, root=fresh()), new_origin=log.origin
    )
    service.logs[log.origin] = log
    service.next_root(successors=(lost,))
    await story.keeper.refresh_trust()
    log.append(lost.leaf.to_bytes())
    with pytest.raises(NotFound):
        await service.publish(story.keeper, log.origin)
    service.directory.log.append(random_leaf())
    service.directory.frontier.append(leaf_hash(service.directory.log.leaves[-1]))
    assert await service.publish(story.keeper, service.directory.origin)
