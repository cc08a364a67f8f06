"""Finding one's own leaves among everybody's.

A scanned locator is nonce16 ‖ AES-256(HKDF(K, PAE("loc", origin)), nonce16): without K it is random, with K it is
recognised. Slot one carries one under the vault's scan key Kv; slot two of an access request one under the grant's Kg,
so a reading stays findable when either the server or the reader's client is honest. Event and end tags are exact
values that are looked up; a directory slot names an identity's link.
"""

import hashlib
import hmac

from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

from crypto import labels
from crypto.access_log import LEAF
from crypto.derivation import derive
from crypto.encoding import number, pae
from crypto.errors import Malformed
from crypto.secret_bytes import SecretBytes

LOCATOR = 32
_BLOCK = 4096
_NOTHING = bytes(16)


class SlotColumn:
    """One slot of many consecutive leaves, laid out in blocks so that a key is tried on thousands in one call."""

    __slots__ = ("blocks",)

    def __init__(self, leaves: bytes, slot: int) -> None:
        """``leaves``: 97-byte leaves one after the other; ``slot``: 1 or 2. Raises Malformed for another length."""
        if len(leaves) % LEAF:
            raise Malformed("Log entries were refused: their length is not a number of leaves.")
        first, step = 1 + LOCATOR * (slot - 1), LEAF * _BLOCK
        self.blocks = [
            b"".join(
                [
                    leaves[at : at + LOCATOR]
                    for at in range(start + first, min(start + step, len(leaves)), LEAF)
                ]
            )
            for start in range(0, len(leaves), step)
        ]


class Locator:
    """Makes and recognises the locators of one key in one log."""

    __slots__ = ("_aes",)

    def __init__(self, key: SecretBytes, origin: str) -> None:
        self._aes = algorithms.AES(derive(key.reveal(), pae(labels.LOCATOR, origin.encode())))

    def make(self, nonce: bytes) -> bytes:
        """The locator of ``nonce`` (16 fresh random bytes)."""
        # One block of AES as a pseudo-random permutation; no mode of operation is meant.
        return nonce + Cipher(self._aes, modes.ECB()).encryptor().update(nonce)  # noqa: S305

    def matches(self, slot: bytes) -> bool:
        """Whether ``slot`` is a locator of this key."""
        return self._differences(slot)[16:] == _NOTHING

    def find(self, column: SlotColumn) -> list[int]:
        """The places in ``column`` that hold locators of this key."""
        found = []
        for number_, block in enumerate(column.blocks):
            differences = self._differences(block)
            at = differences.find(_NOTHING)
            while at >= 0:
                if at % LOCATOR == 16:
                    found.append(number_ * _BLOCK + at // LOCATOR)
                at = differences.find(_NOTHING, at + 1)
        return found

    def _differences(self, slots: bytes) -> bytes:
        # CBC decryption of nonce ‖ tag gives AES⁻¹(tag) ⊕ nonce in the second block: zero exactly for a locator.
        # It is the one call that tests a whole column at the speed of the cipher.
        return Cipher(self._aes, modes.CBC(_NOTHING)).decryptor().update(slots)

    def __repr__(self) -> str:
        return "Locator(…)"


def event_tag(end_key: SecretBytes, origin: str, gid: bytes, j: int) -> bytes:
    """Slot two of the leaf of grant event ``j``."""
    message = pae(labels.EVENT_TAG, origin.encode(), gid, number(j))
    return hmac.digest(end_key.reveal(), message, "sha256")


def end_tag(end_key: SecretBytes, origin: str, gid: bytes) -> bytes:
    """Slot two of the leaf that ends a grant; whoever knows it has the right to end."""
    return hmac.digest(end_key.reveal(), pae(labels.END_TAG, origin.encode(), gid), "sha256")


def directory_slot(origin: str, identity: bytes, n: int) -> bytes:
    """Slot one of the leaf of link ``n`` of an identity."""
    return hashlib.sha256(pae(labels.DIRECTORY, origin.encode(), identity, number(n))).digest()
