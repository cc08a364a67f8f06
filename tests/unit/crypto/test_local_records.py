"""The limits of what a profile keeps, and that its three keys are not one."""

import hmac

import pytest
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from crypto.encoding import pae
from crypto.errors import CannotOpen, Malformed, TooLarge
from crypto.labels import LOCAL_RECORD, PROFILE_NAME
from crypto.padding import unpad_record
from crypto.sealed import content, local_records
from crypto.sealed.local_records import MAX_NAME, LocalRecords
from crypto.secret_bytes import SecretBytes

RECORDS = LocalRecords(SecretBytes(bytes(range(32))))


@pytest.mark.parametrize("length", [0, 31, 33])
def test_a_profile_key_has_32_bytes(length):
    """Another length is refused before anything is derived from it."""
    with pytest.raises(Malformed):
        LocalRecords(SecretBytes(bytes(length)))


def test_a_name_has_1_to_256_bytes():
    """Both ends are names; bytes count, not characters; a group is never the empty name."""
    for name in ("a", "a" * MAX_NAME, "é" * (MAX_NAME // 2)):
        assert RECORDS.open(RECORDS.tag(name), RECORDS.seal(name, b"body")) == (name, b"body")
    for name in ("", "a" * (MAX_NAME + 1), "é" * (MAX_NAME // 2) + "a"):
        with pytest.raises(Malformed):
            RECORDS.tag(name)
        with pytest.raises(Malformed):
            RECORDS.seal(name, b"body")
    with pytest.raises(Malformed):
        RECORDS.group_tag("/a")


def test_a_record_has_at_most_its_limit(monkeypatch):
    """A body of the limit is kept, one byte more is refused; the limit is 16 MiB."""
    assert local_records.MAX_RECORD == 16 * 1024 * 1024
    monkeypatch.setattr(local_records, "MAX_RECORD", 100)
    assert RECORDS.open(RECORDS.tag("a"), RECORDS.seal("a", bytes(100))) == ("a", bytes(100))
    with pytest.raises(TooLarge):
        RECORDS.seal("a", bytes(101))


def test_records_of_a_group_share_its_mark():
    """The mark is of what stands before the first slash, and no record's tag is a group's mark."""
    assert RECORDS.group_tag("grant/1") == RECORDS.group_tag("grant/2/3") == RECORDS.group_tag("grant")
    assert RECORDS.group_tag("grants/1") != RECORDS.group_tag("grant/1")
    assert RECORDS.tag("grant") != RECORDS.group_tag("grant")


def test_each_use_has_the_key_of_the_format_page():
    """Check, tag, group tag and seal are by HKDF of the profile key, for a purpose of their own each."""

    def key(purpose):
        """The key for one use."""
        return HKDF(SHA256(), 32, None, pae(PROFILE_NAME, purpose)).derive(bytes(range(32)))

    assert RECORDS.check == key(b"check")
    assert RECORDS.tag("grant/1") == hmac.digest(key(b"name"), b"grant/1", "sha256")
    assert RECORDS.group_tag("grant/1") == hmac.digest(key(b"group"), b"grant", "sha256")
    context = pae(LOCAL_RECORD, RECORDS.tag("a"))
    assert content.open(SecretBytes(key(b"seal")), context, RECORDS.seal("a", b"body"))


def test_another_profile_knows_nothing_of_it():
    """Another key has other tags, marks and checks, and does not open a record under its own tag."""
    other = LocalRecords(SecretBytes(bytes(32)))
    ours, theirs = ((each.check, each.tag("a"), each.group_tag("a")) for each in (RECORDS, other))
    assert not set(ours) & set(theirs)
    with pytest.raises(CannotOpen):
        other.open(RECORDS.tag("a"), RECORDS.seal("a", b"body"))


def test_a_record_is_framed_as_the_format_page_says():
    """Length of the name in two bytes, name, body, padded as any record, in the context of the tag."""
    sealed = RECORDS.seal("é/1", b"body")
    seal_key = RECORDS._seal
    frame = unpad_record(content.open(seal_key, pae(LOCAL_RECORD, RECORDS.tag("é/1")), sealed))
    assert frame == b"\0\4\xc3\xa9/1body"
