"""The policy blob: what one keeper must know of a grant, sealed to that keeper and kept by the server.

Complete in itself, so a keeper needs no database of grants; unsigned, since whoever does not know the seeds makes a
useless one. It names no vault, no person's name, no category and no purpose.
"""

from typing import Annotated

import msgspec

from crypto import labels, sealing
from crypto.durations import DAY
from crypto.encoding import (
    Body,
    Bytes32,
    Natural,
    SecretBody,
    ShortText,
    decode,
    encode,
    number,
    pae,
)
from crypto.errors import CannotOpen
from crypto.grants import Act, SealedPolicy
from crypto.padding import pad_record, unpad_record
from crypto.sealed.unsealing import UnsealingKey
from crypto.secret_bytes import SecretBytes


class Seed(SecretBody, frozen=True):
    """The seed of one subset of keepers, by the subset's name."""

    subset: Bytes32
    seed: Bytes32


class Rate(Body, frozen=True):
    """At most ``documents`` released within any ``seconds`` (a day at most)."""

    seconds: Annotated[int, msgspec.Meta(ge=1, le=DAY)]
    documents: Natural


class PolicyBlob(SecretBody, frozen=True):
    """What a keeper enforces for event ``j`` of grant ``gid``.

    ``standing``: the key hashes of the category keys whose deposits the recipient may open.
    """

    origin: ShortText
    gid: Bytes32
    j: Natural
    recipient: Bytes32
    excluded: tuple[Bytes32, ...]
    expiry: Natural
    acts: tuple[Act, ...]
    rates: Annotated[tuple[Rate, ...], msgspec.Meta(min_length=1, max_length=4)]
    standing: Annotated[tuple[Bytes32, ...], msgspec.Meta(max_length=32)]
    grant_key: Bytes32
    end_key: Bytes32
    rekey: Natural
    seeds: Annotated[tuple[Seed, ...], msgspec.Meta(min_length=1, max_length=64)]


def seal_policy(blob: PolicyBlob, keeper_key: bytes, trust_root: bytes) -> SealedPolicy:
    """Seal ``blob`` to a keeper's sealing key, under the trust root with digest ``trust_root``."""
    keeper = sealing.key_hash(keeper_key)
    info = _info(blob.origin, blob.gid, blob.j, keeper, trust_root)
    box = sealing.seal(keeper_key, info, pad_record(encode(blob)))
    return SealedPolicy(keeper=keeper, j=blob.j, trust_root=trust_root, box=box)


def seal_end_policy(
    origin: str, gid: bytes, j: int, end_key: SecretBytes, keeper_key: bytes, trust_root: bytes
) -> SealedPolicy:
    """A policy of event ``j`` that allows nothing, for a keeper that the event does not name: to post the grant's end with."""
    blob = PolicyBlob(
        origin=origin,
        gid=gid,
        j=j,
        recipient=bytes(32),
        excluded=(),
        expiry=0,
        acts=(),
        rates=(Rate(seconds=1, documents=0),),
        standing=(),
        grant_key=bytes(32),
        end_key=end_key.reveal(),
        rekey=0,
        seeds=(Seed(subset=bytes(32), seed=bytes(32)),),
    )
    return seal_policy(blob, keeper_key, trust_root)


def open_policy(key: UnsealingKey, sealed: SealedPolicy, origin: str, gid: bytes) -> PolicyBlob:
    """Open a blob that claims to be for (``origin``, ``gid``). Raises CannotOpen when it is for anything else."""
    info = _info(origin, gid, sealed.j, sealing.key_hash(key.public), sealed.trust_root)
    blob = decode(unpad_record(key.open(info, sealed.box)), PolicyBlob)
    if (blob.origin, blob.gid, blob.j) != (origin, gid, sealed.j):
        raise CannotOpen("A keeper's policy")
    return blob


def _info(origin: str, gid: bytes, j: int, keeper: bytes, trust_root: bytes) -> bytes:
    return pae(labels.POLICY, origin.encode(), gid, number(j), keeper, trust_root)
