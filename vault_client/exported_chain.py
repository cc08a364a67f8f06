"""The vault chain of an export, and the people who signed in it: followed from its founding, without a server."""

from collections.abc import Sequence
from dataclasses import dataclass

from crypto import labels
from crypto.encoding import decode
from crypto.errors import Malformed, NotProven
from crypto.exports import CHAIN, IDENTITIES, TRUST_ROOTS
from crypto.identity_chain import Known
from crypto.signing import Envelope
from crypto.statements import Head, IdentityRef, RootRef
from crypto.trust_root import Accepted, TrustRoot
from crypto.trust_root_chain import advance, first
from crypto.vault_chain import Document, GrantEntry, VaultHead, VaultView, follow, found, latest_directory
from crypto.vault_links import Genesis, Rotate, VaultLink
from crypto.wire.messages import ShownChain
from vault_client import trust
from vault_client.export_files import ExportFiles, read_lines


def read_trust(files: ExportFiles, card: RootRef | None) -> tuple[RootRef, Accepted]:
    """The first trust root, which is ``card``'s if there is one, and the newest that follows from it."""
    chain = list(read_lines(files, TRUST_ROOTS, Envelope))
    if not chain:
        raise NotProven("An export shows no trust root. Nothing of it was believed.")
    begun = first(chain[0], card=card)
    return begun.ref, advance(begun, chain[1:])


class Identities:
    """Everybody whose chain is in an export, as keepers vouched for it."""

    def __init__(self, root: TrustRoot, files: ExportFiles) -> None:
        self._root = root
        self._shown: dict[bytes, ShownChain] = {}
        self._known: dict[tuple[bytes, Head], Known] = {}
        for shown in read_lines(files, IDENTITIES, ShownChain):
            if self._shown.setdefault(shown.chain.identity, shown) is not shown:
                raise Malformed("An export shows the keys of one person twice. They were not believed.")

    def __contains__(self, identity: bytes) -> bool:
        return identity in self._shown

    def known(self, identity: bytes, at: Head) -> Known:
        """Somebody as they stood at ``at`` of the directory. Raises NotProven when nothing is shown of them."""
        if (identity, at) not in self._known:
            shown = self._shown.get(identity)
            if shown is None:
                raise NotProven(
                    "The export does not hold the keys of somebody who signed. It was not believed."
                )
            self._known[identity, at] = trust.believe_chain(self._root, shown, at)
        return self._known[identity, at]

    def signers(self, refs: Sequence[IdentityRef], at: Head) -> list[Known]:
        """Those whom a body names as its signers, at its ``dir``."""
        return [self.known(ref.identity, at) for ref in refs]


@dataclass
class ExportedChain:
    """What the chain of an export comes to. ``links``: every link's signed body; ``epochs``: public keys by number."""

    genesis: Genesis
    head: VaultHead
    documents: dict[bytes, Document]
    grants: dict[bytes, GrantEntry]
    links: list[Envelope]
    epochs: dict[int, Rotate]


def follow_chain(files: ExportFiles, identities: Identities) -> ExportedChain:
    """Every link checked by ``crypto.vault_chain``, from the founding on."""
    lines = read_lines(files, CHAIN, Envelope)
    founding = next(lines, None)
    if founding is None:
        raise NotProven("An export holds no founding of a record. Nothing of it was believed.")
    genesis = decode(founding.body, Genesis)
    head = found(founding, identities.signers(genesis.signers, genesis.view.dir)).head
    chain = ExportedChain(genesis, head, {}, {}, [founding], {0: genesis.keyring})
    blocked: dict[bytes, bool] = {}
    for envelope in lines:
        link = decode(envelope.body, VaultLink)
        later = identities.signers(link.signers, latest_directory(chain.head.dir, link.view.dir))
        view = VaultView(chain.head, chain.documents, chain.grants, blocked, later)
        changes = follow(view, envelope, identities.signers(link.signers, link.view.dir))
        chain.head = changes.head
        chain.documents |= changes.documents
        chain.grants |= changes.grants
        blocked |= changes.blocked
        chain.links.append(envelope)
        chain.epochs |= {step.epoch: step for step in link.operations if isinstance(step, Rotate)}
    return chain


def is_link(envelope: Envelope) -> bool:
    """Whether a signed body claims to be a founding or a link."""
    return envelope.type in (labels.GENESIS, labels.VAULT_LINK)
