"""Access requests: what a reader's device signs before anything is opened.

One request (AR) names up to 256 documents of one grant and one act. The server logs it before it answers; the keepers
answer only to a logged one. It carries what the patient must be able to check later: who, by which device, in which
view of the world, and for which purpose (sealed to the patient).
"""

from typing import Annotated

import msgspec

from crypto import labels
from crypto.encoding import Body, Bytes16, Bytes32, Natural, SecretBody, ShortText, Suite, decode, pae
from crypto.errors import BadSignature, Malformed, NotPermitted
from crypto.grants import Act
from crypto.identity_chain import Known
from crypto.signing import Envelope, verify
from crypto.statements import View

MAX_DOCUMENTS = 256

Label = Annotated[str, msgspec.Meta(max_length=256)]
SealedPurpose = Annotated[bytes, msgspec.Meta(min_length=1136, max_length=16_384)]


class RequestedDocument(Body, frozen=True):
    """One document version, as the grant's row has it; for a standing reader, as the manifest ``deposit`` has it."""

    doc: Bytes16
    ver: Bytes16
    ct_root: Bytes32
    rekey: Natural
    deposit: Bytes32 | None


class AccessRequest(Body, frozen=True):
    """AR. ``ghead``: digest of the newest event held. ``time`` in seconds. ``purpose``: sealed to the vault's log key.

    ``device``: id of the signing key. ``team``: the team whose grant it is, when the reader acts for one.
    """

    suite: Suite
    origin: ShortText
    gid: Bytes32
    ghead: Bytes32
    documents: Annotated[tuple[RequestedDocument, ...], msgspec.Meta(min_length=1, max_length=MAX_DOCUMENTS)]
    act: Act
    identity: Bytes32
    device: Bytes32
    team: Bytes32 | None
    time: Natural
    nonce: Bytes16
    slot_two: Bytes32
    purpose: SealedPurpose
    view: View

    @property
    def recipient(self) -> bytes:
        """The identity that was granted: the team if there is one, else the reader."""
        return self.team or self.identity


class Purpose(SecretBody, frozen=True):
    """Why, as the reader states it. ``code`` is an HL7 PurposeOfUse code such as TREAT."""

    code: ShortText
    role: Label
    organisation: Label
    name: Label
    reason: Annotated[str, msgspec.Meta(max_length=1024)]


def purpose_info(origin: str, gid: bytes, nonce: bytes) -> bytes:
    """The binding of a sealed purpose to its request."""
    return pae(labels.PURPOSE, origin.encode(), gid, nonce)


def read_request(envelope: Envelope) -> AccessRequest:
    """Parse a request whose signature is still to be checked (``check_request`` does)."""
    request = decode(envelope.body, AccessRequest)
    if len({(entry.doc, entry.ver) for entry in request.documents}) != len(request.documents):
        raise Malformed("A request names one version of a document twice. Nothing was opened.")
    return request


def check_request(envelope: Envelope, reader: Known, team: Known | None, now: int) -> AccessRequest:
    """The request in ``envelope``, signed by just the device it names, live in ``reader`` as it stands.

    ``reader`` and ``team`` are folded at the head the caller judges by, ``now`` is the time at which a delegate of
    ``team`` must still be one. Raises BadSignature or NotPermitted.
    """
    request = read_request(envelope)
    if envelope.signers != (request.device,) or reader.ref.identity != request.identity:
        raise BadSignature("A request is not signed by the device it names. Nothing was opened.")
    verify(envelope, labels.ACCESS_REQUEST, reader.state.device_keys())
    if request.team is not None:
        if team is None or team.ref.identity != request.team:
            raise NotPermitted("A request acts for a team that is not shown. Nothing was opened.")
        if not team.state.may_be_acted_for_by(request.identity, now):
            raise NotPermitted(
                "A request acts for a team that its signer is no member of. Nothing was opened."
            )
    return request
