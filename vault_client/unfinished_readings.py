"""Requests to read that are signed and whose documents are not released yet.

A reading that was cut off is gone on with under the same request, so that it is one entry in the patient's log. The
keys that the keepers release are never kept: after a restart the keepers are asked again, and refuse when the grant has
ended meanwhile.
"""

from collections.abc import Sequence
from functools import cached_property
from typing import Final

from crypto.encoding import Body
from crypto.grants import Act
from crypto.requests import AccessRequest, Purpose, RequestedDocument, read_request
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
    """Those of one profile, by the digest of the request. Nobody else writes them while the profile is open."""

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
        for digest, (request, unfinished) in list(self._kept.items()):
            if not 0 <= now - request.time <= REUSED:
                self.end(digest)
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
        unfinished = UnfinishedReading(request=request, purpose=purpose)
        self._store.put(_name(request.digest), unfinished)
        self._kept[request.digest] = (read_request(request), unfinished)

    def end(self, digest: bytes) -> None:
        """Forget a request: its documents are released, or refused."""
        self._store.delete(_name(digest))
        self._kept.pop(digest, None)

    @cached_property
    def _kept(self) -> dict[bytes, tuple[AccessRequest, UnfinishedReading]]:
        """What the store holds, read once: every reading looks through all that others have under way."""
        return {
            unfinished.request.digest: (read_request(unfinished.request), unfinished)
            for _, unfinished in self._store.scan("unfinished", UnfinishedReading)
        }


def _name(digest: bytes) -> str:
    return f"unfinished/{digest.hex()}"
