"""What canonical JSON refuses, one deviation at a time, each beside an honest twin."""

import pytest

from crypto.encoding import (
    MAX_BODY,
    Body,
    Bytes16,
    Natural,
    SecretBody,
    ShortText,
    acceptable,
    decode,
    decode_text,
    encode,
    number,
    pae,
)
from crypto.errors import Malformed, TooLarge
from crypto.signing import Envelope


class Item(Body, frozen=True, tag_field="op", tag="item"):
    """One of two kinds of item."""

    name: str


class Other(Body, frozen=True, tag_field="op", tag="other"):
    """The other."""

    name: str


class Sample(Body, frozen=True):
    """Something of each type."""

    text: ShortText
    number: Natural
    data: bytes
    maybe: Bytes16 | None
    flag: bool
    items: tuple[Item | Other, ...]


HONEST = '{"text":"abc","number":5,"data":"AAEC","maybe":null,"flag":true,"items":[{"op":"item","name":"n"}]}'

CHANGES = {
    "a key twice": ('"text":"abc",', '"text":"abc","text":"abc",'),
    "a key twice with two values": ('"text":"abc",', '"text":"abd","text":"abc",'),
    "keys in another order": ('"text":"abc","number":5,', '"number":5,"text":"abc",'),
    "a tag that is not first": ('{"op":"item","name":"n"}', '{"name":"n","op":"item"}'),
    "an unknown tag": ('"op":"item"', '"op":"more"'),
    "no tag": ('"op":"item",', ""),
    "a space after a colon": ('"number":5', '"number": 5'),
    "a space after a comma": ('5,"data"', '5, "data"'),
    "a newline inside": ('5,"data"', '5,\n"data"'),
    "1.0": ('"number":5', '"number":1.0'),
    "01": ('"number":5', '"number":01'),
    "+1": ('"number":5', '"number":+1'),
    "5e0": ('"number":5', '"number":5e0'),
    "minus zero": ('"number":5', '"number":-0'),
    "minus one": ('"number":5', '"number":-1'),
    "two to the 53": ('"number":5', f'"number":{2**53}'),
    "two to the 64": ('"number":5', f'"number":{2**64}'),
    "a thousand digits": ('"number":5', '"number":' + "9" * 1000),
    "NaN": ('"number":5', '"number":NaN'),
    "Infinity": ('"number":5', '"number":Infinity'),
    "a number as text": ('"number":5', '"number":"5"'),
    "true as a number": ('"number":5', '"number":true'),
    "1 as true": ('"flag":true', '"flag":1'),
    "true as text": ('"flag":true', '"flag":"true"'),
    "an escaped letter": ('"abc"', '"\\u0061bc"'),
    "an escaped slash": ('"abc"', '"a\\/c"'),
    "an escaped newline": ('"abc"', '"a\\nc"'),
    "an escape after an escaped backslash": ('"abc"', '"\\\\\\u0061"'),
    "an escaped surrogate pair": ('"abc"', '"\\ud83d\\ude00"'),
    "an escaped key": ('"text":', '"te\\u0078t":'),
    "NFD": ('"abc"', '"e\u0301"'),
    "NFD with the first mark there is": ('"abc"', '"e\u0300"'),
    "NFD beside a letter that is composed": ('"abc"', '"ée\u0301"'),
    "NFD in marks out of order": ('"abc"', '"a\u0301\u0323"'),
    "a singleton that NFC replaces": ('"abc"', '"\u2126"'),
    "right-to-left override": ('"abc"', '"a\u202ec"'),
    "an override beside a letter": ('"abc"', '"é\u202ec"'),
    "a bidirectional isolate": ('"abc"', '"a\u2066c"'),
    "a left-to-right mark": ('"abc"', '"a\u200ec"'),
    "an Arabic letter mark": ('"abc"', '"a\u061cc"'),
    "a zero-width space": ('"abc"', '"a\u200bc"'),
    "a byte order mark inside": ('"abc"', '"a\ufeffc"'),
    "a line separator": ('"abc"', '"a\u2028c"'),
    "a C1 control": ('"abc"', '"a\u0085c"'),
    "delete": ('"abc"', '"a\x7fc"'),
    "a raw control character": ('"abc"', '"a\x01c"'),
    "a raw newline": ('"abc"', '"a\nc"'),
    "a private code point": ('"abc"', '"\ue000"'),
    "a noncharacter": ('"abc"', '"\uffff"'),
    "a face of Unicode 15": ('"abc"', '"\U0001fae8"'),
    "a Kawi letter of Unicode 15": ('"abc"', '"\U00011f04"'),
    "a tag character": ('"abc"', '"\U000e0061"'),
    "empty text": ('"abc"', '""'),
    "text of 257 characters": ('"abc"', f'"{"a" * 257}"'),
    "too much base64 padding": ('"AAEC"', '"AAEC="'),
    "no base64 padding": ('"AAEC"', '"AAE"'),
    "stray bits in base64": ('"AAEC"', '"AAF="'),
    "URL-safe base64": ('"AAEC"', '"-_-_"'),
    "a newline in base64": ('"AAEC"', '"AA\nEC"'),
    "a space in base64": ('"AAEC"', '"AA EC"'),
    "bytes of another length": ('"maybe":null', '"maybe":"AAEC"'),
    "an unknown field": ('"flag":true', '"flag":true,"more":1'),
    "an unknown field within": ('"name":"n"', '"name":"n","more":1'),
    "a missing field": ('"maybe":null,', ""),
    "null for text": ('"abc"', "null"),
    "an object for a list": ('[{"op":"item","name":"n"}]', "{}"),
    "a comma at the end": ('"n"}]', '"n"},]'),
    "a comment": ('"flag"', '/**/"flag"'),
}
KEPT = {
    "Unicode 14": ('"abc"', '"\U0001fae0"'),
    "NFC": ('"abc"', '"é"'),
    "marks in order": ('"abc"', '"ạ́"'),
    "a joiner": ('"abc"', '"क्\u200dष"'),
    "Arabic": ('"abc"', '"سجل"'),
    "an escaped quotation mark": ('"abc"', '"a\\"c"'),
    "an escaped backslash": ('"abc"', '"a\\\\c"'),
    "an escaped backslash before a quotation mark": ('"abc"', '"\\\\\\""'),
    "a slash": ('"abc"', '"a/c"'),
    "two to the 53 less one": ('"number":5', f'"number":{2**53 - 1}'),
    "zero": ('"number":5', '"number":0'),
    "text of 256 characters": ('"abc"', f'"{"é" * 256}"'),
    "base64 with padding": ('"AAEC"', '"AAE="'),
    "no bytes": ('"AAEC"', '""'),
    "16 bytes": ('"maybe":null', '"maybe":"AAAAAAAAAAAAAAAAAAAAAA=="'),
    "the other tag": ('"op":"item"', '"op":"other"'),
}


def changed(change: tuple[str, str]) -> bytes:
    """The honest text with one change."""
    old, new = change
    assert HONEST.count(old) == 1
    return HONEST.replace(old, new).encode()


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES.keys())
def test_a_deviation_is_refused(change):
    """A body in any form but the one accepted is Malformed."""
    assert decode(HONEST.encode(), Sample).number == 5
    with pytest.raises(Malformed):
        decode(changed(change), Sample)


@pytest.mark.parametrize("change", KEPT.values(), ids=KEPT.keys())
def test_the_honest_twin_is_read(change):
    """What lies just inside the rules is read, and encodes to the same bytes."""
    assert encode(decode(changed(change), Sample)) == changed(change)


@pytest.mark.parametrize(
    "data",
    [
        HONEST.encode() + b"\n",
        HONEST.encode() + b" ",
        HONEST.encode() + b"\0",
        HONEST.encode() + b"{}",
        HONEST.encode() * 2,
        b"\n" + HONEST.encode(),
        b"\xef\xbb\xbf" + HONEST.encode(),
        HONEST.encode("utf-16"),
        HONEST.encode()[:-1],
        b"",
        b"null",
        b"[]",
        b"NaN",
    ],
    ids=lambda data: repr(data[:4] + data[-4:]),
)
def test_bytes_around_a_body_are_refused(data):
    """Anything before or after a body, a cut one, and no body at all are Malformed."""
    with pytest.raises(Malformed):
        decode(data, Sample)


@pytest.mark.parametrize("text", [b"\xed\xa0\x80", b"\xc0\xaf", b"\xff", b"\xf4\x90\x80\x80"])
def test_bytes_that_are_not_utf8_are_refused(text):
    """Lone surrogates, overlong forms and code points beyond Unicode are Malformed."""
    with pytest.raises(Malformed):
        decode(HONEST.encode().replace(b"abc", text), Sample)


@pytest.mark.parametrize("deep", [b"[" * 100_000, b'{"a":' * 100_000, b"[" * 500 + b"]" * 500])
def test_depth_is_refused(deep):
    """Deep nesting is Malformed, not a crash, alone and in the place of a field."""
    with pytest.raises(Malformed):
        decode(deep, Sample)
    with pytest.raises(Malformed):
        decode(HONEST.encode().replace(b'[{"op":"item","name":"n"}]', deep), Sample)


def test_size_is_checked_before_anything_else():
    """One byte above the limit is TooLarge even when it is not a body at all."""
    assert MAX_BODY == 1_048_576
    with pytest.raises(TooLarge):
        decode(b"x" * (MAX_BODY + 1), Sample)
    with pytest.raises(TooLarge):
        decode(HONEST.encode(), Sample, limit=len(HONEST) - 1)
    assert decode(HONEST.encode(), Sample, limit=len(HONEST))


@pytest.mark.parametrize("text", ["e\u0301", "a\u202ec", "\U0001fae8", "a\nb", "\x7f", "\x00", "\ue000"])
def test_what_may_not_be_signed_is_not_encoded(text):
    """A body that no one would read is not written either."""
    with pytest.raises(Malformed):
        encode(Item(name=text))


def test_text_is_made_acceptable():
    """What may not be signed is left out, and what comes together by that is composed."""
    assert acceptable("a\u202eb\0c") == "abc"
    assert acceptable("e\u200b\u0301") == "é"
    assert acceptable("e\u0301t") == "ét"


def test_a_lone_surrogate_is_not_encoded():
    """Half a character, as a file name may hold one, is Malformed."""
    with pytest.raises(Malformed):
        encode(Item(name="\ud800"))


def test_an_envelope_holds_one_to_sixteen_signatures():
    """An envelope without a signature, or with seventeen, does not parse."""
    one = f'{{"key":"{"A" * 43}=","signature":"{"A" * 86}=="}}'
    for count, fits in ((0, False), (1, True), (16, True), (17, False)):
        data = f'{{"type":"t","body":"","signatures":[{",".join([one] * count)}]}}'.encode()
        if fits:
            assert len(decode(data, Envelope).signatures) == count
        else:
            with pytest.raises(Malformed):
                decode(data, Envelope)


def test_one_part_is_joined_as_dsse_does():
    """With one part, the joining is DSSE's pre-authentication encoding; numbers are eight bytes."""
    assert pae("http://example.com/HelloWorld", b"hello world") == (
        b"DSSEv1 29 http://example.com/HelloWorld 11 hello world"
    )
    assert pae("a") == b"DSSEv1 1 a"
    assert pae("a", b"", b" 1 b") == b"DSSEv1 1 a 0  4  1 b"
    assert number(258) == bytes(6) + b"\1\2"


def test_a_secret_body_does_not_print():
    """The repr of a body with key material shows its name only, alone and inside another."""

    class Held(SecretBody, frozen=True):
        """Something secret."""

        key: bytes

    class Holder(Body, frozen=True):
        """What holds it."""

        held: Held

    assert repr(Held(key=b"confidential")) == "Held(…)"
    assert "confidential" not in repr(Holder(held=Held(key=b"confidential")))


def test_a_file_may_have_white_space_around_it():
    """It is read as the body alone; half a character, white space within and a text over the limit are refused."""
    item = Item(name="é")
    text = encode(item).decode()
    assert decode_text(f" \n{text}\r\n", Item) == item
    assert decode_text(f"  {text}  ", Item, limit=len(text.encode())) == item
    for wrong in (text.replace(":", ": "), text.replace("é", "\ud800"), "", " "):
        with pytest.raises(Malformed):
            decode_text(wrong, Item)
    with pytest.raises(TooLarge):
        decode_text(text, Item, limit=len(text.encode()) - 1)
