"""The policy blob: what one keeper must know of a grant, sealed to that keeper and kept by the server.

Complete in itself, so a keeper needs no database of grants; unsigned, since whoever does not know the seeds makes a
useless one. It names no vault, no person's name, no category and no purpose.
"""

from typing import Annotated

import msgspec

from crypto import labels, sealing
from crypto.encoding import Bytes32, Natural, SecretBody, ShortText, decode, encode, number, pae
from crypto.errors import CannotOpen
from crypto.grants import Act, SealedPolicy
from crypto.padding import pad_record, unpad_record
from crypto.sealed.unsealing import UnsealingKey


class Seed(SecretBody, frozen=True):
    """The seed of one subset of keepers, by the subset's name."""

    subset: Bytes32
    seed: Bytes32


class PolicyBlob(SecretBody, frozen=True):
    """What a keeper enforces for event ``j`` of grant ``gid``. ``rate``: documents it may release an hour."""

    origin: ShortText
    gid: Bytes32
    j: Natural
    recipient: Bytes32
    excluded: tuple[Bytes32, ...]
    expiry: Natural
    acts: tuple[Act, ...]
    rate: Natural
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


def open_policy(key: UnsealingKey, sealed: SealedPolicy, origin: str, gid: bytes) -> PolicyBlob:
    """Open a blob that claims to be for (``origin``, ``gid``). Raises CannotOpen when it is for anything else."""
    info = _info(origin, gid, sealed.j, sealing.key_hash(key.public), sealed.trust_root)
    blob = decode(unpad_record(key.open(info, sealed.box)), PolicyBlob)
    if (blob.origin, blob.gid, blob.j) != (origin, gid, sealed.j):
        raise CannotOpen("A keeper's policy")
    return blob


def _info(origin: str, gid: bytes, j: int, keeper: bytes, trust_root: bytes) -> bytes:
    return pae(labels.POLICY, origin.encode(), gid, number(j), keeper, trust_root)
