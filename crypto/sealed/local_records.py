"""How a record lies in a profile on disk: under a name that does not show, sealed with that name inside.

From the profile key four keys are derived, one for each use. A record's *tag* is HMAC-SHA256(name key, name), its
*group tag* HMAC-SHA256(group key, what stands before the first "/"). The sealed value is Cobblestone-256, committed
to its key, over the padded frame of name and body, in the context of the tag: so a record moved to another row does
not open. Nothing here shows that a whole older file was put back.
"""

import hmac
from typing import Final

from crypto.derivation import Deriver
from crypto.encoding import pae
from crypto.errors import Malformed, TooLarge
from crypto.labels import LOCAL_RECORD, PROFILE_NAME
from crypto.padding import pad_record, unpad_record
from crypto.sealed import content
from crypto.secret_bytes import SecretBytes

MAX_NAME: Final = 256
MAX_RECORD: Final = 16 << 20


class LocalRecords:
    """Names, seals and opens the records of one profile. ``check`` tells its key from others without giving it away."""

    __slots__ = ("_group", "_name", "_seal", "check")

    def __init__(self, key: SecretBytes) -> None:
        """Raises Malformed unless ``key`` is 32 bytes."""
        if len(key) != 32:
            raise Malformed("The profile was not touched: a profile key is 32 bytes long.")
        purposes = Deriver(key.reveal())
        self._name = SecretBytes(purposes.derive(pae(PROFILE_NAME, b"name")))
        self._group = SecretBytes(purposes.derive(pae(PROFILE_NAME, b"group")))
        self._seal = SecretBytes(purposes.derive(pae(PROFILE_NAME, b"seal")))
        self.check = purposes.derive(pae(PROFILE_NAME, b"check"))

    def tag(self, name: str) -> bytes:
        """The row of the record called ``name``. Raises Malformed for a name of 0 or more than 256 bytes."""
        return hmac.digest(self._name.reveal(), _name_bytes(name), "sha256")

    def group_tag(self, name: str) -> bytes:
        """The mark shared by all records whose names have the same part before the first "/"."""
        return hmac.digest(self._group.reveal(), _name_bytes(name.partition("/")[0]), "sha256")

    def seal(self, name: str, body: bytes) -> bytes:
        """Seal ``body`` for the row of ``name``. Raises TooLarge above 16 MiB."""
        if len(body) > MAX_RECORD:
            raise TooLarge(
                f"A record of {len(body)} bytes was not stored: at most {MAX_RECORD} are kept in one."
            )
        named = _name_bytes(name)
        frame = pad_record(len(named).to_bytes(2, "big") + named + body)
        return content.seal(self._seal, pae(LOCAL_RECORD, self.tag(name)), frame)

    def open(self, tag: bytes, sealed: bytes) -> tuple[str, bytes]:
        """Name and body of the record in row ``tag``. Raises CannotOpen unless it was sealed for that row."""
        frame = unpad_record(content.open(self._seal, pae(LOCAL_RECORD, tag), sealed))
        end = 2 + int.from_bytes(frame[:2], "big")
        return frame[2:end].decode(), frame[end:]

    def __repr__(self) -> str:
        return "LocalRecords(…)"


def _name_bytes(name: str) -> bytes:
    named = name.encode()
    if not 1 <= len(named) <= MAX_NAME:
        raise Malformed("A record was not touched: its name must have 1 to 256 bytes.")
    return named
