"""Vectors of sealing.md, kit.md and cards.md."""

from collections.abc import Iterator

import msgspec

from crypto import labels, sealing
from crypto.encoding import pae
from crypto.sealed.recovery import Kit
from crypto.secret_bytes import SecretBytes
from crypto.trust_root import InstanceCard
from crypto.wire.cards import IdentityCard
from tests.vectors.case import Case
from tests.vectors.fixed import (
    HOST,
    Identity,
    fixed,
    flipped,
    hexed,
    text_of,
    unsealing,
    view,
)


def boxes() -> Iterator[Case]:
    """sealing.md, kit.md, cards.md."""
    yield Case("sealing-key/seed", "a public key from its seed", {"seed": unsealing("a").seed.reveal().hex()})
    key, info = unsealing("a"), pae(labels.PURPOSE, b"x")
    made = sealing.seal(key.public, info, b"plaintext")
    seed = key.seed.reveal()

    def case(name: str, what: str, outcome: str = "ok", **values: bytes) -> Case:
        inputs = {"seed": seed, "info": info, "box": made} | values
        return Case(f"box/{name}", what, hexed(**inputs), outcome, once=True)

    yield case("opens", "a box and what is in it")
    yield case("other-info", "another binding", "cannot-open", info=info + b"y")
    yield case("other-key", "another key", "cannot-open", seed=fixed("sealing b"))
    yield case("changed-tag", "a bit of the tag changed", "cannot-open", box=flipped(made))
    yield case("changed-kem", "a bit of the ML-KEM part changed", "cannot-open", box=flipped(made, 3))
    yield case("changed-curve", "a bit of the X25519 part changed", "cannot-open", box=flipped(made, 1100))
    zero = made[:1088] + bytes(32) + made[1120:]
    yield case("zero-point", "the zero point as X25519 part", "cannot-open", box=zero)
    yield case("too-short", "less than a box", "cannot-open", box=made[:1135])

    text = Kit(SecretBytes(fixed("kit"))).to_text()
    yield Case("kit/printed", "a kit as printed", {"text": text})
    yield Case("kit/typed", "a kit as typed", {"text": " " + text.lower().replace("-", " ") + "\n"})
    wrong = ("B" if text[0] == "A" else "A") + text[1:]
    yield Case("kit/mistyped", "a letter wrong", {"text": wrong}, "malformed")
    yield Case("kit/short", "a group missing", {"text": text[:-5]}, "malformed")

    ref = view().trust_root
    instance = InstanceCard(suite=labels.SUITE, url=f"https://{HOST}", root=ref)
    yield Case("card/instance", "an instance card", {"text": text_of(instance) + "\n"})
    identity = IdentityCard(suite=labels.SUITE, url=f"https://{HOST}", chain=Identity("patient").chain)
    yield Case("card/identity", "an identity card and its fingerprint", {"text": text_of(identity)})
    other_suite = msgspec.structs.replace(identity, suite="coffre-2")
    inputs = {"text": text_of(other_suite)}
    yield Case("card/other-suite", "a card of another suite", inputs, "malformed")
