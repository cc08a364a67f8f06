"""Mailboxes: what was delivered to one recipient, in order. The server's word; the log is the proof."""

from crypto.encoding import encode
from crypto.wire import messages as m
from vault_server.store import grants as rows
from vault_server.store.database import Statements

DELIVERIES = 100
BYTES = 1 << 22


class Mailboxes:
    """The mailboxes of this server."""

    def __init__(self, reader: Statements) -> None:
        self._reader = reader

    async def read(self, identity: bytes, query: m.MailboxQuery) -> m.Mailbox:
        """A page of deliveries: at least one where there is one."""
        found = await rows.mailbox(self._reader, identity, query.after, DELIVERIES + 1)
        deliveries: list[m.Delivery] = []
        size = 0
        for number, gid, j in found[:DELIVERIES]:
            delivery = await rows.delivery(self._reader, number, gid, j)
            size += len(encode(delivery))
            if deliveries and size > BYTES:
                break
            deliveries.append(delivery)
        return m.Mailbox(deliveries=tuple(deliveries), more=len(deliveries) < len(found))
