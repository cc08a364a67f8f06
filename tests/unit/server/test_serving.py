"""The program: started, used by its registrar, stopped and started again, with its real keeper beside it."""

import asyncio
import json
import signal
import socket
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import structlog

from crypto import labels, trust_root
from crypto.checkpoint import Checkpoint, parse_note, sign_checkpoint
from crypto.encoding import decode, encode
from crypto.identity_links import Chain, DisclosedLink
from crypto.signing import SigningKey
from crypto.trust_root import Accepted
from crypto.wire import messages as m
from crypto.wire.cards import IdentityCard, card_text
from crypto.wire.vault_api import PREFIX, VaultApi
from tests.contract.in_process import Clock, InProcess
from tests.contract.vault_story import Person, World
from vault_server.__main__ import main
from vault_server.cosigning import Behind, OtherRoot
from vault_server.directory_client import connected
from vault_server.http_client import HttpClient
from vault_server.instance import read_key
from vault_server.keepers import HttpKeepers
from vault_server.media_types import JSON
from vault_server.register import NAME
from vault_server.serve import announce

Start = Callable[[Path], Awaitable[tuple[asyncio.subprocess.Process, dict[str, Any]]]]


@pytest.fixture
async def start() -> AsyncIterator[Start]:
    """Runs servers, each until it is stopped, at the latest when the test ends."""
    running: list[asyncio.subprocess.Process] = []

    async def start_one(data: Path) -> tuple[asyncio.subprocess.Process, dict[str, Any]]:
        process, ready = await _start(data)
        running.append(process)
        return process, ready

    yield start_one
    for process in running:
        if process.returncode is None:
            process.kill()
            await process.communicate()


async def _start(data: Path) -> tuple[asyncio.subprocess.Process, dict[str, Any]]:
    """Run the server; returns its process and its ready line."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "vault_server", "serve", "--data", str(data), "--json"),
        *("--cover-leaves", "0", "--port", "0"),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    assert process.stdout is not None
    line = await asyncio.wait_for(process.stdout.readline(), 60)
    if not line:
        assert process.stderr is not None
        raise AssertionError((await process.stderr.read()).decode())
    return process, json.loads(line)


def card_of(ready: dict[str, Any]) -> trust_root.InstanceCard:
    """The instance card that a ready line names."""
    return trust_root.read_card(Path(ready["card"]).read_text())


async def stop(process: asyncio.subprocess.Process) -> str:
    """End it as an operator does; returns what it wrote on standard error."""
    process.send_signal(signal.SIGTERM)
    _, errors = await asyncio.wait_for(process.communicate(), 30)
    assert process.returncode == 0, errors.decode()
    return errors.decode()


async def _refused(*options: str) -> tuple[int | None, str]:
    """The exit code and words of a server that does not start."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "vault_server", "serve", *options), stderr=asyncio.subprocess.PIPE
    )
    _, errors = await asyncio.wait_for(process.communicate(), 30)
    return process.returncode, errors.decode()


def _files(data: Path) -> dict[Path, tuple[int, bytes]]:
    """When each file was written and what it holds, apart from the running database."""
    own = [path for part in ("server", "operator") for path in (data / part).rglob("*") if path.is_file()]
    return {
        path: (path.stat().st_mtime_ns, path.read_bytes())
        for path in own
        if not path.name.startswith("coffre.db")
    }


async def _trust_root(card: trust_root.InstanceCard) -> Accepted:
    async with connected(card) as directory:
        return directory.accepted


async def _published(url: str, query: m.PublishLink) -> m.Logged:
    client = HttpClient(url, 30)
    answer = await client.post(f"{PREFIX}/publish_link", JSON, encode(query), 1 << 20)
    await client.close()
    return decode(answer.body, m.Logged)


async def _directory_note(url: str) -> bytes:
    client = HttpClient(url, 30)
    answer = await client.get("/coffre/directory/checkpoint", 1 << 20)
    await client.close()
    return answer.body


async def _first_link(url: str, accepted: Accepted) -> tuple[Person, m.Logged]:
    class Unreached:
        root = accepted
        registrar = SigningKey.generate()

        def now(self) -> int:
            raise NotImplementedError

        async def api(self, person: Person | None = None) -> VaultApi:
            raise NotImplementedError

    world = World(Unreached())
    person = Person(world)
    logged = await _published(url, person.first)
    world.check(logged, person.first.envelope, world.directory)
    return person, logged


def _card_file(path: Path, url: str, person: Person, logged: m.Logged) -> Path:
    """Somebody's card, written to ``path``."""
    shown = Chain(links=(DisclosedLink(envelope=person.first.envelope, disclosure=logged.disclosure),))
    path.write_text(card_text(IdentityCard(suite=labels.SUITE, url=url, chain=shown)))
    return path


async def test_the_program_serves_certifies_stops_and_goes_on(
    tmp_path: Path, start: Start, capsys: pytest.CaptureFixture[str]
) -> None:
    """Found, publish, certify by the operator's command, stop cleanly, start again on another port, still there."""
    process, ready = await start(tmp_path)
    card = card_of(ready)
    assert card.url == ready["serving"]
    accepted = await _trust_root(card)
    person, logged = await _first_link(ready["serving"], accepted)
    path = _card_file(tmp_path / "card.json", card.url, person, logged)
    certify = ["registrar", "certify", str(path), "--data", str(tmp_path), "--subject", "demo:1", "--json"]
    certify += ["--name", "Dr Exemple", "--profession", "general practitioner"]
    assert await asyncio.to_thread(main, certify) == 0
    assert json.loads(capsys.readouterr().out)["subject"] == "demo:1"
    assert await asyncio.to_thread(main, certify) == 1
    assert f"coffre: {path} is older than its identity's chain" in capsys.readouterr().err

    before = _files(tmp_path)
    code, errors = await _refused("--data", str(tmp_path), "--port", "0")
    assert code == 1
    assert "another process" in errors
    assert _files(tmp_path) == before

    keepers = HttpKeepers(accepted.root.live_keepers, 5)
    note = await _directory_note(card.url)
    with pytest.raises(Behind) as behind:
        await keepers.keepers[0].add_checkpoint(b"old 0\n\n" + note)
    assert behind.value.size == 2
    head = Checkpoint.parse(parse_note(note).text)
    other = sign_checkpoint(
        replace(head, root=bytes(32)), read_key(tmp_path / "server" / "keys" / "directory.key")
    )
    with pytest.raises(OtherRoot):
        await keepers.keepers[0].add_checkpoint(b"old 2\n\n" + other)
    await keepers.close()
    assert "too few keepers" not in await stop(process)

    process, ready = await start(tmp_path)
    card = card_of(ready)
    again = await _directory_note(card.url)
    assert again.splitlines()[:3] == note.splitlines()[:3]
    assert "too few keepers" not in await stop(process)


async def test_the_registrar_names_the_fault_and_keeps_a_register(
    tmp_path: Path, start: Start, capsys: pytest.CaptureFixture[str]
) -> None:
    """What is wrong with a request is said; a subject goes to a second identity only on purpose."""
    process, ready = await start(tmp_path)
    card = card_of(ready)
    accepted = await _trust_root(card)
    cards = []
    for number in range(2):
        person, logged = await _first_link(card.url, accepted)
        cards.append(_card_file(tmp_path / f"{number}.json", card.url, person, logged))
    letter = tmp_path / "letter.pdf"
    letter.write_bytes(b"%PDF-\xff")

    async def certify(path: Path, *more: str) -> tuple[int, str]:
        words = ["registrar", "certify", str(path), "--data", str(tmp_path), "--subject", "demo:1"]
        words += ["--name", "Dr Exemple", "--profession", "general practitioner", *more]
        code = await asyncio.to_thread(main, words)
        return code, capsys.readouterr().err

    for path, more, fault in (
        (letter, (), f"coffre: {letter} is not an identity's card."),
        (Path(ready["card"]), (), "is not an identity's card."),
        (tmp_path / "none.json", (), f"{tmp_path / 'none.json'} could not be read"),
        (cards[0], ("--subject", "rpps:1"), "does not certify the scheme rpps."),
        (cards[0], ("--subject", "10001234567"), "10001234567 is not a subject."),
    ):
        code, errors = await certify(path, *more)
        assert (code in (1, 3), fault in errors) == (True, True), errors
    assert not (tmp_path / "operator" / NAME).exists()

    assert await certify(cards[0]) == (0, "")
    code, errors = await certify(cards[1])
    assert code == 1
    assert "certify with --replace" in errors
    assert await certify(cards[1], "--replace") == (0, "")
    assert (await certify(cards[1]))[0] == 1  # the card is older than its chain: nothing is entered
    lines = [json.loads(line) for line in (tmp_path / "operator" / NAME).read_text().splitlines()]
    assert [line["subject"] for line in lines] == ["demo:1", "demo:1"]
    assert len({line["identity"] for line in lines}) == 2
    await stop(process)


async def test_a_killed_server_comes_back_with_what_it_acknowledged(tmp_path: Path, start: Start) -> None:
    """After kill -9 the keeper beside it is gone too, the next start takes both up, and every proof still holds."""
    process, ready = await start(tmp_path)
    card = card_of(ready)
    accepted = await _trust_root(card)
    people = [await _first_link(card.url, accepted) for _ in range(5)]
    process.kill()
    await process.communicate()
    process, ready = await start(tmp_path)
    for person, logged in people:
        again = await _published(ready["serving"], person.first)
        assert again.disclosure == logged.disclosure
    await stop(process)


async def test_starting_wrongly_is_refused_in_words(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Reachable without TLS: 1. A port in use, a folder that cannot be made: 3. No arguments: 2."""
    outside = ["serve", "--data", str(tmp_path), "--host", "0.0.0.0"]  # noqa: S104
    assert await asyncio.to_thread(main, outside) == 1
    assert "without TLS" in capsys.readouterr().err
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        code, errors = await _refused("--data", str(tmp_path / "data"), "--port", port)
    assert code == 3
    assert "cannot listen" in errors
    assert "Stop what listens there, or choose another --port." in errors
    assert not (tmp_path / "data").exists()
    (tmp_path / "file").touch()
    code, errors = await _refused("--data", str(tmp_path / "file" / "x"), "--port", "0")
    assert code == 3
    assert "could not be made" in errors
    assert "Nothing was started" in errors
    assert "Traceback" not in errors
    certify = [
        "registrar",
        "certify",
        "card",
        "--data",
        str(tmp_path),
        "--subject",
        "demo:1",
        "--name",
        "Dr X",
    ]
    certify += ["--profession", "general practitioner", "--days"]
    for words in (
        [],
        ["serve", "--data", str(tmp_path), "--port", "65536"],
        [*outside, "--port", "-1"],
        [*certify, "0"],
        [*certify, "401"],
    ):
        with pytest.raises(SystemExit) as usage:
            main(words)
        assert usage.value.code == 2


async def test_what_cannot_be_served_is_not_founded(tmp_path: Path) -> None:
    """A host that cannot stand in a log's name: 1. A certificate that cannot be read, or with another's key: 3."""
    serve = ["--data", str(tmp_path / "data"), "--port", "0"]
    missing, letter = tmp_path / "none.pem", tmp_path / "letter.pem"
    letter.write_text("no certificate")
    for more, code, said in (
        (["--public-host", "a b"], 1, "a b cannot stand in the names of its logs"),
        (
            ["--tls-cert", str(missing), "--tls-key", str(letter)],
            3,
            f"{missing} and {letter} are not a certificate",
        ),
        (["--tls-cert", str(letter), "--tls-key", str(letter)], 3, f"{letter} and"),
    ):
        ended, told = await _refused(*serve, *more)
        assert (ended, f"The server was not started: {said}" in told) == (code, True), told
    assert not (tmp_path / "data").exists()


async def test_without_its_keepers_card_nothing_is_made(tmp_path: Path) -> None:
    """A first start with a keeper whose card is not there is refused before any folder is made."""
    card = str(tmp_path / "keeper-card.json")
    code, errors = await _refused("--data", str(tmp_path / "data"), "--port", "0", "--keepers", card)
    assert (code, "keeper-card.json could not be read" in errors) == (3, True), errors
    assert not (tmp_path / "data").exists()


@pytest.mark.parametrize(
    ("with_keeper", "said", "unsaid"),
    [(True, "not independent", "No keeper"), (False, "No keeper was started", "stands beside")],
)
async def test_the_start_says_where_the_keeper_stands(
    running: InProcess, capsys: pytest.CaptureFixture[str], with_keeper: bool, said: str, unsaid: str
) -> None:
    """The line of a start names the keeper beside the server when there is one, and only then."""
    settings = running.vault.settings
    await announce(settings, running.vault, 8765, with_keeper=with_keeper, as_json=False)
    line = capsys.readouterr().out
    assert said in line
    assert unsaid not in line


@pytest.mark.parametrize(
    ("off", "said"), [(-1, ""), (86400, "1440 minutes before"), (-86400, "1440 minutes after")]
)
async def test_a_start_compares_the_clocks(
    running: InProcess, capsys: pytest.CaptureFixture[str], off: int, said: str
) -> None:
    """Keepers that sign another time than the server's are named when it starts, on the screen and in the log."""
    running.vault.log._clock = Clock(running.now() + off)
    running.vault.clock = running.vault.log._clock
    with structlog.testing.capture_logs() as lines:
        await announce(running.vault.settings, running.vault, 8765, with_keeper=True, as_json=False)
    told = capsys.readouterr()
    assert "answers at" in told.out
    assert (said in told.err, bool(told.err)) == (True, bool(said)), told.err
    assert [line["event"] for line in lines if "clocks" in line["event"]] == (
        ["the clocks of keepers and server differ"] if said else []
    )


@pytest.mark.parametrize("words", [("serve",), ("registrar", "certify"), ("registrar", "withdraw")])
def test_the_help_shows_what_is_typed(words: tuple[str, ...], capsys: pytest.CaptureFixture[str]) -> None:
    """The usage begins with the words that reached it, each once."""
    with pytest.raises(SystemExit):
        main([*words, "--help"])
    shown = capsys.readouterr().out
    assert shown.startswith(f"usage: coffre {' '.join(words)} [")
    defaults = {"serve": ("127.0.0.1)", "8765)", "300)"), "certify": ("365)",)}.get(words[-1], ())
    assert all(f"(default: {default}" in " ".join(shown.split()) for default in defaults)
