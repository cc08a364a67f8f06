"""What lies beside a destination until it is released, and what becomes of it when its maker dies."""

import os
import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from crypto.errors import Unavailable
from vault_client.private_part import NAME, check_folder, private_part

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="Windows removes no file that is open")


def writer(destination: Path) -> subprocess.Popen[str]:
    """A process that has written something into a part towards ``destination``, and waits."""
    script = """
        import sys, time
        from pathlib import Path
        from vault_client.private_part import private_part
        with private_part(Path(sys.argv[1])) as part:
            part.write_text("plaintext")
            print("written", flush=True)
            time.sleep(600)
    """
    process = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(script), str(destination)], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout
    assert process.stdout.readline() == "written\n"
    return process


def test_what_a_killed_process_left_is_swept(tmp_path: Path) -> None:
    """A63: the next part in the folder takes away one whose maker is dead, and none whose maker lives."""
    dead, alive = writer(tmp_path / "first"), writer(tmp_path / "second")
    try:
        dead.send_signal(signal.SIGKILL)
        dead.wait()
        left = {path for path in tmp_path.iterdir() if NAME.fullmatch(path.name)}
        assert {path.read_text() for path in left} == {"plaintext"}
        with private_part(tmp_path / "third") as part:
            part.write_text("whole")
            assert len({*tmp_path.iterdir()} & left) == 1
    finally:
        for process in (dead, alive):
            process.kill()
            process.communicate()
    assert (tmp_path / "third").read_text() == "whole"
    with private_part(tmp_path / "fourth"):
        pass
    assert {path.name for path in tmp_path.iterdir()} == {"third", "fourth"}


def test_nothing_else_is_swept(tmp_path: Path) -> None:
    """What only looks like a part stays: a folder, a link, a pipe, another name."""
    elsewhere = tmp_path / "elsewhere"
    elsewhere.write_text("mine")
    folder = tmp_path / "out"
    folder.mkdir()
    (folder / ".coffre-0123456789abcdef.part").mkdir()
    (folder / ".coffre-1123456789abcdef.part").symlink_to(elsewhere)
    os.mkfifo(folder / ".coffre-2123456789abcdef.part")
    (folder / ".coffre-0123456789abcdef.part.txt").write_text("mine")
    (folder / ".0123456789abcdef.part").write_text("mine")
    before = {*folder.iterdir()}
    with private_part(folder / "opened"):
        pass
    assert {*folder.iterdir()} == before | {folder / "opened"}
    assert elsewhere.read_text() == "mine"


def test_a_part_that_was_swept_before_it_was_locked_is_made_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever sweeps between the making and the locking of a part does not take the content with it."""
    from vault_client import private_part as module

    real, swept = module._hold, []

    def hold(part: object) -> bool:
        if not swept:
            swept.extend(path for path in tmp_path.iterdir())
            swept[0].unlink()
        return real(part)

    monkeypatch.setattr(module, "_hold", hold)
    with private_part(tmp_path / "opened") as part:
        part.write_text("whole")
        assert part not in swept
    assert (tmp_path / "opened").read_text() == "whole"


def test_a_folder_to_release_into_is_looked_at_first(tmp_path: Path) -> None:
    """A folder that is missing, or is a file, is refused in words."""
    check_folder(tmp_path)
    (tmp_path / "file").write_text("mine")
    for folder in (tmp_path / "missing", tmp_path / "file"):
        with pytest.raises(Unavailable, match="Nothing was opened"):
            check_folder(folder)
