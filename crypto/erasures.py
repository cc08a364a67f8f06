"""Erasures: what a holder's device signs to have the openings of readings destroyed before their time.

The statement is logged like everything of the record, so every device finds it and can tell what was erased at the
holders' request from what is withheld. It names entries of one log by index; the head it was signed under fixes which they are.
"""

from collections.abc import Iterable, Sequence
from itertools import pairwise
from typing import Annotated

import msgspec

from crypto import labels
from crypto.encoding import Body, Bytes32, Natural, ShortText, Suite, decode
from crypto.errors import Malformed, NotPermitted
from crypto.identity_chain import Known
from crypto.signing import Envelope
from crypto.statements import Head, View
from crypto.vault_chain import VaultHead, check_not_removed, check_signers, latest_directory
from crypto.vault_links import Genesis, Signers, VaultLink

MAX_ENTRIES = 4096


class Erasure(Body, frozen=True):
    """The readings at ``entries``, of ``vault`` in the log ``origin``, are to be opened by nobody any more."""

    suite: Suite
    vault: Bytes32
    origin: ShortText
    entries: Annotated[tuple[Natural, ...], msgspec.Meta(min_length=1, max_length=MAX_ENTRIES)]
    signers: Signers
    view: View


def read_erasure(envelope: Envelope) -> Erasure:
    """Parse an erasure whose signatures are still to be checked (``check_erasure`` does).

    Raises Malformed unless the entries are in order, each once, and below the head that its signer had seen.
    """
    erasure = decode(envelope.body, Erasure)
    in_order = all(before < after for before, after in pairwise(erasure.entries))
    if not in_order or erasure.entries[-1] >= erasure.view.seen.size:
        raise Malformed("A request to erase names its entries in no proper order. Nothing was erased.")
    return erasure


def check_erasure(
    envelope: Envelope, head: VaultHead, signers: Sequence[Known], later: Sequence[Known]
) -> Erasure:
    """The erasure in ``envelope``, of the record of ``head``, signed as its links are.

    ``signers`` stand at its ``dir``, ``later`` the same at the largest directory that the record had named before it.
    Raises Malformed, BadSignature or NotPermitted.
    """
    erasure = read_erasure(envelope)
    if (erasure.vault, erasure.origin) != (head.vault, head.origin):
        raise NotPermitted("A request to erase is of another record or log. Nothing was erased.")
    check_signers(envelope, labels.ERASURE, erasure.signers, signers, head.holders, head.rule)
    check_not_removed(envelope, later)
    return erasure


def latest_named(links: Iterable[Envelope], at: Head) -> Head:
    """The largest head of the directory among ``at`` and those that ``links``, a beginning of the chain, name."""
    latest = at
    for link in links:
        kind: type[Genesis | VaultLink] = Genesis if link.type == labels.GENESIS else VaultLink
        latest = latest_directory(latest, decode(link.body, kind).view.dir)
    return latest
