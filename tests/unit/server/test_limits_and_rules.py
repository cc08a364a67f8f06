"""Allowances, settings, and the pure rules."""

from dataclasses import replace
from pathlib import Path

import pytest

from crypto.errors import Damaged, NotPermitted, Stale, TooMany
from crypto.statements import Head, RootRef
from tests.contract.in_process import START, Clock, CosigningKeeper
from tests.contract.vault_story import fresh
from vault_server import instance as instances
from vault_server import rules
from vault_server.keeper_cards import as_keeper
from vault_server.limits import Buckets, address_class
from vault_server.listening import Listening
from vault_server.rules import Replaced
from vault_server.settings import Rate, Settings


def test_a_bucket_fills_again_with_time() -> None:
    """So many at once, so many a second later, each party for itself."""
    clock = Clock()
    buckets = Buckets(Rate(2, 3), clock)
    for _ in range(3):
        buckets.take("a")
    with pytest.raises(TooMany):
        buckets.take("a")
    buckets.take("b")
    clock.now += 1
    buckets.take("a")
    buckets.take("a")
    with pytest.raises(TooMany):
        buckets.take("a")
    clock.now -= 1000
    with pytest.raises(TooMany):
        buckets.take("a")


def test_addresses_are_classed_by_subscriber() -> None:
    """An IPv4 address is a party; of IPv6 the /64 is."""
    assert address_class("192.0.2.7") == "192.0.2.7"
    assert address_class("2001:db8:1:2:3::4") == address_class("2001:db8:1:2::9") == "2001:db8:1:2::"
    assert address_class("2001:db8:1:3::4") != "2001:db8:1:2::"
    assert address_class("not an address") == ""


def test_a_directory_head_counts_while_it_is_new() -> None:
    """The newest, or one replaced at most ten minutes ago; a wrong root or an unknown time never."""
    newest, old, root = Head(size=9, root=fresh()), Head(size=5, root=fresh()), fresh()
    replaced = {5: Replaced(old.root, 1000)}
    rules.check_directory_head(newest, newest, replaced, 99999)
    rules.check_directory_head(old, newest, replaced, 1600)
    for shown, now in (
        (old, 1601),
        (Head(size=5, root=root), 1000),
        (Head(size=6, root=root), 1000),
        (Head(size=9, root=root), 1000),
        (Head(size=10, root=root), 1000),
    ):
        with pytest.raises(Stale):
            rules.check_directory_head(shown, newest, replaced, now)


def test_the_rest_of_a_view() -> None:
    """Another root of the log is evidence, another trust root is old, another time is wrong."""
    root = fresh()
    rules.check_seen(Head(size=3, root=root), root)
    with pytest.raises(NotPermitted):
        rules.check_seen(Head(size=3, root=root), fresh())
    ref = RootRef(version=1, digest=root)
    rules.check_trust_root(ref, ref)
    with pytest.raises(Stale):
        rules.check_trust_root(RootRef(version=1, digest=fresh()), ref)
    for signed in (0, 1200):
        rules.check_time(signed, 600)
    for signed in (0, 1202):
        with pytest.raises(Stale):
            rules.check_time(signed, 601)


def test_http_without_tls_stays_on_this_machine() -> None:
    """Anything that can be reached from outside needs a certificate or a proxy, or is not started."""
    here = Listening(8765)
    here.check("server")
    replace(here, host="::1").check("server")
    for outside in ("0.0.0.0", "192.0.2.1", "::", "vault.example"):  # noqa: S104
        with pytest.raises(NotPermitted, match=r"The server was not started: .* without TLS"):
            replace(here, host=outside).check("server")
        replace(here, host=outside, behind_proxy=True).check("server")
        replace(here, host=outside, tls_cert=Path("c"), tls_key=Path("k")).check("server")
    with pytest.raises(NotPermitted, match="belong together"):
        replace(here, tls_cert=Path("c")).check("server")


def test_addresses_for_clients() -> None:
    """Loopback is plain, a proxy and a certificate are not; the host stands in the origins."""
    here = Settings(data=Path("x"))
    assert here.url(8765) == "http://127.0.0.1:8765"
    assert here.host_name(8765) == "127.0.0.1:8765"
    assert replace(here, listening=Listening(1, "::1")).url(1) == "http://[::1]:1"
    named = replace(here, public_host="vault.example")
    assert named.url(8765) == "http://127.0.0.1:8765"
    proxied = replace(here.listening, behind_proxy=True)
    assert replace(named, listening=proxied).url(8765) == "https://vault.example"
    secure = replace(here.listening, tls_cert=Path("c"), tls_key=Path("k"))
    assert replace(here, listening=secure).url(8765) == "https://127.0.0.1:8765"
    assert replace(named, listening=secure).url(8765) == "https://vault.example:8765"
    assert replace(here, listening=secure, public_host="a.example:1").url(8765) == "https://a.example:1"


def test_an_instance_is_founded_once(tmp_path: Path) -> None:
    """Its keys and trust root stay; a founding cut short is taken up; a lost key is noticed."""
    settings, keeper = Settings(data=tmp_path, public_host="vault.example"), CosigningKeeper(Clock())
    assert not instances.exists(settings)
    instances.found(settings, [as_keeper(keeper.card)], 8765, START)
    first = instances.load(settings, 8765, START)
    (settings.server_folder / "trust-roots" / "1.json").unlink()
    instances.found(settings, [as_keeper(keeper.card)], 8765, START)
    second = instances.load(settings, 8765, START)
    assert first.root == second.root
    for secret in [*(settings.server_folder / "keys").iterdir(), *settings.operator_folder.iterdir()]:
        assert secret.stat().st_mode & 0o777 == 0o600
        assert secret.parent.stat().st_mode & 0o777 == 0o700
    with pytest.raises(Stale):
        instances.load(settings, 8765, START + 3 * 365 * 24 * 3600)
    (settings.server_folder / "keys" / "log.key").write_bytes(fresh())
    with pytest.raises(Damaged):
        instances.load(settings, 8765, START)
    (settings.server_folder / "keys" / "log.key").unlink()
    with pytest.raises(Damaged):
        instances.load(settings, 8765, START)
