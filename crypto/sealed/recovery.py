"""The paper kit: one 256-bit seed from which a person's root key and an unlock key are derived.

The root's private half lives nowhere else. The text form is the seed in base32 groups with a checksum word, so that a
mistyped kit is refused before anything is tried with it. A kit's file holds the text together with what is needed
to use it: the service, and the identity and vault it is for.
"""

import base64
import hashlib
import hmac

from crypto import labels
from crypto.derivation import derive
from crypto.encoding import Bytes32, SecretBody, ShortText, Suite, decode_text, encode, pae
from crypto.errors import Malformed
from crypto.sealed.unsealing import UnsealingKey
from crypto.secret_bytes import SecretBytes
from crypto.signing import SigningKey
from crypto.statements import RootRef

MAX_FILE = 4096
GROUPS = 14
_GROUP = 4
_CHECK = 3
_ALPHABET = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZ234567")


class Kit:
    """A recovery kit."""

    __slots__ = ("_seed",)

    def __init__(self, seed: SecretBytes) -> None:
        self._seed = seed

    @classmethod
    def generate(cls) -> "Kit":
        """A fresh kit."""
        return cls(SecretBytes.random(32))

    @property
    def root(self) -> SigningKey:
        """The identity's root key."""
        return SigningKey(SecretBytes(derive(self._seed.reveal(), pae(labels.KIT_ROOT))))

    @property
    def unlock(self) -> UnsealingKey:
        """The unlock key to which keyrings are sealed."""
        return UnsealingKey(SecretBytes(derive(self._seed.reveal(), pae(labels.KIT_UNLOCK))))

    def to_text(self) -> str:
        """The kit as 14 groups of four characters."""
        seed = self._seed.reveal()
        text = base64.b32encode(seed + _checksum(seed)).decode()
        return "-".join(_grouped(text))

    @classmethod
    def from_text(cls, text: str) -> "Kit":
        """Read a kit. Raises Malformed for a mistyped one; nothing is tried with it."""
        try:
            data = base64.b32decode(_compact(text))
        except ValueError:
            data = b""
        seed, check = data[:32], data[32:]
        if not hmac.compare_digest(check, _checksum(seed)):
            raise Malformed(
                "This is not a recovery kit, or a character is wrong. Nothing was tried. Read it again."
            )
        return cls(SecretBytes(seed))


class KitFile(SecretBody, frozen=True):
    """What a person keeps beside the paper, or instead of it: the kit's ``text``, and where and whose it is.

    ``url`` and ``root`` are an instance card's. ``vault`` is absent until one is founded, and for whoever has none.
    """

    suite: Suite
    url: ShortText
    root: RootRef
    identity: Bytes32
    vault: Bytes32 | None
    text: ShortText

    @property
    def kit(self) -> Kit:
        """The kit. Raises Malformed for a mistyped one."""
        return Kit.from_text(self.text)


def kit_groups(text: str) -> list[str]:
    """The groups in a part of a kit's text, as ``Kit.to_text`` writes them. Raises Malformed for what no kit can hold.

    That is all that one group shows by itself: whether all belong together, ``Kit.from_text`` checks.
    """
    compact = _compact(text)
    if not compact or len(compact) % _GROUP or not _ALPHABET.issuperset(compact):
        raise Malformed(
            "A group of a recovery kit has four characters: letters, and digits from 2 to 7. What looks like 0 is the "
            "letter O, like 1 the letter I or L, like 8 the letter B. Type it again."
        )
    return _grouped(compact)


def kit_file_text(file: KitFile) -> str:
    """A kit as the text of its file."""
    return encode(file).decode()


def read_kit_file(text: str) -> KitFile:
    """Read a kit's file. Raises Malformed, also for a kit not written as ``Kit.to_text`` does, or TooLarge."""
    file = decode_text(text, KitFile, limit=MAX_FILE)
    if file.kit.to_text() != file.text:
        raise Malformed("A recovery kit's file is not in the one accepted form. Nothing was tried.")
    return file


def _compact(text: str) -> str:
    return text.strip().upper().replace("-", "").replace(" ", "")


def _grouped(compact: str) -> list[str]:
    return [compact[at : at + _GROUP] for at in range(0, len(compact), _GROUP)]


def _checksum(seed: bytes) -> bytes:
    return hashlib.sha256(pae(labels.KIT_CHECK, seed)).digest()[:_CHECK]
