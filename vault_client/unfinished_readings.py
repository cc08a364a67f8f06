"""Requests to read that are signed and whose documents are not released yet.

A reading that was cut off is gone on with under the same request, so that it is one entry in the patient's log. The
keys that the keepers release are never kept: after a restart the keepers are asked again, and refuse when the grant has
ended meanwhile.
"""

from collections.abc import Sequence
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
    """Those of one profile, by the digest of the request."""

    def __init__(self, store: DeviceStore) -> None:
        self._store = store

    def find(
        self,
        grant: ReceivedGrant,
        documents: Sequence[RequestedDocument],
        act: Act,
        purpose: Purpose,
        now: int,
    ) -> Envelope | None:
        """A request that was signed not long before ``now`` for these documents at least. Older ones are forgotten."""
        found = None
        for name, unfinished in list(self._store.scan("unfinished", UnfinishedReading)):
            request = read_request(unfinished.request)
            if not 0 <= now - request.time <= REUSED:
                self._store.delete(name)
            elif (
                request.ghead == grant.state.digest
                and set(request.documents) >= set(documents)
                and request.act == act
                and unfinished.purpose == purpose
            ):
                found = unfinished.request
        return found

    def begin(self, purpose: Purpose, request: Envelope) -> None:
        """Keep a request, before it is sent."""
        self._store.put(_name(request.digest), UnfinishedReading(request=request, purpose=purpose))

    def end(self, digest: bytes) -> None:
        """Forget a request: its documents are released, or refused."""
        self._store.delete(_name(digest))


def _name(digest: bytes) -> str:
    return f"unfinished/{digest.hex()}"
