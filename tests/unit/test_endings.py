"""How a command ends when it is stopped, when nobody reads what it says, and when the system refuses a path."""

import asyncio
import json
import os
import signal
import socket
import subprocess
import sys
import textwrap
from argparse import Namespace
from contextlib import nullcontext
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from crypto.descriptors import Descriptor
from crypto.errors import Full, NotPermitted, Unreachable
from languages.asking import at_terminal
from vault_client import __main__ as program
from vault_client.changes import (
    AddDocument,
    AmendGrant,
    AnyChange,
    BlockIdentity,
    DeleteDocument,
    EndGrant,
    ExtendGrant,
    MaskDocument,
    QueuedChange,
    WithdrawDocuments,
)
from vault_client.commands import output, profiles, secrets_input
from vault_client.commands.output import Screen
from vault_client.local_vault import GrantedVersion
from vault_client.stop_signals import ended_at_once, ended_between_callbacks, ended_in_order

COFFRE = (sys.executable, "-m", "vault_client")
ENDING = [getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)]
LETTER = AddDocument(
    doc=bytes(16),
    ver=bytes(16),
    key=bytes(32),
    descriptor=Descriptor(title="letter", category="", author="", mime="", date="", length=6),
    sealed_descriptor=b"",
    length=88,
    part_hashes=(bytes(32),),
)
posix = pytest.mark.skipif(sys.platform == "win32", reason="signals, /dev/full and modes are POSIX")


def python(script: str, *words: str, **rest: Any) -> subprocess.CompletedProcess[str]:
    """Run ``script`` in a process of its own."""
    command = [sys.executable, "-c", textwrap.dedent(script), *words]
    return subprocess.run(command, capture_output=True, text=True, check=False, **rest)


@posix
@pytest.mark.parametrize("number", ENDING)
def test_a_signal_to_end_ends_in_order(number: int) -> None:
    """Ctrl-C, SIGTERM and SIGHUP in the middle of a command: 130, one object, and no traceback."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}"
        waiting = subprocess.Popen(
            [*COFFRE, "log", "verify", "--server", url, "--json"],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        connection, _ = silent.accept()
        with connection:
            waiting.send_signal(number)
            out, err = waiting.communicate(timeout=60)
    assert (waiting.returncode, json.loads(out)["error"], err) == (130, "Stopped", b"")


@posix
def test_a_signal_that_is_ignored_stays_so() -> None:
    """What ``nohup`` and a shell's background switched off is not switched on; SIGTERM still ends the command."""
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN), signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        with ended_in_order():
            assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
            with ended_at_once():
                assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN
            with pytest.raises(KeyboardInterrupt):
                signal.raise_signal(signal.SIGTERM)
        assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL
    finally:
        signal.signal(signal.SIGHUP, before[0])
        signal.signal(signal.SIGINT, before[1])


@pytest.mark.parametrize("is_ours", [True, False])
def test_ctrl_c_waits_for_the_callback_that_runs(is_ours: bool) -> None:
    """Pressed while the loop gives a future its result: nothing is printed. asyncio alone prints a traceback."""
    told: list[dict[str, Any]] = []

    async def pressed_within_a_callback() -> None:
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(lambda _, context: told.append(context))
        answered: asyncio.Future[None] = loop.create_future()

        def answer() -> None:
            if not answered.done():
                signal.raise_signal(signal.SIGINT)
                answered.set_result(None)

        loop.call_soon(answer)
        await answered
        await asyncio.sleep(60)

    main = pressed_within_a_callback()
    with pytest.raises(KeyboardInterrupt):
        asyncio.run(ended_between_callbacks(main) if is_ours else main)
    assert bool(told) is not is_ours


def test_a_question_is_left_at_the_first_ctrl_c(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever is asked for the passphrase need not press Ctrl-C twice."""

    def wait(_: str) -> str:
        signal.raise_signal(signal.SIGINT)
        return "typed after all"

    monkeypatch.setattr(secrets_input, "getpass", wait)
    monkeypatch.setattr(sys.stdin, "isatty", lambda: True, raising=False)
    later: list[int] = []
    before = signal.signal(signal.SIGINT, lambda number, _: later.append(number))
    try:
        with pytest.raises(KeyboardInterrupt):
            secrets_input.passphrase(Namespace(passphrase_fd=None))
    finally:
        signal.signal(signal.SIGINT, before)
    assert later == []


def test_ctrl_c_while_the_program_is_loaded_is_answered() -> None:
    """What is loaded before ``main`` is next to nothing, and Ctrl-C during the rest is no traceback."""
    script = """
        import sys
        before = set(sys.modules)
        from vault_client.__main__ import main
        assert set(sys.modules) - before <= {"vault_client", "vault_client.__main__", "crypto"}

        class Pressed:
            def find_spec(self, name, path=None, target=None):
                if name == "asyncio":
                    sys.meta_path.remove(self)
                    raise KeyboardInterrupt

        class Earlier(Pressed):
            def find_spec(self, name, path=None, target=None):
                if name == "vault_client.commands":
                    sys.meta_path.remove(self)
                    raise KeyboardInterrupt

        for pressed in (Earlier(), Pressed()):
            sys.meta_path.insert(0, pressed)
            print(main(["log", "verify", "--server", "http://127.0.0.1:1"]))
    """
    done = python(script)
    assert (done.returncode, done.stdout) == (0, "130\n130\n")
    assert done.stderr.count("Stopped.") == 2
    assert "Traceback" not in done.stderr


@posix
@pytest.mark.parametrize("words", [(), ("--json",)])
def test_what_cannot_be_written_out_is_said(words: tuple[str, ...]) -> None:
    """A full disk behind stdout: 3 and the reason on stderr; a bad question keeps its own code."""
    script = """
        import sys
        from vault_client import __main__ as program
        from vault_client.commands import log
        async def verify(arguments, screen):
            screen.table(("Id",), [("1234",)])
            screen.say("done")
        log.verify = verify
        raise SystemExit(program.main(sys.argv[1:]))
    """
    with Path("/dev/full").open("wb") as full:
        for server, code in ((("--server", "http://x"), 3), ((), 2)):
            done = subprocess.run(
                [sys.executable, "-c", textwrap.dedent(script), "log", "verify", *server, *words],
                stdout=full,
                stderr=subprocess.PIPE,
                check=False,
            )
            said = done.stderr.decode()
            assert (done.returncode, said[:8], said.count("\n")) == (code, "coffre: ", 1)
            assert ("No space left" in said) is (code == 3)


@posix
def test_a_reader_that_has_seen_enough_stops_nothing() -> None:
    """A closed pipe behind stdout: the command does all it was asked, and ends in 0."""
    script = """
        import sys
        from vault_client import __main__ as program
        from vault_client.commands import log
        async def verify(arguments, screen):
            for number in range(3):
                screen.say(str(number))
                screen.table(("Id",), [("1234",)])
            print("all of it", file=sys.stderr)
        log.verify = verify
        raise SystemExit(program.main(["log", "verify", "--server", "http://x"]))
    """
    reading, writing = os.pipe()
    os.close(reading)
    with os.fdopen(writing, "wb") as closed:
        done = subprocess.run(
            [sys.executable, "-c", textwrap.dedent(script)],
            stdout=closed,
            stderr=subprocess.PIPE,
            check=False,
        )
    assert (done.returncode, done.stderr) == (0, b"all of it\n")


def test_what_the_terminal_cannot_show_is_spelled_out(monkeypatch: pytest.MonkeyPatch) -> None:
    """A title with an accent is no error on a terminal that knows ASCII only, and closed streams are none at all."""
    done = python(
        'from vault_client.commands.output import Screen; Screen(as_json=False).say("été")',
        env={**os.environ, "PYTHONIOENCODING": "ascii"},
    )
    assert (done.returncode, done.stdout) == (0, "\\xe9t\\xe9\n")
    assert not at_terminal(None)
    for name in ("stdin", "stdout", "stderr"):
        monkeypatch.setattr(sys, name, None)
    Screen(as_json=False).say("text")
    Screen(as_json=False).refuse("Usage", "text")
    with pytest.raises(output.Usage):
        secrets_input.passphrase(Namespace(passphrase_fd=None))
    with pytest.raises(output.Usage):
        secrets_input.kit_keeper(Namespace(kit=None, json=False))


@posix
def test_a_path_that_the_system_refuses_is_no_bug(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """A name that is too long, or a folder one may not enter: 3, with the path and the reason."""
    card, long = tmp_path / "card", str(tmp_path / ("n" * 300))
    card.write_text("{}")
    for words in (
        ("get", "1", "-o", long),
        ("add", long),
        ("list", "--home", long),
        ("enrol", "--server", "http://127.0.0.1:1", "--kit", long),
    ):
        assert program.main(["patient", *words, "--json"]) == 3
        told = json.loads(capsys.readouterr().out)
        assert (told["error"], "File name too long" in told["message"], long in told["message"]) == (
            "Unavailable",
            True,
            True,
        )

    def locked(self: Path, **_: object) -> bool:
        raise PermissionError(13, "Permission denied", str(self))

    monkeypatch.setattr(Path, "exists", locked)
    assert program.main(["patient", "get", "1", "-o", "locked/out"]) == 3
    assert "locked/out could not be used (Permission denied)" in capsys.readouterr().err


@pytest.mark.parametrize("number", [1 << 40, 10**20, -1])
def test_a_number_that_is_no_descriptor_is_a_usage_error(number: int) -> None:
    """However large or small."""
    with pytest.raises(output.Usage):
        secrets_input.passphrase(Namespace(passphrase_fd=number))


@pytest.mark.parametrize(
    "error", [KeyboardInterrupt(), Full("Full."), Unreachable("Nobody."), NotPermitted("No.")]
)
@pytest.mark.parametrize("kept", [None, "kept", "sent"])
@pytest.mark.parametrize(
    ("words", "change"),
    [
        (("add", "{file}"), LETTER),
        (("delete", "0000", "--yes"), DeleteDocument(doc=bytes(16))),
        (("mask", "0000"), MaskDocument(doc=bytes(16), masked=True)),
        (("revoke", "0000"), EndGrant(gid=bytes(32))),
        (("block", "00" * 32), BlockIdentity(identity=bytes(32), blocked=True)),
        (("extend", "0000", "0000"), ExtendGrant(gid=bytes(32), documents=(bytes(16),))),
        (("withdraw", "0000", "0000"), WithdrawDocuments(gid=bytes(32), documents=(bytes(16),))),
        (
            ("amend", "0000", "--days", "7"),
            AmendGrant(gid=bytes(32), acts=None, purposes=None, expiry=7 * 24 * 3600),
        ),
    ],
)
def test_what_waits_is_said(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    words: tuple[str, ...],
    change: AnyChange,
    kept: str | None,
    error: BaseException,
) -> None:
    """Stopped, refused or unreached: a change that waits is named, with what that means; one that does not is not."""
    file = tmp_path / "letter"
    file.write_text("letter")

    async def fail(*_: object, **__: object) -> None:
        if kept is not None:
            record.asked = QueuedChange(id=b"\1" * 16, number=0, asked=0, change=change)
        raise error

    document = SimpleNamespace(doc=bytes(16), descriptor=SimpleNamespace(title="letter"))
    grant = SimpleNamespace(entry=SimpleNamespace(gid=bytes(32), recipient=bytes(32)))
    names = ("add", "delete", "mask", "revoke", "block", "extend", "withdraw", "amend")
    record = SimpleNamespace(
        asked=None,
        is_sent=lambda _: kept == "sent",
        granted=lambda _: [GrantedVersion(doc=bytes(16), ver=bytes(16), current=True)],
        documents=lambda: [document],
        grants=lambda: [grant],
        unanswered_grants=list,
        **dict.fromkeys(names, fail),
    )
    for how in ("patient", "unsent_patient"):
        monkeypatch.setattr(profiles, how, lambda *_: nullcontext((record, None)))
    code = program.main(["patient", *(word.format(file=file) for word in words), "--json"])
    told = json.loads(capsys.readouterr().out)
    assert code == {KeyboardInterrupt: 130, NotPermitted: 1}.get(type(error), 3)
    assert [each["id"] for each in told.get("queued", [])] == ([] if kept is None else ["01" * 16])
    is_end = isinstance(change, EndGrant)
    said = {
        "is kept on this device, and nobody has confirmed it": kept is not None and is_end,
        "No need to type it again": kept == "kept" and not is_end,
        "Whether it is in the record is not known": kept == "sent" and not is_end,
        "the grant is in force as it was": isinstance(change, WithdrawDocuments | AmendGrant),
    }
    assert {words: words in told["message"] for words in said} == said
