"""Signed tree heads: C2SP signed-note, tlog-checkpoint, and the Ed25519 form of tlog-cosignature.

A note is text, an empty line, and signature lines. A line's key name and four-byte key id only say which key to try; a
line by an unknown key is ignored, a failing one by a known key refuses the whole note. A checkpoint is a note of three
lines: origin, size, root. The log signs the text (type 0x01); a cosigner signs a time and the text (type 0x04). Our
logs write no extension lines and sign under their origin. The format page is docs/format/checkpoint.md.
"""

import base64
import hashlib
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import ClassVar, Self, TypeVar

from crypto.errors import BadSignature, Malformed, TooLarge
from crypto.merkle import EMPTY_ROOT, HASH_SIZE
from crypto.signing import SigningKey, VerifyKey

MAX_NOTE = 1 << 16
MAX_SIGNATURES = 64
MAX_NUMBER = 2**63 - 1
# How far apart the cosignatures of one head, or two clocks, may be, and how long a replaced head or an answer counts.
TEN_MINUTES = 600
# How far ahead of one's own clock a cosignature may be dated.
AHEAD = 300

_DECIMAL = re.compile("0|[1-9][0-9]{0,18}")
# Halves of characters too: text from a terminal can hold them, and they have no encoding.
_CONTROL = re.compile("[\x00-\x09\x0b-\x1f\ud800-\udfff]")
_TIME_SIZE = 8
# The newest head of a log comes with every proof of its entries.
_REMEMBERED = 32


class NoteKey:
    """The public key of a note signature, under a name. ``id`` is what stands in front of its signatures."""

    __slots__ = ("id", "key", "name")
    type: ClassVar[int]

    def __init__(self, name: str, key: VerifyKey) -> None:
        """Raises Malformed for a name that is empty or holds a space, a plus or a control character."""
        _check_name(name)
        self.name = name
        self.key = key
        self.id = hashlib.sha256(name.encode() + b"\n" + self._encoded).digest()[:4]

    @classmethod
    def parse(cls, vkey: str) -> Self:
        """Read a verifier key ``name+id+base64(type, key)``. Raises Malformed unless it is one of this type."""
        name, _, rest = vkey.partition("+")
        encoded = parse_base64(rest.partition("+")[2])
        key = cls(name, VerifyKey(encoded[1:]))
        if key.vkey != vkey:
            raise Malformed("A verifier key was refused: its id or its type is not the one expected.")
        return key

    @property
    def vkey(self) -> str:
        """The verifier key as text."""
        return f"{self.name}+{self.id.hex()}+{base64.b64encode(self._encoded).decode()}"

    @property
    def _encoded(self) -> bytes:
        return bytes([self.type]) + self.key.raw


class LogKey(NoteKey):
    """The key of a log, or of any plain Ed25519 signature over a note's text."""

    __slots__ = ()
    type = 0x01

    def check(self, text: str, signature: bytes) -> None:
        """Raises BadSignature unless ``signature`` is this key's over ``text``."""
        _check_signature(self.key.raw, text.encode(), signature)


class CosignerKey(NoteKey):
    """The key of a cosigner: a witness, or one of our keepers."""

    __slots__ = ()
    type = 0x04

    def check(self, text: str, signature: bytes) -> int:
        """The time of cosigning, in seconds since 1970. Raises BadSignature unless this key signed it and ``text``."""
        time = int.from_bytes(signature[:_TIME_SIZE], "big")
        if time > MAX_NUMBER:
            raise BadSignature("A cosignature was refused: its time is out of range.")
        _check_signature(self.key.raw, _cosigned(text, time), signature[_TIME_SIZE:])
        return time


@dataclass(frozen=True)
class NoteSignature:
    """One signature line. A claim, until the key it names has checked it."""

    name: str
    id: bytes
    signature: bytes

    def line(self) -> str:
        """The line, with its newline."""
        return f"— {self.name} {base64.b64encode(self.id + self.signature).decode()}\n"


@dataclass(frozen=True)
class Note:
    """A note of sound form, of which nothing has been verified."""

    text: str
    signatures: tuple[NoteSignature, ...]

    def encode(self) -> bytes:
        """The note as it is stored and sent."""
        return (self.text + "\n" + "".join(map(NoteSignature.line, self.signatures))).encode()


@dataclass(frozen=True)
class Checkpoint:
    """The head of a log: ``size`` leaves under ``root``. The root of no leaves is always EMPTY_ROOT."""

    origin: str
    size: int
    root: bytes

    def __post_init__(self) -> None:
        """Raises Malformed for a head that no log can have."""
        if not self.origin or "\n" in self.origin or _has_control(self.origin):
            raise Malformed("A checkpoint was refused: its origin is not one line of text.")
        if not 0 <= self.size <= MAX_NUMBER or len(self.root) != HASH_SIZE:
            raise Malformed("A checkpoint was refused: its size or its root is out of range.")
        if self.size == 0 and self.root != EMPTY_ROOT:
            raise Malformed("A checkpoint was refused: it gives an empty log a root.")

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read a note's text. Raises Malformed unless it is origin, size and root, and nothing else."""
        lines = text.split("\n")
        if len(lines) != 4 or lines[3]:
            raise Malformed("A checkpoint was refused: it does not have exactly three lines.")
        return cls(lines[0], parse_decimal(lines[1]), parse_base64(lines[2]))

    @property
    def text(self) -> str:
        """The text that is signed."""
        return f"{self.origin}\n{self.size}\n{base64.b64encode(self.root).decode()}\n"


AnyKey = TypeVar("AnyKey", bound=NoteKey)


@lru_cache(maxsize=_REMEMBERED)
def parse_note(note: bytes) -> Note:
    """Divide a note into its text and signature lines, checking the form and verifying nothing.

    Raises TooLarge above 64 KiB or 64 signatures, Malformed for anything that is not a note.
    """
    content = _decoded(note)
    text, separator, lines = content.rpartition("\n\n")
    if not separator or _has_control(content):
        raise Malformed("A note was refused: it is not text, an empty line and signature lines.")
    return Note(text + "\n", _parse_signatures(lines))


def sign_note(text: str, name: str, key: SigningKey) -> bytes:
    """A note of ``text`` with one plain signature. Raises Malformed for text that cannot stand in a note."""
    signature = NoteSignature(name, LogKey(name, key.public).id, key.sign_bytes(text.encode()))
    note = Note(text, (signature,))
    if parse_note(note.encode()) != note:
        raise Malformed("A note was not signed: its text does not end in a newline.")
    return note.encode()


def open_note(note: bytes, log: LogKey) -> str:
    """The text of a note that ``log`` signed. Raises BadSignature unless it did, and every line in its name fits."""
    parsed = parse_note(note)
    lines = [line for _, line in _by(parsed.signatures, [log])]
    for line in lines:
        log.check(parsed.text, line.signature)
    if not lines:
        raise BadSignature(
            "A note was refused: the key expected has not signed it. Nothing in it was believed."
        )
    return parsed.text


def sign_checkpoint(checkpoint: Checkpoint, key: SigningKey) -> bytes:
    """The note by which a log commits itself to ``checkpoint``, signed under its origin as the key name."""
    return sign_note(checkpoint.text, checkpoint.origin, key)


def open_checkpoint(note: bytes, log: LogKey) -> Checkpoint:
    """The head that ``log`` signed. Raises BadSignature, or Malformed unless it is a checkpoint of that very log."""
    checkpoint = Checkpoint.parse(open_note(note, log))
    if checkpoint.origin != log.name:
        raise Malformed("A checkpoint was refused: it is signed by one log and speaks for another.")
    return checkpoint


def claimed_origin(note: bytes) -> str:
    """The origin a checkpoint claims, by which to find the log's key. A claim, until ``open_checkpoint`` has run."""
    return parse_note(note).text.partition("\n")[0]


def origin_hash(origin: str) -> str:
    """By what a log is named where its origin cannot stand: the SHA-256 of it, in hexadecimal (C2SP tlog-witness)."""
    return hashlib.sha256(origin.encode()).hexdigest()


def cosign(checkpoint: Checkpoint, name: str, key: SigningKey, time: int) -> bytes:
    """The signature line by which cosigner ``name`` states ``checkpoint`` at ``time``, in seconds since 1970."""
    if not 0 <= time <= MAX_NUMBER:
        raise Malformed("A checkpoint was not cosigned: the time is out of range.")
    signature = time.to_bytes(_TIME_SIZE, "big") + key.sign_bytes(_cosigned(checkpoint.text, time))
    return NoteSignature(name, CosignerKey(name, key.public).id, signature).line().encode()


def cosignatures(note: bytes, cosigners: Iterable[CosignerKey]) -> dict[bytes, int]:
    """Who of ``cosigners`` cosigned: the SHA-256 of each public key, and the newest time it signed.

    One key counts once, however many lines or names it signs under. Lines by unknown keys are ignored; raises
    BadSignature when one by a known key does not fit. The checkpoint itself is opened by ``open_checkpoint``.
    """
    parsed = parse_note(note)
    times: dict[bytes, int] = {}
    for cosigner, line in _by(parsed.signatures, cosigners):
        time = cosigner.check(parsed.text, line.signature)
        times[cosigner.key.key_id] = max(time, times.get(cosigner.key.key_id, 0))
    return times


def add_cosignature(note: bytes, answer: bytes, cosigner: CosignerKey) -> bytes:
    """``note`` with the newest line by ``cosigner``, of those it has and those of the cosigner's ``answer``.

    Lines by others in the answer are left out, and every line is verified before it is added: one bad line by a known
    key would spoil the note for everyone. Raises BadSignature when one does not fit or none is by this cosigner,
    Malformed when the answer is not signature lines.
    """
    parsed = parse_note(note)
    earlier = [line for _, line in _by(parsed.signatures, [cosigner])]
    offered = [line for _, line in _by(_parse_signatures(_decoded(answer)), [cosigner])]
    if not offered:
        raise BadSignature("A cosigner's answer was refused: it does not hold a signature by that cosigner.")
    newest = max(earlier + offered, key=lambda line: cosigner.check(parsed.text, line.signature))
    others = tuple(line for line in parsed.signatures if line not in earlier)
    extended = Note(parsed.text, (*others, newest)).encode()
    parse_note(extended)
    return extended


def parse_decimal(text: str) -> int:
    """An integer from 0 to 2^63-1 in ASCII digits without a leading zero. Raises Malformed for anything else."""
    if _DECIMAL.fullmatch(text) is None or int(text) > MAX_NUMBER:
        raise Malformed("A number was refused: it is not written as a plain decimal in range.")
    return int(text)


def parse_base64(text: str) -> bytes:
    """Standard base64 with padding, in its one form. Raises Malformed for anything else."""
    try:
        data = base64.b64decode(text)
    except ValueError:
        raise Malformed("A line was refused: it is not base64.") from None
    if base64.b64encode(data).decode() != text:
        raise Malformed("A line was refused: it is not in the one accepted form of base64.")
    return data


def _decoded(data: bytes) -> str:
    if len(data) > MAX_NOTE:
        raise TooLarge(f"A note of {len(data)} bytes was refused: at most {MAX_NOTE} are read here.")
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError:
        raise Malformed("A note was refused: it is not UTF-8.") from None


def _parse_signatures(lines: str) -> tuple[NoteSignature, ...]:
    *signatures, end = lines.split("\n")
    if end or not signatures:
        raise Malformed("A note was refused: it does not end in signature lines.")
    if len(signatures) > MAX_SIGNATURES:
        raise TooLarge(
            f"A note with {len(signatures)} signatures was refused: at most {MAX_SIGNATURES} are read here."
        )
    return tuple(map(_parse_signature, signatures))


def _parse_signature(line: str) -> NoteSignature:
    dash, _, rest = line.partition(" ")
    name, _, encoded = rest.partition(" ")
    signature = parse_base64(encoded)
    if dash != "—" or len(signature) <= 4:
        raise Malformed("A note was refused: one of its last lines is not a signature.")
    _check_name(name)
    return NoteSignature(name, signature[:4], signature[4:])


def _by(lines: Iterable[NoteSignature], keys: Iterable[AnyKey]) -> Iterator[tuple[AnyKey, NoteSignature]]:
    known = {(key.name, key.id): key for key in keys}
    for line in lines:
        key = known.get((line.name, line.id))
        if key is not None:
            yield key, line


def _cosigned(text: str, time: int) -> bytes:
    return f"cosignature/v1\ntime {time}\n{text}".encode()


@lru_cache(maxsize=_REMEMBERED)  # only what fits: what raises is looked at each time
def _check_signature(key: bytes, message: bytes, signature: bytes) -> None:
    VerifyKey(key).check(message, signature)


def _check_name(name: str) -> None:
    if not name or "+" in name or any(map(str.isspace, name)) or _has_control(name):
        raise Malformed(
            "A key name was refused: it is empty or holds a space, a plus or a control character."
        )


def _has_control(text: str) -> bool:
    return _CONTROL.search(text) is not None
