"""Checking evidence without a server, an account or a profile: what is proven, by whose signature, and what is claimed.

The file as a whole is signed by the device that met the alarm: that is a claim with an author. What is proven stands on
other signatures (``evidence_proofs``). Something shown that does not hold refuses the whole file: nothing is skipped.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from crypto import labels, trust_root_chain
from crypto.access_log import Opening
from crypto.checkpoint import Checkpoint, claimed_origin, cosignatures, open_checkpoint
from crypto.errors import BadSignature, NotPermitted, NotProven, Refusal
from crypto.evidence import AnyEvidence, DisclosedKey, Evidence, Finding, read_evidence
from crypto.identity_chain import Known, known_at
from crypto.quorum import quorum_times
from crypto.signing import Envelope, key_id, read, verify, verify_keys
from crypto.statements import Head, RootRef
from crypto.trust_root import Keeper, TrustRoot
from crypto.wire.keeper_api import IdentityHead
from vault_client import trust


@dataclass(frozen=True)
class ShownHead:
    """A head that the log signed.

    ``times``: when keepers cosigned it, by key id, and ``keepers``: who they are, by the trust root it is judged by.
    ``quorum``: when those did who witness it; empty where they are too few.
    """

    head: Checkpoint
    times: dict[bytes, int]
    keepers: dict[bytes, Keeper]
    quorum: tuple[int, ...]

    @property
    def confirmed(self) -> list[tuple[Keeper, int]]:
        """Which keepers cosigned it, and when, by name."""
        who = [(self.keepers[key], time) for key, time in self.times.items()]
        return sorted(who, key=lambda each: (each[0].name, each[1]))

    @property
    def as_head(self) -> Head:
        """Size and root."""
        return Head(size=self.head.size, root=self.head.root)

    @property
    def is_witnessed(self) -> bool:
        """Whether a quorum cosigned it, at about one time."""
        return bool(self.quorum)


@dataclass(frozen=True)
class CheckedEvidence:
    """Evidence of which nothing is false.

    ``begins``: the trust root it was judged from, which is the card's if there was one. ``author``: whose device signed the
    file, or which keeper. ``opened``: what the log committed to, by index.
    """

    evidence: AnyEvidence
    begins: RootRef
    roots: list[TrustRoot]
    author: Known | Keeper
    heads: list[ShownHead]
    opened: dict[int, Opening]

    @property
    def finding(self) -> Finding:
        """What the alarm rests on."""
        return self.evidence.finding

    @property
    def keys(self) -> tuple[DisclosedKey, ...]:
        """What the patient disclosed. A keeper has nothing to disclose."""
        return self.evidence.keys if isinstance(self.evidence, Evidence) else ()

    @property
    def signed_roots(self) -> list[tuple[TrustRoot, Envelope]]:
        """The trust roots it was judged by, each with its envelope."""
        return list(zip(self.roots, self.evidence.trust_roots[-len(self.roots) :], strict=True))

    @property
    def root(self) -> TrustRoot:
        """The newest trust root shown."""
        return self.roots[-1]

    def known(self, identity: bytes, at: Head) -> Known:
        """Somebody as they stood at ``at`` of the directory. Raises NotProven when nobody vouches for what is shown."""
        for shown in self.finding.people:
            if shown.chain.identity == identity:
                return trust.believe_chain(self.root, shown, at)
        raise NotProven("The evidence does not show the keys of somebody it names. It was not believed.")

    def vouched(self) -> list[tuple[Keeper, IdentityHead]]:
        """What keepers of the newest trust root signed of the chains shown. Raises BadSignature, or Malformed.

        It may contradict the chain, or what another keeper signed: that is for the proofs.
        """
        keepers = {key_id(keeper.cosigning_key): keeper for keeper in self.root.keepers}
        keys = verify_keys(*(keeper.cosigning_key for keeper in self.root.keepers))
        said = []
        for envelope in (each for shown in self.finding.people for each in shown.heads):
            word = read(envelope, labels.IDHEAD, IdentityHead, keys)
            said += [(keepers[key], word) for key in envelope.signers]
        return said


def check_evidence(data: bytes, card: RootRef | None) -> CheckedEvidence:
    """Check all that the file shows; ``card`` says which service it must be about. What that proves: ``evidence_proofs``.

    Raises Malformed or TooLarge for what is no evidence, NotPermitted for another service than the card's, and whatever
    refusal fits when something in it is not as it says.
    """
    evidence, envelope = read_evidence(data)
    begins, roots = _trust(evidence.trust_roots, card)
    if isinstance(evidence, Evidence):
        author: Known | Keeper = _author(evidence, envelope, roots[-1])
    else:
        author = _keeper(envelope, roots[-1])
    finding = evidence.finding
    heads = [_head(roots, note) for note in finding.notes]
    allowed = {finding.origin, roots[-1].directory_origin}
    if any(shown.head.origin not in allowed for shown in heads):
        raise NotProven("Evidence shows the head of a log that it is not about. It was not believed.")
    opened = {}
    for entry in finding.entries:
        if entry.path is not None:
            if not heads:
                raise NotProven("An entry is shown without a head. It was not believed.")
            entry.check(heads[0].as_head)
        if entry.opening is not None and finding.code != "BAD_OPENING":
            opened[entry.index] = entry.opened()
    if finding.beginning is not None:
        if not heads:
            raise NotProven("The beginning of a log is shown without a head. It was not believed.")
        finding.beginning.check(heads[-1].as_head)
    return CheckedEvidence(evidence, begins, roots, author, heads, opened)


def _trust(shown: Sequence[Envelope], card: RootRef | None) -> tuple[RootRef, list[TrustRoot]]:
    """The trust roots from the card's on; all of them without a card."""
    chain = list(shown)
    if card is not None:
        while chain and chain[0].digest != card.digest:
            del chain[0]
        if not chain:
            raise NotPermitted(
                "The evidence is about another service than the card's, or does not go back to that card. Nothing was "
                "believed. Use the card of the service it names."
            )
    accepted = trust_root_chain.first(chain[0], card=card)
    begins, roots = accepted.ref, [accepted.root]
    for envelope in chain[1:]:
        accepted = trust_root_chain.advance(accepted, [envelope])
        roots.append(accepted.root)
    return begins, roots


def _author(evidence: Evidence, envelope: Envelope, root: TrustRoot) -> Known:
    """Whose device signed the file. The chain shows itself whose it is; that it is complete nobody vouches for."""
    size = evidence.author.links[-1].disclosure.index + 1
    author = known_at(evidence.author, size, root.directory_origin, root.registrar_keys())
    verify(envelope, labels.EVIDENCE, author.state.device_keys())
    return author


def _keeper(envelope: Envelope, root: TrustRoot) -> Keeper:
    """Which keeper signed the file."""
    keepers = {keeper.cosigner.key.key_id: keeper for keeper in root.keepers}
    signed = verify(
        envelope, labels.KEEPER_EVIDENCE, {name: each.cosigner.key for name, each in keepers.items()}
    )
    return keepers[min(signed)]


def _head(roots: list[TrustRoot], note: bytes) -> ShownHead:
    """The head in ``note``, judged by the newest trust root whose key signed it."""
    origin = claimed_origin(note)
    for root in reversed(roots):
        try:
            head = open_checkpoint(note, root.log_key_of(origin))
        except (BadSignature, NotPermitted):
            continue
        keepers = {keeper.cosigner.key.key_id: keeper for keeper in root.keepers}
        times = cosignatures(note, [keeper.cosigner for keeper in keepers.values()])
        try:
            quorum = quorum_times(root, note)
        except Refusal:
            quorum = []
        return ShownHead(head, times, keepers, tuple(quorum))
    raise BadSignature("Evidence shows a head that the service did not sign. It was not believed.")
