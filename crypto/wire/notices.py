"""The stream of notices: server-sent events of one length, each of which says only whether there is something to fetch.

No id, no act, no number. A notice is never proof of anything, nor is its absence: it saves waiting for the next look.
"""

from crypto.errors import Malformed

MEDIA_TYPE = "text/event-stream"
NEWS, NOTHING = b"data: news\n\n", b"data: none\n\n"
EVENT = len(NEWS)
# Seconds after which the server says at the latest that there is nothing, and after which it ends a stream.
EVERY = 20
LASTS = 900
# Beyond this a stream is no stream of ours: one notice a second, the whole time, would be half as long.
MAX_STREAM = 1 << 15


def write_notice(*, news: bool) -> bytes:
    """One event."""
    return NEWS if news else NOTHING


def read_notice(event: bytes) -> bool:
    """Whether an event says that there is something to fetch. Raises Malformed for anything but the two there are."""
    if event not in (NEWS, NOTHING):
        raise Malformed("A stream of notices holds something else. It was not read on.")
    return event == NEWS
