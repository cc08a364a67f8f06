"""What an identity chain is made of: links, their steps, and how a chain is disclosed.

Link 0 names the root key, whose private half lives only in the paper kit. Later links add and revoke devices, number
reading keys, list unlock keys (the only public keys a keyring may be sealed to), keep members and delegations, and
carry what registrars certify. ``crypto.identity_chain`` holds the rules.
"""

import hashlib
from typing import Annotated, Final, Literal

import msgspec

from crypto import labels, merkle
from crypto.access_log import Disclosure
from crypto.encoding import Body, Bytes32, Natural, SealingKey, ShortText, Suite, decode, pae
from crypto.errors import NotPermitted
from crypto.signing import Envelope
from crypto.statements import IdentityRef, View

# The purpose of a use of the root after which its holder may fetch the identity's keyring.
FETCH_KEYRING: Final = "fetch the keyring"


class Operation(Body, frozen=True, tag_field="op"):
    """One step of a link. All steps of a link are applied, or none."""


class Root(Operation, frozen=True, tag="root"):
    """First step of link 0: the root key, and randomness that makes the identity's id unique."""

    kind: Literal["person", "team"]
    key: Bytes32
    random: Bytes32


class AddDevice(Operation, frozen=True, tag="add_device"):
    """A device's signing and sealing keys. The new device signs the link too."""

    signing: Bytes32
    sealing: SealingKey


class RevokeDevice(Operation, frozen=True, tag="revoke_device"):
    """A device, by the id of its signing key, is live no more, and never again."""

    device: Bytes32


class ReadingKey(Operation, frozen=True, tag="reading_key"):
    """Reading key ``number``; ``keyring`` is the part hash of the re-sealed identity keyring."""

    number: Natural
    key: SealingKey
    keyring: Bytes32


class UnlockKey(Operation, frozen=True, tag="unlock_key"):
    """A public key to which keyrings may be sealed; ``recovery`` a signing key from the same secret.

    That of a device is its sealing key.
    """

    kind: Literal["device", "kit", "passkey", "contacts"]
    key: SealingKey
    recovery: Bytes32 | None


class RemoveUnlockKey(Operation, frozen=True, tag="remove_unlock_key"):
    """An unlock key, by the hash of its public key, is used no more."""

    key: Bytes32


class Keyring(Operation, frozen=True, tag="keyring"):
    """The identity keyring was sealed again, to every unlock key of the state after this link."""

    keyring: Bytes32


class AddMember(Operation, frozen=True, tag="add_member"):
    """An identity becomes a member of this team."""

    identity: Bytes32


class RemoveMember(Operation, frozen=True, tag="remove_member"):
    """An identity is a member no more."""

    identity: Bytes32


class Delegate(Operation, frozen=True, tag="delegate"):
    """Another identity may act for this one, as a member of a team does, for the named purposes, until a time."""

    identity: Bytes32
    purposes: Annotated[tuple[ShortText, ...], msgspec.Meta(max_length=32)]
    until: Natural


class EndDelegation(Operation, frozen=True, tag="end_delegation"):
    """The other identity may act for this one no more."""

    identity: Bytes32


class RotateRoot(Operation, frozen=True, tag="rotate_root"):
    """A new kit. Continuity when the old root signs; by a device after seven days, and then a hard stop."""

    key: Bytes32


class Recover(Operation, frozen=True, tag="recover"):
    """All devices are revoked and nothing waits; the steps after it add new ones. A hard stop for whoever pinned them."""


class Complete(Operation, frozen=True, tag="complete"):
    """Applies a link that had to wait seven days."""

    link: Natural


class Stop(Operation, frozen=True, tag="stop"):
    """A waiting link will never be applied."""

    link: Natural


class UseRoot(Operation, frozen=True, tag="use_root"):
    """Shows all devices that the root was used, and for what. It changes nothing."""

    purpose: ShortText


class Reset(Operation, frozen=True, tag="reset"):
    """A new root vouched for by a registrar alone. A hard stop for whoever pinned the old one."""

    key: Bytes32


class Certify(Operation, frozen=True, tag="certify"):
    """A registrar states that this identity belongs to ``subject`` (``scheme:value``), for at most 400 days.

    ``kind``: what it is, such as ``practitioner`` or ``team``; each registrar has its own.
    """

    kind: ShortText
    subject: ShortText
    name: ShortText
    profession: ShortText
    since: Natural
    until: Natural

    @property
    def scheme(self) -> str:
        """The part of the subject before the colon."""
        return self.subject.partition(":")[0]


class Withdraw(Operation, frozen=True, tag="withdraw"):
    """A registrar takes back the certificate of link ``link``."""

    link: Natural


AnyOperation = (
    Root
    | AddDevice
    | RevokeDevice
    | ReadingKey
    | UnlockKey
    | RemoveUnlockKey
    | Keyring
    | AddMember
    | RemoveMember
    | Delegate
    | EndDelegation
    | RotateRoot
    | Recover
    | Complete
    | Stop
    | UseRoot
    | Reset
    | Certify
    | Withdraw
)


class IdentityLink(Body, frozen=True):
    """One link. ``identity``, ``prev`` and ``view`` are absent from link 0 only."""

    suite: Suite
    identity: Bytes32 | None
    n: Natural
    prev: Bytes32 | None
    operations: Annotated[tuple[AnyOperation, ...], msgspec.Meta(min_length=1, max_length=64)]
    view: View | None


class DisclosedLink(Body, frozen=True):
    """A link together with what opens its leaf in the directory log."""

    envelope: Envelope
    disclosure: Disclosure


class Chain(Body, frozen=True):
    """A whole identity chain as it is disclosed."""

    links: Annotated[tuple[DisclosedLink, ...], msgspec.Meta(min_length=1, max_length=4096)]

    def at(self, size: int) -> "Chain":
        """The part of the chain that stood in the directory log when it had ``size`` leaves."""
        kept = tuple(link for link in self.links if link.disclosure.index < size)
        if not kept:
            raise NotPermitted(
                "An identity was used before it was in the directory. What it signed was not believed."
            )
        return Chain(links=kept)

    @property
    def identity(self) -> bytes:
        """The id of the identity that the first link founds."""
        return identity_id(self.links[0].envelope)

    @property
    def ref(self) -> IdentityRef:
        """How signed bodies name this chain at its last link. The chain must have been folded."""
        last = self.links[-1]
        leaf = merkle.leaf_hash(last.disclosure.leaf(last.envelope).to_bytes())
        return IdentityRef(identity=self.identity, n=len(self.links) - 1, leaf=leaf)


def root_use(envelope: Envelope) -> str | None:
    """What the root was used for, when ``envelope``, a link that was verified, shows a use of it; else None."""
    first = decode(envelope.body, IdentityLink).operations[0]
    return first.purpose if isinstance(first, UseRoot) else None


def identity_id(link_zero: Envelope) -> bytes:
    """The id of the identity that ``link_zero`` founds."""
    return hashlib.sha256(pae(labels.IDENTITY, link_zero.body)).digest()
