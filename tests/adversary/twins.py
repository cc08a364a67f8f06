"""Parts of twins: clients from which one defence was taken away, to show that the attack bites without it."""

from typing import Any

import pytest
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.hashes import SHA512
from cryptography.hazmat.primitives.kdf.hkdf import HKDFExpand

from crypto import pieces
from crypto.sealed import content
from crypto.secret_bytes import SecretBytes
from vault_client import ciphertext_spool


class Anything:
    """Equal to everything: stands where a check compares."""

    def __eq__(self, other: object) -> bool:
        return True

    def __ne__(self, other: object) -> bool:
        return False

    __hash__ = None  # type: ignore[assignment]


class WithAnything:
    """Another object, but for some attributes that are equal to everything."""

    def __init__(self, real: Any, *names: str) -> None:
        self._real, self._names = real, names

    def __getattr__(self, name: str) -> Any:
        return Anything() if name in self._names else getattr(self._real, name)


def open_anything(monkeypatch: pytest.MonkeyPatch) -> None:
    """Content opens without the signed root, the key commitment and the tags."""
    monkeypatch.setattr(content.Opener, "__init__", _open_without_commitment)
    monkeypatch.setattr(content.Opener, "open_into", _open_without_tags)
    merkle = type("merkle", (), {"root_of": staticmethod(lambda leaves: Anything())})
    monkeypatch.setattr(ciphertext_spool, "merkle", merkle)


def _open_without_commitment(self: Any, key: SecretBytes, context: bytes, header: bytes) -> None:
    info = content._INFO + header[: content.SALT] + context
    derived = HKDFExpand(SHA512(), 44, info).derive(key.reveal())
    self._aead, self._base_nonce, self.header = derived[:32], int.from_bytes(derived[32:], "big"), header


def _open_without_tags(self: Any, first_piece: int, ciphertext: memoryview, plaintext: memoryview) -> int:
    chunk, written = first_piece * pieces.CHUNKS, 0
    for start in range(0, len(ciphertext), pieces.SEALED_CHUNK):
        body = ciphertext[start : start + pieces.SEALED_CHUNK][: -pieces.TAG]
        counter = content._nonce(self._base_nonce, chunk) + (2).to_bytes(4, "big")
        opened = Cipher(algorithms.AES(self._aead), modes.CTR(counter)).decryptor().update(body)
        plaintext[written : written + len(opened)] = opened
        chunk, written = chunk + 1, written + len(opened)
    return written
