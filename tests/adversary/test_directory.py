"""A directory of people's keys in which the server logs a second link in the place of one that is there."""

from types import SimpleNamespace
from typing import Any

import pytest

from crypto.access_log import LEAF
from crypto.checkpoint import open_checkpoint
from crypto.errors import NotProven
from tests.adversary.forged_log import ForgedLog, random_leaf
from tests.adversary.story import Story
from vault_client.kept_heads import KeptHeads
from vault_client.public_log import PublicLogs, _Check, verify_all


async def forged(story: Story) -> ForgedLog:
    """The directory as it is, signed by whoever has its key and the keeper's."""
    service, instance = story.patient.service, story.instance
    believed = await service.refresh(service.root.directory_origin)
    leaves = await service.reader.leaves(believed.origin, 0, believed.head.size)
    split = [leaves[at : at + LEAF] for at in range(0, len(leaves), LEAF)]
    keys: Any = SimpleNamespace(
        log_key=instance.directory_key, keeper_card=instance.keeper_card, keeper_key=instance.keeper_key
    )
    return ForgedLog(keys, believed.origin, split)


async def verified(story: Story, kept: KeptHeads | None = None) -> PublicLogs:
    """What ``coffre log verify`` finds."""
    service = story.patient.service
    return await verify_all(story.patient_vault, service.root, service.keepers, kept, service.now)


async def test_a_place_is_taken_once(story: Story, monkeypatch: pytest.MonkeyPatch) -> None:
    """A30: a second leaf for a link of somebody's is found by whoever verifies the logs; the twin looks at no places."""
    directory = await forged(story)
    directory.leaves.append(random_leaf())
    directory.show_to(story.patient_vault)
    assert (await verified(story)).logs[0].size == len(
        directory.leaves
    )  # the control: a link of somebody new
    again = random_leaf()
    directory.leaves.append(again[:1] + directory.leaves[3][1:33] + again[33:])
    with pytest.raises(NotProven, match=f"two entries, 3 and {len(directory.leaves) - 1}, for one change"):
        await verified(story)
    folder = story.folder / "heads"
    with pytest.raises(NotProven, match=r"\.contradicts"):
        await verified(story, KeptHeads(folder))
    (signed,) = folder.iterdir()
    checkpoint = open_checkpoint(signed.read_bytes(), story.patient.service.root.log_key_of(directory.origin))
    assert (checkpoint.size, checkpoint.root) == (directory.head().size, directory.head().root)
    monkeypatch.setattr(_Check, "_check_places", lambda *_: None)
    assert (await verified(story)).logs[0].size == len(directory.leaves)
