"""Notices: two events of one length, and nothing else."""

import pytest

from crypto.errors import Malformed
from crypto.wire.notices import EVENT, MEDIA_TYPE, read_notice, write_notice


def test_a_notice_is_an_event_of_one_length():
    """Something to fetch, or nothing: written as a server-sent event of twelve bytes, and read as it was written."""
    assert MEDIA_TYPE == "text/event-stream"
    for news, event in ((True, b"data: news\n\n"), (False, b"data: none\n\n")):
        assert write_notice(news=news) == event
        assert read_notice(event) is news
        assert len(event) == EVENT


@pytest.mark.parametrize("event", [b"", b"data: news\n", b"data: nine\n\n", b"data: news\n\ndata: none\n\n"])
def test_anything_else_is_no_notice(event):
    """Another event, a part of one, or two at once are Malformed."""
    with pytest.raises(Malformed):
        read_notice(event)
