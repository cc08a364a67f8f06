"""Openings again of what was fetched ahead: noted before they happen, and logged at the next contact with the server.

A request names the time at which it is signed, so one that was signed without a network would be refused as stale. What is
noted is therefore signed when the server is there; the purpose sealed in the request says when the documents were opened.
"""

import secrets
from collections.abc import Sequence
from contextlib import suppress
from datetime import UTC, datetime
from itertools import islice
from typing import Final

import msgspec

from crypto.encoding import Bytes32, Natural, SecretBody
from crypto.errors import NotFound, Refusal
from crypto.requests import MAX_DOCUMENTS, Purpose
from vault_client.device_store import DeviceStore
from vault_client.granted_document import GrantedDocument
from vault_client.opening import Opener, Wanted
from vault_client.received_grants import ReceivedGrant, ReceivedGrants
from vault_client.service import Service
from vault_client.unfinished_readings import UnfinishedReadings

_GROUP: Final = "reopened"
_MAX_REASON: Final = 1024  # as a request's purpose has room for


class Reopening(SecretBody, frozen=True):
    """A document as it was opened again, when, and why. ``ct_root``: of the version that is kept."""

    document: GrantedDocument
    ct_root: Bytes32
    time: Natural
    purpose: Purpose


_Named = dict[str, Reopening]
"""What is noted, by the name of its record."""


class Reopenings:
    """Those of one profile that are not in their patients' logs yet."""

    def __init__(
        self,
        store: DeviceStore,
        service: Service,
        grants: ReceivedGrants,
        opener: Opener,
        unfinished: UnfinishedReadings,
    ) -> None:
        self._store = store
        self._service = service
        self._grants = grants
        self._opener = opener
        self._unfinished = unfinished

    def note(self, document: GrantedDocument, ct_root: bytes, purpose: Purpose) -> None:
        """Keep that a document is opened again now, before it is."""
        noted = Reopening(document=document, ct_root=ct_root, time=self._service.now(), purpose=purpose)
        self._store.put(f"{_GROUP}/{secrets.token_hex(16)}", noted)

    def waiting(self) -> list[Reopening]:
        """What is noted and not in the log yet."""
        return [noted for _, noted in self._store.scan(_GROUP, Reopening)]

    async def declare(self) -> list[GrantedDocument]:
        """Have all that is noted logged, many documents of a grant under one request. Returns those that were refused.

        A refused request is in the patient's log too, as refused, so it is not made again; one of several documents is
        first made again for each alone, unless the grant is over. What fails otherwise goes on waiting, and holds up no other
        grant's. Raises Unreachable when nobody answers.
        """
        groups: dict[tuple[bytes, Purpose], dict[bytes, _Named]] = {}
        in_order = sorted(self._store.scan(_GROUP, Reopening), key=lambda found: found[1].time)
        for name, noted in in_order:
            group = groups.setdefault((noted.document.gid, noted.purpose), {})
            group.setdefault(noted.document.document.ver, {})[name] = noted
        refused: list[GrantedDocument] = []
        for group in groups.values():
            versions = iter(group.values())
            while batch := list(islice(versions, MAX_DOCUMENTS)):
                with suppress(Refusal):
                    refused += await self._declare(batch)
        return refused

    async def _declare(self, versions: Sequence[_Named]) -> list[GrantedDocument]:
        """``versions``: what is noted of each version, all of one grant and purpose."""
        noted = [one for named in versions for one in named.values()]
        grant = self._grants.get(noted[0].document.gid)
        refused: list[GrantedDocument] = []
        try:
            await self._log(grant, [next(iter(named.values())) for named in versions], _purpose(noted))
        except NotFound:
            is_over = grant.said_ended or self._service.now() >= grant.state.event.expiry
            if len(versions) > 1 and not is_over:
                for named in versions:
                    refused += await self._declare([named])
                return refused
            refused = [next(iter(named.values())).document for named in versions]
        with self._store.transaction():
            for named in versions:
                for name in named:
                    self._store.delete(name)
        return refused

    async def _log(self, grant: ReceivedGrant, noted: Sequence[Reopening], purpose: Purpose) -> None:
        wanted = [
            Wanted(
                doc=one.document.document.doc, ver=one.document.document.ver, ct_root=one.ct_root, wrap=b""
            )
            for one in noted
        ]
        documents = [each.requested(grant.state.event.rekey) for each in wanted]
        request = self._unfinished.find(grant, documents, "reopen", purpose, self._service.now())
        if request is None:
            request = await self._opener.sign(grant, wanted, "reopen", purpose)
            self._unfinished.begin(purpose, request)
        try:
            await self._opener.logged(grant, wanted, request)
        except Refusal:
            self._unfinished.end(request.digest)
            raise
        self._unfinished.end(request.digest)


def _purpose(noted: Sequence[Reopening]) -> Purpose:
    """The reader's purpose, with the times of opening after its reason: the first and the last, and how many there were."""
    moments = [_moment(time) for time in sorted(each.time for each in noted)]
    said = " – ".join(dict.fromkeys((moments[0], moments[-1])))
    if len(moments) > 1:
        said += f" (×{len(moments)})"
    purpose = noted[0].purpose
    reason = f"{purpose.reason[: _MAX_REASON - len(said) - 3]} · {said}" if purpose.reason else said
    return msgspec.structs.replace(purpose, reason=reason)


def _moment(time: int) -> str:
    return f"{datetime.fromtimestamp(time, UTC):%Y-%m-%d %H:%M} UTC"
