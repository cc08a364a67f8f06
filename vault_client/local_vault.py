"""What the patient's device keeps of the vault: head, keys, documents, grants, whom nothing may be granted, audit.

Records of the device store; ``vault_replica`` writes them as links are believed, ``audit`` its own as it goes on.
"""

from crypto.descriptors import Descriptor
from crypto.encoding import Body, Bytes16, Bytes32, Bytes48, Natural, SecretBody
from crypto.grants import Act, SealedPolicy
from crypto.sealed.keyring import VaultKeyring
from crypto.signing import Envelope
from crypto.statements import IdentityRef
from crypto.vault_chain import Document, GrantEntry, VaultHead, Version
from crypto.vault_links import Continues, Grant
from vault_client.log_scan import Scanned


class LocalVault(SecretBody, frozen=True):
    """The vault's founding, head and keyring on this device."""

    genesis: Envelope
    head: VaultHead
    keyring: VaultKeyring


class ToBeFounded(SecretBody, frozen=True):
    """Whose record is to be founded (nobody's, if empty), and what it goes on from: kept while an enrolment is under way."""

    name: str
    continues: Continues | None


class ToBeRestored(Body, frozen=True):
    """That a record is being restored: until it is, nothing is written to it. ``vault``: as the kit's file names it."""

    vault: Bytes32 | None


class LocalDocument(SecretBody, frozen=True):
    """A document as this device has it: its state, and the parts of its newest version."""

    document: Document
    self_wrap: Bytes48
    descriptor: Descriptor


class GrantMade(Body, frozen=True, omit_defaults=True):
    """What this device alone knows of a grant it made: whom it is for, what it allows, and the keepers' newest blobs.

    ``made``: when its first event was, 0 until that is known. ``excluded``: members of a team who may not open; not kept by
    earlier versions of this program.
    ``end_in_force``: its end is proved, by keepers' acknowledgements, a receipt, or the log; being sent is not enough.
    ``begun``: the size of the log that was seen when its first event was signed: none of its entries is before that. Earlier
    versions of this program did not keep it.
    """

    recipient: IdentityRef
    subject: str
    name: str
    reading_key: int
    acts: tuple[Act, ...]
    purposes: tuple[str, ...]
    expiry: int
    made: int
    blobs: tuple[SealedPolicy, ...]
    end_in_force: bool
    begun: Natural = 0
    excluded: tuple[Bytes32, ...] = ()


class LocalGrant(GrantMade, frozen=True, kw_only=True):
    """A grant as this device has it: what it knows, joined with the grant's state in the chain. Not stored."""

    entry: GrantEntry


class Blocked(Body, frozen=True):
    """Whether an identity is blocked."""

    blocked: bool


class GrantedVersion(Body, frozen=True):
    """A version that a grant gives, or (not ``current``) gave before its newest rekey."""

    doc: Bytes16
    ver: Bytes16
    current: bool


class GrantIntent(Body, frozen=True):
    """A grant event about to be sent: what this device will know of it once its link is in the chain.

    Kept before sending, so that nothing is lost when the answer is. ``whole``: it starts a rekey.
    """

    gid: Bytes32
    event: Bytes32
    grant: GrantMade
    versions: tuple[GrantedVersion, ...]
    whole: bool


class OvertakenGrant(Body, frozen=True):
    """A grant that was sent, and whose link another one overtook: ``step`` of that link, and what is known of it.

    It is not in the record; in the log it can be all the same.
    """

    step: Grant
    intent: GrantIntent


class AuditPlace(Body, frozen=True, omit_defaults=True):
    """How far the audit came: the scan, the last entry's commitment, and the next link expected.

    ``grants``: those that the scan looked for, in order. Earlier versions of this program did not keep it.
    """

    scanned: Scanned
    last: Bytes32
    next_link: Natural
    grants: tuple[Bytes32, ...] | None = None


class FoundAt(Body, frozen=True):
    """Where in the log a statement was found: the event or the end of a grant, or a request that was granted."""

    index: Natural
    statement: Bytes32


class EventTerms(Body, frozen=True, omit_defaults=True):
    """What a grant allows from one of its events on, kept by the event's digest: later events can allow less.

    ``made``: when, 0 until that is known. Neither it, nor ``purposes`` or ``excluded``, was kept by earlier versions of this
    program.
    """

    acts: tuple[Act, ...]
    expiry: Natural
    purposes: tuple[str, ...] = ()
    made: Natural = 0
    excluded: tuple[Bytes32, ...] = ()


class SharedDocuments(Body, frozen=True, omit_defaults=True):
    """The documents that a grant event shared, kept by its digest: the log does not say them.

    ``whole``: it started a rekey, so nothing else is given from then on. Earlier versions of this program did not keep it.
    """

    docs: tuple[Bytes16, ...]
    whole: bool = False


def newest(document: Document) -> Version:
    """The newest version of a document."""
    return document.versions[-1]
