"""What is done with vectors of keyrings, kits' files and persons."""

from collections.abc import Callable
from typing import Any

from crypto.sealed.keyring import (
    IdentityKeyring,
    VaultKeyring,
    check_identity_keyring,
    check_vault_keyring,
    open_keyring,
)
from crypto.sealed.recovery import read_kit_file
from crypto.vault_links import Person, Rotate, check_person
from tests.vectors.reading import Values, body, opener, plain, raw


def keyring(i: Values) -> Values:
    """Open a sealed keyring with an unlock key."""
    kind = VaultKeyring if i["label"].endswith("vault-keyring") else IdentityKeyring
    opened: Any = open_keyring(i["label"], kind, i["keyring"].encode(), opener(i["seed"]))
    return {"value": plain(opened)}


def keyring_renewal(i: Values) -> Values:
    """Take over a keyring that replaces another."""
    if "keys" in i:
        before, after = body(i["before"], VaultKeyring), body(i["after"], VaultKeyring)
        keys = body(i["keys"], Rotate)
        check_vault_keyring(before, after, keys, vault=raw(i["vault"]), link=raw(i["link"]))
    else:
        public = {int(number): raw(key) for number, key in i["reading_keys"].items()}
        check_identity_keyring(body(i["before"], IdentityKeyring), body(i["after"], IdentityKeyring), public)
    return {}


def kit_file(i: Values) -> Values:
    """Read a kit's file."""
    file = read_kit_file(i["text"])
    return {"value": plain(file), "root": file.kit.root.public.raw.hex()}


def person(i: Values) -> Values:
    """Check who a record is said to be about."""
    named = body(i["person"], Person)
    check_person(named, raw(i["commitment"]))
    return {"name": named.name}


RUNS: dict[str, Callable[[Values], Values]] = {
    "keyring": keyring,
    "keyring-renewal": keyring_renewal,
    "kit-file": kit_file,
    "person": person,
}
