"""What the server allows, as pure predicates: rows and a time in, nothing or a refusal out."""

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from crypto.checkpoint import TEN_MINUTES
from crypto.errors import NotFound, NotPermitted, Stale
from crypto.grants import GrantEvent
from crypto.identity_state import IdentityState
from crypto.pruning import RETENTION
from crypto.requests import AccessRequest
from crypto.statements import Head, RootRef
from crypto.vault_chain import GrantEntry


class Replaced(NamedTuple):
    """A head of the directory that was the newest once, and when a larger one replaced it."""

    root: bytes
    at: int


class GrantedRow(NamedTuple):
    """A row, or listing, as the newest rekey of a grant has it."""

    doc: bytes
    ct_root: bytes
    rekey: int


def check_directory_head(shown: Head, newest: Head, replaced: Mapping[int, Replaced], now: int) -> None:
    """``shown`` is the newest head of the directory, or was at most ten minutes ago. Raises Stale."""
    if shown == newest:
        return
    earlier = replaced.get(shown.size)
    if earlier is None or earlier.root != shown.root or now - earlier.at > TEN_MINUTES:
        raise Stale(
            "What you sent was signed in view of a head of the directory that is not one of the last ten minutes. "
            "Nothing was done. Fetch the newest head and sign again."
        )


def check_seen(shown: Head, root: bytes) -> None:
    """``shown`` is a head of this very log, whose root at that size is ``root``. Raises NotPermitted."""
    if shown.root != root:
        raise NotPermitted(
            "What you sent was signed in view of another log than this server's. Nothing was done. "
            "Keep what you have seen: it is evidence."
        )


def check_trust_root(shown: RootRef, newest: RootRef) -> None:
    """``shown`` is the newest trust root. Raises Stale."""
    if shown != newest:
        raise Stale(
            "What you sent names another trust root than the newest. Nothing was done. Fetch it first."
        )


def check_time(signed: int, now: int) -> None:
    """``signed`` is within ten minutes of ``now``. Raises Stale."""
    if abs(now - signed) > TEN_MINUTES:
        raise Stale(
            "A request was signed more than ten minutes from now. Nothing was opened. Check the clock and sign again."
        )


def check_recipient(recipient: IdentityState, never_granted: Iterable[str], now: int) -> None:
    """``recipient`` holds a certificate in force, and none under a scheme that may never receive a grant."""
    if not recipient.may_receive(now, never_granted):
        raise NotPermitted(
            "The recipient of a grant is not certified, or by a registrar whose subjects may not receive grants. "
            "Nothing was granted."
        )


def check_expiry(expiry: int, now: int) -> None:
    """A grant made at ``now`` by a clock ten minutes ahead at most may last until ``expiry``: entries are kept as long.

    Raises NotPermitted. Later its event may be gone from the log, and no keeper could find it to answer under it.
    """
    if expiry > now + RETENTION + TEN_MINUTES:
        raise NotPermitted(
            "A grant lasts three years at most. Nothing was granted. Choose an earlier end, and share again then."
        )


def check_answerable(
    request: AccessRequest,
    shown: Sequence[IdentityState],
    never_granted: Iterable[str],
    entry: GrantEntry,
    event: GrantEvent,
    rows: Mapping[bytes, GrantedRow],
    closed: Iterable[bytes],
    now: int,
) -> None:
    """May ``request`` be answered? Raises NotFound, the same for every cause.

    ``shown``: the reader and, where it acts for one, the team; each must be one who may receive, as for the keepers.
    ``rows``: the rows (or, for act ``list``, listings) of the grant by version. ``closed``: the documents that are
    masked or deleted.
    """
    hidden = set(closed)
    allowed = (
        not entry.ended
        and event.origin == request.origin
        and entry.recipient == request.recipient
        and request.identity not in event.excluded
        and request.act in event.acts
        and now < event.expiry
        and all(state.may_receive(request.time, never_granted) for state in shown)
        and all(
            rows.get(wanted.ver) == GrantedRow(wanted.doc, wanted.ct_root, entry.rekey)
            and wanted.rekey == entry.rekey
            and wanted.doc not in hidden
            for wanted in request.documents
        )
    )
    if not allowed:
        raise NotFound
