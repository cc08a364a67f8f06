"""The values of a vector file: bytes in hexadecimal, canonical JSON as text."""

from typing import Any

import msgspec

from crypto.encoding import decode
from crypto.identity_chain import Known, RegistrarKey, Registrars, known_at
from crypto.identity_links import Chain
from crypto.sealed.unsealing import UnsealingKey
from crypto.secret_bytes import SecretBytes
from crypto.signing import VerifyKey
from tests.vectors.fixed import DIRECTORY

Values = dict[str, Any]


def raw(text: str) -> bytes:
    """Bytes of a file."""
    return bytes.fromhex(text)


def secret(text: str) -> SecretBytes:
    """A secret of a file."""
    return SecretBytes(raw(text))


def opener(text: str) -> UnsealingKey:
    """A sealing key by its seed."""
    return UnsealingKey(secret(text))


def body(text: str, kind: Any) -> Any:
    """Canonical JSON of a file."""
    return decode(text.encode(), kind)


def plain(value: Any) -> Any:
    """A body as values that a file can hold."""
    if isinstance(value, bytes):
        return value.hex()
    if isinstance(value, dict):
        return {key: plain(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [plain(each) for each in value]
    if isinstance(value, msgspec.Struct):
        return plain(msgspec.to_builtins(value, builtin_types=(bytes,)))
    return value


def known(text: str, registrars: Values, size: int = 1 << 40) -> Known:
    """A disclosed chain, folded."""
    return known_at(body(text, Chain), size, DIRECTORY, _registrars(registrars))


def _registrars(values: Values) -> Registrars:
    keys = [(VerifyKey(raw(key)), tuple(schemes)) for key, schemes in values.items()]
    return {key.key_id: RegistrarKey(key, schemes, None) for key, schemes in keys}
