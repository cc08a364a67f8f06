"""This computer's clock, measured against what the keepers sign: for when nobody is logged in by it."""

from contextlib import suppress

from crypto.checkpoint import AHEAD, open_checkpoint
from crypto.errors import CoffreError, Stale
from crypto.quorum import quorum_times
from vault_client.service import Service

# Seconds after which an idle log is confirmed again, with half a minute for that.
CONFIRMED_WITHIN = 330


async def check_clock(service: Service) -> None:
    """Raises Stale, and says by how much, when this computer's clock is about five minutes from the keepers' or more.

    The directory's newest head is measured by and not believed. What cannot be measured is not judged.
    """
    origin = service.root.directory_origin
    age = 0
    with suppress(CoffreError):
        note = await service.api.checkpoint(origin)
        open_checkpoint(note, service.root.log_key_of(origin))
        age = service.now() - max(quorum_times(service.root, note))
    minutes = abs(age) // 60
    if age > CONFIRMED_WITHIN:
        raise Stale(
            f"This computer's clock is {minutes} minutes ahead of what the keepers signed last, or the service has been silent "
            "for as long. Nothing was done. Set the clock right, or try again later."
        )
    if age < -AHEAD:
        raise Stale(
            f"This computer's clock is {minutes} minutes behind the keepers'. Nothing was done. Set it right and try again."
        )
