"""The form of evidence: what parses, what an entry and a beginning are checked against."""

import secrets

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crypto import labels, merkle
from crypto.access_log import FIRST, Leaf, Opening, ServerPart, commitment
from crypto.encoding import encode
from crypto.errors import Malformed, NotProven
from crypto.evidence import Beginning, Evidence, EvidenceEntry, KeeperEvidence, read_evidence
from crypto.signing import SigningKey, sign, sign_encoded
from crypto.statements import Head
from tests.strategies import bodies

LEAVES = [bytes([number]) * 97 for number in range(5)]
HASHES = [merkle.leaf_hash(leaf) for leaf in LEAVES]


def subtree(level: int, index: int) -> bytes:
    """The hash of a complete subtree of the five leaves."""
    return merkle.root_of(HASHES[index << level : (index + 1) << level])


def head(size: int) -> Head:
    """The head of the first ``size`` leaves."""
    return Head(size=size, root=merkle.root_of(HASHES[:size]))


def opening() -> Opening:
    """Something that a leaf can commit to."""
    envelope = sign_encoded("coffre-1/something", b"{}", SigningKey.generate())
    part = ServerPart(body=envelope.digest, time=7, outcome="accepted", prev=FIRST)
    return Opening(
        salt=secrets.token_bytes(32),
        salt2=secrets.token_bytes(32),
        previous=FIRST,
        envelope=envelope,
        part=part,
    )


def entry(shown: Opening | None, **changes: object) -> EvidenceEntry:
    """The only entry of a log, which commits to ``shown``."""
    committed = FIRST if shown is None else commitment(shown.salt, shown.envelope, shown.part)
    made = EvidenceEntry(
        index=0, slot_one=FIRST, slot_two=FIRST, commitment=committed, path=(), opening=shown
    )
    return msgspec.structs.replace(made, **changes)


def log_of(shown: EvidenceEntry) -> Head:
    """The head of a log with just that entry."""
    leaf = Leaf(slot_one=shown.slot_one, slot_two=shown.slot_two, commitment=shown.commitment)
    return Head(size=1, root=merkle.leaf_hash(leaf.to_bytes()))


@pytest.mark.parametrize("size", range(6))
def test_a_beginning_is_of_its_tree(size: int) -> None:
    """The first leaves of a tree are shown to be, and no other root passes for theirs."""
    path = tuple(merkle.consistency_path(size, 5, subtree))
    root = merkle.beginning_root(size, subtree)
    assert root == head(size).root
    Beginning(size=size, root=root, path=path).check(head(5))
    assert Beginning.shown(size, 5, subtree) == Beginning(size=size, root=root, path=path)
    with pytest.raises(NotProven):
        Beginning(size=size, root=bytes(32), path=path).check(head(5))


def test_an_entry_is_where_it_says() -> None:
    """An entry holds under the head with its leaf, and neither under another nor without a path."""
    shown = entry(opening())
    shown.check(log_of(shown))
    assert EvidenceEntry.of(0, shown.leaf, [], shown.opening) == shown
    assert EvidenceEntry.of(0, shown.leaf, None, None) == entry(None, commitment=shown.commitment, path=None)
    for wrong in (entry(None, path=None), entry(shown.opening, slot_one=bytes([1]) * 32)):
        with pytest.raises(NotProven):
            wrong.check(log_of(shown))


def test_an_entry_says_what_was_committed_to() -> None:
    """An opening counts when it fits the leaf and names the body shown; another, or none, does not."""
    shown = opening()
    assert entry(shown).opened() == shown
    other = msgspec.structs.replace(shown, part=msgspec.structs.replace(shown.part, body=FIRST))
    for wrong in (entry(None), entry(shown, commitment=FIRST), entry(other)):
        with pytest.raises(NotProven):
            wrong.opened()


def test_entries_print_nothing() -> None:
    """What an opening says does not reach a log by accident."""
    assert repr(entry(opening())) == "EvidenceEntry(…)"
    assert encode(entry(opening()))


@given(bodies(Evidence), st.booleans())
@settings(max_examples=15, deadline=None)
def test_a_file_is_read_as_it_was_written(evidence: Evidence, is_doubled: bool) -> None:
    """Whatever was signed is read again, but for a finding that shows one entry twice."""
    entries = (entry(None),) * 2 if is_doubled else (entry(None),)
    finding = msgspec.structs.replace(evidence.finding, entries=entries)
    evidence = msgspec.structs.replace(evidence, finding=finding)
    envelope = sign(labels.EVIDENCE, evidence, SigningKey.generate())
    if is_doubled:
        with pytest.raises(Malformed):
            read_evidence(encode(envelope))
    else:
        assert read_evidence(encode(envelope)) == (evidence, envelope)


@given(bodies(KeeperEvidence))
@settings(max_examples=5, deadline=None)
def test_a_keepers_file_is_told_by_its_label(evidence: KeeperEvidence) -> None:
    """What a keeper signed is read as a keeper's, and under the label of a person's as neither."""
    finding = msgspec.structs.replace(evidence.finding, entries=(entry(None),))
    evidence = msgspec.structs.replace(evidence, finding=finding)
    envelope = sign(labels.KEEPER_EVIDENCE, evidence, SigningKey.generate())
    assert read_evidence(encode(envelope)) == (evidence, envelope)
    with pytest.raises(Malformed):
        read_evidence(encode(sign(labels.EVIDENCE, evidence, SigningKey.generate())))
