"""The sealed openings of a record's leaves, as the server shows them."""

from collections.abc import AsyncIterator

from crypto.errors import NotProven
from crypto.wire.messages import OpeningQuery, SealedOpening
from crypto.wire.vault_api import VaultApi


async def sealed_openings(api: VaultApi, vault: bytes, since: int, end: int) -> AsyncIterator[SealedOpening]:
    """Those of the leaves from ``since`` up to ``end`` (exclusive), in the order shown.

    What is missing, or is of no leaf of the record, is for the caller to find. Raises NotProven when the server shows
    the same again and again.
    """
    while True:
        answer = await api.openings(OpeningQuery(vault=vault, since=since))
        for opening in answer.openings:
            if opening.index < end:
                yield opening
        if not answer.more or not answer.openings or answer.openings[-1].index >= end:
            return
        if answer.openings[-1].index < since:
            raise NotProven("The service shows the same part of the log again and again. Try again later.")
        since = answer.openings[-1].index + 1
