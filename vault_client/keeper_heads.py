"""A keeper's own word for the newest head of a log, compared at each audit with what the server shows.

The server hands over the keepers' cosignatures, and so chooses which. Asked by itself, a keeper shows the head that it
was shown: one that this log does not hold is a fork, one that the server does not come to show is an older log shown
here. Which keeper is asked is chance, so a server that shows one keeper another log is met sooner or later.
"""

import asyncio
import secrets
from contextlib import suppress

from crypto.checkpoint import cosignatures, open_checkpoint
from crypto.encoding import Body, Natural
from crypto.errors import CoffreError, NotProven
from crypto.evidence import Finding
from crypto.statements import Head
from vault_client.device_store import DeviceStore
from vault_client.service import Service
from vault_client.trust import BelievedHead

PATIENCE = 10
# A keeper may know a head seconds before the server shows it, and minutes when others are down. After so many seconds an
# honest server has either shown it, or no head that is confirmed recently enough to be believed: ten minutes, and ten
# more for clocks that are apart.
SHOWN_WITHIN = 1200

# What people read
STALE = "A keeper knows a longer log than the one that the service shows."


class HeadAhead(Body, frozen=True):
    """A keeper's head that was larger than the server's, with its note, and when it was first met."""

    head: BelievedHead
    note: bytes
    met: Natural


async def compare_with_keeper(
    service: Service, store: DeviceStore, believed: BelievedHead, note: bytes
) -> None:
    """Ask one keeper for its newest head of the log of ``believed``, whose ``note`` the server has just shown.

    Keeps the alarm FORK when the two cannot both be heads of one log, STALE when the server goes on showing a shorter
    one. A keeper that does not answer, or says what is not signed, is passed over: another audit asks another.
    """
    name = f"ahead/{believed.origin}"
    ahead = store.get(name, HeadAhead)
    if ahead is not None and await _fits(service, believed, ahead.head, ahead.note):
        store.delete(name)
        ahead = None
    if (
        ahead is not None
        and service.now() - ahead.met >= SHOWN_WITHIN
        and believed.head.size < ahead.head.head.size
    ):
        _keep_stale(service, believed, note, ahead)
    with suppress(CoffreError, TimeoutError):
        shown, its_note = await _ask(service, believed.origin)
        if shown.head.size <= believed.head.size:
            await _fits(service, believed, shown, its_note)
        elif ahead is None:
            store.put(name, HeadAhead(head=shown, note=its_note, met=service.now()))


async def _ask(service: Service, origin: str) -> tuple[BelievedHead, bytes]:
    """A head that the log signed and the keeper that was asked cosigned."""
    name = secrets.choice(sorted(service.keepers))
    keeper = service.keeper(name)
    async with asyncio.timeout(PATIENCE):
        note = await service.keepers[name].checkpoint(origin)
    checkpoint = open_checkpoint(note, service.root.log_key_of(origin))
    times = cosignatures(note, [keeper.cosigner])
    if not times:
        raise NotProven("A keeper shows a head that it has not cosigned. It was not believed.")
    head = Head(size=checkpoint.size, root=checkpoint.root)
    return BelievedHead(origin=origin, head=head, time=max(times.values())), note


async def _fits(service: Service, believed: BelievedHead, shown: BelievedHead, note: bytes) -> bool:
    """Whether the log is shown to hold ``shown``. Keeps the alarm when it is shown not to."""
    if shown.head.size > believed.head.size:
        return False
    return await service.holds(believed, shown, note)


def _keep_stale(service: Service, believed: BelievedHead, note: bytes, ahead: HeadAhead) -> None:
    finding = Finding(
        code="STALE",
        text=STALE,
        time=service.now(),
        origin=believed.origin,
        notes=(note, ahead.note),
        beginning=None,
        entries=(),
        people=(),
    )
    service.keep_finding(finding, ahead.head.head.size)
