"""Vectors of encoding.md, padding.md and envelope.md."""

from collections.abc import Iterator

import msgspec

from crypto import labels
from crypto.descriptors import (
    Descriptor,
)
from crypto.encoding import number
from crypto.padding import pad_record
from crypto.signing import Envelope, sign
from tests.vectors.case import Case
from tests.vectors.fixed import (
    HEAD,
    flipped,
    signing,
    text_of,
)


def encodings() -> Iterator[Case]:
    """encoding.md and padding.md."""
    head = '{"size":5,"root":"' + "A" * 43 + '="}'
    made = Descriptor(
        title='Compte rendu "à garder" \\ أشعة',
        category="",
        author="",
        mime="",
        date="2026-03-02",
        length=2**53 - 1,
    )
    good = text_of(made)
    yield Case("canonical-json/head", "a body of an integer and bytes", {"kind": "Head", "text": head})
    yield Case(
        "canonical-json/text",
        "quotes, a backslash, accents, Arabic, the largest integer",
        {"kind": "Descriptor", "text": good},
    )
    texts = {
        "space": ("a space", head.replace(",", ", ")),
        "newline-at-end": ("a newline at the end", head + "\n"),
        "field-twice": ("a field twice", head.replace('{"size":5', '{"size":5,"size":5')),
        "other-order": ("fields in another order", '{"root":"' + "A" * 43 + '=","size":5}'),
        "unknown-field": ("an unknown field", head.replace("}", ',"more":1}')),
        "missing-field": ("a missing field", '{"size":5}'),
        "null": ("null where it is not allowed", head.replace("5", "null")),
        "leading-zero": ("an integer with a leading zero", head.replace("5", "05")),
        "fraction": ("an integer written as a fraction", head.replace("5", "5.0")),
        "exponent": ("an integer with an exponent", head.replace("5", "5e0")),
        "negative": ("a negative integer", head.replace("5", "-5")),
        "minus-zero": ("minus zero", head.replace("5", "-0")),
        "two-to-the-53": ("an integer above 2^53 - 1", head.replace("5", "9007199254740992")),
        "base64-without-padding": ("base64 without padding", head.replace("=", "")),
        "base64-loose-bits": ("base64 with unused bits set", head.replace("A=", "B=")),
        "base64-url": ("the other alphabet of base64", head.replace("AAAA", "__--", 1)),
        "short-bytes": ("bytes of another length", head.replace("A" * 43 + "=", "AAAA")),
        "other-type": ("a string for an integer", head.replace("5", '"5"')),
        "array": ("an array for a record", "[5]"),
    }
    for name, (what, text) in texts.items():
        inputs = {"kind": "Head", "text": text}
        yield Case(f"canonical-json/{name}", what, inputs, "malformed")
    letters = {
        "escaped-letter": ("a letter written as an escape", "Bilan".replace("B", "\\u0042")),
        "escaped-slash": ("an escaped slash", "a\\/b"),
        "control-character": ("an escaped control character", "a\\u0001b"),
        "escaped-newline": ("an escaped newline", "a\\nb"),
        "delete": ("U+007F", "a\x7fb"),
        "decomposed": ("text that is not in NFC", "e\u0301"),
        "bidirectional": ("a bidirectional control", "a\u202eb"),
        "unassigned": ("a code point that Unicode 14 does not assign", "a\u0378b"),
        "private-use": ("a code point of private use", "a\ue000b"),
        "line-separator": ("U+2028", "a\u2028b"),
        "byte-order-mark": ("U+FEFF", "a\ufeffb"),
        "empty": ("text that may not be empty", ""),
        "too-long": ("257 code points where 256 are allowed", "x" * 257),
    }
    simple = text_of(msgspec.structs.replace(made, title="T"))
    for name, (what, title) in letters.items():
        inputs = {"kind": "Descriptor", "text": simple.replace('"T"', f'"{title}"')}
        yield Case(f"canonical-json/text-{name}", what, inputs, "malformed")
    broken = {
        "not-utf8": b"\xff",
        "surrogate": b"\xed\xa0\x80",
        "overlong": b"\xc0\xaf",
    }
    for name, data in broken.items():
        inputs = {"kind": "Descriptor", "hex": simple.encode().replace(b'"T"', b'"' + data + b'"').hex()}
        yield Case(f"canonical-json/text-{name}", "bytes that are not UTF-8", inputs, "malformed")
    yield Case("pae/no-parts", "a label alone", {"label": labels.KIT_ROOT, "parts": []})
    parts = [b"", b" 1 a", "é".encode(), number(7)]
    inputs = {"label": labels.ENTRY, "parts": [part.hex() for part in parts]}
    yield Case("pae/parts", "an empty part, one that looks like a field, text, an integer", inputs)
    yield Case("pad/short", "a record below the floor", {"record": b"{}".hex()})
    yield Case("pad/long", "a record above it", {"record": bytes(range(253)).hex()})
    padded = pad_record(b"{}")
    refused = {
        "another-filler": ("a byte of padding that is not zero", flipped(padded)),
        "too-short": ("less padding than there must be", padded[:-1]),
        "too-long": ("more padding than there must be", padded + b"\0"),
        "beyond-the-end": ("a length beyond the end", b"\xff" + padded[1:]),
        "no-length": ("nothing", b""),
    }
    for name, (what, data) in refused.items():
        yield Case(f"unpad/{name}", what, {"padded": data.hex()}, "cannot-open")
    yield Case("unpad/short", "a padded record", {"padded": padded.hex()})
    lengths = [0, 1, 4095, 4096, 4097, 65536, 65537, 300_000, 2**30 + 1, 2**40 - 1]
    yield Case("padded-length/documents", "lengths of padded documents", {"lengths": lengths})


def envelopes() -> Iterator[Case]:
    """envelope.md."""
    one, two = signing("one"), signing("two")
    keys = [one.public.raw.hex(), two.public.raw.hex()]
    body = text_of(HEAD)
    seeds = [one.seed.reveal().hex(), two.seed.reveal().hex()]
    yield Case("sign/one", "one signature", {"type": labels.IDHEAD, "body": body, "seeds": seeds[:1]})
    yield Case("sign/two", "two signatures", {"type": labels.IDHEAD, "body": body, "seeds": seeds})
    good = sign(labels.IDHEAD, HEAD, one, two)

    def case(name: str, what: str, outcome: str, made: Envelope, *, keys: list[str] = keys) -> Case:
        inputs = {"envelope": text_of(made), "type": labels.IDHEAD, "keys": keys}
        return Case(f"envelope/{name}", what, inputs, outcome)

    replace = msgspec.structs.replace
    first, second = good.signatures
    wrong = replace(second, signature=flipped(second.signature))
    high = int.from_bytes(second.signature[32:], "little") + 2**252 + 27742317777372353535851937790883648493
    loose = replace(second, signature=second.signature[:32] + high.to_bytes(32, "little"))
    yield case("two", "two signatures", "ok", good)
    yield case("other-body", "a byte of the body changed", "bad-signature", replace(good, body=b"{}"))
    other_type = replace(good, type=labels.LOGIN)
    yield case("other-type", "another type than the one expected", "bad-signature", other_type)
    yield case(
        "one-fails",
        "a failing signature beside a good one",
        "bad-signature",
        replace(good, signatures=(first, wrong)),
    )
    yield case(
        "high-s",
        "a signature whose S is not reduced",
        "bad-signature",
        replace(good, signatures=(first, loose)),
    )
    yield case("unknown-key", "a signature by an unknown key", "bad-signature", good, keys=keys[:1])
    yield case("twice", "the same signature twice", "bad-signature", replace(good, signatures=(first, first)))
    yield case("no-signature", "no signature", "malformed", replace(good, signatures=()))
    yield case(
        "low-order-key", "a public key of small order", "malformed", good, keys=[*keys, bytes(32).hex()]
    )
    yield case(
        "identity-key", "the neutral element as a key", "malformed", good, keys=[(b"\1" + bytes(31)).hex()]
    )
