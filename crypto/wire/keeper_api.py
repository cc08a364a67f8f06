"""Every operation of a keeper, by name.

Over HTTP: ``POST /coffre/keeper/v1/<name>`` with canonical JSON, and ``POST /add-checkpoint`` as C2SP tlog-witness has
it. A keeper answers without sessions: every question proves itself.
"""

from dataclasses import dataclass
from typing import Annotated, Protocol

import msgspec

from crypto.encoding import Body, Bytes32, Natural, Sealed, SealingKey, SecretBody, ShortText
from crypto.grants import SealedPolicy
from crypto.identity_links import Chain
from crypto.signing import Envelope
from crypto.statements import Head, IdentityRef, RootRef
from crypto.wire.messages import Empty, Logged, NoteText

PREFIX = "/coffre/keeper/v1"
MAX_QUESTION = 1 << 20
MAX_CHAIN_QUESTION = 1 << 23  # a question that shows whole identity chains
MAX_HEADS = 1 << 24  # an answer that shows the heads of all logs


class KeeperCard(Body, frozen=True):
    """A keeper's public half, as it is put into a trust root."""

    name: ShortText
    cosigning_key: Bytes32
    sealing_key: SealingKey
    url: ShortText
    operator: ShortText


class IdentityHeadQuery(Body, frozen=True):
    """Asks whether a chain is complete at the newest directory head the keeper follows."""

    chain: Chain


class IdentityHead(Body, frozen=True):
    """What a keeper signs: identity ``identity`` has just ``n`` + 1 links at ``head`` of the directory ``origin``."""

    identity: Bytes32
    n: Natural
    leaf: Bytes32
    origin: ShortText
    head: Head

    def is_of(self, ref: IdentityRef, origin: str, size: int) -> bool:
        """Whether it speaks of just ``ref``, at ``size`` leaves of the directory ``origin`` or later.

        A keeper's answer for a later head counts: a chain complete later was complete earlier.
        """
        said = IdentityRef(identity=self.identity, n=self.n, leaf=self.leaf)
        return (said, self.origin) == (ref, origin) and self.head.size >= size


class IdentityHeadAnswer(Body, frozen=True):
    """A signed ``IdentityHead``."""

    envelope: Envelope


class ReleaseQuery(Body, frozen=True):
    """A logged request and all that proves it: the reader's and, if it acts for one, the team's chain."""

    request: Envelope
    logged: Logged
    blob: SealedPolicy
    reader: Chain
    team: Chain | None


class ReleaseAnswer(Body, frozen=True):
    """The keeper's shares, sealed to the device that signed the request."""

    box: Sealed


class EndPost(SecretBody, frozen=True):
    """The end of a grant, posted straight to a keeper until it is logged. Knowing the tag is the right to end."""

    origin: ShortText
    gid: Bytes32
    blob: SealedPolicy
    tag: Bytes32


class EndAcknowledgement(Body, frozen=True):
    """What a keeper signs when it holds an end. ``time`` in seconds since 1970."""

    origin: ShortText
    gid: Bytes32
    tag: Bytes32
    time: Natural


class EndAnswer(Body, frozen=True):
    """A signed ``EndAcknowledgement``."""

    envelope: Envelope


class HeadsQuestion(Body, frozen=True):
    """What a keeper that lost its store signs, to ask another one for what that knows.

    ``asker``, ``asked``: the SHA-256 of their sealing keys. ``trust_root``: the newest that the asker knows.
    """

    asker: Bytes32
    asked: Bytes32
    trust_root: RootRef
    nonce: Bytes32


class HeadsQuery(Body, frozen=True):
    """A signed ``HeadsQuestion``."""

    envelope: Envelope


class FurtherEndsQuery(Body, frozen=True):
    """A signed ``HeadsQuestion``, for what follows in the order of tags on the end with the tag ``after``."""

    envelope: Envelope
    after: Bytes32


class KnownHeads(Body, frozen=True):
    """What a keeper signs in answer to ``question``, a digest: its highest head of each log, as it cosigned it.

    ``ends``: the first that it holds of ends that are not yet logged (``crypto.sealed.held_ends``), by tag, sealed to the
    asker. There are no more when there are none in it.
    """

    question: Bytes32
    heads: Annotated[tuple[NoteText, ...], msgspec.Meta(max_length=4096)]
    ends: Annotated[bytes, msgspec.Meta(min_length=1136, max_length=1 << 22)]


class HeadsAnswer(Body, frozen=True):
    """A signed ``KnownHeads``."""

    envelope: Envelope


class KeeperApi(Protocol):
    """What anyone can ask of a keeper. Every method raises errors of ``crypto.errors``.

    ``known_heads`` and ``further_ends`` are for keepers among themselves, and so are not here.
    """

    async def card(self, query: Empty) -> KeeperCard:
        """The keeper's public half."""
        ...

    async def identity_head(self, query: IdentityHeadQuery) -> IdentityHeadAnswer:
        """Completeness of an identity chain."""
        ...

    async def release(self, query: ReleaseQuery) -> ReleaseAnswer:
        """The release half for a logged request. One refusal for every failed check."""
        ...

    async def end(self, query: EndPost) -> EndAnswer:
        """Take note of an end."""
        ...

    async def add_checkpoint(self, body: bytes) -> bytes:
        """Cosign a checkpoint (C2SP tlog-witness): a request text in, signature lines out."""
        ...

    async def checkpoint(self, origin: str) -> bytes:
        """The newest checkpoint of a log that it cosigned (the monitoring endpoint of C2SP tlog-witness)."""
        ...


@dataclass(frozen=True)
class KeeperOperation:
    """One JSON operation of a keeper."""

    name: str
    request: type[msgspec.Struct]
    answer: type[msgspec.Struct]
    limit: int = MAX_QUESTION


OPERATIONS = (
    KeeperOperation("card", Empty, KeeperCard),
    KeeperOperation("identity_head", IdentityHeadQuery, IdentityHeadAnswer, limit=MAX_CHAIN_QUESTION),
    KeeperOperation("release", ReleaseQuery, ReleaseAnswer, limit=MAX_CHAIN_QUESTION),
    KeeperOperation("end", EndPost, EndAnswer),
    KeeperOperation("known_heads", HeadsQuery, HeadsAnswer),
    KeeperOperation("further_ends", FurtherEndsQuery, HeadsAnswer),
)
