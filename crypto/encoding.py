"""Canonical JSON and unambiguous joining.

Signed bodies and wire messages are JSON with one byte string per meaning: they are decoded strictly into frozen
structs, encoded again, and refused when the bytes differ. That one comparison catches duplicate keys, other key
orders, spaces, long numbers and loose base64. Text is NFC, made of code points assigned in Unicode 14, without
control or bidirectional characters. Integers run from 0 to 2^53-1. There are no floats. Byte strings are standard
base64 with padding. An absent field is written ``null``; an unknown one is refused.

``pae`` is DSSE's pre-authentication encoding (secure-systems-lab/dsse, protocol.md), carried on to any number of
parts: each is preceded by its length, so no two lists of parts join to the same bytes.
"""

import unicodedata
from functools import cache
from typing import Annotated, Any, Literal, TypeVar, cast

import msgspec

from crypto.errors import Malformed, TooLarge
from crypto.unicode14 import is_permitted

MAX_BODY = 1 << 20

Natural = Annotated[int, msgspec.Meta(ge=0, le=2**53 - 1)]
Positive = Annotated[int, msgspec.Meta(ge=1, le=2**53 - 1)]
Bytes16 = Annotated[bytes, msgspec.Meta(min_length=16, max_length=16)]
Bytes32 = Annotated[bytes, msgspec.Meta(min_length=32, max_length=32)]
Bytes48 = Annotated[bytes, msgspec.Meta(min_length=48, max_length=48)]
Bytes64 = Annotated[bytes, msgspec.Meta(min_length=64, max_length=64)]
Sealed = Annotated[bytes, msgspec.Meta(min_length=1136, max_length=1 << 20)]
SealingKey = Annotated[bytes, msgspec.Meta(min_length=1216, max_length=1216)]
ShortText = Annotated[str, msgspec.Meta(min_length=1, max_length=256)]
Suite = Literal["coffre-1"]

T = TypeVar("T")

_ASCII = bytes(range(0x80))


class Body(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Base of everything that is signed or sent. Unknown fields are refused."""


class SecretBody(Body, frozen=True, forbid_unknown_fields=True):
    """A body that holds key material: it does not print its fields."""

    def __repr__(self) -> str:
        return f"{type(self).__name__}(…)"

    def __rich_repr__(self) -> list[tuple[str, Any]]:
        # msgspec offers terminals the fields by this name; here they get none.
        return []


_encoder = msgspec.json.Encoder()


@cache
def _decoder(kind: Any) -> msgspec.json.Decoder[Any]:
    return msgspec.json.Decoder(kind)


def encode(body: msgspec.Struct) -> bytes:
    """The one encoding of ``body``. Raises Malformed when it holds text that may not be signed."""
    try:
        data = _encoder.encode(body)
    except UnicodeEncodeError:  # a lone surrogate, as file names can hold
        raise Malformed("Nothing was written: a text holds half a character.") from None
    _check_text(data)
    return data


def decode(data: bytes, kind: type[T], *, limit: int = MAX_BODY) -> T:
    """Parse ``data`` as ``kind``; whatever parses encodes to the same bytes again.

    Raises TooLarge above ``limit`` bytes, Malformed for anything that is not the canonical encoding of a ``kind``.
    """
    if len(data) > limit:
        raise TooLarge(f"A message of {len(data)} bytes was refused: at most {limit} are read here.")
    _check_text(data)
    try:
        body: T = _decoder(cast(Any, kind)).decode(data)
    except (msgspec.DecodeError, RecursionError):
        raise Malformed(
            "A message was refused: it does not have the form that this version of Coffre knows."
        ) from None
    if _encoder.encode(body) != data:
        raise Malformed("A message was refused: it is not in the one accepted encoding.")
    return body


def decode_text(text: str, kind: type[T], *, limit: int = MAX_BODY) -> T:
    """Parse the text of a file, with or without white space around it, as ``decode`` does. Raises what that raises."""
    try:
        data = text.strip().encode()
    except UnicodeEncodeError:  # a lone surrogate, as arguments and terminals can hold
        raise Malformed("A text was refused: it holds half a character.") from None
    return decode(data, kind, limit=limit)


def pae(label: str, *parts: bytes) -> bytes:
    """Join ``label`` and ``parts`` so that only these give these bytes (DSSE v1 when there is one part)."""
    name = label.encode("ascii")
    joined = [b"DSSEv1 %d %b" % (len(name), name)]
    joined += [b" %d %b" % (len(part), part) for part in parts]
    return b"".join(joined)


def version_parts(doc: bytes, ver: bytes, ct_root: bytes) -> bytes:
    """(doc, ver, ct_root) as the last three parts of a ``pae``: what every share and key of a document names."""
    return b" 16 %b 16 %b 32 %b" % (doc, ver, ct_root)


def number(value: int) -> bytes:
    """An integer as a part of ``pae``: eight bytes, big-endian."""
    return value.to_bytes(8, "big")


def acceptable(text: str) -> str:
    """``text`` made fit to be signed: NFC, without the characters that signed text may not hold."""
    # Leaving a character out can bring two others together that compose, hence the second normalisation.
    permitted = "".join(
        character for character in unicodedata.normalize("NFC", text) if is_permitted(character)
    )
    return unicodedata.normalize("NFC", permitted)


def _check_text(data: bytes) -> None:
    # The text of canonical JSON is the text of its strings plus ASCII punctuation that composes with nothing, so
    # the whole can be checked at once. The only escapes left by the encoder for permitted text are \" and \\.
    if b"\x7f" in data or (b"\\" in data and b"\\" in data.replace(b"\\\\", b"").replace(b'\\"', b"")):
        raise Malformed("A message was refused: it holds a control character.")
    if data.isascii():
        return
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError:
        raise Malformed("A message was refused: it is not UTF-8.") from None
    # Only the few characters that are not ASCII are looked at one by one.
    characters = set(data.translate(None, _ASCII).decode("utf-8"))
    # Below U+0300 nothing combines, so most texts need no look at how their characters follow each other.
    composed = max(characters) < "\u0300" or unicodedata.is_normalized("NFC", text)
    if not composed or not all(map(is_permitted, characters)):
        raise Malformed("A message was refused: it holds text that may not be signed.")
