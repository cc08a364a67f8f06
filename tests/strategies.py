"""Every hypothesis strategy of the tests.

``bodies`` makes honest instances of any signed body or message from its type alone, so a new message is covered by
the general properties on the day it is written.
"""

import importlib
import pkgutil
from typing import Any

import msgspec
from hypothesis import strategies as st
from msgspec import inspect as kinds

import crypto
from crypto import labels
from crypto.encoding import Body, acceptable
from crypto.signing import Envelope, SigningKey, sign_encoded

permitted_text = st.text(max_size=40).map(acceptable)
"""Text that may be signed: NFC, assigned in Unicode 14, without control or bidirectional characters."""

labels_in_use = st.sampled_from(
    [labels.GRANT_EVENT, labels.VAULT_LINK, labels.IDENTITY_LINK, labels.ACCESS_REQUEST]
)


def flips(data: bytes) -> st.SearchStrategy[bytes]:
    """``data`` with one byte changed."""
    return st.tuples(st.integers(0, len(data) - 1), st.integers(1, 255)).map(
        lambda change: data[: change[0]] + bytes([data[change[0]] ^ change[1]]) + data[change[0] + 1 :]
    )


def edits(data: bytes) -> st.SearchStrategy[bytes]:
    """``data`` with one byte changed, left out, doubled, or put in."""
    places = st.integers(0, len(data) - 1)
    return st.one_of(
        flips(data),
        places.map(lambda at: data[:at] + data[at + 1 :]),
        places.map(lambda at: data[: at + 1] + data[at:]),
        st.tuples(places, st.binary(min_size=1, max_size=3)).map(
            lambda change: data[: change[0]] + change[1] + data[change[0] :]
        ),
    )


def bodies(kind: type[Body]) -> st.SearchStrategy[Any]:
    """Instances of ``kind`` that fit its type."""
    return _of(kinds.type_info(kind))


def all_kinds() -> list[type[Body]]:
    """Every body and message of ``crypto``, in order of name, but for the bases of unions."""
    return [kind for kind in with_bases() if msgspec.structs.fields(kind) or not kind.__subclasses__()]


def with_bases() -> list[type[Body]]:
    """Every body and message of ``crypto``, and what they have in common, in order of name."""
    for module in pkgutil.walk_packages(crypto.__path__, "crypto."):
        importlib.import_module(module.name)
    found, open_ = set(), [Body]
    while open_:
        kind = open_.pop()
        open_ += kind.__subclasses__()
        if kind.__module__.startswith("crypto."):
            found.add(kind)
    return sorted(found, key=lambda kind: (kind.__module__, kind.__name__))


@st.composite
def envelopes(draw: st.DrawFn) -> tuple[Envelope, list[SigningKey]]:
    """An envelope over any body bytes, and the one to three keys that signed it."""
    keys = [SigningKey.generate() for _ in range(draw(st.integers(1, 3)))]
    return sign_encoded(draw(labels_in_use), draw(st.binary(max_size=200)), *keys), keys


def _of(info: kinds.Type) -> st.SearchStrategy[Any]:
    match info:
        case kinds.StructType(cls=cls, fields=fields):
            return st.builds(cls, **{field.name: _of(field.type) for field in fields})
        case kinds.UnionType(types=types):
            return st.one_of(*map(_of, types))
        case kinds.VarTupleType(item_type=item, min_length=least, max_length=most):
            low, high = _span(least, most, 2)
            return st.lists(_of(item), min_size=low, max_size=high).map(tuple)
        case kinds.IntType(ge=least, le=most):
            return st.integers(least, most)
        case kinds.BytesType(min_length=least, max_length=most):
            return _bytes(*_span(least, most, 40))
        case kinds.StrType(pattern=str()):
            return st.sampled_from(["", "2026-03-14", "0000-99-99"])
        case kinds.StrType(min_length=least, max_length=most):
            low, high = _span(least, most, 20)
            return permitted_text.map(lambda text: text[:high].ljust(low, "x"))
        case kinds.LiteralType(values=values):
            return st.sampled_from(values)
        case kinds.BoolType():
            return st.booleans()
        case kinds.NoneType():
            return st.none()
        case _:
            raise TypeError(f"no strategy for {info}")


def _span(least: int | None, most: int | None, usual: int) -> tuple[int, int]:
    low = least or 0
    return low, min(most if most is not None else low + usual, low + usual)


def _bytes(low: int, high: int) -> st.SearchStrategy[bytes]:
    # Long keys and boxes are a short random part repeated: entropy costs time and finds nothing more.
    return st.tuples(st.binary(min_size=1, max_size=16), st.integers(low, high)).map(
        lambda made: (made[0] * (made[1] // len(made[0]) + 1))[: made[1]]
    )
