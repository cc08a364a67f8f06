"""What a version of the trust root says, and what the next one changes, in words.

Whoever signs sees every change as a sentence: a version that changes what has no sentence here is refused.
"""

import time
from collections.abc import Iterator

import msgspec

from crypto.errors import NotPermitted
from crypto.trust_root import POLICIES, Policy, TrustRoot, policy_of

_UNSPOKEN = ("suite", "hosts", "log_key", "directory_key", "never_granted", "successors")


def differences(known: TrustRoot, body: TrustRoot) -> list[str]:
    """What ``body`` changes in ``known``, a sentence each. Raises NotPermitted when there are none for it."""
    for field in _UNSPOKEN:
        if getattr(known, field) != getattr(body, field):
            raise NotPermitted(
                f"This trust root changes {field}, which this version cannot change. It was not signed or published."
            )
    if not set(known.policies) <= set(body.policies):
        raise NotPermitted(
            "This trust root takes back a number of keepers that grants were made under. It was not signed or published."
        )
    _check_quorums_meet(known.policy, body.policy)
    said = [*_of_keepers(known, body), *_of_registrars(known, body), *_of_root_keys(known, body)]
    if body.minimum_client != known.minimum_client:
        said.append(f"Clients older than version {body.minimum_client} do nothing but ask to be updated.")
    said.append(f"It expires on {_day(body.expiry)}; the one before expires on {_day(known.expiry)}.")
    return said


def _check_quorums_meet(known: Policy, policy: Policy) -> None:
    """Raises NotPermitted when what a quorum of before knew can be unknown to a quorum of after."""
    if min(known.n, policy.n) == 1 or _quorums_meet(known, policy):
        return  # with one keeper there is no quorum to lie to
    several = [policy_of(n) for _, n in POLICIES if n > 1]
    way = next(each for each in several if _quorums_meet(known, each) and _quorums_meet(each, policy))
    raise NotPermitted(
        f"Straight from {known.k} of {known.n} to {policy.k} of {policy.n}, those keepers who must sign from now on might miss "
        f"what those before them knew. It was not signed or published. Go by way of {way.k} of {way.n}: sign and publish that "
        f"first, and the change to {policy.k} of {policy.n} once every keeper follows it."
    )


def _quorums_meet(known: Policy, policy: Policy) -> bool:
    """Whether those that may be missing of before and of after are together too few to be a quorum of after."""
    return (known.n - known.k) + (policy.n - policy.k) < policy.k


def contents(root: TrustRoot) -> Iterator[str]:
    """What ``root`` says of keepers, registrars and root keys, a sentence each."""
    for keeper in root.keepers:
        if keeper.retired_until is None:
            yield f"The keeper {keeper.name} is run by {keeper.operator} and reached at {keeper.url}."
            if keeper.independent:
                yield f"The keeper {keeper.name} is independent of the server: clients show it as your word."
        else:
            yield f"The keeper {keeper.name} has retired; it answers until {_day(keeper.retired_until)}."
    yield f"Keepers who must sign: {root.policy.k} of {root.policy.n}."
    nobody = msgspec.structs.replace(root, registrars=(), root_keys=(), threshold=0)
    yield from _of_registrars(nobody, root)
    yield from _of_root_keys(nobody, root)
    yield f"It expires on {_day(root.expiry)}."


def _of_keepers(known: TrustRoot, body: TrustRoot) -> Iterator[str]:
    before = {entry.key_hash: entry for entry in known.keepers}
    for keeper in body.keepers:
        old = before.get(keeper.key_hash)
        if old is None:
            yield f"The keeper {keeper.name} is added, run by {keeper.operator} and reached at {keeper.url}."
            old = msgspec.structs.replace(keeper, independent=False, retired_until=None)
        elif (old.name, old.operator, old.url) != (keeper.name, keeper.operator, keeper.url):
            yield (
                f"The keeper {old.name} is called {keeper.name} from now on, run by {keeper.operator} and reached at "
                f"{keeper.url}."
            )
        if keeper.independent and not old.independent:
            yield f"The keeper {keeper.name} is independent of the server: clients show it as your word."
        if old.independent and not keeper.independent:
            yield f"The keeper {keeper.name} is not independent of the server any more."
        if keeper.retired_until is not None and keeper.retired_until != old.retired_until:
            yield (
                f"The keeper {keeper.name} retires. It answers for what was granted before until "
                f"{_day(keeper.retired_until)}; new grants do not name it."
            )
    for policy in set(body.policies) - set(known.policies) - {body.policy}:
        yield f"Grants under this number of keepers are believed as well: {policy.k} of {policy.n}."
    if body.policy != known.policy:
        yield (
            f"Keepers who must sign from now on: {body.policy.k} of {body.policy.n}, instead of {known.policy.k} of "
            f"{known.policy.n}."
        )


def _of_registrars(known: TrustRoot, body: TrustRoot) -> Iterator[str]:
    before = {entry.key: entry for entry in known.registrars}
    for entry in body.registrars:
        old = before.get(entry.key)
        more = [scheme for scheme in entry.schemes if old is None or scheme not in old.schemes]
        if old is None or more:
            yield f"The registrar {entry.key.hex()} may certify: {', '.join(more)}."
        if entry.retired_since is not None and (old is None or old.retired_since is None):
            yield (
                f"The registrar {entry.key.hex()} retires. What it signed before {_day(entry.retired_since)} goes on "
                "counting."
            )


def _of_root_keys(known: TrustRoot, body: TrustRoot) -> Iterator[str]:
    for key in body.root_keys:
        if key not in known.root_keys:
            yield f"The root key {key.hex()} may sign trust roots."
    for key in known.root_keys:
        if key not in body.root_keys:
            yield f"The root key {key.hex()} may not sign trust roots any more."
    if (body.threshold, len(body.root_keys)) != (known.threshold, len(known.root_keys)):
        yield f"Root keys that must sign a trust root: {body.threshold} of {len(body.root_keys)}."


def _day(seconds: int) -> str:
    return time.strftime("%Y-%m-%d", time.gmtime(seconds))
