"""A passphrase, and the profile key sealed under it.

Argon2id (RFC 9106) through libsodium, one lane, at a cost that belongs to suite ``coffre-1`` and stands nowhere else:
no blob and no server can ask for a weaker one, or for one that no machine can pay. Text is taken in NFC, so that one
passphrase typed on two keyboards is one passphrase.

A sealed profile key is salt16 ‖ Cobblestone-256 of the key under the stretched passphrase (docs/format/profile.md).
Cobblestone commits to its key, so no blob opens under two passphrases.
"""

import unicodedata
from typing import Final

from nacl import exceptions
from nacl.pwhash import argon2id

from crypto.encoding import pae
from crypto.errors import CannotOpen, Full, Malformed, TooLarge
from crypto.labels import PROFILE
from crypto.sealed import content
from crypto.secret_bytes import SecretBytes
from crypto.unicode14 import is_permitted

PASSES: Final = 3
MEMORY: Final = 256 << 20
SALT: Final = 16
MAX_PASSPHRASE: Final = 1024
SEALED_KEY: Final = SALT + 24 + 32 + 32 + 16
"""Salt, Cobblestone's salt and commitment, the key, its tag."""


def stretch(passphrase: str, salt: bytes) -> SecretBytes:
    """32 bytes from ``passphrase`` and a 16-byte ``salt``; takes 256 MiB and about a second.

    Raises Malformed for an empty passphrase, one with characters that Unicode 14 does not know (another version of
    Python could normalise them otherwise, and the profile would be lost) or control characters, and for a salt of
    another length; TooLarge above 1024 bytes; Full when the memory is not there.
    """
    if len(salt) != SALT:
        raise Malformed("A passphrase was not used: its salt is not 16 bytes long.")
    text = unicodedata.normalize("NFC", passphrase)
    if not text:
        raise Malformed(
            "An empty passphrase was refused. Nothing was sealed or opened. Choose one of several words."
        )
    if not all(map(is_permitted, text)):
        raise Malformed(
            "The passphrase was refused: it holds a control character or one that not every machine knows. "
            "Nothing was sealed or opened. Type it without that character."
        )
    secret = text.encode()
    if len(secret) > MAX_PASSPHRASE:
        raise TooLarge("The passphrase was refused: it is longer than 1024 bytes. Choose a shorter one.")
    try:
        return SecretBytes(argon2id.kdf(32, secret, salt, PASSES, MEMORY))
    except exceptions.RuntimeError:
        raise Full(
            "The passphrase could not be used: that takes 256 MiB of free memory. Close a program."
        ) from None


def seal_key(passphrase: str, key: SecretBytes) -> bytes:
    """Seal the 32-byte profile ``key`` under ``passphrase``. Raises what ``stretch`` raises."""
    if len(key) != 32:
        raise Malformed("Nothing was sealed: a profile key is 32 bytes long.")
    salt = SecretBytes.random(SALT).reveal()
    return salt + content.seal(stretch(passphrase, salt), pae(PROFILE), key.reveal())


def open_key(passphrase: str, sealed: bytes) -> SecretBytes:
    """The profile key in ``sealed``.

    Raises CannotOpen alike for a wrong passphrase and for a damaged blob, besides what ``stretch`` raises.
    """
    wrong = CannotOpen("Wrong passphrase or damaged profile")
    if len(sealed) != SEALED_KEY:
        raise wrong
    stretched = stretch(passphrase, sealed[:SALT])
    try:
        return SecretBytes(content.open(stretched, pae(PROFILE), sealed[SALT:]))
    except CannotOpen:
        raise wrong from None
