"""How old what a grant says is: its newest event as it is here, and when it was last confirmed that there is no newer one.

Two things confirm it. The mailbox, read when keepers had just cosigned the head of the log: whatever stands below that head
was delivered, or the server withholds it. And keepers themselves: they open a list under the newest event that the log has,
and under no other. So a server that withholds an event gains an age that looks young, and nothing that opens.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from vault_client.received_grants import ReceivedGrant
from vault_client.service import Service


@dataclass(frozen=True)
class GrantedList:
    """Times are in seconds since 1970. ``received``: when the event came; 0 where that was not kept. ``confirmed``: None if never."""

    gid: bytes
    vault: bytes
    event: int
    received: int
    confirmed: int | None
    expiry: int


def granted_list(service: Service, grant: ReceivedGrant, listed: Iterable[int]) -> GrantedList:
    """Of ``grant``, whose documents were ``listed`` at these times."""
    event = grant.state.event
    opened = (time for time in listed if time >= grant.taken_in > 0)
    read = service.mailbox_read(event.origin)
    return GrantedList(
        gid=event.gid,
        vault=event.vault,
        event=event.j,
        received=grant.taken_in,
        confirmed=max((*opened, *([read] if read is not None else [])), default=None),
        expiry=event.expiry,
    )
