"""Wrapping document keys: for a recipient, and for oneself.

    PRK  = HKDF-Extract(H(PAE("kek", suite, vault, gid, rekey, recipient, r)), A)
    KEK  = HMAC(PRK, PAE("kek-doc", doc, ver, ct_root, B))          B = every B_T in order of subset
    wrap = AES-256-GCM(KEK, nonce 0, document key)

HMAC is one step where protocol.md has two: docs/decisions/0001 says why that is the same.

Each KEK is used once, so the nonce may be constant. The content commits to its key and the row's ct_root is signed, so
a wrap needs no commitment of its own.
"""

import hashlib
import hmac
from collections.abc import Sequence

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from crypto import labels, sealing
from crypto.derivation import Deriver, Mac
from crypto.encoding import number, pae, version_parts
from crypto.errors import CannotOpen
from crypto.grants import GrantEvent
from crypto.sealed.unsealing import UnsealingKey
from crypto.secret_bytes import SecretBytes

_NONCE = bytes(12)


class SharedWrapper:
    """Wraps and unwraps document keys under A, which is a reader's, and B, which is the keepers'."""

    __slots__ = ("_prk",)

    def __init__(self, share_a: SecretBytes, context: bytes) -> None:
        prk = hmac.digest(hashlib.sha256(context).digest(), share_a.reveal(), "sha256")
        self._prk = Mac(prk, pae(labels.KEK_DOCUMENT))

    def wrap(
        self, document_key: SecretBytes, shares: Sequence[bytes], doc: bytes, ver: bytes, ct_root: bytes
    ) -> bytes:
        """48 bytes that only who has A and all ``shares`` can unwrap."""
        return AESGCM(self._kek(shares, doc, ver, ct_root)).encrypt(_NONCE, document_key.reveal(), None)

    def unwrap(
        self, wrap: bytes, shares: Sequence[bytes], doc: bytes, ver: bytes, ct_root: bytes
    ) -> SecretBytes:
        """The document key. Raises CannotOpen."""
        return _unwrap(self._kek(shares, doc, ver, ct_root), wrap)

    def _kek(self, shares: Sequence[bytes], doc: bytes, ver: bytes, ct_root: bytes) -> bytes:
        b = b"".join(shares)
        return self._prk.of(b"%b %d %b" % (version_parts(doc, ver, ct_root), len(b), b))

    def __repr__(self) -> str:
        return f"{type(self).__name__}(…)"


class GrantWrapper(SharedWrapper):
    """Wraps and unwraps the document keys of one rekey of one grant."""

    __slots__ = ()

    def __init__(
        self,
        share_a: SecretBytes,
        *,
        vault: bytes,
        gid: bytes,
        rekey: int,
        recipient: bytes,
        reading_key: int,
    ) -> None:
        context = pae(
            labels.KEK, labels.SUITE.encode(), vault, gid, number(rekey), recipient, number(reading_key)
        )
        super().__init__(share_a, context)


class SelfWrapper:
    """Wraps document keys for the patient, under one epoch secret: no keeper, no log, works offline."""

    __slots__ = ("_deriver",)

    def __init__(self, epoch: SecretBytes, vault: bytes) -> None:
        self._deriver = Deriver(epoch.reveal(), pae(labels.SELF_WRAP, vault))

    def wrap(self, document_key: SecretBytes, doc: bytes, ver: bytes, ct_root: bytes) -> bytes:
        """48 bytes. A new encryption pass is a new ``ver``, so each key wraps once."""
        return AESGCM(self._key(doc, ver, ct_root)).encrypt(_NONCE, document_key.reveal(), None)

    def unwrap(self, wrap: bytes, doc: bytes, ver: bytes, ct_root: bytes) -> SecretBytes:
        """The document key. Raises CannotOpen."""
        return _unwrap(self._key(doc, ver, ct_root), wrap)

    def _key(self, doc: bytes, ver: bytes, ct_root: bytes) -> bytes:
        return self._deriver.derive(version_parts(doc, ver, ct_root))

    def __repr__(self) -> str:
        return "SelfWrapper(…)"


def a_box_info(event: GrantEvent) -> bytes:
    """The binding of the recipient's box to everything it may be used for."""
    return pae(
        labels.A_BOX,
        event.origin.encode(),
        event.vault,
        event.gid,
        number(event.rekey),
        event.recipient.identity,
        number(event.reading_key),
    )


def seal_a_box(reading_key: bytes, event: GrantEvent, share_a: SecretBytes, grant_key: SecretBytes) -> bytes:
    """HPKE of (A ‖ Kg) to the recipient's reading key, bound to ``event``'s ids (its own ``a_box`` is not read)."""
    return sealing.seal(reading_key, a_box_info(event), share_a.reveal() + grant_key.reveal())


def open_a_box(reading_key: UnsealingKey, event: GrantEvent, a_box: bytes) -> tuple[SecretBytes, SecretBytes]:
    """A and Kg. Raises CannotOpen."""
    opened = reading_key.open(a_box_info(event), a_box)
    if len(opened) != 64:
        raise CannotOpen("A grant's keys")
    return SecretBytes(opened[:32]), SecretBytes(opened[32:])


def _unwrap(key: bytes, wrap: bytes) -> SecretBytes:
    try:
        return SecretBytes(AESGCM(key).decrypt(_NONCE, wrap, None))
    except InvalidTag:
        raise CannotOpen("A document key") from None
