"""The recovery kit on a terminal: shown and typed where it is seen, checked, and wiped."""

import os
import pty
import re
import signal
import subprocess
import sys
from argparse import Namespace
from collections.abc import Iterator, Sequence

import pytest

from crypto.errors import NotPermitted
from crypto.labels import SUITE
from crypto.sealed.recovery import Kit, KitFile
from crypto.secret_bytes import SecretBytes
from crypto.statements import RootRef
from vault_client.commands import kit_screen, secrets_input
from vault_client.commands.output import Usage

TEXT = Kit(SecretBytes(bytes(range(32)))).to_text()
GROUPS = TEXT.split("-")
KIT = KitFile(
    suite=SUITE,
    url="http://localhost",
    root=RootRef(version=1, digest=bytes(32)),
    identity=bytes(32),
    vault=None,
    text=TEXT,
)
FIRST, SECOND, CLEAR = "\x1b[?1049l", "\x1b[?1049h", "\x1b[H\x1b[2J"
SCRIPT = """
from argparse import Namespace
from vault_client.commands.secrets_input import typed_kit
try:
    print("READ", typed_kit(Namespace(kit_fd=None)).replace("-", "+"))
except EOFError:
    print("ENDED")
"""


def typed(lines: Sequence[str], language: str = "en") -> str:
    """What a terminal shows of typing ``lines`` for the recovery kit, and what was read of them."""
    ours, theirs = pty.openpty()
    environment = {**os.environ, "TERM": "xterm", "COFFRE_LANG": language, "COLUMNS": "100"}
    with subprocess.Popen(
        [sys.executable, "-c", SCRIPT], stdin=theirs, stdout=theirs, stderr=theirs, env=environment
    ) as running:
        os.close(theirs)
        shown = b""
        while b" 14" not in shown:  # what is typed before the first question answers nothing
            shown += os.read(ours, 4096)
        os.write(ours, "".join(f"{line}\n" for line in lines).encode() + b"\x04")
        shown += b"".join(_read(ours))
        running.wait(60)
    os.close(ours)
    return shown.decode()


def _read(terminal: int) -> Iterator[bytes]:
    while True:
        try:
            data = os.read(terminal, 4096)
        except OSError:  # how a terminal ends
            return
        if not data:
            return
        yield data


def parts(shown: str) -> tuple[str, str, str]:
    """What is shown before the second screen, on it, and behind it, where nothing of it is left."""
    before, on, behind = re.split(r"\x1b\[\?1049[hl]", shown)
    assert on.startswith(CLEAR)
    assert on.endswith(CLEAR)
    assert SECOND in shown
    assert FIRST in shown
    return before, on, behind


def test_a_kit_is_seen_while_it_is_typed_and_then_wiped() -> None:
    """Each group is asked for by its number; what was typed stays on the second screen, and the kit is read."""
    _, on, behind = parts(typed([GROUPS[0].lower(), *GROUPS[1:]], "fr"))
    assert all(f"Groupe {number} sur 14\N{NO-BREAK SPACE}:" in on for number in range(1, 15))
    assert f"READ {'+'.join([GROUPS[0].lower(), *GROUPS[1:]]).upper()}" in behind
    assert not any(group in behind.replace("+".join(GROUPS), "") for group in GROUPS)


def test_a_mistyped_group_is_asked_for_again() -> None:
    """What cannot be a group is refused at once, and only that group is typed again; several may be pasted at once."""
    lines = [GROUPS[0], "ABC", "AB18", "", "-".join(GROUPS[1:5]), " ".join(GROUPS[5:13]), GROUPS[13] * 2]
    _, on, behind = parts(typed([*lines, GROUPS[13]]))
    assert on.count("A group of a recovery kit has four characters") == 3
    assert on.count("Group 2 of 14:") == 4
    assert on.count("There are 14 groups in all") == 1
    assert f"READ {'+'.join(GROUPS)}" in behind


def test_a_wrong_group_is_found_by_comparing() -> None:
    """Groups that together are no kit are shown with their numbers, and one is typed again, until they are one."""
    wrong = [*GROUPS[:6], "AAAA", *GROUPS[7:]]
    _, on, behind = parts(typed([*wrong, "15", "x", "7", "BBBB", "7", GROUPS[6]]))
    assert on.count("together they are no kit") == 2
    assert on.count("Number of the group that is wrong:") == 4
    assert "   7  AAAA" in on
    assert "   7  BBBB" in on
    assert f"READ {'+'.join(GROUPS)}" in behind


def test_a_kit_not_typed_to_the_end_is_wiped_too() -> None:
    """Whoever stops in the middle leaves nothing on the screen."""
    *_, behind = parts(typed(GROUPS[:3]))
    assert "ENDED" in behind
    assert not any(group in behind for group in GROUPS)


@pytest.mark.parametrize(("term", "is_seen"), [("xterm", True), ("dumb", False), (None, False)])
def test_what_cannot_be_wiped_is_not_seen(
    monkeypatch: pytest.MonkeyPatch, term: str | None, is_seen: bool
) -> None:
    """On a terminal without a second screen the kit is typed as a passphrase is."""
    monkeypatch.setattr(kit_screen, "typed_kit", lambda: "seen")
    monkeypatch.setattr(secrets_input, "getpass", lambda _: "unseen")
    for stream in (sys.stdin, sys.stderr):
        monkeypatch.setattr(stream, "isatty", lambda: True, raising=False)
    if term is None:
        monkeypatch.delenv("TERM", raising=False)
    else:
        monkeypatch.setenv("TERM", term)
    assert secrets_input.typed_kit(Namespace(kit_fd=None)) == ("seen" if is_seen else "unseen")


def test_a_kit_comes_from_a_descriptor_or_not_at_all(monkeypatch: pytest.MonkeyPatch) -> None:
    """A program hands the kit in; where there is neither that nor a terminal, nobody waits for it."""
    reading, writing = os.pipe()
    os.write(writing, f"{TEXT}\n".encode())
    os.close(writing)
    assert secrets_input.typed_kit(Namespace(kit_fd=reading)) == TEXT
    os.close(reading)
    monkeypatch.setattr(sys.stdin, "isatty", lambda: False, raising=False)
    with pytest.raises(Usage):
        secrets_input.typed_kit(Namespace(kit_fd=None))


@pytest.mark.parametrize(("answer", "kept"), [("OK", True), ("ok ", True), ("", False), ("later", False)])
def test_a_new_kit_is_confirmed_and_wiped(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], answer: str, kept: bool
) -> None:
    """Each group is shown once, with its number, and enrolment goes on only after OK."""
    monkeypatch.setattr(sys.stdin, "isatty", lambda: True, raising=False)
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True, raising=False)
    monkeypatch.setattr("builtins.input", lambda _: answer)
    monkeypatch.setenv("TERM", "xterm")
    keep = secrets_input.kit_keeper(Namespace(kit=None, json=False))
    if kept:
        keep(KIT)
    else:
        with pytest.raises(NotPermitted):
            keep(KIT)
    _, on, behind = parts(capsys.readouterr().out)
    for number, group in enumerate(GROUPS, 1):
        assert on.count(f"{number:>4}  {group}") == 1
    assert behind == ""


def test_what_cannot_be_wiped_is_not_said_to_be(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """On a terminal without a second screen a new kit stays, and nothing else is said."""
    monkeypatch.setattr("builtins.input", lambda _: "OK")
    for term, said in (("xterm", 1), ("dumb", 0)):
        monkeypatch.setenv("TERM", term)
        kit_screen.show_kit(KIT)
        assert capsys.readouterr().out.count("wiped") == said


def test_a_passphrase_is_never_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    """Also where the kit would be seen, a passphrase is asked for with nothing shown."""
    monkeypatch.setattr(secrets_input, "getpass", lambda _: "a passphrase")
    for stream in (sys.stdin, sys.stderr):
        monkeypatch.setattr(stream, "isatty", lambda: True, raising=False)
    monkeypatch.setenv("TERM", "xterm")
    assert secrets_input.passphrase(Namespace(passphrase_fd=None)) == "a passphrase"


def test_what_shows_the_kit_is_not_suspended(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ctrl-Z does nothing while the kit stands there: it would stay on the second screen, beside the shell."""
    before, meanwhile = signal.getsignal(signal.SIGTSTP), []

    def answered(_: str) -> str:
        meanwhile.append(signal.getsignal(signal.SIGTSTP))
        return "ok"

    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setattr("builtins.input", answered)
    kit_screen.show_kit(
        KitFile(
            suite=SUITE,
            url="https://example.org",
            root=RootRef(version=1, digest=bytes(32)),
            identity=bytes(32),
            vault=None,
            text=TEXT,
        )
    )
    assert meanwhile == [signal.SIG_IGN]
    assert signal.getsignal(signal.SIGTSTP) == before
