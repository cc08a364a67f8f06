"""The keeper over HTTP, and as a program beside a server on loopback."""

import asyncio
import hashlib
import json
import signal
import socket
import sys
from collections.abc import AsyncIterator
from io import BytesIO, StringIO
from pathlib import Path
from urllib.parse import urlsplit

import aiohttp
import pytest

from crypto.checkpoint import MAX_NOTE, CosignerKey, LogKey, cosignatures, open_checkpoint
from crypto.encoding import decode, encode
from crypto.errors import NotFound, TooLarge, Unreachable
from crypto.identity_links import ReadingKey
from crypto.sealed.unsealing import UnsealingKey
from crypto.signing import VerifyKey
from crypto.trust_root import card_text
from crypto.wire.keeper_api import (
    MAX_CHAIN_QUESTION,
    MAX_QUESTION,
    OPERATIONS,
    PREFIX,
    IdentityHeadQuery,
    KeeperCard,
    ReleaseAnswer,
)
from crypto.wire.messages import MAX_MESSAGE, Empty, Health, TrustRootChain, Version
from crypto.wire.problems import MEDIA_TYPE, Problem
from tests.support.keeper_story import Story, keeper_story
from tests.support.log_server import log_server, serving
from tests.support.people import LOG, fresh
from tests.support.small_log import LoggedService
from vault_server.keeper import app
from vault_server.keeper import source as source_module
from vault_server.keeper.__main__ import main
from vault_server.keeper.app import make_app
from vault_server.keeper.event_log import EventLog
from vault_server.keeper.service import announce
from vault_server.keeper.source import HttpSource

JSON = {"Content-Type": "application/json"}
NAME = hashlib.sha256(LOG.encode()).hexdigest()


class Client:
    """Speaks to one keeper."""

    def __init__(self, session: aiohttp.ClientSession, url: str, story: Story, written: StringIO) -> None:
        self._session, self._url = session, url
        self.story, self.written = story, written

    async def ask(
        self, method: str, path: str, body: bytes = b"", headers: dict[str, str] | None = None
    ) -> tuple[int, str, bytes]:
        """Status, content type and body of an answer."""
        async with self._session.request(
            method, self._url + path, data=BytesIO(body), headers=headers
        ) as answer:
            return answer.status, answer.headers.get("Content-Type", ""), await answer.read()


@pytest.fixture
async def client(tmp_path: Path) -> AsyncIterator[Client]:
    """A granted document, and its keeper served on loopback."""
    async with (
        keeper_story(tmp_path / "keeper") as story,
        serving(make_app(story.keeper, EventLog(written := StringIO()))) as url,
        aiohttp.ClientSession() as session,
    ):
        yield Client(session, url, story, written)


async def test_a_release_travels(client: Client) -> None:
    """A question as canonical JSON is answered with the sealed shares."""
    query = await client.story.query()
    status, kind, body = await client.ask("POST", f"{PREFIX}/release", encode(query), JSON)
    assert (status, kind) == (200, "application/json")
    assert client.story.opened(query, decode(body, ReleaseAnswer))


async def test_the_card_health_and_version_travel(client: Client) -> None:
    """Who asks learns the public half, whether the keeper can answer, and what it is."""
    _, _, card = await client.ask("POST", f"{PREFIX}/card", encode(Empty()), JSON)
    assert decode(card, KeeperCard) == client.story.card
    _, _, health = await client.ask("GET", "/coffre/health")
    assert decode(health, Health).ok
    _, _, version = await client.ask("GET", "/coffre/version")
    assert decode(version, Version).name == "coffre keeper"


async def test_add_checkpoint_answers_as_tlog_witness_says(client: Client) -> None:
    """A cosignature line; the known size as text/x.tlog.size; the cosigned head for monitors."""
    shard = client.story.service.shard
    known = len(shard.leaves)
    shard.fill(2)
    body = shard.extension(known).encode()
    status, _, line = await client.ask("POST", "/add-checkpoint", body)
    assert (status, line.startswith("— keeper-0 ".encode())) == (200, True)
    status, kind, size = await client.ask("POST", "/add-checkpoint", body)
    assert (status, kind, size) == (409, "text/x.tlog.size", b"%d\n" % (known + 2))
    status, _, note = await client.ask("GET", f"/{NAME}/checkpoint")
    assert note.endswith(line)
    assert open_checkpoint(note, LogKey(LOG, shard.key.public)).size == known + 2


@pytest.mark.parametrize(
    ("body", "headers", "status", "code"),
    [
        (b"{}", {"Content-Type": "text/plain"}, 400, "malformed"),
        (b"{", JSON, 400, "malformed"),
        (b'{"nothing":1}', JSON, 400, "malformed"),
        (b"{} ", JSON, 400, "malformed"),
        (b"\xff", JSON, 400, "malformed"),
        (b"{}", {**JSON, "Content-Encoding": "br"}, 400, "malformed"),
        (b" " * (MAX_CHAIN_QUESTION + 1), JSON, 413, "too-large"),
    ],
    ids=["content-type", "cut", "unknown field", "space", "not UTF-8", "compressed", "too large"],
)
async def test_bad_input_is_a_problem_document(
    client: Client, body: bytes, headers: dict[str, str], status: int, code: str
) -> None:
    """Whatever is not a question is refused in words, and nothing is opened."""
    for operation in OPERATIONS:
        answered, kind, answer = await client.ask("POST", f"{PREFIX}/{operation.name}", body, headers)
        assert (answered, kind) == (status, MEDIA_TYPE)
        assert decode(answer, Problem).type == f"coffre:{code}"


async def _show_long_chain(story: Story) -> bytes:
    """A true question about a chain of more bytes than other questions may have."""
    public, before = UnsealingKey.generate().public, 1
    while len(question := encode(IdentityHeadQuery(chain=story.reader.chain))) <= MAX_QUESTION:
        numbers = range(before, before + 64)
        story.reader.add(*(ReadingKey(number=n, key=public, keyring=fresh()) for n in numbers))
        before += 64
    await story.service.publish_all(story.keeper)
    return question


async def test_long_chains_are_read(client: Client) -> None:
    """Questions that show chains may have eight times the bytes of others."""
    question = await _show_long_chain(client.story)
    status, _, _ = await client.ask("POST", f"{PREFIX}/identity_head", question, JSON)
    assert status == 200
    release = encode(await client.story.query())
    assert len(release) > MAX_QUESTION
    status, _, _ = await client.ask("POST", f"{PREFIX}/release", release, JSON)
    assert status == 200
    status, _, _ = await client.ask("POST", f"{PREFIX}/end", question, JSON)
    assert status == 413


async def test_long_questions_have_their_share_of_memory(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What does not fit beside the long questions that are being read is refused; short ones are not."""
    question = await _show_long_chain(client.story)
    monkeypatch.setattr(app, "LONG_BYTES", MAX_QUESTION)
    monkeypatch.setattr(app, "PATIENCE", 0.1)
    async with (
        serving(make_app(client.story.keeper, EventLog(StringIO()))) as url,
        aiohttp.ClientSession() as session,
    ):
        full = Client(session, url, client.story, client.written)
        status, _, _ = await full.ask("POST", f"{PREFIX}/identity_head", question, JSON)
        assert status == 200  # one is always read
        address = urlsplit(url)
        _, writer = await asyncio.open_connection(address.hostname, address.port)
        head = f"POST {PREFIX}/identity_head HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: "
        writer.write(f"{head}{2 * MAX_QUESTION}\r\n\r\n".encode() + bytes(MAX_QUESTION))
        try:
            for _ in range(100):  # until what was sent has arrived
                status, _, _ = await full.ask("POST", f"{PREFIX}/identity_head", question, JSON)
                if status == 429:
                    break
            assert status == 429
            status, _, _ = await full.ask("POST", f"{PREFIX}/card", encode(Empty()), JSON)
            assert status == 200
        finally:
            writer.close()
            await writer.wait_closed()


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/", 404),
        ("GET", f"/{'0' * 64}/checkpoint", 404),
        ("POST", f"{PREFIX}/nothing", 404),
        ("GET", f"{PREFIX}/release", 405),
    ],
)
async def test_what_is_not_there_is_a_problem_document(
    client: Client, method: str, path: str, status: int
) -> None:
    """Unknown addresses and methods are answered in the same form."""
    answered, kind, answer = await client.ask(method, path)
    assert (answered, kind, decode(answer, Problem).status) == (status, MEDIA_TYPE, status)


async def test_an_oversized_checkpoint_is_refused(client: Client) -> None:
    """More than any checkpoint needs is not read."""
    status, _, _ = await client.ask("POST", "/add-checkpoint", b"x" * (MAX_NOTE * 2))
    assert status == 413


async def test_a_bug_says_nothing_about_itself(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    """An unexpected error is a problem document without details, and one log line without them too."""

    def broken(name: str) -> bytes:
        raise KeyError("a secret")

    monkeypatch.setattr(client.story.keeper, "cosigned_checkpoint", broken)
    status, kind, body = await client.ask("GET", f"/{NAME}/checkpoint")
    assert (status, kind) == (500, MEDIA_TYPE)
    written = client.written.getvalue()
    assert "KeyError" in written
    assert b"secret" not in body
    assert "secret" not in written


async def test_the_program_starts_before_its_server_and_stops_in_order(tmp_path: Path) -> None:
    """init, serve without a server: it is up and says “try again”; with the server it cosigns; SIGTERM ends it with 0."""
    program = [sys.executable, "-m", "vault_server.keeper"]
    data, card_file = tmp_path / "keeper", tmp_path / "instance-card.json"
    init = [*program, "init", "--data", str(data), "--url", "http://127.0.0.1:1", "--name", "keeper-0"]
    assert await (await asyncio.create_subprocess_exec(*init, stdout=asyncio.subprocess.DEVNULL)).wait() == 0
    card = decode((data / "keeper-card.json").read_bytes().strip(), KeeperCard)
    service = LoggedService(card)
    service.silent = True
    service.shard.fill(300)
    card_file.write_text(card_text(service.card))
    async with log_server(service) as url, aiohttp.ClientSession() as session:
        serve = [
            *program,
            "serve",
            "--data",
            str(data),
            "--server",
            url,
            "--card",
            str(card_file),
            "--port",
            "0",
            "--json",
        ]
        process = await asyncio.create_subprocess_exec(
            *serve, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
        )
        assert process.stdout is not None
        ready = json.loads(await process.stdout.readline())
        assert ready["ready"]
        body = service.shard.extension(0).encode()
        async with session.post(ready["serving"] + "/add-checkpoint", data=body) as answer:
            assert answer.status == 503
        service.silent = False
        line = b""
        for _ in range(300):
            async with session.post(ready["serving"] + "/add-checkpoint", data=body) as answer:
                if answer.status == 200:
                    line = await answer.read()
                    break
            await asyncio.sleep(0.1)
        cosigner = CosignerKey("keeper-0", VerifyKey(card.cosigning_key))
        assert cosignatures(service.shard.note() + line, [cosigner])
        process.send_signal(signal.SIGTERM)
        _, errors = await process.communicate()
        assert process.returncode == 0
        assert {json.loads(each)["event"] for each in errors.splitlines()} >= {"counters", "stopped"}


def test_what_is_said_is_for_people_unless_json_is_asked_for(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """``init``, and ``serve`` once it listens, say a sentence in the reader's language; with --json, one object."""
    init = [
        "init",
        "--data",
        str(tmp_path),
        "--url",
        "http://127.0.0.1:1",
        "--name",
        "keeper-0",
        "--operator",
        "Ada",
    ]
    at = ("http://127.0.0.1:1", "http://127.0.0.1:8765")
    monkeypatch.setenv("COFFRE_LANG", "fr")
    assert main(init) == 0
    announce(*at, as_json=False)
    assert capsys.readouterr().out.splitlines() == [
        f"Le gardien keeper-0 est prêt dans {tmp_path}. Sa carte est {tmp_path}/keeper-card.json.",
        "Le gardien répond à http://127.0.0.1:1, pour le serveur de coffres à http://127.0.0.1:8765.",
    ]
    assert main([*init, "--json"]) == 0
    announce(*at, as_json=True)
    assert list(map(json.loads, capsys.readouterr().out.splitlines())) == [
        {
            "name": "keeper-0",
            "url": "http://127.0.0.1:1",
            "operator": "Ada",
            "card": f"{tmp_path}/keeper-card.json",
        },
        {"ready": True, "serving": "http://127.0.0.1:1"},
    ]


@pytest.mark.parametrize(
    ("options", "code", "words"),
    [
        (["--server", "http://127.0.0.1:1", "--card", "no-card"], 1, "instance card"),
        (["--server", "http://vault.example", "--card", "no-card"], 1, "https://"),
    ],
)
def test_the_program_refuses_in_words(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], options: list[str], code: int, words: str
) -> None:
    """A missing card and an address without TLS each end the program with a sentence and exit code 1."""
    assert main(["serve", "--data", str(tmp_path), *options]) == code
    assert words in capsys.readouterr().err


async def test_a_lost_store_ends_the_program_of_an_only_keeper(tmp_path: Path) -> None:
    """Started without its store, the program says what that means and how to go on, and ends with 3."""
    async with keeper_story(tmp_path / "k", granted=False) as story:
        service = story.service
    (tmp_path / "k" / "keeper.db").unlink()
    (tmp_path / "card.json").write_text(card_text(service.card))
    async with log_server(service) as url:
        program = await asyncio.create_subprocess_exec(
            *(
                sys.executable,
                "-m",
                "vault_server.keeper",
                "serve",
                "--data",
                str(tmp_path / "k"),
                "--port",
                "0",
            ),
            *("--server", url, "--card", str(tmp_path / "card.json")),
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.PIPE,
        )
        _, said = await program.communicate()
    assert program.returncode == 3
    assert b"--accept-lost-store" in said


def test_a_taken_address_ends_the_program(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Where something else listens, the program says so and ends with 3."""
    assert main(["init", "--data", str(tmp_path), "--url", "http://127.0.0.1:1"]) == 0
    card = decode((tmp_path / "keeper-card.json").read_bytes().strip(), KeeperCard)
    (tmp_path / "instance-card.json").write_text(card_text(LoggedService(card).card))
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        options = ["--server", "http://127.0.0.1:1", "--card", str(tmp_path / "instance-card.json")]
        assert main(["serve", "--data", str(tmp_path), *options, "--port", port]) == 3
    assert "cannot listen" in capsys.readouterr().err


async def test_a_long_chain_of_trust_roots_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """More than other answers may have, as a new keeper reads them from the first on; not more than there is room for."""
    async with keeper_story(tmp_path / "keeper") as story, log_server(story.service) as url:
        many = [story.service.signed_root] * 400
        story.service.chain = many
        assert len(encode(TrustRootChain(chain=tuple(many)))) > MAX_MESSAGE
        source = HttpSource(url)
        assert (await source.trust_roots(0)).chain == tuple(many)
        monkeypatch.setattr(source_module, "MAX_TRUST_ROOTS", MAX_MESSAGE)
        with pytest.raises(TooLarge):
            await source.trust_roots(0)
        await source.close()


async def test_the_source_is_read_over_http(tmp_path: Path) -> None:
    """Checkpoints, bundles and trust roots come over HTTP; a silent or closed server is Unreachable in words."""
    async with keeper_story(tmp_path / "keeper") as story, log_server(story.service) as url:
        source = HttpSource(url)
        assert await source.checkpoint(LOG) == story.service.published[LOG]
        assert (await source.trust_roots(0)).chain == (story.service.signed_root,)
        with pytest.raises(NotFound):
            await source.checkpoint(f"{LOG}7")
        await source.close()
    with pytest.raises(Unreachable):
        await source.checkpoint(LOG)
    await source.close()
