"""Key material that does not print, pickle, hash or compare by accident."""

import hmac
import secrets
from typing import NoReturn


class SecretBytes:
    """A secret byte string. ``reveal()`` is the only way to the bytes; every use of it can be searched for."""

    __slots__ = ("_value",)

    def __init__(self, value: bytes) -> None:
        self._value = bytes(value)

    @classmethod
    def random(cls, length: int = 32) -> "SecretBytes":
        """``length`` fresh random bytes."""
        return cls(secrets.token_bytes(length))

    def reveal(self) -> bytes:
        """The bytes."""
        return self._value

    def same_as(self, other: "SecretBytes") -> bool:
        """Compare in constant time."""
        return hmac.compare_digest(self._value, other._value)

    def __len__(self) -> int:
        return len(self._value)

    def __repr__(self) -> str:
        return "SecretBytes(…)"

    __str__ = __repr__

    def __eq__(self, other: object) -> NoReturn:
        raise TypeError("secrets are compared with same_as()")

    def __hash__(self) -> NoReturn:
        raise TypeError("secrets are not hashed")

    def __reduce__(self) -> NoReturn:
        raise TypeError("secrets are not pickled")
