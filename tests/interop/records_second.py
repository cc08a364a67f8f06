"""A second implementation of the encodings, from docs/format alone: it reads the tables of the pages themselves.

Follows encoding.md, envelope.md and padding.md; imports nothing of ``crypto``, and whether a key is sound is asked
of ``log_second``. Values are plain: a record is a dict (with its tag under ``op``), an array a list, a byte string
``bytes``. Text is judged by this Python's Unicode, which is that of the page or a later one.
"""

import base64
import binascii
import hashlib
import json
import re
import unicodedata
from dataclasses import dataclass
from pathlib import Path

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from tests.interop.log_second import sound

PAGES = Path(__file__).resolve().parents[2] / "docs" / "format"


class RefusedError(Exception):
    """What the pages say is to be refused."""


def demand(holds, why):
    """Refuse unless ``holds``."""
    if not holds:
        raise RefusedError(why)


# The tables


@dataclass(frozen=True)
class Record:
    """A table: its tag if it has one, whether it is written as an array, and its fields in order."""

    name: str
    tag: str | None
    is_array: bool
    fields: tuple[tuple[str, str], ...]


_BLOCK = re.compile(r"^```fields\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_RECORD = re.compile(r'^(\w+)(?: "(\w+)")? ([{\[])\n((?:  .*\n)*)[}\]]$', re.MULTILINE)
_UNION = re.compile(r"^(\w+) = ([\w |\n]+?)$(?=\n\n|\n?\Z)", re.MULTILINE)


def tables():
    """Every record and union of the pages, by name."""
    found = {}
    for page in sorted(PAGES.glob("*.md")):
        for block in _BLOCK.findall(page.read_text(encoding="utf-8")):
            for name, tag, bracket, body in _RECORD.findall(block):
                demand(name not in found, f"{name} stands on two pages")
                fields = tuple(tuple(line.split(None, 1)) for line in body.splitlines())
                found[name] = Record(name, tag or None, bracket == "[", fields)
            for name, members in _UNION.findall(block):
                found[name] = tuple(member.strip() for member in members.split("|"))
    return found


TABLES = tables()


# encoding.md


def pae(name, *parts):
    """PAE of a label, given without its prefix, and parts."""
    return joined("coffre-1/" + name, *parts)


def joined(label, *parts):
    """PAE of a whole label and parts."""
    fields = (label.encode("ascii"), *parts)
    return b"DSSEv1" + b"".join(b" " + str(len(field)).encode() + b" " + field for field in fields)


def eight(number):
    """An integer inside PAE."""
    return number.to_bytes(8, "big")


def may_be_signed(text):
    """Whether text is NFC and of permitted code points."""
    refused = {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}
    return unicodedata.normalize("NFC", text) == text and all(
        unicodedata.category(each) not in refused or each in "\u200c\u200d" for each in text
    )


def encode(name, value):
    """The canonical encoding of a record."""
    return _write(name, value).encode()


def decode(name, data, limit=1 << 20):
    """Read a record; refuse whatever is not its canonical encoding."""
    demand(len(data) <= limit, "too long")
    try:
        tree = json.loads(
            data.decode("utf-8"), object_pairs_hook=_unique, parse_float=_no, parse_constant=_no
        )
    except (ValueError, RecursionError) as error:
        raise RefusedError("not JSON") from error
    value = _read(name, tree)
    demand(encode(name, value) == data, "not the canonical encoding")
    return value


def _unique(pairs):
    demand(len({key for key, _ in pairs}) == len(pairs), "a field twice")
    return dict(pairs)


def _no(text):
    raise RefusedError(f"a number that is no integer: {text}")


_BYTES = re.compile(r"bytes(\d*)")
_SPAN = re.compile(r"(.+) (\d+)\.\.(\d+)")
_SIZES = {"sealing-key": (1216, 1216), "sealed": (1136, 1 << 20)}
_DATE = re.compile("[0-9]{4}-[0-9]{2}-[0-9]{2}")
_TEXTS = {"text": (1, 256), "label": (0, 256), "string": (0, 1 << 30)}


def _span(kind):
    """A type without its bounds, and the bounds."""
    match = _SPAN.fullmatch(kind)
    return (match[1], int(match[2]), int(match[3])) if match else (kind, None, None)


def _sizes(kind):
    base, least, most = _span(kind)
    if base == "bytes" and most is not None:
        return least, most
    match = _BYTES.fullmatch(kind)
    if match:
        return (int(match[1]), int(match[1])) if match[1] else (0, 1 << 30)
    return _SIZES.get(kind)


def _texts(kind):
    base, least, most = _span(kind)
    return (least, most) if base == "text" and most is not None else _TEXTS.get(kind)


def _integers(kind):
    base, least, most = _span(kind)
    return (least, most) if base == "integer" and most is not None else None


def _literals(kind):
    return [part.strip()[1:-1] for part in kind.split("|")] if kind.startswith('"') else None


def _inner(kind):
    item, least, most = _span(kind[1:-1])
    return item, least or 0, 1 << 30 if most is None else most


def _read(kind, tree):
    if kind.endswith("?"):
        return None if tree is None else _read(kind[:-1], tree)
    if kind.startswith("["):
        item, least, most = _inner(kind)
        demand(isinstance(tree, list) and least <= len(tree) <= most, kind)
        return [_read(item, each) for each in tree]
    if kind in {"integer", "positive"}:
        demand(type(tree) is int and (kind == "positive") <= tree < 2**53, kind)
        return tree
    if _integers(kind):
        least, most = _integers(kind)
        demand(type(tree) is int and least <= tree <= most, kind)
        return tree
    if kind == "date":
        demand(isinstance(tree, str) and (not tree or _DATE.fullmatch(tree)), kind)
        return tree
    if kind == "boolean":
        demand(type(tree) is bool, kind)
        return tree
    if _literals(kind):
        demand(tree in _literals(kind), kind)
        return tree
    if _sizes(kind):
        return _read_bytes(kind, tree)
    if _texts(kind):
        least, most = _texts(kind)
        demand(isinstance(tree, str) and least <= len(tree) <= most and may_be_signed(tree), kind)
        return tree
    return _read_record(TABLES[kind], tree)


def _read_bytes(kind, tree):
    demand(isinstance(tree, str), kind)
    try:
        data = binascii.a2b_base64(tree, strict_mode=True) if tree else b""
    except ValueError as error:
        raise RefusedError("not base64") from error
    least, most = _sizes(kind)
    demand(least <= len(data) <= most, kind)
    return data


def _read_record(table, tree):
    if isinstance(table, tuple):
        demand(isinstance(tree, dict), "not one of several")
        named = [TABLES[name] for name in table if TABLES[name].tag == tree.get("op")]
        demand(len(named) == 1, "an unknown tag")
        return _read_record(named[0], tree)
    if table.is_array:
        demand(isinstance(tree, list) and len(tree) == len(table.fields), table.name)
        tree = dict(zip([name for name, _ in table.fields], tree, strict=True))
    names = (["op"] if table.tag else []) + [name for name, _ in table.fields]
    demand(isinstance(tree, dict) and list(tree) == names, table.name)
    demand(table.tag is None or tree["op"] == table.tag, table.name)
    tag = {"op": table.tag} if table.tag else {}
    return tag | {name: _read(kind, tree[name]) for name, kind in table.fields}


def _write(kind, value):
    if kind.endswith("?"):
        return "null" if value is None else _write(kind[:-1], value)
    if kind.startswith("["):
        return "[" + ",".join(_write(_inner(kind)[0], each) for each in value) + "]"
    if kind == "boolean":
        return "true" if value else "false"
    if kind in {"integer", "positive"} or _integers(kind):
        return str(value)
    if kind == "date":
        return f'"{value}"'
    if _sizes(kind):
        return '"' + base64.b64encode(value).decode() + '"'
    if _texts(kind) or _literals(kind):
        demand(may_be_signed(value), "text that may not be signed")
        return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'
    table = TABLES[kind]
    if isinstance(table, tuple):
        table = next(TABLES[name] for name in table if TABLES[name].tag == value["op"])
    if table.is_array:
        return "[" + ",".join(_write(kind, value[name]) for name, kind in table.fields) + "]"
    fields = [f'"op":"{table.tag}"'] if table.tag else []
    fields += [f'"{name}":{_write(kind, value[name])}' for name, kind in table.fields]
    return "{" + ",".join(fields) + "}"


def part_hash(data):
    """The name of an erasable part."""
    return hashlib.sha256(pae("part", data)).digest()


# envelope.md


def public_key(seed):
    """The public key of a seed."""
    return Ed25519PrivateKey.from_private_bytes(seed).public_key().public_bytes_raw()


def sign(kind, name, value, *seeds):
    """An envelope of type ``kind`` over the record ``name``, signed by every seed."""
    body = encode(name, value)
    signatures = [
        {
            "key": hashlib.sha256(public_key(seed)).digest(),
            "signature": Ed25519PrivateKey.from_private_bytes(seed).sign(pae(kind, body)),
        }
        for seed in seeds
    ]
    return {"type": "coffre-1/" + kind, "body": body, "signatures": signatures}


def open_envelope(envelope, kind, name, public_keys, limit=1 << 20):
    """Verify an envelope under some of the public keys; then its body, and who signed."""
    demand(all(sound(raw) for raw in public_keys), "an unsound key")
    keys = {hashlib.sha256(raw).digest(): raw for raw in public_keys}
    demand(envelope["type"] == "coffre-1/" + kind, "another type")
    signers = [entry["key"] for entry in envelope["signatures"]]
    demand(len(set(signers)) == len(signers), "a signature twice")
    for entry in envelope["signatures"]:
        demand(entry["key"] in keys, "an unknown key")
        try:
            key = Ed25519PublicKey.from_public_bytes(keys[entry["key"]])
            key.verify(entry["signature"], pae(kind, envelope["body"]))
        except InvalidSignature as error:
            raise RefusedError("a signature that does not fit") from error
    return decode(name, envelope["body"], limit), set(signers)


def digest(envelope):
    """The name of a signed body."""
    return hashlib.sha256(joined(envelope["type"], envelope["body"])).digest()


# padding.md


def padme(n):
    """The padded length of n bytes, without a floor."""
    if n < 2:
        return n
    e = n.bit_length() - 1
    s = e.bit_length() if e else 0
    unit = 2 ** max(0, e - s)
    return (n + unit - 1) // unit * unit


def pad(record):
    """A record framed and padded."""
    framed = len(record).to_bytes(4, "big") + record
    return framed + bytes(max(256, padme(len(framed))) - len(framed))


def unpad(padded):
    """The record in its one padded form."""
    record = padded[4 : 4 + int.from_bytes(padded[:4], "big")]
    demand(pad(record) == padded, "not padded so")
    return record
