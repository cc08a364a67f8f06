"""The spool folder of a profile."""

import pytest

from crypto.errors import Damaged
from vault_client.spool import opened_spool


def test_what_was_cut_short_is_swept(tmp_path):
    """Ciphertext that a killed run left behind is gone when the profile is opened again."""
    spool = opened_spool(tmp_path)
    (spool / "left").write_bytes(b"ciphertext")
    (spool / ".0123456789abcdef.part").write_bytes(b"half")
    assert opened_spool(tmp_path) == spool
    assert list(spool.iterdir()) == []


def test_a_file_in_its_place_is_said(tmp_path):
    """A file named spool is not overwritten: Damaged, in words."""
    (tmp_path / "spool").write_text("mine")
    with pytest.raises(Damaged, match="Move it away"):
        opened_spool(tmp_path)
    assert (tmp_path / "spool").read_text() == "mine"
