"""What a keeper shows of the ends it holds: to one keeper only, and in answer to one question only."""

import pytest

from crypto import labels, sealing
from crypto.encoding import encode, pae
from crypto.errors import CannotOpen, TooLarge
from crypto.locators import end_tag
from crypto.padding import pad_record
from crypto.sealed.held_ends import MAX_HELD, HeldEnd, HeldEnds, open_ends, seal_ends
from crypto.sealed.unsealing import UnsealingKey
from crypto.secret_bytes import SecretBytes
from tests.support.people import LOG, fresh

ASKER, QUESTION = UnsealingKey.generate(), fresh()
ENDS = HeldEnds(ends=tuple(HeldEnd(origin=LOG, gid=fresh(), j=j, end_key=fresh()) for j in range(3)))


def test_what_is_held_comes_to_the_keeper_that_asked():
    """All ends come back as they were, and so do none."""
    for ends in (ENDS, HeldEnds(ends=())):
        assert open_ends(ASKER, seal_ends(ends, ASKER.public, QUESTION), QUESTION) == ends


def test_the_tag_follows_from_the_key():
    """It is the end tag of just this grant in just this log."""
    for end in ENDS.ends:
        assert end.tag == end_tag(SecretBytes(end.end_key), LOG, end.gid)


def test_another_keeper_or_question_opens_nothing():
    """The box is of one keeper and one question."""
    box = seal_ends(ENDS, ASKER.public, QUESTION)
    for key, about in ((UnsealingKey.generate(), QUESTION), (ASKER, fresh())):
        with pytest.raises(CannotOpen):
            open_ends(key, box, about)


def test_ends_are_sealed_as_the_format_says():
    """Under their own label with the question's digest, as a padded record."""
    opened = ASKER.open(pae(labels.HELD_ENDS, QUESTION), seal_ends(ENDS, ASKER.public, QUESTION))
    assert opened == pad_record(encode(ENDS))


def test_none_and_one_are_as_long():
    """Whether a keeper holds an end at all does not show."""
    for ends in ((), ENDS.ends[:1]):
        assert len(seal_ends(HeldEnds(ends=ends), ASKER.public, QUESTION)) == 1136 + 256


def test_no_more_is_read_than_may_be_held():
    """A box beyond four mebibytes is refused for its size, before it is looked at."""
    assert MAX_HELD == 4 << 20
    box = sealing.seal(ASKER.public, pae(labels.HELD_ENDS, QUESTION), pad_record(b" " * (MAX_HELD + 1)))
    with pytest.raises(TooLarge):
        open_ends(ASKER, box, QUESTION)
