"""The messages both sides speak: one request and one answer for each operation of ``vault_api``."""

from typing import Annotated, NamedTuple

import msgspec

from crypto.access_log import Disclosure, Leaf, Outcome
from crypto.checkpoint import MAX_NOTE, Checkpoint, LogKey
from crypto.encoding import Body, Bytes16, Bytes32, Natural, Positive, SecretBody, ShortText
from crypto.errors import NotProven
from crypto.grants import SealedPolicy
from crypto.identity_links import Chain
from crypto.padding import padded_length
from crypto.pieces import ciphertext_length
from crypto.receipt import MAX_TEXT, Receipt
from crypto.signing import Envelope

# Sizes that the server refuses to exceed; the client cuts its work to fit.
MAX_MESSAGE = 1 << 20
MAX_LINK_MESSAGE = 1 << 23
MAX_SUBMISSION = 1 << 26
MAX_PARTS = 256
MAX_DOCUMENT = 1 << 31
MAX_CIPHERTEXT = ciphertext_length(padded_length(MAX_DOCUMENT))

NoteText = Annotated[bytes, msgspec.Meta(min_length=1, max_length=MAX_NOTE)]
ReceiptText = Annotated[bytes, msgspec.Meta(min_length=1, max_length=MAX_TEXT)]
Parts = Annotated[tuple[bytes, ...], msgspec.Meta(max_length=1024)]


class Empty(Body, frozen=True):
    """Nothing to say."""


class TrustRootQuery(Body, frozen=True):
    """Versions after ``since`` (0: all)."""

    since: Natural


class TrustRootChain(Body, frozen=True):
    """Signed trust roots, oldest first."""

    chain: tuple[Envelope, ...]


class LogQuery(Body, frozen=True):
    """Asks about one log."""

    origin: ShortText


class LogBeginning(Body, frozen=True):
    """From which entry on a log's entries are there (0: from the first), and a cosigned checkpoint that dates the others."""

    minimum: Natural
    note: NoteText | None


class Proven(NamedTuple):
    """A leaf that is in a log, and the head that shows it: verified, and as the note that others have cosigned."""

    leaf: Leaf
    checkpoint: Checkpoint
    note: bytes


class Logged(Body, frozen=True):
    """Proof that something is in a log: the bytes of a tlog-proof text, and what opens the leaf."""

    receipt: ReceiptText
    disclosure: Disclosure

    def proves(self, envelope: Envelope, outcome: Outcome, log: LogKey) -> Proven:
        """That just ``envelope`` is in ``log``, with ``outcome``, under a head that the log signed.

        Raises NotProven, BadSignature, TooLarge or Malformed. Who cosigned the head is for the caller to ask.
        """
        leaf, receipt = self.disclosure.leaf(envelope), Receipt.decode(self.receipt)
        if receipt.index != self.disclosure.index or self.disclosure.part.outcome != outcome:
            raise NotProven("A receipt speaks of another log entry. It was not believed.")
        return Proven(leaf, receipt.verify(leaf.to_bytes(), log), receipt.note)


class ShownChain(Body, frozen=True):
    """An identity chain, with keepers' signed answers that it is complete at a head of the directory."""

    chain: Chain
    heads: Annotated[tuple[Envelope, ...], msgspec.Meta(max_length=32)]


# Identities


class PublishLink(Body, frozen=True):
    """The next link of an identity chain, with the erasable parts it names."""

    envelope: Envelope
    parts: Parts


class IdentityQuery(Body, frozen=True):
    """Asks for an identity's chain."""

    identity: Bytes32


class PartQuery(Body, frozen=True):
    """Asks for erasable parts by hash: of a vault, or (``vault`` absent) of one's own identity."""

    vault: Bytes32 | None
    hashes: Annotated[tuple[Bytes32, ...], msgspec.Meta(min_length=1, max_length=MAX_PARTS)]


class PartAnswer(Body, frozen=True):
    """The parts asked for, in order; absent where one was erased or never there."""

    parts: tuple[bytes | None, ...]


# Vaults


class Reservation(Body, frozen=True):
    """A place in a log shard, kept for one new vault."""

    origin: ShortText
    slot: Natural


class EventSubmission(Body, frozen=True):
    """A grant event with what is delivered beside it. ``rows``: encoded rows; ``listing``: sealed listing."""

    envelope: Envelope
    rows: bytes
    listing: bytes
    blobs: tuple[SealedPolicy, ...]
    chains: tuple[ShownChain, ...]


class LinkSubmission(SecretBody, frozen=True):
    """A genesis or link, with all that belongs to it.

    ``scan_key``: Kv, with a genesis or rotation. ``tags``: slot two of each grant event and end, in the order of the
    link's operations. ``events``: the events that the link's ``grant`` operations name, in order.
    """

    envelope: Envelope
    scan_key: Bytes32 | None
    tags: Annotated[tuple[Bytes32, ...], msgspec.Meta(max_length=256)]
    events: Annotated[tuple[EventSubmission, ...], msgspec.Meta(max_length=256)]
    parts: Parts


class LinkAccepted(Body, frozen=True):
    """One proof for the link itself, then one for each grant event and end, in order."""

    logged: tuple[Logged, ...]


class HeldVaults(Body, frozen=True):
    """The vaults that one's identity holds, in order of id."""

    vaults: Annotated[tuple[Bytes32, ...], msgspec.Meta(max_length=4096)]


class GrantEventQuery(Body, frozen=True):
    """Asks, as a holder of ``vault``, for event ``j`` of its grant ``gid``."""

    vault: Bytes32
    gid: Bytes32
    j: Natural


class StoredEvent(Body, frozen=True):
    """A grant event as it was sent: with its rows, and, for the grant's newest event, the keepers' policies."""

    envelope: Envelope
    rows: bytes
    blobs: tuple[SealedPolicy, ...]


class LinkQuery(Body, frozen=True):
    """Asks for a vault's links from number ``since`` on."""

    vault: Bytes32
    since: Natural


class Links(Body, frozen=True):
    """Links in order; ``more`` when there are further ones."""

    links: tuple[Envelope, ...]
    more: bool


class OpeningQuery(Body, frozen=True):
    """Asks for the sealed openings of a vault's leaves from log index ``since`` on."""

    vault: Bytes32
    since: Natural


class SealedOpening(Body, frozen=True):
    """One sealed opening and the index of its leaf."""

    index: Natural
    epoch: Natural
    box: bytes


class Openings(Body, frozen=True):
    """Openings in order of index; ``more`` when there are further ones."""

    openings: tuple[SealedOpening, ...]
    more: bool


class EraseRequest(Body, frozen=True):
    """A signed erasure."""

    erasure: Envelope


# Ciphertext


class PartUpload(Body, frozen=True):
    """Names one part of a version's ciphertext. ``length``: of the whole ciphertext."""

    vault: Bytes32
    ver: Bytes16
    length: Positive
    number: Natural


class UploadQuery(Body, frozen=True):
    """Asks which parts of a version have arrived."""

    vault: Bytes32
    ver: Bytes16


class UploadStatus(Body, frozen=True):
    """The numbers of the parts that are safely stored."""

    parts: tuple[Natural, ...]


class CiphertextQuery(Body, frozen=True):
    """Asks for ciphertext from byte ``start``: by a holder (``vault``) or under an answered request (``request``)."""

    vault: Bytes32 | None
    request: Bytes32 | None
    ver: Bytes16
    start: Natural


# Reading


class MailboxQuery(Body, frozen=True):
    """Asks for the deliveries to one's identity after number ``after``."""

    after: Natural


class Delivery(Body, frozen=True):
    """A grant event, or the news (``ended``) that a grant is over. The server's word: the log is the proof."""

    number: Positive
    envelope: Envelope | None
    rows: bytes
    chains: tuple[ShownChain, ...]
    ended: Bytes32 | None


class Mailbox(Body, frozen=True):
    """Deliveries in order; ``more`` when there are further ones."""

    deliveries: tuple[Delivery, ...]
    more: bool


class OpenRequest(Body, frozen=True):
    """A signed access request."""

    request: Envelope


class OpenAnswer(Body, frozen=True):
    """The request is in the log: its proof, and the keepers' policy blobs of the grant's newest event."""

    logged: Logged
    blobs: tuple[SealedPolicy, ...]


# Instance


class Version(Body, frozen=True):
    """What answers here."""

    name: ShortText
    version: ShortText
    suite: ShortText


class Health(Body, frozen=True):
    """``ok``: the service can store and sign."""

    ok: bool
