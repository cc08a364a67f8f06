"""Vectors of trust-root.md."""

from collections.abc import Iterator
from typing import Any

import msgspec

from crypto import labels
from crypto.signing import Envelope, SigningKey, sign
from crypto.statements import RootRef
from crypto.trust_root import InstanceCard, Policy, Registrar, Successor, TrustRoot
from tests.vectors.case import Case
from tests.vectors.fixed import (
    DIRECTORY,
    HEAD,
    HOST,
    LOG,
    NOW,
    REGISTRAR,
    ROOT_KEYS,
    SIGNED_ROOT,
    signing,
    text_of,
    trust_root,
    unsealing,
    view,
)

OTHER_HOST = "other.example:8443"


def replaced(body: Any, **changes: Any) -> Any:
    """A body with changes."""
    return msgspec.structs.replace(body, **changes)


def signed(body: TrustRoot, *keys: SigningKey) -> Envelope:
    """A trust root signed by both root keys, or by those given."""
    return sign(labels.TRUST_ROOT, body, *(keys or ROOT_KEYS))


def succeeds(old: str, new: str) -> Successor:
    """A log in another's place."""
    return Successor(old_origin=old, last_head=HEAD, new_origin=new)


def case(name: str, what: str, outcome: str, *chain: Envelope | str, card: str | None = None) -> Case:
    """A chain of trust roots, the first one believed by ``card`` if there is one."""
    texts = [each if isinstance(each, str) else text_of(each) for each in chain]
    return Case(f"trust-root/{name}", what, {"chain": texts, "card": card}, outcome)


def trust_roots() -> Iterator[Case]:
    """All of trust-root.md."""
    for group in (_believing, _spelling, _distinct, _following, _successors, _origins):
        yield from group()


def _believing() -> Iterator[Case]:
    first = text_of(SIGNED_ROOT)
    ref = RootRef(version=1, digest=SIGNED_ROOT.digest)
    card = text_of(InstanceCard(suite=labels.SUITE, url=f"https://{HOST}", root=ref))
    other = text_of(InstanceCard(suite=labels.SUITE, url=f"https://{HOST}", root=view(7).trust_root))
    wrong_card = other.replace('"version":1', '"version":2')
    third = signing("root 3")
    moved = trust_root(
        version=2, previous=SIGNED_ROOT.digest, root_keys=(ROOT_KEYS[1].public.raw, third.public.raw)
    )
    both = signed(moved, *ROOT_KEYS, third)
    yield case("first-use", "the first, without a card", "ok", first)
    yield case("by-card", "the first, by its card", "ok", first, card=card)
    yield case("other-card", "not the one on the card", "not-permitted", first, card=wrong_card)
    yield case("second", "the next version, signed by both thresholds", "ok", first, both)
    yield case("second-first", "the next version as the first one seen, with signatures of both", "ok", both)
    by_new, by_old = signed(moved, ROOT_KEYS[1], third), signed(moved)
    yield case("second-by-new-keys", "too few of the old keys", "bad-signature", first, by_new)
    yield case("second-by-old-keys", "too few of the new keys", "bad-signature", first, by_old)
    skipped = signed(replaced(moved, version=3), *ROOT_KEYS, third)
    yield case("skipped", "a version left out", "broken-chain", first, skipped)
    one = signed(trust_root(), ROOT_KEYS[0])
    yield case("below-threshold", "one signature where two are needed", "bad-signature", one)


def _spelling() -> Iterator[Case]:
    def first(name: str, what: str, outcome: str = "malformed", **changes: Any) -> Case:
        return case(name, what, outcome, signed(trust_root(**changes)))

    yield first("other-suite", "another suite", suite="coffre-2")
    yield first("other-policy", "a policy that is none", policies=(Policy(k=2, n=3),))
    keeper = trust_root().keepers[0]
    yield first(
        "unsound-key", "a sealing key that is none", keepers=(replaced(keeper, sealing_key=b"\xff" * 1216),)
    )
    spelled = keeper.sealing_key[:-1] + bytes([keeper.sealing_key[-1] | 0x80])
    yield first(
        "key-spelled-otherwise",
        "a sealing key with the bit that X25519 ignores",
        keepers=(replaced(keeper, sealing_key=spelled),),
    )
    for name, host in (("port", "vault.example:8765"), ("address", "127.0.0.1:1"), ("long", "a" * 253)):
        yield first(f"host-{name}", "a host", "ok", hosts=(host,))
    bad = {
        "capital": "Vault.example",
        "accent": "coffré.example",
        "slash": "vault.example/a",
        "empty-port": "vault.example:",
        "zero-port": "vault.example:0443",
        "long-port": "vault.example:123456",
        "two-ports": "::1:8765",
        "brackets": "[::1]",
        "too-long": "a" * 254,
    }
    for name, host in bad.items():
        yield first(f"host-{name}", "a host that is none", hosts=(host,))
    yield first("client-largest", "a minimum version", "ok", minimum_client="999999.0.10")
    for name, version in {"short": "0.1", "zero": "0.01.0", "long": "1000000.0.0", "more": "0.1.0-1"}.items():
        yield first(f"client-{name}", "a minimum version that is none", minimum_client=version)


def _distinct() -> Iterator[Case]:
    body = trust_root()
    one, two = body.keepers[:2]
    registrar, policy = body.registrars[0], Policy(k=1, n=1)
    twice: dict[str, dict[str, Any]] = {
        "registrar": {"registrars": (registrar, replaced(registrar, schemes=("app",)))},
        "keeper": {"keepers": (one, one)},
        "sealing-key": {"keepers": (one, replaced(two, sealing_key=one.sealing_key))},
        "cosigning-key": {"keepers": (one, replaced(two, cosigning_key=one.cosigning_key))},
        "host": {"hosts": (HOST, OTHER_HOST, HOST)},
        "policy": {"policies": (policy, policy)},
        "root-key": {"root_keys": (*body.root_keys, body.root_keys[0])},
    }
    for name, changes in twice.items():
        yield case(f"{name}-twice", "one twice", "malformed", signed(trust_root(**changes)))
    named = (one, replaced(two, name=one.name))
    yield case("keeper-name-twice", "two keepers of one name", "ok", signed(trust_root(keepers=named)))


def _following() -> Iterator[Case]:
    second = Registrar(key=signing("registrar 2").public.raw, schemes=("app", "rpps"), retired_since=None)
    registrar = Registrar(key=REGISTRAR.public.raw, schemes=("demo",), retired_since=None)
    retired = replaced(registrar, retired_since=NOW)

    def two(name: str, what: str, outcome: str, before: dict[str, Any], after: dict[str, Any]) -> Case:
        first = signed(trust_root(**before))
        following = trust_root(version=2, previous=first.digest, **after)
        return case(name, what, outcome, first, signed(following))

    def registrars(name: str, what: str, outcome: str, before: Registrar, *after: Registrar) -> Case:
        return two(name, what, outcome, {"registrars": (before,)}, {"registrars": after})

    refused = "not-permitted"
    yield registrars(
        "registrar-added",
        "a registrar and a scheme more",
        "ok",
        registrar,
        second,
        replaced(registrar, schemes=("x", "demo")),
    )
    yield registrars("registrar-dropped", "a registrar left out", refused, registrar, second)
    yield registrars(
        "scheme-dropped", "a scheme left out", refused, second, replaced(second, schemes=("app",))
    )
    yield registrars("registrar-retired", "a registrar retires", "ok", registrar, retired)
    yield registrars("registrar-returned", "a retired registrar returns", refused, retired, registrar)
    yield registrars(
        "retired-later",
        "a registrar retires once more",
        refused,
        retired,
        replaced(retired, retired_since=NOW + 1),
    )
    keeper = trust_root().keepers[0]
    renewed = replaced(keeper, cosigning_key=signing("new").public.raw, sealing_key=unsealing("new").public)
    keepers = (*trust_root().keepers, renewed)
    yield two("keeper-renewed", "a keeper of the same name with new keys", "ok", {}, {"keepers": keepers})
    others = trust_root().keepers[1:]
    ends, later = replaced(keeper, retired_until=NOW), replaced(keeper, retired_until=NOW + 1)
    yield two("keeper-retired", "a keeper retires", "ok", {}, {"keepers": (ends, *others)})
    for name, what, outcome, before, after in (
        ("keeper-dropped", "a keeper left out", refused, keeper, ()),
        ("retired-keeper-dropped", "a retired keeper left out", refused, ends, ()),
        ("keeper-returned", "a retired keeper returns", refused, ends, (keeper,)),
        ("keeper-retired-for-less", "a retired keeper answers for less time", refused, later, (ends,)),
        ("keeper-retired-for-more", "a retired keeper answers for more time", "ok", ends, (later,)),
    ):
        yield two(name, what, outcome, {"keepers": (before, *others)}, {"keepers": (*after, *others)})
    hosts = (OTHER_HOST, HOST)
    yield two("host-added", "a host more", "ok", {}, {"hosts": (HOST, OTHER_HOST)})
    yield two("other-first-host", "another first host", refused, {}, {"hosts": hosts})
    there = succeeds(DIRECTORY, f"{OTHER_HOST}/coffre/directory/1")
    moved = {"hosts": hosts, "successors": (there,)}
    yield two("directory-moved", "another first host, to which the directory has moved", "ok", {}, moved)
    elsewhere = moved | {"hosts": ("third.example", OTHER_HOST)}
    yield two(
        "directory-moved-elsewhere", "another first host than that of the directory", refused, {}, elsewhere
    )
    yield two("successor-kept", "nothing new after a successor", "ok", moved, moved)
    yield two("successor-dropped", "a successor left out", refused, moved, {"hosts": hosts})
    log = succeeds(LOG, f"{HOST}/coffre/log/7")
    yield two("log-successor-dropped", "a log's successor left out", refused, {"successors": (log,)}, {})
    other_end = replaced(log, last_head=replaced(HEAD, size=HEAD.size + 1))
    yield two(
        "successor-changed",
        "another last head",
        refused,
        {"successors": (log,)},
        {"successors": (other_end,)},
    )
    foreign = succeeds("other.example/coffre/directory", f"{HOST}/coffre/directory/1")
    yield two(
        "foreign-directory",
        "another service's directory gets a successor",
        refused,
        {},
        {"successors": (foreign,)},
    )


def _successors() -> Iterator[Case]:
    def first(name: str, what: str, outcome: str, *entries: tuple[str, str]) -> Case:
        made = tuple(succeeds(*entry) for entry in entries)
        body = trust_root(hosts=(HOST, OTHER_HOST), successors=made)
        return case(f"successor-{name}", what, outcome, signed(body))

    log, other = f"{HOST}/coffre/log", f"{OTHER_HOST}/coffre/log"
    yield first("of-a-log", "a log in another's place", "ok", (LOG, f"{other}/0"))
    yield first(
        "of-a-gone-host", "the lost log was on a host of no more", "ok", ("gone.example/coffre/log/0", LOG)
    )
    chain = ((LOG, f"{other}/4"), (f"{other}/4", f"{log}/4294967295"))
    yield first("of-a-successor", "lost twice", "ok", *chain)
    first_directory, next_one = (DIRECTORY, f"{DIRECTORY}/1"), (f"{DIRECTORY}/1", f"{DIRECTORY}/0")
    yield first("of-the-directory", "the directory, lost twice", "ok", first_directory, next_one)
    refused = "malformed"
    yield first("twice", "two for one log", refused, (LOG, f"{log}/1"), (LOG, f"{log}/2"))
    yield first("of-two", "one for two logs", refused, (LOG, f"{log}/2"), (f"{log}/1", f"{log}/2"))
    yield first("of-itself", "a log in its own place", refused, (LOG, LOG))
    yield first(
        "in-a-circle", "two logs in each other's place", refused, (LOG, f"{log}/1"), (f"{log}/1", LOG)
    )
    yield first("on-another-host", "on no host of the service", refused, (LOG, "gone.example/coffre/log/1"))
    yield first("of-another-kind", "a log in the directory's place", refused, (DIRECTORY, f"{log}/1"))
    yield first("of-the-other-kind", "a directory in a log's place", refused, (LOG, f"{DIRECTORY}/1"))
    yield first(
        "without-a-number",
        "a directory without a number",
        refused,
        (DIRECTORY, f"{OTHER_HOST}/coffre/directory"),
    )
    two = (DIRECTORY, f"{DIRECTORY}/1"), (f"{OTHER_HOST}/coffre/directory", f"{DIRECTORY}/2")
    yield first("of-two-directories", "two first directories", refused, *two)
    for name, shard in {"leading-zero": "01", "of-letters": "x", "long": "12345678901", "empty": ""}.items():
        yield first(f"number-{name}", "a number that is none", refused, (LOG, f"{log}/{shard}"))
        yield first(f"old-number-{name}", "an old number that is none", refused, (f"{log}/{shard}", LOG))


def _origins() -> Iterator[Case]:
    plain = trust_root(hosts=(HOST, OTHER_HOST))
    moved = replaced(
        plain,
        hosts=(OTHER_HOST, HOST),
        successors=(
            succeeds(LOG, f"{OTHER_HOST}/coffre/log/0"),
            succeeds(f"{OTHER_HOST}/coffre/log/0", f"{HOST}/coffre/log/9"),
            succeeds(DIRECTORY, f"{OTHER_HOST}/coffre/directory/1"),
        ),
    )

    def origin(name: str, what: str, body: TrustRoot, asked: str, outcome: str = "ok") -> Case:
        return Case(f"log-of-origin/{name}", what, {"trust_root": text_of(body), "origin": asked}, outcome)

    refused = "not-permitted"
    yield origin("shard", "an access log", plain, LOG)
    yield origin("second-host", "an access log on the second host", plain, f"{OTHER_HOST}/coffre/log/0")
    yield origin("directory", "the directory", plain, DIRECTORY)
    yield origin("lost-shard", "an access log that was taken over, twice", moved, LOG)
    yield origin(
        "new-directory",
        "the directory that took the first one's place",
        moved,
        f"{OTHER_HOST}/coffre/directory/1",
    )
    yield origin("lost-directory", "the directory whose place was taken", moved, DIRECTORY, refused)
    for name, asked in {
        "other-host": "gone.example/coffre/log/0",
        "other-directory": f"{OTHER_HOST}/coffre/directory",
        "numbered-directory": f"{DIRECTORY}/1",
        "leading-zero": f"{HOST}/coffre/log/00",
        "long-number": f"{HOST}/coffre/log/12345678901",
        "no-number": f"{HOST}/coffre/log/",
        "more-behind": f"{LOG}/1",
        "more-before": f"evil/{LOG}",
    }.items():
        yield origin(name, "no log of this service", plain, asked, refused)
