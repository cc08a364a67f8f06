"""Vectors of keyring.md, of kit.md's file, and of the person in vault-chain.md."""

from collections.abc import Iterator
from typing import Any

import msgspec

from crypto import labels
from crypto.encoding import Body, decode
from crypto.sealed.keyring import (
    CategorySeed,
    EpochKeys,
    IdentityKeyring,
    ReadingSeed,
    SealedKeyring,
    VaultKeyring,
    seal_keyring,
)
from crypto.sealed.recovery import Kit, KitFile
from crypto.secret_bytes import SecretBytes
from crypto.vault_links import Person, Rotate, person_commitment, scan_key_commitment
from tests.vectors.case import Case
from tests.vectors.fixed import HEAD, HOST, LOG, VAULT, fixed, text_of, unsealing, view

replace = msgspec.structs.replace
PERSON = Person(salt=fixed("person salt"), name="Camille Exemple")
LINK = fixed("link")


def epoch(number: int) -> EpochKeys:
    """The secrets of an epoch with one category."""
    return EpochKeys(
        epoch=number,
        secret=fixed(f"epoch {number}"),
        scan_key=fixed(f"scan key {number}"),
        log_key=unsealing(f"log {number}").seed.reveal(),
        deposit_key=unsealing(f"deposit {number}").seed.reveal(),
        category_keys=(CategorySeed(category="lab", seed=unsealing(f"category {number}").seed.reveal()),),
    )


def keyring(*epochs: EpochKeys, **changes: Any) -> VaultKeyring:
    """A vault's keyring."""
    made = VaultKeyring(vault=VAULT, epochs=epochs, person=PERSON, origin=LOG, head=HEAD, link=LINK)
    return replace(made, **changes)


def reading(*numbers: int) -> IdentityKeyring:
    """An identity's keyring."""
    seeds = (unsealing(f"reading {number}").seed.reveal() for number in numbers)
    return IdentityKeyring(
        reading_keys=tuple(
            ReadingSeed(number=number, seed=seed) for number, seed in zip(numbers, seeds, strict=True)
        )
    )


def keyrings() -> Iterator[Case]:
    """keyring.md, kit.md, vault-chain.md."""
    yield from _sealed()
    yield from _renewed()
    yield from _kit_files()
    yield from _persons()


def _sealed() -> Iterator[Case]:
    kit = Kit(SecretBytes(fixed("kit")))
    vaults, identities = labels.VAULT_KEYRING, labels.IDENTITY_KEYRING
    unlock_keys = [kit.unlock.public, unsealing("a").public]

    def case(
        name: str,
        what: str,
        label: str,
        made: VaultKeyring | IdentityKeyring | SealedKeyring,
        outcome: str = "ok",
    ) -> Case:
        text = text_of(made) if isinstance(made, SealedKeyring) else _seal(label, made).decode()
        inputs = {"label": label, "keyring": text, "seed": kit.unlock.seed.reveal().hex()}
        return Case(f"keyring/{name}", what, inputs, outcome, once=True)

    def _seal(label: str, made: VaultKeyring | IdentityKeyring) -> bytes:
        return seal_keyring(label, made, unlock_keys)

    for name, label, made in (
        ("vault-keyring", vaults, keyring(epoch(0), epoch(1))),
        ("identity-keyring", identities, reading(0, 2)),
    ):
        opens = case(name, "opened with the kit's unlock key", label, made)
        yield opens
        other = opens.inputs | {"seed": fixed("sealing b").hex()}
        yield Case(f"keyring/{name}-no-box", "no box for this key", other, "cannot-open", once=True)
    swapped = opens.inputs | {"label": vaults}
    yield Case("keyring/other-label", "a keyring of the other kind", swapped, "cannot-open", once=True)
    whole = decode(_seal(vaults, keyring(epoch(0))), SealedKeyring)
    refused: dict[str, tuple[str, str, VaultKeyring | IdentityKeyring | SealedKeyring]] = {
        "boxes-swapped": ("boxes not in order", vaults, replace(whole, boxes=whole.boxes[::-1])),
        "box-twice": ("a box twice", vaults, replace(whole, boxes=(whole.boxes[0], *whole.boxes))),
        "epoch-missing": ("an epoch left out", vaults, keyring(epoch(0), epoch(2))),
        "epochs-swapped": ("epochs not in order", vaults, keyring(epoch(1), epoch(0))),
        "category-twice": (
            "a category twice",
            vaults,
            keyring(replace(epoch(0), category_keys=epoch(0).category_keys * 2)),
        ),
        "number-twice": ("a reading key twice", identities, reading(0, 0)),
        "numbers-swapped": ("reading keys not in order", identities, reading(1, 0)),
    }
    for name, (what, label, ring) in refused.items():
        yield case(name, what, label, ring, "cannot-open")


def _renewed() -> Iterator[Case]:
    keys = epoch(1)
    rotate = Rotate(
        epoch=1,
        keyring=fixed("vault keyring 1"),
        scan_key=scan_key_commitment(keys.scan_key),
        log_key=unsealing("log 1").public,
        deposit_key=unsealing("deposit 1").public,
        category_keys=(unsealing("category 1").public,),
    )
    before = keyring(epoch(0), vault=None, link=None)
    base = {"before": text_of(before), "keys": text_of(rotate), "vault": VAULT.hex(), "link": LINK.hex()}

    def case(name: str, what: str, after: Body, outcome: str = "not-permitted") -> Case:
        return Case(f"keyring-renewal/{name}", what, base | {"after": text_of(after)}, outcome)

    after = keyring(epoch(0), keys)
    yield case("rotated", "a next epoch", after, "ok")
    yield case("dropped", "an epoch changed", keyring(replace(epoch(0), secret=fixed("x")), keys))
    yield case("without-the-new", "the new epoch not there", keyring(epoch(0)))
    yield case("other-scan-key", "another scan key", keyring(epoch(0), replace(keys, scan_key=fixed("x"))))
    yield case("other-log-key", "another log key", keyring(epoch(0), replace(keys, log_key=fixed("x"))))
    yield case(
        "no-category", "a category's key not there", keyring(epoch(0), replace(keys, category_keys=()))
    )
    yield case("other-vault", "of another vault", replace(after, vault=fixed("x")))
    yield case("other-person", "nobody named any more", replace(after, person=None))
    yield case("other-link", "made after another link", replace(after, link=fixed("x")))

    public = {str(number): unsealing(f"reading {number}").public.hex() for number in range(2)}
    own = {"before": text_of(reading(0)), "reading_keys": public}
    for name, what, ring, outcome in (
        ("reading-key", "a next reading key", reading(0, 1), "ok"),
        ("reading-key-dropped", "the first one not there", reading(1), "not-permitted"),
        ("reading-key-missing", "the newest not there", reading(0), "not-permitted"),
    ):
        yield Case(f"keyring-renewal/{name}", what, own | {"after": text_of(ring)}, outcome)


def _kit_files() -> Iterator[Case]:
    text = Kit(SecretBytes(fixed("kit"))).to_text()
    file = KitFile(
        suite=labels.SUITE,
        url=f"https://{HOST}",
        root=view().trust_root,
        identity=fixed("identity"),
        vault=VAULT,
        text=text,
    )
    wrong = ("B" if text[0] == "A" else "A") + text[1:]
    yield Case("kit-file/whole", "a kit's file", {"text": text_of(file) + "\n"})
    yield Case("kit-file/no-vault", "before a vault is founded", {"text": text_of(replace(file, vault=None))})
    for name, what, changes in (
        ("mistyped", "a letter of the kit wrong", {"text": wrong}),
        ("small-letters", "the kit in small letters", {"text": text.lower()}),
        ("other-suite", "another suite", {"suite": "coffre-2"}),
    ):
        yield Case(f"kit-file/{name}", what, {"text": text_of(replace(file, **changes))}, "malformed")


def _persons() -> Iterator[Case]:
    commitment = person_commitment(PERSON.salt, PERSON.name).hex()

    def case(name: str, what: str, person: Person, outcome: str = "ok") -> Case:
        return Case(f"person/{name}", what, {"person": text_of(person), "commitment": commitment}, outcome)

    yield case("named", "the name that was committed to", PERSON)
    yield case("other-name", "another name", replace(PERSON, name="Camille Example"), "not-permitted")
    yield case("other-salt", "another salt", replace(PERSON, salt=fixed("x")), "not-permitted")
