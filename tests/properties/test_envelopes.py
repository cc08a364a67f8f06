"""Envelopes have one form: no byte of a signed one can be changed without its being refused."""

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crypto.encoding import decode, encode
from crypto.errors import BadSignature, CoffreError, Malformed
from crypto.signing import Envelope, SigningKey, VerifyKey, verify, verify_keys
from tests.strategies import edits, envelopes, flips, labels_in_use

KEY = SigningKey.generate()


@settings(deadline=None)
@given(envelopes())
def test_an_envelope_survives_the_journey(made):
    """Any envelope decodes to an equal one, verifies by just its keys, and encodes to the same bytes."""
    envelope, keys = made
    again = decode(encode(envelope), Envelope)
    assert again == envelope
    assert encode(again) == encode(envelope)
    known = verify_keys(*(key.public.raw for key in keys))
    assert verify(again, envelope.type, known) == set(known)
    for name in known:
        with pytest.raises(BadSignature):
            verify(again, envelope.type, {other: key for other, key in known.items() if other != name})


@settings(max_examples=200, deadline=None)
@given(st.data())
def test_one_edit_spoils_an_envelope(data):
    """With one byte changed, left out, doubled or put in, an envelope no longer parses or no longer verifies."""
    envelope, keys = data.draw(envelopes())
    encoded = encode(envelope)
    edited = data.draw(edits(encoded))
    if edited == encoded:
        return
    with pytest.raises(CoffreError):
        verify(decode(edited, Envelope), envelope.type, verify_keys(*(key.public.raw for key in keys)))


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=50), st.data())
def test_one_change_spoils_a_signature(message, data):
    """A changed byte of signature or message, and a signature of another length, are BadSignature."""
    signature = KEY.sign_bytes(message)
    KEY.public.check(message, signature)
    with pytest.raises(BadSignature):
        KEY.public.check(message, data.draw(flips(signature)))
    if message:
        with pytest.raises(BadSignature):
            KEY.public.check(data.draw(flips(message)), signature)
    with pytest.raises(BadSignature):
        KEY.public.check(message, data.draw(st.binary(max_size=70).filter(lambda other: other != signature)))


@settings(deadline=None)
@given(envelopes(), labels_in_use)
def test_a_type_is_part_of_what_is_signed(made, label):
    """Under another type an envelope does not verify, and its digest is another."""
    envelope, keys = made
    known = verify_keys(*(key.public.raw for key in keys))
    renamed = msgspec.structs.replace(envelope, type=label)
    if label == envelope.type:
        assert verify(renamed, label, known)
        return
    assert renamed.digest != envelope.digest
    with pytest.raises(BadSignature):
        verify(renamed, label, known)
    with pytest.raises(BadSignature):
        verify(envelope, label, known)


@given(st.binary(max_size=40))
def test_bytes_are_a_key_or_malformed(raw):
    """Any bytes either are a key, kept as they are, or are Malformed; nothing else is raised."""
    try:
        key = VerifyKey(raw)
    except Malformed:
        return
    assert key.raw == raw
    assert len(raw) == 32
