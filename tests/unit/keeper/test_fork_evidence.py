"""What a keeper keeps when a log has signed two heads that contradict each other."""

from collections.abc import AsyncIterator, Callable
from pathlib import Path

import msgspec
import pytest

from crypto import labels
from crypto.encoding import decode, encode
from crypto.errors import BadSignature, CoffreError, NotPermitted, NotProven
from crypto.evidence import KeeperEvidence, read_evidence
from crypto.receipt import AddCheckpoint
from crypto.signing import Envelope, SigningKey, sign
from crypto.statements import RootRef
from tests.interop import evidence_second
from tests.support.keeper_story import Story, keeper_story
from tests.support.people import LOG, fresh
from tests.support.small_log import random_leaf
from vault_client.evidence_check import check_evidence
from vault_client.evidence_proofs import TWO_HEADS, proofs_in
from vault_server.keeper.evidence import Contradiction
from vault_server.keeper.keys import load_keys
from vault_server.keeper.witness import OtherHead


@pytest.fixture
async def story(tmp_path: Path) -> AsyncIterator[Story]:
    """A keeper that cosigned heads of 300, 400 and 513 leaves of a log."""
    async with keeper_story(tmp_path / "keeper", granted=False) as made:
        for count in (300, 100, 113):
            made.service.shard.fill(count)
            await made.service.publish(made.keeper, LOG)
        yield made


def kept(tmp_path: Path) -> list[Path]:
    """The files of evidence."""
    return sorted((tmp_path / "keeper").glob("evidence/*"))


def proves(path: Path, card: RootRef) -> list[str]:
    """What the file proves to a third person; the second reader finds the same."""
    checked = check_evidence(path.read_bytes(), card)
    proven = proofs_in(checked)
    second = evidence_second.judge(path.read_bytes(), card.digest)
    assert second == ({"two heads"} if proven == [TWO_HEADS] else set())
    return proven


def _same_size(story: Story) -> AddCheckpoint:
    story.service.shard.leaves[-1] = random_leaf()
    return story.service.shard.extension(513)


def _smaller(story: Story) -> AddCheckpoint:
    story.service.shard.leaves[7] = random_leaf()
    return story.service.shard.extension(0, 350)


def _larger(story: Story) -> AddCheckpoint:
    story.service.shard.leaves[7] = random_leaf()
    story.service.shard.fill(200)
    return story.service.shard.extension(513)


def _larger_with_another_path(story: Story) -> AddCheckpoint:
    request = _larger(story)
    return AddCheckpoint(513, (), request.note)


@pytest.mark.parametrize(
    ("made", "answer"),
    [
        (_same_size, Contradiction),
        (_smaller, OtherHead),
        (_larger, NotProven),
        (_larger_with_another_path, NotProven),
    ],
)
async def test_a_contradicting_head_is_refused_and_kept(
    story: Story, tmp_path: Path, made: Callable[[Story], AddCheckpoint], answer: type[Exception]
) -> None:
    """Of the same size, smaller or larger: the head is refused, and the file proves to anybody what the log signed."""
    with pytest.raises(answer):
        await story.keeper.add_checkpoint(made(story).encode())
    (path,) = kept(tmp_path)
    assert proves(path, story.service.card.root) == [TWO_HEADS]


async def test_a_contradicting_head_that_the_server_publishes_is_kept(story: Story, tmp_path: Path) -> None:
    """What the keeper meets by asking is kept as what it is shown."""
    story.service.shard.leaves[7] = random_leaf()
    story.service.shard.fill(1)
    story.service.published[LOG] = story.service.shard.note()
    with pytest.raises(Contradiction):
        await story.keeper._witness.refresh(LOG, 0)
    assert proves(*kept(tmp_path), story.service.card.root) == [TWO_HEADS]


async def test_an_honest_log_leaves_no_evidence(story: Story, tmp_path: Path) -> None:
    """Requests that come late, twice, or with a wrong proof are refused, and accuse nobody."""
    shard = story.service.shard
    shard.fill(9)
    for request in (
        shard.extension(0, 350),
        shard.extension(300, 400),
        shard.extension(300),
        AddCheckpoint(513, (), shard.note()),
        AddCheckpoint(513, (fresh(),), shard.note()),
    ):
        with pytest.raises(CoffreError):
            await story.keeper.add_checkpoint(request.encode())
    await story.service.publish(story.keeper, LOG)
    assert kept(tmp_path) == []


async def test_the_first_evidence_of_a_log_stays(story: Story, tmp_path: Path) -> None:
    """A log that goes on forking does not fill the disk."""
    for _ in range(3):
        with pytest.raises(Contradiction):
            await story.keeper.add_checkpoint(_same_size(story).encode())
        (path,) = kept(tmp_path)
        first = path.read_bytes()
    assert path.read_bytes() == first


async def test_keepers_evidence_is_believed_only_as_signed(story: Story, tmp_path: Path) -> None:
    """By another key, of another service, without the beginning or with one head twice, it is refused or proves nothing."""
    with pytest.raises(OtherHead):
        await story.keeper.add_checkpoint(_smaller(story).encode())
    (path,) = kept(tmp_path)
    body, _ = read_evidence(path.read_bytes())
    assert isinstance(body, KeeperEvidence)
    card, key = story.service.card.root, load_keys(tmp_path / "keeper").cosigning

    def written(changed: KeeperEvidence, *, by: SigningKey = key) -> bytes:
        data = encode(sign(labels.KEEPER_EVIDENCE, changed, by))
        path.write_bytes(data)
        return data

    with pytest.raises(BadSignature):
        check_evidence(written(body, by=SigningKey.generate()), card)
    with pytest.raises(NotPermitted):
        check_evidence(written(body), msgspec.structs.replace(card, digest=fresh()))
    finding = body.finding
    for changes in ({"beginning": None}, {"beginning": None, "notes": (finding.notes[1],) * 2}):
        written(msgspec.structs.replace(body, finding=msgspec.structs.replace(finding, **changes)))  # type: ignore[arg-type]
        assert proves(path, card) == []
    beginning = msgspec.structs.replace(finding.beginning, root=fresh())  # type: ignore[type-var]
    with pytest.raises(NotProven):
        check_evidence(
            written(
                msgspec.structs.replace(body, finding=msgspec.structs.replace(finding, beginning=beginning))
            ),
            card,
        )
    devices = decode(written(body), Envelope, limit=1 << 20)
    with pytest.raises(CoffreError):
        check_evidence(encode(msgspec.structs.replace(devices, type=labels.EVIDENCE)), card)
