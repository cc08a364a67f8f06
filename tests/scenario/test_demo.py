"""``coffre demo`` as a person runs it, and a story told by one process after another."""

import asyncio
import json
import os
import signal
import socket
import stat
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from crypto.sealed.recovery import read_kit_file
from vault_client.demo.instance import Instance, running

COFFRE = (sys.executable, "-P", "-m", "vault_client")
FILES = {
    "lettre.txt": "Une lettre à ne pas perdre.\n".encode() * 30,
    "un dossier/image.png": b"\x89PNG\r\n\x1a\n" + bytes(range(256)) * 300,
    "un dossier/plus bas/vide": b"",
}


def coffre(
    *words: str | Path, secret: str | None = None, env: dict[str, str] | None = None
) -> tuple[int, Any, str]:
    """Run one command with --json. Returns its exit code, the object it wrote, and what went to stderr."""
    command, given = [*COFFRE, *map(str, words), "--json"], ()
    if secret is not None:
        reading, writing = os.pipe()
        os.write(writing, f"{secret}\n".encode())
        os.close(writing)
        command, given = [*command, "--passphrase-fd", str(reading)], (reading,)
    try:
        done = subprocess.run(
            command,
            check=False,
            capture_output=True,
            pass_fds=given,
            env={**os.environ, **(env or {})},
            timeout=120,
        )
    finally:
        for descriptor in given:
            os.close(descriptor)
    return done.returncode, json.loads(done.stdout) if done.stdout else None, done.stderr.decode()


def write_files(folder: Path) -> Path:
    """A folder with a few small files, one of them empty."""
    for name, data in FILES.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(data)
    return folder


def answers(url: str) -> bool:
    """Whether anybody listens at ``url``."""
    parts = urlsplit(url)
    try:
        socket.create_connection((str(parts.hostname), int(parts.port or 0)), 1).close()
    except OSError:
        return False
    return True


def urls_of(data: Path) -> list[str]:
    """Where the server and the keepers of a kept demo listened."""
    cards = [data / "server" / "instance-card.json", *data.glob("keeper-?/keeper-card.json")]
    return [json.loads(card.read_text())["url"] for card in cards]


@contextmanager
def instance(data: Path) -> Iterator[Instance]:
    """A running server with its keepers."""
    with asyncio.Runner() as runner:
        manager = running(data)
        started = runner.run(manager.__aenter__())
        try:
            yield started
        finally:
            runner.run(manager.__aexit__(None, None, None))


def test_the_demo_holds_and_everything_comes_back(tmp_path: Path) -> None:
    """The demo ends in 0 only when all held; what was received is what was sent; nothing it started is left."""
    documents, keep = write_files(tmp_path / "documents"), tmp_path / "kept"
    code, result, errors = coffre("demo", "--documents", documents, "--keep", keep)
    assert (code, result["problems"], result["ok"]) == (0, [], True), errors
    received = {each["path"]: each for each in result["documents"]}
    assert received.keys() == FILES.keys()
    for name, data in FILES.items():
        assert received[name]["identical"]
        assert (received[name]["bytes"], (keep / "practitioner-1" / "received" / name).read_bytes()) == (
            len(data),
            data,
        )
    assert [each for each in (keep / "practitioner-2" / "received").rglob("*") if each.is_file()] != []
    assert {each["attempt"]: each["held"] for each in result["refusals"]} == dict.fromkeys(
        (
            *(
                "not-granted",
                "tampered",
                "log-skipped",
                "receipt-skipped",
                "revoked",
                "revoked-earlier-receipt",
            ),
            *("hidden-end", "older-backup", "rollback", "fork"),
        ),
        True,
    )
    told = {each["attempt"]: f"{each['error']}: {each['message']}" for each in result["refusals"]}
    assert told["hidden-end"].startswith("NotFound: This was not released")
    assert told["older-backup"].startswith("Stale: The server stopped: its data folder is older")
    assert told["rollback"].startswith("NotProven: The log shown is older than one already seen")
    assert [(each["code"], len(each["proven"])) for each in result["evidence"]] == [
        ("ROLLBACK", 1),
        ("FORK", 1),
    ]
    for each in result["evidence"]:
        card = keep / "server" / "instance-card.json"
        code, checked, _ = coffre("evidence", "verify", keep / "evidence" / each["file"], "--card", card)
        assert code == 0
        for head in checked["heads"]:
            assert len(head["confirmed"]) >= 3
            assert all(named["independent"] for named in head["confirmed"])
            assert all(named["keeper"] == named["operator"] for named in head["confirmed"])
    assert result["log"]["alarms"] == []
    assert {each["kind"] for each in result["log"]["entries"]} == {
        "access",
        "refused",
        "change",
        "granted",
        "ended",
    }
    assert result["keepers"] == {"needed": 3, "of": 4, "independent": True}
    assert {"server", "keeper-1", "keeper-4", "operator", "patient", "practitioner-1", "practitioner-2"} <= {
        each.name for each in keep.iterdir()
    }
    assert not any(answers(url) for url in urls_of(keep))


def test_a_demo_that_is_told_to_stop_ends_what_it_started(tmp_path: Path) -> None:
    """SIGTERM in the middle of the story: the server and its keepers end with it."""
    keep = tmp_path / "kept"
    demo = subprocess.Popen(
        [
            *COFFRE,
            "demo",
            "--documents",
            str(write_files(tmp_path / "documents")),
            "--keep",
            str(keep),
            "--json",
        ],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    )
    try:
        while not (keep / "patient").exists() and demo.poll() is None:
            time.sleep(0.05)
        assert all(answers(url) for url in urls_of(keep))
        demo.send_signal(signal.SIGTERM)
        output, _ = demo.communicate(timeout=60)
    finally:
        demo.kill()
        demo.wait()
    assert (demo.returncode, json.loads(output)["error"], json.loads(output)["ok"]) == (130, "Stopped", False)
    assert not any(answers(url) for url in urls_of(keep))


def test_the_demo_touches_no_folder_that_is_in_use(tmp_path: Path) -> None:
    """--keep with a folder that holds something is refused, and the folder stays as it was."""
    (tmp_path / "mine").write_text("mine")
    code, result, _ = coffre("demo", "--keep", tmp_path)
    assert (code, result["error"], os.listdir(tmp_path)) == (1, "Conflict", ["mine"])


@pytest.mark.parametrize("documents", ["missing", "empty"])
def test_the_demo_needs_documents(tmp_path: Path, documents: str) -> None:
    """--documents with nothing in it is refused before anything starts."""
    (tmp_path / "empty").mkdir()
    code, result, _ = coffre("demo", "--documents", tmp_path / documents)
    assert (code, result["error"]) == (1, "NotPermitted")


def test_a_story_by_separate_processes(tmp_path: Path) -> None:
    """Every command by itself: enrol, add, authorise, read, log, revoke, verify; and what each refuses."""
    at_home, at_work = {"COFFRE_HOME": str(tmp_path / "home")}, {"COFFRE_HOME": str(tmp_path / "work")}
    letter, card, back = tmp_path / "lettre.txt", tmp_path / "card.json", tmp_path / "back"
    letter.write_bytes(FILES["lettre.txt"])

    def patient(*words: str | Path) -> Any:
        code, result, errors = coffre("patient", *words, secret="celui de Camille", env=at_home)
        assert code == 0, (result, errors)
        return result

    def refused(*words: str | Path) -> tuple[str, str]:
        code, result, _ = coffre("patient", *words, secret="celui de Camille", env=at_home)
        assert code == 1
        return result["error"], result["message"]

    def practitioner(*words: str | Path) -> tuple[int, Any]:
        code, result, _ = coffre("practitioner", *words, secret="celui du médecin", env=at_work)
        return code, result

    with instance(tmp_path / "data") as server:
        instance_card = server.data / "server" / "instance-card.json"
        enrolled = patient(
            "enrol", "--server", server.url, "--kit", tmp_path / "kit", "--name", "Camille Exemple"
        )
        kit = read_kit_file((tmp_path / "kit").read_text())
        assert (kit.url, kit.identity.hex(), (kit.vault or b"").hex()) == (
            server.url,
            enrolled["identity"],
            enrolled["vault"],
        )
        assert (enrolled["trust"], enrolled["keepers"]["independent"]) == ("first use", True)
        assert stat.S_IMODE((tmp_path / "kit").stat().st_mode) == 0o600
        code, result = practitioner("enrol", "--card", instance_card, "--kit", tmp_path / "kit-2")
        assert (code, result["trust"]) == (0, "instance card")
        assert read_kit_file((tmp_path / "kit-2").read_text()).vault is None
        assert practitioner("card", "-o", card)[0] == 0
        assert practitioner("card", "-o", letter)[1]["error"] == "Conflict"

        added = patient("add", letter, letter)["documents"]
        assert [each["title"] for each in added] == ["lettre", "lettre"]
        listed = patient("list")["documents"]
        assert {each["id"] for each in listed} == {each["id"] for each in added}
        error, message = refused("authorise", card, "1", "--yes")
        assert (error, "no certificate" in message) == ("NotPermitted", True)
        asyncio.run(server.certify(card, subject="demo:1", name="Dr X", profession="médecin"))
        assert [each["subject"] for each in practitioner("card", "-o", card)[1]["certificates"]] == ["demo:1"]

        grant = patient("authorise", card, "1", "--days", "30", "--yes")
        assert (grant["documents"], grant["state"]) == ([listed[0]["id"]], "in force")
        code, seen = practitioner("list")
        assert [each["id"] for each in seen["documents"]] == [listed[0]["id"]]
        assert [each["person"] for each in seen["documents"]] == ["Camille Exemple"]
        assert practitioner("read", listed[0]["id"][:6], "-o", back)[0] == 0
        assert back.read_bytes() == FILES["lettre.txt"]
        assert practitioner("read", "1", "-o", back)[1]["error"] == "Conflict"
        assert practitioner("read", "1", "-o", tmp_path / "none" / "back")[0] == 3

        patient("extend", grant["grant"][:8], "2")
        assert len(practitioner("list")[1]["documents"]) == 2
        assert "already in this grant" in refused("extend", grant["grant"], "1", "2")[1]
        assert patient("mask", "2")["masked"]
        entries = patient("log")["entries"]
        assert [entry["text"] for entry in entries if entry["kind"] == "change"] == [
            *("founded", "added", "added", "shared", "shared", "masked")
        ]
        assert [entry["grant"] for entry in entries if entry["kind"] == "granted"] == [grant["grant"]] * 2
        shared = [entry["documents"] for entry in entries if entry["text"] == "shared"]
        assert shared == [[listed[0]["id"]], [listed[1]["id"]]]
        assert [entry["act"] for entry in entries if entry["kind"] == "access"] == ["list", "release", "list"]
        assert [each["grant"] for each in patient("grants")["grants"]] == [grant["grant"]]
        assert patient("revoke", "1")["state"] == "ended"
        entries = patient("log")["entries"]
        assert [entry["grant"] for entry in entries if entry["kind"] == "ended"] == [grant["grant"]]
        code, result = practitioner("read", "1", "-o", tmp_path / "again")
        assert (code, result["error"], (tmp_path / "again").exists()) == (1, "NotFound", False)
        assert practitioner("list")[1]["documents"] == []
        patient("delete", listed[1]["id"], "--yes")
        got = patient("get", listed[0]["id"], "-o", tmp_path / "own")
        assert (got["bytes"], (tmp_path / "own").read_bytes()) == (
            len(FILES["lettre.txt"]),
            FILES["lettre.txt"],
        )

        code, verified, _ = coffre("log", "verify", "--server", server.url, "--card", instance_card)
        assert (code, len(verified["logs"]), verified["trust"]) == (0, 2, "instance card")
        wrong = json.loads(instance_card.read_text())
        wrong["root"]["digest"] = "A" * 43 + "="
        (tmp_path / "wrong.json").write_text(json.dumps(wrong, separators=(",", ":")))
        code, refused, _ = coffre("log", "verify", "--server", server.url, "--card", tmp_path / "wrong.json")
        assert (code, refused["error"]) == (1, "NotPermitted")

    code, result, _ = coffre("patient", "list", secret="celui de Camille", env=at_home)
    assert (code, result["offline"], len(result["documents"])) == (0, True, 1)
    code, result, _ = coffre("patient", "log", secret="celui de Camille", env=at_home)
    assert (code, result["error"]) == (3, "Unreachable")
    code, result, _ = coffre("patient", "list", secret="un autre", env=at_home)
    assert (code, result["error"]) == (1, "CannotOpen")
