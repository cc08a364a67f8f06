"""What another device of the same person wrote: a new keyring is taken over when it lacks nothing, and only then."""

import secrets
from collections.abc import Callable

import msgspec
import pytest

from crypto import labels
from crypto.errors import CannotOpen, CoffreError, NotPermitted, NotProven
from crypto.identity_links import IdentityLink, ReadingKey
from crypto.sealed.keyring import (
    EpochKeys,
    IdentityKeyring,
    ReadingSeed,
    VaultKeyring,
    seal_keyring,
)
from crypto.sealed.unsealing import UnsealingKey
from crypto.signing import Envelope, sign
from crypto.statements import part_hash
from crypto.vault_links import PolicyPart, ProfilePart, Rotate, SnapshotPart, VaultLink, scan_key_commitment
from crypto.wire.messages import LinkSubmission, PartAnswer, PublishLink
from tests.adversary.story import Story

replace = msgspec.structs.replace


def fresh() -> bytes:
    """32 random bytes."""
    return secrets.token_bytes(32)


async def link(story: Story, *operations: msgspec.Struct) -> Envelope:
    """The next link, as another device would sign it."""
    replica, service, own = story.patient.replica, story.patient.service, story.patient.own
    head, view = replica.local.head, await story.patient.service.view(replica.origin)
    body = VaultLink(
        suite=labels.SUITE,
        vault=head.vault,
        n=head.n + 1,
        prev=head.link,
        signers=(own.known_at(service, view.dir).ref,),
        operations=operations,  # type: ignore[arg-type]
        view=view,
    )
    return sign(labels.VAULT_LINK, body, own.device)


async def rotated(story: Story, change: Callable[[VaultKeyring], VaultKeyring]) -> VaultKeyring:
    """Another device starts epoch 1, with a keyring that is ``change`` of the one it should be."""
    local, own = story.patient.replica.local, story.patient.own
    log_key, deposit_key = UnsealingKey.generate(), UnsealingKey.generate()
    keys = EpochKeys(
        epoch=1,
        secret=fresh(),
        scan_key=fresh(),
        log_key=log_key.seed.reveal(),
        deposit_key=deposit_key.seed.reveal(),
        category_keys=(),
    )
    keyring = replace(
        local.keyring,
        vault=local.head.vault,
        epochs=(*local.keyring.epochs, keys),
        head=story.head(story.patient.service).head,
        link=local.head.link,
    )
    keyring = change(keyring)
    sealed = seal_keyring(labels.VAULT_KEYRING, keyring, [own.unsealing.public])
    rotate = Rotate(
        epoch=1,
        keyring=part_hash(sealed),
        scan_key=scan_key_commitment(keys.scan_key),
        log_key=log_key.public,
        deposit_key=deposit_key.public,
        category_keys=(),
    )
    submission = LinkSubmission(
        envelope=await link(story, rotate), scan_key=keys.scan_key, tags=(), events=(), parts=(sealed,)
    )
    await story.patient.service.api.append_link(submission)
    return keyring


async def test_a_rotation_by_another_device_is_taken_over(story: Story) -> None:
    """The new epoch's keys are there afterwards: the record goes on under them, and its log is found whole."""
    keyring = await rotated(story, lambda made: made)
    assert await story.patient.replica.sync() == 1
    assert story.patient.replica.local.keyring == keyring
    added = await story.add(b"after the rotation", "after.txt")
    await story.patient.get(added.doc, story.destination)
    assert story.destination.read_bytes() == b"after the rotation"
    report = await story.patient.log()
    assert [entry.changes for entry in report.entries if entry.kind == "change"][-2:] == [
        ("rekeyed",),
        ("added",),
    ]
    assert report.alarms == ()


@pytest.mark.parametrize(
    "change",
    [
        lambda made: replace(made, epochs=(replace(made.epochs[0], secret=fresh()), made.epochs[1])),
        lambda made: replace(made, epochs=made.epochs[:1]),
        lambda made: replace(made, epochs=(made.epochs[0], replace(made.epochs[1], log_key=fresh()))),
        lambda made: replace(made, epochs=(made.epochs[0], replace(made.epochs[1], scan_key=fresh()))),
        lambda made: replace(made, vault=fresh()),
        lambda made: replace(made, link=fresh()),
    ],
    ids=[
        "an epoch changed",
        "the new one missing",
        "other log key",
        "other scan key",
        "other vault",
        "other link",
    ],
)
async def test_a_keyring_that_lacks_something_is_not_taken_over(
    story: Story, change: Callable[[VaultKeyring], VaultKeyring]
) -> None:
    """The link that names it is not believed: head and keys stay as they were."""
    await rotated(story, change)
    with story.refused(NotPermitted):
        await story.patient.replica.sync()


@pytest.mark.parametrize(
    ("spoil", "error"),
    [(lambda _: None, NotProven), (lambda part: part[:-1] + b" ", NotProven)],
    ids=["withheld", "changed"],
)
async def test_a_server_cannot_swap_a_keyring(
    story: Story, spoil: Callable[[bytes], bytes | None], error: type[CoffreError]
) -> None:
    """A part that is withheld, or is not the one named, is refused."""
    await rotated(story, lambda made: made)
    story.patient_vault.tamper(
        "parts", lambda answer: PartAnswer(parts=tuple(spoil(part) for part in answer.parts))
    )
    with story.refused(error):
        await story.patient.replica.sync()


async def published(story: Story, *seeds: ReadingSeed, number: int, key: bytes, unlock: bytes) -> None:
    """Another device of the reader publishes reading key ``number`` with a keyring of ``seeds``."""
    own, service = story.reader.own, story.reader.service
    sealed = seal_keyring(labels.IDENTITY_KEYRING, IdentityKeyring(reading_keys=seeds), [unlock])
    chain = own.profile.chain
    body = IdentityLink(
        suite=labels.SUITE,
        identity=own.identity,
        n=len(chain.links),
        prev=chain.links[-1].envelope.digest,
        operations=(ReadingKey(number=number, key=key, keyring=part_hash(sealed)),),
        view=await service.view(service.root.directory_origin),
    )
    envelope = sign(labels.IDENTITY_LINK, body, own.device)
    await service.api.publish_link(PublishLink(envelope=envelope, parts=(sealed,)))


async def test_a_reading_key_of_another_device_is_taken_over(story: Story) -> None:
    """After it, what is granted to the new key can be read here too."""
    own, key = story.reader.own, UnsealingKey.generate()
    seed = ReadingSeed(number=1, seed=key.seed.reveal())
    old = own.profile.keyring.reading_keys
    await published(story, *old, seed, number=1, key=key.public, unlock=own.unsealing.public)
    await story.reader.card()
    assert own.profile.keyring.reading_keys == (*old, seed)
    story.patient.service.forget_directory()
    await story.patient.revoke(story.grant.entry.gid)
    await story.give()
    assert story.grant.reading_key == 1
    assert len(await story.read()) > 0


async def test_reading_keys_are_not_dropped(story: Story) -> None:
    """A keyring without an older key is refused, and the link that names it is not believed."""
    own, key = story.reader.own, UnsealingKey.generate()
    seed = ReadingSeed(number=1, seed=key.seed.reveal())
    await published(story, seed, number=1, key=key.public, unlock=own.unsealing.public)
    with story.refused(NotPermitted):
        await story.reader.card()


async def test_a_keyring_for_other_devices_is_not_taken_over(story: Story) -> None:
    """A device that has no box in its owner's new keyring was left out of it, and goes no further."""
    own, key = story.reader.own, UnsealingKey.generate()
    seed = ReadingSeed(number=1, seed=key.seed.reveal())
    old = own.profile.keyring.reading_keys
    await published(story, *old, seed, number=1, key=key.public, unlock=key.public)
    with story.refused(CannotOpen):
        await story.reader.card()


async def test_parts_of_a_later_client_are_taken_in(story: Story) -> None:
    """Links with a policy, a profile or a snapshot of a later client stop nobody: the record goes on."""
    parts = tuple(secrets.token_bytes(1 << 20) for _ in range(3))
    steps = [
        kind(part=part_hash(part))
        for kind, part in zip((PolicyPart, ProfilePart, SnapshotPart), parts, strict=True)
    ]
    submission = LinkSubmission(
        envelope=await link(story, *steps), scan_key=None, tags=(), events=(), parts=parts
    )
    await story.patient.service.api.append_link(submission)
    assert await story.patient.replica.sync() == 1
    await story.add(b"afterwards", "afterwards.txt")
    report = await story.patient.log()
    assert report.alarms == ()
    assert ("ruled", "described", "summed up") in [entry.changes for entry in report.entries]
