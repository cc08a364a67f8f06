"""The second gate as a table, and the store that came to hold passkeys."""

import sqlite3
from importlib import resources
from pathlib import Path
from typing import Any

import msgspec
import pytest

from crypto.encoding import decode
from crypto.errors import Damaged
from crypto.identity_links import (
    AddDevice,
    AddMember,
    Certify,
    Complete,
    IdentityLink,
    Keyring,
    ReadingKey,
    Recover,
    RemoveUnlockKey,
    RevokeDevice,
    RotateRoot,
    Stop,
    UnlockKey,
    UseRoot,
)
from crypto.identity_state import Waiting
from crypto.signing import key_id
from crypto.wire import messages as m
from crypto.wire.passkeys import RelyingParty
from tests.contract.in_process import CosigningKeeper, InProcess, serving
from tests.contract.vault_story import World, fresh
from vault_server.second_gate import changes_access, ends_every_device
from vault_server.store.database import MIGRATIONS

KEY = bytes(1216)
CHANGES: list[Any] = [
    AddDevice(signing=bytes(32), sealing=KEY),
    UnlockKey(kind="contacts", key=KEY, recovery=None),
    RemoveUnlockKey(key=bytes(32)),
    RotateRoot(key=bytes(32)),
    Recover(),
    Complete(link=1),
]
CHANGES_NOT: list[Any] = [
    RevokeDevice(device=bytes(32)),
    ReadingKey(number=1, key=KEY, keyring=bytes(32)),
    Keyring(keyring=bytes(32)),
    AddMember(identity=bytes(32)),
    Stop(link=1),
    Complete(link=2),
    UseRoot(purpose="looking"),
    Certify(kind="k", subject="demo:1", name="n", profession="p", since=0, until=1),
]


def waiting(step: Any) -> Waiting:
    """A link that waits."""
    return Waiting(operations=(step,), signers=(bytes(32),), keys={}, since=0)


async def test_which_links_change_who_gets_at_an_account(running: InProcess, world: World) -> None:
    """By a device without the root: those on the list, alone or among others. By anybody else, and at first: none."""
    person = await world.person()
    state = await running.vault.identities.newest(person.identity)
    waits = {1: waiting(CHANGES[0]), 2: waiting(CHANGES_NOT[0])}
    state = msgspec.structs.replace(state, waiting=waits)
    first = decode(person.first.envelope.body, IdentityLink)
    device, root = person.device.public.key_id, key_id(state.root)
    for steps, expected in (
        *(((step,), True) for step in CHANGES),
        *(((step,), False) for step in CHANGES_NOT),
        ((CHANGES_NOT[0], CHANGES[0]), True),
    ):
        link = msgspec.structs.replace(first, operations=steps)
        assert changes_access(state, link, [device]) is expected, steps
        assert changes_access(state, link, [device, fresh()]) is expected, steps
        for signers in ([root], [root, device], [fresh()]):
            assert not changes_access(state, link, signers), steps
    assert not changes_access(None, first, [device, root])
    assert not ends_every_device(None, state)
    assert not ends_every_device(state, state)
    assert ends_every_device(state, msgspec.structs.replace(state, devices={}))


@pytest.mark.parametrize(
    ("host", "party"),
    [
        ("vault.example", ("vault.example", "https://vault.example")),
        ("vault.example:8443", ("vault.example", "https://vault.example:8443")),
        ("127.0.0.1:8765", ("localhost", "http://localhost:8765")),
        ("127.8.9.10", ("localhost", "http://localhost")),
        ("localhost:80", ("localhost", "http://localhost:80")),
        ("192.0.2.7:443", ("192.0.2.7", "https://192.0.2.7:443")),
        ("localhost.example", ("localhost.example", "https://localhost.example")),
    ],
)
def test_whom_a_passkey_is_for(host: str, party: tuple[str, str]) -> None:
    """The name of the host without its port; what listens on loopback only is called localhost."""
    assert RelyingParty.of(host) == party


async def test_a_store_of_before_is_carried_over(tmp_path: Path, keeper: CosigningKeeper) -> None:
    """A database from before the passkeys gets their tables when it is opened, once, and keeps what it held."""
    async with serving(tmp_path, keeper) as running:
        person = await World(running).person()
    path = tmp_path / "server" / "coffre.db"
    at = MIGRATIONS.index("passkeys.sql")
    store = resources.files("vault_server.store")
    schema = "".join(store.joinpath(name).read_text(encoding="utf-8") for name in MIGRATIONS[:at])
    with sqlite3.connect(path) as database:
        database.executescript(
            "DROP TABLE passkeys; DROP TABLE passkey_each_session; DROP TABLE dated_heads;"
            "DROP TABLE erasures; DROP TABLE erased;"
            "DROP TABLE losses; DROP TABLE lost_links; DROP TABLE lost_entries;"
            "DROP INDEX grants_by_vault; ALTER TABLE logs DROP COLUMN minimum;"
        )
        database.execute("DELETE FROM migrations WHERE version > ?", (at,))
        tables = "SELECT COUNT(*) FROM sqlite_schema WHERE type = 'table'"
        assert database.execute(tables).fetchone() == (schema.count("CREATE TABLE") + 1,)
    database.close()
    for _ in range(2):
        async with serving(tmp_path, keeper) as running:
            api = await running.api(person)
            assert await api.identity_chain(m.IdentityQuery(identity=person.identity)) == person.chain
            assert (await api.passkeys(m.Empty())).passkeys == ()


async def test_a_store_of_later_is_not_touched(tmp_path: Path, keeper: CosigningKeeper) -> None:
    """A database that a newer version has changed is refused."""
    async with serving(tmp_path, keeper):
        pass
    with sqlite3.connect(tmp_path / "server" / "coffre.db") as database:
        database.execute("INSERT INTO migrations (version) VALUES (?)", (len(MIGRATIONS) + 1,))
    database.close()
    with pytest.raises(Damaged, match="newer version"):
        async with serving(tmp_path, keeper):
            pass


async def test_passkeys_outlive_the_process_and_raised_sessions_do_not(
    tmp_path: Path, keeper: CosigningKeeper
) -> None:
    """After a restart the passkey answers, and has to before anything that needs it."""
    from crypto.errors import NeedsPasskey
    from tests.support.passkeys import HandMade

    passkey = HandMade()
    async with serving(tmp_path, keeper) as running:
        person = await World(running).person()
        api = await running.api(person)
        await passkey.register(api)
        await passkey.show(api)
        await api.begin_passkey(m.Empty())
        sessions = running._sessions
    async with serving(tmp_path, keeper) as running:
        running._sessions = sessions
        api = await running.api(person)
        with pytest.raises(NeedsPasskey):
            await api.begin_passkey(m.Empty())
        await passkey.show(api)
        await api.begin_passkey(m.Empty())
