"""How old what a grant says is: its newest event as it is here, and when it was last confirmed that there is no newer one.

Two things confirm it. Keepers, when they opened a list: they answer under the newest event that the log has, and under no
other. And the mailbox, read when they had just cosigned the head of the log: whatever stands below that head was delivered, or
the server withholds it. To withhold an event makes an old list look young; the patient's log then says STALE_VIEW of each
reading under it, and what the event took away does not open.
"""

from dataclasses import dataclass

from crypto.grants import Act
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
    acts: tuple[Act, ...]
    expiry: int


def granted_list(service: Service, grant: ReceivedGrant) -> GrantedList:
    """Of ``grant``."""
    event = grant.state.event
    return GrantedList(
        gid=event.gid,
        vault=event.vault,
        event=event.j,
        received=grant.taken_in,
        confirmed=max(grant.confirmed, service.mailbox_read(event.origin) or 0) or None,
        acts=event.acts,
        expiry=event.expiry,
    )
