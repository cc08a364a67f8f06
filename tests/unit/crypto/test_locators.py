"""Finding one's own leaves, and the tags that are looked up."""

import pytest

from crypto.access_log import Leaf
from crypto.errors import Malformed
from crypto.locators import Locator, SlotColumn, directory_slot, end_tag, event_tag
from crypto.secret_bytes import SecretBytes
from tests.support.people import LOG, fresh

KEY = SecretBytes(bytes(range(32)))


def leaf(slot_one: bytes | None = None, slot_two: bytes | None = None) -> bytes:
    """A leaf with the given slots, else random."""
    return Leaf(slot_one=slot_one or fresh(), slot_two=slot_two or fresh(), commitment=fresh()).to_bytes()


def test_a_locator_is_known_to_its_key_and_log_only():
    """A locator is recognised under its key in its log, and not under another key, log or nonce."""
    locator = Locator(KEY, LOG)
    nonce = fresh(16)
    slot = locator.make(nonce)
    assert slot[:16] == nonce
    assert len(slot) == 32
    assert locator.matches(slot)
    assert Locator(KEY, LOG).matches(slot)
    assert not Locator(SecretBytes.random(), LOG).matches(slot)
    assert not Locator(KEY, LOG + "1").matches(slot)
    assert not locator.matches(bytes(16) + slot[16:])
    assert not any(locator.matches(fresh()) for _ in range(100))


@pytest.mark.parametrize("slot", [1, 2])
@pytest.mark.parametrize("count", [0, 1, 5, 4095, 4096, 4097, 9000])
def test_a_column_gives_the_places_of_ones_own(slot, count):
    """A scan over many leaves finds just the leaves that match one by one, at the edges of blocks too."""
    mine = Locator(KEY, LOG)
    places = sorted({0, 2, 4094, 4095, 4096, 8191, 8192, count - 1} & set(range(count)))
    filler = leaf()
    leaves = [filler] * count
    for place in places:
        own = mine.make(fresh(16))
        leaves[place] = leaf(own, None) if slot == 1 else leaf(None, own)
    joined = b"".join(leaves)
    assert mine.find(SlotColumn(joined, slot)) == places
    assert mine.find(SlotColumn(joined, 3 - slot)) == []
    assert Locator(SecretBytes.random(), LOG).find(SlotColumn(joined, slot)) == []


def test_a_locator_behind_a_zero_is_found():
    """Every locator is, also where the byte before its second half deciphers to zero."""
    mine = Locator(KEY, LOG)
    slots = [mine.make(number.to_bytes(16, "big")) for number in range(1000)]
    assert any(mine._differences(slot)[15] == 0 for slot in slots)
    assert all(mine.find(SlotColumn(leaf(slot), 1)) == [0] for slot in slots)


def test_zeros_between_two_slots_are_no_find():
    """Zeros that do not stand where a locator's second half stands are passed over, and the next locator is found."""
    mine = Locator(KEY, LOG)
    # A nonce that deciphers to itself's predecessor cannot be made on purpose; a zero first half can: D(nonce) = 0.
    zero_first = mine.make(bytes(16))[16:]
    own = mine.make(fresh(16))
    column = SlotColumn(leaf(zero_first + fresh(16)) + leaf(own), 1)
    assert mine.find(column) == [1]


def test_a_cut_column_is_refused():
    """Leaves that do not fill their last one are Malformed."""
    with pytest.raises(Malformed):
        SlotColumn(leaf()[:-1], 1)


def test_tags_differ_in_everything_they_name():
    """Event and end tags and directory slots change with each of their parts, and no two kinds meet."""
    key, gid = SecretBytes.random(), fresh()
    made = [
        event_tag(key, LOG, gid, 0),
        event_tag(key, LOG, gid, 1),
        event_tag(key, LOG + "1", gid, 0),
        event_tag(key, LOG, fresh(), 0),
        event_tag(SecretBytes.random(), LOG, gid, 0),
        end_tag(key, LOG, gid),
        end_tag(key, LOG + "1", gid),
        end_tag(key, LOG, fresh()),
        end_tag(SecretBytes.random(), LOG, gid),
        directory_slot(LOG, gid, 0),
        directory_slot(LOG, gid, 1),
        directory_slot(LOG + "1", gid, 0),
        directory_slot(LOG, fresh(), 0),
    ]
    assert len(set(made)) == len(made)
    assert {len(each) for each in made} == {32}
    assert event_tag(key, LOG, gid, 0) == made[0]
    assert end_tag(key, LOG, gid) == made[5]
