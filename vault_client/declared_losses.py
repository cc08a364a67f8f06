"""What of a log's bodies the operator declares to be lost: asked, held to what this device knows, and kept.

A declaration is not signed. It explains why something is not shown, and excuses nothing: what is missing is still said.
"""

from collections.abc import Sequence
from itertools import pairwise

from crypto.checkpoint import TEN_MINUTES
from crypto.durations import DAY
from crypto.encoding import Body, Natural
from crypto.errors import NotFound, NotProven
from crypto.wire.losses import Loss
from crypto.wire.messages import LogQuery
from vault_client.device_store import DeviceStore
from vault_client.service import Service
from vault_client.trust import BelievedHead

# Seconds in which devices are waited for that may have what was lost.
WAITED_FOR = 30 * DAY

# What people read
NO_LOSS = "What the service declares to have lost is not what a loss can be. Nothing was believed. Ask its operator what happened."


class KeptLosses(Body, frozen=True):
    """What was declared lost of one log, as this device heard it last."""

    losses: tuple[Loss, ...]


class DoneUpTo(Body, frozen=True):
    """That what losses up to ``end`` ask of this device is done."""

    end: Natural


async def declared_losses(service: Service, store: DeviceStore, origin: str) -> tuple[Loss, ...]:
    """What is declared lost of a log now, in order. Raises NotProven for what no loss can be."""
    try:
        losses = (await service.api.log_losses(LogQuery(origin=origin))).losses
    except NotFound:
        return ()
    in_order = all(
        before.end <= after.start and before.time <= after.time for before, after in pairwise(losses)
    )
    if not in_order or any(loss.start >= loss.end for loss in losses):
        raise NotProven(NO_LOSS)
    if losses and losses[-1].end > service.believed(origin).head.size:
        await service.refresh(origin)
    has_been = all(
        loss.end <= service.believed(origin).head.size and loss.time <= service.now() + TEN_MINUTES
        for loss in losses
    )
    if not has_been:  # nobody lost what is not written yet
        raise NotProven(NO_LOSS)
    if losses != kept_losses(store, origin):
        store.put(_name(origin), KeptLosses(losses=losses))
    return losses


def kept_losses(store: DeviceStore, origin: str) -> tuple[Loss, ...]:
    """What was declared lost of a log when it was last asked."""
    kept = store.get(_name(origin), KeptLosses)
    return kept.losses if kept is not None else ()


def is_done(store: DeviceStore, origin: str, losses: tuple[Loss, ...]) -> bool:
    """Whether what ``losses`` ask of this device is done: to show what it has of them, or to read its mailbox anew."""
    kept = store.get(f"done-up-to/{origin}", DoneUpTo)
    return not losses or (kept is not None and kept.end == losses[-1].end)


def note_done(store: DeviceStore, origin: str, losses: tuple[Loss, ...]) -> None:
    """Note that it is done."""
    store.put(f"done-up-to/{origin}", DoneUpTo(end=losses[-1].end))


def loss_of(losses: tuple[Loss, ...], index: int, known: Sequence[BelievedHead] = ()) -> Loss | None:
    """The declared loss that the entry ``index`` stands in.

    None also when one of ``known``, a head confirmed after that loss was noted, did not hold all of it yet: it came later.
    """
    for loss in losses:
        if loss.start <= index < loss.end:
            came_later = (head.time > loss.time + TEN_MINUTES and head.head.size < loss.end for head in known)
            return None if any(came_later) else loss
    return None


def _name(origin: str) -> str:
    return f"losses/{origin}"
