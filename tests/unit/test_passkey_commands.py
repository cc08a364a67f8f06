"""``coffre patient passkeys`` and ``coffre practitioner passkeys``: what may be typed, and what is shown."""

import json
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from crypto.secret_bytes import SecretBytes
from crypto.wire.passkeys import Passkey, Passkeys
from vault_client import __main__ as program
from vault_client.commands import profiles
from vault_client.device_store import DeviceStore

OURS, OTHER = bytes([1]) * 32, bytes([2]) * 32


class Account:
    """An account's passkeys, without a server."""

    def __init__(self) -> None:
        self.own = OURS
        self.ids = [OURS, OTHER]
        self.each_session = False

    async def known(self) -> Passkeys:
        """All of them."""
        entries = (Passkey(credential=each, added=86_400, synced=each == OTHER) for each in self.ids)
        return Passkeys(passkeys=tuple(entries), each_session=self.each_session)

    async def add(self) -> None:
        """One more."""
        self.ids.append(bytes([3]) * 32)

    async def remove(self, credential: bytes) -> None:
        """One less."""
        self.ids.remove(credential)

    async def set_each_session(self, *, required: bool) -> None:
        """The setting."""
        self.each_session = required


@pytest.fixture
def account(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Account]:
    """The account of whoever runs a command."""
    made = Account()
    monkeypatch.setattr(sys.stdin, "isatty", lambda: False, raising=False)
    with DeviceStore.create_with_key(tmp_path / "profile", SecretBytes.random()) as store:

        @asynccontextmanager
        async def opened(*_: Any) -> AsyncIterator[Any]:
            yield SimpleNamespace(passkeys=made), store

        monkeypatch.setattr(profiles, "patient", opened)
        monkeypatch.setattr(profiles, "practitioner", opened)
        yield made


def run(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, Any]:
    """One command with --json."""
    code = program.main([*words, "--json"])
    return code, json.loads(capsys.readouterr().out)


@pytest.mark.parametrize("noun", ["patient", "practitioner"])
def test_passkeys_are_listed_added_and_removed(
    noun: str, account: Account, capsys: pytest.CaptureFixture[str]
) -> None:
    """Each command ends by saying what there is; one is removed by its number or id, with a yes."""
    code, shown = run(capsys, noun, "passkeys")
    assert (code, shown["each_session"]) == (0, False)
    assert [(each["id"], each["here"], each["synced"]) for each in shown["passkeys"]] == [
        (OURS.hex(), True, False),
        (OTHER.hex(), False, True),
    ]
    assert len(run(capsys, noun, "passkeys", "add")[1]["passkeys"]) == 3
    assert run(capsys, noun, "passkeys", "--each-session", "on")[1]["each_session"]
    assert not run(capsys, noun, "passkeys", "--each-session", "off")[1]["each_session"]
    assert run(capsys, noun, "passkeys", "remove", "2", "--yes")[0] == 0
    assert OTHER not in account.ids
    assert run(capsys, noun, "passkeys", "remove", OURS.hex()[:8], "--yes")[0] == 0
    assert len(account.ids) == 1


@pytest.mark.parametrize(
    "words",
    [
        ("remove",),
        ("remove", "1"),
        ("add", "1"),
        ("forget",),
        ("--each-session", "maybe"),
        ("remove", "9", "--yes"),
    ],
)
def test_what_cannot_be_meant_is_not_done(
    words: tuple[str, ...], account: Account, capsys: pytest.CaptureFixture[str]
) -> None:
    """A missing name, a name too many, a missing yes, an unknown word: exit code 2, and nothing changes."""
    code, shown = run(capsys, "patient", "passkeys", *words)
    assert (code, shown["error"]) == (2, "Usage")
    assert (account.ids, account.each_session) == ([OURS, OTHER], False)


def test_people_read_where_a_passkey_is(account: Account, capsys: pytest.CaptureFixture[str]) -> None:
    """This device's is marked; where there is none, how to make one is said."""
    assert program.main(["patient", "passkeys"]) == 0
    assert "on this device" in capsys.readouterr().out
    account.ids.clear()
    assert program.main(["patient", "passkeys"]) == 0
    assert "coffre patient passkeys add" in capsys.readouterr().out
