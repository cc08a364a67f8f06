"""The next version of the trust root: what the operator wants changed, and the body that this makes."""

from dataclasses import dataclass

import msgspec

from crypto.durations import DAY
from crypto.errors import NotPermitted
from crypto.trust_root import Accepted, Keeper, Registrar, TrustRoot, policy_of
from crypto.wire.keeper_api import KeeperCard
from vault_server.http_client import check_url
from vault_server.keeper_cards import as_keeper
from vault_server.version import VERSION

TWO_YEARS = 2 * 365
RETIRED_FOR = 400
LEAST_RETIRED_FOR = 366


@dataclass(frozen=True)
class Changes:
    """What is to be otherwise in the next version. Its expiry always is: ``days`` from now.

    ``keepers``: the cards of new ones, and of known ones that moved. Registrars and root keys are named by their public keys.
    """

    days: int = TWO_YEARS
    keepers: tuple[KeeperCard, ...] = ()
    retired_keepers: tuple[str, ...] = ()
    retired_days: int = RETIRED_FOR
    independent: tuple[str, ...] = ()
    dependent: tuple[str, ...] = ()
    registrars: tuple[tuple[bytes, tuple[str, ...]], ...] = ()
    retired_registrars: tuple[bytes, ...] = ()
    minimum_client: str | None = None
    root_keys: tuple[bytes, ...] = ()
    dropped_root_keys: tuple[bytes, ...] = ()
    threshold: int | None = None


def following(known: Accepted, changes: Changes, now: int) -> TrustRoot:
    """The body of the version after ``known``. Raises NotPermitted for what cannot be changed so."""
    root = known.root
    keepers = _keepers(root, changes, now)
    policy = policy_of(sum(keeper.retired_until is None for keeper in keepers))
    return msgspec.structs.replace(
        root,
        version=known.ref.version + 1,
        previous=known.ref.digest,
        keepers=keepers,
        # What was granted under an earlier policy is believed by it.
        policies=root.policies if policy in root.policies else (*root.policies, policy),
        registrars=_registrars(root, changes, now),
        minimum_client=_minimum_client(root, changes),
        expiry=now + changes.days * DAY,
        root_keys=_root_keys(root, changes),
        threshold=changes.threshold or root.threshold,
    )


def _keepers(root: TrustRoot, changes: Changes, now: int) -> tuple[Keeper, ...]:
    listed = list(root.keepers)
    for card in changes.keepers:
        check_url(card.url)
        keys = (card.cosigning_key, card.sealing_key)
        place = next(
            (n for n, each in enumerate(listed) if (each.cosigning_key, each.sealing_key) == keys), None
        )
        if place is None:
            listed.append(as_keeper(card))
        else:
            _check_live(listed[place])
            listed[place] = msgspec.structs.replace(
                listed[place], name=card.name, url=card.url, operator=card.operator
            )
    if changes.retired_keepers and changes.retired_days < LEAST_RETIRED_FOR:
        raise NotPermitted(
            f"A keeper that retires answers for at least {LEAST_RETIRED_FOR} days more. Nothing was signed."
        )
    until = now + changes.retired_days * DAY
    for names, change in (
        (changes.independent, {"independent": True}),
        (changes.dependent, {"independent": False}),
        (changes.retired_keepers, {"retired_until": until}),
    ):
        for name in names:
            place = _live(listed, name)
            listed[place] = msgspec.structs.replace(listed[place], **change)
    live = [keeper for keeper in listed if keeper.retired_until is None]
    for what, those in (
        ("name", [keeper.name for keeper in live]),
        ("address", [keeper.url for keeper in live]),
    ):
        if len(set(those)) != len(those):
            raise NotPermitted(f"Two keepers would have the same {what}. Nothing was signed.")
    return tuple(listed)


def _live(listed: list[Keeper], name: str) -> int:
    found = [n for n, each in enumerate(listed) if each.name == name and each.retired_until is None]
    if len(found) != 1:
        names = ", ".join(sorted(each.name for each in listed if each.retired_until is None))
        raise NotPermitted(f"No live keeper is called {name}. Nothing was signed. They are called: {names}.")
    return found[0]


def _check_live(keeper: Keeper) -> None:
    if keeper.retired_until is not None:
        raise NotPermitted(
            f"The keeper {keeper.name} has retired, and a keeper does not come back. Nothing was signed. Found a new one."
        )


def _registrars(root: TrustRoot, changes: Changes, now: int) -> tuple[Registrar, ...]:
    listed = {entry.key: entry for entry in root.registrars}
    for key, schemes in changes.registrars:
        before = listed.get(key, Registrar(key=key, schemes=(), retired_since=None))
        if before.retired_since is not None:
            raise NotPermitted("A registrar that has retired does not come back. Nothing was signed.")
        more = tuple(scheme for scheme in schemes if scheme not in before.schemes)
        listed[key] = msgspec.structs.replace(before, schemes=(*before.schemes, *more))
    for key in changes.retired_registrars:
        if key not in listed or listed[key].retired_since is not None:
            raise NotPermitted(
                "The trust root names no registrar in office with this key. Nothing was signed."
            )
        listed[key] = msgspec.structs.replace(listed[key], retired_since=now)
    return tuple(listed.values())


def _minimum_client(root: TrustRoot, changes: Changes) -> str:
    wanted = changes.minimum_client
    if wanted is None:
        return root.minimum_client
    if wanted != VERSION and _numbers(wanted) > _numbers(VERSION):
        raise NotPermitted(
            f"This is version {VERSION} of Coffre; it asks for no newer one than itself. Nothing was signed. Update this "
            "program first."
        )
    return wanted


def _numbers(version: str) -> tuple[int, ...]:
    parts = version.split(".")
    if not all(part.isascii() and part.isdecimal() for part in parts):
        raise NotPermitted(f"{version} is not a version of Coffre. Nothing was signed.")
    return tuple(map(int, parts))


def _root_keys(root: TrustRoot, changes: Changes) -> tuple[bytes, ...]:
    for key in changes.dropped_root_keys:
        if key not in root.root_keys:
            raise NotPermitted("The trust root names no such root key. Nothing was signed.")
    kept = tuple(key for key in root.root_keys if key not in changes.dropped_root_keys)
    keys = (*kept, *(key for key in changes.root_keys if key not in kept))
    if len(keys) < (changes.threshold or root.threshold):
        raise NotPermitted(
            "More root keys would have to sign than there are. Nothing was signed. Lower --threshold."
        )
    return keys
