"""Key material that cannot slip out."""

import copy
import logging
import pickle

import pytest

from crypto.secret_bytes import SecretBytes

SECRET = SecretBytes(b"confidential")


def test_it_does_not_print():
    """No way of formatting shows the bytes."""
    shown = [repr(SECRET), str(SECRET), f"{SECRET}", f"{SECRET!r:>20}", "%s" % SECRET, repr([SECRET])]  # noqa: UP031
    shown.append(logging.LogRecord("n", 20, "p", 1, "%s", (SECRET,), None).getMessage())
    assert all("confidential" not in each and "SecretBytes(…)" in each for each in shown)


def test_it_is_not_pickled_copied_or_hashed():
    """Pickling, copying and hashing raise TypeError."""
    for use in (pickle.dumps, copy.copy, copy.deepcopy, hash, lambda secret: {secret: 1}):
        with pytest.raises(TypeError, match="secrets are not"):
            use(SECRET)


def test_it_is_compared_on_purpose_only():
    """``==`` raises; ``same_as`` compares."""
    with pytest.raises(TypeError):
        assert SecretBytes(b"a") == SecretBytes(b"a")
    with pytest.raises(TypeError):
        assert SecretBytes(b"a") != b"a"
    assert SECRET.same_as(SecretBytes(b"confidential"))
    assert not SECRET.same_as(SecretBytes(b"confidentiam"))
    assert not SECRET.same_as(SecretBytes(b""))


def test_it_keeps_its_own_copy():
    """A buffer wiped by its owner does not change the secret; the length is known; random ones differ."""
    buffer = bytearray(b"abc")
    secret = SecretBytes(buffer)
    buffer[0] = 0
    assert secret.reveal() == b"abc"
    assert len(secret) == 3
    assert not hasattr(secret, "__dict__")
    assert len(SecretBytes.random(48)) == 48
    assert len(SecretBytes.random()) == 32
    assert not SecretBytes.random().same_as(SecretBytes.random())
