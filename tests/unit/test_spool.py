"""The spool folder of a profile."""

import os
import time
from contextlib import suppress

import pytest

from crypto.errors import CannotOpen, Damaged, Full, TooMany, Unreachable
from vault_client.spool import _CIPHERTEXT, KEPT_DAYS, fetched_spool, fresh_spool, opened_spool


def test_what_was_cut_short_is_swept(tmp_path):
    """Ciphertext that a killed run left behind is gone when the profile is opened again."""
    spool = opened_spool(tmp_path)
    (spool / bytes(16).hex()).write_bytes(b"ciphertext")
    (spool / ".coffre-0123456789abcdef.part").write_bytes(b"half")
    assert opened_spool(tmp_path) == spool
    assert list(spool.iterdir()) == []


def test_a_file_in_its_place_is_said(tmp_path):
    """A file named spool is not overwritten: Damaged, in words."""
    (tmp_path / "spool").write_text("mine")
    with pytest.raises(Damaged, match="Move it away"):
        opened_spool(tmp_path)
    assert (tmp_path / "spool").read_text() == "mine"


def test_only_what_is_ours_is_swept(tmp_path):
    """Files of another kind and folders stay; a link in the spool's place is refused, and its target untouched."""
    spool = opened_spool(tmp_path)
    (spool / "mine").write_text("mine")
    (spool / "folder").mkdir()
    opened_spool(tmp_path)
    assert {path.name for path in spool.iterdir()} == {"mine", "folder"}
    elsewhere = tmp_path / "elsewhere"
    spool.rename(elsewhere)
    (elsewhere / bytes(16).hex()).write_text("mine, whatever it is called")
    spool.symlink_to(elsewhere)
    with pytest.raises(Damaged, match="Move it away"):
        opened_spool(tmp_path)
    assert len(list(elsewhere.iterdir())) == 3


def test_two_at_once_do_not_share_a_file(tmp_path):
    """Each ciphertext has a file of its own, swept if a run is cut short and gone when it has served."""
    with fresh_spool(tmp_path) as one, fresh_spool(tmp_path) as other:
        assert one != other
        one.write_bytes(b"ciphertext")
        assert _CIPHERTEXT.fullmatch(one.name)
    assert list(tmp_path.iterdir()) == []


def _cut_off(spool, error):
    """Half a ciphertext, when the block that fetches it ends with ``error``."""
    with suppress(*[type(error)] if error else []), fetched_spool(spool, bytes(32)) as file:
        file.write_bytes(b"half")
        if error is not None:
            raise error
    return file


def test_what_was_fetched_is_found_again_until_it_is_old(tmp_path):
    """A download that was cut finds its file at the next opening, under its root; a week later it is swept."""
    spool = opened_spool(tmp_path)
    file = _cut_off(spool, Unreachable("Cut."))
    for days, is_there in ((KEPT_DAYS - 1, True), (KEPT_DAYS + 1, False)):
        for moment in (
            time.time() - days * 86400,
            time.time() + days * 86400,
        ):  # the clock may have been set back
            file.write_bytes(b"half")
            os.utime(file, (moment, moment))
            opened_spool(tmp_path)
            assert file.exists() == is_there


@pytest.mark.parametrize(
    ("error", "stays"),
    [
        (None, False),
        (CannotOpen(), False),
        (Full(""), False),
        (TooMany(""), True),
        (KeyboardInterrupt(), True),
    ],
)
def test_what_is_no_good_does_not_stay(tmp_path, error, stays):
    """The file is gone once it has served or was refused, and stays when nobody said that it is wrong."""
    _cut_off(tmp_path, error)
    assert bool(list(tmp_path.iterdir())) == stays


def test_two_downloads_of_one_document_do_not_share_a_file(tmp_path):
    """The second gets a fresh file, and the first keeps its own."""
    with fetched_spool(tmp_path, bytes(32)) as one:
        one.write_bytes(b"one")
        with fetched_spool(tmp_path, bytes(32)) as other:
            assert one != other
            other.write_bytes(b"other")
        assert one.read_bytes() == b"one"
    with fetched_spool(tmp_path, bytes(32)) as again:
        assert again == one
