"""The pages' tables are the code's types, and two readers of canonical JSON, envelopes and padding agree on every byte."""

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from msgspec import inspect as kinds

from crypto import encoding, padding, signing
from crypto.errors import CoffreError
from crypto.secret_bytes import SecretBytes
from crypto.signing import Envelope, SigningKey
from crypto.statements import part_hash
from crypto.wire.messages import Version
from tests.interop import records_second as second
from tests.strategies import all_kinds, bodies, edits, envelopes

FOLDED = {
    *("Accepted", "Certificate", "Device", "Document", "GrantEntry", "GrantState", "IdentityState"),
    *("Known", "Row", "VaultHead", "Waiting"),
}
"""What is never written as JSON: states that are folded, and rows, which are binary."""

WRITTEN = [
    kind
    for kind in all_kinds()
    if kind.__name__ not in FOLDED and (kind.__name__ != "Version" or kind is Version)
]
FEW = settings(max_examples=5, deadline=None, suppress_health_check=list(HealthCheck))
SEED = bytes(range(32))


def refused(reader, *arguments):
    """Whether a reader refuses; anything but a refusal is a fault."""
    try:
        reader(*arguments)
    except (CoffreError, second.RefusedError):
        return True
    return False


def notation(info):
    """A type of the code in the notation of the pages."""
    match info:
        case kinds.StructType(cls=cls):
            return cls.__name__
        case kinds.UnionType(types=types):
            rest = [each for each in types if not isinstance(each, kinds.NoneType)]
            if len(rest) < len(types):
                return notation(rest[0]) + "?"
            members = {notation(each) for each in rest}
            return next(
                name
                for name, table in second.TABLES.items()
                if isinstance(table, tuple) and set(table) == members
            )
        case kinds.VarTupleType(item_type=item, min_length=least, max_length=most):
            bounds = "" if most is None else f" {least or 0}..{most}"
            return f"[{notation(item)}{bounds}]"
        case kinds.IntType(ge=least, le=most) if most < 2**53 - 1:
            return f"integer {least}..{most}"
        case kinds.IntType(ge=least, le=most):
            assert most == 2**53 - 1
            return {0: "integer", 1: "positive"}[least]
        case kinds.BytesType(min_length=least, max_length=most):
            named = {(None, None): "bytes", (1216, 1216): "sealing-key", (1136, 1 << 20): "sealed"}
            exact = f"bytes{least}" if least == most else f"bytes {least}..{most}"
            return named.get((least, most)) or exact
        case kinds.StrType(pattern=str()):
            return "date"
        case kinds.StrType(min_length=least, max_length=most):
            named = {(None, None): "string", (1, 256): "text", (None, 256): "label"}
            return named.get((least, most)) or f"text {least or 0}..{most}"
        case kinds.LiteralType(values=values):
            return " | ".join(f'"{value}"' for value in sorted(values))
        case kinds.BoolType():
            return "boolean"
    raise TypeError(info)


def literals_sorted(kind):
    """A type of a page with its literals in order."""
    if '"' not in kind:
        return kind
    inner, tail = (kind[1:-1], True) if kind.startswith("[") else (kind, False)
    parts = inner.split(" | ")
    last, _, bounds = parts[-1].partition('" ')
    parts[-1] = last.rstrip('"') + '"'
    joined = " | ".join(sorted(parts)) + (f" {bounds}" if bounds else "")
    return f"[{joined}]" if tail else joined


@pytest.mark.parametrize("kind", WRITTEN, ids=lambda kind: kind.__name__)
def test_the_page_says_what_the_code_does(kind):
    """Tag, form, names, order, types and bounds of every record are those of its table."""
    table, info = second.TABLES[kind.__name__], kinds.type_info(kind)
    assert (table.tag, table.is_array) == (info.tag, info.array_like)
    fields = [(field.encode_name, notation(field.type)) for field in info.fields]
    assert [(name, literals_sorted(type_)) for name, type_ in table.fields] == fields


def test_every_record_stands_on_a_page():
    """Every table is a type of the code, but for the example and the two unions."""
    names = {kind.__name__ for kind in WRITTEN}
    assert set(second.TABLES) - names == {"Example", "IdentityStep", "VaultOperation"}


@pytest.mark.parametrize("kind", WRITTEN, ids=lambda kind: kind.__name__)
@FEW
@given(data=st.data())
def test_either_reads_what_the_other_writes(kind, data):
    """A body of any kind is read by the other and written to the same bytes, and one edit is refused by both or none."""
    encoded = encoding.encode(data.draw(bodies(kind)))
    value = second.decode(kind.__name__, encoded)
    assert second.encode(kind.__name__, value) == encoded
    assert encoding.decode(second.encode(kind.__name__, value), kind) == encoding.decode(encoded, kind)
    edited = data.draw(edits(encoded))
    ours, theirs = refused(encoding.decode, edited, kind), refused(second.decode, kind.__name__, edited)
    assert ours == theirs


class Named(encoding.Body, frozen=True):
    """One text."""

    name: str


@given(st.text(max_size=30))
def test_both_allow_the_same_text(text):
    """Text is fit to be signed for both or for neither."""
    assert refused(encoding.encode, Named(name=text)) == (not second.may_be_signed(text))


@given(st.lists(st.binary(max_size=20), max_size=4), st.integers(0, 2**53 - 1))
def test_parts_are_joined_alike(parts, number):
    """PAE, integers inside it and part hashes are the same bytes."""
    assert second.pae("entry", *parts) == encoding.pae("coffre-1/entry", *parts)
    assert second.eight(number) == encoding.number(number)
    assert second.part_hash(b"".join(parts)) == part_hash(b"".join(parts))


@settings(max_examples=30, deadline=None)
@given(st.data())
def test_envelopes_are_verified_alike(data):
    """Envelopes of either are verified by the other, to the same digest; one edit is refused by both or by none."""
    envelope, keys = data.draw(envelopes())
    raws = [key.public.raw for key in keys]
    encoded = encoding.encode(envelope)
    read = second.decode("Envelope", encoded)
    assert second.digest(read) == envelope.digest

    def ours(text):
        signing.verify(encoding.decode(text, Envelope), envelope.type, signing.verify_keys(*raws))

    def theirs(text):
        other = second.decode("Envelope", text)
        _verified(other, envelope.type.removeprefix("coffre-1/"), raws)

    ours(encoded)
    theirs(encoded)
    edited = data.draw(edits(encoded))
    assert refused(ours, edited) == refused(theirs, edited)


def _verified(envelope, kind, raws):
    """Verify an envelope over any bytes: its body need not be a record."""
    try:
        second.open_envelope(envelope, kind, "Head", raws)
    except second.RefusedError as error:
        if str(error) not in {"not JSON", "Head", "not the canonical encoding"}:
            raise


def test_the_second_one_signs_for_the_first():
    """What the other signs is the same envelope as ours, byte for byte."""
    value = {"size": 5, "root": bytes(32)}
    made = second.sign("idhead", "Head", value, SEED)
    key = SigningKey(SecretBytes(SEED))
    ours = signing.sign_encoded("coffre-1/idhead", second.encode("Head", value), key)
    assert second.encode("Envelope", made) == encoding.encode(ours)
    assert second.open_envelope(made, "idhead", "Head", [key.public.raw]) == (value, {key.public.key_id})


@given(st.binary(max_size=600))
def test_records_are_padded_alike(record):
    """Padded forms are the same, and a changed byte of padding is refused by both."""
    padded = padding.pad_record(record)
    assert second.pad(record) == padded
    assert second.unpad(padded) == record
    if len(padded) > len(record) + 4:
        changed = padded[:-1] + b"\1"
        assert refused(second.unpad, changed)
        assert refused(padding.unpad_record, changed)


def test_padded_lengths_agree():
    """The lengths of documents are the same over a wide range."""
    lengths = [*range(3000), *(2**n + d for n in range(12, 34) for d in (-1, 0, 1))]
    assert [max(4096, second.padme(n)) for n in lengths] == [padding.padded_length(n) for n in lengths]
