"""Requests to read that are signed and whose documents are not released yet.

A reading that was cut off is gone on with under the same request, so that it is one entry in the patient's log. The
keys that the keepers release are never kept: after a restart the keepers are asked again, and refuse when the grant has
ended meanwhile.
"""

from typing import Final

from crypto.encoding import Body
from crypto.grants import Act
from crypto.requests import Purpose, RequestedDocument, read_request
from crypto.signing import Envelope
from vault_client.device_store import DeviceStore
from vault_client.received_grants import ReceivedGrant

# Seconds for which a request is used again. It names a head of the directory that may have been replaced some minutes
# before it was signed, and keepers answer for ten minutes after that.
REUSED: Final = 300


class UnfinishedReading(Body, frozen=True):
    """A request as it was signed, and the purpose sealed in it."""

    request: Envelope
    purpose: Purpose


class UnfinishedReadings:
    """Those of one profile, one for each granted document."""

    def __init__(self, store: DeviceStore) -> None:
        self._store = store

    def find(
        self, grant: ReceivedGrant, document: RequestedDocument, act: Act, purpose: Purpose, now: int
    ) -> Envelope | None:
        """The request that was signed for just this not long before ``now``. Older ones are forgotten."""
        for name, unfinished in list(self._store.scan("unfinished", UnfinishedReading)):
            if not 0 <= now - read_request(unfinished.request).time <= REUSED:
                self._store.delete(name)
        found = self._store.get(_name(grant, document), UnfinishedReading)
        if found is None:
            return None
        request = read_request(found.request)
        same = (
            request.ghead == grant.state.digest
            and request.documents == (document,)
            and request.act == act
            and found.purpose == purpose
        )
        return found.request if same else None

    def begin(
        self, grant: ReceivedGrant, document: RequestedDocument, purpose: Purpose, request: Envelope
    ) -> None:
        """Keep a request, before it is sent."""
        self._store.put(_name(grant, document), UnfinishedReading(request=request, purpose=purpose))

    def end(self, grant: ReceivedGrant, document: RequestedDocument) -> None:
        """Forget the request: the document is released, or refused."""
        self._store.delete(_name(grant, document))


def _name(grant: ReceivedGrant, document: RequestedDocument) -> str:
    return f"unfinished/{grant.gid.hex()}-{document.doc.hex()}"
