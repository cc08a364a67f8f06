"""The passphrase: what it is stretched to, and the profile key sealed under it."""

import hashlib
import unicodedata

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from nacl import exceptions
from nacl.pwhash import argon2id

from crypto.errors import CannotOpen, Full, Malformed, TooLarge
from crypto.sealed.passphrase import SEALED_KEY, open_key, seal_key, stretch
from crypto.secret_bytes import SecretBytes

SALT = bytes(range(16))
KEY = SecretBytes(bytes(range(32)))


@pytest.fixture
def costs(monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, int]]:
    """Put a quick hash in Argon2id's place; the list fills with the (passes, memory) each call asked for."""
    asked: list[tuple[int, int]] = []

    def quick(size: int, password: bytes, salt: bytes, opslimit: int, memlimit: int) -> bytes:
        asked.append((opslimit, memlimit))
        return hashlib.blake2b(salt + password, digest_size=size).digest()

    monkeypatch.setattr(argon2id, "kdf", quick)
    return asked


def test_stretching_agrees_with_openssl() -> None:
    """Three passes over 256 MiB on one lane give what OpenSSL's Argon2id gave, also for decomposed typing."""
    stretched = stretch(unicodedata.normalize("NFD", "café crème 1742"), SALT)
    assert stretched.reveal().hex() == "ee4cd51b5982ef39e170709e2021ddf0dbca29cec58757bf79633e00f49cfa19"


def test_the_key_comes_back(costs: list[tuple[int, int]]) -> None:
    """A sealed key opens under its passphrase, at the compiled cost both times, and each seal has a salt of its own."""
    first, second = seal_key("deux mots", KEY), seal_key("deux mots", KEY)
    assert open_key("deux mots", first).same_as(KEY)
    assert len(first) == len(second) == SEALED_KEY
    assert first[:16] != second[:16]
    assert costs == [(3, 256 << 20)] * 3


@pytest.mark.usefixtures("costs")
def test_one_refusal_for_everything_that_does_not_open() -> None:
    """A wrong passphrase, every flipped byte, a cut and an added byte are refused in the same words."""
    sealed = seal_key("deux mots", KEY)
    spoilt = [sealed[:at] + bytes([sealed[at] ^ 1]) + sealed[at + 1 :] for at in range(len(sealed))]
    messages = set()
    for passphrase, blob in [
        ("deux maux", sealed),
        *(("deux mots", blob) for blob in (*spoilt, sealed[:-1], sealed + b"\0", b"")),
    ]:
        with pytest.raises(CannotOpen) as refused:
            open_key(passphrase, blob)
        messages.add(str(refused.value))
    assert len(messages) == 1
    assert messages.pop().startswith("Wrong passphrase or damaged profile")


def test_a_blob_of_another_length_costs_nothing(costs: list[tuple[int, int]]) -> None:
    """The length is checked before a second of work."""
    with pytest.raises(CannotOpen):
        open_key("deux mots", bytes(SEALED_KEY - 1))
    assert costs == []


@pytest.mark.usefixtures("costs")
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])  # the quick hash has no state
@given(st.text(st.characters(categories=["L", "N", "P"], max_codepoint=0x24FF), min_size=1, max_size=40))
def test_typing_does_not_matter(passphrase: str) -> None:
    """Composed and decomposed typing of one passphrase stretch alike."""
    composed, decomposed = (unicodedata.normalize(form, passphrase) for form in ("NFC", "NFD"))
    assert stretch(composed, SALT).same_as(stretch(decomposed, SALT))


@pytest.mark.parametrize(
    ("passphrase", "refusal"),
    [
        ("", Malformed),
        ("two\nlines", Malformed),
        ("\ud800", Malformed),
        ("\u0378", Malformed),
        ("é" * 513, TooLarge),
    ],
    ids=["empty", "a line feed", "half a character", "not assigned in Unicode 14", "1026 bytes"],
)
def test_unfit_passphrases(passphrase: str, refusal: type[Exception], costs: list[tuple[int, int]]) -> None:
    """What cannot be typed again elsewhere, or is too long, is refused before any work."""
    with pytest.raises(refusal):
        stretch(passphrase, SALT)
    assert costs == []


@pytest.mark.usefixtures("costs")
def test_limits() -> None:
    """1024 bytes pass; a salt or a key of another length does not."""
    assert len(stretch("é" * 512, SALT)) == 32
    with pytest.raises(Malformed):
        stretch("deux mots", SALT[:15])
    with pytest.raises(Malformed):
        seal_key("deux mots", SecretBytes(bytes(31)))


def test_too_little_memory_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine that cannot give 256 MiB is told so, and not that its passphrase is wrong."""

    def poor(*_: object) -> bytes:
        raise exceptions.RuntimeError("Unexpected failure in key derivation")

    monkeypatch.setattr(argon2id, "kdf", poor)
    with pytest.raises(Full, match="256 MiB"):
        stretch("deux mots", SALT)
