"""What a keeper answers to a logged request: its shares of B, sealed to the device that signed.

B_T is computed only from the fields of the request itself, and sealed for that request, that leaf and that keeper, so
an answer is of no use for anything else.
"""

from crypto import labels, sealing
from crypto.encoding import Bytes32, Natural, SecretBody, decode, encode, number, pae
from crypto.errors import CannotOpen
from crypto.grants import ReleasePolicy, subset_name
from crypto.requests import AccessRequest
from crypto.sealed.policy_blob import PolicyBlob
from crypto.sealed.shares import ShareB
from crypto.sealed.unsealing import UnsealingKey
from crypto.secret_bytes import SecretBytes


class SubsetShares(SecretBody, frozen=True):
    """B_T of one subset, for each document of the request in order."""

    subset: Bytes32
    shares: tuple[Bytes32, ...]


class Release(SecretBody, frozen=True):
    """One keeper's answer before sealing."""

    index: Natural
    subsets: tuple[SubsetShares, ...]


def release(
    blob: PolicyBlob, request: AccessRequest, digest: bytes, index: int, *, device_key: bytes, keeper: bytes
) -> bytes:
    """Compute and seal what ``blob`` lets this keeper release for ``request`` (whose checks the caller has made)."""
    computed = []
    for seed in blob.seeds:
        share_b = ShareB([SecretBytes(seed.seed)], request.act, blob.gid, blob.rekey)
        shares = tuple(share_b.shares(entry.doc, entry.ver, entry.ct_root)[0] for entry in request.documents)
        computed.append(SubsetShares(subset=seed.subset, shares=shares))
    answer = Release(index=index, subsets=tuple(computed))
    return sealing.seal(device_key, _info(digest, index, keeper), encode(answer))


def open_release(device: UnsealingKey, sealed: bytes, digest: bytes, index: int, keeper: bytes) -> Release:
    """A keeper's answer. Raises CannotOpen unless it was made for this request, leaf and device by this keeper."""
    answer = decode(device.open(_info(digest, index, keeper), sealed), Release)
    if answer.index != index:
        raise CannotOpen("A keeper's answer")
    return answer


def combine(policy: ReleasePolicy, answers: dict[bytes, Release], documents: int) -> list[list[bytes]]:
    """For each document, the shares of all subsets in order, from the answers of some keepers (by key hash).

    Each subset's share is taken from the first of its members that answered. Raises CannotOpen when a subset has no
    answer: too few keepers answered.
    """
    combined: list[list[bytes]] = [[] for _ in range(documents)]
    for subset in policy.subsets:
        name = subset_name(policy, subset)
        shares = next(
            (
                entry.shares
                for place in subset
                if (answer := answers.get(policy.keepers[place])) is not None
                for entry in answer.subsets
                if entry.subset == name and len(entry.shares) == documents
            ),
            None,
        )
        if shares is None:
            raise CannotOpen("Too few keepers answered, so this")
        for number_, share in enumerate(shares):
            combined[number_].append(share)
    return combined


def _info(digest: bytes, index: int, keeper: bytes) -> bytes:
    return pae(labels.RELEASE, digest, number(index), keeper)
