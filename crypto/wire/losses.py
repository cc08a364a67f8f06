"""The messages by which what a server lost comes back: a log's entries are there, what they commit to is not.

Whoever holds it shows it, and it is believed because the entry commits to it. See docs/format/http.md.
"""

from typing import Annotated

import msgspec

from crypto.access_log import Disclosure, Opening
from crypto.encoding import Body, Bytes32, Natural, SecretBody
from crypto.identity_links import DisclosedLink
from crypto.wire.messages import LinkSubmission, Parts

MAX_LOST = 4096
MAX_SHOWN = 256
MAX_LOSSES = 256

Entries = Annotated[tuple[Natural, ...], msgspec.Meta(max_length=MAX_LOST)]


class Loss(Body, frozen=True):
    """What the entries of a log from ``start`` up to ``end`` commit to was lost. ``time``: when that was noted."""

    start: Natural
    end: Natural
    time: Natural


class LogLosses(Body, frozen=True):
    """What its operator declares to be lost of one log, in order. It explains, and excuses nothing."""

    losses: Annotated[tuple[Loss, ...], msgspec.Meta(max_length=MAX_LOSSES)]


class VaultQuery(Body, frozen=True):
    """Asks about one record."""

    vault: Bytes32


class LostEntries(Body, frozen=True):
    """The entries of a record that nobody has shown or given up, in order; ``more`` when there are further ones.

    ``link``: the digest of the record's newest link that is there.
    """

    link: Bytes32
    entries: Entries
    more: bool


class ShownIdentityLink(Body, frozen=True):
    """A link of an identity as it is disclosed, with those of the parts it names that are still there."""

    link: DisclosedLink
    parts: Parts


class ShownLink(SecretBody, frozen=True):
    """A record's genesis or link as it was sent, and what opens the entries it made, in order.

    Its ``tags`` are empty: the entries carry them. Of parts, and of an event's listing, policies and chains, what is lost is
    left out.
    """

    submission: LinkSubmission
    disclosures: Annotated[tuple[Disclosure, ...], msgspec.Meta(min_length=1, max_length=257)]


class ShownOpening(SecretBody, frozen=True):
    """What opens entry ``index`` of a record."""

    index: Natural
    opening: Opening


class ShownOpenings(SecretBody, frozen=True):
    """Openings of a record's entries, as its holder unsealed them."""

    vault: Bytes32
    openings: Annotated[tuple[ShownOpening, ...], msgspec.Meta(min_length=1, max_length=MAX_SHOWN)]


class GiveUp(Body, frozen=True):
    """What nobody has shown of a record is given up: it goes on from ``link``, the digest of its newest link."""

    vault: Bytes32
    link: Bytes32
