"""A keeper's folder: what is made, what must be there, and what happens when the store is lost."""

import sqlite3
from io import StringIO
from pathlib import Path

import msgspec
import pytest

from crypto.encoding import decode
from crypto.errors import Damaged, Malformed, NotPermitted, Unreachable
from crypto.signing import key_id
from crypto.trust_root import Policy
from crypto.wire.keeper_api import IdentityHeadQuery, KeeperCard
from tests.support.keeper_story import Time, keeper_story, open_keeper
from tests.support.people import NOW, fresh
from tests.support.small_log import LoggedService
from vault_server.keeper.clock import Clock
from vault_server.keeper.event_log import EventLog
from vault_server.keeper.founding import found
from vault_server.keeper.keeper import Keeper
from vault_server.keeper.rows import Standing
from vault_server.keeper.settings import Settings
from vault_server.keeper.store import DATABASE, Store
from vault_server.listening import Listening

URL = "http://127.0.0.1:8766"


async def _found(data: Path, name: str | None = None, operator: str | None = None) -> KeeperCard:
    return await found(data, url=URL, name=name, operator=operator)


async def test_founding_writes_keys_that_only_the_operator_reads(tmp_path: Path) -> None:
    """Keys are 0600 in a 0700 folder; the card is the one returned."""
    card = await _found(tmp_path / "k", "clinic", "The Clinic")
    keys = tmp_path / "k" / "keys"
    assert keys.stat().st_mode & 0o777 == 0o700
    assert [path.stat().st_mode & 0o777 for path in sorted(keys.iterdir())] == [0o600, 0o600]
    assert decode((tmp_path / "k" / "keeper-card.json").read_bytes().strip(), KeeperCard) == card
    assert (card.name, card.operator, card.url) == ("clinic", "The Clinic", URL)


async def test_founding_again_keeps_the_keys(tmp_path: Path) -> None:
    """A second founding changes what it is told to change and nothing else."""
    first = await _found(tmp_path, "clinic")
    assert await _found(tmp_path) == first
    second = await found(tmp_path, url="https://keeper.example", name=None, operator="New")
    assert second == msgspec.structs.replace(first, url="https://keeper.example", operator="New")


async def test_founding_that_was_cut_short_is_finished(tmp_path: Path) -> None:
    """Without the last key the folder is not a keeper yet, and founding goes on where it stopped."""
    first = await _found(tmp_path)
    (tmp_path / "keys" / "sealing.key").unlink()
    second = await _found(tmp_path)
    assert second.cosigning_key == first.cosigning_key
    assert second.sealing_key != first.sealing_key


async def test_a_store_that_was_only_begun_is_made(tmp_path: Path) -> None:
    """Killed between the file and its tables, founding goes on; a keeper that was complete never takes an empty store."""
    first = await _found(tmp_path)
    (tmp_path / DATABASE).write_bytes(b"")
    with pytest.raises(Damaged):
        await _open(tmp_path, LoggedService(first))
    (tmp_path / "keys" / "sealing.key").unlink()
    second = await _found(tmp_path)
    assert second.cosigning_key == first.cosigning_key
    await _open(tmp_path, LoggedService(second))


async def test_a_name_must_be_fit_to_sign_under(tmp_path: Path) -> None:
    """A name with a space cannot stand before a signature."""
    with pytest.raises(Malformed):
        await _found(tmp_path, "two words")


async def test_a_key_open_to_others_is_refused(tmp_path: Path) -> None:
    """A private key that others can read stops the keeper."""
    card = await _found(tmp_path)
    (tmp_path / "keys" / "sealing.key").chmod(0o644)
    with pytest.raises(NotPermitted):
        await _open(tmp_path, LoggedService(card))


@pytest.mark.parametrize("name", ["cosigning.key", "sealing.key"])
async def test_a_cut_key_is_refused(tmp_path: Path, name: str) -> None:
    """A key file that is not whole stops the keeper."""
    card = await _found(tmp_path)
    (tmp_path / "keys" / name).write_bytes(b"short")
    with pytest.raises(Damaged):
        await _open(tmp_path, LoggedService(card))


async def test_a_store_of_other_keys_is_refused(tmp_path: Path) -> None:
    """A store belongs to one cosigning key."""
    card = await _found(tmp_path / "a")
    await _found(tmp_path / "b")
    (tmp_path / "b" / "keeper.db").replace(tmp_path / "a" / "keeper.db")
    with pytest.raises(Damaged, match="another keeper"):
        await _open(tmp_path / "a", LoggedService(card))


async def test_a_store_that_is_not_whole_is_refused(tmp_path: Path) -> None:
    """Bytes that are no database stop the keeper."""
    card = await _found(tmp_path)
    (tmp_path / "keeper.db").write_bytes(b"no database" * 1000)
    with pytest.raises(Damaged, match="not whole"):
        await _open(tmp_path, LoggedService(card))


async def test_a_lost_store_stops_the_only_keeper_until_ordered(tmp_path: Path) -> None:
    """Keys without a store: nothing is signed, except after the operator's explicit order, which is remembered."""
    async with keeper_story(tmp_path) as story:
        query, service, time = await story.query(), story.service, story.time
    (tmp_path / "keeper.db").unlink()
    with pytest.raises(Damaged, match="--accept-lost-store"):
        await _open(tmp_path, service)
    with pytest.raises(Damaged, match="--accept-lost-store"):
        await _open(tmp_path, service)
    async with open_keeper(tmp_path, service, time, accept_lost_store=True) as keeper:
        service.cosigned.clear()
        await service.publish_all(keeper)
        assert await keeper.release(query)
    async with await Store.open(tmp_path, key_id(story.card.cosigning_key)) as store:
        assert await store.standing() == Standing(NOW, NOW, ordered=True, contradicted=None, joined=False)


async def test_a_lost_store_of_one_of_several_keepers_is_not_replaced_by_order(tmp_path: Path) -> None:
    """With several keepers the order is not enough, now or at a later start: it stays silent."""
    async with keeper_story(tmp_path, k=3, n=4) as story:
        service, time, post = story.service, story.time, story.end_post()
    (tmp_path / "keeper.db").unlink()
    for order in (True, False):
        async with open_keeper(tmp_path, service, time, accept_lost_store=order) as keeper:
            with pytest.raises(Unreachable, match="has come back"):
                await keeper.end(post)


async def test_a_lost_keeper_is_silent_when_its_service_gains_keepers(tmp_path: Path) -> None:
    """The loss is remembered: a trust root that asks for several keepers later silences a keeper returned by order."""
    async with keeper_story(tmp_path) as story:
        service, time, post = story.service, story.time, story.end_post()
    (tmp_path / "keeper.db").unlink()
    async with open_keeper(tmp_path, service, time, accept_lost_store=True) as keeper:
        service.cosigned.clear()
        await service.publish_all(keeper)
        service.next_root(policies=(Policy(k=3, n=4),))
        await keeper.refresh_trust()
        assert not keeper.ready
        with pytest.raises(Unreachable, match="has come back"):
            await keeper.end(post)


async def test_the_store_of_an_earlier_version_is_carried_over(tmp_path: Path) -> None:
    """A store without what a return needs is given it; the only order that it knew was that of a lost store."""
    card = await _found(tmp_path)
    with sqlite3.connect(tmp_path / DATABASE) as store:
        store.executescript(
            "ALTER TABLE ends DROP COLUMN post; ALTER TABLE keeper DROP COLUMN ordered; DROP INDEX ends_by_tag; "
            "ALTER TABLE keeper DROP COLUMN contradicted; ALTER TABLE keeper DROP COLUMN joined; "
            "INSERT INTO logs (origin, size, root, note) VALUES ('log', 1, x'00', x'01');"
        )
        store.execute("UPDATE keeper SET lost = ?", (NOW,))
    store.close()
    async with await Store.open(tmp_path, key_id(card.cosigning_key)) as carried:
        assert await carried.standing() == Standing(0, NOW, ordered=True, contradicted=None, joined=True)
        assert await carried.heads_and_ends(b"", 9) == ([b"\x01"], [])


async def test_without_a_trust_root_nothing_is_answered(tmp_path: Path) -> None:
    """Until the server has handed over the trust root of the card, every question is answered with “try again”."""
    async with keeper_story(tmp_path / "other") as story:
        query, post = await story.query(), story.end_post()
        chain = story.reader.chain
    service = LoggedService(await _found(tmp_path / "k"))
    service.silent = True
    async with open_keeper(tmp_path / "k", service, Time()) as keeper:
        assert not keeper.ready
        questions = [
            keeper.release(query),
            keeper.end(post),
            keeper.identity_head(IdentityHeadQuery(chain=chain)),
            keeper.add_checkpoint(service.shard.extension(0).encode()),
        ]
        for question in questions:
            with pytest.raises(Unreachable):
                await question
        service.silent = False
        await keeper.refresh_trust()
        assert keeper.ready
        assert await keeper.add_checkpoint(service.shard.extension(0).encode())


async def test_the_trust_root_must_be_the_one_on_the_card(tmp_path: Path) -> None:
    """A server that hands over another trust root is not believed, and the keeper goes on asking."""
    service = LoggedService(await _found(tmp_path))
    card = service.card
    service.set_root(expiry=1 << 40)
    async with Keeper.open(
        tmp_path, card, service, events=EventLog(StringIO()), clock=Time().clock
    ) as keeper:
        await keeper.refresh_trust()
        assert not keeper.ready


async def test_trust_roots_are_kept_and_followed(tmp_path: Path) -> None:
    """A restart needs no server; a newer trust root that follows is believed, one that does not is left."""
    service = LoggedService(await _found(tmp_path))
    async with open_keeper(tmp_path, service, Time()) as keeper:
        assert keeper.ready
    service.silent = True
    async with open_keeper(tmp_path, service, Time()) as keeper:
        assert keeper.ready
        service.silent = False
        service.next_root(minimum_client="9.0.0")
        await keeper.refresh_trust()
        assert keeper._trust.current.ref.version == 2
        service.next_root(previous=fresh())
        await keeper.refresh_trust()
        assert keeper._trust.current.ref.version == 2


@pytest.mark.parametrize(
    ("own", "cosigned", "expected"),
    [(100, 400, 400), (100, 401, 100), (100, 50, 100)],
)
def test_the_clock_is_carried_along_by_others(own: int, cosigned: int, expected: int) -> None:
    """A cosignature at most five minutes ahead moves the time; one further ahead, or behind, does not."""
    clock = Clock(0, own=lambda: own)
    clock.observe(cosigned)
    assert clock.now() == expected


def test_the_clock_never_goes_below_what_was_stated() -> None:
    """A clock behind the newest stated time stays at that time."""
    assert Clock(1000, own=lambda: 10).now() == 1000


@pytest.mark.parametrize(
    ("changes", "allowed"),
    [
        ({}, True),
        ({"listening": Listening(1, "localhost")}, True),
        ({"listening": Listening(1, "0.0.0.0")}, False),  # noqa: S104
        ({"listening": Listening(1, tls_cert=Path("c"))}, False),
        ({"server": "http://vault.example"}, False),
        ({"server": "https://vault.example"}, True),
        ({"server": "https://vault.example/there"}, False),
        ({"server": "ftp://vault.example"}, False),
    ],
)
def test_plain_http_is_for_this_computer(changes: dict[str, object], allowed: bool) -> None:
    """Beyond this computer a keeper listens and asks over TLS only, or behind a proxy that was named."""
    given: dict[str, object] = {"data": Path("d"), "server": URL, "card": Path("c"), **changes}
    if allowed:
        Settings(**given)  # type: ignore[arg-type]
    else:
        with pytest.raises(NotPermitted):
            Settings(**given)  # type: ignore[arg-type]


async def _open(data: Path, service: LoggedService) -> None:
    async with open_keeper(data, service, Time()):
        pass
