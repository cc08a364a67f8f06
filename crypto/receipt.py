"""Two texts that carry a checkpoint with a proof: C2SP tlog-proof v1, and the add-checkpoint body of tlog-witness.

A receipt shows that one leaf is in a log, offline, to whoever has the log's and the cosigners' keys. An add-checkpoint
asks a cosigner to follow a log from the size it knows. The ``extra`` line of tlog-proof, which nothing authenticates,
is refused. The format page is docs/format/receipt.md.
"""

import base64
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

from crypto.checkpoint import (
    MAX_NOTE,
    Checkpoint,
    LogKey,
    open_checkpoint,
    parse_base64,
    parse_decimal,
    parse_note,
)
from crypto.errors import Malformed, TooLarge
from crypto.merkle import HASH_SIZE, leaf_hash, verify_inclusion

MAX_HASHES = 63
MAX_TEXT = MAX_NOTE + 4096

_HEADER = "c2sp.org/tlog-proof@v1"


@dataclass(frozen=True)
class Receipt:
    """Leaf ``index`` of a log, the audit ``path`` to it, and the checkpoint it is shown under, byte for byte."""

    index: int
    path: tuple[bytes, ...]
    note: bytes

    @classmethod
    def decode(cls, data: bytes) -> Self:
        """Parse, verifying nothing. Raises TooLarge, or Malformed for anything that ``encode`` does not write."""
        lines, note = _divided(data)
        if len(lines) < 2 or lines[0] != _HEADER:
            raise Malformed("A receipt was refused: it does not begin as a tlog-proof of version 1.")
        return cls(_field("index", lines[1]), _hashes(lines[2:]), note)

    def encode(self) -> bytes:
        """The receipt as text."""
        return _joined([_HEADER, f"index {self.index}"], self.path, self.note)

    def verify(self, leaf: bytes, log: LogKey) -> Checkpoint:
        """Check that ``log`` signed the checkpoint and that exactly ``leaf`` is at the index under it.

        Returns the checkpoint. Who cosigned it is asked of ``cosignatures`` with the same note. Raises BadSignature,
        Malformed or NotProven.
        """
        checkpoint = open_checkpoint(self.note, log)
        verify_inclusion(leaf_hash(leaf), self.index, checkpoint.size, self.path, checkpoint.root)
        return checkpoint


@dataclass(frozen=True)
class AddCheckpoint:
    """The request that a cosigner who knows the tree of ``old`` leaves follow the log to the checkpoint in ``note``."""

    old: int
    path: tuple[bytes, ...]
    note: bytes

    @classmethod
    def decode(cls, data: bytes) -> Self:
        """Parse, verifying nothing. Raises TooLarge, or Malformed for anything that ``encode`` does not write."""
        lines, note = _divided(data)
        return cls(_field("old", lines[0]), _hashes(lines[1:]), note)

    def encode(self) -> bytes:
        """The body of the request."""
        return _joined([f"old {self.old}"], self.path, self.note)


def _divided(data: bytes) -> tuple[list[str], bytes]:
    if len(data) > MAX_TEXT:
        raise TooLarge(f"A text of {len(data)} bytes was refused: at most {MAX_TEXT} are read here.")
    head, _, note = data.partition(b"\n\n")
    Checkpoint.parse(parse_note(note).text)  # its form; nothing of it is kept
    try:
        return head.decode("ascii").split("\n"), note
    except UnicodeDecodeError:
        raise Malformed("A proof was refused: it is not ASCII text.") from None


def _joined(lines: list[str], path: Sequence[bytes], note: bytes) -> bytes:
    lines = lines + [base64.b64encode(each).decode() for each in path]
    return "\n".join(lines).encode() + b"\n\n" + note


def _field(name: str, line: str) -> int:
    word, _, number = line.partition(" ")
    if word != name:
        raise Malformed(f"A proof was refused: a line does not begin with “{name}”.")
    return parse_decimal(number)


def _hashes(lines: list[str]) -> tuple[bytes, ...]:
    if len(lines) > MAX_HASHES:
        raise TooLarge(f"A proof of {len(lines)} hashes was refused: no tree needs more than {MAX_HASHES}.")
    hashes = tuple(map(parse_base64, lines))
    if any(len(each) != HASH_SIZE for each in hashes):
        raise Malformed("A proof was refused: one of its hashes does not have 32 bytes.")
    return hashes
