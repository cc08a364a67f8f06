"""The spool folder of a profile."""

import pytest

from crypto.errors import Damaged
from vault_client.spool import _CIPHERTEXT, fresh_spool, opened_spool


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
