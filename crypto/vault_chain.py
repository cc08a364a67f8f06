"""The vault chain: everything that happened to one record, as signed links that only holders may write.

Private: holders' devices and the server see it, nobody else. The genesis names the holders, how many of them must
sign, and for ever the log it is written in; the vault's id is its hash. A link holds several operations, applied whole
or not at all.

``follow`` is the rule book, shared by server and clients: from a view of the state and a link it returns what changes,
or raises. It looks only at what the link's operations name, so its cost does not grow with the record.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import assert_never

import msgspec

from crypto import labels
from crypto.encoding import Body, Bytes16, Bytes32, Natural, Positive, ShortText, decode
from crypto.errors import BadSignature, BrokenChain, NotPermitted
from crypto.identity_chain import Known
from crypto.sealing import check_public_key
from crypto.signing import Envelope, VerifyKey, verify
from crypto.statements import Head, IdentityRef
from crypto.vault_links import (
    AddVersion,
    Adopt,
    AnyOperation,
    Block,
    End,
    Genesis,
    Grant,
    Mask,
    PolicyPart,
    ProfilePart,
    Reseal,
    Rotate,
    SnapshotPart,
    Tombstone,
    VaultLink,
    vault_id,
)


class Version(Body, frozen=True):
    """A version as the chain has it."""

    ver: Bytes16
    ct_root: Bytes32
    length: Natural
    epoch: Natural
    self_wrap: Bytes32
    descriptor: Bytes32


class Document(Body, frozen=True):
    """A document's state: its versions, oldest first."""

    doc: Bytes16
    versions: tuple[Version, ...]
    masked: bool
    deleted: bool


class GrantEntry(Body, frozen=True):
    """A grant's state: the newest event, and the epochs its secrets come from."""

    gid: Bytes32
    recipient: Bytes32
    j: Natural
    event: Bytes32
    rekey: Natural
    epoch_first: Natural
    epoch: Natural
    ended: bool


class VaultHead(Body, frozen=True, omit_defaults=True):
    """The part of a vault's state that every link moves.

    ``dir``: the largest head of the directory that a link has named; none where the state was stored before that was kept.
    """

    vault: Bytes32
    holders: tuple[Bytes32, ...]
    rule: Positive
    origin: ShortText
    n: Natural
    link: Bytes32
    keys: Rotate
    dir: Head | None = None


@dataclass(frozen=True)
class VaultView:
    """What ``follow`` reads: the head, and whatever of the rest the link's operations name.

    ``later``: the link's signers as they stand at the head's ``dir``; asked for only where the link names an older one.
    """

    head: VaultHead
    documents: Mapping[bytes, Document]
    grants: Mapping[bytes, GrantEntry]
    blocked: Mapping[bytes, bool]
    later: Sequence[Known] = ()


@dataclass
class Changes:
    """What a link changes: the new head, and new values by id."""

    head: VaultHead
    documents: dict[bytes, Document] = field(default_factory=dict)
    grants: dict[bytes, GrantEntry] = field(default_factory=dict)
    blocked: dict[bytes, bool] = field(default_factory=dict)


@dataclass
class Named:
    """The documents, grants and identities whose state ``follow`` must be shown."""

    documents: set[bytes] = field(default_factory=set)
    grants: set[bytes] = field(default_factory=set)
    identities: set[bytes] = field(default_factory=set)


def named(operations: Sequence[AnyOperation]) -> Named:
    """What the operations of a link name."""
    found = Named()
    for step in operations:
        match step:
            case AddVersion(doc=doc) | Adopt(doc=doc) | Tombstone(doc=doc) | Mask(doc=doc):
                found.documents.add(doc)
            case Grant(gid=gid, recipient=identity):
                found.grants.add(gid)
                found.identities.add(identity)
            case End(gid=gid):
                found.grants.add(gid)
            case Block(identity=identity):
                found.identities.add(identity)
    return found


def found(envelope: Envelope, signers: Sequence[Known]) -> Changes:
    """Check a genesis. Raises unless enough of its holders signed it by devices live at its ``dir``."""
    genesis = decode(envelope.body, Genesis)
    if len(set(genesis.holders)) != len(genesis.holders) or genesis.rule > len(genesis.holders):
        raise NotPermitted("A record's founding statement contradicts itself. Nothing was founded.")
    if genesis.keyring.epoch != 0:
        raise BrokenChain("A record starts with epoch 0. Nothing was founded.")
    check_signers(envelope, labels.GENESIS, genesis.signers, signers, genesis.holders, genesis.rule)
    _check_keys(genesis.keyring)
    return Changes(
        head=VaultHead(
            vault=vault_id(envelope.body),
            holders=genesis.holders,
            rule=genesis.rule,
            origin=genesis.origin,
            n=0,
            link=envelope.digest,
            keys=genesis.keyring,
            dir=genesis.view.dir,
        )
    )


def follow(view: VaultView, envelope: Envelope, signers: Sequence[Known]) -> Changes:
    """What ``envelope`` changes. Raises BrokenChain, BadSignature or NotPermitted; then nothing may be changed."""
    link, head = decode(envelope.body, VaultLink), view.head
    if (link.vault, link.n, link.prev) != (head.vault, head.n + 1, head.link):
        raise BrokenChain("A link does not follow from the newest one of its record. It was not believed.")
    check_signers(envelope, labels.VAULT_LINK, link.signers, signers, head.holders, head.rule)
    latest = latest_directory(head.dir, link.view.dir)
    if latest != link.view.dir:
        check_not_removed(envelope, view.later)
    keyrings = sum(isinstance(operation, Rotate | Reseal) for operation in link.operations)
    _refuse(keyrings > 1, "A link changes the keyring twice.")
    changes = Changes(head=msgspec.structs.replace(head, n=link.n, link=envelope.digest, dir=latest))
    for operation in link.operations:
        _apply(view, changes, operation)
    return changes


def check_signers(
    envelope: Envelope,
    label: str,
    refs: Sequence[IdentityRef],
    known: Sequence[Known],
    holders: Sequence[bytes],
    rule: int,
) -> None:
    """``rule`` of ``holders`` signed, each by devices live where ``known`` stands, and ``refs`` name just them."""
    if tuple(entry.ref for entry in known) != tuple(refs) or len({ref.identity for ref in refs}) != len(refs):
        raise BadSignature("A signed body names other signers than those shown. It was not believed.")
    if len(refs) < rule or not {ref.identity for ref in refs} <= set(holders):
        raise BadSignature(
            "A signed body is not signed by enough holders of the record. It was not believed."
        )
    keys: dict[bytes, VerifyKey] = {}
    for entry in known:
        keys |= entry.state.device_keys()
    signed = verify(envelope, label, keys)
    if not all(signed & set(entry.state.devices) for entry in known):
        raise BadSignature("A holder named as signer did not sign. The body was not believed.")


def latest_directory(named: Head | None, at: Head) -> Head:
    """The larger of the directory heads that a chain has ``named`` so far and that its next body names.

    Raises BrokenChain for two of one size that differ.
    """
    if named is None or named.size < at.size:
        return at
    if named.size == at.size and named.root != at.root:
        raise BrokenChain(
            "A record names two versions of the directory that contradict each other. It was not believed."
        )
    return named


def check_not_removed(envelope: Envelope, later: Sequence[Known]) -> None:
    """Raises BadSignature unless all devices that signed are live where ``later`` stands.

    A removed device names a head from before its removal; so whoever knows of a later one judges by that.
    """
    live = {device for entry in later for device in entry.state.devices}
    if not live.issuperset(envelope.signers):
        raise BadSignature("A signed body is by a device that had been removed. It was not believed.")


def _apply(view: VaultView, changes: Changes, operation: AnyOperation) -> None:
    head = changes.head
    match operation:
        case AddVersion(doc=doc) | Adopt(doc=doc):
            document = _document(view, changes, doc) or Document(
                doc=doc, versions=(), masked=False, deleted=False
            )
            known = {version.ver for version in document.versions}
            _refuse(document.deleted, "A version was added to a deleted document.")
            _refuse(operation.ver in known, "A version was added twice.")
            _refuse(
                operation.epoch != head.keys.epoch,
                "A version was added under another epoch than the present.",
            )
            version = Version(
                ver=operation.ver,
                ct_root=operation.ct_root,
                length=operation.length,
                epoch=operation.epoch,
                self_wrap=operation.self_wrap,
                descriptor=operation.descriptor,
            )
            changes.documents[doc] = msgspec.structs.replace(document, versions=(*document.versions, version))
        case Tombstone(doc=doc):
            changes.documents[doc] = msgspec.structs.replace(_present(view, changes, doc), deleted=True)
        case Mask(doc=doc, masked=masked):
            changes.documents[doc] = msgspec.structs.replace(_present(view, changes, doc), masked=masked)
        case Grant():
            changes.grants[operation.gid] = _granted(view, changes, operation)
        case End(gid=gid):
            grant = changes.grants.get(gid) or view.grants.get(gid)
            if grant is None or grant.ended:
                raise NotPermitted("A grant was ended that is not in force. The link was not believed.")
            changes.grants[gid] = msgspec.structs.replace(grant, ended=True)
        case Block(identity=identity, blocked=blocked):
            changes.blocked[identity] = blocked
        case Rotate():
            _refuse(operation.epoch != head.keys.epoch + 1, "Epochs are numbered in order.")
            _check_keys(operation)
            changes.head = msgspec.structs.replace(head, keys=operation)
        case Reseal(keyring=keyring):
            keys = msgspec.structs.replace(head.keys, keyring=keyring)
            changes.head = msgspec.structs.replace(head, keys=keys)
        case PolicyPart() | ProfilePart() | SnapshotPart():
            pass  # they name a part, and folding never needs one
        case _:
            assert_never(operation)


def _granted(view: VaultView, changes: Changes, step: Grant) -> GrantEntry:
    known = changes.grants.get(step.gid) or view.grants.get(step.gid)
    blocked = changes.blocked.get(step.recipient, view.blocked.get(step.recipient, False))
    _refuse(blocked, "A document was granted to someone who is blocked.")
    # Whoever held a device of an earlier epoch can make that epoch's shares: hence a rekey after each rotation.
    _refuse(step.epoch != changes.head.keys.epoch, "A grant's event does not use the present epoch.")
    if known is None:
        _refuse((step.j, step.rekey) != (0, 0), "A grant does not start at its first event.")
        first = step.epoch
    else:
        _refuse(known.ended, "A grant that has ended was taken up again.")
        _refuse(step.j != known.j + 1 or step.recipient != known.recipient, "A grant's events do not follow.")
        _refuse(not known.rekey <= step.rekey <= known.rekey + 1, "A grant's rekeys do not follow.")
        _refuse(
            step.rekey == known.rekey and step.epoch != known.epoch,
            "A grant changed its epoch without a rekey.",
        )
        first = known.epoch_first
    return GrantEntry(
        gid=step.gid,
        recipient=step.recipient,
        j=step.j,
        event=step.event,
        rekey=step.rekey,
        epoch_first=first,
        epoch=step.epoch,
        ended=False,
    )


def _document(view: VaultView, changes: Changes, doc: bytes) -> Document | None:
    return changes.documents.get(doc) or view.documents.get(doc)


def _present(view: VaultView, changes: Changes, doc: bytes) -> Document:
    document = _document(view, changes, doc)
    if document is None or document.deleted:
        raise NotPermitted("A link names a document that is not in the record. It was not believed.")
    return document


def _check_keys(keys: Rotate) -> None:
    for key in (keys.log_key, keys.deposit_key, *keys.category_keys):
        check_public_key(key)


def _refuse(wrong: bool, why: str) -> None:
    if wrong:
        raise NotPermitted(f"{why} The link was not believed.")
