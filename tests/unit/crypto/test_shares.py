"""The keepers' half: k of n, one share for each set of n-k+1 keepers."""

import hmac
from itertools import combinations
from math import comb

import pytest

from crypto import labels
from crypto.derivation import derive
from crypto.encoding import number, pae
from crypto.errors import CannotOpen
from crypto.grants import ReleasePolicy, subset_name, subsets_of
from crypto.sealed import shares
from crypto.sealed.release import Release, SubsetShares, combine
from crypto.secret_bytes import SecretBytes
from tests.support.grants import GrantedDocument
from tests.support.people import fresh

POLICIES = {(1, 1): 1, (3, 4): 6, (4, 5): 10, (5, 7): 35}
EPOCH, GID = SecretBytes(bytes(range(32))), bytes(32)
DOCUMENT = GrantedDocument.fresh()


def policy_of(k: int, n: int) -> ReleasePolicy:
    """A policy over keepers with random names."""
    keepers = tuple(sorted(fresh() for _ in range(n)))
    return ReleasePolicy(k=k, n=n, keepers=keepers, subsets=subsets_of(k, n), blobs=())


def answers_of(policy: ReleasePolicy, seeds: list[SecretBytes]) -> dict[bytes, Release]:
    """What every keeper answers for one document."""
    answers = {}
    for place, name in enumerate(policy.keepers):
        held = tuple(
            SubsetShares(subset=subset_name(policy, subset), shares=(share_of(seed),))
            for subset, seed in zip(policy.subsets, seeds, strict=True)
            if place in subset
        )
        answers[name] = Release(index=0, subsets=held)
    return answers


def share_of(seed: SecretBytes, act: str = "release") -> bytes:
    """One share for the document."""
    return shares.ShareB([seed], act, GID, 0).shares(DOCUMENT.doc, DOCUMENT.ver, DOCUMENT.ct_root)[0]


@pytest.mark.parametrize(("k", "n"), POLICIES)
def test_any_k_keepers_have_all_and_any_fewer_lack_one(k, n):
    """Whichever k keepers answer, their answers combine to the patient's own B; whichever k-1, CannotOpen."""
    policy = policy_of(k, n)
    seeds = shares.seeds(EPOCH, GID, 0, policy)
    assert len(seeds) == POLICIES[k, n] == comb(n, n - k + 1)
    whole = [share_of(seed) for seed in seeds]
    answers = answers_of(policy, seeds)
    for chosen in combinations(policy.keepers, k):
        assert combine(policy, {name: answers[name] for name in chosen}, 1) == [whole]
    assert combine(policy, answers, 1) == [whole]
    for chosen in combinations(policy.keepers, k - 1):
        with pytest.raises(CannotOpen):
            combine(policy, {name: answers[name] for name in chosen}, 1)


@pytest.mark.parametrize(("k", "n"), POLICIES)
def test_k_less_one_keepers_lack_a_seed(k, n):
    """The seeds that any k-1 keepers hold together are not all of them: what they lack is not a matter of answering."""
    policy = policy_of(k, n)
    for chosen in combinations(range(n), k - 1):
        assert any(not set(chosen) & set(subset) for subset in policy.subsets)
    for chosen in combinations(range(n), k):
        assert all(set(chosen) & set(subset) for subset in policy.subsets)


def test_an_answer_for_other_documents_does_not_count():
    """An answer with too few or too many shares, or for a subset of another policy, is passed over."""
    policy = policy_of(3, 4)
    seeds = shares.seeds(EPOCH, GID, 0, policy)
    answers = answers_of(policy, seeds)
    first, *others = policy.keepers
    one = answers[first].subsets[0]
    for wrong in (
        SubsetShares(subset=one.subset, shares=()),
        SubsetShares(subset=one.subset, shares=one.shares * 2),
        SubsetShares(subset=fresh(), shares=one.shares),
    ):
        poor = Release(index=0, subsets=(wrong, *answers[first].subsets[1:]))
        with pytest.raises(CannotOpen):
            combine(policy, {first: poor, others[0]: Release(index=0, subsets=())}, 1)
        assert combine(policy, {**answers, first: poor}, 1) == [[share_of(seed) for seed in seeds]]


def test_keepers_in_another_order_are_not_asked():
    """An answer counts under the name of a keeper of the policy only."""
    policy = policy_of(1, 1)
    answers = answers_of(policy, shares.seeds(EPOCH, GID, 0, policy))
    (answer,) = answers.values()
    with pytest.raises(CannotOpen):
        combine(policy, {fresh(): answer}, 1)


def test_shares_of_listings_are_never_those_of_documents():
    """For act ``list`` every share differs from that of every other act, which all agree."""
    seed = SecretBytes.random()
    of_listing = share_of(seed, "list")
    of_documents = {share_of(seed, act) for act in ("release", "prefetch", "reopen", "export")}
    assert len(of_documents) == 1
    assert of_listing not in of_documents


def test_a_share_is_the_formula():
    """B_T is HMAC(seed, PAE(label, gid, rekey, doc, ver, ct_root)) and changes with each part."""
    seed, doc = SecretBytes.random(), DOCUMENT
    message = pae(labels.SHARE_B, GID, number(7), doc.doc, doc.ver, doc.ct_root)
    made = shares.ShareB([seed], "release", GID, 7).shares(doc.doc, doc.ver, doc.ct_root)
    assert made == [hmac.digest(seed.reveal(), message, "sha256")]
    others = [
        shares.ShareB([seed], "release", GID, 8).shares(doc.doc, doc.ver, doc.ct_root),
        shares.ShareB([seed], "release", fresh(), 7).shares(doc.doc, doc.ver, doc.ct_root),
        shares.ShareB([seed], "release", GID, 7).shares(doc.ver, doc.doc, doc.ct_root),
        shares.ShareB([seed], "release", GID, 7).shares(doc.doc, doc.ver, fresh()),
        shares.ShareB([SecretBytes.random()], "release", GID, 7).shares(doc.doc, doc.ver, doc.ct_root),
    ]
    assert made not in others


def test_every_secret_of_a_grant_is_another():
    """Kg, Ke, A and the seeds differ from each other, and change with epoch, grant and (A, seeds) rekey."""
    policy, other = policy_of(3, 4), SecretBytes.random()
    made = []
    for epoch, gid in ((EPOCH, GID), (other, GID), (EPOCH, fresh())):
        made += [shares.grant_key(epoch, gid), shares.end_key(epoch, gid)]
        for rekey in (0, 1):
            made += [shares.share_a(epoch, gid, rekey), *shares.seeds(epoch, gid, rekey, policy)]
    assert len({each.reveal() for each in made}) == len(made) == 3 * (2 + 2 * 7)
    assert shares.share_a(EPOCH, GID, 0).reveal() == derive(
        EPOCH.reveal(), pae(labels.SHARE_A, GID, number(0))
    )
    assert shares.grant_key(EPOCH, GID).same_as(made[0])


def test_a_seed_belongs_to_its_keepers():
    """Another keeper in a subset means another seed for it."""
    a, b = policy_of(1, 1), policy_of(1, 1)
    assert not shares.seeds(EPOCH, GID, 0, a)[0].same_as(shares.seeds(EPOCH, GID, 0, b)[0])
    assert repr(shares.ShareB(shares.seeds(EPOCH, GID, 0, a), "list", GID, 0)) == "ShareB(…)"
