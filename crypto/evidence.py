"""Evidence: what an alarm rests on, as one file that a third person checks offline.

The file is a signed body: the device that met the alarm signs all of it, so no byte can be changed unseen, and what is
only claimed is claimed by somebody. What is proven rests on other signatures: heads that the log and its keepers signed,
leaves with their audit paths, openings that fit their leaves, people's chains as the keepers vouched for them. The format
page is docs/format/evidence.md.
"""

from collections.abc import Iterator, Sequence
from typing import Annotated, Final, Self

import msgspec

from crypto import labels
from crypto.access_log import Leaf, Opening, commitment
from crypto.encoding import Body, Bytes32, Natural, SecretBody, ShortText, Suite, decode
from crypto.errors import Malformed, NotProven
from crypto.identity_links import Chain
from crypto.merkle import (
    SubtreeHash,
    beginning_root,
    consistency_path,
    leaf_hash,
    verify_consistency,
    verify_inclusion,
)
from crypto.signing import Envelope
from crypto.statements import Head, View
from crypto.wire.messages import NoteText, ShownChain

MAX_EVIDENCE: Final = 1 << 25

Path = Annotated[tuple[Bytes32, ...], msgspec.Meta(max_length=63)]
TrustRoots = Annotated[tuple[Envelope, ...], msgspec.Meta(min_length=1, max_length=1024)]
"""By version, each following the one before."""


class Beginning(Body, frozen=True):
    """The first ``size`` leaves of a tree: their ``root``, and the path that shows them to be its beginning."""

    size: Natural
    root: Bytes32
    path: Path

    @classmethod
    def shown(cls, size: int, of: int, hash_of_subtree: SubtreeHash) -> Self:
        """What the tree of ``of`` leaves has as its first ``size``. Raises as ``merkle.consistency_path``."""
        path = consistency_path(size, of, hash_of_subtree)
        return cls(size=size, root=beginning_root(size, hash_of_subtree), path=tuple(path))

    def check(self, head: Head) -> None:
        """Raises NotProven unless the tree under ``head`` begins so."""
        verify_consistency(self.size, self.root, head.size, head.root, self.path)


class EvidenceEntry(SecretBody, frozen=True):
    """A leaf, the audit path to the first head, and the opening, each of the two where it could be had."""

    index: Natural
    slot_one: Bytes32
    slot_two: Bytes32
    commitment: Bytes32
    path: Path | None
    opening: Opening | None

    @classmethod
    def of(cls, index: int, leaf: Leaf, path: Sequence[bytes] | None, opening: Opening | None) -> Self:
        """``leaf`` at ``index``, with what could be had of path and opening."""
        return cls(
            index=index,
            slot_one=leaf.slot_one,
            slot_two=leaf.slot_two,
            commitment=leaf.commitment,
            path=None if path is None else tuple(path),
            opening=opening,
        )

    @property
    def leaf(self) -> Leaf:
        """The leaf as the log has it."""
        return Leaf(slot_one=self.slot_one, slot_two=self.slot_two, commitment=self.commitment)

    def check(self, head: Head) -> None:
        """Raises NotProven unless the leaf is at its index under ``head``."""
        if self.path is None:
            raise NotProven("An entry is shown without its path. It was not believed.")
        verify_inclusion(leaf_hash(self.leaf.to_bytes()), self.index, head.size, self.path, head.root)

    def opened(self) -> Opening:
        """What the log committed to in this leaf. Raises NotProven when nothing is shown, or something else."""
        opening = self.opening
        if opening is None:
            raise NotProven("An entry is shown without what it says. It was not believed.")
        if (
            commitment(opening.salt, opening.envelope, opening.part) != self.commitment
            or opening.part.body != opening.envelope.digest
        ):
            raise NotProven(
                "An entry is shown with something else than the log committed to. It was not believed."
            )
        return opening


class Finding(SecretBody, frozen=True):
    """What one alarm rests on. ``text``, in English, and ``time`` are the client's own words and clock.

    ``notes``: heads as they were signed; the first is the one under which ``entries`` are shown, if there are any.
    ``beginning``: of the tree under the last of ``notes``.
    ``entries``: the one that the alarm is about, then those it is compared with.
    """

    code: ShortText
    text: Annotated[str, msgspec.Meta(max_length=1024)]
    time: Natural
    origin: ShortText
    notes: Annotated[tuple[NoteText, ...], msgspec.Meta(max_length=4)]
    beginning: Beginning | None
    entries: Annotated[tuple[EvidenceEntry, ...], msgspec.Meta(max_length=8)]
    people: Annotated[tuple[ShownChain, ...], msgspec.Meta(max_length=8)]


class DisclosedKey(SecretBody, frozen=True):
    """A key that the patient discloses: Kv of ``epoch``."""

    epoch: Natural
    scan_key: Bytes32


class Evidence(SecretBody, frozen=True):
    """The body of the file. ``author``: whose device signs."""

    suite: Suite
    finding: Finding
    trust_roots: TrustRoots
    keys: Annotated[tuple[DisclosedKey, ...], msgspec.Meta(max_length=64)]
    author: Chain
    view: View


class KeeperEvidence(SecretBody, frozen=True):
    """The body of a file that a keeper writes, which has no device: a keeper of the last of ``trust_roots`` signs."""

    suite: Suite
    finding: Finding
    trust_roots: TrustRoots


AnyEvidence = Evidence | KeeperEvidence


def read_evidence(data: bytes) -> tuple[AnyEvidence, Envelope]:
    """Parse a file: its body, and the signed body it is. Nothing of it is checked. Raises Malformed or TooLarge."""
    envelope = decode(data, Envelope, limit=MAX_EVIDENCE)
    is_keepers = envelope.type == labels.KEEPER_EVIDENCE
    kind: type[AnyEvidence] = KeeperEvidence if is_keepers else Evidence
    evidence = decode(envelope.body, kind, limit=MAX_EVIDENCE)
    if len(set(_indexes(evidence.finding))) != len(evidence.finding.entries):
        raise Malformed("Evidence shows one entry twice. Nothing was checked.")
    return evidence, envelope


def _indexes(finding: Finding) -> Iterator[int]:
    return (entry.index for entry in finding.entries)
