"""Leaves, commitments and openings."""

import msgspec
import pytest

from crypto.access_log import FIRST, Leaf, Opening, ServerPart, commitment, opening_info, parse_leaf, previous
from crypto.encoding import MAX_BODY
from crypto.errors import CannotOpen, Malformed, NotProven, TooLarge
from crypto.padding import pad_record
from crypto.signing import SigningKey, sign_encoded
from tests.support.people import LOG, NOW, Directory, fresh

KEY = SigningKey.generate()
ENVELOPE = sign_encoded("test/statement", b"body", KEY)
PART = ServerPart(body=ENVELOPE.digest, time=NOW, outcome="granted", prev=FIRST)
SALT = fresh()


def opening(envelope=ENVELOPE):
    """An opening of a leaf."""
    part = msgspec.structs.replace(PART, body=envelope.digest)
    return Opening(salt=SALT, salt2=fresh(), previous=FIRST, envelope=envelope, part=part)


def test_a_leaf_is_97_bytes():
    """A leaf comes back from its bytes, and these begin with its version."""
    leaf = Leaf(slot_one=b"1" * 32, slot_two=b"2" * 32, commitment=b"3" * 32)
    data = leaf.to_bytes()
    assert data == b"\1" + b"1" * 32 + b"2" * 32 + b"3" * 32
    assert parse_leaf(data) == leaf


@pytest.mark.parametrize(
    "data",
    [b"", b"\1" * 96, b"\1" * 98, b"\2" * 96, b"\2" * 98, b"\0" + b"x" * 96, b"\3" + b"x" * 96],
)
def test_other_bytes_are_no_leaf(data):
    """Another length and another version are Malformed."""
    with pytest.raises(Malformed):
        parse_leaf(data)


def test_a_leaf_of_the_reserved_version_has_no_slots():
    """97 bytes of version 2 are a leaf with nothing to look up."""
    assert parse_leaf(b"\2" + b"x" * 96) is None


def test_a_commitment_binds_salt_envelope_and_server_part():
    """C changes with the salt, the body, who signed it, and every field of the server's part."""
    made = {commitment(SALT, ENVELOPE, PART), commitment(fresh(), ENVELOPE, PART)}
    for other in (
        sign_encoded("test/statement", b"another", KEY),
        sign_encoded("test/other", b"body", KEY),
        sign_encoded("test/statement", b"body", SigningKey.generate()),
    ):
        made.add(commitment(SALT, other, PART))
    for change in ({"body": fresh()}, {"time": NOW + 1}, {"outcome": "refused"}, {"prev": fresh()}):
        made.add(commitment(SALT, ENVELOPE, msgspec.structs.replace(PART, **change)))
    assert len(made) == 9
    assert commitment(SALT, ENVELOPE, PART) in made


def test_the_entry_chain_is_hidden_by_its_salt():
    """SP.prev depends on the salt and on the previous commitment."""
    salt2, before = fresh(), fresh()
    assert previous(salt2, before) == previous(salt2, before)
    assert len({previous(salt2, before), previous(fresh(), before), previous(salt2, fresh()), FIRST}) == 4


def test_a_disclosure_makes_the_leaf_of_its_envelope():
    """The leaf rebuilt from a disclosure holds its slots and commitment; for another body it is NotProven."""
    directory = Directory()
    disclosure = directory.append(fresh(), 0, ENVELOPE, NOW)
    leaf = disclosure.leaf(ENVELOPE)
    assert (leaf.slot_one, leaf.slot_two) == (disclosure.slot_one, disclosure.slot_two)
    assert leaf.commitment == commitment(disclosure.salt, ENVELOPE, disclosure.part)
    with pytest.raises(NotProven):
        disclosure.leaf(sign_encoded("test/statement", b"another", KEY))


def test_an_opening_comes_back_padded():
    """An opening's record has a padded length and gives the same opening."""
    made = opening()
    record = made.to_record()
    assert Opening.from_record(record) == made
    longer = opening(sign_encoded("test/statement", b"body+", KEY))
    assert len(longer.to_record()) == len(record)


def test_an_opening_of_the_largest_body_is_read():
    """A body as large as may be signed does not make an opening that the patient cannot read."""
    made = opening(sign_encoded("test/statement", b"x" * MAX_BODY, KEY))
    assert Opening.from_record(made.to_record()) == made


def test_an_opening_has_a_limit():
    """Twice the size of a body is read, and is no opening here; a byte more is TooLarge before it is looked at."""
    with pytest.raises(Malformed):
        Opening.from_record(pad_record(b"x" * 2 * MAX_BODY))
    with pytest.raises(TooLarge):
        Opening.from_record(pad_record(b"x" * (2 * MAX_BODY + 1)))


def test_a_spoiled_opening_is_refused():
    """Bad padding cannot be opened; a sound frame around something else is Malformed."""
    record = opening().to_record()
    with pytest.raises(CannotOpen):
        Opening.from_record(record[:-1] + b"\1")
    with pytest.raises(Malformed):
        Opening.from_record(record.replace(b'{"salt"', b'{"Salt"'))


def test_an_opening_is_bound_to_its_log_and_leaf():
    """The binding of a sealed opening differs by origin and by commitment, and does not print what it opens."""
    c = fresh()
    assert len({opening_info(LOG, c), opening_info(LOG + "1", c), opening_info(LOG, fresh())}) == 3
    assert repr(opening()) == "Opening(…)"
