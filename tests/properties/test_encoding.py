"""Canonical JSON and the joining of parts, for any input."""

import json
from typing import get_type_hints

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from crypto.encoding import Body, Natural, Suite, acceptable, decode, encode, pae
from crypto.errors import Malformed
from crypto.identity_chain import Known
from crypto.identity_state import IdentityState, Waiting
from crypto.unicode14 import is_permitted
from tests.strategies import all_kinds, bodies, edits, permitted_text

# What is folded is never sent or signed: its maps have byte strings as keys.
SENT = [kind for kind in all_kinds() if kind not in {IdentityState, Known, Waiting}]
QUICK = settings(max_examples=5, deadline=None, suppress_health_check=list(HealthCheck))


class Sample(Body, frozen=True):
    """One field of each type that bodies are made of."""

    text: str
    data: bytes
    number: int
    items: tuple[str, ...]
    maybe: bool | None


class Numbered(Body, frozen=True):
    """One integer."""

    number: Natural


def parts_of(joined: bytes) -> list[bytes]:
    """Take a pre-authentication encoding apart again."""
    assert joined.startswith(b"DSSEv1")
    rest, parts = joined[6:], []
    while rest:
        length, _, rest = rest[1:].partition(b" ")
        parts.append(rest[: int(length)])
        rest = rest[int(length) :]
    return parts


@pytest.mark.parametrize("kind", SENT, ids=lambda kind: f"{kind.__module__}.{kind.__name__}")
@QUICK
@given(data=st.data())
def test_every_message_survives_the_journey(kind, data):
    """Any honest body of any kind decodes from its encoding to an equal one that encodes to the same bytes."""
    body = data.draw(bodies(kind))
    encoded = encode(body)
    again = decode(encoded, kind, limit=1 << 26)
    assert again == body
    assert encode(again) == encoded


@settings(max_examples=300, deadline=None)
@given(data=st.data())
def test_what_parses_encodes_to_the_same_bytes(data):
    """An encoding with one edit is refused, or is itself the encoding of what it parses to."""
    body = Sample(
        text=data.draw(permitted_text),
        data=data.draw(st.binary(max_size=20)),
        number=data.draw(st.integers(0, 2**53 - 1)),
        items=tuple(data.draw(st.lists(permitted_text, max_size=3))),
        maybe=data.draw(st.sampled_from([True, False, None])),
    )
    edited = data.draw(edits(encode(body)))
    try:
        parsed = decode(edited, Sample)
    except Malformed:
        return
    assert encode(parsed) == edited
    assert parsed != body or edited == encode(body)


@given(
    st.recursive(st.none() | st.booleans() | st.integers() | st.floats() | st.text(), st.lists, max_leaves=5)
)
def test_other_json_is_refused(value):
    """JSON of another shape than the type's is Malformed, never another error."""
    with pytest.raises(Malformed):
        decode(json.dumps(value, ensure_ascii=False).encode("utf-8", "surrogatepass"), Sample)


@given(st.binary(max_size=100))
def test_other_bytes_are_refused(data):
    """Bytes that are no JSON are Malformed, never another error."""
    with pytest.raises(Malformed):
        decode(data, Sample)


@given(st.text(max_size=40))
def test_acceptable_text_can_be_signed(text):
    """What ``acceptable`` leaves is stable, holds permitted characters only, and goes into a body unchanged."""
    cleaned = acceptable(text)
    assert acceptable(cleaned) == cleaned
    assert all(map(is_permitted, cleaned))
    body = Sample(text=cleaned, data=b"", number=0, items=(), maybe=None)
    assert decode(encode(body), Sample).text == cleaned


@given(st.text(min_size=1, max_size=10), st.sampled_from(["text", "items"]))
def test_text_is_signed_as_it_is_or_not_at_all(text, where):
    """``encode`` writes text that reads back as the same text, or refuses it."""
    values = {"text": "", "data": b"", "number": 0, "items": (), "maybe": None}
    values[where] = text if where == "text" else (text,)
    body = Sample(**values)
    try:
        encoded = encode(body)
    except Malformed:
        assert acceptable(text) != text
        return
    assert decode(encoded, Sample) == body
    assert acceptable(text) == text


@given(
    st.text("abc-/", max_size=10),
    st.lists(st.binary(max_size=20) | st.sampled_from([b" 1 a", b"", b" "]), max_size=5),
)
def test_joined_parts_come_apart_again(label, parts):
    """The pre-authentication encoding of any label and parts can be taken apart into just these."""
    assert parts_of(pae(label, *parts)) == [label.encode(), *parts]


@settings(deadline=None)
@given(st.integers(-(2**70), 2**70))
def test_only_naturals_below_two_to_the_53(value):
    """An integer is read from 0 to 2^53-1 and nowhere else, however it is written."""
    text = b'{"number":%d}' % value
    if 0 <= value < 2**53:
        assert decode(text, Numbered).number == value
    else:
        with pytest.raises(Malformed):
            decode(text, Numbered)


SUITED = [kind for kind in all_kinds() if get_type_hints(kind).get("suite") == Suite]


@pytest.mark.parametrize("kind", SUITED, ids=lambda kind: kind.__name__)
@QUICK
@given(data=st.data())
def test_another_suite_is_refused(kind, data):
    """Whatever names its suite is Malformed when it names another one."""
    encoded = encode(data.draw(bodies(kind)))
    assert encoded.startswith(b'{"suite":"coffre-1"')
    with pytest.raises(Malformed):
        decode(encoded.replace(b"coffre-1", b"coffre-2", 1), kind)


def test_what_names_its_suite():
    """Links, founding statements, grants, requests, deposits, trust roots, keyrings, cards, kits, exports and evidence name their suite."""
    assert {kind.__name__ for kind in SUITED} == {
        *(
            "AccessRequest",
            "Erasure",
            "Evidence",
            "ExportManifest",
            "Genesis",
            "GrantEvent",
            "IdentityCard",
            "IdentityLink",
            "KeeperEvidence",
        ),
        "InstanceCard",
        *("Deposit", "DepositCard", "KitFile", "SealedKeyring", "TrustRoot", "VaultLink"),
    }


def test_all_kinds_are_found():
    """The list of kinds holds bodies, messages and secret bodies of every part of the package."""
    modules = {kind.__module__ for kind in SENT}
    assert {"crypto.grants", "crypto.wire.messages", "crypto.sealed.keyring", "crypto.vault_links"} <= modules
    assert len(SENT) > 80
    assert all(issubclass(kind, msgspec.Struct) for kind in SENT)
